//! Taking over what a pairing brought.

use alloc::{boxed::Box, collections::BTreeSet, string::String};

use super::{Binding, Bindings, Output, Phase, state::Joining};
use crate::{
    BindingId, OrgId, Reason,
    api::PairingMode,
    crypto::Identity,
    device::{
        files::{Api, BindingRecord, MAX_BINDINGS, Unknown},
        pairing::Paired,
    },
    effect::StateFile,
};

impl Bindings {
    pub(super) fn adopt(&mut self, paired: Paired) {
        let org = paired.approval.workspace.id.clone();
        let id = BindingId { org, runtime_target: paired.approval.runtime_target_id.clone() };
        // The same approval again, after a restart: the binding is durable, only the pairing was not told (PAIR-9).
        if self.get(&id).and_then(Binding::identity).is_some_and(|identity| *identity.seed() == paired.seed) {
            return self.port.push(Output::Adopted(id));
        }
        if let Err(reason) = self.may_adopt(paired.mode, &id.org) {
            return self.port.push(Output::Refused(reason));
        }
        let replaces = self.replaced_by(&id, paired.mode);
        let file = self.free_file(&id.org);
        let identity = Identity::from_seed(paired.seed.clone());
        let record = self.record(paired, file.path());
        self.joining = Some(Joining { id, record, file, identity, replaces });
    }

    /// Nothing is overwritten by surprise, also when things changed since the code was minted (PAIR-10).
    fn may_adopt(&self, mode: PairingMode, org: &OrgId) -> Result<(), Reason> {
        let mut current = self.by_id.values().filter(|binding| binding.is_current()).peekable();
        if mode == PairingMode::New && current.peek().is_some() {
            let is_bound = current.any(|binding| binding.record.workspace_id == *org);
            return Err(if is_bound { Reason::OrgAlreadyBound } else { Reason::AlreadyPaired });
        }
        if self.by_id.len() >= MAX_BINDINGS {
            return Err(Reason::StateNotWritten);
        }
        Ok(())
    }

    /// All others with `--replace`; otherwise the one with the same org, which is refreshed (D1).
    fn replaced_by(&self, new: &BindingId, mode: PairingMode) -> BTreeSet<BindingId> {
        let is_replaced = |id: &&BindingId| **id != *new && (mode == PairingMode::Replace || id.org == new.org);
        self.by_id.keys().filter(is_replaced).cloned().collect()
    }

    /// The first name for a key of this org that neither the disk nor a record knows, and that nothing is being written under:
    /// an adoption that was given up may still be on its way.
    fn free_file(&self, org: &OrgId) -> StateFile {
        let is_named = |file: &StateFile| self.by_id.values().any(|binding| binding.record.identity == file.path());
        let mut number = 0;
        loop {
            let file = StateFile::Identity(org.clone(), number);
            if !self.keys.contains(&file) && !is_named(&file) && !self.is_writing_key(&file) {
                return file;
            }
            number = number.wrapping_add(1);
        }
    }

    fn record(&self, paired: Paired, identity: String) -> BindingRecord {
        let Paired { api_endpoint, generation, approval, .. } = paired;
        let is_default = api_endpoint == self.settings.api_endpoint().trim_end_matches('/');
        let api = Api { endpoint: Some(api_endpoint), unknown: Unknown::new() };
        BindingRecord { api: (!is_default).then_some(api), ..BindingRecord::new(approval, generation, identity) }
    }

    /// Gives the adoption up. What was written of it is cleared away as nothing names it.
    pub(super) fn refuse(&mut self, reason: Reason) {
        if self.joining.take().is_some() {
            self.port.push(Output::Refused(reason));
        }
    }

    /// The new binding is durable, and with it that others drain.
    pub(super) fn complete_adoption(&mut self) {
        let Some(Joining { id, record, identity, replaces, .. }) = self.joining.take() else { return };
        // A refresh may keep the runtime target: then it is the same binding with another key, and its sessions go on.
        let sessions = self.by_id.remove(&id).map(|old| old.sessions).unwrap_or_default();
        self.by_id.insert(id.clone(), Box::new(Binding { record, phase: Phase::Active(identity), sessions }));
        for replaced in &replaces {
            self.drain(replaced);
        }
        self.port.push(Output::Started(id.clone()));
        self.port.push(Output::Adopted(id));
        self.finish_draining();
    }
}
