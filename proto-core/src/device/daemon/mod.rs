//! The whole daemon as one machine: a pairing, the bindings, a bridge for each of them, the ledger of directories, and the
//! processes that make records.
//!
//! ```text
//!   vpd pair, bind, …  ── Request ──► ┌────────┐ ◄── IoEvent ── adapter ── platform, relays, disk
//!                      ◄── Answer ─── │ Daemon │ ─── Effect ────►
//!   vpd run ── Attach, Frame ───────► │        │     pairing::Pairing ── approved ──► binding::Bindings ── Started ──► bridge
//!           ◄─ Attached, ToSource ─── └────────┘     consent::Resolver ── which org? ──► pin (durable) ──► bridge::Bridge
//!                                                    spool::Spool ── what the relay keeps up with, or the disk first ──► bridge
//! ```
//!
//! It runs until its driver drops it. Nothing here looks at more than one binding at a time: what one org's bridge does never
//! waits for, and never depends on, another's.

mod boot;
mod children;
mod event;
mod keys;
mod ledger;
mod report;
mod request;
mod running;
mod session;
mod spools;
mod state;

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use core::{convert::Infallible, time::Duration};

pub use boot::{Settings, StoredState};
pub use event::{Answer, Bind, EffectId, Event, Input, Output, Request, RequestId, TaskId, Timer};
use ledger::Ledger;
use running::Sessions;
use state::Task;

use crate::{
    BindingId, Deadline, Instant, JitterRng, Machine, MachineBase, Misuse, SessionId, Status, Unhashed, WallClock,
    device::{
        binding::Bindings,
        bridge::{self, Bridge, SourceId},
        control::PairEvent,
        incarnation::{Child, IncarnationCounter},
        orgkey::KeyFiles,
        pairing::Pairing,
        spool::{self, Spool},
        uplink,
    },
    effect::StateFile,
    machine::timed::TimedMap,
    noise::Noise,
};

/// A process that makes records may stay away so long before its session counts as over: a daemon's restart, an update.
pub const RETURN_WITHIN: Duration = Duration::from_mins(2);

/// Between two attempts to remove the pin of a session that is forgotten.
const REMOVE_RETRY: Duration = Duration::from_secs(10);

/// The most requests and starting sessions that wait for the disk at a time.
pub const MAX_TASKS: usize = 1024;

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Daemon<N> {
    settings: Settings,
    uplinks: uplink::Settings,
    clock: WallClock,
    jitter: JitterRng,
    bindings: Bindings,
    bridges: TimedMap<Arc<BindingId>, Child<Bridge<N>>, bridge::Timer>,
    /// The bridges that were spoken to and not listened to since: empty between two inputs.
    undrained: BTreeSet<Arc<BindingId>>,
    pairing: Option<Child<Pairing>>,
    /// How an approved pairing comes out: said once it has ended, because its client may begin the next one at once.
    paired: Option<PairEvent>,
    /// How many bridges, pairings and spools there were.
    lives: IncarnationCounter,
    ledger: Ledger,
    /// What is kept of the organizations' keys.
    keys: KeyFiles,
    sessions: Sessions,
    /// What stands between sessions and their bridges: one for each that is attached, kept or closing.
    spools: TimedMap<SessionId, Child<Spool>, spool::Timer>,
    /// Files of sessions that could not be removed, and when that is tried again.
    unremoved: Option<(Instant, BTreeSet<StateFile>)>,
    tasks: BTreeMap<TaskId, Task>,
    stats: Unhashed<Stats>,
    port: MachineBase<Output>,
}

/// What was ignored, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Answers of the disk that are not awaited.
    pub stale_answers: u64,
    /// Events of bridges that are gone.
    pub stale_events: u64,
    /// Frames of processes that are not attached.
    pub unattached: u64,
}

impl Stats {
    const fn ignored(&self) -> u64 {
        self.stale_answers.saturating_add(self.stale_events).saturating_add(self.unattached)
    }
}

impl<N: Noise> Daemon<N> {
    /// What was ignored here so far; [`Machine::ignored`] counts what children ignored too.
    pub const fn stats(&self) -> &Stats {
        &self.stats.0
    }

    /// The children that have deadlines of their own.
    fn deadlines(&self) -> impl Iterator<Item = Deadline<Timer>> {
        let pairing = self.pairing.iter().filter_map(|pairing| pairing.machine.poll_timeout());
        let pairing = pairing.map(|deadline| deadline.map(Timer::Pairing));
        let bindings = self.bindings.poll_timeout().map(|deadline| deadline.map(Timer::Bindings));
        let others = pairing.chain(bindings).chain(self.next_abandonment()).chain(self.next_removal());
        let others = others.chain(self.bridges.next_deadline().map(|deadline| deadline.map(Timer::Bridge)));
        others.chain(self.spools.next_deadline().map(|deadline| deadline.map(Timer::Spool)))
    }
}

impl<N: Noise> Machine for Daemon<N> {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let is_new_task = matches!(input, Input::Request(..) | Input::Attach(..));
        if is_new_task && self.tasks.len() >= MAX_TASKS {
            return Err(Misuse::Full("requests that wait for the disk"));
        }
        if matches!(input, Input::Attach(SourceId::SPOOL, ..)) {
            return Err(Misuse::OutOfRange("the number of a process"));
        }
        self.port.enter(now)?;
        match input {
            Input::Io(event) => self.io_event(event),
            Input::Request(id, request) => self.request(id, request),
            Input::Attach(source, attach, entropy) => self.attach(source, attach, &entropy),
            Input::Frame(source, frame) => self.source_said(source, frame),
            Input::Detach(source) => self.detach(source),
            Input::Looked(task_id, looked) => self.looked(task_id, looked),
            Input::Changed(task_id, result) => self.changed(task_id, result),
        }
        self.drain();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        let now = self.port.now();
        self.bindings.handle_timeout(now);
        self.pairing.iter_mut().for_each(|pairing| pairing.machine.handle_timeout(now));
        for id in self.bridges.due(now) {
            self.bridges.touch(&id, |bridge| bridge.machine.handle_timeout(now));
            self.undrained.insert(id);
        }
        self.wake_spools();
        self.close_abandoned_sessions();
        self.remove_again();
        self.drain();
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.port.advance(now);
        if !self.clock.agrees_with(wall) {
            self.clock = wall;
            self.tell_clock();
            self.drain();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        self.deadlines().min()
    }

    fn status(&self) -> Status<'_, Infallible> {
        Status::Running { waiting_for: "requests, sessions and the network" }
    }

    fn ignored(&self) -> u64 {
        self.stats.0.ignored().saturating_add(self.port.ignored())
    }
}
