//! Every machine of the core: a timer that is not due, and an input that it has no use for.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use proto_core::{
    Entropy, JitterRng, Machine, SessionId,
    api::PairingMode,
    crypto::Cipher,
    device::{
        binding::{self, Bindings},
        bridge::{self, Bridge, SourceId},
        consent::{Directory, File, Looked, Resolver},
        credential::{self, Rotation},
        files::Grants,
        link,
        pairing::{self, Pairing},
        session::{self, Session},
        uplink::{self, Uplink},
        viewer::{self, Viewer},
    },
    effect::IoEvent,
    id::DeviceKind,
    keyset::{self, KeySet},
    noise::{
        InitiatorKeys, Snow,
        handshake::{
            Initiator, Responder, initiator,
            responder::{self, Acceptor, Verdict},
        },
    },
    platform::pairing_code::{self, CheckId, Membership, PairingCode},
    relay::{
        admission::{self, Admission, Applicant},
        connection::{self, Connection, EffectId},
        hub::{self, ConnectionId, Hub},
    },
    wire::{Frame, Head, Hello, Pattern, Preamble, Refused, Role, Suite},
};

use crate::{
    Table,
    daemon::Connected,
    material::{
        Fast, ISSUER, SESSION, START, clock, epoch_secret, gate, identity, link, parsed, record, scope, token, uplink_settings,
    },
    measure::{Target, alone, timed},
};

/// How often one thing is done within a round.
const TIMES: u32 = 256;

/// At most a microsecond.
const TARGET: Target = Target::Nanoseconds(1_000.0);

pub(crate) fn measure(table: &Table) {
    devices(table);
    links(table);
    relays(table);
    platforms(table);
}

/// Measures one machine. `ignored` makes an input that changes nothing but a counter.
fn machine<M: Machine>(table: &Table, name: &str, start: impl Fn() -> M, ignored: impl Fn() -> M::Input) {
    table.row(&format!("{name}: a timer that is not due"), |what| {
        let mut machine = drained(start());
        alone(what, TARGET, TIMES, || timed(|| (0..TIMES).for_each(|_| machine.handle_timeout(black_box(START)))))
    });
    table.row(&format!("{name}: an ignored input"), |what| {
        let mut machine = drained(start());
        let inputs = || (0..TIMES).map(|_| ignored()).collect::<Vec<_>>();
        let row = alone(what, TARGET, TIMES, || {
            let inputs = inputs();
            timed(|| inputs.into_iter().for_each(|input| machine.handle_input(START, input).expect("no misuse")))
        });
        assert!(machine.poll_output().is_none(), "{name} did not ignore it");
        row
    });
}

fn drained<M: Machine>(mut machine: M) -> M {
    machine.handle_timeout(START);
    while machine.poll_output().is_some() {}
    machine
}

fn devices(table: &Table) {
    machine(
        table,
        "daemon::Daemon",
        || Connected::new(3, 0).daemon,
        || proto_core::device::daemon::Input::Frame(SourceId(9), Head::Ping { nonce: 1 }.into()),
    );
    machine(
        table,
        "binding::Bindings",
        || Bindings::boot(START, None, [], []).expect("an empty disk"),
        || {
            let binding = proto_core::BindingId { org: parsed("org"), runtime_target: parsed("target") };
            binding::Input::SessionEnded { binding, session: SESSION }
        },
    );
    machine(
        table,
        "bridge::Bridge",
        || {
            Bridge::<Snow<Fast>>::new(START, clock(), &record("org"), identity(1), None, &uplink_settings(), JitterRng::new(1))
                .expect("keys")
        },
        || bridge::Input::Frame(SourceId(9), Head::Ping { nonce: 1 }.into()),
    );
    machine(
        table,
        "session::Session",
        || Session::new(&Fast {}, scope(Cipher::Aes256Gcm), epoch_secret(), START),
        || session::Input::Frame(Head::Ping { nonce: 1 }.into()),
    );
    for sessions in [0, viewer::MAX_SESSIONS] {
        machine(
            table,
            &format!("viewer::Viewer with {sessions} sessions"),
            || watching(sessions),
            || viewer::Input::Io(IoEvent::Stored(uplink::EffectId::Link)),
        );
    }
    let directory = |path| Directory::parse(path).expect("a path");
    machine(
        table,
        "consent::Resolver",
        || Resolver::new(directory("/a/b"), &Grants::default()),
        || {
            let (local, workspace, ignore) = (File::Absent, File::Absent, File::Absent);
            Looked { directory: directory("/c"), is_repository: false, local, workspace, ignore }
        },
    );
}

/// A viewer that wants to see so many sessions.
fn watching(sessions: usize) -> Viewer<Snow<Fast>> {
    let (record, settings) = (record("org"), uplink_settings());
    let (identity, jitter) = (identity(1), JitterRng::new(1));
    let mut viewer = Viewer::new(START, clock(), &record, identity, None, &settings, &Fast {}, jitter).expect("keys");
    for number in 0..sessions as u128 {
        viewer.handle_input(START, viewer::Input::Watch(SessionId(number.to_be_bytes()))).expect("taken");
    }
    viewer
}

fn links(table: &Table) {
    let preamble = Preamble { suite: Suite::IkAesGcm, role: Role::Daemon };
    machine(table, "link::Link", || link::<Fast>(Role::Daemon, true).0, || link::Input::Io(IoEvent::Stored(())));
    machine(
        table,
        "uplink::Uplink",
        || {
            let (record, settings) = (record("org"), uplink_settings());
            Uplink::<Snow<Fast>>::new(START, clock(), Role::Daemon, &record, &identity(1), None, &settings, JitterRng::new(1))
                .expect("keys")
        },
        || uplink::Input::Io(IoEvent::Stored(uplink::EffectId::Link)),
    );
    machine(
        table,
        "handshake::Initiator",
        || {
            let (local, responder) = (identity(1), identity(2).static_key());
            let hello = Hello { token: token("org", "target"), software: "vpd".into() };
            let keys = InitiatorKeys { preamble, local: local.static_keys(), responder, psk: None };
            let mut machine = Initiator::<Snow<Fast>>::start(START, keys, Entropy::new([3; 32]), &hello);
            // While it waits it has a use for everything: it ignores what comes once it has ended.
            machine.handle_input(START, initiator::Input::Closed(None)).expect("taken");
            machine
        },
        || initiator::Input::Received(Bytes::from_static(b"late")),
    );
    machine(
        table,
        "handshake::Responder",
        || Responder::<Snow<Fast>>::new(START, Acceptor::Devices, identity(2).static_keys().clone(), &Entropy::new([4; 32])),
        || {
            let refused = Refused { reason: proto_core::Reason::MachineRevoked, retry_after: 0 };
            responder::Input::Verdict(Verdict::Refuse(refused))
        },
    );
    machine(
        table,
        "credential::Rotation",
        || Rotation::new(START, clock(), ISSUER, identity(1), token("org", "target"), JitterRng::new(1)).expect("a credential"),
        || credential::Input::Io(IoEvent::Stored(credential::EffectId(99))),
    );
    machine(
        table,
        "keyset::KeySet",
        || KeySet::new(START, format!("{ISSUER}/jwks.json"), JitterRng::new(1)),
        || keyset::Input::Io(IoEvent::Stored(keyset::EffectId(99))),
    );
}

fn relays(table: &Table) {
    machine(
        table,
        "admission::Admission",
        || {
            let static_key = identity(1).static_key();
            let applicant = Applicant { role: Role::Daemon, pattern: Pattern::Ik, static_key, token: token("org", "target") };
            Admission::begin(START, gate(), clock(), applicant)
        },
        || admission::Input::Io(IoEvent::Stored(())),
    );
    machine(
        table,
        "connection::Connection",
        || {
            let keys = identity(2).static_keys().clone();
            let settings = connection::Settings { gate: gate(), keys, frame_max: 1 << 20, software: "relay".into() };
            Connection::<Snow<Fast>>::new(START, Arc::new(settings), clock(), &Entropy::new([6; 32]))
        },
        || connection::Input::Io(IoEvent::Stored(EffectId::Socket)),
    );
    machine(table, "hub::Hub", Hub::new, || {
        let head = Head::Data { session: SessionId([1; 16]), epoch: 0, sequence: 0 };
        hub::Input::Received(ConnectionId(9), Frame { head, body: Bytes::from_static(&[b'x'; 40]) })
    });
}

fn platforms(table: &Table) {
    machine(
        table,
        "pairing::Pairing",
        || {
            let settings = pairing::Settings {
                api_endpoint: ISSUER.into(),
                kind: DeviceKind::Daemon,
                mode: PairingMode::New,
                org: None,
                name: "laptop".into(),
                software: "vpd".into(),
            };
            Pairing::start(START, clock(), settings, &Entropy::new([7; 32]))
        },
        || pairing::Input::Io(IoEvent::Stored(pairing::EffectId::Poll(99))),
    );
    machine(
        table,
        "pairing_code::PairingCode",
        || PairingCode::mint(START, None),
        || pairing_code::Input::Checked { check: CheckId(7), standing: Membership::NoMember },
    );
}
