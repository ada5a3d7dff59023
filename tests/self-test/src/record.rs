//! One record of a session, sealed by the machine that makes them and opened as a viewer would.

use alloc::vec::Vec;
use core::{iter, time::Duration};

use bytes::Bytes;
use proto_core::{
    Instant, Machine, SessionId,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Opener, Scope},
    },
    device::session::{Input, Output, Session},
    secret::Secret,
    wire::{Content, Frame, Head, Record},
};

use crate::Wrong;

/// Seals and opens, with each cipher.
///
/// # Errors
/// What came out is not what went in.
pub fn check() -> Result<(), Wrong> {
    [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm].into_iter().try_for_each(round_trip)
}

fn round_trip(cipher: Cipher) -> Result<(), Wrong> {
    let session = SessionId([7; 16]);
    let org = "org".parse().map_err(|_| Wrong::new("an identifier"))?;
    let scope = Scope { org, session, cipher };
    let secret = EpochSecret::new(Secret::new([1; 32]));
    let content = Content::Output(Bytes::from_static(b"without std"));

    let mut machine = Session::new(&PureRust, scope.clone(), secret.clone(), Instant::ZERO);
    let now = Instant::ZERO.after(Duration::from_millis(5));
    for input in [Input::Attached, Input::Frame(Head::Resume { session, next: 0 }.into()), Input::Push(content.clone())] {
        machine.handle_input(now, input).map_err(|_| Wrong::new("a session that takes inputs"))?;
    }
    let sealed = iter::from_fn(|| machine.poll_output()).find_map(data).ok_or(Wrong::new("a sealed record"))?;

    let mut plaintext = Vec::new();
    let opened = Opener::new(&PureRust, scope, 0, secret).open(0, 0, &sealed.body, &mut plaintext);
    opened.map_err(|_| Wrong::new("a record that opens"))?;
    match Record::decode(&plaintext.into()) {
        Ok(record) if record.content == content => Ok(()),
        _ => Err(Wrong::new("what was pushed")),
    }
}

fn data(output: Output) -> Option<Frame> {
    let Output::Send(frame) = output;
    matches!(frame.head, Head::Data { .. }).then_some(frame)
}
