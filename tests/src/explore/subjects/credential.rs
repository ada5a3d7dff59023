//! `credential`: a platform that renews, refuses or says nothing, and clocks that jump.

use std::time::Duration;

use proto_core::{
    Instant, JitterRng, Machine, Status, Unhashed, UnixTime, WallClock,
    api::Renewed,
    device::credential::{ATTEMPTS_PER_HOUR, EffectId, Input, Output, Rotation},
    effect::{Effect, IoEvent, NetFault},
    jose::{self, Claims},
    secret::SecretText,
};

use super::{answered, effect};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{ISSUER, UNIX, claims, clock, identity, platform_key, relay, secret},
    laws::START,
};

/// Seconds until a credential expires, and until it cannot be renewed any more.
const SOFT: u64 = 600;
const HARD: u64 = 1_500;

/// The last generation that the platform gives out.
const GENERATIONS: u64 = 2;

const HOUR: Duration = Duration::from_hours(1);

/// The rotation of one credential.
#[derive(Debug)]
pub struct Renewing {
    /// By generation, from 1 on.
    tokens: Vec<SecretText>,
    /// The most attempts in a row that the platform fails.
    attempts: usize,
}

impl Renewing {
    /// Everything may happen, a few attempts fail in a row.
    pub fn widely() -> Self {
        Self { tokens: (1..=GENERATIONS + 2).map(credential).collect(), attempts: 2 }
    }

    /// The platform does not answer at all, up to the limit of the hour and beyond.
    pub fn to_the_limit() -> Self {
        Self { attempts: ATTEMPTS_PER_HOUR + 2, ..Self::widely() }
    }

    const fn is_wide(&self) -> bool {
        self.attempts < ATTEMPTS_PER_HOUR
    }

    /// Whether this walk goes no further.
    fn is_beyond(&self, at: &Situation<Self>) -> bool {
        self.is_wide() && at.memory.generation == GENERATIONS
    }
}

fn credential(generation: u64) -> SecretText {
    let stamps =
        Claims { expires_at: UNIX.plus(SOFT), renewable_until: UNIX.plus(HARD), ..claims(&secret(1), "A", "r", generation) };
    jose::sign(&stamps, &platform_key())
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    /// The platform gives the successor.
    Renewed,
    /// It gives the credential of before once more.
    SameAgain,
    /// It gives one that skips a generation.
    Skipped,
    Html,
    /// 503, to be asked again in ten minutes.
    Busy,
    Unanswered,
    /// An answer to the question before the latest.
    OldAnswer,
    Stored,
    RenewNow,
    ClockAnHourAhead,
    ClockRight,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    number: Unhashed<u32>,
    /// When attempts began since one succeeded, within the last hour.
    attempts: Vec<Instant>,
    /// Generation in use, and whether a newer one is being stored.
    generation: u64,
    is_storing: bool,
    /// Since when the credential in use lapses at the latest, by a clock that is right.
    lapses_at: Instant,
    /// The clock was wrong at some time.
    is_disturbed: bool,
}

impl Subject for Renewing {
    type Machine = Rotation;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "credential";
    const MAX_OUTPUTS: usize = 3;
    const LATE: Duration = Duration::from_mins(20);
    const SETTLES: (usize, Duration) = (32, Duration::from_hours(3));

    fn bounds(&self) -> String {
        format!(
            "credentials of {SOFT} s that can be renewed for {HARD} s, generations 1 to {GENERATIONS}, jitter at both ends of its \
             range, {}, {} attempts in a row",
            if self.is_wide() { "any answer, a clock that is right or an hour ahead" } else { "no answer, a punctual driver" },
            self.attempts
        )
    }

    fn memory(&self) -> Duration {
        Duration::from_hours(12)
    }

    fn starts(&self) -> Vec<(Rotation, Memory)> {
        let lapses_at = START.after(Duration::from_secs(HARD));
        let memory = Memory {
            number: Unhashed(0),
            attempts: Vec::new(),
            generation: 1,
            is_storing: false,
            lapses_at,
            is_disturbed: false,
        };
        let start = |number| {
            let rotation = Rotation::new(START, clock(), ISSUER, identity(1), self.token(1), JitterRng::constant(number))
                .expect("a credential");
            (rotation, memory.clone())
        };
        vec![start(0), start(u64::MAX)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        if self.is_beyond(at) {
            return Vec::new();
        }
        let fails = at.memory.attempts.len() < self.attempts;
        if !self.is_wide() {
            return if fails { vec![Fact::Unanswered, Fact::RenewNow] } else { vec![Fact::RenewNow] };
        }
        let mut facts =
            vec![Fact::SameAgain, Fact::Skipped, Fact::OldAnswer, Fact::Stored, Fact::ClockAnHourAhead, Fact::ClockRight];
        if at.memory.generation < GENERATIONS || !self.is_asking(at) {
            facts.push(Fact::Renewed);
        }
        if fails {
            facts.extend([Fact::Html, Fact::Busy, Fact::Unanswered, Fact::RenewNow]);
        }
        facts
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        if self.is_beyond(at) {
            return Vec::new();
        }
        if self.is_wide() { vec![Action::Early, Action::Due, Action::Late] } else { vec![Action::Due] }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let (effect_id, old) = (EffectId(at.memory.number.0), EffectId(at.memory.number.0.wrapping_sub(1)));
        let generation = at.memory.generation;
        Input::Io(match fact {
            Fact::Renewed => self.renewed(effect_id, generation + 1),
            Fact::SameAgain => self.renewed(effect_id, generation),
            Fact::Skipped => self.renewed(effect_id, generation + 2),
            Fact::OldAnswer => self.renewed(old, generation + 1),
            Fact::Html => answered(effect_id, 200, None, "<html>"),
            Fact::Busy => answered(effect_id, 503, Some(600), "<html>"),
            Fact::Unanswered => IoEvent::Unanswered(effect_id, NetFault::TimedOut),
            Fact::Stored => return Input::Stored,
            Fact::RenewNow => return Input::RenewNow,
            Fact::ClockAnHourAhead | Fact::ClockRight => unreachable!("it has a reading"),
        })
    }

    fn reading(&self, fact: &Fact) -> Option<WallClock> {
        match fact {
            Fact::ClockAnHourAhead => Some(WallClock::new(START, UnixTime(UNIX.0 + 3_600))),
            Fact::ClockRight => Some(clock()),
            _ => None,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        memory.attempts.retain(|at| seen.now.since(*at) < HOUR);
        memory.is_disturbed |= seen.fact == Some(&Fact::ClockAnHourAhead);
        for output in seen.outputs {
            memory.judge(output, seen)?;
        }
        let (before, after) = (seen.before.generation(), seen.after.generation());
        if after < before || after > before + 1 {
            return Err(Broken::new("ROT-2", format!("generation {before} became {after}")));
        }
        if after != before && seen.fact != Some(&Fact::Stored) {
            return Err(Broken::new("ROT-1", format!("{:?} put a credential to use that is not durable", seen.fact)));
        }
        begins_in_time(seen, memory)
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        match self.state(&at.machine).as_str() {
            "waiting for the platform's answer" if at.memory.generation < GENERATIONS => Some(Fact::Renewed),
            "waiting for the platform's answer" => Some(Fact::Unanswered),
            "waiting for the new credential to be durable" => Some(Fact::Stored),
            _ => None,
        }
    }

    /// The last generation is in use, or nothing can be renewed any more.
    fn goal(&self, at: &Situation<Self>) -> bool {
        at.memory.generation == GENERATIONS || at.machine.has_lapsed()
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::Renewed(_) => "Renewed".into(),
            Output::Announce(_) => "Announce".into(),
            Output::Trouble(reason) => format!("Trouble({reason:?})"),
            Output::RenewalExpired => "RenewalExpired".into(),
        }
    }
}

impl Renewing {
    fn token(&self, generation: u64) -> SecretText {
        let place = usize::try_from(generation).map_or(0, |generation| generation.saturating_sub(1));
        self.tokens.get(place).cloned().unwrap_or_else(|| credential(generation))
    }

    fn renewed(&self, effect_id: EffectId, generation: u64) -> IoEvent<EffectId> {
        let answer = Renewed { issue_token: self.token(generation), relay: relay() };
        answered(effect_id, 200, None, serde_json::to_vec(&answer).expect("JSON"))
    }

    fn is_asking(&self, at: &Situation<Self>) -> bool {
        self.state(&at.machine) == "waiting for the platform's answer"
    }
}

/// ROT-3: as long as nothing failed, the renewal starts before five sixths of the lifetime are over.
fn begins_in_time(seen: &Seen<'_, Renewing>, memory: &Memory) -> Result<(), Broken> {
    let is_undisturbed = !memory.is_disturbed && seen.after.trouble().is_none() && memory.attempts.is_empty();
    let latest = seen.now.after(Duration::from_secs(SOFT) / 6 * 5);
    match seen.after.poll_timeout() {
        Some(deadline) if is_undisturbed && deadline.at > latest => {
            Err(Broken::new("ROT-3", format!("the renewal waits for {:?}", deadline.at.since(seen.now))))
        }
        None if matches!(seen.after.status(), Status::Running { waiting_for } if waiting_for.starts_with("the time")) => {
            Err(Broken::new("ROT-3", "rests without a deadline"))
        }
        _ => Ok(()),
    }
}

impl Memory {
    fn judge(&mut self, output: &Output, seen: &Seen<'_, Renewing>) -> Result<(), Broken> {
        let now = seen.now;
        match output {
            Output::Effect(Effect::Http(EffectId(number), _)) => {
                self.number = Unhashed(*number);
                self.attempts.push(now);
                if self.attempts.len() > ATTEMPTS_PER_HOUR {
                    return Err(Broken::new("ROT-3", "more attempts within an hour than the limit"));
                }
                if !self.is_disturbed && now >= self.lapses_at {
                    return Err(Broken::new("ROT-3", "an attempt after the hard expiry"));
                }
            }
            Output::Renewed(_) if self.is_storing => return Err(Broken::new("ROT-1", "two credentials are being stored")),
            Output::Renewed(renewal) if renewal.generation != self.generation + 1 => {
                return Err(Broken::new("ROT-2", format!("generation {} follows {}", renewal.generation, self.generation)));
            }
            Output::Renewed(_) => {
                self.is_storing = true;
                // A credential that comes with an answer is as old as the answer.
                self.lapses_at = now.after(Duration::from_secs(HARD));
            }
            Output::Announce(_) if seen.fact != Some(&Fact::Stored) || !self.is_storing => {
                return Err(Broken::new("ROT-1", "announced before it is durable"));
            }
            Output::Announce(_) => {
                self.is_storing = false;
                self.generation += 1;
                self.attempts.clear();
            }
            Output::Effect(_) | Output::Trouble(_) | Output::RenewalExpired => {}
        }
        Ok(())
    }
}
