//! Making the disk follow what is wanted.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::{mem, time::Duration};

use super::{
    Bindings, EffectId, Output, Phase,
    state::{Binding, Change, Disk},
};
use crate::{
    BindingId, Reason, Unhashed,
    device::files::{BindingRecord, BindingState, Config, Document, IdentityFile},
    effect::{Effect, IoEvent, StateFile},
    machine::backoff::Backoff,
    secret::SecretBytes,
};

/// Pauses between attempts to write.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

impl Bindings {
    /// `config.json` as it should be.
    pub(super) fn wanted(&self) -> Config {
        let mut records: Vec<_> = self.by_id.values().filter_map(|binding| binding.wanted()).collect();
        if let Some(joining) = &self.joining {
            records.retain(|record| record.id() != joining.id);
            for record in records.iter_mut().filter(|record| joining.replaces.contains(&record.id())) {
                record.state = BindingState::Draining;
            }
            records.push(joining.record.clone());
            records.sort_by_key(BindingRecord::id);
        }
        Config { bindings: records, ..self.settings.clone() }
    }

    /// Starts the next change, if the disk is free.
    pub(super) fn follow(&mut self) {
        let is_free = match self.disk {
            Disk::Idle => true,
            Disk::Writing { .. } => false,
            Disk::Pausing { until } => self.port.now() >= until,
        };
        if is_free {
            self.disk = Disk::Idle;
            if self.start_next().is_err() {
                self.failed();
            }
        }
    }

    fn start_next(&mut self) -> Result<(), Reason> {
        if let Some(joining) = &self.joining
            && !self.keys.contains(&joining.file)
        {
            let (file, seed) = (joining.file.clone(), joining.identity.seed().clone());
            let contents = IdentityFile::new(seed).write()?;
            self.store(file.clone(), contents, Change::Identity(file));
            return Ok(());
        }
        let wanted = self.wanted();
        if wanted != self.durable {
            let contents = wanted.write()?;
            self.store(StateFile::Config, contents, Change::Config(Box::new(wanted)));
        } else if let Some(file) = self.orphan() {
            let number = self.begin(Change::Removal(file.clone()));
            self.port.push(Output::Effect(Effect::Remove(EffectId(number), file)));
        }
        Ok(())
    }

    /// A key that `config.json` does not name, once that is as it should be: then none is on its way into it either.
    fn orphan(&self) -> Option<StateFile> {
        let named: BTreeSet<_> = self.durable.bindings.iter().filter_map(BindingRecord::identity_file).collect();
        self.keys.difference(&named).next().cloned()
    }

    /// Whether a key is being written to that file.
    pub(super) fn is_writing_key(&self, file: &StateFile) -> bool {
        matches!(&self.disk, Disk::Writing { change: Change::Identity(written), .. } if written == file)
    }

    fn store(&mut self, file: StateFile, contents: SecretBytes, change: Change) {
        let number = self.begin(change);
        self.port.push(Output::Effect(Effect::Store(EffectId(number), file, contents)));
    }

    fn begin(&mut self, change: Change) -> u32 {
        self.asked = Unhashed(self.asked.0.wrapping_add(1));
        self.disk = Disk::Writing { number: self.asked, change };
        self.asked.0
    }

    pub(super) fn io_event(&mut self, event: IoEvent<EffectId>) {
        let (EffectId(number), event) = event.take_id();
        let durable = match (&self.disk, &event) {
            (Disk::Writing { number: asked, .. }, IoEvent::Stored(())) if asked.0 == number => true,
            (Disk::Writing { number: asked, .. }, IoEvent::NotStored(())) if asked.0 == number => false,
            _ => return self.ignore(),
        };
        let Disk::Writing { change, .. } = mem::replace(&mut self.disk, Disk::Idle) else { return };
        if durable {
            self.failures = 0;
            self.done(change);
        } else if self.is_of_adoption(&change) {
            self.refuse(Reason::StateNotWritten);
        } else {
            self.failed();
        }
    }

    fn done(&mut self, change: Change) {
        match change {
            Change::Identity(file) => drop(self.keys.insert(file)),
            Change::Removal(file) => drop(self.keys.remove(&file)),
            Change::Config(config) => {
                let before = mem::replace(&mut self.durable, *config);
                self.announce_saved(&before);
                if self.joining.as_ref().is_some_and(|joining| self.durable.bindings.contains(&joining.record)) {
                    self.complete_adoption();
                }
            }
        }
        self.announce_gone();
    }

    fn is_of_adoption(&self, change: &Change) -> bool {
        self.joining.as_ref().is_some_and(|joining| match change {
            Change::Identity(file) => *file == joining.file,
            Change::Config(config) => config.bindings.contains(&joining.record),
            Change::Removal(_) => false,
        })
    }

    fn failed(&mut self) {
        if self.failures == 0 {
            self.port.push(Output::Trouble(Reason::StateNotWritten));
        }
        self.failures = self.failures.saturating_add(1);
        self.disk = Disk::Pausing { until: self.port.now().after(BACKOFF.ceiling(self.failures)) };
    }

    /// Says of which bindings a newer credential is durable now than `before`.
    fn announce_saved(&mut self, before: &Config) {
        for old in &before.bindings {
            let is_renewed = |new: &BindingRecord| new.identity == old.identity && new.issue_token != old.issue_token;
            if self.durable.bindings.iter().any(is_renewed) {
                self.port.push(Output::Saved(old.id()));
            }
        }
    }

    /// Forgets the bindings of which nothing is on disk any more.
    fn announce_gone(&mut self) {
        let is_leaving = |(_, binding): &(&BindingId, &Binding)| matches!(binding.phase, Phase::Leaving);
        let is_gone = |(_, binding): &(&BindingId, &Binding)| {
            let is_listed = self.durable.bindings.iter().any(|record| record.identity == binding.record.identity);
            let has_key = binding.record.identity_file().is_some_and(|file| self.keys.contains(&file));
            !is_listed && !has_key
        };
        let gone: Vec<_> = self.iter().filter(is_leaving).filter(is_gone).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.by_id.remove(&id);
            self.port.push(Output::Gone(id));
        }
    }
}
