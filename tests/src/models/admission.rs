//! Which devices are admitted, and with which reason the others are refused (ADM-2, JWT-4, D12; WIRE sections 2.3 and 4): one page.

use proto_core::Reason;

/// A device that asks for admission: what is wrong with their credential, and what others say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a defect of its own, and all combinations occur")]
pub struct Applicant {
    /// The token is none.
    pub is_malformed: bool,
    /// What the key set says.
    pub key: Key,
    /// `iss` is another.
    pub has_other_issuer: bool,
    /// `aud` is another.
    pub has_other_audience: bool,
    /// How many seconds ahead `nbf` is.
    pub early: i64,
    /// How many seconds past `exp` is.
    pub late: i64,
    /// `role` is not that of the preamble.
    pub has_other_role: bool,
    /// `cnf.jwk` is not the key that the handshake proved.
    pub has_other_key: bool,
    /// What the platform says to the validate call.
    pub platform: Platform,
    /// Whether the handshake is IKpsk2.
    pub brings_psk: bool,
}

/// What the key set says about the token's `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key that signed it.
    Signed,
    /// Another key under its name.
    Another,
    /// No such key.
    Unknown,
    /// It is not known.
    Unreachable,
}

/// What the platform says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Active; whether the policy is `crypto_pairing`, and whether there is a PSK.
    Active(bool, bool),
    /// Not active, because of this.
    Inactive(Reason),
    /// 401.
    Unauthorized,
    /// Nothing that means anything.
    Silent,
}

/// The verdict: the first in the order of WIRE section 4 that fails.
///
/// # Errors
/// The reason.
pub fn decide(who: &Applicant) -> Result<(), Reason> {
    let skew = 60;
    let documented = [
        (who.is_malformed, Reason::TokenMalformed),
        (who.key == Key::Unreachable, Reason::JwksUnreachable),
        (matches!(who.key, Key::Unknown | Key::Another), Reason::SignatureMismatch),
        (who.has_other_audience || who.has_other_issuer, Reason::TokenWrongAudience),
        (who.early > skew, Reason::TokenNotYetValid),
        (who.late >= skew, Reason::TokenExpired),
        (who.has_other_role, Reason::TokenWrongAudience),
        (who.has_other_key, Reason::TokenKeyMismatch),
        (who.platform == Platform::Silent, Reason::ValidateUnreachable),
        (who.platform == Platform::Unauthorized, Reason::InternalKeyMismatch),
    ];
    if let Some((_, reason)) = documented.into_iter().find(|(fails, _)| *fails) {
        return Err(reason);
    }
    match who.platform {
        Platform::Inactive(reason) => Err(reason),
        Platform::Active(true, _) if !who.brings_psk => Err(Reason::NoisePskInvalid),
        Platform::Active(_, false) if who.brings_psk => Err(Reason::NoisePskInvalid),
        _ => Ok(()),
    }
}
