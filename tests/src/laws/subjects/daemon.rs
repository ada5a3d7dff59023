use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, JitterRng, Reason,
    api::PairingMode,
    device::{
        bridge::SourceId,
        consent::{Directory, File, Looked},
        control::{Attach, Attached, PairRequest, UnpairRequest},
        daemon::{Bind, Daemon, EffectId, Input, Output, Request, RequestId, Settings, StoredState, TaskId},
        files::{Config, Document, Grant, Grants, IdentityFile, Unknown},
    },
    effect::{Effect, IoEvent, StateFile},
    noise::Symbolic,
    wire::{Frame, Title},
};

use super::{
    device::{answered, asked, body, device_fates, frames, session},
    world::{Fate, ISSUER, clock, latest, parsed, recent, secret},
};
use crate::fixtures::durable_record;
use crate::laws::{START, Subject};

pub struct Whole;

#[derive(Clone, Debug)]
pub enum Fact {
    Io { back: usize, fate: Fate<()> },
    Welcomed,
    Pair(PairingMode),
    Cancel,
    Unpair(Option<&'static str>),
    Bind(&'static str),
    Unbind(&'static str),
    Reconnect,
    Start(u64),
    Again { source: u64, back: usize },
    Frame(u64, Frame),
    Detach(u64),
    Looked,
    Changed(bool),
}

impl Subject for Whole {
    type Machine = Daemon<Symbolic>;
    type Fact = Fact;
    const FLOOD: usize = 16_384;
    /// Requests and sessions that wait for a disk which never answers.
    const MAX_DEBUG: usize = 8 * 1024 * 1024;

    fn start(&self, seed: u64) -> Self::Machine {
        let config = Config { bindings: vec![durable_record("A", 1), durable_record("B", 2)], ..Config::default() };
        let key = |org: &str, seed| {
            let file = StateFile::Identity(parsed(org), 0);
            (file, IdentityFile::new(secret(seed)).write().unwrap())
        };
        let mut grants = Grants::default();
        let (org_id, bound_at) = (parsed("A"), String::from("then"));
        grants.directories.insert("/a".into(), Grant { org_id, recursive: false, bound_at, unknown: Unknown::new() });
        let found = StoredState {
            config: Some(config.write().unwrap()),
            identities: vec![key("A", 1), key("B", 2)],
            pending: None,
            grants: Some(grants.write().unwrap()),
            organization_keys: Vec::new(),
            sessions: Vec::new(),
            spools: BTreeMap::new(),
        };
        let settings = Settings {
            host: "laptop".into(),
            version: "0".into(),
            pid: 1,
            api_endpoint: Some(ISSUER.into()),
            aes_in_hardware: seed.is_multiple_of(2),
        };
        Daemon::boot(START, clock(), &found, settings, JitterRng::new(seed)).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let directories = || proptest::sample::select(&["/a", "/a/b", "/c"]);
        let orgs = proptest::option::of(proptest::sample::select(&["A", "b", "C"]));
        let modes = proptest::sample::select(&[PairingMode::New, PairingMode::Add, PairingMode::Replace]);
        prop_oneof![
            24 => (recent(), device_fates()).prop_map(|(back, fate)| Fact::Io { back, fate }),
            6 => Just(Fact::Welcomed),
            2 => modes.prop_map(Fact::Pair),
            1 => Just(Fact::Cancel),
            1 => orgs.prop_map(Fact::Unpair),
            2 => directories().prop_map(Fact::Bind),
            2 => directories().prop_map(Fact::Unbind),
            1 => Just(Fact::Reconnect),
            4 => (0_u64..3).prop_map(Fact::Start),
            2 => (0_u64..3, recent()).prop_map(|(source, back)| Fact::Again { source, back }),
            3 => (0_u64..3, frames()).prop_map(|(source, frame)| Fact::Frame(source, frame)),
            1 => (0_u64..3).prop_map(Fact::Detach),
            8 => Just(Fact::Looked),
            4 => any::<bool>().prop_map(Fact::Changed),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            4 => any::<u64>().prop_map(Fact::Start),
            4 => Just(Fact::Bind("/c")),
            1 => Just(Fact::Reconnect)
        ]
        .boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        // A number for each request, as a driver gives them.
        let id = RequestId(said.len() as u64);
        match fact {
            Fact::Io { back, fate } => {
                let effect = |output: &Output| match output {
                    Output::Effect(effect) => Some(asked(effect)),
                    _ => None,
                };
                let nobody = (EffectId::Ledger(RequestId(u64::MAX)), String::new());
                let (effect_id, url) = latest(said, *back, effect).unwrap_or(nobody);
                Input::Io(fate.io_event(effect_id, |()| body(&url)))
            }
            Fact::Welcomed => {
                let sent = |output: &Output| match output {
                    Output::Effect(Effect::Send(effect_id, message)) => Some((effect_id.clone(), message.clone())),
                    _ => None,
                };
                match latest(said, 0, sent) {
                    Some((effect_id, message)) => Input::Io(IoEvent::Received(effect_id, answered(Some(&message)))),
                    None => Input::Io(IoEvent::Stored(EffectId::Ledger(id))),
                }
            }
            Fact::Pair(mode) => {
                let request = PairRequest { mode: *mode, org: None, name: None };
                Input::Request(id, Request::Pair(request, Entropy::new([7; 32])))
            }
            Fact::Cancel => Input::Request(id, Request::CancelPairing),
            Fact::Unpair(org) => Input::Request(id, Request::Unpair(UnpairRequest { org: org.map(Into::into) })),
            Fact::Bind(path) => {
                let directory = Directory::parse(path).unwrap();
                Input::Request(id, Request::Bind(Bind::new(directory, Some("A".into()))))
            }
            Fact::Unbind(path) => Input::Request(id, Request::Unbind(Directory::parse(path).unwrap())),
            Fact::Reconnect => Input::Request(id, Request::Reconnect),
            Fact::Start(source) => {
                let title = Title { command: "sh".into(), directory: "/a".into(), started: 0, columns: 80, rows: 24 };
                let attach = Attach::Start { directory: "/a".into(), title };
                Input::Attach(SourceId(*source), attach, Entropy::new([u8::try_from(source % 251).unwrap(); 32]))
            }
            Fact::Again { source, back } => {
                let streams = |output: &Output| match output {
                    Output::Attached(_, Attached::Streaming { session, .. }) => Some(*session),
                    _ => None,
                };
                let session = latest(said, *back, streams).unwrap_or(session(9));
                Input::Attach(SourceId(*source), Attach::Again { session }, Entropy::new([0; 32]))
            }
            Fact::Frame(source, frame) => Input::Frame(SourceId(*source), frame.clone()),
            Fact::Detach(source) => Input::Detach(SourceId(*source)),
            Fact::Looked => {
                let asks = |output: &Output| match output {
                    Output::Look(task_id, directory) => Some((*task_id, directory.clone())),
                    _ => None,
                };
                let nobody = (TaskId::Source(SourceId(99)), Directory::parse("/").unwrap());
                let (task_id, directory) = latest(said, 0, asks).unwrap_or(nobody);
                let granted = "org_id: \"A\"\nstreaming: enabled\nbound_at: \"then\"\n";
                let local = if directory.as_str() == "/a" { File::Contents(granted.into()) } else { File::Absent };
                let (workspace, ignore) = (File::Absent, File::Absent);
                Input::Looked(task_id, Looked { directory, is_repository: false, local, workspace, ignore })
            }
            Fact::Changed(works) => {
                let asks = |output: &Output| match output {
                    Output::Change(task_id, _) => Some(*task_id),
                    _ => None,
                };
                let task_id = latest(said, 0, asks).unwrap_or(TaskId::Request(id));
                Input::Changed(task_id, works.then_some(()).ok_or(Reason::StateNotWritten))
            }
        }
    }
}
