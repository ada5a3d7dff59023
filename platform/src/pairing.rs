//! Drives [`PairingCode`]: one request, one transaction (WIRE sections 2.1 and 2.2).

use proto_core::{
    Entropy, Machine as _, OrgId, UnixTime,
    api::{Approval, CodeText, MintAnswer, MintRequest, PollAnswer, is_name},
    crypto,
    platform::{
        key_ring::KeyRing,
        pairing_code::{Decision, Input, LIFETIME, Membership, Output, PairingCode, Refusal, Verdict},
    },
    secret::SecretText,
};
use sqlx::SqliteConnection;
use subtle::ConstantTimeEq;

use crate::{
    app::App,
    clock::moment,
    credentials,
    error::Error,
    keys, random,
    store::{
        AccountId, OrganizationId,
        audit::{self, Action, Actor},
        member, organization,
        pairing::{self, NewCode, StoredCode},
    },
};

/// Seconds between polls.
const INTERVAL: u64 = 2;
/// The longest that a poll is held open, in seconds.
pub(crate) const MAX_WAIT: u64 = 25;
/// The longest name of a device or its software, in characters.
const MAX_NAME: usize = 64;

/// Mints a code for a device that proved both its keys.
pub(crate) async fn mint(app: &App, request: &MintRequest, address: &str) -> Result<MintAnswer, Error> {
    let now = app.clock.now();
    app.limits.mints.act(address, now)?;
    check(request)?;
    let status_token = random::token()?;
    let record = PairingCode::mint(moment(now), request.org.clone()).record();
    let token_hash = random::token_hash(status_token.expose());
    let mut tx = app.store.write().await?;
    pairing::sweep(&mut tx, now).await?;
    if pairing::count_living(&mut tx, now).await? >= app.config.max_codes {
        return Err(Error::Unavailable("Too many devices are being paired at this moment. Try again in a minute."));
    }
    let code = loop {
        let code = CodeText::generate(&Entropy::new(*random::secret()?.expose()));
        let new = NewCode { code, token_hash, request, record: record.clone() };
        if pairing::insert(&mut tx, &new, now).await? {
            break code;
        }
    };
    tx.commit().await?;
    Ok(MintAnswer {
        code: code.to_string(),
        status_token,
        url: app.url(&format!("/pair?code={code}")),
        expires_in: LIFETIME.as_secs(),
        interval: Some(INTERVAL),
    })
}

fn check(request: &MintRequest) -> Result<(), Error> {
    check_name("name", &request.name)?;
    check_name("software", &request.software)?;
    if let Some(org) = &request.org {
        org.parse::<OrgId>().map_err(|_| Error::invalid("org: not an id or slug"))?;
    }
    if !crypto::verify_static_key(request.identity_key, request.static_key, &request.static_key_signature) {
        return Err(Error::invalid("static_key_signature does not verify"));
    }
    Ok(())
}

/// People decide by what they read, so a name must show as what it is.
fn check_name(member: &str, name: &str) -> Result<(), Error> {
    if is_name(name, MAX_NAME) { Ok(()) } else { Err(Error::invalid(format!("{member}: 1 to {MAX_NAME} visible characters"))) }
}

/// Answers a poll, at the latest after `wait` seconds, at once when the code is decided meanwhile.
///
/// # Errors
/// [`Error::NotFound`] for a code that is none, ended, or not that token's: which of them is not said.
pub(crate) async fn poll(app: &App, code: CodeText, token: &SecretText, wait: u64) -> Result<PollAnswer, Error> {
    let mut decision = app.news.decisions_about(code);
    let answer = look(app, code, token).await?;
    app.limits.polls.act(&code.to_string(), app.clock.now())?;
    let Some(_seat) = app.news.seat().filter(|_| answer == PollAnswer::Pending && wait > 0) else {
        return Ok(answer);
    };
    tokio::select! {
        () = decision.made() => {}
        () = app.clock.sleep(wait.min(MAX_WAIT)) => {}
        () = app.news.closing() => {}
    }
    look(app, code, token).await
}

async fn look(app: &App, code: CodeText, token: &SecretText) -> Result<PollAnswer, Error> {
    let stored = pairing::find(&mut *app.store.read().await?, code).await?.ok_or(Error::NotFound)?;
    let token_fits: bool = random::token_hash(token.expose()).ct_eq(stored.token_hash()).into();
    if !token_fits {
        count_guess(app, code).await?;
        return Err(Error::NotFound);
    }
    let now = moment(app.clock.now());
    let mut machine = PairingCode::restore(now, stored.record());
    hand_in(&mut machine, app.clock.now(), Input::Polled { token_fits })?;
    match machine.poll_output() {
        Some(Output::Answer(Verdict::Pending)) => Ok(PollAnswer::Pending),
        Some(Output::Answer(Verdict::Denied)) => Ok(PollAnswer::Denied),
        Some(Output::Answer(Verdict::Approved)) => Ok(PollAnswer::Approved(Box::new(answer(&stored)?))),
        _ => Err(Error::NotFound),
    }
}

/// The device gave its code up: while it is undecided, it is forgotten, so that it cannot be approved any more.
///
/// # Errors
/// [`Error::NotFound`] as for [`poll`]; [`Error::Conflict`] when it was decided before.
pub(crate) async fn cancel(app: &App, code: CodeText, token: &SecretText) -> Result<(), Error> {
    match look(app, code, token).await? {
        PollAnswer::Pending => {}
        PollAnswer::Approved(_) | PollAnswer::Denied => return Err(Error::Conflict("The code was decided before.")),
    }
    let mut tx = app.store.write().await?;
    let is_gone = pairing::forget_undecided(&mut tx, code).await?;
    tx.commit().await?;
    if is_gone { Ok(()) } else { Err(Error::Conflict("The code was decided before.")) }
}

/// Where what was swept still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    /// Nowhere.
    Gone,
    /// In the log, which was in use and could not be emptied.
    InLog,
}

/// Forgets codes whose time is over, and the credentials in their answers: out of the database, and out of its log.
pub(crate) async fn sweep(app: &App, before: Swept) -> Result<Swept, Error> {
    let now = app.clock.now();
    if pairing::is_stale(&mut *app.store.read().await?, now).await? {
        let mut tx = app.store.write().await?;
        pairing::sweep(&mut tx, now).await?;
        tx.commit().await?;
    } else if before == Swept::Gone {
        return Ok(Swept::Gone);
    }
    Ok(if app.store.checkpoint().await? { Swept::Gone } else { Swept::InLog })
}

/// How often codes are swept, in seconds.
const SWEEP_EVERY: u64 = 60;

/// Sweeps for as long as it is polled.
pub(crate) async fn keep_swept(app: &App) {
    let mut swept = Swept::Gone;
    loop {
        match sweep(app, swept).await {
            Ok(now) => swept = now,
            Err(error) => error.log(),
        }
        app.clock.sleep(SWEEP_EVERY).await;
    }
}

fn answer(stored: &StoredCode) -> Result<Approval, Error> {
    let json = stored.answer().ok_or_else(|| Error::Internal("an approved code without its answer".into()))?;
    serde_json::from_str(json).map_err(|error| Error::Internal(error.to_string()))
}

async fn count_guess(app: &App, code: CodeText) -> Result<(), Error> {
    let mut tx = app.store.write().await?;
    let Some(stored) = pairing::find(&mut tx, code).await? else { return Ok(()) };
    let mut machine = PairingCode::restore(moment(app.clock.now()), stored.record());
    hand_in(&mut machine, app.clock.now(), Input::Polled { token_fits: false })?;
    if machine.poll_output().is_some() {
        pairing::update(&mut tx, code, &machine.record(), None).await?;
        tx.commit().await?;
    }
    Ok(())
}

fn hand_in(machine: &mut PairingCode, now: UnixTime, input: Input) -> Result<(), Error> {
    machine.handle_input(moment(now), input).map_err(|misuse| Error::Internal(misuse.to_string()))
}

/// Which button was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Approve(OrganizationId),
    Deny,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Decided,
    Refused(Refusal),
    /// The code ended before.
    TooLate,
}

/// Carries out what `account` pressed. Whatever happens between, the code is decided as a whole or not at all.
pub(crate) async fn decide(app: &App, account: &AccountId, code: CodeText, choice: Choice) -> Result<Outcome, Error> {
    guessed(app, account, code).await?;
    let ring = keys::ring(app).await?;
    let mut tx = app.store.write().await?;
    // It may have been decided, or given up, since.
    let Some(stored) = pairing::find(&mut tx, code).await? else { return Ok(Outcome::TooLate) };
    let mut machine = PairingCode::restore(moment(app.clock.now()), stored.record());
    let by = account.wire().clone();
    let input = match choice {
        Choice::Approve(id) => Input::Approve { by, org: id.wire().clone() },
        Choice::Deny => Input::Deny { by },
    };
    hand_in(&mut machine, app.clock.now(), input)?;
    let mut step = Step { app, ring: &ring, stored: &stored, answer: None, outcome: Outcome::TooLate };
    while let Some(output) = machine.poll_output() {
        step.perform(&mut tx, &mut machine, output).await?;
    }
    let Step { answer, outcome, .. } = step;
    if outcome == Outcome::Decided {
        pairing::update(&mut tx, code, &machine.record(), answer.as_deref()).await?;
        write_down(&mut tx, app.clock.now(), &stored, machine.decision()).await?;
        tx.commit().await?;
        app.news.code_decided(code);
    }
    Ok(outcome)
}

/// The outputs of one decision, carried out in its transaction.
struct Step<'a> {
    app: &'a App,
    ring: &'a KeyRing,
    stored: &'a StoredCode,
    answer: Option<String>,
    outcome: Outcome,
}

impl Step<'_> {
    async fn perform(&mut self, db: &mut SqliteConnection, machine: &mut PairingCode, output: Output) -> Result<(), Error> {
        match output {
            Output::CheckStanding { check, by, org } => {
                let standing = standing(db, &by.into(), &org.into()).await?;
                hand_in(machine, self.app.clock.now(), Input::Checked { check, standing })?;
            }
            Output::Issue { by, org } => {
                let organization = organization::living(&mut *db, &org.into()).await?.ok_or(Error::NotFound)?;
                let approval = credentials::issue(self.app, db, self.ring, self.stored, &by.into(), &organization).await?;
                let json = serde_json::to_string(&approval).map_err(|error| Error::Internal(error.to_string()))?;
                self.answer = Some(json);
            }
            Output::Decided(_) => self.outcome = Outcome::Decided,
            Output::Refused(refusal) => self.outcome = Outcome::Refused(refusal),
            Output::Answer(_) | Output::Unknown | Output::Voided => {}
        }
        Ok(())
    }
}

async fn standing(db: &mut SqliteConnection, account: &AccountId, id: &OrganizationId) -> Result<Membership, Error> {
    let Some(organization) = organization::living(&mut *db, id).await? else { return Ok(Membership::NoMember) };
    let role = member::role(db, id, account).await?;
    Ok(role.map_or(Membership::NoMember, |_| Membership::Member { slug: organization.slug }))
}

async fn write_down(
    db: &mut SqliteConnection,
    now: UnixTime,
    stored: &StoredCode,
    decision: Option<&Decision>,
) -> Result<(), Error> {
    let (by, org, action) = match decision {
        Some(Decision::Approved { by, org }) => (by, Some(org.clone().into()), Action::PairingApproved),
        Some(Decision::Denied { by }) => (by, asked_for(&mut *db, stored, by).await?, Action::PairingDenied),
        None => return Ok(()),
    };
    let account = by.clone().into();
    let actor = Actor { organization: org.as_ref(), account: &account, now };
    Ok(audit::record(db, actor, action, &stored.name).await?)
}

/// The workspace that a denied device named, where the account belongs to it.
async fn asked_for(
    db: &mut SqliteConnection,
    stored: &StoredCode,
    by: &proto_core::PlatformId,
) -> Result<Option<OrganizationId>, Error> {
    let Some(asked) = &stored.asked else { return Ok(None) };
    let joined = organization::joined(db, &by.clone().into()).await?;
    Ok(joined.into_iter().map(|j| j.organization).find(|org| is_named(org, asked)).map(|org| org.id))
}

/// Whether a device that asked for `asked`, an id or a slug, meant this workspace.
pub(crate) fn is_named(organization: &organization::Organization, asked: &str) -> bool {
    organization.id.wire().is_named(&organization.slug, asked)
}

/// The code that an account typed; one that does not exist counts as a guess, of which there are only so many (PAIR-12).
async fn guessed(app: &App, account: &AccountId, code: CodeText) -> Result<StoredCode, Error> {
    let (key, now) = (account.to_string(), app.clock.now());
    app.limits.code_guesses.check(&key, now)?;
    let Some(stored) = pairing::find(&mut *app.store.read().await?, code).await? else {
        app.limits.code_guesses.act(&key, now)?;
        return Err(Error::NotFound);
    };
    Ok(stored)
}

/// How a code stands, for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Pending,
    Decided(Decision),
    Expired,
}

/// The device behind a code and how the code stands. A decided code keeps saying so for a day (S25, S211).
///
/// # Errors
/// [`Error::NotFound`]: there is no such code; looking for codes that do not exist is limited per account (PAIR-12).
pub(crate) async fn view(app: &App, account: &AccountId, code: CodeText) -> Result<(StoredCode, Stage), Error> {
    let now = app.clock.now();
    let stored = guessed(app, account, code).await?;
    let stage = match stored.record().decision {
        Some(decision) => Stage::Decided(decision),
        None if PairingCode::restore(moment(now), stored.record()).poll_timeout().is_none() => Stage::Expired,
        None => Stage::Pending,
    };
    Ok((stored, stage))
}
