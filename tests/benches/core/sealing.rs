//! What the content of a session costs on its way, next to the two passes of the bare cipher that it cannot do without.
//!
//! ```text
//! seal   content ──► session::Session ──► frame ──► link::Link ──► message         ours
//!        buffer  ──► AEAD in place  ───────────────► AEAD in place                  reference
//! open   message ──► link::Link ──► frame ──► seal::Opener ──► record               ours
//!        buffer  ──► AEAD in place ─────────► AEAD in place                         reference
//! ```
//!
//! The reference takes its bytes where they are and leaves them there: it neither copies nor allocates, numbers nor keeps.

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use proto_core::{
    BufferPool, Machine,
    crypto::{
        AeadKey, Cipher, Primitives, TAG_LEN, Tag,
        seal::{Opener, Sealer},
    },
    device::{
        link::{self, Link},
        session::{self, Session},
    },
    effect::{Effect, IoEvent},
    noise::{Noise, Snow, channel::Channel},
    wire::{Content, Frame, Head, MAX_RECORD_CONTENT, Record, Role},
};

use crate::{
    Table,
    material::{Fast, LIBRARIES, Library, Plain, SESSION, START, epoch_secret, link, scope, secret, tell},
    measure::{Target, compare, timed},
};

/// Bytes of content.
const SIZES: [usize; 3] = [1 << 10, 16 << 10, 64 << 10];

/// How much content goes through in one round.
const ROUND: usize = 256 << 10;

pub(crate) fn measure(table: &Table) {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        measure_library::<Fast>(table, LIBRARIES[0], cipher);
        measure_library::<Plain>(table, LIBRARIES[1], cipher);
    }
}

fn measure_library<P>(table: &Table, library: Library, cipher: Cipher)
where
    Snow<P>: Noise,
{
    for size in SIZES {
        // Below 16 KiB, what is done once per frame weighs more than the cipher: no target there.
        let target = if size >= 16 << 10 { Target::Ratio(1.15) } else { Target::None };
        let what = format!("{cipher:?}, {} KiB, {}", size >> 10, library.name);
        let times = u32::try_from(ROUND / size).expect("a few");
        table.row(&format!("seal, {what}"), |what| {
            let (mut ours, mut bare) = (Sealing::<P>::new(library, cipher, size), Bare::new(library.primitives, cipher, size));
            compare(what, target, times, || timed(|| ours.run(times)), || timed(|| bare.seal(times)))
        });
        table.row(&format!("open, {what}"), |what| {
            let (mut ours, mut bare) = (Opening::<P>::new(library, cipher), Bare::new(library.primitives, cipher, size));
            compare(what, target, times, || ours.run(times, size), || bare.open(times))
        });
    }
}

/// From a terminal's bytes to a WebSocket message.
struct Sealing<P> {
    content: Content,
    session: Session,
    link: Link<Snow<P>>,
}

impl<P> Sealing<P>
where
    Snow<P>: Noise,
{
    fn new(library: Library, cipher: Cipher, size: usize) -> Self {
        let mut session = Session::new(library.primitives, scope(cipher), epoch_secret(), START);
        session.handle_input(START, session::Input::Attached).expect("taken");
        session.handle_input(START, session::Input::Frame(Head::Resume { session: SESSION, next: 0 }.into())).expect("taken");
        while session.poll_output().is_some() {}
        let (link, _) = link(Role::Daemon, cipher == Cipher::Aes256Gcm);
        Self { content: Content::Output(Bytes::from(vec![b'x'; size])), session, link }
    }

    fn run(&mut self, times: u32) {
        for _ in 0..times {
            self.session.handle_input(START, session::Input::Push(self.content.clone())).expect("room");
            while let Some(session::Output::Send(frame)) = self.session.poll_output() {
                let Head::Data { sequence, .. } = frame.head else { panic!("{frame:?}") };
                self.link.handle_input(START, link::Input::Send(frame)).expect("room");
                while let Some(output) = self.link.poll_output() {
                    let link::Output::Effect(Effect::Send((), message)) = output else { panic!("{output:?}") };
                    black_box(message);
                }
                let durable = Head::Acknowledge { session: SESSION, next: sequence + 1 };
                self.session.handle_input(START, session::Input::Frame(durable.into())).expect("taken");
            }
        }
    }
}

/// From a WebSocket message to what a viewer shows.
struct Opening<P> {
    sealer: Sealer,
    sequence: u64,
    relay: Channel<Snow<P>>,
    link: Link<Snow<P>>,
    opener: Opener,
    buffers: BufferPool,
}

impl<P> Opening<P>
where
    Snow<P>: Noise,
{
    fn new(library: Library, cipher: Cipher) -> Self {
        let sealer = Sealer::new(library.primitives, scope(cipher), 0, epoch_secret(), 0);
        let opener = Opener::new(library.primitives, scope(cipher), 0, epoch_secret());
        let (link, relay) = link(Role::Viewer, cipher == Cipher::Aes256Gcm);
        Self { sealer, sequence: 0, relay, link, opener, buffers: BufferPool::default() }
    }

    fn run(&mut self, times: u32, size: usize) -> Duration {
        let messages: Vec<_> = (0..times).flat_map(|_| self.messages(size)).collect();
        timed(|| {
            for message in messages {
                tell(&mut self.link, IoEvent::Received((), message));
                while let Some(output) = self.link.poll_output() {
                    let link::Output::Received(frame) = output else { panic!("{output:?}") };
                    let Head::Data { epoch, sequence, .. } = frame.head else { panic!("{frame:?}") };
                    let mut plaintext = self.buffers.buffer(frame.body.len() - TAG_LEN);
                    self.opener.open_to(epoch, sequence, &frame.body, &mut plaintext).expect("genuine");
                    black_box(Record::take(self.buffers.hand_out(plaintext)).expect("a record"));
                }
            }
        })
    }

    /// The messages that so much content takes.
    fn messages(&mut self, size: usize) -> Vec<Bytes> {
        let content = vec![b'x'; size];
        content.chunks(MAX_RECORD_CONTENT).map(|content| self.message(content)).collect()
    }

    fn message(&mut self, content: &[u8]) -> Bytes {
        let (at, content) = (Duration::ZERO, Content::Output(Bytes::copy_from_slice(content)));
        let (mut body, sequence) = (Vec::new(), self.sequence);
        if self.sealer.is_spent(1 << 20) {
            assert!(self.sealer.advance(), "there is a next epoch");
        }
        self.sealer.seal(sequence, &Record { at, content }.encode(), &mut body).expect("in order");
        self.sequence += 1;
        let head = Head::Data { session: SESSION, epoch: self.sealer.epoch(), sequence };
        if self.relay.must_rekey() {
            let rekey = self.relay.seal(&Head::Rekey.into()).expect("room");
            tell(&mut self.link, IoEvent::Received((), rekey));
        }
        self.relay.seal(&Frame { head, body: body.into() }).expect("room")
    }
}

/// The bare cipher, twice, in place.
struct Bare {
    inner: Arc<dyn AeadKey>,
    outer: Arc<dyn AeadKey>,
    buffer: Vec<u8>,
    counter: u64,
}

impl Bare {
    fn new(primitives: &dyn Primitives, cipher: Cipher, size: usize) -> Self {
        let [inner, outer] = [1, 2].map(|key| primitives.aead(cipher, &secret(key)));
        Self { inner, outer, buffer: vec![b'x'; size], counter: 0 }
    }

    fn seal(&mut self, times: u32) {
        for _ in 0..times {
            self.counter += 1;
            let nonce = nonce(self.counter);
            black_box(self.inner.seal(&nonce, &[7; 40], &mut self.buffer));
            black_box(self.outer.seal(&nonce, &[], &mut self.buffer));
        }
    }

    fn open(&mut self, times: u32) -> Duration {
        let sealed: Vec<_> = (0..times).map(|_| self.sealed()).collect();
        timed(|| {
            for (counter, mut buffer, inner, outer) in sealed {
                let nonce = nonce(counter);
                self.outer.open(&nonce, &[], &mut buffer, &outer).expect("genuine");
                self.inner.open(&nonce, &[7; 40], &mut buffer, &inner).expect("genuine");
                black_box(buffer);
            }
        })
    }

    fn sealed(&mut self) -> (u64, Vec<u8>, Tag, Tag) {
        self.counter += 1;
        let (nonce, mut buffer) = (nonce(self.counter), self.buffer.clone());
        let inner = self.inner.seal(&nonce, &[7; 40], &mut buffer);
        let outer = self.outer.seal(&nonce, &[], &mut buffer);
        (self.counter, buffer, inner, outer)
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

// A record adds two bytes, a frame about twenty: the reference leaves them out.
const _: () = assert!(TAG_LEN == 16);
