//! How often the core asks for memory, counted.
//!
//! Each machine on a frame's way hands one buffer over, and makes nothing else once it is warm:
//!
//! | who | hands over | why |
//! |---|---|---|
//! | `session::Session` | the record | it is kept for a reconnect and sent at the same time |
//! | `link::Link`, `connection::Connection`, sealing | the message | it is handed to the socket |
//! | `link::Link`, `connection::Connection`, opening | the plaintext | the frame that is handed on is a view of it |
//! | `link::Link`, opening a message with a tail | the plaintext of the head | the body is a view of the message |
//! | `viewer::Viewer` | the record's plaintext | the content that is shown is a view of it |
//!
//! A buffer of 4 KiB and more is one that came back (`proto_core::machine::buffer_pool`) and costs no memory; only a message with a
//! tail is always made anew. A shorter one costs a block of memory, and in the session another one: its reference count.
//!
//! Every call of the allocator counts, a growing buffer's too. Not counted are what arrives, which is the adapter's, and what
//! AWS-LC does behind Rust's back, which is why the primitives here are those in Rust.

#[allow(dead_code, unreachable_pub, reason = "the measurements need all of it")]
#[path = "../benches/core/material.rs"]
mod material;

use std::{sync::Arc, time::Duration};

use allocation_counter::measure;
use bytes::Bytes;
use proto_core::{
    BufferPool, Entropy, JitterRng, Machine,
    crypto::{
        Cipher, PureRust, TAG_LEN,
        seal::{Opener, Sealer},
    },
    device::{
        files::MAX_BINDINGS,
        link::{self, Link},
        session::{self, Session},
    },
    effect::{Effect, HttpAnswer, IoEvent},
    noise::{
        InitiatorKeys, Noise, Snow,
        channel::{Channel, Tails},
    },
    relay::{
        admission::KeyAnswer,
        connection::{self, Connection, EffectId},
    },
    secret::SecretBytes,
    wire::{Content, Frame, Head, MAX_RECORD_CONTENT, Preamble, Record, Role, Suite},
};

use material::{SESSION, START, boot, clock, epoch_secret, gate, identity, platform_key, scope, token};

type Real = Snow<PureRust>;

/// Frames before the count begins: queues have grown by then.
const WARM_UP: u64 = 64;

/// Frames that are counted.
const FRAMES: u64 = 1_000;

/// Lengths of content: a keystroke's echo, a screen, the most that a record holds.
const LENGTHS: [usize; 3] = [3, 4_096, MAX_RECORD_CONTENT];

/// From this length on buffers are used again.
const LONG: usize = 4_096;

/// What `work` gives, and how often it asked for memory.
fn counted<T>(count: &mut u64, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    *count += measure(|| result = Some(work())).count_total;
    result.expect("done")
}

/// A session, its daemon's link, and the relay's end of that.
struct Way {
    session: Session,
    link: Link<Real>,
    relay: Connection<Real>,
}

/// Calls of the allocator by caller.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    session: u64,
    link_seals: u64,
    relay_opens: u64,
    relay_seals: u64,
    link_opens: u64,
    session_hears: u64,
}

impl Way {
    fn new(cipher: Cipher) -> Self {
        let mut session = Session::new(&PureRust, scope(cipher), epoch_secret(), START);
        session.handle_input(START, session::Input::Attached).unwrap();
        session.handle_input(START, session::Input::Frame(Head::Resume { session: SESSION, next: 0 }.into())).unwrap();
        while session.poll_output().is_some() {}
        let (link, relay) = admitted(cipher);
        Self { session, link, relay }
    }

    /// One record to the relay, and its acknowledgement back.
    fn frame(&mut self, content: &Content, counts: &mut Counts) {
        let frame = counted(&mut counts.session, || {
            self.session.handle_input(START, session::Input::Push(content.clone())).unwrap();
            let Some(session::Output::Send(frame)) = self.session.poll_output() else { panic!("no frame") };
            frame
        });
        let Head::Data { sequence, .. } = frame.head else { panic!("{frame:?}") };
        let message = counted(&mut counts.link_seals, || {
            self.link.handle_input(START, link::Input::Send(frame)).unwrap();
            sent_by_link(&mut self.link)
        });
        let body = counted(&mut counts.relay_opens, || {
            let received = IoEvent::Received(EffectId::Socket, message);
            self.relay.handle_input(START, connection::Input::Io(received)).unwrap();
            let Some(connection::Output::Frame(frame)) = self.relay.poll_output() else { panic!("no frame") };
            frame.body
        });
        drop(body);
        let durable = Head::Acknowledge { session: SESSION, next: sequence + 1 };
        let message = counted(&mut counts.relay_seals, || {
            self.relay.handle_input(START, connection::Input::Send(durable.into())).unwrap();
            let Some(connection::Output::Effect(Effect::Send(_, message))) = self.relay.poll_output() else {
                panic!("no message")
            };
            self.relay.handle_input(START, connection::Input::Io(IoEvent::Sent(EffectId::Socket, 1))).unwrap();
            while self.relay.poll_output().is_some() {}
            message
        });
        let frame = counted(&mut counts.link_opens, || {
            self.link.handle_input(START, link::Input::Io(IoEvent::Received((), message))).unwrap();
            let Some(link::Output::Received(frame)) = self.link.poll_output() else { panic!("no frame") };
            frame
        });
        counted(&mut counts.session_hears, || self.session.handle_input(START, session::Input::Frame(frame)).unwrap());
    }
}

fn sent_by_link(link: &mut Link<Real>) -> Bytes {
    let Some(link::Output::Effect(Effect::Send((), message))) = link.poll_output() else { panic!("no message") };
    message
}

/// A daemon's link and its relay's connection, past the admission.
fn admitted(cipher: Cipher) -> (Link<Real>, Connection<Real>) {
    let config = link::Config {
        role: Role::Daemon,
        url: "wss://relay.example/ws".into(),
        relay_keys: vec![identity(2).static_key()],
        identity: identity(1),
        psk: None,
        token: token("org", "target"),
        software: "vpd".into(),
        aes_in_hardware: cipher == Cipher::Aes256Gcm,
    };
    let mut link = Link::<Real>::new(config, JitterRng::new(1), START);
    let keys = identity(2).static_keys().clone();
    let settings = connection::Settings { gate: gate(), keys, frame_max: 1 << 20, software: "relay".into() };
    let mut relay = Connection::<Real>::new(START, Arc::new(settings), clock(), &Entropy::new([6; 32]));
    link.handle_timeout(START);
    link.handle_input(START, link::Input::Io(IoEvent::Connected((), Entropy::new([3; 32])))).unwrap();
    while !(link.is_up() && relay.stage() == Some(connection::Stage::Admitted)) {
        for message in messages_of_link(&mut link) {
            relay.handle_input(START, connection::Input::Io(IoEvent::Received(EffectId::Socket, message))).unwrap();
        }
        while let Some(output) = relay.poll_output() {
            answer(&mut link, &mut relay, output);
        }
    }
    while link.poll_output().is_some() {}
    relay.handle_input(START, connection::Input::Io(IoEvent::Sent(EffectId::Socket, 8))).unwrap();
    while relay.poll_output().is_some() {}
    (link, relay)
}

fn messages_of_link(link: &mut Link<Real>) -> Vec<Bytes> {
    let outputs = std::iter::from_fn(|| link.poll_output());
    outputs
        .filter_map(|output| if let link::Output::Effect(Effect::Send((), message)) = output { Some(message) } else { None })
        .collect()
}

/// What the platform, the key set and the device say to what the relay wants.
fn answer(link: &mut Link<Real>, relay: &mut Connection<Real>, output: connection::Output) {
    let input = match output {
        connection::Output::LookUp(effect_id, _) => {
            connection::Input::Key(effect_id, KeyAnswer::Found(platform_key().public_key()))
        }
        connection::Output::Effect(Effect::Http(effect_id, _)) => {
            let body = SecretBytes::new(r#"{"active":true,"policy_mode":"standard"}"#);
            connection::Input::Io(IoEvent::Answered(effect_id, HttpAnswer { status: 200, retry_after: None, date: None, body }))
        }
        connection::Output::Effect(Effect::Send(_, message)) => {
            return link.handle_input(START, link::Input::Io(IoEvent::Received((), message))).unwrap();
        }
        connection::Output::Confirmed(_) => return,
        other => panic!("{other:?}"),
    };
    relay.handle_input(START, input).unwrap();
}

/// D14's way out and the acknowledgement's way back: where a frame is short, one buffer for each machine that hands bytes over;
/// where it is long, none.
#[test]
fn a_frame_costs_one_buffer_per_machine_and_nothing_else() {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let mut way = Way::new(cipher);
        for length in LENGTHS {
            let content = Content::Output(Bytes::from(vec![b'x'; length]));
            (0..WARM_UP).for_each(|_| way.frame(&content, &mut Counts::default()));
            let mut counts = Counts::default();
            (0..FRAMES).for_each(|_| way.frame(&content, &mut counts));
            // The acknowledgement is always short.
            let each = if length < LONG { FRAMES } else { 0 };
            let expected = Counts {
                session: 2 * each,
                link_seals: each,
                relay_opens: each,
                relay_seals: FRAMES,
                link_opens: FRAMES,
                session_hears: 0,
            };
            assert_eq!(counts, expected, "{cipher:?}, {length} bytes");
        }
    }
}

/// From the relay to a viewer: the body stands beside the segment, and is not opened before its record is.
#[test]
fn a_record_costs_a_viewer_its_head_and_its_plaintext() {
    for length in LENGTHS {
        let (mut relay, mut viewer) = channels();
        let mut sealer = Sealer::new(&PureRust, scope(Cipher::Aes256Gcm), 0, epoch_secret(), 0);
        let mut opener = Opener::new(&PureRust, scope(Cipher::Aes256Gcm), 0, epoch_secret());
        let content = Content::Output(Bytes::from(vec![b'x'; length]));
        let (mut buffers, [mut seals, mut opens, mut shows]) = (BufferPool::default(), [0; 3]);
        for sequence in 0..FRAMES {
            let mut body = Vec::new();
            sealer.seal(sequence, &Record { at: Duration::ZERO, content: content.clone() }.encode(), &mut body).unwrap();
            let frame = Frame { head: Head::Data { session: SESSION, epoch: 0, sequence }, body: body.into() };
            let message = counted(&mut seals, || relay.seal_with_tail(&frame).unwrap());
            // What an adapter hands over is a view into what it reads into, so it has its reference count already.
            let _read_buffer = message.clone();
            let frame = counted(&mut opens, || viewer.open(&message).unwrap());
            let record = counted(&mut shows, || {
                let mut plaintext = buffers.buffer(frame.body.len() - TAG_LEN);
                opener.open_to(0, sequence, &frame.body, &mut plaintext).unwrap();
                Record::take(buffers.hand_out(plaintext)).unwrap()
            });
            assert_eq!(record.content, content);
            if sequence + 1 == WARM_UP {
                [seals, opens, shows] = [0; 3];
            }
        }
        let counted = FRAMES - WARM_UP;
        assert_eq!([seals, opens, shows], [counted, counted, if length < LONG { counted } else { 0 }], "{length} bytes");
    }
}

/// A relay's and a viewer's end of one session.
fn channels() -> (Channel<Real>, Channel<Real>) {
    let [local, remote] = [identity(1), identity(2)];
    let preamble = Preamble { suite: Suite::IkAesGcm, role: Role::Viewer };
    let keys = InitiatorKeys { preamble, local: local.static_keys(), responder: remote.static_key(), psk: None };
    let (mut viewer, first) = Real::initiate(keys, Entropy::new([3; 32]), b"hello").unwrap();
    let (mut relay, _) = Real::respond(remote.static_keys(), Entropy::new([4; 32]), &first).unwrap();
    viewer.read_answer(&relay.answer(None, b"welcome").unwrap()).unwrap();
    (Channel::new(relay, Tails::Refused), Channel::new(viewer, Tails::Accepted))
}

/// ISO-2 in memory: what a daemon holds grows with its bindings and not faster.
#[test]
fn a_daemon_holds_no_more_per_binding_when_there_are_many() {
    let bytes = |bindings: usize| {
        let mut daemon = None;
        let info = measure(|| {
            daemon = Some(boot(bindings, 0));
            let daemon = daemon.as_mut().expect("booted");
            while daemon.poll_output().is_some() {}
        });
        u64::try_from(info.bytes_current).expect("memory is held")
    };
    let [few, many] = [bytes(16), bytes(MAX_BINDINGS)];
    let (few_each, many_each) = (few / 16, many / MAX_BINDINGS as u64);
    println!("a daemon holds {few_each} bytes per binding with 16 bindings, {many_each} with {MAX_BINDINGS}");
    assert!(many_each <= few_each + few_each / 8, "{few_each} bytes each of 16, {many_each} each of {MAX_BINDINGS}");
}
