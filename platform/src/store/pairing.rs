//! Pairing codes.

use proto_core::{
    OrgId, PlatformId, UnixTime,
    api::{CodeText, PairingMode},
    id::DeviceKind,
    key::{IdentityKey, StaticKey},
    platform::pairing_code::{Decision, Record},
};
use sqlx::{FromRow, SqliteConnection, query, query_as, query_scalar};

use super::{AccountId, Blob32, OrganizationId, Stamp, Text, words};
use crate::clock::{moment, unix};

/// How long the page of an expired code can still say what became of it, in seconds.
const KEPT_AFTER_EXPIRY: u64 = 24 * 60 * 60;

/// A code and the device that minted it.
#[derive(Clone, FromRow)]
pub(crate) struct StoredCode {
    #[sqlx(try_from = "Text<CodeText>")]
    pub(crate) code: CodeText,
    token_hash: Blob32,
    #[sqlx(try_from = "Text<DeviceKind>")]
    pub(crate) kind: DeviceKind,
    #[sqlx(try_from = "Text<PairingMode>")]
    pub(crate) mode: PairingMode,
    pub(crate) asked: Option<String>,
    pub(crate) name: String,
    pub(crate) software: String,
    #[sqlx(try_from = "Blob32")]
    pub(crate) identity_key: IdentityKey,
    #[sqlx(try_from = "Blob32")]
    pub(crate) static_key: StaticKey,
    #[sqlx(try_from = "Stamp")]
    pub(crate) created_at: UnixTime,
    #[sqlx(try_from = "Stamp")]
    expires_at: UnixTime,
    guesses: u32,
    decision: Option<Text<Kind>>,
    decided_by: Option<AccountId>,
    organization_id: Option<OrganizationId>,
    answer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Approved,
    Denied,
}

words!(Kind { Self::Approved => "approved", Self::Denied => "denied", });

impl StoredCode {
    /// The hash of its status token.
    pub(crate) const fn token_hash(&self) -> &[u8; 32] {
        &self.token_hash.0
    }

    /// What every poll gets after an approval, as JSON.
    pub(crate) fn answer(&self) -> Option<&str> {
        self.answer.as_deref()
    }

    /// What its machine is restored from. A decision without its account or workspace does not count.
    pub(crate) fn record(&self) -> Record {
        let by = self.decided_by.as_ref().map(|by| by.wire().clone());
        let org = self.organization_id.as_ref().map(|org| org.wire().clone());
        let decision = match (self.decision, by, org) {
            (Some(Text(Kind::Approved)), Some(by), Some(org)) => Some(Decision::Approved { by, org }),
            (Some(Text(Kind::Denied)), Some(by), _) => Some(Decision::Denied { by }),
            _ => None,
        };
        Record { expires_at: moment(self.expires_at), asked: self.asked.clone(), guesses: self.guesses, decision }
    }
}

/// What a new code is made of.
#[derive(Debug)]
pub(crate) struct NewCode<'a> {
    pub(crate) code: CodeText,
    pub(crate) token_hash: [u8; 32],
    pub(crate) request: &'a proto_core::api::MintRequest,
    pub(crate) record: Record,
}

/// Keeps a new code. Returns whether it was free (PAIR-12: codes of two live attempts differ).
pub(crate) async fn insert(db: &mut SqliteConnection, new: &NewCode<'_>, now: UnixTime) -> sqlx::Result<bool> {
    let done = query(
        "INSERT INTO pairing_code
           (code, token_hash, kind, mode, asked, name, software, identity_key, static_key, created_at, expires_at, guesses)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(Text(new.code))
    .bind(new.token_hash.as_slice())
    .bind(Text(new.request.kind))
    .bind(Text(new.request.mode))
    .bind(&new.record.asked)
    .bind(&new.request.name)
    .bind(&new.request.software)
    .bind(Blob32(new.request.identity_key.0))
    .bind(Blob32(new.request.static_key.0))
    .bind(Stamp(now))
    .bind(Stamp(unix(new.record.expires_at)))
    .bind(new.record.guesses)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The code, if it is still kept.
pub(crate) async fn find(db: &mut SqliteConnection, code: CodeText) -> sqlx::Result<Option<StoredCode>> {
    query_as("SELECT * FROM pairing_code WHERE code = $1").bind(Text(code)).fetch_optional(db).await
}

/// Keeps what became of a code, and with an approval the answer to its polls.
pub(crate) async fn update(db: &mut SqliteConnection, code: CodeText, record: &Record, answer: Option<&str>) -> sqlx::Result<()> {
    let (kind, by, org) = match &record.decision {
        Some(Decision::Approved { by, org }) => (Some(Kind::Approved), Some(by), Some(org)),
        Some(Decision::Denied { by }) => (Some(Kind::Denied), Some(by), None),
        None => (None, None, None),
    };
    query(
        "UPDATE pairing_code SET guesses = $2, decision = $3, decided_by = $4, organization_id = $5,
                answer = coalesce($6, answer) WHERE code = $1",
    )
    .bind(Text(code))
    .bind(record.guesses)
    .bind(kind.map(Text))
    .bind(by.map(PlatformId::as_str))
    .bind(org.map(OrgId::as_str))
    .bind(answer)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether there is anything for [`sweep`] to do.
pub(crate) async fn is_stale(db: &mut SqliteConnection, now: UnixTime) -> sqlx::Result<bool> {
    query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pairing_code
         WHERE expires_at <= $1 AND (answer IS NOT NULL OR decision IS NULL OR expires_at <= $2))",
    )
    .bind(Stamp(now))
    .bind(Stamp(forgotten_before(now)))
    .fetch_one(db)
    .await
}

/// Forgets expired codes: at once the undecided ones, a day later the others; the answers of those, which hold credentials, at
/// once.
pub(crate) async fn sweep(db: &mut SqliteConnection, now: UnixTime) -> sqlx::Result<()> {
    query("UPDATE pairing_code SET answer = NULL WHERE expires_at <= $1 AND answer IS NOT NULL")
        .bind(Stamp(now))
        .execute(&mut *db)
        .await?;
    query("DELETE FROM pairing_code WHERE expires_at <= $1 AND (decision IS NULL OR expires_at <= $2)")
        .bind(Stamp(now))
        .bind(Stamp(forgotten_before(now)))
        .execute(db)
        .await?;
    Ok(())
}

const fn forgotten_before(now: UnixTime) -> UnixTime {
    UnixTime(now.0.saturating_sub(KEPT_AFTER_EXPIRY))
}

/// Forgets an undecided code. Returns whether it was there.
pub(crate) async fn forget_undecided(db: &mut SqliteConnection, code: CodeText) -> sqlx::Result<bool> {
    let done = query("DELETE FROM pairing_code WHERE code = $1 AND decision IS NULL").bind(Text(code)).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// How many codes can still be decided or polled.
pub(crate) async fn count_living(db: &mut SqliteConnection, now: UnixTime) -> sqlx::Result<i64> {
    query_scalar("SELECT count(*) FROM pairing_code WHERE expires_at > $1").bind(Stamp(now)).fetch_one(db).await
}
