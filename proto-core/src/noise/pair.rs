//! Two ends of one finished handshake, for tests.

use super::{InitiatorKeys, Noise};
use crate::{
    Entropy,
    crypto::StaticKeys,
    secret::Secret,
    wire::{Preamble, Role, Suite},
};

/// An initiator and its responder after a handshake without a PSK.
pub(crate) fn pair<N: Noise>() -> (N, N) {
    let [local, remote] = [1, 2].map(|seed| StaticKeys::from_private(Secret::new([seed; 32])));
    let preamble = Preamble { suite: Suite::IkAesGcm, role: Role::Daemon };
    let keys = InitiatorKeys { preamble, local: &local, responder: remote.public(), psk: None };
    let (mut initiator, message) = N::initiate(keys, Entropy::new([3; 32]), b"hello").unwrap();
    let (mut responder, _) = N::respond(&remote, Entropy::new([4; 32]), &message).unwrap();
    let answer = responder.answer(None, b"welcome").unwrap();
    initiator.read_answer(&answer).unwrap();
    (initiator, responder)
}
