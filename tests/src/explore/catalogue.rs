//! Everything that is explored, by name.

use std::collections::BTreeSet;

use super::{
    Alone, Chart, Counterexample, Report, Subject, System, explore,
    subjects::{Asked, Bound, Coded, Entering, Keys, Knocking, Opening, Renewing, Streamed, Waiting},
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

impl<S: Subject> Charted for Alone<S> {
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
        Box::new(Alone(Entering)),
        Box::new(Alone(Bound::new(false))),
        Box::new(Alone(Coded)),
        Box::new(Alone(Asked)),
        Box::new(Alone(Renewing::widely())),
        Box::new(Alone(Knocking)),
        Box::new(Alone(Opening)),
        Box::new(Alone(Keys)),
        Box::new(Alone(Waiting::default())),
        Box::new(Alone(Streamed)),
    ]
}

/// Systems beyond single machines, by name.
pub fn systems() -> Vec<(&'static str, Box<dyn Walk>)> {
    vec![("binding-two-orgs", Box::new(Alone(Bound::new(true)))), ("credential-limit", Box::new(Alone(Renewing::to_the_limit())))]
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
