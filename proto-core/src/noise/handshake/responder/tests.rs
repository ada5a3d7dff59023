mod edges;

use alloc::{vec, vec::Vec};
use core::time::Duration;

use super::*;
use crate::{
    noise::{
        Symbolic,
        channel::{Channel, Tails},
        handshake::{
            Initiator, initiator,
            testing::{
                START, deciding, device, drain, hello, initiator as knock, on_both, psk, psk_of, responder, sent_by, welcome,
            },
        },
    },
    wire::{Frame, Head, Role, Suite},
};

fn receive<N: Noise>(machine: &mut Responder<N>, message: impl Into<Bytes>) {
    machine.handle_input(START, Input::Received(message.into())).unwrap();
}

fn verdict<N: Noise>(machine: &mut Responder<N>, verdict: Verdict) {
    machine.handle_input(START, Input::Verdict(verdict)).unwrap();
}

fn admit(psk: Option<Secret>) -> Verdict {
    Verdict::Admit { psk, welcome: welcome() }
}

fn refuse(reason: Reason) -> Verdict {
    Verdict::Refuse(Refused { reason, retry_after: 7 })
}

fn failed<N: Noise>(machine: &mut Responder<N>) -> Reason {
    let reason = match &drain(machine)[..] {
        [Output::Failed(reason)] => *reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(machine.status(), Status::Failed(&reason));
    assert_eq!(machine.poll_timeout(), None);
    reason
}

/// Both ends up to message 2.
fn answered<N: Noise>(suite: Suite) -> (N, Responder<N>) {
    let mut device = knock::<N>(suite, Role::Daemon, psk_of(suite).as_ref());
    let mut relay = deciding::<N>(Acceptor::Devices, sent_by(&mut device).remove(0));
    verdict(&mut relay, admit(psk_of(suite)));
    let [Output::Send(message)] = &drain(&mut relay)[..] else { panic!("no answer") };
    device.handle_input(START, initiator::Input::Received(message.clone())).unwrap();
    let Some(initiator::Output::Established { noise, .. }) = device.poll_output() else { panic!("not established") };
    (noise, relay)
}

fn ping<N: Noise>(noise: N) -> (Channel<N>, Vec<u8>) {
    let mut channel = Channel::new(noise, Tails::Refused);
    let message = channel.seal(&Head::Ping { nonce: 7 }.into()).unwrap();
    (channel, message.into())
}

on_both! {
    /// NOI-4, NOI-8: it is the first transport message that confirms.
    fn an_admitted_device_is_confirmed_by_its_first_message<N>() {
        for suite in Suite::ALL {
            let (noise, mut relay) = answered::<N>(suite);
            assert_eq!(relay.status(), Status::Running { waiting_for: "the first transport message" });
            let (mut device, message) = ping(noise);
            receive(&mut relay, message);
            let Some(Output::Confirmed { noise, plaintext }) = relay.poll_output() else { panic!("not confirmed") };
            assert_eq!((relay.status(), relay.poll_timeout()), (Status::Finished, None));
            let (mut channel, frame) = Channel::confirmed(noise, &plaintext).unwrap();
            assert_eq!(frame, Head::Ping { nonce: 7 }.into());
            let answer = channel.seal(&Head::Pong { nonce: 7 }.into()).unwrap();
            assert_eq!(device.open(&answer).unwrap(), Frame::from(Head::Pong { nonce: 7 }));
        }
    }
}

on_both! {
    /// The caller that decides gets the proven key, the preamble and what was said.
    fn the_caller_decides_about_message_1<N>() {
        let mut relay = responder::<N>(Acceptor::Devices);
        assert_eq!(relay.status(), Status::Running { waiting_for: "message 1" });
        receive(&mut relay, sent_by(&mut knock::<N>(Suite::IkAesGcm, Role::Viewer, None)).remove(0));
        let outputs = drain(&mut relay);
        let [Output::Hello { preamble, static_key, hello: said }] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!((preamble.role, *static_key, said), (Role::Viewer, device().public(), &hello()));
        assert_eq!(relay.status(), Status::Running { waiting_for: "the verdict" });
    }
}

on_both! {
    /// NOI-4: a recorded message 1 leads nowhere, however often it is replayed.
    fn a_replayed_message_1_is_never_confirmed<N>() {
        let recorded = sent_by(&mut knock::<N>(Suite::IkAesGcm, Role::Daemon, None)).remove(0);
        let (noise, _) = answered::<N>(Suite::IkAesGcm);
        let (_, recorded_ping) = ping(noise);
        let mut relay = Responder::<N>::new(START, Acceptor::Devices, crate::noise::handshake::testing::relay(), &Entropy::new([5; 32]));
        receive(&mut relay, recorded);
        verdict(&mut relay, admit(None));
        assert!(matches!(&drain(&mut relay)[..], [Output::Hello { .. }, Output::Send(_)]));
        receive(&mut relay, recorded_ping);
        assert_eq!(failed(&mut relay), Reason::NoiseHandshakeFailed);
    }
}

on_both! {
    /// NOI-3: every way in which the two sides can disagree about a PSK ends with the same reason on both, and nowhere else.
    fn disagreement_about_a_psk_has_one_name<N>() {
        let (ik, psk2) = (Suite::IkAesGcm, Suite::IkPsk2AesGcm);
        for (suite, theirs, decision) in [
            (ik, None, refuse(Reason::NoisePskInvalid)),
            (ik, None, admit(Some(psk(1)))),
            (psk2, Some(psk(1)), refuse(Reason::NoisePskInvalid)),
            (psk2, Some(psk(1)), admit(None)),
            (psk2, Some(psk(1)), admit(Some(psk(2)))),
        ] {
            let mut device = knock::<N>(suite, Role::Daemon, theirs.as_ref());
            let mut relay = deciding::<N>(Acceptor::Devices, sent_by(&mut device).remove(0));
            verdict(&mut relay, decision);
            assert_eq!(play_out(&mut device, &mut relay), [Reason::NoisePskInvalid; 2]);
        }
    }
}

/// Carries messages and closes between both ends, and lets time pass, until both have failed.
fn play_out<N: Noise>(device: &mut Initiator<N>, relay: &mut Responder<N>) -> [Reason; 2] {
    let [mut at_device, mut at_relay] = [None, None];
    let mut now = START;
    for _ in 0..10 {
        for output in drain(relay) {
            let input = match output {
                Output::Send(message) => initiator::Input::Received(message),
                Output::Failed(reason) => {
                    at_relay = Some(reason);
                    initiator::Input::Closed(Some(reason))
                }
                other => panic!("{other:?}"),
            };
            device.handle_input(now, input).unwrap();
        }
        for output in drain(device) {
            let initiator::Output::Failed(failure) = output else { panic!("{output:?}") };
            at_device = Some(failure.reason());
            relay.handle_input(now, Input::Closed(Some(failure.reason()))).unwrap();
        }
        if let (Some(device), Some(relay)) = (at_device, at_relay) {
            return [device, relay];
        }
        if let Some(deadline) =
            Deadline::earliest(device.poll_timeout().map(Deadline::in_words), relay.poll_timeout().map(Deadline::in_words))
        {
            now = deadline.at;
            device.handle_timeout(now);
            relay.handle_timeout(now);
        }
    }
    panic!("no end: {at_device:?} {at_relay:?}");
}

on_both! {
    /// A bug that others had: a PSK that is chosen before the peer's static key is known.
    fn a_psk_cannot_be_chosen_before_the_static_key_is_known<N>() {
        let mut relay = responder::<N>(Acceptor::Devices);
        verdict(&mut relay, admit(Some(psk(1))));
        assert_eq!(relay.ignored(), 1);
        assert!(drain(&mut relay).is_empty());
        assert_eq!(relay.status(), Status::Running { waiting_for: "message 1" });
        let suite = Suite::IkPsk2AesGcm;
        receive(&mut relay, sent_by(&mut knock::<N>(suite, Role::Daemon, psk_of(suite).as_ref())).remove(0));
        assert!(matches!(&drain(&mut relay)[..], [Output::Hello { static_key, .. }] if *static_key == device().public()));
    }
}

on_both! {
    /// A refusal goes into message 2 where there can be one; either way the connection ends with its reason.
    fn a_refusal_is_said_under_the_key_where_that_is_possible<N>() {
        for (suite, sent) in [(Suite::IkAesGcm, 1), (Suite::IkPsk2AesGcm, 0)] {
            let mut device = knock::<N>(suite, Role::Daemon, psk_of(suite).as_ref());
            let mut relay = deciding::<N>(Acceptor::Devices, sent_by(&mut device).remove(0));
            verdict(&mut relay, refuse(Reason::MachineRevoked));
            let outputs = drain(&mut relay);
            assert_eq!(outputs.len(), sent + 1);
            assert!(matches!(outputs.last(), Some(Output::Failed(Reason::MachineRevoked))));
            if let Some(Output::Send(message)) = outputs.into_iter().next() {
                device.handle_input(START, initiator::Input::Received(message)).unwrap();
                let refused = Refused { reason: Reason::MachineRevoked, retry_after: 7 };
                assert_eq!(device.status(), Status::Failed(&initiator::Failure::Refused(refused)));
            }
        }
    }
}

on_both! {
    /// What is no message 1 for this responder is rejected by its form or by the keys.
    fn what_does_not_belong_here_is_turned_away<N>() {
        let good = sent_by(&mut knock::<N>(Suite::IkAesGcm, Role::Daemon, None)).remove(0).to_vec();
        let changed = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            message
        };
        let stranger = Responder::<N>::new(START, Acceptor::Devices, device(), &Entropy::new([4; 32]));
        for (mut relay, message, reason) in [
            (responder::<N>(Acceptor::Devices), changed(0, 2), Reason::NoiseVersionUnsupported),
            (responder(Acceptor::Devices), changed(1, 9), Reason::NoiseVersionUnsupported),
            (responder(Acceptor::Devices), changed(2, 9), Reason::FrameMalformed),
            (responder(Acceptor::Devices), changed(2, Role::Peer as u8), Reason::FrameMalformed),
            (responder(Acceptor::Devices), changed(2, Role::Viewer as u8), Reason::NoiseHandshakeFailed),
            (responder(Acceptor::Devices), vec![], Reason::FrameMalformed),
            (responder(Acceptor::Devices), vec![1; MAX_FIRST_MESSAGE + 1], Reason::FrameMalformed),
            (responder(Acceptor::Devices), good[..60].to_vec(), Reason::NoiseHandshakeFailed),
            (responder(Acceptor::Peers), good.clone(), Reason::FrameMalformed),
            (stranger, good.clone(), Reason::NoiseHandshakeFailed),
        ] {
            receive(&mut relay, message);
            assert_eq!(failed(&mut relay), reason);
            receive(&mut relay, good.clone());
            assert!(drain(&mut relay).is_empty(), "ended: inputs are absorbed (L4)");
        }
    }
}

on_both! {
    /// WIRE section 8: transport messages to a daemon from its viewers are bare.
    fn peers_are_confirmed_by_a_bare_message<N>() {
        let mut viewer = knock::<N>(Suite::IkChaChaPoly, Role::Peer, None);
        let mut daemon = deciding::<N>(Acceptor::Peers, sent_by(&mut viewer).remove(0));
        verdict(&mut daemon, admit(None));
        let Some(Output::Send(message)) = daemon.poll_output() else { panic!("no answer") };
        viewer.handle_input(START, initiator::Input::Received(message)).unwrap();
        let Some(initiator::Output::Established { mut noise, .. }) = viewer.poll_output() else { panic!("not established") };
        let mut message = vec![];
        noise.seal(b"key request", &mut message).unwrap();
        receive(&mut daemon, message);
        let outputs = drain(&mut daemon);
        assert!(matches!(&outputs[..], [Output::Confirmed { plaintext, .. }] if plaintext == "key request"));
    }
}

on_both! {
    /// Each step has its ten seconds.
    fn every_wait_ends<N>() {
        let ten = START.after(Duration::from_secs(10));
        let message = sent_by(&mut knock::<N>(Suite::IkAesGcm, Role::Daemon, None)).remove(0);
        for (mut relay, reason) in [
            (responder::<N>(Acceptor::Devices), Reason::HandshakeTimedOut),
            (deciding(Acceptor::Devices, message), Reason::HandshakeTimedOut),
            (answered(Suite::IkAesGcm).1, Reason::HandshakeTimedOut),
            (answered(Suite::IkPsk2AesGcm).1, Reason::NoisePskInvalid),
        ] {
            assert_eq!(relay.poll_timeout().unwrap().at, ten);
            relay.handle_timeout(Instant::from_nanos(ten.as_nanos() - 1));
            assert!(drain(&mut relay).is_empty());
            relay.handle_timeout(ten);
            assert_eq!(failed(&mut relay), reason);
        }
    }
}

on_both! {
    fn messages_before_the_answer_are_dropped_and_counted<N>() {
        let mut relay = deciding::<N>(Acceptor::Devices, sent_by(&mut knock::<N>(Suite::IkAesGcm, Role::Daemon, None)).remove(0));
        for _ in 0..3 {
            receive(&mut relay, &b"early"[..]);
        }
        assert_eq!(relay.ignored(), 3);
        assert!(drain(&mut relay).is_empty());
        verdict(&mut relay, admit(None));
        assert!(matches!(&drain(&mut relay)[..], [Output::Send(_)]));
    }
}

on_both! {
    fn a_payload_that_is_no_hello_ends_it<N>() {
        let local = device();
        let keys = crate::noise::InitiatorKeys {
            preamble: crate::wire::Preamble { suite: Suite::IkAesGcm, role: Role::Daemon },
            local: &local,
            responder: crate::noise::handshake::testing::relay().public(),
            psk: None,
        };
        let (_, message) = N::initiate(keys, Entropy::new([3; 32]), b"\xffnonsense").unwrap();
        let mut relay = responder::<N>(Acceptor::Devices);
        receive(&mut relay, message);
        assert_eq!(failed(&mut relay), Reason::FrameMalformed);
    }
}

/// A tail before the confirmation would be unauthenticated bytes.
#[test]
fn a_confirmation_has_no_tail() {
    let (noise, mut relay) = answered::<Symbolic>(Suite::IkAesGcm);
    let (_, mut message) = ping(noise);
    message.extend([0, 0, 1]);
    receive(&mut relay, message);
    assert_eq!(failed(&mut relay), Reason::NoiseHandshakeFailed);
}
