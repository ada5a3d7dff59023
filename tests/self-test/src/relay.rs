//! A relay's end of one connection: lets the device in, answers pings, and asks for every session from its beginning.

use alloc::{boxed::Box, string::ToString, vec::Vec};
use core::mem;

use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine,
    crypto::StaticKeys,
    noise::{
        channel::Channel,
        handshake::responder::{Acceptor, Input, Output, Responder, Verdict},
    },
    secret::Secret,
    wire::{Frame, Head, Welcome},
};

use crate::{Noise, Wrong};

/// The relay's keys.
pub fn keys() -> StaticKeys {
    StaticKeys::from_private(Secret::new([2; 32]))
}

/// One connection.
#[derive(Debug)]
pub struct Relay {
    psk: Option<Secret>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Handshake(Box<Responder<Noise>>),
    Open(Box<Channel<Noise>>),
    /// Only while one becomes the other, or after a failure.
    Closed,
}

impl Relay {
    /// One that admits every device, with `psk` under IKpsk2.
    pub fn new(psk: Option<Secret>) -> Self {
        let responder = Responder::new(Instant::ZERO, Acceptor::Devices, keys(), &Entropy::new([4; 32]));
        Self { psk, stage: Stage::Handshake(Box::new(responder)) }
    }

    /// Whether frames flow.
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// What it answers to a message.
    ///
    /// # Errors
    /// The message is not one that a device sends here.
    pub fn hear(&mut self, message: &Bytes) -> Result<Vec<Bytes>, Wrong> {
        match &mut self.stage {
            Stage::Handshake(responder) => {
                let taken = responder.handle_input(Instant::ZERO, Input::Received(message.clone()));
                taken.map_err(|_| Wrong::new("a handshake that takes messages"))?;
                self.shake_hands()
            }
            Stage::Open(channel) => {
                let frame = channel.open(message).map_err(|_| Wrong::new("a frame"))?;
                Ok(answer(channel, &frame)?.into_iter().collect())
            }
            Stage::Closed => Err(Wrong::new("an open connection")),
        }
    }

    fn shake_hands(&mut self) -> Result<Vec<Bytes>, Wrong> {
        let mut answers = Vec::new();
        while let Stage::Handshake(responder) = &mut self.stage
            && let Some(output) = responder.poll_output()
        {
            match output {
                Output::Hello { .. } => {
                    let welcome = Welcome { frame_max: 65_536, time: 1_800_000_000, software: "relay".to_string() };
                    let verdict = Input::Verdict(Verdict::Admit { psk: self.psk.clone(), welcome });
                    responder.handle_input(Instant::ZERO, verdict).map_err(|_| Wrong::new("a handshake that waits"))?;
                }
                Output::Send(message) => answers.push(message),
                Output::Confirmed { noise, plaintext } => answers.extend(self.open(noise, &plaintext)?),
                Output::Failed(_) => {
                    self.stage = Stage::Closed;
                    return Err(Wrong::new("a handshake that comes about"));
                }
            }
        }
        Ok(answers)
    }

    fn open(&mut self, noise: Noise, plaintext: &Bytes) -> Result<Option<Bytes>, Wrong> {
        let (mut channel, frame) = Channel::confirmed(noise, plaintext).map_err(|_| Wrong::new("a first frame"))?;
        let answer = answer(&mut channel, &frame)?;
        let _ = mem::replace(&mut self.stage, Stage::Open(Box::new(channel)));
        Ok(answer)
    }
}

fn answer(channel: &mut Channel<Noise>, frame: &Frame) -> Result<Option<Bytes>, Wrong> {
    let answer = match frame.head {
        Head::Ping { nonce } => Head::Pong { nonce },
        Head::Open { session, .. } => Head::Resume { session, next: 0 },
        _ => return Ok(None),
    };
    channel.seal(&answer.into()).map(Some).map_err(|_| Wrong::new("a channel that seals"))
}
