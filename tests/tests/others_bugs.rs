//! Bugs that others had, one test each. Those that a machine's own tests already name:
//!
//! | bug | test |
//! |---|---|
//! | `slow_down` fatal, or ignored | `pairing::tests::slow_down_lengthens_the_interval_for_good` |
//! | a missing interval is a busy loop; the request's own time is not counted | `pairing::tests::polls_start_an_interval_apart` |
//! | expiry ignored | `pairing::tests::the_expiry_ends_a_poll_that_goes_on_for_ever` |
//! | HTML or 5xx ends the login | `pairing::tests::trouble_never_ends_an_attempt` |
//! | a burst after a suspend | `pairing::tests::a_suspend_causes_one_poll_or_the_end`, `link::tests::a_suspend_leads_to_one_reconnect` |
//! | accept-then-close drives a reconnect storm | `models::link::a_relay_that_hangs_up_is_left_in_peace` |
//! | garbage clears a pending handshake | `handshake::initiator::tests::garbage_does_not_clear_a_pending_handshake` |
//! | a nonce advances on a failed decryption | `crypto::noise::tests::a_failed_open_leaves_the_nonce_as_it_was` |
//! | a PSK is chosen before the static key is known | `handshake::responder::tests::a_psk_cannot_be_chosen_before_the_static_key_is_known` |
//! | what is not allowed passes to every org | `models::consent::without_a_grant_nothing_streams` |
//! | a committed `local.yaml` grants | `world::directories::a_file_without_a_grant_streams_nothing` |
//! | `streaming: disabled` not read | `consent::tests::the_nearest_file_decides_even_against_streaming` |
//! | one id or key for every organization | `world::isolation::two_orgs_share_nothing` |

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    Entropy, JitterRng, Machine, Reason, SessionId, Status,
    api::{PairingMode, RelayEndpoint},
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Scope},
    },
    device::{
        bridge::SourceId,
        consent::{Directory, File, Looked},
        control::{Attach, Attached, PairEvent},
        daemon::{self, Daemon, Settings, StoredState},
        files::{Config, Document, Grant, Grants, IdentityFile, Unknown},
        session::{self, Session},
    },
    effect::{Effect, IoEvent, StateFile},
    jose::JwkSet,
    key::StaticKey,
    machine::backoff::Backoff,
    noise::Symbolic,
    relay::hub::{Confirmed, ConnectionId, Hub, Input, Kind, Output, VIEWER_WINDOW},
    secret::SecretText,
    wire::{Content, Frame, Head, Title},
};
use serde_json::json;
use verification::{
    models::{
        START,
        bench::Bench,
        given::{self, id, identity, secret},
    },
    world::World,
};

// Device polling

/// Approved in the browser and never noticed: also when the network is away at that moment (S14, S15).
#[test]
fn an_approval_is_noticed() {
    for is_away in [false, true] {
        let mut world = World::with(&["acme"]);
        world.pair(PairingMode::New, None).unwrap();
        world.pass(Duration::from_secs(100));
        world.set_online(!is_away);
        world.approve("acme");
        world.pass(Duration::from_secs(20));
        world.set_online(true);
        world.pass(Duration::from_secs(5));
        assert!(matches!(world.laptop.pairing.last(), Some(PairEvent::Paired { .. })), "away: {is_away}");
    }
}

/// The login never reaches the running daemon (S40): it is connected and takes sessions without a restart.
#[test]
fn a_login_reaches_the_running_daemon() {
    let mut world = World::with(&["acme"]);
    let life = world.laptop.life;
    world.pair_with("acme", PairingMode::New);
    assert_eq!(world.laptop.life, life);
    assert!(world.is_connected("acme"));
    world.bind("/work", "acme").unwrap();
    let run = world.run("/work");
    assert_eq!(world.laptop.runs[run].org(), Some(&world.org("acme")));
}

// Timers

/// A fired timer that is not cleared spins: in a whole day without work a daemon wakes for its pings and little else.
#[test]
fn a_fired_timer_is_cleared() {
    let mut world = World::with(&["acme"]);
    world.pair_with("acme", PairingMode::New);
    let (until, mut wakes) = (world.now.after(Duration::from_hours(2)), 0);
    while world.now < until {
        let before = world.now;
        world.wait();
        world.settle();
        assert!(world.laptop.daemon().poll_timeout().is_some_and(|deadline| deadline.at > world.now), "L2");
        wakes += usize::from(world.now > before);
    }
    // Two pings in 20 s, from either side, and a renewal in each hour.
    assert!(wakes <= 2 * 7_200 / 20 + 50, "{wakes} wakes");
}

/// A backoff in floating point drifts: ceilings are exact powers, and no wait is longer, for as many attempts as there may be.
#[test]
fn a_backoff_does_not_drift() {
    let backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_hours(1_000_000) };
    let mut jitter = JitterRng::new(1);
    for attempt in 1..=32 {
        let exact = Duration::from_millis(1 << (attempt - 1));
        assert_eq!(backoff.ceiling(attempt), exact);
        assert!((0..50).all(|_| backoff.wait(attempt, &mut jitter) <= exact));
    }
    assert_eq!(backoff.ceiling(u32::MAX), backoff.ceiling(32));
}

// Connection

/// One organization whose server is down keeps the others offline (S137).
#[test]
fn a_server_that_is_down_keeps_no_other_org_offline() {
    let mut world = World::with(&["acme", "oss"]);
    world.pair_with("acme", PairingMode::New);
    world.pair_with("oss", PairingMode::Add);
    world.relay("acme").is_up = false;
    world.restart_relay("acme");
    world.kill();
    world.boot();
    world.pass(Duration::from_secs(1));
    assert!(!world.is_connected("acme") && world.is_connected("oss"));
}

fn confirmed(target: &str, kind: Kind) -> Confirmed {
    Confirmed { org: id("A"), target: id(target), kind }
}

fn daemon_kind() -> Kind {
    Kind::Daemon(SecretText::new("token"))
}

const SESSION: SessionId = SessionId([7; 16]);

fn data(sequence: u64, len: usize) -> Frame {
    Frame { head: Head::Data { session: SESSION, epoch: 0, sequence }, body: Bytes::from(vec![b'x'; len]) }
}

/// A new connection is refused because the dead one still counts (LINK-2): the dead one goes, the new one is served.
#[test]
fn a_dead_connection_makes_room() {
    let mut hub = Bench::new(Hub::new());
    hub.tell(Input::Confirmed(ConnectionId(1), confirmed("r", daemon_kind())));
    hub.tell(Input::Received(ConnectionId(1), Head::Open { session: SESSION, cipher: 1 }.into()));
    let said = hub.tell(Input::Confirmed(ConnectionId(2), confirmed("r", daemon_kind())));
    assert!(said.iter().any(|(_, output)| *output == Output::Close(ConnectionId(1), Reason::Superseded)));
    assert!(!said.iter().any(|(_, output)| matches!(output, Output::Close(ConnectionId(2), _))));
    let said = hub.tell(Input::Received(ConnectionId(2), Head::Open { session: SESSION, cipher: 1 }.into()));
    let resumes = |output: &Output| matches!(output, Output::Send(ConnectionId(2), Frame { head: Head::Resume { .. }, .. }));
    assert!(said.iter().any(|(_, output)| resumes(output)));
    // What the dead one still had under way is ignored.
    assert!(hub.tell(Input::Received(ConnectionId(1), data(0, 30))).is_empty());
}

fn a_session() -> Bench<Session> {
    let scope = Scope { org: id("A"), session: SESSION, cipher: Cipher::Aes256Gcm };
    Bench::new(Session::new(&PureRust, scope, EpochSecret::new(secret(1)), START))
}

fn output(text: &str) -> session::Input {
    session::Input::Push(Content::Output(Bytes::copy_from_slice(text.as_bytes())))
}

/// A resume that finds no buffer: where everything was acknowledged it goes on, and where something is missing it says so
/// instead of leaving a gap.
#[test]
fn a_resume_that_finds_no_buffer_goes_on_or_says_so() {
    for (next, works) in [(2, true), (1, false)] {
        let mut bench = a_session();
        bench.tell(output("a"));
        bench.tell(output("b"));
        bench.tell(session::Input::Attached);
        bench.tell(session::Input::Frame(Head::Resume { session: SESSION, next: 0 }.into()));
        bench.tell(session::Input::Frame(Head::Acknowledge { session: SESSION, next: 2 }.into()));
        assert_eq!(bench.machine.pending_bytes(), 0);
        bench.tell(session::Input::Detached);
        bench.tell(session::Input::Attached);
        bench.tell(session::Input::Frame(Head::Resume { session: SESSION, next }.into()));
        if works {
            let said = bench.tell(output("c"));
            assert!(matches!(said, [(_, session::Output::Send(Frame { head: Head::Data { sequence: 2, .. }, .. }))]), "{said:?}");
        } else {
            assert_eq!(bench.machine.status(), Status::Failed(&Reason::RecordsLost));
        }
    }
}

// Handshake

/// Key lengths padded or cut: a key of another length than 32 bytes is none, wherever it comes from.
#[test]
fn keys_of_another_length_are_none() {
    for len in [0, 1, 31, 33, 64] {
        let text = data_encoding::BASE64URL_NOPAD.encode(&vec![9; len]);
        assert_eq!(StaticKey::from_base64url(&text), None, "{len}");
        let relay = json!({ "url": "wss://relay.example/ws", "static_keys": [text] });
        assert!(serde_json::from_value::<RelayEndpoint>(relay).is_err(), "{len}");
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": given::platform_key().kid().to_string(), "x": text });
        let keys = JwkSet::parse(json!({ "keys": [key] }).to_string().as_bytes());
        assert!(keys.is_ok_and(|keys| keys.is_empty()), "{len}");
        let mut identity: serde_json::Value =
            serde_json::from_slice(IdentityFile::new(secret(1)).write().unwrap().expose()).unwrap();
        identity["seed"] = text.into();
        assert!(IdentityFile::parse(identity.to_string().as_bytes()).is_err(), "{len}");
    }
}

// Streaming

fn a_daemon() -> Bench<Daemon<Symbolic>> {
    let device = identity(1);
    let config = Config { bindings: vec![given::record(&device, "A", "r")], ..Config::default() };
    let mut grants = Grants::default();
    let grant = Grant { org_id: id("A"), recursive: false, bound_at: "then".into(), unknown: Unknown::new() };
    grants.directories.insert("/a".into(), grant);
    let key = IdentityFile::new(device.seed().clone()).write().unwrap();
    let found = StoredState {
        config: Some(config.write().unwrap()),
        identities: vec![(StateFile::Identity(id("A"), 0), key)],
        grants: Some(grants.write().unwrap()),
        ..StoredState::default()
    };
    let settings = Settings { host: "laptop".into(), version: "0".into(), pid: 1, api_endpoint: None, aes_in_hardware: false };
    Bench::new(Daemon::boot(START, given::clock(), &found, settings, JitterRng::new(1)).unwrap())
}

/// The binding is read again for each frame, so a session migrates and the hot path reads files: once a session has started,
/// nothing in its directory is looked at any more.
#[test]
fn nothing_is_looked_up_for_a_frame() {
    let mut bench = a_daemon();
    let title = Title { command: "sh".into(), directory: "/a".into(), started: 0, columns: 80, rows: 24 };
    let attach = Attach::Start { directory: "/a".into(), title };
    bench.tell(daemon::Input::Attach(SourceId(1), attach, Entropy::new([3; 32])));
    let local = "org_id: A\nstreaming: enabled\nbound_at: \"then\"\n";
    for _ in 0..8 {
        let asked = bench.said.iter().rev().find_map(|(_, output)| match output {
            daemon::Output::Look(task_id, directory) => Some((*task_id, directory.clone())),
            _ => None,
        });
        let Some((task_id, directory)) = asked else { break };
        let local = if directory == Directory::parse("/a").unwrap() { File::Contents(local.into()) } else { File::Absent };
        let looked = Looked { directory, is_repository: false, local, workspace: File::Absent, ignore: File::Absent };
        bench.tell(daemon::Input::Looked(task_id, looked));
        let pin = bench.said.iter().rev().find_map(|(_, output)| match output {
            daemon::Output::Effect(Effect::Store(effect_id @ daemon::EffectId::Pin(_), ..)) => Some(effect_id.clone()),
            _ => None,
        });
        if let Some(pin) = pin {
            bench.tell(daemon::Input::Io(IoEvent::Stored(pin)));
            break;
        }
    }
    let session = bench.said.iter().find_map(|(_, output)| match output {
        daemon::Output::Attached(_, Attached::Streaming { session, .. }) => Some(*session),
        _ => None,
    });
    let session = session.expect("it streams");
    let before = bench.said.len();
    for sequence in 0..1_000 {
        let frame = Frame { head: Head::Data { session, epoch: 0, sequence }, body: Bytes::from_static(&[1; 40]) };
        bench.tell(daemon::Input::Frame(SourceId(1), frame));
    }
    bench.pass(Duration::from_mins(1));
    let reads = |output: &daemon::Output| matches!(output, daemon::Output::Look(..) | daemon::Output::Change(..));
    assert!(!bench.said[before..].iter().any(|(_, output)| reads(output)));
}

/// A burst is answered with a disconnect (SES-3): a viewer that takes nothing is sent its window, not closed, and gets the rest
/// when it takes.
#[test]
fn a_burst_is_answered_with_back_pressure() {
    let mut hub = Bench::new(Hub::new());
    hub.tell(Input::Confirmed(ConnectionId(1), confirmed("r", daemon_kind())));
    hub.tell(Input::Received(ConnectionId(1), Head::Open { session: SESSION, cipher: 1 }.into()));
    hub.tell(Input::Confirmed(ConnectionId(2), confirmed("v", Kind::Viewer)));
    hub.tell(Input::Received(ConnectionId(2), Head::Resume { session: SESSION, next: 0 }.into()));
    for sequence in 0..2_000 {
        hub.tell(Input::Received(ConnectionId(1), data(sequence, 4_000)));
    }
    let sent = |output: &Output| match output {
        Output::SendTail(ConnectionId(2), frame) | Output::Send(ConnectionId(2), frame) => frame.body.len(),
        _ => 0,
    };
    let to_viewer: usize = hub.said.iter().map(|(_, output)| sent(output)).sum();
    assert!(to_viewer > 0 && to_viewer <= VIEWER_WINDOW + 4_096, "{to_viewer} bytes");
    assert!(!hub.said.iter().any(|(_, output)| matches!(output, Output::Close(..))));
    // The daemon is held back as well while the store is behind, and not disconnected.
    assert!(hub.said.iter().any(|(_, output)| *output == Output::PauseReading(ConnectionId(1))));
}

/// An idle table forgets a live session after 30 minutes: after hours of silence it goes on.
#[test]
fn an_idle_session_is_not_forgotten() {
    let mut world = World::with(&["acme"]);
    world.pair_with("acme", PairingMode::New);
    world.bind("/work", "acme").unwrap();
    let run = world.run("/work");
    world.show(run, "before");
    world.settle();
    world.pass(Duration::from_hours(3));
    world.show(run, "after");
    world.settle();
    let session = world.laptop.runs[run].id().unwrap();
    assert_eq!(world.relay("acme").session(session).unwrap().records.len(), 2);
}
