//! `binding`: two organizations, one of them with two targets, approvals, renewals, sessions, and a disk that may fail.

use std::{collections::BTreeMap, time::Duration};

use proto_core::{
    BindingId, Machine, Reason, SessionId, Status, Unhashed,
    api::{PairingMode, Renewed},
    device::{
        binding::{Binding, Bindings, EffectId, Input, Output, Phase},
        credential::Renewal,
        pairing::Paired,
    },
    effect::{Effect, IoEvent},
    id::DeviceKind,
};

use super::effect;
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{ISSUER, approval, parsed, renewed, secret},
    laws::START,
};

/// The bindings of a daemon.
#[derive(Debug)]
pub struct Bound {
    approvals: BTreeMap<u8, Paired>,
    renewals: BTreeMap<u8, Renewed>,
    /// Whether two orgs take part.
    has_second_org: bool,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Stored,
    NotStored,
    /// The answer to an earlier write comes again.
    StoredBefore,
    Adopt(CoreSubject, PairingMode),
    Renew(CoreSubject),
    Unpair(CoreSubject),
    Revoked(CoreSubject),
    /// The relay refuses, but for no reason that ends a binding.
    Refused(CoreSubject),
    SessionStarts(CoreSubject),
    SessionEnds(CoreSubject),
}

/// Names of bindings and approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CoreSubject {
    /// Org A, target r1.
    A,
    /// The same target under another key: a refresh.
    ANewKey,
    /// Org A, target r2.
    AOther,
    /// Org B.
    B,
}

impl CoreSubject {
    const fn key(self) -> u8 {
        match self {
            Self::A => 1,
            Self::ANewKey => 2,
            Self::AOther => 3,
            Self::B => 4,
        }
    }

    fn binding(self) -> BindingId {
        let (org, target) = match self {
            Self::A | Self::ANewKey => ("A", "r1"),
            Self::AOther => ("A", "r2"),
            Self::B => ("B", "r1"),
        };
        BindingId { org: parsed(org), runtime_target: parsed(target) }
    }
}

/// What the outside knows.
#[derive(Clone, Debug, Default, Hash)]
pub struct Memory {
    /// The latest write.
    number: Unhashed<u32>,
    /// Writes that failed since one succeeded.
    failures: u8,
    /// Approvals that were taken up.
    adoptions: u8,
}

/// The most failures in a row, and the most approvals that are taken up: each of these may leave a key for later.
const FAILURES: u8 = 2;
const ADOPTIONS: u8 = 4;

impl Bound {
    /// With one organization, or with two.
    pub fn new(has_second_org: bool) -> Self {
        let all = [CoreSubject::A, CoreSubject::ANewKey, CoreSubject::AOther, CoreSubject::B];
        let approvals = all.iter().map(|whose| (whose.key(), paired(*whose))).collect();
        let renewals = all.iter().map(|whose| {
            let BindingId { org, runtime_target } = whose.binding();
            (whose.key(), renewed(&secret(whose.key()), org.as_str(), runtime_target.as_str(), 2))
        });
        Self { approvals, renewals: renewals.collect(), has_second_org }
    }

    fn bindings(&self) -> Vec<CoreSubject> {
        if self.has_second_org { vec![CoreSubject::A, CoreSubject::B] } else { vec![CoreSubject::A, CoreSubject::AOther] }
    }

    fn adopted(&self) -> Vec<CoreSubject> {
        if self.has_second_org {
            vec![CoreSubject::A, CoreSubject::ANewKey, CoreSubject::B]
        } else {
            vec![CoreSubject::A, CoreSubject::ANewKey, CoreSubject::AOther]
        }
    }
}

fn paired(whose: CoreSubject) -> Paired {
    let BindingId { org, runtime_target } = whose.binding();
    let seed = secret(whose.key());
    let approval = approval(&seed, org.as_str(), runtime_target.as_str());
    Paired { kind: DeviceKind::Daemon, mode: PairingMode::New, api_endpoint: ISSUER.into(), seed, generation: 1, approval }
}

/// Whose a session is, is also its name.
const fn session(whose: CoreSubject) -> SessionId {
    SessionId([whose.key(); 16])
}

impl Subject for Bound {
    type Machine = Bindings;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "binding";
    const MAX_OUTPUTS: usize = 12;
    const SETTLES: (usize, Duration) = (24, Duration::from_mins(5));

    fn bounds(&self) -> String {
        let orgs = if self.has_second_org { "two orgs with a target each" } else { "one org with two targets" };
        format!(
            "{orgs}, one of them refreshed under a new key; generations 1 and 2; a session each; {ADOPTIONS} approvals that are \
             taken up; {FAILURES} failures in a row"
        )
    }

    /// Only the end of a pause counts.
    fn memory(&self) -> Duration {
        Duration::ZERO
    }

    fn starts(&self) -> Vec<(Bindings, Memory)> {
        vec![(Bindings::boot(START, None, [], []).expect("an empty disk"), Memory::default())]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let mut facts = vec![Fact::Stored, Fact::StoredBefore];
        if at.memory.failures < FAILURES {
            facts.push(Fact::NotStored);
        }
        for whose in self.adopted().into_iter().filter(|_| at.memory.adoptions < ADOPTIONS) {
            facts.extend([PairingMode::New, PairingMode::Add, PairingMode::Replace].map(|mode| Fact::Adopt(whose, mode)));
        }
        for whose in self.bindings() {
            facts.extend([
                Fact::Renew(whose),
                Fact::Unpair(whose),
                Fact::Revoked(whose),
                Fact::Refused(whose),
                Fact::SessionStarts(whose),
                Fact::SessionEnds(whose),
            ]);
        }
        facts
    }

    fn times(&self, _: &Situation<Self>) -> Vec<Action<Fact>> {
        vec![Action::Early, Action::Due, Action::Late]
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let number = at.memory.number.0;
        match *fact {
            Fact::Stored => Input::Io(IoEvent::Stored(EffectId(number))),
            Fact::NotStored => Input::Io(IoEvent::NotStored(EffectId(number))),
            Fact::StoredBefore => Input::Io(IoEvent::Stored(EffectId(number.wrapping_sub(1)))),
            Fact::Adopt(whose, mode) => {
                let paired = self.approvals.get(&whose.key()).cloned().unwrap_or_else(|| paired(whose));
                Input::Adopt(Box::new(Paired { mode, ..paired }))
            }
            Fact::Renew(whose) => {
                let binding = whose.binding();
                let seed = at.machine.get(&binding).and_then(Binding::identity).map(|identity| identity.seed().expose()[0]);
                let answer = self.renewals.get(&seed.unwrap_or(whose.key())).cloned().expect("one of the keys");
                Input::Renewed { binding, renewal: Box::new(Renewal { generation: 2, answer }) }
            }
            Fact::Unpair(whose) => Input::Unpair(whose.binding().org),
            Fact::Revoked(whose) => Input::Revoked { binding: whose.binding(), reason: Reason::MachineRevoked },
            Fact::Refused(whose) => Input::Revoked { binding: whose.binding(), reason: Reason::TokenExpired },
            Fact::SessionStarts(whose) => Input::SessionStarted { binding: whose.binding(), session: session(whose) },
            Fact::SessionEnds(whose) => Input::SessionEnded { binding: whose.binding(), session: session(whose) },
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            _ if seen.before.ignored() != seen.after.ignored() || seen.misuse.is_some() => {}
            Some(Fact::Stored) => memory.failures = 0,
            Some(Fact::NotStored) => memory.failures += 1,
            Some(Fact::Adopt(..)) if !is_decided(seen) => memory.adoptions += 1,
            _ => {}
        }
        for output in seen.outputs {
            if let Output::Effect(Effect::Store(EffectId(number), ..) | Effect::Remove(EffectId(number), _)) = output {
                memory.number = Unhashed(*number);
            }
            judge(output, seen)?;
        }
        edges(seen)?;
        why_it_left(seen)?;
        adoptions(seen)
    }

    /// BIND-1.
    fn check(&self, at: &Situation<Self>) -> Result<(), Broken> {
        let active = |org: &str| {
            at.machine
                .iter()
                .filter(|(id, binding)| id.org.as_str() == org && matches!(binding.phase(), Phase::Active(_)))
                .count()
        };
        if active("A") > 1 || active("B") > 1 { Err(Broken::new("BIND-1", "two bindings of one org are active")) } else { Ok(()) }
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        self.state(&at.machine).contains("durable").then_some(Fact::Stored)
    }

    /// The disk is as it should be, and what left is gone.
    fn goal(&self, at: &Situation<Self>) -> bool {
        let is_idle = matches!(at.machine.status(), Status::Running { waiting_for: "commands, renewals and sessions" });
        is_idle && !at.machine.iter().any(|(_, binding)| *binding.phase() == Phase::Leaving)
    }

    fn say(&self, output: &Output) -> String {
        let id = |binding: &BindingId| binding.to_string();
        match output {
            Output::Effect(asked) => effect(asked).replace("EffectId, ", ""),
            Output::Adopted(binding) => format!("Adopted({})", id(binding)),
            Output::Refused(reason) => format!("Refused({reason:?})"),
            Output::Started(binding) => format!("Started({})", id(binding)),
            Output::Saved(binding) => format!("Saved({})", id(binding)),
            Output::Draining(binding) => format!("Draining({})", id(binding)),
            Output::Drained(binding) => format!("Drained({})", id(binding)),
            Output::Cut(binding, reason) => format!("Cut({}, {reason:?})", id(binding)),
            Output::Gone(binding) => format!("Gone({})", id(binding)),
            Output::Trouble(reason) => format!("Trouble({reason:?})"),
        }
    }
}

/// Whether an adoption was over when it came: refused, or of what is there already.
fn is_decided(seen: &Seen<'_, Bound>) -> bool {
    seen.outputs.iter().any(|output| matches!(output, Output::Adopted(_) | Output::Refused(_)))
}

/// What an output may be said about.
fn judge(output: &Output, seen: &Seen<'_, Bound>) -> Result<(), Broken> {
    match output {
        Output::Effect(Effect::Remove(_, file)) => {
            let is_its = |binding: &Binding| binding.identity().is_some() && binding.record().identity == file.path();
            if seen.after.iter().any(|(_, binding)| is_its(binding)) {
                return Err(Broken::new("BIND-3", format!("the key {file:?} is removed while it is in use")));
            }
        }
        Output::Drained(id) => {
            let ended = if let Some(Fact::SessionEnds(whose)) = seen.fact { Some(session(*whose)) } else { None };
            let sessions = seen.before.get(id).map(Binding::sessions);
            if sessions.is_some_and(|sessions| sessions.iter().any(|session| Some(*session) != ended)) {
                return Err(Broken::new("BIND-3", "drained with a session left"));
            }
        }
        Output::Saved(id) | Output::Draining(id) | Output::Cut(id, _)
            if seen.before.get(id).is_none() && seen.after.get(id).is_none() =>
        {
            return Err(Broken::new("BIND-2", format!("{output:?} after it was gone")));
        }
        Output::Started(id) | Output::Adopted(id) if seen.after.get(id).and_then(Binding::identity).is_none() => {
            return Err(Broken::new("BIND-2", format!("{output:?} without a key")));
        }
        _ => {}
    }
    Ok(())
}

/// How far a binding is on its way.
const fn rank(phase: &Phase) -> u8 {
    match phase {
        Phase::Active(_) | Phase::Broken(_) => 0,
        Phase::Draining(_) => 1,
        Phase::Leaving => 2,
    }
}

/// BIND-2: a binding, which its key's file names, only goes forward.
fn edges(seen: &Seen<'_, Bound>) -> Result<(), Broken> {
    for (id, after) in seen.after.iter() {
        let same = |binding: &&Binding| binding.record().identity == after.record().identity;
        let Some(before) = seen.before.get(id).filter(same) else {
            if rank(after.phase()) == 0 {
                continue;
            }
            return Err(Broken::new("BIND-2", format!("{id} begins as {:?}", after.phase())));
        };
        if rank(after.phase()) < rank(before.phase()) {
            return Err(Broken::new("BIND-2", format!("{id} went back from {:?} to {:?}", before.phase(), after.phase())));
        }
        let starts = matches!(seen.fact, Some(Fact::SessionStarts(whose)) if whose.binding() == *id);
        if starts && rank(before.phase()) > 0 && seen.after.ignored() == seen.before.ignored() {
            return Err(Broken::new("BIND-3", format!("{id} took a session while {:?}", before.phase())));
        }
    }
    Ok(())
}

/// BIND-6: only a local command, a revocation, the last session or a newer binding ends one.
fn why_it_left(seen: &Seen<'_, Bound>) -> Result<(), Broken> {
    let has_left = |id: &BindingId, before: &Binding| {
        let after = seen.after.get(id).map_or(2, |after| rank(after.phase()));
        after == 2 && rank(before.phase()) < 2
    };
    let may =
        matches!(seen.fact, Some(Fact::Unpair(_) | Fact::Revoked(_) | Fact::SessionEnds(_) | Fact::Stored | Fact::StoredBefore));
    if !may && seen.before.iter().any(|(id, before)| has_left(id, before)) {
        return Err(Broken::new("BIND-6", format!("{:?} ended a binding", seen.fact)));
    }
    Ok(())
}

/// PAIR-9 and PAIR-10.
fn adoptions(seen: &Seen<'_, Bound>) -> Result<(), Broken> {
    let Some(Fact::Adopt(whose, mode)) = seen.fact else { return Ok(()) };
    let held = seen.before.get(&whose.binding()).and_then(Binding::identity);
    let is_again = held.is_some_and(|identity| *identity.seed() == secret(whose.key()));
    let has_written = seen.outputs.iter().any(|output| matches!(output, Output::Effect(_)));
    if is_again && has_written {
        return Err(Broken::new("PAIR-9", "the same approval again wrote something"));
    }
    let is_bound = !seen.before.workspaces().is_empty();
    let is_refused = seen.outputs.iter().any(|output| matches!(output, Output::Refused(_)));
    if *mode == PairingMode::New && is_bound && !is_again && !is_refused && seen.misuse.is_none() {
        return Err(Broken::new("PAIR-10", "a binding is overwritten by surprise"));
    }
    Ok(())
}
