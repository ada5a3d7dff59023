//! `viewer`: what `uplinked` has, and a session that the user watches.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    JitterRng, Machine, SessionId, Status,
    crypto::PureRust,
    device::viewer::{self, Viewer},
    noise::Symbolic,
    wire::{Frame, Head},
};

use super::{
    effect,
    net::Net,
    uplinked::{BOUNDS, Memory, SESSION, fair, is_open},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{clock, identity, record, relay, relay_record, secret, token, uplink_settings},
    laws::START,
};

/// One viewer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watching;

/// What a viewer can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Watched {
    Net(Net),
    Stored,
    Watch,
    WatchOther,
    RetryNow,
    Stop,
}

impl Subject for Watching {
    type Machine = Viewer<Symbolic>;
    type Fact = Watched;
    type Memory = Memory;

    const NAME: &'static str = "viewer";
    const MAX_OUTPUTS: usize = 8;
    const SETTLES: (usize, Duration) = (16, Duration::from_mins(15));

    fn bounds(&self) -> String {
        format!(
            "{BOUNDS}; two inputs of the owner on a connection; one session, whose daemon's credential holds and who does not answer"
        )
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let voucher = Bytes::from(token(&secret(1), "A", "r", 1).expose().to_owned());
        let open = Frame { head: Head::Open { session: SESSION, cipher: 1 }, body: voucher };
        let viewer =
            Viewer::new(START, clock(), &record(), identity(1), None, &uplink_settings(), &PureRust, JitterRng::constant(0));
        vec![(viewer.expect("a credential"), Memory::new(open))]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Watched> {
        if at.memory.is_beyond() {
            return Vec::new();
        }
        let own = [Watched::Stored, Watched::RetryNow, Watched::Stop];
        let more = [Watched::Watch, Watched::WatchOther].into_iter().filter(|_| at.memory.inputs < 2);
        at.memory.nets().map(Watched::Net).chain(own).chain(more).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Watched>> {
        at.memory.times()
    }

    fn input(&self, fact: &Watched, at: &Situation<Self>) -> viewer::Input {
        match *fact {
            Watched::Net(net) => viewer::Input::Io(at.memory.ends.io_event(net).1),
            Watched::Stored => viewer::Input::Stored(relay_record(relay())),
            Watched::Watch => viewer::Input::Watch(SESSION),
            Watched::WatchOther => viewer::Input::Watch(SessionId([2; 16])),
            Watched::RetryNow => viewer::Input::RetryNow,
            Watched::Stop => viewer::Input::Stop,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Watched::Net(net)) => memory.hear(*net, is_open(seen.before)),
            Some(Watched::Watch | Watched::WatchOther) => {
                memory.inputs += 1;
                memory.is_known |= seen.fact == Some(&Watched::Watch);
            }
            None => memory.turned(seen),
            _ => {}
        }
        for output in seen.outputs {
            match output {
                viewer::Output::Effect(asked) => {
                    let asks = matches!(memory.asked(asked), Some(Frame { head: Head::Peer { .. }, .. }));
                    if asks && !memory.is_known {
                        return Err(Broken::new("ISO-6", "a key is asked for without a reason"));
                    }
                }
                viewer::Output::Revoked(_) => memory.ended()?,
                viewer::Output::Record(..) | viewer::Output::Ended(..) => {
                    return Err(Broken::new("SES-1", "something is shown, and nothing was sent"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Watched> {
        match at.machine.status() {
            Status::Running { waiting_for } => fair(waiting_for).map(Watched::Net),
            _ => None,
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { waiting_for } if waiting_for != "frames")
    }

    fn say(&self, output: &viewer::Output) -> String {
        match output {
            viewer::Output::Effect(asked) => effect(asked),
            viewer::Output::Renewed(_) => "Renewed".into(),
            viewer::Output::Listed(_) => "Listed".into(),
            viewer::Output::Machines(_) => "Machines".into(),
            viewer::Output::Failed(_, reason) => format!("Failed({reason:?})"),
            other => format!("{other:?}"),
        }
    }
}
