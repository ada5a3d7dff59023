//! Requests of `vpd` commands.

use alloc::{string::ToString, vec::Vec};

use super::{Answer, Bind, Daemon, Output, Request, RequestId, TaskId, state::Task};
use crate::{
    Entropy, Reason,
    api::Workspace,
    device::{
        binding, bridge,
        consent::{self, Directory, DirectoryFacts, Plan, Resolver},
        control::{PairRequest, Unbound, UnpairRequest, Unpaired},
        pairing::{self, Pairing, is_known_elsewhere, machine_name},
    },
    id::DeviceKind,
    noise::Noise,
};

impl<N: Noise> Daemon<N> {
    pub(super) fn request(&mut self, id: RequestId, request: Request) {
        let done = match request {
            Request::Pair(request, entropy) => self.pair(request, &entropy),
            Request::CancelPairing => return self.cancel_pairing(id),
            Request::Reconnect => {
                self.retry_now();
                Ok(())
            }
            Request::Unpair(request) => return self.unpair(id, &request),
            Request::Bind(bind) => return self.bind(id, bind),
            Request::Unbind(directory) => return self.unbind(id, &directory),
        };
        self.answer(id, done.map(|()| Answer::Done));
    }

    pub(super) fn answer(&mut self, id: RequestId, answer: Result<Answer, Reason>) {
        self.port.push(Output::Answer(id, answer));
    }

    fn pair(&mut self, request: PairRequest, entropy: &Entropy) -> Result<(), Reason> {
        if self.pairing.is_some() {
            return Err(Reason::PairingInProgress);
        }
        let bound = self.bindings.workspaces();
        let mode = pairing::decide_mode(request.mode, request.org.as_deref(), &bound)?;
        let host = (!is_known_elsewhere(request.org.as_deref(), &bound)).then_some(&*self.settings.host);
        let name = machine_name(request.name.as_deref(), self.bindings.settings().machine.as_deref(), host, entropy);
        let settings = pairing::Settings {
            api_endpoint: self.pairing_endpoint().into(),
            kind: DeviceKind::Daemon,
            mode,
            org: request.org,
            name,
            software: self.uplinks.software.clone(),
        };
        self.begin_pairing(Pairing::start(self.port.now(), self.clock, settings, entropy));
        Ok(())
    }

    /// Answered when the pairing has ended, so that the next one can begin.
    fn cancel_pairing(&mut self, id: RequestId) {
        self.tasks.insert(TaskId::Request(id), Task::Cancelling);
        self.drive_pairing(pairing::Input::Cancel);
    }

    /// There is no pairing any more: the clients that cancelled it are told.
    pub(super) fn answer_cancelled(&mut self) {
        if self.pairing.is_none() {
            let cancelling = self.tasks.iter().filter_map(|(task_id, task)| match (task_id, task) {
                (TaskId::Request(id), Task::Cancelling) => Some(*id),
                _ => None,
            });
            for id in cancelling.collect::<Vec<_>>() {
                self.tasks.remove(&TaskId::Request(id));
                self.answer(id, Ok(Answer::Done));
            }
        }
    }

    fn retry_now(&mut self) {
        let ids: Vec<_> = self.bridges.keys().cloned().collect();
        for id in ids {
            self.drive_bridge(&id, bridge::Input::RetryNow);
        }
    }

    fn unpair(&mut self, id: RequestId, request: &UnpairRequest) {
        match Workspace::pick(request.org.as_deref(), &self.paired()).cloned() {
            Ok(org) => {
                self.drive_bindings(binding::Input::Unpair(org.id.clone()));
                self.tasks.insert(TaskId::Request(id), Task::Unpairing { org });
            }
            Err(reason) => self.answer(id, Err(reason)),
        }
    }

    /// Every org that this daemon has a binding with, draining ones too.
    fn paired(&self) -> Vec<Workspace> {
        let mut orgs: Vec<_> = self.bindings.iter().map(|(_, binding)| binding.workspace()).collect();
        orgs.dedup_by(|a, b| a.id == b.id);
        orgs
    }

    /// `vpd unpair` is answered when nothing of the org's bindings is left.
    pub(super) fn answer_unpaired(&mut self) {
        let is_gone = |org: &Workspace| !self.bindings.iter().any(|(id, _)| id.org == org.id);
        let done: Vec<_> = self
            .tasks
            .iter()
            .filter_map(|(task_id, task)| match (task_id, task) {
                (TaskId::Request(id), Task::Unpairing { org }) if is_gone(org) => Some((*id, org.clone())),
                _ => None,
            })
            .collect();
        for (id, org) in done {
            self.tasks.remove(&TaskId::Request(id));
            self.answer(id, Ok(Answer::Unpaired(Unpaired { org })));
        }
    }

    fn bind(&mut self, id: RequestId, bind: Bind) {
        if self.bindings.workspaces().is_empty() {
            return self.answer(id, Err(Reason::NotPaired));
        }
        let resolver = Resolver::new(bind.directory.clone(), &self.ledger.grants);
        self.tasks.insert(TaskId::Request(id), Task::Looking { resolver, bind });
        self.look_on(TaskId::Request(id));
    }

    /// `vpd bind`: what is in the directory is known.
    pub(super) fn plan(&mut self, id: RequestId, place: &DirectoryFacts, bind: &Bind) {
        match self.planned(place, bind) {
            Ok((org, mut plan)) => {
                self.port.push(Output::Change(TaskId::Request(id), core::mem::take(&mut plan.files)));
                let task = Task::WritingBindFiles { plan, directory: place.directory.clone(), org };
                self.tasks.insert(TaskId::Request(id), task);
            }
            Err(reason) => self.answer(id, Err(reason)),
        }
    }

    fn planned(&self, place: &DirectoryFacts, bind: &Bind) -> Result<(Workspace, Plan), Reason> {
        let bound = self.bindings.workspaces();
        let org = place.org(bind.org.as_deref(), &bound)?;
        if !bind.confirmed {
            place.check_bind(&org.id, &self.ledger.grants)?;
        }
        let plan = place.bind(&org.id, bind.recursive, self.clock.unix_at(self.port.now()))?;
        Ok((org.clone(), plan))
    }

    fn unbind(&mut self, id: RequestId, directory: &Directory) {
        match consent::unbind(directory, &mut self.ledger.grants.clone()) {
            Ok(files) => self.change_ledger(id, Task::RevokingGrant { directory: directory.clone(), files }),
            Err(reason) => self.answer(id, Err(reason)),
        }
    }

    /// Files of a directory were changed, or could not be.
    pub(super) fn changed(&mut self, task_id: TaskId, result: Result<(), Reason>) {
        let (TaskId::Request(id), Some(task)) = (task_id, self.tasks.remove(&task_id)) else {
            self.stats.0.stale_answers += 1;
            return;
        };
        match (task, result) {
            (Task::WritingBindFiles { plan, directory, org }, Ok(())) => {
                self.change_ledger(id, Task::Granting { plan, directory, org });
            }
            (Task::WritingBindFiles { .. }, Err(reason)) => self.answer(id, Err(reason)),
            // The grant is gone already: what is left of the file is ignored.
            (Task::RemovingFile { directory }, _) => {
                self.answer(id, Ok(Answer::Unbound(Unbound { directory: directory.to_string() })));
            }
            (other, _) => {
                self.stats.0.stale_answers += 1;
                self.tasks.insert(task_id, other);
            }
        }
    }
}
