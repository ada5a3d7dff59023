use alloc::{string::ToString, vec::Vec};

use super::*;
use crate::{
    UnixTime,
    crypto::Identity,
    effect::NetFault,
    jose::{Confirmation, RELAY_AUDIENCE, SigningKey, Thumbprint, sign},
    secret::SecretBytes,
};

const NOW: UnixTime = UnixTime(1_700_000_000);
const START: Instant = Instant::from_nanos(9);

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

fn device() -> Identity {
    Identity::from_seed(Secret::new([3; 32]))
}

fn claims() -> Claims {
    Claims {
        issuer: "https://viewport.example".into(),
        audience: RELAY_AUDIENCE.into(),
        install: "install_1".parse().unwrap(),
        org: "org_1".parse().unwrap(),
        runtime_target: "rt_1".parse().unwrap(),
        machine: "m_1".parse().unwrap(),
        role: DeviceKind::Daemon,
        generation: 4,
        confirmation: Confirmation {
            static_key: device().static_key(),
            identity: Thumbprint::of_identity_key(device().identity_key()),
        },
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus(3600),
        renewable_until: NOW.plus(30 * 86_400),
        id: "t_1".parse().unwrap(),
    }
}

fn gate() -> PlatformAccess {
    PlatformAccess {
        validate_url: "https://viewport.example/api/relay/validate".into(),
        internal_key: SecretText::new("internal"),
        issuer: None,
    }
}

fn applicant(claims: &Claims) -> Applicant {
    let static_key = device().static_key();
    Applicant { role: Role::Daemon, pattern: Pattern::Ik, static_key, token: sign(claims, &signer(1)) }
}

fn begin(applicant: Applicant) -> Admission {
    Admission::begin(START, Arc::new(gate()), WallClock::new(START, NOW), applicant)
}

fn drain(machine: &mut Admission) -> Vec<Output> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// Gives the machine the signing key.
fn with_key(mut machine: Admission) -> Admission {
    assert_eq!(drain(&mut machine), [Output::LookUp { kid: signer(1).kid() }]);
    machine.handle_input(START, Input::Key(KeyAnswer::Found(signer(1).public_key()))).unwrap();
    machine
}

/// And lets it ask the platform.
fn validating(applicant: Applicant) -> Admission {
    let mut machine = with_key(begin(applicant));
    let outputs = drain(&mut machine);
    let [Output::Effect(Effect::Http((), request))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((request.max_answer, request.timeout.as_secs()), (16_384, 4));
    machine
}

fn answered(mut machine: Admission, status: u16, body: &str) -> Admission {
    let answer = HttpAnswer { status, retry_after: Some(30), date: None, body: SecretBytes::new(body) };
    machine.handle_input(START, Input::Io(IoEvent::Answered((), answer))).unwrap();
    machine
}

fn refused(mut machine: Admission) -> Reason {
    let outputs = drain(&mut machine);
    let [Output::Refused(refused)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(machine.status(), Status::Failed(&refused.reason));
    refused.reason
}

fn psk() -> Secret {
    Secret::new([8; 32])
}

fn active(policy: &str, psk: Option<&Secret>) -> String {
    serde_json::json!({ "active": true, "policy_mode": policy, "psk": psk }).to_string()
}

#[test]
fn a_good_credential_is_admitted() {
    let mut machine = answered(validating(applicant(&claims())), 200, &active("standard", None));
    assert_eq!(drain(&mut machine), [Output::Admitted(Box::new(Admitted { claims: claims(), psk: None }))]);
    assert_eq!(machine.status(), Status::Finished);
}

/// WIRE section 3.
#[test]
fn the_platform_is_asked_as_written() {
    let mut machine = with_key(begin(applicant(&claims())));
    let outputs = drain(&mut machine);
    let [Output::Effect(Effect::Http((), request))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((request.method, &*request.url), (Method::Post, "https://viewport.example/api/relay/validate"));
    assert_eq!(request.headers, [("Authorization", SecretText::new("Bearer internal"))]);
    let body: ValidateRequest = serde_json::from_slice(request.body.as_ref().unwrap().expose()).unwrap();
    let Applicant { token, static_key, .. } = applicant(&claims());
    assert_eq!(body, ValidateRequest { token, static_key });
}

/// ADM-2: everything is wrong at first; each mended thing brings out the next reason in the documented order.
#[test]
fn the_first_failing_check_names_the_reason() {
    let mut applicant = applicant(&claims());
    applicant.static_key = StaticKey([1; 32]);
    applicant.role = Role::Viewer;
    applicant.token = SecretText::new("nonsense");
    assert_eq!(refused(begin(applicant.clone())), Reason::TokenMalformed);

    let mut claims = Claims { audience: "other".into(), not_before: NOW.plus(999), expires_at: UnixTime(0), ..claims() };
    let check = |claims: &Claims, applicant: &Applicant, answer| {
        let mut machine = begin(Applicant { token: sign(claims, &signer(1)), ..applicant.clone() });
        drain(&mut machine);
        machine.handle_input(START, Input::Key(answer)).unwrap();
        refused(machine)
    };
    let found = KeyAnswer::Found(signer(1).public_key());
    assert_eq!(check(&claims, &applicant, KeyAnswer::Unreachable), Reason::JwksUnreachable);
    assert_eq!(check(&claims, &applicant, KeyAnswer::Unknown), Reason::SignatureMismatch);
    assert_eq!(check(&claims, &applicant, KeyAnswer::Found(signer(2).public_key())), Reason::SignatureMismatch);
    assert_eq!(check(&claims, &applicant, found), Reason::TokenWrongAudience);
    claims.audience = RELAY_AUDIENCE.into();
    assert_eq!(check(&claims, &applicant, found), Reason::TokenNotYetValid);
    claims.not_before = NOW;
    assert_eq!(check(&claims, &applicant, found), Reason::TokenExpired);
    claims.expires_at = NOW.plus(3600);
    assert_eq!(check(&claims, &applicant, found), Reason::TokenWrongAudience);
    applicant.role = Role::Daemon;
    assert_eq!(check(&claims, &applicant, found), Reason::TokenKeyMismatch);
    applicant.static_key = device().static_key();
    applicant.token = sign(&claims, &signer(1));

    let asked = || validating(applicant.clone());
    let mut machine = asked();
    machine.handle_input(START, Input::Io(IoEvent::Unanswered((), NetFault::Refused))).unwrap();
    assert_eq!(refused(machine), Reason::ValidateUnreachable);
    assert_eq!(refused(answered(asked(), 401, "{}")), Reason::InternalKeyMismatch);
    assert_eq!(refused(answered(asked(), 200, r#"{"active":false,"reason":"machine_revoked"}"#)), Reason::MachineRevoked);
    assert_eq!(refused(answered(asked(), 200, &active("crypto_pairing", None))), Reason::NoisePskInvalid);
    assert!(matches!(drain(&mut answered(asked(), 200, &active("standard", None)))[..], [Output::Admitted(_)]));
}

/// JWT-4: a credential in the hands of an attacker without its key.
#[test]
fn a_stolen_token_is_worthless() {
    let thief = Identity::from_seed(Secret::new([66; 32]));
    let machine = with_key(begin(Applicant { static_key: thief.static_key(), ..applicant(&claims()) }));
    assert_eq!(refused(machine), Reason::TokenKeyMismatch);
}

/// A daemon does not come in as a viewer, nor the other way round, nor any device as a peer.
#[test]
fn the_role_must_be_the_credentials_own() {
    for (kind, role, admitted) in [
        (DeviceKind::Daemon, Role::Daemon, true),
        (DeviceKind::Viewer, Role::Viewer, true),
        (DeviceKind::Daemon, Role::Viewer, false),
        (DeviceKind::Viewer, Role::Daemon, false),
        (DeviceKind::Viewer, Role::Peer, false),
    ] {
        let claims = Claims { role: kind, ..claims() };
        let mut machine = with_key(begin(Applicant { role, ..applicant(&claims) }));
        assert_eq!(matches!(drain(&mut machine)[..], [Output::Effect(_)]), admitted, "{kind:?} as {role:?}");
    }
}

/// NOI-3: which patterns each policy lets in, and with which PSK they are answered.
#[test]
fn the_policy_decides_the_pattern() {
    for (pattern, policy, given, expected) in [
        (Pattern::Ik, "standard", None, Ok(None)),
        (Pattern::Ik, "standard", Some(psk()), Ok(None)),
        (Pattern::Ik, "crypto_pairing", None, Err(Reason::NoisePskInvalid)),
        (Pattern::Ik, "crypto_pairing", Some(psk()), Err(Reason::NoisePskInvalid)),
        (Pattern::IkPsk2, "standard", None, Err(Reason::NoisePskInvalid)),
        (Pattern::IkPsk2, "standard", Some(psk()), Ok(Some(psk()))),
        (Pattern::IkPsk2, "crypto_pairing", None, Err(Reason::NoisePskInvalid)),
        (Pattern::IkPsk2, "crypto_pairing", Some(psk()), Ok(Some(psk()))),
    ] {
        let asked = validating(Applicant { pattern, ..applicant(&claims()) });
        let mut machine = answered(asked, 200, &active(policy, given.as_ref()));
        match expected {
            Ok(psk) => {
                assert_eq!(drain(&mut machine), [Output::Admitted(Box::new(Admitted { claims: claims(), psk }))]);
            }
            Err(reason) => assert_eq!(refused(machine), reason),
        }
    }
}

/// What the platform answers is passed on where it is a verdict, and never taken for one where it is not (D12).
#[test]
fn only_a_verdict_counts_as_one() {
    let asked = || validating(applicant(&claims()));
    for (code, reason) in [
        ("machine_revoked", Reason::MachineRevoked),
        ("workspace_not_found", Reason::WorkspaceNotFound),
        ("token_superseded", Reason::TokenSuperseded),
        ("token_key_mismatch", Reason::TokenKeyMismatch),
        ("from_the_future", Reason::PeerError),
    ] {
        let body = serde_json::json!({ "active": false, "reason": code }).to_string();
        assert_eq!(refused(answered(asked(), 200, &body)), reason);
    }
    assert_eq!(refused(answered(asked(), 200, r#"{"active":false}"#)), Reason::PeerError);
    for (status, body) in [
        (200, "<html>"),
        (200, r#"{"active":true}"#),
        (200, ""),
        (204, ""),
        (302, ""),
        (403, r#"{"active":false,"reason":"machine_revoked"}"#),
        (404, r#"{"reason":"workspace_not_found"}"#),
        (500, r#"{"active":false,"reason":"machine_revoked"}"#),
    ] {
        assert_eq!(refused(answered(asked(), status, body)), Reason::ValidateUnreachable, "{status} {body}");
    }
}

#[test]
fn retry_after_is_passed_on_where_trying_again_helps() {
    let wait = |status, body: &str| match &drain(&mut answered(validating(applicant(&claims())), status, body))[..] {
        [Output::Refused(refused)] => refused.retry_after,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(503, ""), 30);
    assert_eq!(wait(200, r#"{"active":false,"reason":"machine_revoked"}"#), 0);
}

/// The relay's clock decides when the answer about the key comes, not when the admission began.
#[test]
fn time_passes_while_the_key_is_looked_up() {
    let mut machine = begin(applicant(&claims()));
    drain(&mut machine);
    let later = START.after(Duration::from_mins(61));
    machine.handle_input(later, Input::Key(KeyAnswer::Found(signer(1).public_key()))).unwrap();
    assert_eq!(refused(machine), Reason::TokenExpired);
}

#[test]
fn an_issuer_that_was_told_is_checked() {
    for (issuer, admitted) in [("https://viewport.example", true), ("https://other.example", false)] {
        let gate = PlatformAccess { issuer: Some(issuer.into()), ..gate() };
        let mut machine = with_key(Admission::begin(START, Arc::new(gate), WallClock::new(START, NOW), applicant(&claims())));
        assert_eq!(matches!(drain(&mut machine)[..], [Output::Effect(_)]), admitted);
    }
}

#[test]
fn stale_answers_are_ignored_and_counted() {
    let mut machine = begin(applicant(&claims()));
    let answer = || HttpAnswer { status: 200, retry_after: None, date: None, body: SecretBytes::new(active("standard", None)) };
    machine.handle_input(START, Input::Io(IoEvent::Answered((), answer()))).unwrap();
    let mut machine = answered(with_key(machine), 401, "");
    drain(&mut machine);
    machine.handle_input(START, Input::Key(KeyAnswer::Unknown)).unwrap();
    machine.handle_input(START, Input::Io(IoEvent::Answered((), answer()))).unwrap();
    assert_eq!(machine.ignored(), 3);
    assert!(drain(&mut machine).is_empty());
    assert_eq!(machine.status(), Status::Failed(&Reason::InternalKeyMismatch));
}
