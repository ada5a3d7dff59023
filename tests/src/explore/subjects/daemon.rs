//! `daemon`: one binding, one directory that is bound and one that is not, sessions that start in both, and a disk.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proto_core::{
    BindingId, Entropy, JitterRng, SessionId, Unhashed, WallClock,
    device::{
        bridge::SourceId,
        consent::{Directory, File, Looked},
        control::{Attach, Attached, Report, UnpairRequest},
        daemon::{Daemon, EffectId, Input, Output, Request, RequestId, Settings, StoredState, TaskId},
        files::{Config, Document, Grant, Grants, IdentityFile, Unknown},
        incarnation::Incarnation,
        link::LinkState,
    },
    effect::{Effect, IoEvent, StateFile},
    noise::Symbolic,
    wire::{Frame, Head, Title},
};

use super::{
    effect,
    link::name_of,
    net::{Counts, Ends, Net, TURNS},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{ISSUER, UNIX, clock, durable_record, parsed, secret},
    laws::START,
};

/// The whole daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whole;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Net(Net),
    /// The oldest change of the disk is durable.
    Stored,
    NotStored,
    /// A session starts in the directory that is bound.
    StartBound,
    /// One starts where nothing is bound.
    StartElsewhere,
    /// What stands in the directory that is asked about.
    Looked,
    /// The first record of the session that streams.
    Data,
    /// One of the session that does not.
    DataElsewhere,
    Detach,
    Unpair,
    Unbind,
    Changed,
    Reconnect,
    Woke,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    ends: Ends,
    counts: Counts,
    life: Unhashed<u32>,
    files: VecDeque<EffectId>,
    look: Option<(TaskId, Directory)>,
    change: Option<TaskId>,
    session: Option<SessionId>,
    inputs: u8,
    was_cut: bool,
}

const BOUND: SourceId = SourceId(1);
const ELSEWHERE: SourceId = SourceId(2);

fn binding() -> BindingId {
    BindingId { org: parsed("A"), runtime_target: parsed("r1") }
}

fn title() -> Title {
    Title { command: "sh".into(), directory: "/a".into(), started: 0, columns: 80, rows: 24 }
}

impl Subject for Whole {
    type Machine = Daemon<Symbolic>;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "daemon";
    const MAX_OUTPUTS: usize = 16;

    fn bounds(&self) -> String {
        "one org, one bound directory, a session in it and one elsewhere; two connections, one fetch of the key set, three deadlines, or fewer when the driver misses one by an hour, three requests and frames".into()
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let config = Config { bindings: vec![durable_record("A", 1)], ..Config::default() };
        let mut grants = Grants::default();
        let (org_id, bound_at) = (parsed("A"), String::from("then"));
        grants.directories.insert("/a".into(), Grant { org_id, recursive: false, bound_at, unknown: Unknown::new() });
        let key = IdentityFile::new(secret(1)).write().expect("a file");
        let found = StoredState {
            config: Some(config.write().expect("a file")),
            identities: vec![(StateFile::Identity(parsed("A"), 0), key)],
            pending: None,
            grants: Some(grants.write().expect("a file")),
            organization_keys: Vec::new(),
            sessions: Vec::new(),
            spools: BTreeMap::new(),
        };
        let settings = Settings {
            host: "laptop".into(),
            version: "0".into(),
            pid: 1,
            api_endpoint: Some(ISSUER.into()),
            aes_in_hardware: true,
        };
        let daemon = Daemon::boot(START, clock(), &found, settings, JitterRng::constant(0)).expect("good files");
        let memory = Memory {
            ends: Ends::default(),
            counts: Counts::default(),
            life: Unhashed(0),
            files: VecDeque::new(),
            look: None,
            change: None,
            session: None,
            inputs: 0,
            was_cut: false,
        };
        vec![(daemon, memory)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let memory = &at.memory;
        if memory.is_beyond() {
            return Vec::new();
        }
        let links =
            [Net::Connected, Net::ConnectFails, Net::Closed, Net::Welcome, Net::RefusedRevoked, Net::Garbage, Net::Revoke];
        let nets = links.into_iter().filter(|net| !net.is_frame() || memory.counts.frames < 1).map(Fact::Net);
        let own =
            [Fact::StartBound, Fact::StartElsewhere, Fact::Data, Fact::DataElsewhere, Fact::Detach, Fact::Unpair, Fact::Unbind];
        let own = own.into_iter().filter(|_| memory.inputs < 3);
        let answers = [Fact::Stored, Fact::NotStored, Fact::Looked, Fact::Changed, Fact::Reconnect, Fact::Woke];
        nets.chain(own).chain(answers).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        if at.memory.is_beyond() { Vec::new() } else { vec![Action::Early, Action::Due, Action::Late] }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let memory = &at.memory;
        let oldest = memory.files.front().cloned().unwrap_or(EffectId::Ledger(RequestId(99)));
        let start = |source, directory: &str, seed| {
            Input::Attach(source, Attach::Start { directory: directory.into(), title: title() }, Entropy::new([seed; 32]))
        };
        let data = |source, session| {
            let head = Head::Data { session, epoch: 0, sequence: 0 };
            Input::Frame(source, Frame { head, body: Bytes::from_static(&[b'x'; 40]) })
        };
        match fact {
            Fact::Net(net) => {
                let (effect_id, io_event) = memory.ends.io_event(*net).1.take_id();
                Input::Io(io_event.with_id(EffectId::Bridge(binding().into(), Incarnation(memory.life.0), effect_id)))
            }
            Fact::Stored => Input::Io(IoEvent::Stored(oldest)),
            Fact::NotStored => Input::Io(IoEvent::NotStored(oldest)),
            Fact::StartBound => start(BOUND, "/a", 1),
            Fact::StartElsewhere => start(ELSEWHERE, "/c", 2),
            Fact::Looked => {
                let nobody = || (TaskId::Request(RequestId(99)), Directory::parse("/").expect("a path"));
                let (task_id, directory) = memory.look.clone().unwrap_or_else(nobody);
                let granted = "org_id: \"A\"\nstreaming: enabled\nbound_at: \"then\"\n";
                let local = if directory.as_str() == "/a" { File::Contents(granted.into()) } else { File::Absent };
                let (workspace, ignore) = (File::Absent, File::Absent);
                Input::Looked(task_id, Looked { directory, is_repository: false, local, workspace, ignore })
            }
            Fact::Data => data(BOUND, memory.session.unwrap_or(SessionId([9; 16]))),
            Fact::DataElsewhere => data(ELSEWHERE, memory.session.unwrap_or(SessionId([9; 16]))),
            Fact::Detach => Input::Detach(BOUND),
            Fact::Unpair => Input::Request(RequestId(1), Request::Unpair(UnpairRequest { org: Some("A".into()) })),
            Fact::Unbind => Input::Request(RequestId(2), Request::Unbind(Directory::parse("/a").expect("a path"))),
            Fact::Changed => Input::Changed(memory.change.unwrap_or(TaskId::Request(RequestId(99))), Ok(())),
            Fact::Reconnect => Input::Request(RequestId(3), Request::Reconnect),
            Fact::Woke => unreachable!("it has a reading"),
        }
    }

    /// A suspend that is just long enough to be noticed.
    fn reading(&self, fact: &Fact) -> Option<WallClock> {
        (*fact == Fact::Woke).then(|| WallClock::new(START, UNIX.plus(5)))
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Fact::Net(net)) => {
                memory.counts.heard(*net);
                let is_up = |report: Report| report.bindings.iter().any(|binding| binding.link == LinkState::Connected);
                memory.ends.heard(*net, is_up(seen.before.report()));
            }
            None => memory.counts.turned(seen),
            Some(Fact::Stored | Fact::NotStored) => drop(memory.files.pop_front()),
            Some(Fact::Looked) => memory.look = None,
            Some(Fact::Changed) => memory.change = None,
            Some(Fact::Reconnect | Fact::Woke) => {}
            Some(_) => memory.inputs += 1,
        }
        seen.outputs.iter().try_for_each(|output| memory.judge(output))
    }

    fn state(&self, machine: &Self::Machine) -> String {
        let report = machine.report();
        let binding = report.bindings.first().map_or_else(|| "no binding".into(), |binding| format!("{:?}", binding.link));
        format!("{binding}, {} sessions", report.sessions.len())
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::Answer(_, answer) => format!("Answer({})", if answer.is_ok() { "done" } else { "refused" }),
            Output::Attached(_, Attached::Streaming { .. }) => "Attached(Streaming)".into(),
            Output::Attached(_, other) => format!("Attached({})", name_of_attached(other)),
            Output::ToSource(_, frame) => format!("ToSource({})", name_of(&frame.head)),
            Output::Look(..) => "Look".into(),
            Output::Change(..) => "Change".into(),
            Output::Pairing(_) => "Pairing".into(),
            Output::Log(event) => format!("Log({})", format!("{event:?}").split(['(', ' ']).next().unwrap_or_default()),
        }
    }

    fn ignored(&self, machine: &Self::Machine) -> Vec<(&'static str, u64)> {
        let stats = machine.stats();
        vec![("stale_answers", stats.stale_answers), ("stale_events", stats.stale_events), ("unattached", stats.unattached)]
    }
}

fn name_of_attached(attached: &Attached) -> String {
    format!("{attached:?}").split([' ', '{']).next().unwrap_or_default().into()
}

impl Memory {
    /// Whether this walk goes no further.
    const fn is_beyond(&self) -> bool {
        let Counts { connections, renewals, fetches, turns, .. } = self.counts;
        connections > 2 || renewals > 0 || fetches > 1 || turns >= TURNS
    }

    fn judge(&mut self, output: &Output) -> Result<(), Broken> {
        match output {
            Output::Effect(asked) => return self.asked(asked),
            Output::Look(task_id, directory) => self.look = Some((*task_id, directory.clone())),
            Output::Change(task_id, _) => self.change = Some(*task_id),
            Output::Attached(BOUND, Attached::Streaming { session, .. }) => self.session = Some(*session),
            Output::Attached(_, Attached::Streaming { .. }) => {
                return Err(Broken::new("ISO-6", "a session streams from a directory that is not bound"));
            }
            Output::Log(proto_core::device::daemon::Event::Cut(..)) => self.was_cut = true,
            _ => {}
        }
        Ok(())
    }

    /// ISO-6, ISO-7, BIND-7: nothing of a session leaves before it is pinned, nor after the cut.
    fn asked(&mut self, asked: &Effect<EffectId>) -> Result<(), Broken> {
        if let Effect::Store(effect_id, ..) | Effect::Remove(effect_id, _) = asked {
            self.files.push_back(effect_id.clone());
        }
        let (Effect::Connect(EffectId::Bridge(_, life, of), _)
        | Effect::Send(EffectId::Bridge(_, life, of), _)
        | Effect::Close(EffectId::Bridge(_, life, of), _)
        | Effect::Http(EffectId::Bridge(_, life, of), _)) = asked
        else {
            return Ok(());
        };
        self.life = Unhashed(life.0);
        let of = *of;
        let asked = asked.clone().map_id(|_| of);
        self.counts.asked(&asked);
        let frame = self.ends.asked(&asked);
        match frame.map(|frame| frame.head) {
            Some(head @ (Head::Open { session, .. } | Head::Data { session, .. } | Head::End { session, .. })) => {
                if self.session != Some(session) {
                    return Err(Broken::new("ISO-6", format!("{head:?} of a session that was not let stream")));
                }
                if self.was_cut {
                    return Err(Broken::new("BIND-7", format!("{head:?} after the cut")));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
