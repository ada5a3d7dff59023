//! `orgkey`: a viewing device, an honest platform that others use too, and one that lies.

use std::time::Duration;

use proto_core::{
    Entropy, Machine, Unhashed,
    api::{Base64url, KeyView, OwnDevice},
    device::{
        files::OrganizationKeyFile,
        orgkey::{Call, EffectId, Input, KeyEvent, OrganizationKey, Output, Settings},
    },
    effect::{IoEvent, NetFault},
    id::DeviceKind,
    orgkey::{Generation, Statement, Wrapped, WrappingKeys},
};

use super::answered;
use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::{identity, parsed},
    laws::START,
};

/// One viewing device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Up,
    Look,
    Kept,
    NotKept,
    /// The platform does as it should with what it was asked.
    Answered,
    Busy,
    Unanswered,
    /// It shows a lineage that no holder signed.
    Foreign,
    /// Another device founds the key first. Where this and the next two cannot be, they are but a look.
    Rival,
    /// That device hands over what it holds.
    RivalHands,
    /// A device that holds the newest generation is revoked.
    Revoked,
}

/// Failures in all, and generations that are made.
const FAILURES: u8 = 2;
const GENERATIONS: usize = 2;

/// What the platform keeps, and what the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    number: Unhashed<u64>,
    /// What was asked and not answered.
    asked: Option<Call>,
    statements: Vec<Statement>,
    is_registered: bool,
    wrapped: Option<Wrapped>,
    is_revoked: bool,
    /// What is being made durable, and what is.
    keeping: Option<OrganizationKeyFile>,
    kept: Option<OrganizationKeyFile>,
    failures: u8,
    is_foreign: bool,
}

impl Subject for Held {
    type Machine = OrganizationKey;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "orgkey";
    const MAX_OUTPUTS: usize = 4;
    const LATE: Duration = Duration::from_hours(1);
    const SETTLES: (usize, Duration) = (24, Duration::from_mins(30));

    fn bounds(&self) -> String {
        format!("{GENERATIONS} generations; another device that may found the key; {FAILURES} failures; wakes up to 1 h late")
    }

    fn starts(&self) -> Vec<(OrganizationKey, Memory)> {
        let settings = Settings { org: parsed("A"), target: parsed("r"), role: DeviceKind::Viewer, identity: identity(1) };
        let memory = Memory {
            number: Unhashed(0),
            asked: None,
            statements: Vec::new(),
            is_registered: false,
            wrapped: None,
            is_revoked: false,
            keeping: None,
            kept: None,
            failures: 0,
            is_foreign: false,
        };
        vec![(OrganizationKey::new(START, settings, None), memory)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let memory = &at.memory;
        let mut facts = vec![Fact::Up, Fact::Look, Fact::Kept, Fact::Answered, Fact::RivalHands, Fact::Revoked];
        if memory.failures < FAILURES {
            facts.extend([Fact::Busy, Fact::Unanswered, Fact::Foreign, Fact::NotKept]);
        }
        if memory.statements.is_empty() {
            facts.push(Fact::Rival);
        }
        facts
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let id = EffectId(u32::try_from(at.memory.number.0).unwrap_or(u32::MAX));
        Input::Io(match fact {
            Fact::Up => return Input::Up(Entropy::new([5; 32])),
            // The device hears nothing of what others do at the platform until it looks.
            Fact::Look | Fact::Rival | Fact::RivalHands | Fact::Revoked => return Input::Poll,
            Fact::Kept => return Input::Kept,
            Fact::NotKept => return Input::NotKept,
            Fact::Busy => answered(id, 503, None, "<html>"),
            Fact::Unanswered => IoEvent::Unanswered(id, NetFault::TimedOut),
            Fact::Foreign => answered(id, 200, None, json(&view(&at.memory, Some(&foreign(&at.memory))))),
            Fact::Answered => {
                let (status, body) = at.memory.clone().answer();
                answered(id, status, None, body)
            }
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Fact::Answered) => {
                memory.answer();
                memory.asked = None;
            }
            Some(Fact::Busy | Fact::Unanswered | Fact::Foreign) if memory.asked.take().is_some() => memory.failures += 1,
            Some(Fact::Kept) if memory.keeping.is_some() => memory.kept = memory.keeping.take(),
            Some(Fact::NotKept) if memory.keeping.take().is_some() => memory.failures += 1,
            Some(Fact::Rival) => memory.statements.push(rival_statement()),
            Some(Fact::RivalHands) if memory.rival_can_hand() => memory.wrapped = Some(by_rival()),
            Some(Fact::Revoked) if memory.can_revoke() => memory.is_revoked = true,
            _ => {}
        }
        seen.outputs.iter().try_for_each(|output| memory.judge(output))?;
        let lineage = seen.after.lineage();
        if !lineage.iter().eq(memory.statements.iter().take(lineage.iter().count())) {
            return Err(Broken::new("KEY-1", "a lineage is accepted that is not the organization's"));
        }
        if lineage.generation() < seen.before.lineage().generation() {
            return Err(Broken::new("KEY-1", "a lineage got shorter"));
        }
        let known = memory.kept.as_ref().map_or(0, |file| file.statements.len());
        if lineage.iter().count() > known {
            return Err(Broken::new("KEY-2", "a statement is used before it is durable"));
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        let memory = &at.memory;
        if memory.keeping.is_some() {
            return Some(Fact::Kept);
        }
        if memory.asked.is_some() {
            return Some(Fact::Answered);
        }
        if memory.rival_can_hand() {
            return Some(Fact::RivalHands);
        }
        (at.machine.poll_timeout().is_none() && !at.machine.holds_newest()).then_some(Fact::Up)
    }

    /// The device holds the newest generation, and has a copy of it at the platform.
    fn goal(&self, at: &Situation<Self>) -> bool {
        at.machine.holds_newest() && at.machine.lineage().iter().count() == at.memory.statements.len()
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Call(_, call) => match call {
                Call::View { after, .. } => format!("Call(View, after {after})"),
                Call::Register(_) => "Call(Register)".into(),
                Call::Publish(_) => "Call(Publish)".into(),
                Call::HandOver(_) => "Call(HandOver)".into(),
            },
            Output::Keep(file) => {
                let made = if file.made.is_some() { ", and one made" } else { "" };
                format!("Keep({} known, {} held{made})", file.statements.len(), file.generations.len())
            }
            Output::KeyEvent(KeyEvent::Trouble(reason)) => format!("KeyEvent(Trouble({reason:?}))"),
            Output::KeyEvent(news) => format!("KeyEvent({news:?})"),
            Output::Machines(_) => "Machines".into(),
        }
    }
}

impl Memory {
    /// Another device founded the key, this one has registered, and holds nothing yet.
    fn rival_can_hand(&self) -> bool {
        self.is_registered && self.wrapped.is_none() && self.statements.len() == 1 && self.statements == [rival_statement()]
    }

    /// A device that holds the newest generation can be revoked, and another generation can be made.
    fn can_revoke(&self) -> bool {
        self.wrapped.is_some() && self.statements.len() < GENERATIONS
    }

    /// What an honest platform does and answers.
    fn answer(&mut self) -> (u16, String) {
        match self.asked.clone() {
            Some(Call::View { after, .. }) => {
                let mut view = view(self, None);
                view.statements.drain(..usize::try_from(after).unwrap_or(usize::MAX).min(view.statements.len()));
                (200, json(&view))
            }
            Some(Call::Register(_)) => {
                (self.is_registered, self.wrapped) = (true, None);
                (204, String::new())
            }
            Some(Call::Publish(publication)) => {
                let statement = Statement::decode(&publication.statement.0).expect("a statement");
                let follows = self.statements.last().map_or_else(|| statement.founds(), |newest| statement.follows(newest));
                if follows {
                    self.statements.push(statement);
                    self.is_revoked = false;
                }
                (if follows { 201 } else { 409 }, String::new())
            }
            Some(Call::HandOver(_)) | None => (204, String::new()),
        }
    }

    fn judge(&mut self, output: &Output) -> Result<(), Broken> {
        match output {
            Output::Call(EffectId(number), call) => {
                self.number = Unhashed(u64::from(*number));
                if let Call::Publish(publication) = call {
                    let statement = Statement::decode(&publication.statement.0).expect("a statement");
                    let made = self.kept.as_ref().and_then(|file| file.made.clone()).map(Generation::new);
                    if !made.is_some_and(|made| statement.is_of(&made)) {
                        return Err(Broken::new("KEY-2", "a generation is published that is not durable"));
                    }
                }
                // Whether names are asked for too changes nothing of what follows.
                let asked = match call {
                    Call::View { after, .. } => Call::View { after: *after, machines: false },
                    other => other.clone(),
                };
                if self.asked.replace(asked).is_some() {
                    return Err(Broken::new("KEY-2", "two calls at once"));
                }
            }
            Output::Keep(file) => self.keeping = Some((**file).clone()),
            Output::KeyEvent(_) | Output::Machines(_) => {}
        }
        Ok(())
    }
}

fn view(memory: &Memory, foreign: Option<&Statement>) -> KeyView {
    KeyView {
        statements: memory.statements.iter().chain(foreign).map(|statement| Base64url(statement.encode())).collect(),
        device: Some(OwnDevice {
            registered: memory.is_registered,
            wrapped: memory.wrapped.as_ref().map(|wrapped| Base64url(wrapped.encode())),
        }),
        waiting: Vec::new(),
        renew: memory.is_revoked,
        machines: Vec::new(),
    }
}

fn json(view: &KeyView) -> String {
    serde_json::to_string(view).expect("JSON")
}

fn rival() -> Generation {
    Generation::generate(&Entropy::new([0x77; 32]))
}

fn rival_statement() -> Statement {
    Statement::found(&parsed("A"), &rival(), &parsed("x"), &identity(7))
}

fn by_rival() -> Wrapped {
    let keys = WrappingKeys::of(&identity(1)).public();
    Wrapped::wrap(&parsed("A"), &parsed("r"), &keys, 1, &rival(), &identity(7), &Entropy::new([0x78; 32])).expect("a key")
}

/// A statement that comes after those that there are and that no holder signed.
fn foreign(memory: &Memory) -> Statement {
    let (own, next) = (Generation::generate(&Entropy::new([0x66; 32])), Generation::generate(&Entropy::new([0x67; 32])));
    let founded = Statement::found(&parsed("A"), &own, &parsed("y"), &identity(6));
    if memory.statements.is_empty() {
        // Without a first look nobody can tell; it is another organization's.
        return Statement::found(&parsed("B"), &own, &parsed("y"), &identity(6));
    }
    founded.succeed(&own, &next, &parsed("y"), &identity(6)).expect("a successor")
}
