//! [`Admission`] beside the predicate in `verification::models::admission`, enumerated.

use std::{collections::BTreeMap, sync::Arc};

use proto_core::{
    Machine, Reason,
    api::{PolicyMode, ValidateAnswer},
    effect::{IoEvent, NetFault},
    id::DeviceKind,
    jose,
    relay::admission::{self, Admission, Input, KeyAnswer, Output, PlatformAccess},
    secret::SecretText,
    wire::{Pattern, Role},
};
use verification::models::{
    START,
    admission::{Applicant, Key, Platform, decide},
    given::{self, answered, identity, secret},
};

const NOW: u64 = given::UNIX.0;

/// Every applicant there is.
fn applicants() -> Vec<Applicant> {
    let bools = [false, true];
    let active = [(false, false), (false, true), (true, false), (true, true)].map(|(policy, psk)| Platform::Active(policy, psk));
    let inactive = [Reason::MachineRevoked, Reason::WorkspaceNotFound, Reason::TokenSuperseded, Reason::TokenKeyMismatch];
    let platforms: Vec<_> =
        active.into_iter().chain(inactive.map(Platform::Inactive)).chain([Platform::Unauthorized, Platform::Silent]).collect();
    let mut all = Vec::new();
    for key in [Key::Signed, Key::Another, Key::Unknown, Key::Unreachable] {
        for defects in 0_u8..32 {
            let has = |bit: u8| defects >> bit & 1 == 1;
            for (early, late) in [(0, -600), (60, -600), (61, -600), (0, 59), (0, 60), (61, 60), (-600, -1)] {
                for platform in &platforms {
                    all.extend(bools.map(|brings_psk| Applicant {
                        is_malformed: has(0),
                        key,
                        has_other_issuer: has(1),
                        has_other_audience: has(2),
                        early,
                        late,
                        has_other_role: has(3),
                        has_other_key: has(4),
                        platform: *platform,
                        brings_psk,
                    }));
                }
            }
        }
    }
    all
}

fn token(who: &Applicant) -> SecretText {
    let device = identity(if who.has_other_key { 2 } else { 1 });
    let mut claims = given::claims(&device, "A", "r", 1);
    if who.has_other_issuer {
        claims.issuer = "https://evil.example".into();
    }
    if who.has_other_audience {
        claims.audience = "another".into();
    }
    if who.has_other_role {
        claims.role = DeviceKind::Viewer;
    }
    claims.issued_at.0 = NOW - 600;
    claims.not_before.0 = NOW.checked_add_signed(who.early).unwrap();
    claims.expires_at.0 = NOW.checked_add_signed(-who.late).unwrap();
    let signed = jose::sign(&claims, &given::platform_key());
    if who.is_malformed { SecretText::new(format!("{}=", signed.expose())) } else { signed }
}

fn says(platform: Platform) -> IoEvent<()> {
    let answer = |active, reason, policy_mode, psk| {
        let answer = ValidateAnswer { active, reason, policy_mode, psk };
        answered((), 200, None, serde_json::to_string(&answer).unwrap())
    };
    match platform {
        Platform::Active(is_crypto_pairing, has_psk) => {
            let mode = if is_crypto_pairing { PolicyMode::CryptoPairing } else { PolicyMode::Standard };
            answer(true, None, Some(mode), has_psk.then(|| secret(3)))
        }
        Platform::Inactive(reason) => answer(false, Some(reason), None, None),
        Platform::Unauthorized => answered((), 401, None, ""),
        Platform::Silent => IoEvent::Unanswered((), NetFault::Refused),
    }
}

/// What the machine decides.
fn decided(who: &Applicant, token: SecretText) -> Result<Option<proto_core::secret::Secret>, Reason> {
    let gate = PlatformAccess {
        validate_url: "https://api.example/api/relay/validate".into(),
        internal_key: SecretText::new("internal"),
        issuer: Some(given::ISSUER.into()),
    };
    let pattern = if who.brings_psk { Pattern::IkPsk2 } else { Pattern::Ik };
    let applicant = admission::Applicant { role: Role::Daemon, pattern, static_key: identity(1).static_key(), token };
    let mut machine = Admission::begin(START, Arc::new(gate), given::clock(), applicant);
    loop {
        let input = match machine.poll_output().expect("it asks or decides") {
            Output::Admitted(admitted) => return Ok(admitted.psk),
            Output::Refused(refused) => return Err(refused.reason),
            Output::LookUp { .. } => Input::Key(match who.key {
                Key::Signed => KeyAnswer::Found(given::platform_key().public_key()),
                Key::Another => KeyAnswer::Found(identity(9).identity_key()),
                Key::Unknown => KeyAnswer::Unknown,
                Key::Unreachable => KeyAnswer::Unreachable,
            }),
            Output::Effect(_) => Input::Io(says(who.platform)),
        };
        machine.handle_input(START, input).unwrap();
    }
}

/// ADM-2, JWT-4, S71, S178 to S199: admitted exactly when the predicate says so, refused with the first reason of the
/// documented order; every combination of defects.
#[test]
fn an_admission_decides_like_its_model() {
    let mut tokens = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for who in applicants() {
        let same = (who.is_malformed, who.has_other_issuer, who.has_other_audience, who.has_other_role, who.has_other_key);
        let token = tokens.entry((same, who.early, who.late)).or_insert_with(|| token(&who)).clone();
        let (said, expected) = (decided(&who, token), decide(&who));
        assert_eq!(said.clone().map(|_| ()), expected, "ADM-2: {who:?}");
        assert!(said.clone().is_ok_and(|psk| psk.is_some() == who.brings_psk) || said.is_err(), "{who:?}");
        *seen.entry(said.err()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 14, "every reason, and none: {seen:?}");
}
