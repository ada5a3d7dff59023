//! [`Channel`] over real Noise beside [`Pipe`].

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use proto_core::{
    Entropy, Reason,
    noise::{
        InitiatorKeys, Noise, NoiseError, Snow,
        channel::{Channel, Tails},
    },
    wire::{Frame, Head, Pattern, Preamble, Role, Suite},
};
use verification::models::{
    channel::Pipe,
    config,
    given::{identity, secret},
};

/// Both ends of a finished handshake.
fn pair<N: Noise>(suite: Suite) -> [N; 2] {
    let psk = (suite.pattern() == Pattern::IkPsk2).then(|| secret(3));
    let (local, responder) = (identity(1), identity(2));
    let preamble = Preamble { suite, role: Role::Daemon };
    let keys = InitiatorKeys { preamble, local: local.static_keys(), responder: responder.static_key(), psk: psk.as_ref() };
    let (mut device, first) = N::initiate(keys, Entropy::new([5; 32]), b"hello").unwrap();
    let (mut relay, _) = N::respond(responder.static_keys(), Entropy::new([6; 32]), &first).unwrap();
    let second = relay.answer(psk.as_ref(), b"welcome").unwrap();
    device.read_answer(&second).unwrap();
    [device, relay]
}

#[derive(Clone, Debug)]
enum Event {
    /// This end seals a frame, or says that it rekeys.
    Seal(bool, bool),
    /// The other end opens the next one.
    Open(bool),
    /// It is shown something else first: the next one with a bit changed, cut off, or one after it.
    Garbage(bool, usize, u8),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (any::<bool>(), proptest::bool::weighted(0.1)).prop_map(|(end, rekeys)| Event::Seal(end, rekeys)),
        4 => any::<bool>().prop_map(Event::Open),
        3 => (any::<bool>(), any::<usize>(), 0_u8..10).prop_map(|(end, place, how)| Event::Garbage(end, place, how)),
    ]
}

/// A message that is not the next one.
fn garbage(pipe: &Pipe, place: usize, how: u8) -> Option<Vec<u8>> {
    let (_, genuine) = pipe.under_way.front()?;
    let mut message = genuine.clone();
    match how {
        8 => message.truncate(place % genuine.len()),
        9 => message.clone_from(&pipe.under_way.get(1)?.1),
        bit => message[place % genuine.len()] ^= 1 << bit,
    }
    Some(message)
}

proptest! {
    #![proptest_config(config(48))]

    /// NOI-6: no ciphertext twice in one direction though the words are always the same, so no nonce twice under one key; a
    /// message that does not open changes nothing, so the genuine one opens after it; over rekeys, with all suites.
    #[test]
    fn noise_counts_like_its_model(suite in proptest::sample::select(&Suite::ALL), events in vec(events(), 0..60)) {
        let mut ends: [Snow; 2] = pair(suite);
        let mut pipes = [Pipe::default(), Pipe::default()];
        for event in events {
            match event {
                Event::Seal(end, rekeys) => {
                    let from = usize::from(end);
                    let mut bytes = Vec::new();
                    ends[from].seal(b"the same words", &mut bytes).unwrap();
                    pipes[from].sealed(u64::from(rekeys), bytes);
                    if rekeys {
                        ends[from].rekey_sending();
                    }
                }
                Event::Open(end) => {
                    let (from, to) = (usize::from(end), usize::from(!end));
                    let Some((rekeys, bytes)) = pipes[from].take() else { continue };
                    let mut plain = Vec::new();
                    ends[to].open(&bytes, &mut plain).expect("NOI-6: the genuine one opens");
                    prop_assert_eq!(plain, b"the same words");
                    if rekeys == 1 {
                        ends[to].rekey_receiving();
                    }
                }
                Event::Garbage(end, place, how) => {
                    let Some(message) = garbage(&pipes[usize::from(end)], place, how) else { continue };
                    let mut plain = Vec::new();
                    prop_assert_eq!(ends[usize::from(!end)].open(&message, &mut plain), Err(NoiseError::Failed));
                    prop_assert!(plain.is_empty(), "NOI-8");
                }
            }
        }
    }

    /// NOI-6, SES-1: frames of any size cross in order; anything else than the next one is `frame_malformed`.
    #[test]
    fn a_channel_delivers_like_its_model(
        suite in proptest::sample::select(&Suite::ALL),
        lens in vec(prop_oneof![0_usize..100, 65_400_usize..65_600, 130_900_usize..131_100], 1..8),
        skip in any::<prop::sample::Index>(),
    ) {
        let [device, relay]: [Snow; 2] = pair(suite);
        let mut sender = Channel::new(device, Tails::Refused);
        let mut receiver = Channel::new(relay, Tails::Refused);
        let mut pipe = Pipe::default();
        for (number, len) in (0..).zip(&lens) {
            let head = Head::Data { session: proto_core::SessionId([1; 16]), epoch: 0, sequence: number };
            let message = sender.seal(&Frame { head, body: Bytes::from(vec![b'x'; *len]) }).unwrap();
            pipe.sealed(number, message.to_vec());
        }
        // A relay that swaps or leaves out is found out at once; a copy of the receiver tries that.
        let skip = skip.index(lens.len());
        while let Some((number, message)) = pipe.take() {
            if usize::try_from(number).unwrap() == skip && !pipe.under_way.is_empty() {
                let later = Bytes::from(pipe.under_way[0].1.clone());
                prop_assert_eq!(receiver.open(&later), Err(Reason::FrameMalformed), "SES-1");
                break;
            }
            let frame = receiver.open(&message.into()).unwrap();
            let is_next = matches!(frame.head, Head::Data { sequence, .. } if sequence == number);
            prop_assert!(is_next && frame.body.len() == lens[usize::try_from(number).unwrap()]);
        }
    }
}
