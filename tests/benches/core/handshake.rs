//! A handshake, both sides of it, through our machines and through bare snow: message 1 with a credential of the usual length,
//! message 2, and the first transport message, which confirms it.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use proto_core::{
    Entropy, Machine,
    noise::{
        InitiatorKeys, Noise, Snow,
        handshake::{
            Initiator, Responder, initiator,
            responder::{self, Acceptor, Verdict},
        },
    },
    wire::{Answer, Hello, Preamble, Role, Suite},
};
use snow::Builder;

use crate::{
    Table,
    material::{Fast, LIBRARIES, Library, Plain, START, identity, psk, token, welcome},
    measure::{Target, compare, timed},
    reference::Resolver,
};

/// At most 5 % over snow.
const TARGET: Target = Target::Ratio(1.05);

pub(crate) fn measure(table: &Table) {
    for suite in Suite::ALL {
        table.row(&format!("handshake, {}, {}", suite.noise_name(), LIBRARIES[0].name), |what| {
            compare(what, TARGET, 1, || ours::<Fast>(suite), || bare_snow(suite, LIBRARIES[0]))
        });
        table.row(&format!("handshake, {}, {}", suite.noise_name(), LIBRARIES[1].name), |what| {
            compare(what, TARGET, 1, || ours::<Plain>(suite), || bare_snow(suite, LIBRARIES[1]))
        });
    }
}

fn hello() -> Hello {
    Hello { token: token("org", "target"), software: "vpd 0.1.0".into() }
}

fn ours<P>(suite: Suite) -> Duration
where
    Snow<P>: Noise,
{
    let (device, relay, hello, psk) = (identity(1), identity(2), hello(), psk(suite));
    let relay_keys = relay.static_keys().clone();
    timed(|| {
        let keys = InitiatorKeys {
            preamble: Preamble { suite, role: Role::Daemon },
            local: device.static_keys(),
            responder: relay.static_key(),
            psk: psk.as_ref(),
        };
        let mut knocking = Initiator::<Snow<P>>::start(START, keys, Entropy::new([3; 32]), &hello);
        let mut opening = Responder::<Snow<P>>::new(START, Acceptor::Devices, relay_keys, &Entropy::new([4; 32]));
        let Some(initiator::Output::Send(first)) = knocking.poll_output() else { panic!("no message 1") };
        opening.handle_input(START, responder::Input::Received(first)).expect("taken");
        let Some(responder::Output::Hello { .. }) = opening.poll_output() else { panic!("no hello") };
        let verdict = Verdict::Admit { psk: psk.clone(), welcome: welcome() };
        opening.handle_input(START, responder::Input::Verdict(verdict)).expect("taken");
        let Some(responder::Output::Send(second)) = opening.poll_output() else { panic!("no message 2") };
        knocking.handle_input(START, initiator::Input::Received(second)).expect("taken");
        let Some(initiator::Output::Established { mut noise, .. }) = knocking.poll_output() else { panic!("not through") };
        let mut third = vec![0, 18];
        noise.seal(&[0, 0], &mut third).expect("room");
        opening.handle_input(START, responder::Input::Received(Bytes::from(third))).expect("taken");
        let Some(responder::Output::Confirmed { noise: other, .. }) = opening.poll_output() else { panic!("not confirmed") };
        black_box((noise, other));
    })
}

fn bare_snow(suite: Suite, library: Library) -> Duration {
    let (device, relay, hello, psk) = (identity(1), identity(2), hello().encode(), psk(suite));
    let (answer, responder) = (Answer::Welcome(welcome()).encode(), relay.static_key());
    let prologue = Preamble { suite, role: Role::Daemon }.prologue();
    let builder = |ephemeral| {
        let resolver = Resolver { primitives: library.primitives, ephemeral };
        let params = suite.noise_name().parse().expect("a name");
        Builder::with_resolver(params, Box::new(resolver)).prologue(&prologue).expect("once")
    };
    timed(|| {
        let mut knocking = builder([3; 32]).local_private_key(device.static_keys().private().expose()).expect("once");
        knocking = knocking.remote_public_key(&responder.0).expect("once");
        let mut opening = builder([4; 32]).local_private_key(relay.static_keys().private().expose()).expect("once");
        if let Some(psk) = &psk {
            knocking = knocking.psk(2, psk.expose()).expect("once");
            opening = opening.psk(2, psk.expose()).expect("once");
        }
        let (mut knocking, mut opening) = (knocking.build_initiator().expect("keys"), opening.build_responder().expect("keys"));
        let (mut message, mut payload) = (vec![0; 8192], vec![0; 8192]);
        let len = knocking.write_message(&hello, &mut message).expect("message 1");
        opening.read_message(&message[..len], &mut payload).expect("message 1");
        let len = opening.write_message(&answer, &mut message).expect("message 2");
        knocking.read_message(&message[..len], &mut payload).expect("message 2");
        let mut knocking = knocking.into_transport_mode().expect("through");
        let mut opening = opening.into_transport_mode().expect("through");
        let len = knocking.write_message(&[0, 0], &mut message).expect("message 3");
        opening.read_message(&message[..len], &mut payload).expect("message 3");
        black_box((knocking, opening));
    })
}
