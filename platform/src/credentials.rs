//! Relay credentials: made at an approval, renewed by their holder, judged for relays (WIRE sections 2.3, 2.4 and 3).

use axum::http::StatusCode;
use proto_core::{
    Reason,
    api::{Approval, PolicyMode, ROTATE_PATH, Renewed, ValidateAnswer, ValidateRequest, Workspace},
    jose::{self, Claims, Confirmation, Expectation, Expiry, ProofTarget, RELAY_AUDIENCE, Thumbprint},
    key::{IdentityKey, StaticKey},
    secret::SecretText,
};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    keys::{self, KeyRing},
    random,
    store::{
        AccountId, InstallId, MachineId, OrganizationId, RuntimeTargetId,
        machine::{self, NewMachine, Target},
        organization::{self, Organization},
        pairing::StoredCode,
    },
};

/// Makes what an approval brings: three rows in that one workspace, a credential and, where its policy asks for one, a
/// pre-shared key (S34 to S39, S193). Nothing in it occurs in another workspace (S74 to S76).
pub(crate) async fn issue(
    app: &App,
    db: &mut SqliteConnection,
    ring: &KeyRing,
    code: &StoredCode,
    owner: &AccountId,
    organization: &Organization,
) -> Result<Approval, Error> {
    let now = app.clock.now();
    let psk = match organization.policy_mode {
        PolicyMode::Standard => None,
        PolicyMode::CryptoPairing => Some(random::secret()?),
    };
    let holder = Holder {
        organization: organization.id.clone(),
        install: InstallId::fresh(now)?,
        target: RuntimeTargetId::fresh(now)?,
        machine: MachineId::fresh(now)?,
        kind: code.kind,
        static_key: code.static_key,
        identity_key: code.identity_key,
    };
    let new = NewMachine {
        organization: &organization.id,
        owner,
        install: &holder.install,
        target: &holder.target,
        machine: &holder.machine,
        kind: code.kind,
        name: &code.name,
        software: &code.software,
        identity_key: code.identity_key,
        static_key: code.static_key,
        psk: psk.as_ref(),
    };
    machine::insert(db, &new, now).await?;
    Ok(Approval {
        workspace: Workspace {
            id: organization.id.wire().clone(),
            slug: organization.slug.clone(),
            name: organization.name.clone(),
        },
        issue_token: sign(app, ring, &holder, 1)?,
        install_id: holder.install.wire().clone(),
        runtime_target_id: holder.target.wire().clone(),
        machine_id: holder.machine.wire().clone(),
        relay: app.config.relay.clone(),
        policy_mode: organization.policy_mode,
        psk,
    })
}

/// Whose credential it is.
struct Holder {
    organization: OrganizationId,
    install: InstallId,
    target: RuntimeTargetId,
    machine: MachineId,
    kind: proto_core::id::DeviceKind,
    static_key: StaticKey,
    identity_key: IdentityKey,
}

impl From<&Target> for Holder {
    fn from(target: &Target) -> Self {
        Self {
            organization: target.organization_id.clone(),
            install: target.install_id.clone(),
            target: target.id.clone(),
            machine: target.machine_id.clone(),
            kind: target.kind,
            static_key: target.static_key,
            identity_key: target.identity_key,
        }
    }
}

impl Holder {
    fn confirmation(&self) -> Confirmation {
        Confirmation { static_key: self.static_key, identity: Thumbprint::of_identity_key(self.identity_key) }
    }
}

fn sign(app: &App, ring: &KeyRing, holder: &Holder, generation: u64) -> Result<SecretText, Error> {
    let now = app.clock.now();
    let claims = Claims {
        issuer: app.config.public_url.clone(),
        audience: RELAY_AUDIENCE.into(),
        install: holder.install.wire().clone(),
        org: holder.organization.wire().clone(),
        runtime_target: holder.target.wire().clone(),
        machine: holder.machine.wire().clone(),
        role: holder.kind,
        generation,
        confirmation: holder.confirmation(),
        issued_at: now,
        not_before: now,
        expires_at: now.plus(app.config.credential_lifetime),
        renewable_until: now.plus(app.config.renewable_for),
        id: RuntimeTargetId::fresh(now)?.wire().clone(),
    };
    Ok(jose::sign(&claims, &ring.signing_key(now)))
}

/// What comes with a renewal.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) token: SecretText,
    pub(crate) proof: SecretText,
    pub(crate) generation: u64,
    /// The URLs that the proof may name, all of them this platform's.
    pub(crate) urls: Vec<String>,
}

/// Renews a credential for whoever holds its identity key. Asking again for the same generation gives the same successor
/// generation (ROT-2); that also makes a replayed proof harmless, because what it yields is bound to the holder's keys.
pub(crate) async fn rotate(app: &App, renewal: &Renewal) -> Result<Renewed, Error> {
    let now = app.clock.now();
    let ring = keys::ring(app).await?;
    let claims = verify(&ring, &renewal.token, now, Expiry::Renew).map_err(unauthorized)?;
    prove_possession(renewal, &claims, now).map_err(unauthorized)?;
    if renewal.generation != claims.generation {
        return Err(Error::invalid("generation is not the token's"));
    }
    let mut tx = app.store.write().await?;
    let target = match holder(&mut tx, &claims).await? {
        Ok((target, _)) => target,
        Err(reason @ Reason::TokenKeyMismatch) => return Err(unauthorized(reason)),
        Err(reason) => return Err(Error::refused(StatusCode::FORBIDDEN, reason)),
    };
    let successor = claims.generation.saturating_add(1);
    if target.generation() > successor {
        return Err(Error::refused(StatusCode::CONFLICT, Reason::TokenSuperseded));
    }
    machine::set_generation(&mut tx, &target.id, successor).await?;
    machine::seen(&mut tx, &target.id, now).await?;
    tx.commit().await?;
    Ok(Renewed { issue_token: sign(app, &ring, &(&target).into(), successor)?, relay: app.config.relay.clone() })
}

/// The URLs under which a device may have reached [`ROTATE_PATH`]: the public one, and one of this machine's own names, which
/// no other machine can have forwarded from.
pub(crate) fn rotate_urls(app: &App, host: Option<&str>) -> Vec<String> {
    let local = host.filter(|host| is_loopback(host)).map(|host| format!("http://{host}{ROTATE_PATH}"));
    [app.url(ROTATE_PATH)].into_iter().chain(local).collect()
}

fn is_loopback(host: &str) -> bool {
    let port = |c: char| c.is_ascii_digit();
    let name = host.trim_end_matches(port).strip_suffix(':').unwrap_or(host);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn prove_possession(renewal: &Renewal, claims: &Claims, now: proto_core::UnixTime) -> Result<(), Reason> {
    let mut verdict = Err(Reason::TokenKeyMismatch);
    for url in &renewal.urls {
        let target = ProofTarget { method: "POST", url, token: &renewal.token };
        verdict = jose::verify_proof(&renewal.proof, target, claims.confirmation.identity, now).map(|_| ());
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

const fn unauthorized(reason: Reason) -> Error {
    Error::refused(StatusCode::UNAUTHORIZED, reason)
}

/// How exactly "last seen" is kept, in seconds: when many machines reconnect at once, they do not all wait for the disk.
const SEEN_PRECISION: u64 = 60;

/// Judges a credential for a relay, from the beginning: the relay's word for it is not taken.
pub(crate) async fn validate(app: &App, request: &ValidateRequest) -> Result<ValidateAnswer, Error> {
    let now = app.clock.now();
    let ring = keys::ring(app).await?;
    let claims = match verify(&ring, &request.token, now, Expiry::Connect) {
        Ok(claims) => claims,
        Err(reason) => return Ok(refusal(reason)),
    };
    if claims.confirmation.static_key != request.static_key {
        return Ok(refusal(Reason::TokenKeyMismatch));
    }
    let (target, organization) = match holder(&mut *app.store.read().await?, &claims).await? {
        Ok(found) => found,
        Err(reason) => return Ok(refusal(reason)),
    };
    // The one before the latest is still good: the holder may not have the latest yet.
    if claims.generation.saturating_add(1) < target.generation() {
        return Ok(refusal(Reason::TokenSuperseded));
    }
    if target.last_seen_at.is_none_or(|seen| now.since(seen.0) >= SEEN_PRECISION) {
        let mut tx = app.store.write().await?;
        machine::seen(&mut tx, &target.id, now).await?;
        tx.commit().await?;
    }
    Ok(ValidateAnswer { active: true, reason: None, policy_mode: Some(organization.policy_mode), psk: target.psk() })
}

const fn refusal(reason: Reason) -> ValidateAnswer {
    ValidateAnswer { active: false, reason: Some(reason), policy_mode: None, psk: None }
}

/// The issuer is not compared: what our own key has signed is ours, also when the public URL has changed since.
fn verify(ring: &KeyRing, token: &SecretText, now: proto_core::UnixTime, expiry: Expiry) -> Result<Claims, Reason> {
    jose::verify(token, &ring.published(), now, &Expectation { issuer: None, expiry })
}

/// The living machine that a credential speaks of and its living workspace, or why there is none.
async fn holder(db: &mut SqliteConnection, claims: &Claims) -> Result<Result<(Target, Organization), Reason>, Error> {
    let Some(organization) = organization::living(&mut *db, &claims.org.clone().into()).await? else {
        return Ok(Err(Reason::WorkspaceNotFound));
    };
    let target = machine::target(db, &claims.runtime_target.clone().into()).await?;
    Ok(match target {
        Some(target) if target.revoked_at.is_none() && target.organization_id == organization.id => {
            let fits = Holder::from(&target).confirmation() == claims.confirmation;
            if fits { Ok((target, organization)) } else { Err(Reason::TokenKeyMismatch) }
        }
        _ => Err(Reason::MachineRevoked),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in ["localhost", "localhost:8787", "127.0.0.1:80", "[::1]", "[::1]:8787"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "", ":80", "10.0.0.1:8787"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
