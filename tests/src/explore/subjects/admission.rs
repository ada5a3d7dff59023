//! `admission`: every credential that may be shown, every key and every answer of the platform, against a predicate of one page.

use std::{sync::Arc, time::Duration};

use proto_core::{
    Machine, Reason, Status,
    effect::{IoEvent, NetFault},
    id::DeviceKind,
    jose::{self, Claims, SigningKey},
    relay::admission::{Admission, Applicant, Input, KeyAnswer, Output, PlatformAccess},
    secret::SecretText,
    wire::{Pattern, Role},
};

use super::{answered, effect};
use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::{ISSUER, UNIX, claims, clock, identity, platform_key, secret},
    laws::START,
};

/// One decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entering;

/// Credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    Good,
    Nonsense,
    /// Signed with another key.
    Forged,
    /// For another audience.
    OtherAudience,
    /// Of another issuer.
    OtherIssuer,
    /// Of a viewer, shown by a daemon.
    Viewer,
    Expired,
    NotYet,
    /// Stolen: its `cnf` names another key (JWT-4).
    Stolen,
}

const TOKENS: [Token; 9] = [
    Token::Good,
    Token::Nonsense,
    Token::Forged,
    Token::OtherAudience,
    Token::OtherIssuer,
    Token::Viewer,
    Token::Expired,
    Token::NotYet,
    Token::Stolen,
];

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    KeyFound,
    KeyUnknown,
    KeyUnreachable,
    Active,
    ActiveWithPsk,
    /// Of a `crypto_pairing` org, but without its PSK.
    ActivePskMissing,
    Revoked,
    /// The platform does not take the relay's internal key.
    Forbidden,
    Busy,
    Html,
    Unanswered,
}

const FACTS: [Fact; 11] = [
    Fact::KeyFound,
    Fact::KeyUnknown,
    Fact::KeyUnreachable,
    Fact::Active,
    Fact::ActiveWithPsk,
    Fact::ActivePskMissing,
    Fact::Revoked,
    Fact::Forbidden,
    Fact::Busy,
    Fact::Html,
    Fact::Unanswered,
];

/// What the predicate needs.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    token: Token,
    pattern: Pattern,
}

fn credential(token: Token) -> SecretText {
    let good = claims(&secret(1), "A", "r", 1);
    let claims = match token {
        Token::Nonsense => return SecretText::new("none"),
        Token::Good | Token::Forged => good,
        Token::OtherAudience => Claims { audience: "other".into(), ..good },
        Token::OtherIssuer => Claims { issuer: "https://other.example".into(), ..good },
        Token::Viewer => Claims { role: DeviceKind::Viewer, ..good },
        Token::Expired => {
            let (issued_at, expires_at) = (proto_core::UnixTime(UNIX.0 - 7_200), proto_core::UnixTime(UNIX.0 - 3_600));
            Claims { issued_at, not_before: issued_at, expires_at, ..good }
        }
        Token::NotYet => {
            let issued_at = UNIX.plus(3_600);
            Claims { issued_at, not_before: issued_at, expires_at: UNIX.plus(7_200), ..good }
        }
        Token::Stolen => claims(&secret(2), "A", "r", 1),
    };
    let key = if token == Token::Forged { SigningKey::from_seed(&secret(0x66)) } else { platform_key() };
    jose::sign(&claims, &key)
}

impl Subject for Entering {
    type Machine = Admission;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "admission";
    const MAX_OUTPUTS: usize = 1;
    const SETTLES: (usize, Duration) = (4, Duration::ZERO);

    fn bounds(&self) -> String {
        "nine credentials, both patterns, three answers about the key, eight of the platform".into()
    }

    fn starts(&self) -> Vec<(Admission, Memory)> {
        let gate = PlatformAccess {
            validate_url: "https://api.example/api/relay/validate".into(),
            internal_key: SecretText::new("internal"),
            issuer: Some(ISSUER.into()),
        };
        let gate = Arc::new(gate);
        let start = |token, pattern| {
            let static_key = identity(1).static_key();
            let applicant = Applicant { role: Role::Daemon, pattern, static_key, token: credential(token) };
            (Admission::begin(START, Arc::clone(&gate), clock(), applicant), Memory { token, pattern })
        };
        TOKENS.into_iter().flat_map(|token| [start(token, Pattern::Ik), start(token, Pattern::IkPsk2)]).collect()
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<Fact> {
        FACTS.to_vec()
    }

    fn input(&self, fact: &Fact, _: &Situation<Self>) -> Input {
        let psk = r#""psk":"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM""#;
        Input::Io(match fact {
            Fact::KeyFound => return Input::Key(KeyAnswer::Found(platform_key().public_key())),
            Fact::KeyUnknown => return Input::Key(KeyAnswer::Unknown),
            Fact::KeyUnreachable => return Input::Key(KeyAnswer::Unreachable),
            Fact::Active => answered((), 200, None, r#"{"active":true,"policy_mode":"standard"}"#),
            Fact::ActiveWithPsk => answered((), 200, None, format!(r#"{{"active":true,"policy_mode":"crypto_pairing",{psk}}}"#)),
            Fact::ActivePskMissing => answered((), 200, None, r#"{"active":true,"policy_mode":"crypto_pairing"}"#),
            Fact::Revoked => answered((), 200, None, r#"{"active":false,"reason":"machine_revoked"}"#),
            Fact::Forbidden => answered((), 401, None, "{}"),
            Fact::Busy => answered((), 503, Some(7), "<html>"),
            Fact::Html => answered((), 200, None, "<html>"),
            Fact::Unanswered => IoEvent::Unanswered((), NetFault::TimedOut),
        })
    }

    /// ADM-2: the verdict is the one of the predicate.
    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        let waits = |what: &str| matches!(seen.before.status(), Status::Running { waiting_for } if waiting_for.contains(what));
        let due = match seen.fact {
            None => (memory.token == Token::Nonsense).then_some(Err(Reason::TokenMalformed)),
            Some(fact) if waits("signing key") => about_key(*fact, memory),
            Some(fact) if waits("verdict") => about_platform(*fact, memory),
            Some(_) => None,
        };
        let said = seen.outputs.iter().find_map(|output| match output {
            Output::Admitted(admitted) => Some(Ok(admitted.psk.is_some())),
            Output::Refused(refused) => Some(Err(refused.reason)),
            Output::LookUp { .. } | Output::Effect(_) => None,
        });
        if due == said { Ok(()) } else { Err(Broken::new("ADM-2", format!("{said:?} instead of {due:?}"))) }
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        match at.machine.status() {
            Status::Running { waiting_for } if waiting_for.contains("key") => Some(Fact::KeyFound),
            Status::Running { .. } => Some(Fact::Active),
            _ => None,
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { .. })
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::LookUp { .. } => "LookUp".into(),
            Output::Effect(asked) => effect(asked),
            Output::Admitted(admitted) => format!("Admitted({})", if admitted.psk.is_some() { "with a PSK" } else { "no PSK" }),
            Output::Refused(refused) => format!("Refused({:?}, {} s)", refused.reason, refused.retry_after),
        }
    }
}

/// What is decided once the key was looked up; `None`: the platform is asked.
fn about_key(fact: Fact, memory: &Memory) -> Option<Result<bool, Reason>> {
    let refused = match (fact, memory.token) {
        (Fact::KeyFound, Token::Forged) | (Fact::KeyUnknown, _) => Reason::SignatureMismatch,
        (Fact::KeyFound, Token::OtherAudience | Token::OtherIssuer | Token::Viewer) => Reason::TokenWrongAudience,
        (Fact::KeyFound, Token::Expired) => Reason::TokenExpired,
        (Fact::KeyFound, Token::NotYet) => Reason::TokenNotYetValid,
        (Fact::KeyFound, Token::Stolen) => Reason::TokenKeyMismatch,
        (Fact::KeyUnreachable, _) => Reason::JwksUnreachable,
        _ => return None,
    };
    Some(Err(refused))
}

/// What is decided once the platform was asked: let in, with or without a PSK, or refused.
const fn about_platform(fact: Fact, memory: &Memory) -> Option<Result<bool, Reason>> {
    let verdict = match (fact, memory.pattern) {
        (Fact::Active, Pattern::Ik) => Ok(false),
        (Fact::ActiveWithPsk, Pattern::IkPsk2) => Ok(true),
        (Fact::Active, Pattern::IkPsk2) | (Fact::ActiveWithPsk, Pattern::Ik) | (Fact::ActivePskMissing, _) => {
            Err(Reason::NoisePskInvalid)
        }
        (Fact::Revoked, _) => Err(Reason::MachineRevoked),
        (Fact::Forbidden, _) => Err(Reason::InternalKeyMismatch),
        (Fact::Busy | Fact::Html | Fact::Unanswered, _) => Err(Reason::ValidateUnreachable),
        (Fact::KeyFound | Fact::KeyUnknown | Fact::KeyUnreachable, _) => return None,
    };
    Some(verdict)
}
