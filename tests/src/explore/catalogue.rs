//! Everything that is explored, by name.

use std::collections::BTreeSet;

use super::{
    Chart, Counterexample, Report, SingleMachine, Subject, System, explore,
    subjects::{
        Asked, AwaitingFirstMessage, Bound, Coded, Connecting, Dialling, Entering, Followed, Held, Hosting, Kept, Keys, Opening,
        Renewing, Streamed, Streaming, Viewing, Waiting, Watching, Whole, Wired,
    },
    systems::{
        Approving, Attacked, Compromised, Connecting as Wire, CrashingBindings, CrashingPairing, Resuming, Rotating, Routing,
    },
};

/// Something that can be walked through.
pub trait Walk {
    /// What it is confined to.
    fn bounds(&self) -> String;

    /// Visits about `limit` states at most.
    ///
    /// # Errors
    /// A shortest way to a property that does not hold.
    fn walk(&self, limit: usize) -> Result<Report, Counterexample>;
}

impl<S: System> Walk for S {
    fn bounds(&self) -> String {
        System::bounds(self)
    }

    fn walk(&self, limit: usize) -> Result<Report, Counterexample> {
        explore(self, limit, &mut ())
    }
}

/// A machine whose table and page are kept.
pub trait Charted: Walk {
    /// The machine's room in the core.
    fn name(&self) -> &'static str;

    /// The same walk, and what it shows.
    ///
    /// # Errors
    /// As for [`Walk::walk`].
    fn chart(&self, limit: usize) -> Result<(Report, Chart), Counterexample>;
}

impl<S: Subject> Charted for SingleMachine<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn chart(&self, limit: usize) -> Result<(Report, Chart), Counterexample> {
        let mut chart = Chart::of(self);
        let report = explore(self, limit, &mut (&self.0, &mut chart))?;
        Ok((report, chart))
    }
}

/// The machines of the core, one by one.
pub fn machines() -> Vec<Box<dyn Charted>> {
    vec![
        Box::new(SingleMachine(Entering)),
        Box::new(SingleMachine(Bound::new(false))),
        Box::new(SingleMachine(Streaming::default())),
        Box::new(SingleMachine(Coded)),
        Box::new(SingleMachine(Asked)),
        Box::new(SingleMachine(Renewing::widely())),
        Box::new(SingleMachine(Whole)),
        Box::new(SingleMachine(AwaitingFirstMessage)),
        Box::new(SingleMachine(Opening)),
        Box::new(SingleMachine(Hosting)),
        Box::new(SingleMachine(Keys)),
        Box::new(SingleMachine(Held)),
        Box::new(SingleMachine(Dialling::widely())),
        Box::new(SingleMachine(Waiting::default())),
        Box::new(SingleMachine(Connecting)),
        Box::new(SingleMachine(Followed)),
        Box::new(SingleMachine(Streamed)),
        Box::new(SingleMachine(Kept)),
        Box::new(SingleMachine(Wired)),
        Box::new(SingleMachine(Watching)),
        Box::new(SingleMachine(Viewing::default())),
    ]
}

/// Systems beyond single machines, and single machines under other bounds, by name.
pub fn systems() -> Vec<(&'static str, Box<dyn Walk>)> {
    use Compromised::{Device, Nothing, Relay};
    let attacked = |compromised, has_psk| Box::new(Attacked::new(compromised, has_psk, [2, 2, 2]));
    vec![
        ("approval", Box::new(Approving { losses: 2 })),
        ("attacker-ik", attacked(Nothing, false)),
        ("attacker-ik-device-lost", attacked(Device, false)),
        ("attacker-ik-relay-lost", attacked(Relay, false)),
        ("attacker-psk", attacked(Nothing, true)),
        ("attacker-psk-device-lost", attacked(Device, true)),
        ("attacker-psk-relay-lost", attacked(Relay, true)),
        ("binding-two-orgs", Box::new(SingleMachine(Bound::new(true)))),
        ("bridge-declined", Box::new(SingleMachine(Streaming::declined()))),
        ("crash-bindings", Box::new(CrashingBindings::new(3, 2))),
        ("crash-pairing", Box::new(CrashingPairing { crashes: 1 })),
        ("credential-limit", Box::new(SingleMachine(Renewing::to_the_limit()))),
        ("hub-two-orgs", Box::new(Routing { records: 2 })),
        ("link-up", Box::new(SingleMachine(Dialling::from_the_open_link()))),
        ("link-turned-away", Box::new(SingleMachine(Dialling::turned_away()))),
        ("link-peer", Box::new(Wire::new(1, 1))),
        ("rotation-platform", Box::new(Rotating::new(4))),
        ("session-relay", Box::new(Resuming { records: 3, breaks: 3 })),
    ]
}

/// The names of all of them.
pub fn names() -> BTreeSet<&'static str> {
    machines().iter().map(|machine| machine.name()).chain(systems().iter().map(|(name, _)| *name)).collect()
}

/// The one of that name.
pub fn named(name: &str) -> Option<Box<dyn Walk>> {
    let machine = machines().into_iter().find(|machine| machine.name() == name);
    let system = || systems().into_iter().find(|(known, _)| *known == name).map(|(_, walk)| walk);
    machine.map(|machine| machine as Box<dyn Walk>).or_else(system)
}
