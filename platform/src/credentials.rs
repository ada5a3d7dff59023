//! Relay credentials: made at an approval, renewed by their holder, validated for relays (WIRE sections 2.3, 2.4 and 3).

use std::time::Duration;

use axum::http::StatusCode;
use proto_core::{
    Reason,
    api::{Approval, PolicyMode, Renewed, ValidateAnswer, ValidateRequest, Workspace},
    jose::{self, Claims, Expectation, Expiry, JwkSet},
    platform::{
        key_ring::KeyRing,
        rotation::{self, Found, Holder, Refusal, Terms},
    },
    secret::SecretText,
};
use sqlx::SqliteConnection;
use tokio::time::timeout;

use crate::{
    app::App,
    error::Error,
    keys, random,
    store::{
        AccountId, InstallId, MachineId, RuntimeTargetId,
        machine::{self, NewMachine, Target, confirmation},
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
    let (install, target, machine) = (InstallId::fresh(now)?, RuntimeTargetId::fresh(now)?, MachineId::fresh(now)?);
    let holder = Holder {
        org: organization.id.wire().clone(),
        install: install.wire().clone(),
        runtime_target: target.wire().clone(),
        machine: machine.wire().clone(),
        role: code.kind,
        confirmation: confirmation(code.static_key, code.identity_key),
    };
    let new = NewMachine {
        organization: &organization.id,
        owner,
        install: &install,
        target: &target,
        machine: &machine,
        kind: code.kind,
        name: &code.name,
        software: &code.software,
        identity_key: code.identity_key,
        static_key: code.static_key,
        psk: psk.as_ref(),
    };
    machine::insert(db, &new, now).await?;
    let issue_token = sign(app, ring, &holder, 1)?;
    Ok(Approval {
        workspace: Workspace {
            id: organization.id.wire().clone(),
            slug: organization.slug.clone(),
            name: organization.name.clone(),
        },
        issue_token,
        install_id: holder.install,
        runtime_target_id: holder.runtime_target,
        machine_id: holder.machine,
        relay: app.config.relay.clone(),
        policy_mode: organization.policy_mode,
        psk,
    })
}

fn sign(app: &App, ring: &KeyRing, holder: &Holder, generation: u64) -> Result<SecretText, Error> {
    let now = app.clock.now();
    let terms = Terms {
        issuer: app.config.public_url.clone(),
        opens_for: app.config.credential_lifetime,
        renewable_for: app.config.renewable_for,
    };
    let id = RuntimeTargetId::fresh(now)?.wire().clone();
    Ok(jose::sign(&terms.credential(holder, generation, id, now), &keys::signing_key(app, ring)?))
}

/// A request of a device in its own name: its credential, and the proof of its key.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) token: SecretText,
    pub(crate) proof: SecretText,
    pub(crate) method: &'static str,
    /// The URLs that the proof may name, all of them this platform's.
    pub(crate) urls: Vec<String>,
}

/// The device whose request it is: its credential opens connections, and it is neither revoked nor superseded.
pub(crate) async fn authenticate(app: &App, presented: &Presented) -> Result<Claims, Error> {
    let now = app.clock.now();
    let ring = keys::ring(app).await?;
    let claims = verify(&ring.published(), &presented.token, now, Expiry::Connect).map_err(unauthorized)?;
    let urls = presented.urls.iter().map(String::as_str);
    rotation::prove_possession(&presented.proof, &presented.token, &claims, presented.method, urls, now).map_err(unauthorized)?;
    let referred = CredentialRows::find(&mut *app.store.read().await?, &claims).await?;
    rotation::validate(&claims, claims.confirmation.static_key, referred.found())
        .map_err(|reason| refused(Refusal::Because(reason)))?;
    Ok(claims)
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

/// Renews a credential for the holder of its identity key, as [`rotation::renew`] decides (ROT-2).
pub(crate) async fn rotate(app: &App, renewal: &Renewal) -> Result<Renewed, Error> {
    let now = app.clock.now();
    let ring = keys::ring(app).await?;
    let claims = verify(&ring.renewable(), &renewal.token, now, Expiry::Renew).map_err(unauthorized)?;
    let urls = renewal.urls.iter().map(String::as_str);
    rotation::prove_possession(&renewal.proof, &renewal.token, &claims, "POST", urls, now).map_err(unauthorized)?;
    let mut tx = app.store.write().await?;
    let referred = CredentialRows::find(&mut tx, &claims).await?;
    let successor = rotation::renew(&claims, renewal.generation, referred.found()).map_err(refused)?;
    let Some(target) = &referred.target else { return Err(refused(Refusal::Because(Reason::MachineRevoked))) };
    machine::set_generation(&mut tx, &target.id, successor).await?;
    machine::seen(&mut tx, &target.id, now).await?;
    tx.commit().await?;
    Ok(Renewed { issue_token: sign(app, &ring, &target.record.holder, successor)?, relay: app.config.relay.clone() })
}

/// The URLs under which a device may have reached `path`: the public one, and one of this machine's own names, which
/// no other machine can have forwarded from.
pub(crate) fn urls_of(app: &App, path: &str, host: Option<&str>) -> Vec<String> {
    let local = host.filter(|host| is_loopback(host)).map(|host| format!("http://{host}{path}"));
    [app.url(path)].into_iter().chain(local).collect()
}

fn is_loopback(host: &str) -> bool {
    let port = |c: char| c.is_ascii_digit();
    let name = host.trim_end_matches(port).strip_suffix(':').unwrap_or(host);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

const fn unauthorized(reason: Reason) -> Error {
    Error::refused(StatusCode::UNAUTHORIZED, reason)
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::OtherGeneration => Error::invalid(refusal.to_string()),
        Refusal::Because(reason) => {
            Error::refused(StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN), reason)
        }
    }
}

/// How exactly "last seen" is kept, in seconds: when many machines reconnect at once, they do not all wait for the disk.
const SEEN_PRECISION: u64 = 60;

/// How long a relay's question waits for that.
const SEEN_PATIENCE: Duration = Duration::from_secs(1);

/// Judges a credential for a relay, from the beginning: independently of the relay's own check.
pub(crate) async fn validate(app: &App, request: &ValidateRequest) -> Result<ValidateAnswer, Error> {
    let now = app.clock.now();
    let ring = keys::ring(app).await?;
    let claims = match verify(&ring.published(), &request.token, now, Expiry::Connect) {
        Ok(claims) => claims,
        Err(reason) => return Ok(refusal(reason)),
    };
    let referred = CredentialRows::find(&mut *app.store.read().await?, &claims).await?;
    if let Err(reason) = rotation::validate(&claims, request.static_key, referred.found()) {
        return Ok(refusal(reason));
    }
    let (Some(target), Some(organization)) = (&referred.target, &referred.organization) else {
        return Ok(refusal(Reason::MachineRevoked));
    };
    if target.last_seen_at.is_none_or(|seen| now.since(seen.0) >= SEEN_PRECISION) {
        note_seen(app, &target.id).await;
    }
    Ok(ValidateAnswer { active: true, reason: None, policy_mode: Some(organization.policy_mode), psk: target.psk() })
}

/// That a machine showed up is informational, and does not block admission where the database takes no write.
async fn note_seen(app: &App, target: &RuntimeTargetId) {
    let noted = async {
        let mut tx = app.store.write().await?;
        machine::seen(&mut tx, target, app.clock.now()).await?;
        tx.commit().await
    };
    match timeout(SEEN_PATIENCE, noted).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "when a machine was last seen is not kept"),
        Err(_) => tracing::warn!("when a machine was last seen is not kept: the database is busy"),
    }
}

const fn refusal(reason: Reason) -> ValidateAnswer {
    ValidateAnswer { active: false, reason: Some(reason), policy_mode: None, psk: None }
}

/// The issuer is not compared: what our own key has signed is ours, also when the public URL has changed since.
fn verify(keys: &JwkSet, token: &SecretText, now: proto_core::UnixTime, expiry: Expiry) -> Result<Claims, Reason> {
    jose::verify(token, keys, now, &Expectation { issuer: None, expiry })
}

/// What a credential refers to.
struct CredentialRows {
    organization: Option<Organization>,
    target: Option<Target>,
}

impl CredentialRows {
    async fn find(db: &mut SqliteConnection, claims: &Claims) -> Result<Self, Error> {
        let organization = organization::living(&mut *db, &claims.org.clone().into()).await?;
        let target = machine::target(db, &claims.runtime_target.clone().into()).await?;
        Ok(Self { organization, target })
    }

    fn found(&self) -> Found<'_> {
        Found { org_lives: self.organization.is_some(), record: self.target.as_ref().map(|target| &target.record) }
    }
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
