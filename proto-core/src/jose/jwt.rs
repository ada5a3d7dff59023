//! Credentials: making them, and believing them (RFC 7519, WIRE section 2.3).
//!
//! Checks come in the documented order, and the first that fails names the reason:
//!
//! ```text
//! shape ── token_malformed ──► key and signature ── signature_mismatch ──► aud, iss ── token_wrong_audience ──►
//! nbf, iat ── token_not_yet_valid ──► exp or rexp ── token_expired ──► Claims
//! ```

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{
    claims::{Claims, RELAY_AUDIENCE},
    jwk::{JwkSet, Thumbprint},
    jws::{Algorithm, Compact, SigningKey, compact},
    strict,
};
use crate::{Reason, key::IdentityKey, machine::time::UnixTime, secret::SecretText, wire::MAX_TOKEN_LEN};

/// How far the clocks of two machines may disagree, in seconds.
pub const SKEW: u64 = 60;

/// What a verifier expects of a credential beside a good signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expectation {
    /// The platform's base URL as `iss` spells it; `None` for a verifier that knows only its key set.
    pub issuer: Option<String>,
    /// Which end of validity counts.
    pub expiry: Expiry,
}

/// Which end of validity counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// `exp`: to connect with it.
    Connect,
    /// `rexp`: to renew it (WIRE section 2.4).
    Renew,
    /// None: to learn whose a stored session was (WIRE section 8).
    Ignored,
}

/// Header of a credential: these members, no other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    kid: Thumbprint,
    typ: Type,
}

#[derive(Serialize, Deserialize)]
enum Type {
    #[serde(rename = "viewport+jwt")]
    Credential,
}

/// A credential of good shape, of which nothing has been proven.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "nothing in here is to be trusted before it is verified"]
pub struct Unverified {
    jws: Compact,
    kid: Thumbprint,
    claims: Claims,
}

impl Unverified {
    /// Takes a credential apart.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`]: longer than 4,096 bytes, not canonical, another `alg` or `typ`, a header member that is
    /// not known (such as `crit` or `b64`), a member twice, a claim missing or of another type.
    pub fn parse(token: &SecretText) -> Result<Self, Reason> {
        Self::take_apart(token.expose()).ok_or(Reason::TokenMalformed)
    }

    fn take_apart(token: &str) -> Option<Self> {
        let jws = (token.len() <= MAX_TOKEN_LEN).then(|| Compact::parse(token))??;
        let header: Header = strict::object(&jws.header)?;
        let claims = strict::object(&jws.payload)?;
        Some(Self { jws, kid: header.kid, claims })
    }

    /// The key that is said to have signed it: what to look up.
    pub const fn kid(&self) -> Thumbprint {
        self.kid
    }

    /// Its claims, unverified, for its holder, who got it from the platform and only wants to know when it expires.
    pub fn into_unproven(self) -> Claims {
        self.claims
    }

    /// Verifies it, or says why it is refused.
    ///
    /// # Errors
    /// The first of these that holds: [`Reason::SignatureMismatch`] (also for a key that is not in the set),
    /// [`Reason::TokenWrongAudience`], [`Reason::TokenNotYetValid`], [`Reason::TokenExpired`].
    pub fn verify(self, keys: &JwkSet, now: UnixTime, expected: &Expectation) -> Result<Claims, Reason> {
        let key = keys.get(self.kid).ok_or(Reason::SignatureMismatch)?;
        self.verify_under(key, now, expected)
    }

    /// The same with the key that was looked up by [`kid`](Self::kid).
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_under(self, key: IdentityKey, now: UnixTime, expected: &Expectation) -> Result<Claims, Reason> {
        if Thumbprint::of_identity_key(key) != self.kid || !self.jws.holds_under(key) {
            return Err(Reason::SignatureMismatch);
        }
        self.claims.hold(now, expected).map(|()| self.claims)
    }
}

impl Claims {
    /// Whether verified claims hold now, as `expected`.
    ///
    /// # Errors
    /// The first of these that holds: [`Reason::TokenWrongAudience`], [`Reason::TokenNotYetValid`], [`Reason::TokenExpired`].
    pub fn hold(&self, now: UnixTime, expected: &Expectation) -> Result<(), Reason> {
        let from_issuer = expected.issuer.as_ref().is_none_or(|issuer| *issuer == self.issuer);
        if self.audience != RELAY_AUDIENCE || !from_issuer {
            return Err(Reason::TokenWrongAudience);
        }
        if self.not_before.max(self.issued_at) > now.plus(SKEW) {
            return Err(Reason::TokenNotYetValid);
        }
        let end = match expected.expiry {
            Expiry::Connect => self.expires_at,
            Expiry::Renew => self.renewable_until,
            Expiry::Ignored => return Ok(()),
        };
        if now >= end.plus(SKEW) {
            return Err(Reason::TokenExpired);
        }
        Ok(())
    }
}

/// Makes a credential.
pub fn sign(claims: &Claims, key: &SigningKey) -> SecretText {
    let header = Header { alg: Algorithm::EdDsa, kid: key.kid(), typ: Type::Credential };
    compact(&header, claims, |message| key.sign(message))
}

/// Parses and verifies a credential, or says why it is refused.
///
/// # Errors
/// See [`Unverified::parse`] and [`Unverified::verify`].
pub fn verify(token: &SecretText, keys: &JwkSet, now: UnixTime, expected: &Expectation) -> Result<Claims, Reason> {
    Unverified::parse(token)?.verify(keys, now, expected)
}

#[cfg(test)]
mod tests;
