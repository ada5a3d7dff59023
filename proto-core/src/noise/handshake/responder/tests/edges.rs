//! Where a handshake is over, and what is just not too long.

use super::*;

on_both! {
    /// L4: a connection that closes after the end, in either way, is no second end.
    fn an_end_is_said_once<N>() {
        let (noise, mut confirmed) = answered::<N>(Suite::IkAesGcm);
        receive(&mut confirmed, ping(noise).1);
        assert!(matches!(&drain(&mut confirmed)[..], [Output::Confirmed { .. }]));
        let mut turned_away = responder::<N>(Acceptor::Devices);
        receive(&mut turned_away, vec![]);
        let reason = failed(&mut turned_away);
        for (mut relay, end) in [(confirmed, Status::Finished), (turned_away, Status::Failed(&reason))] {
            relay.handle_input(START, Input::Closed(Some(Reason::RelayClosed))).unwrap();
            assert!(drain(&mut relay).is_empty());
            assert_eq!(relay.status(), end);
        }
    }
}

on_both! {
    /// NOI-3: each verdict to no pending question is counted, and none is before it came.
    fn stale_verdicts_are_counted<N>() {
        let mut relay = responder::<N>(Acceptor::Devices);
        assert_eq!(relay.ignored(), 0);
        for n in 1..=3 {
            verdict(&mut relay, refuse(Reason::MachineRevoked));
            assert_eq!(relay.ignored(), n);
        }
    }
}

on_both! {
    /// ADM-1: a message 1 of the greatest length is still shown to the keys, one byte more is not.
    fn the_longest_message_1_is_read<N>() {
        for (length, reason) in
            [(MAX_FIRST_MESSAGE, Reason::NoiseHandshakeFailed), (MAX_FIRST_MESSAGE + 1, Reason::FrameMalformed)]
        {
            let mut relay = responder::<N>(Acceptor::Devices);
            receive(&mut relay, vec![1; length]);
            assert_eq!(failed(&mut relay), reason);
        }
    }
}
