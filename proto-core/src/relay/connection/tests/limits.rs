//! What is too long, too late or too much for one connection.

use super::{bench::Bench, *};

fn of_length(head: Head, length: usize) -> Frame {
    Frame { head, body: vec![0; length].into() }
}

/// S204: a record that the relay may not send in one message ends the link with the reason for it, sealed or beside.
#[test]
fn a_record_longer_than_the_relay_may_send_ends_the_link_with_its_reason() {
    for send in [Input::Send, Input::SendTail] {
        let mut bench = Bench::<Symbolic>::admitted(Role::Viewer);
        let record = |length| of_length(Head::Data { session: S, epoch: 0, sequence: 0 }, length);
        bench.input(send(record(65_000)));
        assert_eq!(bench.hear(), [record(65_000)]);
        bench.input(send(record(65_536)));
        assert_eq!(bench.ended(), (Some(Reason::FrameTooLarge), Stage::Admitted));
        assert_eq!(bench.closed, Some(Close::Because(Reason::FrameTooLarge)));
        assert_eq!(bench.hear(), []);
    }
}

#[test]
fn a_peer_frame_that_fits_goes_out_under_the_longest_number_of_a_viewer() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    let frame = of_length(Head::Peer { session: S, viewer: u64::MAX }, 65_000);
    bench.input(Input::Send(frame.clone()));
    assert_eq!((bench.hear(), bench.take(), bench.connection.ignored()), (vec![frame], vec![], 0));
}

/// L4: where not even the last frame fits the connection ends all the same, once and with the reason that came first.
#[test]
fn a_last_frame_that_does_not_fit_still_ends_the_link_once() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    let settings = Settings { frame_max: 16, ..(*bench.connection.settings).clone() };
    bench.connection.settings = Arc::new(settings);
    bench.input(Input::Close(Reason::MachineRevoked));
    let ended = Output::Ended(Ended { reason: Some(Reason::FrameTooLarge), stage: Stage::Admitted });
    assert_eq!(bench.take(), [ended]);
    assert_eq!((bench.closed, bench.hear()), (Some(Close::Because(Reason::FrameTooLarge)), vec![]));
}

/// An answer about another decision than the one under way is none of this one's.
#[test]
fn an_answer_to_another_decision_is_ignored_and_counted() {
    let mut bench = Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, token(&claims(Role::Daemon, 1)));
    let message_1 = bench.message_1();
    let received = Input::Io(IoEvent::Received(EffectId::Socket, message_1));
    bench.connection.handle_input(bench.now, received).unwrap();
    let Some(Output::LookUp(asked, _)) = bench.connection.poll_output() else { panic!("no key is looked up") };
    let key = |effect_id| Input::Key(effect_id, KeyAnswer::Unknown);
    for other in [EffectId::Decide(7), EffectId::Socket] {
        bench.input(key(other));
    }
    assert_eq!((bench.connection.stage(), bench.connection.ignored()), (Some(Stage::Deciding), 2));
    bench.input(key(asked));
    assert_eq!(bench.ended(), (Some(Reason::SignatureMismatch), Stage::Deciding));
}

/// The same for a renewal, and for one that is over.
#[test]
fn an_answer_to_an_older_renewal_is_ignored_and_counted() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.input(Input::Key(EffectId::Decide(0), KeyAnswer::Unknown));
    assert_eq!(bench.connection.ignored(), 1);
    let message = bench.sealed(Head::Rotate { token: token(&claims(Role::Daemon, 2)) });
    let received = Input::Io(IoEvent::Received(EffectId::Socket, message));
    bench.connection.handle_input(bench.now, received).unwrap();
    bench.connection.handle_input(bench.now, Input::Key(EffectId::Decide(0), KeyAnswer::Unknown)).unwrap();
    assert_eq!(bench.connection.ignored(), 2);
    bench.input(Input::ResumeReading);
    assert_eq!(bench.hear(), [Head::Rotated { generation: 2 }.into()]);
}

/// L6: a driver that does not take what the connection says is told so, and what it wanted has not happened.
#[test]
fn an_undrained_connection_refuses_inputs() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Viewer);
    let send = || Input::SendTail(data(0));
    let taken = core::iter::repeat_with(|| bench.connection.handle_input(bench.now, send())).take_while(Result::is_ok).count();
    assert_eq!(taken, crate::Outbox::<Output>::LIMIT);
    let before = bench.connection.clone();
    let refused = bench.connection.handle_input(bench.now, Input::Close(Reason::Superseded));
    assert_eq!(refused, Err(Misuse::Full("outputs")));
    assert_eq!(bench.connection, before);
    assert!(bench.connection.poll_output().is_some());
    bench.input(Input::ResumeReading);
    bench.input(Input::Close(Reason::Superseded));
    assert_eq!(bench.ended(), (Some(Reason::Superseded), Stage::Admitted));
}
