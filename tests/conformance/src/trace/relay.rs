//! A relay that follows a script: the n-th connection is treated like the n-th of [`Visit::ALL`].

use bytes::Bytes;
use io_engine::{AwsLc, MessageSocket};
use proto_core::{
    Entropy, Instant, Machine, Reason, SessionId,
    crypto::StaticKeys,
    effect::{Close, IoEvent},
    noise::{
        Snow,
        channel::{Channel, Tails},
        handshake::responder::{Acceptor, Input, Output, Responder, Verdict},
    },
    secret::Secret,
    wire::{Frame, Head, MAX_FRAME_DEFAULT, Refused, Welcome},
};

use crate::peer::{Far, Script};

/// The session that the device streams.
pub(super) const SESSION: SessionId = SessionId([7; 16]);

/// How many records the first visit takes.
pub(super) const RECORDS: u64 = 5;

/// Acknowledgements that tell the device's owner what to do; no visit sends so many records.
pub(super) const FALLS_SILENT: u64 = 1000;
pub(super) const FALL_ASLEEP: u64 = 1001;
pub(super) const RENEW: u64 = 1002;

/// What becomes of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Takes some records, then closes with a reason.
    Closes,
    /// Is told to come back later.
    Refuses,
    /// Goes away without a word within the handshake.
    Vanishes,
    /// Takes a record and says nothing any more.
    FallsSilent,
    /// Takes a record; then the device's machine sleeps.
    SleepsThrough,
    /// Takes a record and a renewed credential.
    Renews,
}

impl Visit {
    pub(super) const ALL: [Self; 6] =
        [Self::Closes, Self::Refuses, Self::Vanishes, Self::FallsSilent, Self::SleepsThrough, Self::Renews];
}

/// What the relay does with the connection.
pub(super) enum Word {
    Send(Bytes),
    Close(Reason),
    Vanish,
}

/// The relay's end of one connection.
pub(super) struct Relay {
    visit: Visit,
    stage: Stage,
}

enum Stage {
    Acceptor(Box<Responder<Snow<AwsLc>>>),
    Open(Box<Channel<Snow<AwsLc>>>),
}

pub(super) fn keys() -> StaticKeys {
    StaticKeys::from_private(Secret::new([2; 32]))
}

/// One script for each visit, over real sockets.
pub(super) fn scripts() -> Vec<Script> {
    Visit::ALL.map(|visit| -> Script { Box::new(move |far| Relay::new(visit).serve(far)) }).into()
}

impl Relay {
    pub(super) fn new(visit: Visit) -> Self {
        let entropy = Entropy::new([100 + visit as u8; 32]);
        Self { visit, stage: Stage::Acceptor(Responder::new(Instant::ZERO, Acceptor::Devices, keys(), &entropy).into()) }
    }

    /// What it says to one message, in order.
    pub(super) fn receive(&mut self, message: Bytes) -> Vec<Word> {
        let frame = match &mut self.stage {
            _ if self.visit == Visit::Vanishes => return vec![Word::Vanish],
            Stage::Open(channel) => channel.open(&message).unwrap(),
            Stage::Acceptor(responder) => {
                responder.handle_input(Instant::ZERO, Input::Received(message)).unwrap();
                match responder.poll_output() {
                    Some(Output::Hello { .. }) => return self.decide(),
                    Some(Output::Confirmed { noise, plaintext }) => {
                        let frame = Frame::decode(&plaintext).unwrap();
                        self.stage = Stage::Open(Channel::new(noise, Tails::Refused).into());
                        frame
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        self.answer(&frame)
    }

    fn decide(&mut self) -> Vec<Word> {
        let Stage::Acceptor(responder) = &mut self.stage else { panic!("decided before") };
        let verdict = if self.visit == Visit::Refuses {
            Verdict::Refuse(Refused { reason: Reason::RateLimited, retry_after: 3 })
        } else {
            let frame_max = u32::try_from(MAX_FRAME_DEFAULT).unwrap();
            Verdict::Admit { psk: None, welcome: Welcome { frame_max, time: 0, software: "script".to_owned() } }
        };
        responder.handle_input(Instant::ZERO, Input::Verdict(verdict)).unwrap();
        match responder.poll_output() {
            Some(Output::Send(message)) => vec![Word::Send(message)],
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, frame: &Frame) -> Vec<Word> {
        let next = match (&frame.head, self.visit) {
            (Head::Ping { nonce }, Visit::Closes | Visit::Renews) => Head::Pong { nonce: *nonce },
            (Head::Ping { .. }, _) => return vec![],
            (Head::Open { .. }, _) => Head::Resume { session: SESSION, next: 0 },
            (Head::Data { sequence, .. }, Visit::Closes) if sequence + 1 == RECORDS => {
                return vec![Word::Close(Reason::RelayFull)];
            }
            (Head::Data { sequence, .. }, Visit::Closes) => acknowledge(sequence + 1),
            (Head::Data { .. }, Visit::FallsSilent) => acknowledge(FALLS_SILENT),
            (Head::Data { .. }, Visit::SleepsThrough) => acknowledge(FALL_ASLEEP),
            (Head::Data { .. }, Visit::Renews) => acknowledge(RENEW),
            (Head::Rotate { .. }, _) => Head::Rotated { generation: 2 },
            other => panic!("{other:?}"),
        };
        vec![Word::Send(self.seal(next))]
    }

    fn seal(&mut self, head: Head) -> Bytes {
        let Stage::Open(channel) = &mut self.stage else { panic!("nothing to seal with yet") };
        channel.seal(&head.into()).unwrap()
    }

    fn serve(mut self, far: Far) {
        let mut socket = far.upgrade(MAX_FRAME_DEFAULT);
        loop {
            let message = match socket.wait() {
                IoEvent::Received((), message) => message,
                IoEvent::Closed(..) => return,
                _ => continue,
            };
            for word in self.receive(message) {
                match word {
                    Word::Send(message) => socket.send(message),
                    Word::Close(reason) => socket.socket().close(Close::Because(reason)),
                    Word::Vanish => return,
                }
            }
        }
    }
}

const fn acknowledge(next: u64) -> Head {
    Head::Acknowledge { session: SESSION, next }
}
