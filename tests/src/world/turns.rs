//! The loop that ships, around the daemon and the viewers of a world.

use io_engine::{DriverLoop, Perform};
use proto_core::{
    Machine, Misuse, WallClock,
    device::{daemon, watcher},
};

use super::World;

/// What a machine wants, taken in one turn and carried out after it.
#[derive(Debug)]
pub(crate) struct Wants<O>(pub(crate) Vec<O>);

impl<O> Default for Wants<O> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: Machine> Perform<M> for Wants<M::Output> {
    fn perform(&mut self, output: M::Output) {
        self.0.push(output);
    }

    fn refused(&mut self, misuse: Misuse) {
        panic!("{misuse}");
    }
}

/// What a machine wants before its first turn.
pub(crate) fn begun<M: Machine>(turns: &DriverLoop, machine: &mut M) -> Vec<M::Output> {
    let mut wants = Wants::default();
    turns.begin(machine, &mut wants);
    wants.0
}

impl World {
    /// Both clocks, as the machine and the viewers read them now.
    pub(super) fn reading(&self) -> WallClock {
        WallClock::new(self.now, self.told.unix_at(self.now))
    }

    pub(super) fn turn_laptop(&mut self, input: Option<daemon::Input>) {
        let (reading, mut wants) = (self.reading(), Wants::default());
        if let Some(daemon) = &mut self.laptop.daemon {
            self.laptop.turns.turn(daemon, reading, input, &mut wants);
        }
        self.laptop_wants(wants.0);
    }

    pub(super) fn turn_watcher(&mut self, watcher: usize, input: Option<watcher::Input>) {
        let (reading, mut wants) = (self.reading(), Wants::default());
        let tablet = &mut self.watchers[watcher];
        tablet.turns.turn(&mut tablet.watcher, reading, input, &mut wants);
        self.watcher_wants(watcher, wants.0);
    }
}
