//! Which of the sessions a person means: the order in which they are shown, names that are cut short, and what is left to choose.
//!
//! Nothing in here has a state: what decides is what is known of the sessions at one moment.

use alloc::{boxed::Box, string::String, string::ToString, vec::Vec};
use core::{cmp::Reverse, str::FromStr};

use crate::{
    Reason, SessionId, UnixTime,
    api::NamedMachine,
    wire::{Listing, Standing, Title},
};

/// How many characters a session id has.
const ID_LEN: usize = 26;
/// The fewest characters of an id that are shown: so few stay unambiguous for a while as further sessions come.
const SHORTEST: usize = 6;

/// A session as people are shown it before they watch it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which.
    pub session: SessionId,
    /// What the relay says of it.
    pub listing: Listing,
    /// The machine that runs it, where the platform knows its name.
    pub machine: Option<NamedMachine>,
    /// What runs in it, where its first record was read.
    pub title: Option<Box<Title>>,
    /// Why it cannot be read on this device.
    pub obstacle: Option<Reason>,
}

impl Entry {
    /// Whether its machine is connected and goes on with it.
    pub fn is_live(&self) -> bool {
        self.listing.standing == Standing::Live
    }

    /// When it began: by its own record where that was read, else by the relay.
    pub fn started(&self) -> Option<UnixTime> {
        started(self.title.as_deref(), &self.listing)
    }

    /// When it ended, if it has.
    pub fn ended(&self) -> Option<UnixTime> {
        let has_ended = matches!(self.listing.standing, Standing::Exited | Standing::Cut);
        has_ended.then_some(self.listing.active).filter(|at| at.0 > 0)
    }

    /// How long it took, or takes until now, in seconds. Of one whose machine is away that is not known.
    pub fn lasted(&self, now: UnixTime) -> Option<u64> {
        let until = if self.is_live() { Some(now) } else { self.ended() };
        Some(until?.since(self.started()?))
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            session: self.session,
            is_live: self.is_live(),
            started: self.started(),
            machine: self.machine.as_ref().map(|machine| &*machine.name),
        }
    }
}

/// When a session began, as far as it is known.
pub(super) fn started(title: Option<&Title>, listing: &Listing) -> Option<UnixTime> {
    let own = title.map(|title| UnixTime(title.started));
    own.or(Some(listing.began)).filter(|at| at.0 > 0)
}

/// The order in which people are shown sessions: those that are live first, then the newest first.
pub fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_cached_key(|entry| (!entry.is_live(), Reverse(entry.started()), entry.session));
    entries
}

/// So many characters of each id tell all of these sessions apart.
pub fn telling_length(entries: &[Entry]) -> usize {
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.session.to_string()).collect();
    ids.sort_unstable();
    let pairs = ids.iter().zip(ids.iter().skip(1));
    let common = |(a, b): (&String, &String)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    pairs.map(common).max().map_or(SHORTEST, |same| same.saturating_add(1).clamp(SHORTEST, ID_LEN))
}

/// The beginning of session ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id of this session begins so.
    pub fn fits(&self, session: SessionId) -> bool {
        session.to_string().starts_with(&self.0)
    }
}

/// Why a text is not the beginning of a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id, or the beginning of one, is up to 26 characters of a-z 2-7")]
pub struct InvalidPrefix;

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let text = text.to_ascii_lowercase();
        let is_one = (1..=ID_LEN).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        is_one.then_some(Self(text)).ok_or(InvalidPrefix)
    }
}

/// What a person says of the session that is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// How its id begins.
    pub prefix: Option<Prefix>,
    /// The name of its machine, whatever the case of its letters.
    pub machine: Option<String>,
    /// Which of those.
    pub which: Which,
}

/// Which of the sessions that fit otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// The only one; where nothing else is said of it, the only live one if there is one.
    #[default]
    Only,
    /// The only live one.
    Live,
    /// The one that started last.
    Latest,
}

/// A session, as far as it matters for what is meant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) session: SessionId,
    pub(super) is_live: bool,
    pub(super) started: Option<UnixTime>,
    pub(super) machine: Option<&'a str>,
}

/// What a person means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    This(SessionId),
    /// Several fit: those that are live, where only live ones are meant, else all that fit.
    Several {
        /// Whether only those that are live are left to choose from.
        live: bool,
    },
    /// None fits.
    Nothing,
}

impl Wanted {
    /// Whether nothing at all is said: then a first session is worth waiting for.
    pub fn is_anything(&self) -> bool {
        *self == Self::default()
    }

    /// Which of these sessions is meant.
    pub fn choose(&self, entries: &[Entry]) -> Choice {
        self.pick(entries.iter().map(Entry::candidate))
    }

    /// Of these sessions, those that are left to choose from.
    pub fn left(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let choice = self.choose(&entries);
        in_order(entries.into_iter().filter(|entry| self.is_left(choice, entry.candidate())).collect())
    }

    pub(super) fn pick<'a>(&self, candidates: impl Iterator<Item = Candidate<'a>>) -> Choice {
        let (mut all, mut live, mut latest) = (Matches::default(), Matches::default(), None);
        for candidate in candidates.filter(|candidate| self.fits(*candidate)) {
            all.add(candidate.session);
            if candidate.is_live {
                live.add(candidate.session);
            }
            latest = latest.max(Some((candidate.started, Reverse(candidate.session))));
        }
        match self.which {
            Which::Latest => latest.map_or(Choice::Nothing, |(_, Reverse(session))| Choice::This(session)),
            Which::Live => live.choice(true),
            Which::Only if self.prefix.is_none() && live.count > 0 => live.choice(true),
            Which::Only => all.choice(false),
        }
    }

    /// Whether this session is left where that is the choice.
    pub(super) fn is_left(&self, choice: Choice, candidate: Candidate<'_>) -> bool {
        match choice {
            Choice::This(session) => session == candidate.session,
            Choice::Several { live } => self.fits(candidate) && (candidate.is_live || !live),
            Choice::Nothing => false,
        }
    }

    fn fits(&self, candidate: Candidate<'_>) -> bool {
        let is_there = |wanted: &String| candidate.machine.is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        self.prefix.as_ref().is_none_or(|prefix| prefix.fits(candidate.session)) && self.machine.as_ref().is_none_or(is_there)
    }
}

/// How many sessions there are, and one of them.
#[derive(Default)]
struct Matches {
    count: usize,
    one: Option<SessionId>,
}

impl Matches {
    fn add(&mut self, session: SessionId) {
        self.count = self.count.saturating_add(1);
        self.one = Some(session);
    }

    fn choice(&self, live: bool) -> Choice {
        match self.one {
            Some(session) if self.count == 1 => Choice::This(session),
            Some(_) => Choice::Several { live },
            None => Choice::Nothing,
        }
    }
}

/// The answer of a person who was shown a numbered list: which of its lines, counted from 1, or the beginning of an id in it.
///
/// # Errors
/// [`Reason::SessionUnknown`] when it names none of them, [`Reason::SessionAmbiguous`] when it names several.
pub fn answer(text: &str, entries: &[Entry]) -> Result<SessionId, Reason> {
    let text = text.trim();
    let is_number = text.len() < SHORTEST && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = text.parse::<usize>().ok().filter(|_| is_number) {
        let line = number.checked_sub(1).and_then(|at| entries.get(at));
        return line.map(|entry| entry.session).ok_or(Reason::SessionUnknown);
    }
    let prefix = text.parse().map_err(|InvalidPrefix| Reason::SessionUnknown)?;
    match (Wanted { prefix: Some(prefix), ..Wanted::default() }).choose(entries) {
        Choice::This(session) => Ok(session),
        Choice::Several { .. } => Err(Reason::SessionAmbiguous),
        Choice::Nothing => Err(Reason::SessionUnknown),
    }
}
