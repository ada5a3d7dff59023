//! Accounts: the first one, signing in and out, signing up by invitation.

use proto_core::{UnixTime, secret::SecretText};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    names::checked_name,
    organizations, random,
    store::{
        AccountId,
        account::{self, Account, NewAccount},
        known_browser,
        organization::Organization,
        session,
    },
};

/// How long a browser stays signed in, in seconds: two weeks.
pub(crate) const SESSION_LIFETIME: u64 = 14 * 24 * 60 * 60;

/// A person who signs up.
#[derive(Debug)]
pub(crate) struct SignUp {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: SecretText,
}

/// Where there is no account yet: a fresh set-up token, which replaces any older one.
pub(crate) async fn offer_setup(app: &App) -> Result<Option<SecretText>, Error> {
    let mut tx = app.store.write().await?;
    if account::exists(&mut tx).await? {
        account::forget_setup(&mut tx).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let token = random::token()?;
    account::replace_setup(&mut tx, &random::token_hash(token.expose()), app.clock.now()).await?;
    tx.commit().await?;
    Ok(Some(token))
}

/// Whether that is the set-up token.
pub(crate) async fn setup_fits(app: &App, token: &str) -> Result<bool, Error> {
    Ok(account::setup_fits(&mut *app.store.read().await?, &random::token_hash(token)).await?)
}

/// Makes the first account and its workspace; `token` is the set-up token where it comes from a browser.
pub(crate) async fn create_first(
    app: &App,
    token: Option<&str>,
    sign_up: SignUp,
    organization_name: &str,
) -> Result<(AccountId, Organization), Error> {
    check_first(&mut *app.store.read().await?, token).await?;
    let sign_up = prepare(app, sign_up).await?;
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    check_first(&mut tx, token).await?;
    let id = sign_up.insert(&mut tx, now).await?;
    let organization = organizations::insert(&mut tx, &id, organization_name, now).await?;
    account::forget_setup(&mut tx).await?;
    tx.commit().await?;
    Ok((id, organization))
}

/// Before a password is hashed, which costs, and again in the transaction.
async fn check_first(db: &mut SqliteConnection, token: Option<&str>) -> Result<(), Error> {
    let allowed = match token {
        Some(token) => account::setup_fits(&mut *db, &random::token_hash(token)).await?,
        None => true,
    };
    if !allowed || account::exists(db).await? {
        return Err(Error::Forbidden("This server has been set up already."));
    }
    Ok(())
}

/// Makes an account for the user who opened an invitation, and lets it join.
pub(crate) async fn sign_up_invited(app: &App, token: &str, sign_up: SignUp) -> Result<(AccountId, Organization), Error> {
    let sign_up = prepare(app, sign_up).await?;
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    if account::email_is_taken(&mut tx, &sign_up.email).await? {
        return Err(Error::invalid("There is an account with that address already. Sign in to accept the invitation."));
    }
    let id = sign_up.insert(&mut tx, now).await?;
    let organization = crate::members::join(&mut tx, &id, token, now).await?;
    tx.commit().await?;
    Ok((id, organization))
}

/// A [`SignUp`] that was checked, with its password hashed.
struct Prepared {
    name: String,
    email: String,
    password_hash: String,
}

impl Prepared {
    async fn insert(&self, db: &mut SqliteConnection, now: UnixTime) -> Result<AccountId, Error> {
        let id = AccountId::fresh(now)?;
        let new = NewAccount { email: &self.email, name: &self.name, password_hash: &self.password_hash };
        account::insert(db, &id, &new, now).await?;
        Ok(id)
    }
}

async fn prepare(app: &App, sign_up: SignUp) -> Result<Prepared, Error> {
    let (name, email) = (checked_name(&sign_up.name, "your name")?, checked_email(&sign_up.email)?);
    let password_hash = app.passwords.hash(sign_up.password, &[&name, &email]).await?;
    Ok(Prepared { name, email, password_hash })
}

/// Nothing is ever sent to the address: it has to look like one, and to be typed the same way twice.
fn checked_email(email: &str) -> Result<String, Error> {
    let email = email.trim().to_ascii_lowercase();
    let plain = email.len() <= 254 && !email.contains(|c: char| c.is_whitespace() || c.is_control());
    let shaped = email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if plain && shaped { Ok(email) } else { Err(Error::invalid("Enter an e-mail address.")) }
}

/// What a browser sends to sign in.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) email: &'a str,
    pub(crate) password: SecretText,
    /// Where it comes from.
    pub(crate) address: &'a str,
    /// What the browser was given when the account signed in there before.
    pub(crate) browser: Option<&'a str>,
}

/// What a browser gets that signed in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) session: SecretText,
    /// What it is known by from now on, where that is new.
    pub(crate) browser: Option<SecretText>,
}

/// For how long a browser is known, in seconds: as long as browsers keep a cookie, 400 days.
pub(crate) const KNOWN_FOR: u64 = 400 * 24 * 60 * 60;

/// Signs in.
///
/// Wrong passwords put off the next try from the same address, and slow down all tries for the same account by some seconds.
/// Neither concerns a browser in which that account signed in before: that has a count of its own, so others cannot keep
/// an account's owner out.
///
/// # Errors
/// [`Error::Invalid`] when address or password is wrong, which of the two is not said. [`Error::Limited`] after too many.
pub(crate) async fn sign_in(app: &App, attempt: Attempt<'_>) -> Result<Admitted, Error> {
    let now = app.clock.now();
    let email = attempt.email.trim().to_ascii_lowercase();
    let (id, hash) = account::with_password(&mut *app.store.read().await?, &email).await?.unzip();
    let known = known_hash(app, attempt.browser, id.as_ref()).await?;
    let account = data_encoding::HEXLOWER.encode(&random::token_hash(&email));
    let source = match &known {
        Some(hash) => format!("browser {}", data_encoding::HEXLOWER.encode(hash)),
        None => format!("address {}", attempt.address),
    };
    app.limits.sign_ins.begin(&source, now)?;
    if known.is_none() {
        app.clock.sleep(app.limits.sign_ins_by_account.slow(&account, now)).await;
    }
    let fits = app.passwords.verify(attempt.password, hash).await?;
    let Some(id) = id.filter(|_| fits) else {
        return Err(Error::invalid("That address and password do not match an account."));
    };
    app.limits.sign_ins.was_right(&source);
    if known.is_some() {
        return Ok(Admitted { session: start_session(app, &id).await?, browser: None });
    }
    app.limits.sign_ins_by_account.was_right(&account);
    let browser = random::token()?;
    let mut tx = app.store.write().await?;
    let now = app.clock.now();
    known_browser::insert(&mut tx, &random::token_hash(browser.expose()), &id, (now, now.plus(KNOWN_FOR))).await?;
    tx.commit().await?;
    Ok(Admitted { session: start_session(app, &id).await?, browser: Some(browser) })
}

/// The hash of what a browser is known by, where that account signed in there before.
async fn known_hash(app: &App, browser: Option<&str>, account: Option<&AccountId>) -> Result<Option<[u8; 32]>, Error> {
    let (Some(browser), Some(account)) = (browser, account) else { return Ok(None) };
    let hash = random::token_hash(browser);
    let mut db = app.store.read().await?;
    Ok(known_browser::is_known(&mut db, &hash, account, app.clock.now()).await?.then_some(hash))
}

/// Starts a session and gives its token.
pub(crate) async fn start_session(app: &App, account: &AccountId) -> Result<SecretText, Error> {
    let now = app.clock.now();
    let token = random::token()?;
    let mut tx = app.store.write().await?;
    session::insert(&mut tx, &random::token_hash(token.expose()), account, now, now.plus(SESSION_LIFETIME)).await?;
    tx.commit().await?;
    Ok(token)
}

/// Ends a session.
pub(crate) async fn sign_out(app: &App, session_hash: &[u8; 32]) -> Result<(), Error> {
    let mut tx = app.store.write().await?;
    session::delete(&mut tx, session_hash).await?;
    Ok(tx.commit().await?)
}

/// Changes a password and ends the account's other sessions.
pub(crate) async fn change_password(
    app: &App,
    account: &Account,
    (old, new): (SecretText, SecretText),
    session_hash: &[u8; 32],
) -> Result<(), Error> {
    let key = account.id.to_string();
    app.limits.password_changes.act(&key, app.clock.now())?;
    let found = account::with_password(&mut *app.store.read().await?, &account.email).await?;
    if !app.passwords.verify(old, found.map(|(_, hash)| hash)).await? {
        return Err(Error::invalid("The current password is not right."));
    }
    let hash = app.passwords.hash(new, &[&account.email, &account.name]).await?;
    let mut tx = app.store.write().await?;
    account::set_password(&mut tx, &account.id, &hash).await?;
    session::delete_others(&mut tx, &account.id, session_hash).await?;
    tx.commit().await?;
    app.limits.password_changes.reset(&key);
    Ok(())
}
