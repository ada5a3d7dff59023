//! Noise as the snow library does it, kept away from its sharp edges: keys are 32 bytes by type, low-order points are
//! refused, the peer's static key is read only after a message opened, and all randomness is handed in.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{fmt, marker::PhantomData, mem};

use ::snow::{Builder, HandshakeState, params::NoiseParams};
use zeroize::Zeroizing;

use super::{
    FirstMessage, InitiatorKeys, MESSAGE_1_OVERHEAD, MESSAGE_2_OVERHEAD, Noise, NoiseError, ephemeral, message_len,
    resolver::Resolver, transport::Direction,
};
use crate::{
    crypto::{Primitives, PureRust, StaticKeys},
    key::StaticKey,
    machine::entropy::Entropy,
    secret::Secret,
    wire::{Pattern, Preamble, Suite},
};

/// Where IKpsk2 mixes its PSK in.
const PSK_PLACE: u8 = 2;

/// The real [`Noise`], with primitives `P`.
pub struct Snow<P = PureRust> {
    phase: Phase,
    primitives: PhantomData<fn() -> P>,
}

enum Phase {
    /// Message 1 is out.
    Initiator(Box<HandshakeState>, Suite),
    /// Message 1 is in.
    Responder(Box<HandshakeState>, Suite),
    /// Both messages are through.
    Transport { sending: Direction, receiving: Direction, hash: [u8; 32] },
    /// Only while one phase becomes the next.
    Between,
}

impl<P: Primitives + Default + 'static> Noise for Snow<P> {
    fn initiate(keys: InitiatorKeys<'_>, entropy: Entropy, payload: &[u8]) -> Result<(Self, Vec<u8>), NoiseError> {
        let prologue = keys.preamble.prologue();
        let (session, message) = Self::start(keys, &prologue, ephemeral(&entropy), payload)?;
        Ok((session, [&keys.preamble.to_bytes(), message.as_slice()].concat()))
    }

    fn read_answer(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let Phase::Initiator(state, _) = &mut self.phase else { return Err(NoiseError::OutOfTurn) };
        let payload = read(state, message, MESSAGE_2_OVERHEAD)?;
        self.finish()?;
        Ok(payload)
    }

    fn respond(local: &StaticKeys, entropy: Entropy, first_message: &[u8]) -> Result<(Self, FirstMessage), NoiseError> {
        let (preamble, message) = Preamble::split(first_message)?;
        let (session, static_key, payload) =
            Self::accept(local, preamble.suite, &preamble.prologue(), ephemeral(&entropy), message)?;
        Ok((session, FirstMessage { preamble, static_key, payload }))
    }

    fn answer(&mut self, psk: Option<&Secret>, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let Phase::Responder(state, suite) = &mut self.phase else { return Err(NoiseError::OutOfTurn) };
        check_psk(suite.pattern(), psk)?;
        let len = message_len(payload, MESSAGE_2_OVERHEAD)?;
        if let Some(psk) = psk {
            state.set_psk(usize::from(PSK_PLACE), psk.expose())?;
        }
        let message = write(state, payload, len)?;
        self.finish()?;
        Ok(message)
    }

    fn seal_to(&mut self, plaintext: [&[u8]; 2], message: &mut [u8]) -> Result<(), NoiseError> {
        let Phase::Transport { sending, .. } = &mut self.phase else { return Err(NoiseError::OutOfTurn) };
        sending.seal_to(plaintext, message)
    }

    fn open_to(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<(), NoiseError> {
        let Phase::Transport { receiving, .. } = &mut self.phase else { return Err(NoiseError::OutOfTurn) };
        receiving.open_to(ciphertext, plaintext)
    }

    fn rekey_sending(&mut self) {
        if let Phase::Transport { sending, .. } = &mut self.phase {
            sending.rekey(&P::default());
        }
    }

    fn rekey_receiving(&mut self) {
        if let Phase::Transport { receiving, .. } = &mut self.phase {
            receiving.rekey(&P::default());
        }
    }

    fn handshake_hash(&self) -> Option<[u8; 32]> {
        match &self.phase {
            Phase::Transport { hash, .. } => Some(*hash),
            _ => None,
        }
    }
}

impl<P: Primitives + Default + 'static> Snow<P> {
    /// Message 1 under any prologue and with a given ephemeral key.
    pub(super) fn start(
        keys: InitiatorKeys<'_>,
        prologue: &[u8],
        ephemeral: Secret,
        payload: &[u8],
    ) -> Result<(Self, Vec<u8>), NoiseError> {
        check_psk(keys.preamble.suite.pattern(), keys.psk)?;
        let len = message_len(payload, MESSAGE_1_OVERHEAD)?;
        let mut builder = Self::builder(keys.preamble.suite, keys.local, ephemeral)?
            .prologue(prologue)?
            .remote_public_key(&keys.responder.0)?;
        if let Some(psk) = keys.psk {
            builder = builder.psk(PSK_PLACE, psk.expose())?;
        }
        let mut state = builder.build_initiator()?;
        let message = write(&mut state, payload, len)?;
        Ok((Self::in_phase(Phase::Initiator(Box::new(state), keys.preamble.suite)), message))
    }

    /// Reads message 1 under any prologue; the answer will have the given ephemeral key.
    pub(super) fn accept(
        local: &StaticKeys,
        suite: Suite,
        prologue: &[u8],
        ephemeral: Secret,
        message: &[u8],
    ) -> Result<(Self, StaticKey, Vec<u8>), NoiseError> {
        let mut state = Self::builder(suite, local, ephemeral)?.prologue(prologue)?.build_responder()?;
        let payload = read(&mut state, message, MESSAGE_1_OVERHEAD)?;
        let static_key = state.get_remote_static().and_then(|key| key.try_into().ok()).ok_or(NoiseError::Failed)?;
        let session = Self::in_phase(Phase::Responder(Box::new(state), suite));
        Ok((session, StaticKey(static_key), payload))
    }

    fn builder(suite: Suite, local: &StaticKeys, ephemeral: Secret) -> Result<Builder<'_>, NoiseError> {
        let params: NoiseParams = suite.noise_name().parse()?;
        let resolver = Resolver { primitives: Arc::new(P::default()), local: local.clone(), ephemeral };
        Ok(Builder::with_resolver(params, Box::new(resolver)).local_private_key(local.private().expose())?)
    }

    const fn in_phase(phase: Phase) -> Self {
        Self { phase, primitives: PhantomData }
    }

    fn finish(&mut self) -> Result<(), NoiseError> {
        let (mut state, suite, is_initiator) = match mem::replace(&mut self.phase, Phase::Between) {
            Phase::Initiator(state, suite) => (state, suite, true),
            Phase::Responder(state, suite) => (state, suite, false),
            Phase::Transport { .. } | Phase::Between => return Err(NoiseError::OutOfTurn),
        };
        if !state.is_handshake_finished() {
            return Err(NoiseError::OutOfTurn);
        }
        let hash = state.get_handshake_hash().try_into().map_err(|_| NoiseError::Failed)?;
        let keys = Zeroizing::new(state.dangerously_get_raw_split());
        let [first, second] = [keys.0, keys.1].map(|key| Direction::new(&P::default(), suite.cipher(), &Secret::new(key)));
        let (sending, receiving) = if is_initiator { (first, second) } else { (second, first) };
        self.phase = Phase::Transport { sending, receiving, hash };
        Ok(())
    }
}

impl<P> fmt::Debug for Snow<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Initiator(..) => "Snow(initiator)",
            Phase::Responder(..) => "Snow(responder)",
            Phase::Transport { .. } => "Snow(transport)",
            Phase::Between => "Snow(between)",
        })
    }
}

pub(super) const fn check_psk(pattern: Pattern, psk: Option<&Secret>) -> Result<(), NoiseError> {
    match (pattern, psk) {
        (Pattern::Ik, None) | (Pattern::IkPsk2, Some(_)) => Ok(()),
        _ => Err(NoiseError::PskPolicy),
    }
}

fn write(state: &mut HandshakeState, payload: &[u8], len: usize) -> Result<Vec<u8>, NoiseError> {
    let mut message = vec![0; len];
    state.write_message(payload, &mut message)?;
    Ok(message)
}

fn read(state: &mut HandshakeState, message: &[u8], overhead: usize) -> Result<Vec<u8>, NoiseError> {
    let mut payload = vec![0; message.len().checked_sub(overhead).ok_or(NoiseError::Failed)?];
    state.read_message(message, &mut payload)?;
    Ok(payload)
}

impl From<::snow::Error> for NoiseError {
    /// Turns, PSKs and nonces are watched here, before snow is asked: what it finds wrong is a message, or a key.
    fn from(_: ::snow::Error) -> Self {
        Self::Failed
    }
}
