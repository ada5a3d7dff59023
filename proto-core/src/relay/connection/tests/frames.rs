//! Frames at their limits, last frames, and answers that come late.

use super::*;
use crate::{
    relay::hub::{Confirmed, Kind},
    wire::sealed_len,
};

/// A device that says what went wrong has left: there is nothing to tell it any more.
#[test]
fn a_device_that_reports_an_error_is_let_go() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.say(Head::Error { reason: Reason::FrameTooLarge, retry_after: 0, detail: "x".into() });
    assert_eq!(bench.closed, Some(Close::Normal));
    assert_eq!(bench.hear(), []);
    assert_eq!(bench.ended(), (Some(Reason::FrameTooLarge), Stage::Admitted));
}

/// A peer frame that fits whatever the viewer's number goes through, to the last byte; one that might not is dropped.
#[test]
fn a_peer_frame_that_just_fits_goes_through() {
    let peer = |len: usize| Frame { head: Head::Peer { session: S, viewer: 1 }, body: vec![0; len].into() };
    let longest = (0..65_536).rev().find(|len| sealed_len(Frame::MAX_HEAD + len) <= 65_536).unwrap();
    assert_eq!(sealed_len(Frame::MAX_HEAD + longest), 65_536);
    for (len, goes_through) in [(0, true), (longest, true), (longest + 1, false)] {
        let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
        bench.input(Input::Send(peer(len)));
        assert_eq!(bench.hear(), if goes_through { vec![peer(len)] } else { vec![] }, "{len}");
        assert_eq!(bench.connection.ignored(), u64::from(!goes_through));
    }
}

/// S204: a message of the hub's may be as long as the relay allows; a longer one ends the link with its reason.
#[test]
fn a_message_may_be_as_long_as_the_relay_allows() {
    let data = |len: usize| Frame { head: Head::Data { session: S, epoch: 0, sequence: 0 }, body: vec![0; len].into() };
    let longest = (0..65_536).rev().find(|len| sealed_len(data(*len).encode().len()) <= 65_536).unwrap();
    assert_eq!(sealed_len(data(longest).encode().len()), 65_536);
    for len in [longest, longest + 1, 70_000] {
        let mut bench = Bench::<Symbolic>::admitted(Role::Viewer);
        bench.input(Input::Send(data(len)));
        if len == longest {
            assert_eq!(bench.hear(), [data(len)]);
        } else {
            assert!(bench.to_device.is_empty());
            assert_eq!(bench.closed, Some(Close::Because(Reason::FrameTooLarge)));
            assert_eq!(bench.ended(), (Some(Reason::FrameTooLarge), Stage::Admitted));
        }
    }
}

/// ROT-5: a platform that could not be asked is asked again after a while, not with everything that happens meanwhile.
#[test]
fn a_renewal_that_waits_is_not_hurried_by_frames() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.platform.status = 503;
    bench.say(Head::Rotate { token: token(&claims(Role::Daemon, 2)) });
    bench.platform = Platform::content();
    for nonce in 2..5 {
        bench.wait(9 * SECOND);
        bench.say(Head::Ping { nonce });
        assert_eq!(bench.hear(), [Head::Pong { nonce }.into()]);
    }
    bench.wait(3 * SECOND);
    assert_eq!(bench.hear(), [Head::Rotated { generation: 2 }.into()]);
}

/// L6, JWT-4: an answer about an earlier credential decides nothing about the renewed one.
#[test]
fn a_late_answer_about_another_credential_is_ignored() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    let message = bench.sealed(Head::Rotate { token: token(&claims(Role::Daemon, 2)) });
    let received = Input::Io(IoEvent::Received(EffectId::Socket, message));
    bench.connection.handle_input(bench.now, received).unwrap();
    let Some(Output::LookUp(effect_id, _)) = bench.connection.poll_output() else { panic!("no lookup") };
    assert_eq!(effect_id, EffectId::Decide(1));
    for (n, late) in (1..).zip([EffectId::Decide(0), EffectId::Decide(2)]) {
        bench.input(Input::Key(late, KeyAnswer::Unknown));
        assert_eq!((bench.take(), bench.connection.ignored()), (vec![], n));
    }
    bench.input(Input::Key(effect_id, bench.platform.key));
    assert_eq!(bench.hear(), [Head::Rotated { generation: 2 }.into()]);
}

/// L6: nor does one that belongs to no decision yet decide about the first credential.
#[test]
fn an_answer_to_another_question_admits_no_device() {
    let mut bench = Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, token(&claims(Role::Daemon, 1)));
    let message = bench.message_1();
    let received = Input::Io(IoEvent::Received(EffectId::Socket, message));
    bench.connection.handle_input(bench.now, received).unwrap();
    assert!(matches!(bench.connection.poll_output(), Some(Output::LookUp(EffectId::Decide(0), _))));
    bench.input(Input::Key(EffectId::Decide(1), bench.platform.key));
    assert_eq!((bench.connection.stage(), bench.connection.ignored()), (Some(Stage::Deciding), 1));
    bench.input(Input::Key(EffectId::Decide(0), bench.platform.key));
    assert_eq!(bench.connection.stage(), Some(Stage::Unconfirmed));
    assert_eq!(bench.shake_hands(), None);
}

/// ADM-4: the hub learns org, target and kind of a device, and the credential of a daemon only.
#[test]
fn the_hub_learns_the_kind_of_a_device() {
    let device = |role| Device {
        org: "org_1".parse().unwrap(),
        target: "rt_1".parse().unwrap(),
        role,
        token: SecretText::new("credential"),
        software: "vpd".into(),
    };
    for (role, kind) in [(Role::Daemon, Kind::Daemon(SecretText::new("credential"))), (Role::Viewer, Kind::Viewer)] {
        let confirmed = Confirmed { org: "org_1".parse().unwrap(), target: "rt_1".parse().unwrap(), kind };
        assert_eq!(device(role).for_hub(), confirmed);
    }
}

/// ADM-2: how far a connection came has one word in logs and metrics.
#[test]
fn stages_have_names() {
    let names = [Stage::Unauthenticated, Stage::Deciding, Stage::Unconfirmed, Stage::Admitted].map(Stage::name);
    assert_eq!(names, ["unauthenticated", "deciding", "unconfirmed", "admitted"]);
}
