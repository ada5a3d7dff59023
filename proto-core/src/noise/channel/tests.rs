use alloc::{vec, vec::Vec};

use super::*;
use crate::{
    SessionId,
    noise::{Snow, Symbolic, pair::pair},
    secret::SecretText,
    testing::fingerprint,
};

fn channels<N: Noise>(tails: Tails) -> (Channel<N>, Channel<N>) {
    let (a, b) = pair();
    (Channel::new(a, tails), Channel::new(b, tails))
}

fn data(body: Vec<u8>) -> Frame {
    Frame { head: Head::Data { session: SessionId([5; 16]), epoch: 1, sequence: 9 }, body: body.into() }
}

fn seal<N: Noise>(channel: &mut Channel<N>, frame: &Frame) -> Bytes {
    channel.seal(frame).unwrap()
}

fn seal_with_tail<N: Noise>(channel: &mut Channel<N>, frame: &Frame) -> Bytes {
    channel.seal_with_tail(frame).unwrap()
}

#[test]
fn frames_cross_in_full_segments() {
    let (mut a, mut b) = channels::<Snow>(Tails::Refused);
    let head_len = data(vec![]).encode().len();
    for len in [0, 1, MAX_SEGMENT - head_len, MAX_SEGMENT - head_len + 1, 3 * MAX_SEGMENT, 1_000_000] {
        let frame = data(vec![7; len]);
        let message = seal(&mut a, &frame);
        assert_eq!(message.len(), sealed_len(frame.encode().len()), "{len}");
        assert_eq!(b.open(&message).unwrap(), frame);
    }
    let ping = Frame::from(Head::Ping { nonce: 1 });
    assert_eq!(a.open(&seal(&mut b, &ping)).unwrap(), ping);
    let rotate = Frame::from(Head::Rotate { token: SecretText::new("t".repeat(4096)) });
    assert_eq!(a.open(&seal(&mut b, &rotate)).unwrap(), rotate);
}

/// The state of a channel between two calls does not depend on what went through it (L5, exploration).
#[test]
fn channels_in_the_same_state_are_equal() {
    let (mut a, mut b) = channels::<Symbolic>(Tails::Refused);
    let (mut c, mut d) = (a.clone(), b.clone());
    b.open(&seal(&mut a, &data(vec![1; 10]))).unwrap();
    assert!(a != c && fingerprint(&a) != fingerprint(&c));
    d.open(&seal(&mut c, &data(vec![2; 10]))).unwrap();
    assert_eq!((a, b), (c, d));
}

#[test]
fn a_tail_carries_the_body_as_it_is() {
    let (mut relay, mut viewer) = channels::<Snow>(Tails::Accepted);
    let frame = data(vec![7; 100_000]);
    let message = seal_with_tail(&mut relay, &frame);
    assert!(message.len() < 100_000 + 100);
    assert!(message.ends_with(&frame.body));
    let opened = viewer.open(&message).unwrap();
    assert_eq!(opened, frame);
    assert_eq!(opened.body.as_ptr(), message[message.len() - 100_000..].as_ptr(), "the body is a view, not a copy");
    let ping = Frame::from(Head::Ping { nonce: 1 });
    assert_eq!(viewer.open(&seal_with_tail(&mut relay, &ping)).unwrap(), ping);
}

#[test]
fn a_tail_where_none_may_be_is_malformed() {
    let (mut a, mut b) = channels::<Snow>(Tails::Refused);
    let message = seal_with_tail(&mut a, &data(vec![7; 10]));
    assert_eq!(b.open(&message), Err(Reason::FrameMalformed));

    let (mut relay, mut viewer) = channels::<Snow>(Tails::Accepted);
    let with_tail: Bytes = [&seal(&mut relay, &Head::Ping { nonce: 1 }.into())[..], &[0, 0]].concat().into();
    assert_eq!(viewer.open(&with_tail), Err(Reason::FrameMalformed));
    assert_eq!(viewer.open(&Bytes::from_static(&[0, 0, 1])), Err(Reason::FrameMalformed));
}

#[test]
fn what_is_no_message_is_malformed() {
    let (mut a, b) = channels::<Symbolic>(Tails::Accepted);
    let good = seal(&mut a, &data(vec![7; 5]));
    for len in 0..good.len() {
        assert_eq!(b.clone().open(&good.slice(..len)), Err(Reason::FrameMalformed), "{len}");
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(b.clone().open(&flipped.into()), Err(Reason::FrameMalformed), "{bit}");
    }
    let ping = Head::Ping { nonce: 1 };
    let with_body = Frame { head: ping, body: Bytes::from_static(b"x") };
    assert_eq!(b.clone().open(&seal(&mut a.clone(), &with_body)), Err(Reason::FrameMalformed));
}

/// WIRE section 6: after a rekey frame the sender's messages are under the next key, the other direction is as before.
#[test]
fn a_rekey_frame_rekeys_its_direction() {
    let (mut a, mut b) = channels::<Snow>(Tails::Refused);
    for round in 0..3 {
        assert_eq!(b.open(&seal(&mut a, &Head::Rekey.into())).unwrap().head, Head::Rekey);
        let (there, back) = (Frame::from(Head::Ping { nonce: round }), Frame::from(Head::Pong { nonce: round }));
        assert_eq!(b.open(&seal(&mut a, &there)).unwrap(), there);
        assert_eq!(a.open(&seal(&mut b, &back)).unwrap(), back);
    }
}

/// NOI-6: rekeying falls due by count, before the wire's limit even for a frame of many segments.
#[test]
fn rekeying_falls_due() {
    let (mut a, _) = channels::<Symbolic>(Tails::Refused);
    a.sealed = REKEY_AFTER - 1;
    assert!(!a.must_rekey());
    seal(&mut a, &data(vec![0; 16 * 1024 * 1024]));
    assert!(a.must_rekey());
    assert!(a.sealed <= 1 << 20);
    seal(&mut a, &Head::Rekey.into());
    assert!(!a.must_rekey());
}

/// WIRE section 6: a sender rekeys before its 2^20th message, with room for the frame that it is sealing then.
#[test]
fn a_key_is_replaced_in_time() {
    const ALLOWED: u64 = 1_048_576;
    let longest = crate::wire::MAX_FRAME_DEFAULT.div_ceil(MAX_SEGMENT) as u64;
    assert!(REKEY_AFTER + longest < ALLOWED);
    assert_eq!(ALLOWED - REKEY_AFTER, 1_024, "not much earlier, either");
}
