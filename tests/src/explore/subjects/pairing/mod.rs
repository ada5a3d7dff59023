//! `pairing`: a platform that answers anything, and a person who may decide, cancel or do nothing.

mod memory;

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use proto_core::{
    Entropy, Instant, Machine, Reason, Status, Unhashed, UnixTime, WallClock,
    api::{PairingMode, PollAnswer, Problem},
    device::{
        files::{PendingPairing, Unknown, VERSION},
        pairing::{EffectId, Input, Output, Pairing, REQUEST_TIMEOUT, Settings},
    },
    effect::{IoEvent, NetFault},
    id::DeviceKind,
    secret::{Secret, SecretText},
};

use self::memory::{Kind, Memory};
use super::{answered, effect};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{ISSUER, UNIX, approval, clock, key_set, secret},
    laws::START,
};

/// A pairing, its platform and its person.
#[derive(Debug, Default)]
pub struct Waiting {
    approvals: RefCell<BTreeMap<(Secret32, &'static str), String>>,
}

type Secret32 = [u8; 32];

/// Seconds that a code lives: two or three polls.
const LIFETIME: u64 = 5;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Mint(Minted),
    Poll(Polled),
    Keys(Keys),
    /// The platform does not answer the latest question.
    Unanswered,
    /// The platform's URL is none.
    BadUrl,
    /// An approval comes for the question before the latest.
    OldPoll,
    Stored,
    NotStored,
    Forgotten,
    ClockAnHourBack,
    ClockRight,
    Adopted,
    Rejected,
    Cancel,
}

/// What the platform says to the request for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Minted {
    Code,
    /// A code whose polls may come without any pause.
    IntervalZero,
    /// A code whose polls may never come.
    IntervalHuge,
    Html,
    Refused,
    Busy,
}

/// What it says to a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Polled {
    Pending,
    Approved,
    /// An approval whose credential is another device's.
    ApprovedForOther,
    /// An approval for another organization.
    ApprovedElsewhere,
    Denied,
    Gone,
    GoneHtml,
    SlowDown,
    /// With a `Retry-After` of a day.
    Busy,
    Html,
}

/// What it says to the request for its key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Keys {
    Right,
    Empty,
    Html,
    Busy,
}

impl Fact {
    fn all() -> Vec<Self> {
        use {Keys as K, Minted as M, Polled as P};
        let mint = [M::Code, M::IntervalZero, M::IntervalHuge, M::Html, M::Refused, M::Busy].map(Self::Mint);
        let poll = [
            P::Pending,
            P::Approved,
            P::ApprovedForOther,
            P::ApprovedElsewhere,
            P::Denied,
            P::Gone,
            P::GoneHtml,
            P::SlowDown,
            P::Busy,
            P::Html,
        ];
        let keys = [K::Right, K::Empty, K::Html, K::Busy].map(Self::Keys);
        let others = [
            Self::Unanswered,
            Self::BadUrl,
            Self::OldPoll,
            Self::Stored,
            Self::NotStored,
            Self::Forgotten,
            Self::ClockAnHourBack,
            Self::ClockRight,
            Self::Adopted,
            Self::Rejected,
            Self::Cancel,
        ];
        mint.into_iter().chain(poll.map(Self::Poll)).chain(keys).chain(others).collect()
    }

    /// Trouble that passes: it ends nothing (PAIR-4).
    const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Poll(Polled::Pending | Polled::GoneHtml | Polled::SlowDown | Polled::Busy | Polled::Html)
                | Self::Keys(Keys::Html | Keys::Busy)
                | Self::Unanswered
                | Self::OldPoll
                | Self::ClockAnHourBack
                | Self::ClockRight
        )
    }
}

fn settings(org: Option<&str>) -> Settings {
    Settings {
        api_endpoint: ISSUER.into(),
        kind: DeviceKind::Daemon,
        mode: PairingMode::New,
        org: org.map(Into::into),
        name: "laptop".into(),
        software: "vpd".into(),
    }
}

fn pending() -> PendingPairing {
    PendingPairing {
        version: VERSION,
        api_endpoint: ISSUER.into(),
        kind: DeviceKind::Daemon,
        mode: PairingMode::New,
        org: None,
        seed: secret(9),
        code: "BCDF2345".into(),
        status_token: SecretText::new("s"),
        url: "https://app.example/pair?code=BCDF2345".into(),
        interval: 2,
        expires_at: UNIX.plus(LIFETIME),
        unknown: Unknown::new(),
    }
}

impl Waiting {
    fn approval(&self, seed: &Secret, org: &'static str) -> String {
        let make = || serde_json::to_string(&PollAnswer::Approved(Box::new(approval(seed, org, "r")))).expect("JSON");
        self.approvals.borrow_mut().entry((*seed.expose(), org)).or_insert_with(make).clone()
    }

    fn polled(&self, polled: Polled, effect_id: EffectId, memory: &Memory) -> IoEvent<EffectId> {
        let own = memory.seed.clone().unwrap_or_else(|| secret(0));
        match polled {
            Polled::Pending => answered(effect_id, 200, None, r#"{"status":"pending"}"#),
            Polled::Approved => answered(effect_id, 200, None, self.approval(&own, "A")),
            Polled::ApprovedForOther => answered(effect_id, 200, None, self.approval(&secret(0x66), "A")),
            Polled::ApprovedElsewhere => answered(effect_id, 200, None, self.approval(&own, "B")),
            Polled::Denied => answered(effect_id, 200, None, r#"{"status":"denied"}"#),
            Polled::Gone => answered(effect_id, 404, None, problem(404, Reason::CodeExpired)),
            Polled::GoneHtml => answered(effect_id, 404, None, "<html>"),
            Polled::SlowDown => answered(effect_id, 429, None, problem(429, Reason::RateLimited)),
            Polled::Busy => answered(effect_id, 503, Some(86_400), "<html>"),
            Polled::Html => answered(effect_id, 200, None, "<html>"),
        }
    }
}

fn problem(status: u16, reason: Reason) -> Vec<u8> {
    serde_json::to_vec(&Problem::because(status, reason)).expect("JSON")
}

fn minted(minted: Minted, effect_id: EffectId) -> IoEvent<EffectId> {
    let code = |interval: &str| {
        format!(r#"{{"code":"BCDF2345","status_token":"s","url":"https://a.example/","expires_in":{LIFETIME}{interval}}}"#)
    };
    match minted {
        Minted::Code => answered(effect_id, 201, None, code("")),
        Minted::IntervalZero => answered(effect_id, 201, None, code(r#","interval":0"#)),
        Minted::IntervalHuge => answered(effect_id, 201, None, code(r#","interval":18446744073709551615"#)),
        Minted::Html => answered(effect_id, 200, None, "<html>"),
        Minted::Refused => answered(effect_id, 403, None, problem(403, Reason::RateLimited)),
        Minted::Busy => answered(effect_id, 503, None, "<html>"),
    }
}

fn keys(keys: Keys, effect_id: EffectId) -> IoEvent<EffectId> {
    match keys {
        Keys::Right => answered(effect_id, 200, None, key_set()),
        Keys::Empty => answered(effect_id, 200, None, r#"{"keys":[]}"#),
        Keys::Html => answered(effect_id, 200, None, "<html>"),
        Keys::Busy => answered(effect_id, 503, None, "<html>"),
    }
}

impl Subject for Waiting {
    type Machine = Pairing;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "pairing";
    const MAX_OUTPUTS: usize = 2;
    /// The longest `Retry-After` that counts, the expiry, and the last requests.
    const SETTLES: (usize, Duration) = (32, Duration::from_mins(8));

    fn bounds(&self) -> String {
        "codes that live 5 s, with a poll every 1, 2 or 60 s; clocks right and an hour back; new, for one org, and resumed".into()
    }

    fn starts(&self) -> Vec<(Pairing, Memory)> {
        let fresh = Memory {
            asked: None,
            names_org: false,
            number: Unhashed(0),
            seed: None,
            is_durable: false,
            interval: 0,
            polled: None,
            not_before: Instant::ZERO,
            expires_at: None,
            keys: Vec::new(),
            approved: None,
            handed_over: false,
        };
        let expires_at = Some(START.after(Duration::from_secs(LIFETIME)));
        let known = Memory { seed: Some(secret(9)), is_durable: true, interval: 2, expires_at, ..fresh.clone() };
        let start = |org| Pairing::start(START, clock(), settings(org), &Entropy::new([7; 32]));
        let resumed = Pairing::resume(START, clock(), pending());
        vec![(start(None), fresh.clone()), (start(Some("a")), Memory { names_org: true, ..fresh }), (resumed, known)]
    }

    fn facts(&self, _at: &Situation<Self>) -> Vec<Fact> {
        Fact::all()
    }

    fn times(&self, _: &Situation<Self>) -> Vec<Action<Fact>> {
        vec![Action::Early, Action::Due, Action::Late]
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let number = at.memory.number.0;
        let event = match *fact {
            Fact::Mint(said) => minted(said, EffectId::Mint(number)),
            Fact::Poll(said) => self.polled(said, EffectId::Poll(number), &at.memory),
            Fact::Keys(said) => keys(said, EffectId::KeySet(number)),
            Fact::OldPoll => self.polled(Polled::Approved, EffectId::Poll(number.wrapping_sub(1)), &at.memory),
            Fact::Unanswered | Fact::BadUrl => {
                let fault = if *fact == Fact::BadUrl { NetFault::BadUrl } else { NetFault::TimedOut };
                let effect_id = match at.memory.asked {
                    Some(Kind::Mint) => EffectId::Mint(number),
                    Some(Kind::Keys) => EffectId::KeySet(number),
                    _ => EffectId::Poll(number),
                };
                IoEvent::Unanswered(effect_id, fault)
            }
            Fact::Stored => IoEvent::Stored(EffectId::Save),
            Fact::NotStored => IoEvent::NotStored(EffectId::Save),
            Fact::Forgotten => IoEvent::Stored(EffectId::Forget),
            Fact::ClockAnHourBack | Fact::ClockRight => unreachable!("it has a reading"),
            Fact::Adopted => return Input::Adopted,
            Fact::Rejected => return Input::Rejected(Reason::OrgAlreadyBound),
            Fact::Cancel => return Input::Cancel,
        };
        Input::Io(event)
    }

    fn reading(&self, fact: &Fact) -> Option<WallClock> {
        match fact {
            Fact::ClockAnHourBack => Some(WallClock::new(START, UnixTime(UNIX.0 - 3_600))),
            Fact::ClockRight => Some(clock()),
            _ => None,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        memory.hear(seen);
        seen.outputs.iter().try_for_each(|output| memory.judge(output, seen.now))?;
        let (before, after) = (self.state(seen.before), self.state(seen.after));
        let ends = |state: &str| state.contains("removed") || state == "failed";
        let is_over = memory.expires_at.is_some_and(|at| seen.now >= at);
        let is_minting = before.contains("a code");
        if let Some(fact) = seen.fact
            && (fact.is_trouble() && !is_minting && !is_over && ends(&after) && !ends(&before))
        {
            return Err(Broken::new("PAIR-4", format!("{fact:?} ended it")));
        }
        let lasts = after.contains("approval") || after.contains("key set");
        if lasts && memory.expires_at.is_some_and(|at| seen.now > at.after(REQUEST_TIMEOUT)) {
            return Err(Broken::new("PAIR-3", "it goes on after the expiry and a request"));
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        match at.memory.asked {
            Some(Kind::Mint) => Some(Fact::Mint(Minted::Code)),
            Some(Kind::Poll) => Some(Fact::Poll(Polled::Approved)),
            Some(Kind::Keys) => Some(Fact::Keys(Keys::Right)),
            Some(Kind::Save) => Some(Fact::Stored),
            Some(Kind::Forget) => Some(Fact::Forgotten),
            None => self.state(&at.machine).contains("binding").then_some(Fact::Adopted),
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { .. })
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::ShowCode(_) => "ShowCode".into(),
            Output::Trouble(reason) => format!("Trouble({reason:?})"),
            Output::Approved(_) => "Approved".into(),
        }
    }
}
