//! How near a watcher is to its goal: which sessions there are, which of them is meant, and how much of each was shown.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::{mem, time::Duration};

use super::{
    Goal, Timer,
    choice::{Candidate, Choice, Entry, Wanted, in_order, started},
};
use crate::{
    Deadline, Instant, Reason, SessionId,
    api::NamedMachine,
    device::viewer::{About, MAX_SESSIONS},
    id::PlatformId,
    wire::{Content, Record, Standing, Title},
};

/// Once the relay has named no further session for so long, it has named all that it has.
pub const LIST_QUIET_TIME: Duration = Duration::from_millis(500);

/// So long after that last name a list waits for what runs in each of them.
pub const TITLE_TIMEOUT: Duration = Duration::from_secs(3);

/// What is known of the sessions, and what is wanted of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionSelection {
    stage: Stage,
    wanted: Wanted,
    /// The session that this device is a part of.
    surrounding: Option<SessionId>,
    sessions: BTreeMap<SessionId, Known>,
    /// The machines by the ids that the relay knows; `None` until the platform has named them.
    machines: Option<BTreeMap<PlatformId, NamedMachine>>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Which sessions there are is open. `news`: when the relay last named one, or came; `None` while it is away.
    Looking { goal: Goal, news: Option<Instant> },
    /// This one is shown to its end.
    Showing(SessionId),
    /// Those are shown that are asked for.
    Open,
}

/// A session that the relay named, or a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Known {
    /// Whether the relay named it.
    is_listed: bool,
    about: About,
    /// Why it cannot be read.
    obstacle: Option<Reason>,
    title: Option<Box<Title>>,
    /// `None` while its records are not wanted.
    reading: Option<Reading>,
}

/// How many of its records were shown, and how many of these the viewer that reads now is still going to bring again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Reading {
    shown: u64,
    repeats: u64,
}

/// What the sessions come to once the relay has named all that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// This one is the only one: watch it.
    Watch(SessionId),
    /// These are there.
    Sessions(Vec<Entry>),
    /// The one that was asked for is not among them.
    Missing(Reason),
}

impl SessionSelection {
    pub(super) fn new(goal: Goal, wanted: Wanted, surrounding: Option<SessionId>) -> Self {
        let stage = if matches!(goal, Goal::Chosen | Goal::Leave) { Stage::Open } else { Stage::Looking { goal, news: None } };
        let mut selection = Self { stage, wanted, surrounding, sessions: BTreeMap::new(), machines: None };
        if let Goal::This(session) = goal {
            selection.want(session);
        }
        selection
    }

    /// The sessions that a viewer which begins now has to watch. It brings their records from the first one on, and those that
    /// were shown are not shown again.
    pub(super) fn begin(&mut self) -> Vec<SessionId> {
        self.down();
        let wanted = self.sessions.iter_mut().filter_map(|(session, known)| Some((*session, known.reading.as_mut()?)));
        wanted
            .map(|(session, reading)| {
                reading.repeats = reading.shown;
                session
            })
            .collect()
    }

    /// A person names a session. Whether a viewer is to watch it.
    pub(super) fn choose(&mut self, session: SessionId) -> bool {
        self.stage == Stage::Open && self.surrounding != Some(session) && self.want(session)
    }

    /// The relay is there, and names its sessions now.
    pub(super) const fn up(&mut self, now: Instant) {
        if let Stage::Looking { news, .. } = &mut self.stage {
            *news = Some(now);
        }
    }

    /// It is away.
    pub(super) const fn down(&mut self) {
        if let Stage::Looking { news, .. } = &mut self.stage {
            *news = None;
        }
    }

    /// Whether the first session that comes will be shown.
    pub(super) fn waits_for_session(&self) -> bool {
        matches!(self.stage, Stage::Looking { goal: Goal::TheOnly, .. }) && self.sessions.is_empty() && self.wanted.is_anything()
    }

    /// The platform names the machines.
    pub(super) fn named(&mut self, machines: Vec<NamedMachine>) {
        self.machines = Some(machines.into_iter().map(|machine| (machine.runtime_target_id.clone(), machine)).collect());
    }

    /// The relay names a session: whether that is news, and which sessions a viewer is to watch now.
    pub(super) fn listed(&mut self, session: SessionId, about: About, now: Instant) -> (bool, Vec<SessionId>) {
        let is_shown_nowhere =
            self.surrounding == Some(session) && !matches!(self.stage, Stage::Looking { goal: Goal::List, .. });
        if is_shown_nowhere || !self.has_room_for(session) {
            return (false, Vec::new());
        }
        let known = self.sessions.entry(session).or_default();
        known.about = about;
        let is_news = !mem::replace(&mut known.is_listed, true);
        self.up(now);
        if matches!(self.stage, Stage::Looking { goal: Goal::This(wanted), .. } if wanted == session) {
            self.stage = Stage::Showing(session);
        }
        // A list says what runs in each, which its first record tells.
        let unread: Vec<_> = self.shown().filter(|(_, known)| known.reading.is_none()).map(|(id, _)| id).collect();
        (is_news, unread.into_iter().filter(|session| self.want(*session)).collect())
    }

    /// Whether no more of a session than its title is wanted, and that was read.
    pub(super) fn has_enough_of(&self, session: SessionId) -> bool {
        let is_titled = self.sessions.get(&session).is_some_and(|known| known.title.is_some());
        is_titled && matches!(self.stage, Stage::Looking { goal: Goal::List | Goal::TheOnly, .. })
    }

    /// A session cannot be read.
    pub(super) fn failed(&mut self, session: SessionId, reason: Reason) {
        if let Some(known) = self.sessions.get_mut(&session) {
            known.obstacle = Some(reason);
        }
    }

    /// A record came. Whether it is to be shown.
    pub(super) fn record(&mut self, session: SessionId, record: &Record) -> bool {
        let Some(known) = self.sessions.get_mut(&session) else { return false };
        if let Content::Title(title) = &record.content {
            known.title = Some(Box::new(title.clone()));
        }
        let Some(reading) = known.reading.as_mut() else { return false };
        if let Some(left) = reading.repeats.checked_sub(1) {
            reading.repeats = left;
            return false;
        }
        let is_shown = self.stage == Stage::Open || self.stage == Stage::Showing(session);
        reading.shown = reading.shown.saturating_add(is_shown.into());
        is_shown
    }

    /// Whether the end of this session, or that it cannot be shown, concerns the person; and whether nothing is left to see then.
    pub(super) fn concerns(&self, session: SessionId) -> Option<bool> {
        match self.stage {
            Stage::Open => Some(false),
            Stage::Showing(shown) if shown == session => Some(true),
            _ => None,
        }
    }

    /// When to go by the sessions that were named, where that is still open.
    pub(super) fn deadline(&self) -> Option<Deadline<Timer>> {
        let Stage::Looking { goal, news: Some(news) } = self.stage else { return None };
        let wants_titles = self.shown().any(|(_, known)| known.title.is_none() && known.obstacle.is_none());
        let names_count = self.wanted.machine.is_some() && goal == Goal::TheOnly || self.shown().next().is_some();
        let wants_names = self.machines.is_none() && names_count && !self.sessions.is_empty();
        let patience = if wants_titles || wants_names { TITLE_TIMEOUT } else { LIST_QUIET_TIME };
        (!self.waits_for_session()).then(|| Deadline::new(news.after(patience), Timer::Listed))
    }

    /// What to do when that moment has come.
    pub(super) fn settle(&mut self) -> Option<Settled> {
        let Stage::Looking { goal, .. } = self.stage else { return None };
        Some(match (goal, self.choice()) {
            (Goal::This(_), _) | (Goal::TheOnly, Choice::Nothing) => Settled::Missing(Reason::SessionUnknown),
            (Goal::TheOnly, Choice::This(one)) => {
                self.want(one);
                self.stage = Stage::Showing(one);
                Settled::Watch(one)
            }
            (Goal::TheOnly, Choice::Several { .. }) => Settled::Sessions(self.wanted.left(self.entries())),
            _ => Settled::Sessions(in_order(self.entries())),
        })
    }

    fn entries(&self) -> Vec<Entry> {
        self.sessions.iter().map(|(session, known)| self.entry(*session, known)).collect()
    }

    /// Which of the sessions is meant, as it stands.
    fn choice(&self) -> Choice {
        self.wanted.pick(self.sessions.iter().map(|(session, known)| self.candidate(*session, known)))
    }

    /// The sessions that are going to be listed, as it stands.
    fn shown(&self) -> impl Iterator<Item = (SessionId, &Known)> {
        let (is_list, choice) = match self.stage {
            Stage::Looking { goal: Goal::List, .. } => (true, Choice::Nothing),
            Stage::Looking { goal: Goal::TheOnly, .. } => (false, self.choice()),
            _ => (false, Choice::Nothing),
        };
        let is_choice = matches!(choice, Choice::Several { .. });
        let sessions = self.sessions.iter().map(|(session, known)| (*session, known));
        sessions
            .filter(move |(session, known)| is_list || is_choice && self.wanted.is_left(choice, self.candidate(*session, known)))
    }

    fn candidate<'a>(&'a self, session: SessionId, known: &'a Known) -> Candidate<'a> {
        Candidate {
            session,
            is_live: known.about.listing.standing == Standing::Live,
            started: started(known.title.as_deref(), &known.about.listing),
            machine: self.machine(known).map(|machine| &*machine.name),
        }
    }

    fn machine(&self, known: &Known) -> Option<&NamedMachine> {
        self.machines.as_ref()?.get(known.about.machine.as_ref()?)
    }

    fn entry(&self, session: SessionId, known: &Known) -> Entry {
        let Known { about, title, obstacle, .. } = known;
        let (machine, title) = (self.machine(known).cloned(), title.clone());
        Entry { session, listing: about.listing, machine, title, obstacle: *obstacle }
    }

    /// Wants a session's records from now on. False when there are too many to keep in mind.
    fn want(&mut self, session: SessionId) -> bool {
        let has_room = self.has_room_for(session);
        if has_room {
            self.sessions.entry(session).or_default().reading.get_or_insert_default();
        }
        has_room
    }

    fn has_room_for(&self, session: SessionId) -> bool {
        self.sessions.len() < MAX_SESSIONS || self.sessions.contains_key(&session)
    }
}
