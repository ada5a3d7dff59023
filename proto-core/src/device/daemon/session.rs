//! Sessions: where they are pinned to, which process makes their records, and when they are over.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    Daemon, EffectId, Event, Output, REMOVE_RETRY, RETURN_WITHIN, TaskId, Timer,
    running::Presence,
    state::{Start, Task},
};
use crate::{
    BindingId, Deadline, Entropy, Machine, Reason, SessionId,
    api::Workspace,
    crypto::{Cipher, seal::EpochSecret},
    device::{
        binding::{self, Phase},
        bridge::{self, MAX_SESSIONS, SourceId},
        consent::{self, Decision, Directory, Looked, Resolver},
        control::{Attach, Attached},
        files::{Document, SessionFile, Unknown, VERSION},
        spool,
    },
    effect::{Effect, StateFile},
    noise::Noise,
    wire::{Frame, Title},
};

impl<N: Noise> Daemon<N> {
    /// A process that makes records came.
    pub(super) fn attach(&mut self, source: SourceId, attach: Attach, entropy: &Entropy) {
        match attach {
            Attach::Start { directory, title } => self.begin(source, &directory, title, entropy),
            Attach::Again { session } => self.again(source, session),
        }
    }

    fn begin(&mut self, source: SourceId, directory: &str, title: Title, entropy: &Entropy) {
        if self.bindings.workspaces().is_empty() {
            return self.local_only(source, None);
        }
        let Ok(directory) = Directory::parse(directory) else {
            return self.local_only(source, Some(Reason::DirectoryMissing));
        };
        let start = Start { session: SessionId::generate(entropy), secret: EpochSecret::generate(entropy), title };
        let resolver = Resolver::new(directory, &self.ledger.grants);
        self.tasks.insert(TaskId::Source(source), Task::Resolving { resolver, start });
        self.look_on(TaskId::Source(source));
    }

    /// The daemon was restarted, or the connection broke: the pin is as it was (S113).
    fn again(&mut self, source: SourceId, session: SessionId) {
        let Some((pin, org)) = self.may_return(session) else {
            return self.local_only(source, Some(Reason::SessionCut));
        };
        let was = self.sessions.set(session, Presence::Here(source));
        let Some(file) = self.sessions.get(session).map(|running| running.file.clone()) else { return };
        if was == Some(Presence::Delivered) {
            self.drive_bindings(binding::Input::SessionStarted { binding: pin, session });
        }
        self.stream(source, &file, org);
    }

    /// Where a session is pinned to, if it may go on there. One that is over does not hold up a binding that drains; one that the
    /// daemon ended, or is about to end, does not go on: what its maker would add comes behind that end.
    fn may_return(&self, session: SessionId) -> Option<(BindingId, Workspace)> {
        let running = self.sessions.get(session)?;
        let pin = running.pin();
        let binding = self.bindings.get(&pin)?;
        let may = match (binding.phase(), running.presence()) {
            (Phase::Broken(_) | Phase::Leaving, _)
            | (_, Presence::Closing | Presence::Abandoned)
            | (Phase::Draining(_), Presence::Delivered) => false,
            (Phase::Active(_), Presence::Delivered) | (_, Presence::Here(_) | Presence::Away { .. }) => !self.is_closed(session),
        };
        let org = binding.workspace();
        may.then_some((pin, org))
    }

    /// What is in a directory is known: the resolver goes on.
    pub(super) fn looked(&mut self, task_id: TaskId, looked: Looked) {
        match self.tasks.get_mut(&task_id) {
            Some(Task::Resolving { resolver, .. } | Task::Looking { resolver, .. }) => {
                self.port.feed(resolver, looked);
                self.look_on(task_id);
            }
            _ => self.stats.0.stale_answers += 1,
        }
    }

    /// Asks for what a resolver wants to know, or takes what it came to.
    pub(super) fn look_on(&mut self, task_id: TaskId) {
        let Some(Task::Resolving { resolver, .. } | Task::Looking { resolver, .. }) = self.tasks.get_mut(&task_id) else {
            return;
        };
        match resolver.poll_output() {
            Some(consent::Output::Look(directory)) => self.port.push(Output::Look(task_id, directory)),
            Some(consent::Output::Resolved(place)) => match (task_id, self.tasks.remove(&task_id)) {
                (TaskId::Source(source), Some(Task::Resolving { start, .. })) => self.resolved(source, start, place.decision),
                (TaskId::Request(id), Some(Task::Looking { bind, .. })) => self.plan(id, &place, &bind),
                _ => {}
            },
            None => {}
        }
    }

    /// It is decided to which organization a session streams: once, for its whole life (S112).
    fn resolved(&mut self, source: SourceId, start: Start, decision: Decision) {
        let org = match decision {
            Decision::Stream { org, .. } => org,
            Decision::LocalOnly { why } => return self.local_only(source, why),
        };
        let Some((pin, binding)) = self.bindings.active(&org) else {
            return self.local_only(source, Some(Reason::OrgUnknown));
        };
        let (pin, org) = (pin.clone(), binding.workspace());
        if !self.make_room(&pin) {
            return self.local_only(source, Some(Reason::StateNotWritten));
        }
        let file = SessionFile {
            version: VERSION,
            session: start.session,
            workspace_id: pin.org,
            runtime_target_id: pin.runtime_target,
            cipher: Cipher::choose(self.settings.aes_in_hardware) as u8,
            secret: start.secret.secret().clone(),
            started: self.clock.unix_at(self.port.now()),
            title: start.title,
            unknown: Unknown::new(),
        };
        match file.write() {
            Ok(contents) => {
                let effect = Effect::Store(EffectId::Pin(source), StateFile::Session(file.session), contents);
                self.port.push(Output::Effect(effect));
                self.tasks.insert(TaskId::Source(source), Task::Pinning { file, org });
            }
            Err(reason) => self.local_only(source, Some(reason)),
        }
    }

    /// The pin is durable, or could not be made so: nothing streams that a restart would not know.
    pub(super) fn pinned(&mut self, source: SourceId, is_durable: bool) {
        let Some(Task::Pinning { file, org }) = self.tasks.remove(&TaskId::Source(source)) else {
            self.stats.0.stale_answers += 1;
            return;
        };
        if !is_durable {
            return self.local_only(source, Some(Reason::StateNotWritten));
        }
        let (pin, session) = (file.pin(), file.session);
        let is_active = self.bindings.active(&pin.org).is_some_and(|(id, _)| *id == pin);
        if !is_active {
            self.unpin(session);
            return self.local_only(source, Some(Reason::SessionCut));
        }
        // Others may have been pinned while the disk was at work.
        if !self.make_room(&pin) {
            self.unpin(session);
            return self.local_only(source, Some(Reason::StateNotWritten));
        }
        self.drive_bindings(binding::Input::SessionStarted { binding: pin.clone(), session });
        self.log(Event::SessionStarted(session, pin.clone()));
        self.register_session(&file);
        self.sessions.insert(file.clone(), Presence::Here(source));
        self.stream(source, &file, org);
    }

    fn stream(&mut self, source: SourceId, file: &SessionFile, org: Workspace) {
        let SessionFile { session, cipher, ref secret, .. } = *file;
        self.attach_spool(source, file);
        let attached = Attached::Streaming { session, org, secret: secret.clone(), cipher };
        self.port.push(Output::Attached(source, attached));
    }

    fn local_only(&mut self, source: SourceId, reason: Option<Reason>) {
        self.port.push(Output::Attached(source, Attached::LocalOnly { reason }));
    }

    pub(super) fn source_said(&mut self, source: SourceId, frame: Frame) {
        let session = frame.head.session().and_then(|session| self.sessions.get(session));
        match session.filter(|running| running.presence() == Presence::Here(source)) {
            Some(running) => self.feed_spool(running.file.session, frame),
            None => self.stats.0.unattached += 1,
        }
    }

    /// A process that makes records went: for good, or it comes back soon.
    pub(super) fn detach(&mut self, source: SourceId) {
        if let Some(Task::Pinning { file, .. }) = self.tasks.remove(&TaskId::Source(source)) {
            self.unpin(file.session);
        }
        let until = self.port.now().after(RETURN_WITHIN);
        let its = self.sessions.iter().filter(|(_, running)| running.presence() == Presence::Here(source));
        let its: Vec<_> = its.map(|(session, running)| (session, running.pin())).collect();
        for (session, pin) in its {
            self.sessions.set(session, Presence::Away { until });
            self.drive_bridge(&pin, bridge::Input::Detach(source));
            self.drive_spool(session, spool::Input::Left);
        }
    }

    /// The relay has all of a session.
    pub(super) fn session_over(&mut self, session: SessionId) {
        let Some(running) = self.sessions.get(session).filter(|running| !running.is_over()) else { return };
        let (binding, was) = (running.pin(), running.presence());
        self.sessions.set(session, if was == Presence::Closing { Presence::Abandoned } else { Presence::Delivered });
        self.drop_spool(session);
        self.log(Event::SessionEnded(session, binding.clone()));
        self.drive_bindings(binding::Input::SessionEnded { binding, session });
    }

    /// When the next session whose maker is away is given up.
    pub(super) fn next_abandonment(&self) -> Option<Deadline<Timer>> {
        self.sessions.next_abandonment().map(|at| Deadline::new(at, Timer::SessionAbandoned))
    }

    pub(super) fn close_abandoned_sessions(&mut self) {
        for session in self.sessions.overdue(self.port.now()) {
            if self.spools.get(&session).is_some() {
                self.sessions.set(session, Presence::Closing);
                self.drive_spool(session, spool::Input::Close);
            } else {
                self.session_over(session);
            }
        }
    }

    /// The binding ends: its sessions stream no more, and their keys go (S118, S129).
    pub(super) fn cut_sessions(&mut self, id: &BindingId, reason: Reason) {
        let cut: Vec<_> =
            self.sessions.iter().filter(|(_, running)| running.is_pinned_to(id)).map(|(session, _)| session).collect();
        for session in cut {
            self.tell_cut(session, reason);
            self.forget(session);
        }
    }

    /// Room for one more session of a binding: at the limit the oldest one that is over is forgotten, and its key with it. False
    /// when all of them still run.
    fn make_room(&mut self, id: &BindingId) -> bool {
        let its = || self.sessions.iter().filter(|(_, running)| running.is_pinned_to(id));
        if its().count() < MAX_SESSIONS {
            return true;
        }
        let over = its().filter(|(_, running)| running.is_over());
        let Some(oldest) = over.min_by_key(|(_, running)| running.file.started).map(|(session, _)| session) else {
            return false;
        };
        self.drive_bridge(id, bridge::Input::Forget(oldest));
        self.forget(oldest);
        true
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        // The key goes first: what it opens is nothing without it, and a start erases what is left.
        self.sessions.remove(session);
        self.unpin(session);
        self.drop_spool(session);
    }

    fn unpin(&mut self, session: SessionId) {
        self.port.push(Output::Effect(Effect::Remove(EffectId::Unpin(session), StateFile::Session(session))));
    }

    /// A file of a session is removed, or the disk would not: then it is tried again, so that nothing of a session outlives its
    /// binding (BIND-5).
    pub(super) fn removed(&mut self, file: StateFile, is_durable: bool) {
        if !is_durable {
            let again = self.port.now().after(REMOVE_RETRY);
            self.unremoved.get_or_insert((again, BTreeSet::new())).1.insert(file);
        }
    }

    pub(super) fn next_removal(&self) -> Option<Deadline<Timer>> {
        self.unremoved.as_ref().map(|(at, _)| Deadline::new(*at, Timer::Remove))
    }

    pub(super) fn remove_again(&mut self) {
        let now = self.port.now();
        let due = self.unremoved.take_if(|(at, _)| *at <= now);
        for file in due.into_iter().flat_map(|(_, files)| files) {
            match file {
                StateFile::Session(session) => self.unpin(session),
                // A session that goes on may have put something there again.
                StateFile::Spool(session) if self.spools.get(&session).is_none() => self.erase(session),
                _ => {}
            }
        }
    }
}
