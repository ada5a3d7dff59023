//! The ledger of grants: changed one at a time, each change made to what the last one left, so that none undoes another.

use alloc::{collections::VecDeque, string::ToString};

use super::{Answer, Daemon, EffectId, Output, RequestId, TaskId, state::Task};
use crate::{
    Reason,
    device::{
        consent,
        control::Bound,
        files::{Document, Grants},
    },
    effect::{Effect, StateFile},
    noise::Noise,
    secret::SecretBytes,
};

/// The ledger and its changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    /// What counts: as it is on disk.
    pub(super) grants: Grants,
    /// The change that is being written.
    writing: Option<(RequestId, Grants)>,
    /// Those after it; each is in the tasks.
    waiting: VecDeque<RequestId>,
}

impl Ledger {
    pub(super) const fn new(grants: Grants) -> Self {
        Self { grants, writing: None, waiting: VecDeque::new() }
    }
}

impl<N: Noise> Daemon<N> {
    /// A grant is to be entered or struck out, after those that came before.
    pub(super) fn change_ledger(&mut self, id: RequestId, task: Task) {
        self.tasks.insert(TaskId::Request(id), task);
        self.ledger.waiting.push_back(id);
        self.write_ledger();
    }

    fn write_ledger(&mut self) {
        while self.ledger.writing.is_none()
            && let Some(id) = self.ledger.waiting.pop_front()
        {
            match self.changed_ledger(id) {
                Ok((ledger, contents)) => {
                    self.ledger.writing = Some((id, ledger));
                    self.port.push(Output::Effect(Effect::Store(EffectId::Ledger(id), StateFile::Grants, contents)));
                }
                Err(reason) => {
                    self.tasks.remove(&TaskId::Request(id));
                    self.answer(id, Err(reason));
                }
            }
        }
    }

    fn changed_ledger(&self, id: RequestId) -> Result<(Grants, SecretBytes), Reason> {
        let mut ledger = self.ledger.grants.clone();
        match self.tasks.get(&TaskId::Request(id)) {
            Some(Task::Granting { plan, .. }) => plan.clone().enter(&mut ledger)?,
            Some(Task::RevokingGrant { directory, .. }) => drop(consent::unbind(directory, &mut ledger)?),
            _ => return Err(Reason::StateNotWritten),
        }
        let contents = ledger.write()?;
        Ok((ledger, contents))
    }

    /// The ledger is durable, or is as it was.
    pub(super) fn ledger_written(&mut self, id: RequestId, is_durable: bool) {
        let Some((_, grants)) = self.ledger.writing.take_if(|(writing, _)| *writing == id) else {
            self.stats.0.stale_answers += 1;
            return;
        };
        if is_durable {
            self.ledger.grants = grants;
            self.granted(id);
        } else {
            self.tasks.remove(&TaskId::Request(id));
            self.answer(id, Err(Reason::StateNotWritten));
        }
        self.write_ledger();
    }

    fn granted(&mut self, id: RequestId) {
        let task_id = TaskId::Request(id);
        match self.tasks.remove(&task_id) {
            Some(Task::Granting { directory, org, .. }) => {
                self.answer(id, Ok(Answer::Bound(Bound { directory: directory.to_string(), org })));
            }
            Some(Task::RevokingGrant { directory, files }) => {
                self.port.push(Output::Change(task_id, files));
                self.tasks.insert(task_id, Task::RemovingFile { directory });
            }
            _ => {}
        }
    }
}
