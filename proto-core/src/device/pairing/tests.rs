mod answers;
pub(crate) mod desk;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde_json::{Value, json};

use self::desk::*;
use super::*;
use crate::{
    Reason::*,
    UnixTime,
    api::{CODE_ALPHABET, Workspace},
    crypto::Identity,
    device::files::Document,
    effect::{HttpAnswer, IoEvent, NetFault},
    jose::{Claims, JwkSet, SigningKey, Thumbprint},
    key::StaticKey,
    secret::{Secret, SecretBytes},
};

/// S4, S5, S13, S16: mint, durable, shown, polled, approved, verified, adopted, forgotten.
#[test]
fn an_approved_pairing_hands_over_a_complete_binding() {
    let mut desk = Harness::start();
    let (_, mint) = &desk.http[0];
    assert_eq!(mint.url, "https://api.example/api/pairing-codes");
    let body: Value = serde_json::from_slice(mint.body.as_ref().unwrap().expose()).unwrap();
    assert_eq!((body["kind"].as_str(), body["mode"].as_str()), (Some("daemon"), Some("new")));
    assert_eq!(body["name"].as_str().unwrap().len(), 64);
    desk.answer(201, mint_answer());
    desk.stored();
    assert!(matches!(&desk.said[..], [Output::ShowCode(shown)] if shown.code == "BCDF2345"));
    assert_eq!(desk.wait(), Duration::ZERO);
    let (_, poll) = &desk.http[0];
    assert_eq!(poll.url, "https://api.example/api/pairing-codes/BCDF2345");
    assert_eq!(poll.headers[0].1.expose(), "Bearer s3cret-status-token");
    assert_eq!(poll.headers[1].1.expose(), "wait=20");

    let identity = desk.identity();
    desk.answer(200, approval(&identity, |_| {}));
    assert_eq!(desk.http[0].1.url, "https://api.example/api/.well-known/jwks.json");
    desk.answer(200, key_set());
    let Some(Output::Approved(paired)) = desk.said.pop() else { panic!() };
    assert_eq!((paired.seed, paired.generation), (identity.seed().clone(), 1));
    assert_eq!(paired.api_endpoint, "https://api.example");
    assert!(desk.files.is_empty(), "the pending file stays until the binding is durable");
    desk.input(Input::Adopted);
    assert_eq!(desk.end(), Status::Finished);
}

/// PAIR-5: nothing is shown, and nothing polled, before code, status token and identity are durable.
#[test]
fn the_code_is_shown_only_once_it_is_durable() {
    let mut desk = Harness::start();
    desk.answer(201, mint_answer());
    assert!(desk.said.is_empty() && desk.http.is_empty() && desk.machine.poll_timeout().is_none());
    let (_, bytes) = &desk.files[0];
    let file = PendingPairing::parse(bytes.as_ref().unwrap().expose()).unwrap();
    assert_eq!((file.code.as_str(), file.status_token.expose()), ("BCDF2345", "s3cret-status-token"));
    assert_eq!(file.expires_at, UNIX.plus(900));
    let (effect_id, _) = desk.files.remove(0);
    desk.input(Input::Io(IoEvent::NotStored(effect_id)));
    assert!(desk.said.is_empty());
    assert_eq!(desk.machine.status(), Status::Failed(&StateNotWritten));
}

/// PAIR-6, S22, S23: killed at every step, the file that is there leads to the same binding, with the same identity.
#[test]
fn a_killed_pairing_goes_on_where_it_was() {
    for steps in 0..4 {
        let mut desk = Harness::start();
        desk.answer(201, mint_answer());
        let file = desk.stored().unwrap();
        let seed = desk.identity().seed().clone();
        if steps > 0 {
            desk.wait();
        }
        if steps > 1 {
            desk.answer(200, approval(&desk.identity(), |_| {}));
        }
        if steps > 2 {
            desk.answer(200, key_set());
        }
        let now = Instant::from_nanos(1);
        let clock = WallClock::new(now, UNIX.plus(60));
        let pending = PendingPairing::parse(file.expose()).unwrap();
        let mut again = Harness::new(Pairing::resume(now, clock, pending), now);
        assert_eq!(again.machine.shown().unwrap().expires_at, now.after(Duration::from_mins(14)));
        again.answer(200, approval(&again.identity(), |_| {}));
        again.answer(200, key_set());
        assert!(matches!(&again.said[..], [Output::Approved(paired)] if paired.seed == seed), "after {steps}");
        again.input(Input::Adopted);
        assert_eq!(again.end(), Status::Finished);
    }
}

/// PAIR-6: after a kill between the binding and the removal of the pending file, only the removal is left.
#[test]
fn a_resumed_pairing_whose_binding_is_durable_only_forgets() {
    let mut desk = Harness::shown();
    desk.wait();
    desk.input(Input::Adopted);
    desk.answer(200, approval(&Identity::from_seed(Secret::new([1; 32])), |_| {}));
    assert!(!desk.said.iter().any(|output| matches!(output, Output::Approved(_))));
    assert_eq!(desk.end(), Status::Finished);
    assert_eq!(desk.machine.ignored(), 1);
}

/// PAIR-6: no identity is in two codes: a mint whose answer was lost is repeated with another one.
#[test]
fn every_mint_has_a_fresh_identity() {
    let mut desk = Harness::start();
    let mut keys = Vec::new();
    for pauses in 0..3 {
        let body: Value = serde_json::from_slice(desk.http[0].1.body.as_ref().unwrap().expose()).unwrap();
        keys.push(body["identity_key"].to_string());
        desk.fault(NetFault::TimedOut);
        if pauses < 2 {
            assert_eq!(desk.wait(), MINT_PAUSE);
        }
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    assert_eq!(desk.machine.status(), Status::Failed(&PlatformUnreachable));
    assert_eq!(desk.said, [Output::Trouble(PlatformUnreachable)]);
}

/// S165: a platform that refuses, or is none, ends the attempt at once and says what it is.
#[test]
fn a_refused_mint_says_why() {
    let problem = json!({"status": 409, "title": "t", "reason": "already_paired"});
    for (status, body, reason) in [
        (409, problem.to_string(), AlreadyPaired),
        (429, String::new(), RateLimited),
        (404, "<html>".into(), PlatformAnswerInvalid),
        (302, String::new(), PlatformAnswerInvalid),
        (200, "<html>sign in</html>".into(), PlatformAnswerInvalid),
    ] {
        let mut desk = Harness::start();
        desk.answer(status, body);
        assert_eq!(desk.machine.status(), Status::Failed(&reason));
    }
    let mut desk = Harness::start();
    desk.fault(NetFault::BadUrl);
    assert_eq!(desk.machine.status(), Status::Failed(&PlatformUnreachable));
}

/// What the platform says is shown on a terminal and becomes part of URLs and header lines.
#[test]
fn a_mint_answer_with_something_else_in_it_is_refused() {
    for (member, value) in [
        ("code", "BCDF/../"),
        ("code", "bcdf2345"),
        ("code", "AEIOU234"),
        ("url", "javascript:alert(1)"),
        ("url", "https://"),
        ("url", "https://x/\u{1b}[2J"),
        ("status_token", "a\r\nHost: b"),
        ("status_token", ""),
    ] {
        let mut desk = Harness::start();
        let mut answer = mint_answer();
        answer[member] = value.into();
        desk.answer(201, answer);
        assert_eq!(desk.machine.status(), Status::Failed(&PlatformAnswerInvalid), "{member} {value:?}");
    }
    assert_eq!(CODE_ALPHABET.len(), 24);
}

/// PAIR-4, "an HTML or 5xx answer ends the login": nothing but the platform's own word does, and trouble is said once.
#[test]
fn trouble_never_ends_an_attempt() {
    let mut desk = Harness::shown();
    desk.said.clear();
    for (status, body) in [
        (500, "{}"),
        (502, "<html>"),
        (503, r#"{"status":503,"title":"t"}"#),
        (200, "<html>portal</html>"),
        (200, "{"),
        (200, r#"{"status":"maybe"}"#),
        (404, "<html>not found</html>"),
        (404, ""),
        (403, "<html>"),
        (301, ""),
        (401, "{}"),
        (400, "{}"),
        (200, r#"{"status":"approved"}"#),
    ] {
        desk.wait();
        desk.answer(status, body);
    }
    for fault in [NetFault::Dns, NetFault::Refused, NetFault::Tls, NetFault::TimedOut, NetFault::Broken, NetFault::TooLarge] {
        desk.wait();
        desk.fault(fault);
    }
    assert_eq!(
        desk.said,
        [PlatformUnreachable, PlatformAnswerInvalid, PlatformUnreachable, PlatformAnswerInvalid].map(Output::Trouble)
    );
    desk.said.clear();
    desk.approve();
    assert!(matches!(desk.said[..], [Output::Approved(_)]));
    assert_eq!(desk.machine.trouble(), None);
}

/// S8, S10, S12: a 404 of the platform says that the code is gone; so does the expiry.
#[test]
fn denied_and_expired_codes_end_the_attempt() {
    for (status, body, reason) in [(404, gone(), CodeExpired), (200, json!({"status": "denied"}), PairingDenied)] {
        let mut desk = Harness::shown();
        desk.wait();
        desk.answer(status, body);
        assert_eq!(desk.end(), Status::Failed(&reason));
    }
}

/// PAIR-1, "time spent in the request not counted", "a missing interval gives a zero-sleep busy loop": from start to start.
#[test]
fn polls_start_an_interval_apart() {
    for (interval, seconds) in
        [(json!(null), 2_u64), (json!(0), 1), (json!(-1), 1), (json!(0.5), 2), (json!(7), 7), (json!(9_000_000_000_u64), 60)]
    {
        let mut desk = Harness::start();
        let mut answer = mint_answer();
        answer["interval"] = interval;
        desk.answer(201, answer);
        desk.stored();
        desk.wait();
        for (held, rest) in [(0, seconds), (1, seconds - 1), (20, seconds.saturating_sub(20))] {
            desk.pass(held);
            desk.answer(200, pending());
            if rest > 0 {
                assert_eq!(desk.wait(), Duration::from_secs(rest));
            }
            assert_eq!(desk.http.len(), 1, "one poll, at once when the last one was held longer");
        }
    }
}

/// PAIR-1, "`slow_down` treated as fatal, or ignored": each adds 5 s for good; Retry-After counts once, and up to a cap.
#[test]
fn slow_down_lengthens_the_interval_for_good() {
    let mut desk = Harness::shown();
    desk.wait();
    desk.answer(429, "");
    assert_eq!(desk.wait(), Duration::from_secs(7));
    desk.answer(400, json!({"error": "slow_down"}));
    assert_eq!(desk.wait(), Duration::from_secs(12));
    desk.answer_later(429, "", Some(30));
    assert_eq!(desk.wait(), Duration::from_secs(30));
    desk.answer(200, pending());
    assert_eq!(desk.wait(), Duration::from_secs(17));
    desk.answer_later(503, "", Some(u32::MAX));
    assert_eq!(desk.wait(), MAX_RETRY_AFTER);
}

/// PAIR-3, "expiry ignored": no poll at or after the expiry, whatever the platform says, and the end comes then.
#[test]
fn the_expiry_ends_a_poll_that_goes_on_for_ever() {
    let mut desk = Harness::shown();
    let expires_at = desk.machine.shown().unwrap().expires_at;
    loop {
        desk.wait();
        if desk.http.is_empty() {
            break;
        }
        assert!(desk.now < expires_at);
        desk.answer(200, pending());
    }
    assert_eq!(desk.now, expires_at);
    assert_eq!(desk.end(), Status::Failed(&CodeExpired));
}

/// PAIR-3, PAIR-11: what was asked before the expiry may still bring the approval; a lost answer ends a request later.
#[test]
fn a_poll_under_way_at_the_expiry_comes_to_its_end() {
    for approved in [true, false] {
        let mut desk = Harness::shown();
        let expires_at = desk.machine.shown().unwrap().expires_at;
        desk.answer(200, pending());
        desk.pass(899);
        assert_eq!(desk.http[0].1.headers[1].1.expose(), "wait=1");
        if approved {
            desk.pass(5);
            desk.answer(200, approval(&desk.identity(), |_| {}));
            desk.answer(200, key_set());
            assert!(matches!(desk.said[..], [_, Output::Approved(_)]));
        } else {
            desk.fire();
            assert_eq!(desk.now, expires_at.after(REQUEST_TIMEOUT));
            desk.http.clear();
            assert_eq!(desk.end(), Status::Failed(&CodeExpired));
        }
    }
}

/// "A deadline in the past after a suspend fires in a burst": one poll, or the end.
#[test]
fn a_suspend_causes_one_poll_or_the_end() {
    let mut desk = Harness::shown();
    desk.answer(200, pending());
    desk.pass(600);
    assert_eq!(desk.http.len(), 1);
    desk.answer(200, pending());
    desk.pass(100_000);
    assert!(desk.machine.status() == Status::Running { waiting_for: "the pending file to be removed" });
    assert_eq!(desk.end(), Status::Failed(&CodeExpired));
}

/// PAIR-7, PAIR-9: an approval that is not for this key, this org or by this platform is not handed over.
#[test]
fn an_approval_that_does_not_hold_is_refused() {
    type Change = fn(&mut Claims);
    let wrong: [(Change, Reason); 9] = [
        (|c| c.org = "OTHER".parse().unwrap(), CredentialRejected),
        (|c| c.confirmation.static_key = StaticKey([5; 32]), CredentialRejected),
        (|c| c.confirmation.identity = Thumbprint([5; 32]), CredentialRejected),
        (|c| c.role = DeviceKind::Viewer, CredentialRejected),
        (|c| c.runtime_target = "x".parse().unwrap(), CredentialRejected),
        (|c| c.machine = "x".parse().unwrap(), CredentialRejected),
        (|c| c.audience = "x".into(), CredentialRejected),
        (|c| c.renewable_until = UnixTime(UNIX.0 - 61), CredentialRejected),
        (|c| c.not_before = UNIX.plus(3_600), TokenNotYetValid),
    ];
    for (change, reason) in wrong {
        let mut desk = Harness::shown();
        desk.wait();
        desk.answer(200, approval(&desk.identity(), change));
        desk.answer(200, key_set());
        assert!(matches!(desk.said[..], [Output::ShowCode(_)]));
        assert_eq!(desk.end(), Status::Failed(&reason));
    }
    let mut desk = Harness::shown();
    desk.wait();
    desk.answer(200, approval(&desk.identity(), |_| {}));
    let stranger: JwkSet = [SigningKey::from_seed(&Secret::new([8; 32])).public_key()].into_iter().collect();
    desk.answer(200, stranger.to_json());
    assert_eq!(desk.end(), Status::Failed(&CredentialRejected));
}

/// PAIR-4: a key set that cannot be had is trouble, not the end, and the approval is not lost over it.
#[test]
fn the_key_set_is_asked_for_until_it_comes() {
    let mut desk = Harness::shown();
    desk.wait();
    desk.answer(200, approval(&desk.identity(), |_| {}));
    for (status, body, reason) in [
        (500, "{}", PlatformUnreachable),
        (200, "<html>", PlatformAnswerInvalid),
        (200, r#"{"keys":[]}"#, PlatformAnswerInvalid),
        (404, "", PlatformAnswerInvalid),
        (429, "slower", RateLimited),
    ] {
        desk.answer(status, body);
        assert_eq!(desk.machine.trouble(), Some(reason), "{status}");
        assert_eq!(desk.wait(), Duration::from_secs(2));
    }
    desk.answer(200, key_set());
    assert!(matches!(desk.said.last(), Some(Output::Approved(_))));
}

/// An approval whose members contradict each other or carry control characters is not what the platform says.
#[test]
fn an_approval_out_of_shape_is_trouble() {
    for (path, value) in [
        ("/workspace/name", json!("a\u{1b}[2Jb")),
        ("/workspace/name", json!("")),
        ("/workspace/slug", json!("$(id)")),
        ("/relay/url", json!("http://relay.example/ws")),
        ("/relay/static_keys", json!([])),
        ("/policy_mode", json!("crypto_pairing")),
        ("/issue_token", json!("a b")),
    ] {
        let mut desk = Harness::shown();
        desk.wait();
        let mut answer = approval(&desk.identity(), |_| {});
        *answer.pointer_mut(path).unwrap() = value;
        desk.answer(200, answer);
        assert_eq!(desk.machine.trouble(), Some(PlatformAnswerInvalid), "{path}");
    }
}

/// D1, S55: the org that was asked for, by id or slug, and no other.
#[test]
fn the_approved_org_is_the_one_that_was_asked_for() {
    for (asked, fits) in [("ORG", true), ("acme", true), ("other", false)] {
        let mut desk = Harness::start_with(Some(asked));
        desk.answer(201, mint_answer());
        desk.stored();
        desk.wait();
        desk.answer(200, approval(&desk.identity(), |_| {}));
        if fits {
            assert_eq!(desk.http.len(), 1);
        } else {
            assert_eq!(desk.end(), Status::Failed(&OrgMismatch));
        }
    }
}

/// PAIR-2: late and foreign answers change nothing and are counted.
#[test]
fn stale_answers_are_ignored() {
    let mut desk = Harness::shown();
    desk.wait();
    let (effect_id, _) = desk.http[0].clone();
    desk.fault(NetFault::TimedOut);
    let before = desk.machine.clone();
    let answer = || HttpAnswer { status: 200, retry_after: None, date: None, body: SecretBytes::new(pending().to_string()) };
    for late in [effect_id, EffectId::Mint(1), EffectId::KeySet(2), EffectId::Save, EffectId::Poll(77)] {
        desk.input(Input::Io(IoEvent::Answered(late, answer())));
    }
    assert_eq!(desk.machine.ignored(), before.ignored() + 5);
    assert_eq!((&desk.machine.state, desk.machine.poll_timeout()), (&before.state, before.poll_timeout()));
}

/// S20: Ctrl-C ends the wait and removes what is on disk; once the approval was handed over it is too late.
#[test]
fn cancelling_cleans_up() {
    let mut desk = Harness::start();
    desk.input(Input::Cancel);
    assert_eq!(desk.machine.status(), Status::Failed(&PairingCancelled));
    let mut desk = Harness::shown();
    desk.input(Input::Cancel);
    desk.http.clear();
    assert_eq!(desk.end(), Status::Failed(&PairingCancelled));
    let mut desk = Harness::shown();
    desk.approve();
    desk.input(Input::Cancel);
    assert_eq!(desk.machine.status(), Status::Running { waiting_for: "the binding to be durable" });
    desk.input(Input::Rejected(OrgAlreadyBound));
    assert_eq!(desk.end(), Status::Failed(&OrgAlreadyBound));
}

/// D1, S48, S55: nothing is overwritten by surprise, and naming another org is an explicit add.
#[test]
fn a_paired_daemon_pairs_again_only_when_told_how() {
    use PairingMode::{Add, New, Replace};
    let acme = Workspace { id: "ORG".parse().unwrap(), slug: "acme".into(), name: "Acme".into() };
    assert_eq!(decide_mode(New, None, []), Ok(New));
    assert_eq!(decide_mode(New, Some("acme"), []), Ok(New));
    for (asked, org, decided) in [
        (New, None, Err(AlreadyPaired)),
        (New, Some("acme"), Err(AlreadyPaired)),
        (New, Some("ORG"), Err(AlreadyPaired)),
        (New, Some("other"), Ok(Add)),
        (Add, None, Ok(Add)),
        (Add, Some("acme"), Ok(Add)),
        (Replace, None, Ok(Replace)),
    ] {
        assert_eq!(decide_mode(asked, org, [&acme]), decided, "{asked:?} {org:?}");
    }
}

/// D19: a machine whose clock is wrong by weeks pairs where the platform says what time it is, by the answer that brings the
/// approval.
#[test]
fn an_approval_is_judged_by_the_platforms_time() {
    const WEEKS: u64 = 21 * 86_400;
    for own in [UnixTime(UNIX.0 - WEEKS), UnixTime(UNIX.0 - 90), UNIX.plus(WEEKS)] {
        for (date, good) in [(Some(UNIX), true), (None, own > UNIX)] {
            let mut desk = Harness::shown();
            desk.machine.handle_clock(desk.now, WallClock::new(desk.now, own));
            desk.date = date;
            desk.wait();
            desk.answer(200, approval(&desk.identity(), |_| {}));
            // A cache may keep the key set: its date says nothing.
            desk.date = Some(UnixTime(0));
            desk.answer(200, key_set());
            let is_approved = matches!(desk.said.last(), Some(Output::Approved(_)));
            assert_eq!(is_approved, good, "{own:?} {date:?}");
            if !good {
                assert_eq!(desk.end(), Status::Failed(&Reason::TokenNotYetValid));
            }
        }
    }
}
