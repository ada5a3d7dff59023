//! Which answers count, and what they lead to.

use super::*;
use crate::effect::Method;

/// S165, PAIR-6: a server in trouble is asked for a code again, with another identity.
#[test]
fn a_mint_that_met_a_server_in_trouble_is_repeated() {
    for status in [500, 503] {
        let mut desk = Harness::start();
        let first = desk.http[0].1.body.clone();
        desk.answer(status, "<html>");
        assert_eq!((desk.said.pop(), desk.wait()), (Some(Output::Trouble(PlatformUnreachable)), MINT_PAUSE));
        assert_ne!(desk.http[0].1.body, first);
        desk.answer(201, mint_answer());
        desk.stored();
        assert!(matches!(desk.said[..], [Output::ShowCode(_)]));
    }
}

/// WIRE sections 2.1 and 2.2: a code is made with a POST, and only looked at afterwards.
#[test]
fn a_code_is_posted_and_then_got() {
    let mut desk = Harness::start();
    assert_eq!(desk.http[0].1.method, Method::Post);
    desk.answer(201, mint_answer());
    desk.stored();
    let (_, poll) = &desk.http[0];
    assert_eq!((poll.method, &poll.body), (Method::Get, &None));
}

/// PAIR-1: a 400 that does not say `slow_down` changes no interval.
#[test]
fn only_slow_down_lengthens_the_interval() {
    let mut desk = Harness::shown();
    for body in ["", "<html>", "{}", r#"{"error": "invalid_request"}"#] {
        desk.wait();
        desk.answer(400, body);
        assert_eq!(desk.machine.trouble(), Some(PlatformAnswerInvalid), "{body}");
        assert_eq!(desk.wait(), Duration::from_secs(2), "{body}");
    }
}

/// PAIR-2: that an earlier request came to nothing says nothing about the one under way.
#[test]
fn stale_faults_are_ignored() {
    let unanswered = |desk: &mut Harness, effect_id| {
        let before = desk.machine.clone();
        desk.input(Input::Io(IoEvent::Unanswered(effect_id, NetFault::BadUrl)));
        assert_eq!(desk.machine.ignored(), before.ignored() + 1, "{effect_id:?}");
        assert_eq!((&desk.machine.state, desk.machine.trouble()), (&before.state, before.trouble()), "{effect_id:?}");
    };
    let mut desk = Harness::start();
    unanswered(&mut desk, EffectId::Mint(2));
    desk.answer(201, mint_answer());
    desk.stored();
    for effect_id in [EffectId::Mint(1), EffectId::Mint(2), EffectId::Poll(1), EffectId::Poll(3), EffectId::KeySet(2)] {
        unanswered(&mut desk, effect_id);
    }
    desk.answer(200, approval(&desk.identity(), |_| {}));
    for effect_id in [EffectId::Poll(2), EffectId::Poll(3), EffectId::KeySet(2)] {
        unanswered(&mut desk, effect_id);
    }
    desk.answer(200, key_set());
    assert!(matches!(desk.said.last(), Some(Output::Approved(_))));
}

/// PAIR-3: an approval whose key set did not come in time ends with what stood in the way, not with an expired code.
#[test]
fn an_approval_that_cannot_be_verified_ends_with_the_trouble() {
    for (answers, reason) in [(true, PlatformAnswerInvalid), (false, PlatformUnreachable)] {
        let mut desk = Harness::shown();
        desk.answer(200, approval(&desk.identity(), |_| {}));
        while desk.machine.poll_timeout().is_some() {
            if answers && !desk.http.is_empty() {
                desk.answer(200, "<html>");
            } else {
                desk.fire();
            }
        }
        desk.http.clear();
        assert_eq!(desk.end(), Status::Failed(&reason));
    }
}

/// L9: a code that is on its way has no expiry yet; what is awaited is the answer alone.
#[test]
fn a_mint_under_way_waits_for_its_answer_alone() {
    let desk = Harness::start();
    assert_eq!(desk.machine.poll_timeout(), None);
    assert_eq!(desk.machine.status(), Status::Running { waiting_for: "a code from the platform" });
}

/// L4: whatever comes after the end is counted, and changes nothing else.
#[test]
fn an_ended_pairing_absorbs_everything() {
    let mut desk = Harness::start();
    desk.input(Input::Cancel);
    let inputs = [Input::Io(IoEvent::Stored(EffectId::Forget)), Input::Adopted, Input::Rejected(OrgAlreadyBound), Input::Cancel];
    for (n, input) in (1..).zip(inputs) {
        desk.input(input);
        assert_eq!((desk.machine.ignored(), desk.machine.status()), (n, Status::Failed(&PairingCancelled)));
    }
    desk.machine.handle_clock(desk.now, WallClock::new(desk.now, UNIX.plus(1)));
    assert_eq!(desk.machine.clock.own(), clock());
    assert!(desk.said.is_empty() && desk.files.is_empty());
}
