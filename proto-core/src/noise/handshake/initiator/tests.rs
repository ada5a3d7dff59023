use alloc::vec;
use core::time::Duration;

use super::*;
use crate::{
    noise::{
        Snow, Symbolic,
        handshake::testing::{START, device, drain, hello, initiator, keys, on_both, psk, psk_of, relay, sent_by, welcome},
    },
    secret::Secret,
    wire::{Preamble, Refused, Role, Suite},
};

/// The relay's message 2 to an initiator's message 1.
fn answer<N: Noise>(message: &[u8], psk: Option<&Secret>, payload: &[u8]) -> Bytes {
    let (mut noise, _) = N::respond(&relay(), Entropy::new([4; 32]), message).unwrap();
    Bytes::from(noise.answer(psk, payload).unwrap())
}

fn welcome_for<N: Noise>(suite: Suite, message: &[u8]) -> Bytes {
    answer::<N>(message, psk_of(suite).as_ref(), &Answer::Welcome(welcome()).encode())
}

/// An initiator whose message 1 is out.
fn started<N: Noise>(suite: Suite) -> (Initiator<N>, Bytes) {
    let mut machine = initiator(suite, Role::Daemon, psk_of(suite).as_ref());
    let message = sent_by(&mut machine).remove(0);
    (machine, message)
}

fn receive<N: Noise>(machine: &mut Initiator<N>, message: Bytes) {
    machine.handle_input(START, Input::Received(message)).unwrap();
}

fn broken<N: Noise>(machine: &mut Initiator<N>) -> Reason {
    let failure = match &drain(machine)[..] {
        [Output::Failed(failure)] => failure.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(machine.status(), Status::Failed(&failure));
    assert_eq!(machine.poll_timeout(), None);
    match failure {
        Failure::Broken(reason) => reason,
        Failure::Refused(refused) => panic!("{refused:?}"),
    }
}

on_both! {
    fn a_welcome_establishes<N>() {
        for suite in Suite::ALL {
            let (mut machine, message) = started::<N>(suite);
            assert_eq!(machine.status(), Status::Running { waiting_for: "message 2" });
            receive(&mut machine, welcome_for::<N>(suite, &message));
            let outputs = drain(&mut machine);
            assert!(matches!(&outputs[..], [Output::Established { welcome: said, .. }] if *said == welcome()));
            assert_eq!((machine.status(), machine.poll_timeout()), (Status::Finished, None));
        }
    }
}

on_both! {
    /// NOI-2, and a bug that others had: one garbage answer clears a pending handshake.
    fn garbage_does_not_clear_a_pending_handshake<N>() {
        for suite in Suite::ALL {
            let (mut machine, message) = started::<N>(suite);
            let good = welcome_for::<N>(suite, &message);
            let mut flipped = good.to_vec();
            flipped[40] ^= 1;
            for garbage in [Bytes::new(), Bytes::from_static(&[0; 200]), flipped.into(), message] {
                receive(&mut machine, garbage);
                assert!(drain(&mut machine).is_empty());
            }
            receive(&mut machine, good);
            assert!(matches!(&drain(&mut machine)[..], [Output::Established { .. }]));
        }
    }
}

on_both! {
    /// NOI-2: but not for ever.
    fn the_fifth_garbage_ends_it<N>() {
        for (suite, reason) in
            [(Suite::IkAesGcm, Reason::NoiseHandshakeFailed), (Suite::IkPsk2ChaChaPoly, Reason::NoisePskInvalid)]
        {
            let (mut machine, message) = started::<N>(suite);
            for _ in 0..MAX_GARBAGE {
                receive(&mut machine, Bytes::from_static(b"garbage"));
            }
            assert!(drain(&mut machine).is_empty());
            receive(&mut machine, Bytes::from_static(b"garbage"));
            assert_eq!(broken(&mut machine), reason);
            receive(&mut machine, welcome_for::<N>(suite, &message));
            assert!(drain(&mut machine).is_empty(), "ended: inputs are absorbed (L4)");
        }
    }
}

on_both! {
    /// NOI-3: a PSK that is not the relay's, told apart from silence.
    fn an_answer_under_another_psk_is_named_for_what_it_is<N>() {
        let suite = Suite::IkPsk2AesGcm;
        for leave in [Input::Closed(None), Input::Closed(Some(Reason::HandshakeTimedOut))] {
            let (mut machine, message) = started::<N>(suite);
            receive(&mut machine, answer::<N>(&message, Some(&psk(43)), &Answer::Welcome(welcome()).encode()));
            assert_eq!(machine.status(), Status::Running { waiting_for: "message 2" });
            let mut by_time = started::<N>(suite).0;
            receive(&mut by_time, answer::<N>(&message, Some(&psk(43)), &Answer::Welcome(welcome()).encode()));
            by_time.handle_timeout(START.after(HANDSHAKE_TIMEOUT));
            assert_eq!(broken(&mut by_time), Reason::NoisePskInvalid);
            machine.handle_input(START, leave).unwrap();
            assert_eq!(broken(&mut machine), Reason::NoisePskInvalid);
        }
    }
}

on_both! {
    fn silence_times_out_after_ten_seconds<N>() {
        let (mut machine, message) = started::<N>(Suite::IkPsk2AesGcm);
        let at = machine.poll_timeout().unwrap().at;
        assert_eq!(at, START.after(Duration::from_secs(10)));
        machine.handle_timeout(Instant::from_nanos(at.as_nanos() - 1));
        assert!(drain(&mut machine).is_empty());
        machine.handle_timeout(at);
        assert_eq!(broken(&mut machine), Reason::HandshakeTimedOut);

        let (mut late, _) = started::<N>(Suite::IkPsk2AesGcm);
        late.handle_input(at, Input::Received(welcome_for::<N>(Suite::IkPsk2AesGcm, &message))).unwrap();
        assert_eq!(broken(&mut late), Reason::HandshakeTimedOut);
    }
}

on_both! {
    /// D12: only what the responder says under its key is a refusal.
    fn a_refusal_is_authenticated_and_a_close_frame_is_not<N>() {
        let (mut machine, message) = started::<N>(Suite::IkAesGcm);
        let refused = Refused { reason: Reason::MachineRevoked, retry_after: 0 };
        receive(&mut machine, answer::<N>(&message, None, &Answer::Refused(refused.clone()).encode()));
        assert!(matches!(&drain(&mut machine)[..], [Output::Failed(Failure::Refused(said))] if *said == refused));
        assert_eq!(machine.status(), Status::Failed(&Failure::Refused(refused)));

        let (mut machine, _) = started::<N>(Suite::IkAesGcm);
        machine.handle_input(START, Input::Closed(Some(Reason::MachineRevoked))).unwrap();
        assert_eq!(broken(&mut machine), Reason::MachineRevoked);
        let (mut machine, _) = started::<N>(Suite::IkAesGcm);
        machine.handle_input(START, Input::Closed(None)).unwrap();
        assert_eq!(broken(&mut machine), Reason::RelayClosed);
    }
}

on_both! {
    fn an_answer_that_says_nothing_known_ends_it<N>() {
        let (mut machine, message) = started::<N>(Suite::IkAesGcm);
        receive(&mut machine, answer::<N>(&message, None, b"\x07nonsense"));
        assert_eq!(broken(&mut machine), Reason::FrameMalformed);
    }
}

on_both! {
    fn keys_that_cannot_work_fail_at_once<N>() {
        let local = device();
        let keys = InitiatorKeys {
            preamble: Preamble { suite: Suite::IkPsk2AesGcm, role: Role::Daemon },
            local: &local,
            responder: keys(2).public(),
            psk: None,
        };
        let mut machine = Initiator::<N>::start(START, keys, Entropy::new([3; 32]), &hello());
        assert_eq!(broken(&mut machine), Reason::NoisePskInvalid);
        let keys = InitiatorKeys { responder: crate::key::StaticKey([0; 32]), psk: Some(&psk(42)), ..keys };
        let mut machine = Initiator::<N>::start(START, keys, Entropy::new([3; 32]), &hello());
        assert_eq!(broken(&mut machine), Reason::NoiseHandshakeFailed);
    }
}

/// Explorable: with the symbolic Noise the whole machine can be cloned and compared.
#[test]
fn equal_traces_make_equal_machines() {
    let (machine, message) = started::<Symbolic>(Suite::IkAesGcm);
    let mut twins = vec![machine.clone(), machine];
    for twin in &mut twins {
        receive(twin, Bytes::from_static(b"garbage"));
        receive(twin, welcome_for::<Symbolic>(Suite::IkAesGcm, &message));
    }
    assert_eq!(twins[0], twins[1]);
    assert_eq!(drain(&mut twins[0]), drain(&mut twins[1]));
}

#[test]
fn the_real_machine_moves_between_threads() {
    const fn check<T: Send>() {}
    check::<Initiator<Snow>>();
}
