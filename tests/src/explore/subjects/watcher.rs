//! `watcher`: a device that is to be paired and one that is, its platform, its relay and its disk.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proto_core::{
    JitterRng, Machine, SessionId, Status, Unhashed,
    device::{
        files::{Config, Document, PendingPairing},
        incarnation::Incarnation,
        pairing, uplink,
        watcher::{EffectId, Goal, Input, Output, PairingCause, StoredState, Watcher},
    },
    effect::{Effect, IoEvent, StateFile},
    noise::Symbolic,
    secret::{Secret, SecretBytes},
    wire::Head,
};

use super::{
    answered, effect,
    net::{Counts, Ends, Net, TURNS},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{key_set, secret, watcher},
};

/// A viewing device.
#[derive(Debug, Default)]
pub struct Viewing {
    /// Answers that were signed before, by the seed that they are for.
    approvals: RefCell<BTreeMap<[u8; 32], String>>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Net(Net),
    /// The platform gives a code.
    Minted,
    Approved,
    Denied,
    /// The platform gives its key set to the pairing.
    Keys,
    /// The oldest change of the disk is durable.
    Stored,
    NotStored,
    Watch,
    RetryNow,
    Stop,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
#[allow(clippy::struct_excessive_bools)]
pub struct Memory {
    ends: Ends,
    counts: Counts,
    viewer: Unhashed<u32>,
    pairing: Unhashed<u32>,
    asked: Option<Kind>,
    number: Unhashed<u32>,
    seed: Option<Secret>,
    files: VecDeque<(EffectId, StateFile, Option<SecretBytes>)>,
    /// The pending file is on disk.
    is_pending: bool,
    /// The generations that `config.json` on disk has.
    durable: Vec<u64>,
    codes: u8,
    inputs: u8,
    /// The relay ended the access, under its key.
    is_over: bool,
    /// The pairing was approved.
    is_approved: bool,
    is_up: bool,
}

/// What the pairing asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Mint,
    Poll,
    Keys,
}

fn generations(config: &SecretBytes) -> Vec<u64> {
    let config = Config::parse(config.expose()).expect("a sound file");
    config.bindings.iter().map(|binding| binding.generation).collect()
}

impl Viewing {
    fn approved(&self, seed: &Secret) -> String {
        self.approvals.borrow_mut().entry(*seed.expose()).or_insert_with(|| watcher::approved(seed, "r2")).clone()
    }
}

impl Subject for Viewing {
    type Machine = Watcher<Symbolic>;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "watcher";
    const MAX_OUTPUTS: usize = 16;
    const SETTLES: (usize, Duration) = (64, Duration::from_mins(20));

    fn bounds(&self) -> String {
        "never paired and paired, both for the only session; one code, two connections, one renewal, one fetch of the key set, three \
         deadlines, or fewer when the driver misses one by an hour; one frame of the relay on a connection, two inputs of the person"
            .into()
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let fresh = Memory {
            ends: Ends::default(),
            counts: Counts::default(),
            viewer: Unhashed(0),
            pairing: Unhashed(0),
            asked: None,
            number: Unhashed(0),
            seed: None,
            files: VecDeque::new(),
            is_pending: false,
            durable: Vec::new(),
            codes: 0,
            inputs: 0,
            is_over: false,
            is_approved: false,
            is_up: false,
        };
        let paired = Memory { durable: vec![1], ..fresh.clone() };
        let start = |found| watcher::boot(&found, Goal::TheOnly, JitterRng::constant(0));
        vec![(start(StoredState::default()), fresh), (start(watcher::paired()), paired)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let memory = &at.memory;
        if memory.is_beyond() {
            return Vec::new();
        }
        let links = [
            Net::Connected,
            Net::ConnectFails,
            Net::Closed,
            Net::ClosedPskInvalid,
            Net::Welcome,
            Net::RefusedRevoked,
            Net::Revoke,
            Net::Renewed,
            Net::NotRenewed,
        ];
        let nets = links.into_iter().filter(|net| !net.is_frame() || memory.counts.frames < 1).map(Fact::Net);
        let answers = [Fact::Minted, Fact::Approved, Fact::Denied, Fact::Keys, Fact::Stored, Fact::NotStored];
        let own = [Fact::Watch, Fact::RetryNow, Fact::Stop].into_iter().filter(|_| memory.inputs < 2);
        nets.chain(answers).chain(own).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        if at.memory.is_beyond() { Vec::new() } else { vec![Action::Early, Action::Due, Action::Late] }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let memory = &at.memory;
        let pairing = |effect_id| EffectId::Pairing(Incarnation(memory.pairing.0), effect_id);
        let number = memory.number.0;
        let own = memory.seed.clone().unwrap_or_else(|| secret(0));
        let oldest = memory.files.front().map_or(pairing(pairing::EffectId::Save), |(effect_id, ..)| *effect_id);
        Input::Io(match fact {
            Fact::Net(net) => {
                let (effect_id, event) = memory.ends.io_event(*net).1.take_id();
                event.with_id(EffectId::Viewer(Incarnation(memory.viewer.0), effect_id))
            }
            Fact::Minted => {
                let code = r#"{"code":"BCDF2345","status_token":"s","url":"https://a.example/","expires_in":900}"#;
                answered(pairing(pairing::EffectId::Mint(number)), 201, None, code)
            }
            Fact::Approved => answered(pairing(pairing::EffectId::Poll(number)), 200, None, self.approved(&own)),
            Fact::Denied => answered(pairing(pairing::EffectId::Poll(number)), 200, None, r#"{"status":"denied"}"#),
            Fact::Keys => answered(pairing(pairing::EffectId::KeySet(number)), 200, None, key_set()),
            Fact::Stored => IoEvent::Stored(oldest),
            Fact::NotStored => IoEvent::NotStored(oldest),
            Fact::Watch => return Input::Watch(SessionId([1; 16])),
            Fact::RetryNow => return Input::RetryNow,
            Fact::Stop => return Input::Stop,
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        memory.answered(seen.fact);
        match seen.fact {
            Some(Fact::Net(net)) => {
                memory.counts.heard(*net);
                memory.ends.heard(*net, memory.is_up);
                memory.is_over |= net.ends_access();
            }
            Some(Fact::Stored) => memory.write(),
            Some(Fact::NotStored) => drop(memory.files.pop_front()),
            Some(Fact::Approved) => memory.is_approved = true,
            Some(Fact::Watch | Fact::RetryNow | Fact::Stop) => memory.inputs += 1,
            Some(_) => {}
            None => memory.counts.turned(seen),
        }
        seen.outputs.iter().try_for_each(|output| memory.judge(output))
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        let Status::Running { waiting_for: waits } = at.machine.status() else { return None };
        match waits {
            _ if !at.memory.files.is_empty() => Some(Fact::Stored),
            "the WebSocket" => Some(Fact::Net(Net::Connected)),
            "the relay's answer" => Some(Fact::Net(Net::Welcome)),
            "the close" => Some(Fact::Net(Net::Closed)),
            "frames" => None,
            _ => match at.memory.asked {
                Some(Kind::Mint) => Some(Fact::Minted),
                Some(Kind::Poll) => Some(Fact::Approved),
                Some(Kind::Keys) => Some(Fact::Keys),
                None => None,
            },
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { waiting_for } if waiting_for != "frames")
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::Pairing(PairingCause::First) => "Pairing(First)".into(),
            Output::Pairing(PairingCause::Again(_, reason)) => format!("Pairing(Again, {reason:?})"),
            Output::ShowCode(_) => "ShowCode".into(),
            Output::Paired(_) => "Paired".into(),
            Output::Listed(_) => "Listed".into(),
            Output::Failed(_, reason) => format!("Failed({reason:?})"),
            other => format!("{other:?}"),
        }
    }

    fn ignored(&self, machine: &Self::Machine) -> Vec<(&'static str, u64)> {
        vec![("ignored", machine.ignored())]
    }
}

impl Memory {
    /// Whether this walk goes no further.
    const fn is_beyond(&self) -> bool {
        let Counts { connections, renewals, fetches, turns, .. } = self.counts;
        connections > 2 || renewals > 1 || fetches > 1 || turns >= TURNS || self.codes > 1
    }

    /// What the pairing asked for last is answered.
    fn answered(&mut self, fact: Option<&Fact>) {
        self.asked = match (fact, self.asked) {
            (Some(Fact::Minted), Some(Kind::Mint))
            | (Some(Fact::Approved | Fact::Denied), Some(Kind::Poll))
            | (Some(Fact::Keys), Some(Kind::Keys)) => None,
            (_, asked) => asked,
        };
    }

    /// The oldest change of the disk is durable.
    fn write(&mut self) {
        let Some((_, file, contents)) = self.files.pop_front() else { return };
        match file {
            StateFile::PendingPairing => self.is_pending = contents.is_some(),
            StateFile::Config => self.durable = contents.as_ref().map(generations).unwrap_or_default(),
            _ => {}
        }
    }

    fn judge(&mut self, output: &Output) -> Result<(), Broken> {
        match output {
            Output::Effect(asked) => self.asked(asked),
            Output::ShowCode(_) if !self.is_pending => Err(Broken::new("PAIR-5", "a code is shown that is not durable")),
            Output::Paired(_) if self.durable.is_empty() => Err(Broken::new("BIND-4", "paired, and nothing is durable")),
            Output::Up { .. } => {
                self.is_up = true;
                Ok(())
            }
            Output::Down(_) => {
                self.is_up = false;
                Ok(())
            }
            Output::Record(..) | Output::Ended(..) => Err(Broken::new("SES-1", "something is shown, and nothing was sent")),
            _ => Ok(()),
        }
    }

    fn asked(&mut self, asked: &Effect<EffectId>) -> Result<(), Broken> {
        match asked {
            Effect::Store(effect_id, file, contents) => {
                if *file == StateFile::PendingPairing {
                    self.seed = PendingPairing::parse(contents.expose()).ok().map(|pending| pending.seed);
                }
                if *file == StateFile::Config && generations(contents).is_empty() && !self.is_over {
                    return Err(Broken::new("BIND-6", "a binding goes without the relay's word for it"));
                }
                self.files.push_back((*effect_id, file.clone(), Some(contents.clone())));
            }
            Effect::Remove(effect_id, file) => {
                let is_key = matches!(file, StateFile::Identity(..));
                if is_key && !self.is_over && !self.is_approved {
                    return Err(Broken::new("BIND-6", "a key goes, and nothing takes its place"));
                }
                self.files.push_back((*effect_id, file.clone(), None));
            }
            Effect::Http(EffectId::Pairing(life, effect_id), _) => {
                self.pairing = Unhashed(life.0);
                let (kind, number) = match effect_id {
                    pairing::EffectId::Mint(number) => (Kind::Mint, number),
                    pairing::EffectId::Poll(number) => (Kind::Poll, number),
                    pairing::EffectId::KeySet(number) => (Kind::Keys, number),
                    pairing::EffectId::Save | pairing::EffectId::Forget => return Ok(()),
                };
                self.codes = self.codes.saturating_add(u8::from(kind == Kind::Mint));
                (self.asked, self.number) = (Some(kind), Unhashed(*number));
            }
            Effect::Http(EffectId::Viewer(life, effect_id), _)
            | Effect::Connect(EffectId::Viewer(life, effect_id), _)
            | Effect::Send(EffectId::Viewer(life, effect_id), _)
            | Effect::Close(EffectId::Viewer(life, effect_id), _) => return self.viewer_asked(*life, *effect_id, asked),
            _ => {}
        }
        Ok(())
    }

    fn viewer_asked(&mut self, life: Incarnation, effect_id: uplink::EffectId, asked: &Effect<EffectId>) -> Result<(), Broken> {
        self.viewer = Unhashed(life.0);
        if matches!(asked, Effect::Connect(..)) {
            if self.durable.is_empty() {
                return Err(Broken::new("PAIR-8", "it connects with what is not durable"));
            }
            self.is_over = false;
        }
        let asked = asked.clone().map_id(|_| effect_id);
        self.counts.asked(&asked);
        match self.ends.asked(&asked).map(|frame| frame.head) {
            Some(Head::Rotate { .. }) if !self.durable.contains(&2) => {
                Err(Broken::new("PAIR-8", "a renewed credential is shown that is not durable"))
            }
            Some(Head::Peer { .. }) => Err(Broken::new("ISO-6", "a key is asked for without a reason")),
            _ => Ok(()),
        }
    }
}
