//! `session`: a command that writes, a daemon that comes and goes, a relay that says anything about what it has.

use std::time::Duration;

use proto_core::{
    Machine, Reason, SessionId, Status,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Scope},
    },
    device::session::{Input, Output, Session},
    wire::{Content, Frame, Head, Outcome},
};

use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::{parsed, secret},
    laws::START,
};

const ID: SessionId = SessionId([7; 16]);

/// One session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streamed;

/// Records that are made at most.
const RECORDS: u64 = 3;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Push,
    Ends,
    Attached,
    Detached,
    /// The relay goes on at this record.
    Resume(u64),
    /// Everything below this record is durable.
    Acknowledge(u64),
    /// The same, about another session.
    AcknowledgeOther,
    Revoke,
    Ping,
}

/// What the properties remember.
#[derive(Clone, Debug, Default, Hash)]
pub struct Memory {
    made: u64,
    has_ended: bool,
    /// The highest acknowledgement that arrived while frames flowed.
    durable: u64,
    /// What the next frame of this connection must be.
    expects: Option<u64>,
}

impl Subject for Streamed {
    type Machine = Session;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "session";
    const MAX_OUTPUTS: usize = 5;
    const SETTLES: (usize, Duration) = (8, Duration::ZERO);

    fn bounds(&self) -> String {
        format!("{RECORDS} records and the end; every resume point and acknowledgement from 0 to {}", RECORDS + 2)
    }

    fn starts(&self) -> Vec<(Session, Memory)> {
        let scope = Scope { org: parsed("org"), session: ID, cipher: Cipher::ChaCha20Poly1305 };
        vec![(Session::new(&PureRust, scope, EpochSecret::new(secret(1)), START), Memory::default())]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let mut facts = vec![Fact::Ends, Fact::Attached, Fact::Detached, Fact::AcknowledgeOther, Fact::Revoke, Fact::Ping];
        if at.memory.made < RECORDS || at.memory.has_ended || !is_live(at) {
            facts.push(Fact::Push);
        }
        facts.extend((0..=RECORDS + 2).flat_map(|next| [Fact::Resume(next), Fact::Acknowledge(next)]));
        facts
    }

    fn input(&self, fact: &Fact, _: &Situation<Self>) -> Input {
        let frame = |head: Head| Input::Frame(head.into());
        match *fact {
            Fact::Push => Input::Push(Content::Output(b"x".as_slice().into())),
            Fact::Ends => Input::End(Outcome::Exited),
            Fact::Attached => Input::Attached,
            Fact::Detached => Input::Detached,
            Fact::Resume(next) => frame(Head::Resume { session: ID, next }),
            Fact::Acknowledge(next) => frame(Head::Acknowledge { session: ID, next }),
            Fact::AcknowledgeOther => frame(Head::Acknowledge { session: SessionId([8; 16]), next: 1 }),
            Fact::Revoke => frame(Head::Revoke { reason: Reason::MachineRevoked }),
            Fact::Ping => frame(Head::Ping { nonce: 1 }),
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        let was_live = matches!(seen.before.status(), Status::Running { .. });
        let lives = !matches!(seen.after.status(), Status::Failed(_));
        match seen.fact {
            Some(Fact::Push) if was_live && !memory.has_ended => memory.made += 1,
            Some(Fact::Ends) if was_live => memory.has_ended = true,
            Some(Fact::Attached | Fact::Detached) => memory.expects = None,
            Some(Fact::Resume(next)) if lives => memory.expects = Some(*next),
            Some(Fact::Acknowledge(next)) if lives && memory.expects.is_some() => memory.durable = memory.durable.max(*next),
            _ => {}
        }
        for Output::Send(frame) in seen.outputs {
            memory.judge(frame)?;
        }
        memory.keeps(seen)
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        let whole = at.memory.made + 1;
        Some(match at.machine.status() {
            Status::Running { waiting_for: "the daemon" } => Fact::Attached,
            Status::Running { waiting_for } if waiting_for.contains("resume") => {
                Fact::Resume(at.memory.durable.min(at.memory.made))
            }
            Status::Running { waiting_for } if waiting_for.contains("last") => match at.memory.expects {
                Some(expects) if expects > at.memory.made => Fact::Acknowledge(whole),
                _ => Fact::Acknowledge(at.memory.made),
            },
            _ => Fact::Ends,
        })
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !is_live(at)
    }

    fn say(&self, Output::Send(frame): &Output) -> String {
        match &frame.head {
            Head::Data { .. } => "Data".into(),
            Head::Open { .. } => "Open".into(),
            Head::End { .. } => "End".into(),
            other => format!("{other:?}"),
        }
    }

    fn ignored(&self, machine: &Session) -> Vec<(&'static str, u64)> {
        let stats = machine.stats();
        vec![
            ("pushed_after_end", stats.pushed_after_end),
            ("unexpected_frames", stats.unexpected_frames),
            ("stale_acknowledgements", stats.stale_acknowledgements),
        ]
    }
}

fn is_live(at: &Situation<Streamed>) -> bool {
    matches!(at.machine.status(), Status::Running { .. })
}

impl Memory {
    /// SES-1: what is sent goes on, without gap and without repetition, where the relay said.
    fn judge(&mut self, frame: &Frame) -> Result<(), Broken> {
        match &frame.head {
            Head::Open { .. } => Ok(()),
            Head::Data { session: ID, sequence, .. } if self.expects == Some(*sequence) && *sequence < self.made => {
                self.expects = Some(sequence + 1);
                Ok(())
            }
            Head::End { session: ID, next, .. } if self.has_ended && *next == self.made && self.expects == Some(*next) => {
                self.expects = Some(next + 1);
                Ok(())
            }
            other => Err(Broken::new("SES-1", format!("{other:?}, where {:?} was due of {}", self.expects, self.made))),
        }
    }

    /// SES-2: what is not acknowledged is kept, and all of it is acknowledged before the end.
    fn keeps(&self, seen: &Seen<'_, Streamed>) -> Result<(), Broken> {
        let (unacknowledged, kept) = (self.made.saturating_sub(self.durable), seen.after.pending_bytes());
        match seen.after.status() {
            Status::Running { .. } if (unacknowledged > 0) != (kept > 0) => {
                Err(Broken::new("SES-2", format!("{unacknowledged} records are not durable, {kept} bytes are kept")))
            }
            Status::Finished if !self.has_ended => Err(Broken::new("SES-2", "finished before the end")),
            _ => Ok(()),
        }
    }
}
