//! Which credential of a device counts, and what its renewal yields (ROT-2, D8; WIRE sections 2.3, 2.4 and 3).
//!
//! The credentials of one device are numbered. The platform keeps the number of the latest one that it gave out, no more:
//!
//! ```text
//!  generation         3               4              5 = latest         6
//!  opens connections  no: superseded  yes            yes                yes
//!  renews to          no: superseded  5, once more   6                  7
//! ```
//!
//! The one before the latest still counts, because the answer that brought the latest may have been lost: the device asks
//! again with what it has, and gets the same generation again. That also makes a recorded proof harmless: what it
//! yields is bound to the keys of the device. A generation beyond the latest is the platform's own signature from before its
//! database was restored from a copy; the platform goes on from there.
//!
//! These are pure functions over what the platform stores; it calls them within one database transaction.

#[cfg(test)]
mod tests;

use alloc::string::String;

use crate::{
    id::{DeviceKind, OrgId, PlatformId},
    jose::{Claims, Confirmation, ProofTarget, RELAY_AUDIENCE, verify_proof},
    key::StaticKey,
    machine::time::UnixTime,
    reason::Reason,
    secret::SecretText,
};

/// Whose credentials they are: the identifiers of one approval, and the keys that it was given for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The organization.
    pub org: OrgId,
    /// The install.
    pub install: PlatformId,
    /// What a revocation names.
    pub runtime_target: PlatformId,
    /// The organization's row for the device.
    pub machine: PlatformId,
    /// What kind of device it is.
    pub role: DeviceKind,
    /// Its keys.
    pub confirmation: Confirmation,
}

/// What a platform stores of a device's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Whose.
    pub holder: Holder,
    /// The generation of the latest credential.
    pub latest: u64,
    /// Whether access was withdrawn.
    pub is_revoked: bool,
}

/// What a credential refers to, as the platform found it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Whether the organization of the claims exists and was not deleted.
    pub org_lives: bool,
    /// The record of the claims' runtime target, if there is one.
    pub record: Option<&'a Record>,
}

impl<'a> Found<'a> {
    /// The device that the claims are about, alive and with the keys that the claims name.
    fn device(self, claims: &Claims) -> Result<&'a Record, Reason> {
        if !self.org_lives {
            return Err(Reason::WorkspaceNotFound);
        }
        let record = self.record.ok_or(Reason::MachineRevoked)?;
        if record.is_revoked || record.holder.org != claims.org {
            return Err(Reason::MachineRevoked);
        }
        if record.holder.confirmation != claims.confirmation {
            return Err(Reason::TokenKeyMismatch);
        }
        Ok(record)
    }
}

/// Whether claims, whose signature and expiry hold, open a connection for who presents `static_key` (S199 to S202).
///
/// # Errors
/// The first of these that holds: [`Reason::TokenKeyMismatch`] (the credential is another device's),
/// [`Reason::WorkspaceNotFound`], [`Reason::MachineRevoked`], [`Reason::TokenSuperseded`].
pub fn validate(claims: &Claims, static_key: StaticKey, found: Found<'_>) -> Result<(), Reason> {
    if claims.confirmation.static_key != static_key {
        return Err(Reason::TokenKeyMismatch);
    }
    let record = found.device(claims)?;
    if claims.generation.saturating_add(1) < record.latest { Err(Reason::TokenSuperseded) } else { Ok(()) }
}

/// The generation that a renewal yields, for claims whose signature, expiry and proof of possession hold. `asked` is what the
/// request's body says.
///
/// # Errors
/// Why there is none.
pub fn renew(claims: &Claims, asked: u64, found: Found<'_>) -> Result<u64, Refusal> {
    if asked != claims.generation {
        return Err(Refusal::OtherGeneration);
    }
    let record = found.device(claims).map_err(Refusal::Because)?;
    let successor = claims.generation.saturating_add(1);
    if record.latest > successor { Err(Refusal::Because(Reason::TokenSuperseded)) } else { Ok(successor) }
}

/// Whether the proof that comes with a request is by the holder of the credential, for this method and one of the URLs under which
/// the platform is reached (RFC 9449).
///
/// # Errors
/// What is wrong with the proof; [`Reason::TokenKeyMismatch`] also when it is for none of the URLs.
pub fn prove_possession<'a>(
    proof: &SecretText,
    token: &SecretText,
    claims: &Claims,
    method: &str,
    urls: impl IntoIterator<Item = &'a str>,
    now: UnixTime,
) -> Result<(), Reason> {
    let mut verdict = Err(Reason::TokenKeyMismatch);
    for url in urls {
        let target = ProofTarget { method, url, token };
        verdict = verify_proof(proof, target, claims.confirmation.identity, now).map(|_| ());
        if verdict != Err(Reason::TokenKeyMismatch) {
            break;
        }
    }
    verdict
}

/// Why a renewal yields nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// The request names another generation than its credential.
    #[error("generation is not the token's")]
    OtherGeneration,
    /// A reason of the catalogue.
    #[error("{0}")]
    Because(Reason),
}

impl Refusal {
    /// The HTTP status that tells it (WIRE section 2.4).
    pub const fn status(self) -> u16 {
        match self {
            Self::OtherGeneration => 400,
            Self::Because(Reason::TokenSuperseded) => 409,
            Self::Because(Reason::MachineRevoked | Reason::WorkspaceNotFound) => 403,
            Self::Because(_) => 401,
        }
    }
}

/// What all credentials of a platform have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The platform's base URL.
    pub issuer: String,
    /// Seconds from a credential's making until it opens no connection any more.
    pub opens_for: u64,
    /// Seconds from a credential's making until it cannot be renewed any more.
    pub renewable_for: u64,
}

impl Terms {
    /// What the credential of that generation says when it is made at `now`; `id` is fresh.
    pub fn credential(&self, holder: &Holder, generation: u64, id: PlatformId, now: UnixTime) -> Claims {
        Claims {
            issuer: self.issuer.clone(),
            audience: RELAY_AUDIENCE.into(),
            install: holder.install.clone(),
            org: holder.org.clone(),
            runtime_target: holder.runtime_target.clone(),
            machine: holder.machine.clone(),
            role: holder.role,
            generation,
            confirmation: holder.confirmation,
            issued_at: now,
            not_before: now,
            expires_at: now.plus(self.opens_for),
            renewable_until: now.plus(self.renewable_for),
            id,
        }
    }
}
