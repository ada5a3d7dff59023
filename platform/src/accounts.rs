//! Accounts: the first one, signing in and out, signing up by invitation.

use proto_core::{UnixTime, secret::SecretText};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    organizations, random,
    store::{
        AccountId,
        account::{self, NewAccount},
        organization::Organization,
        session,
    },
};

/// How long somebody stays signed in, in seconds: two weeks.
pub(crate) const SESSION_LIFETIME: u64 = 14 * 24 * 60 * 60;

/// The longest name of a person or a workspace, in characters.
pub(crate) const MAX_NAME: usize = 80;

/// Who signs up.
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
    let sign_up = prepare(app, sign_up).await?;
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    let allowed = match token {
        Some(token) => account::setup_fits(&mut tx, &random::token_hash(token)).await?,
        None => true,
    };
    if !allowed || account::exists(&mut tx).await? {
        return Err(Error::Forbidden("This server has been set up already."));
    }
    let id = sign_up.insert(&mut tx, now).await?;
    let organization = organizations::insert(&mut tx, &id, organization_name, now).await?;
    account::forget_setup(&mut tx).await?;
    tx.commit().await?;
    Ok((id, organization))
}

/// Makes an account for who opened an invitation, and lets it join.
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
    Ok(Prepared {
        name: checked_name(&sign_up.name, "your name")?,
        email: checked_email(&sign_up.email)?,
        password_hash: app.passwords.hash(sign_up.password).await?,
    })
}

/// A name that people will read.
pub(crate) fn checked_name(name: &str, whose: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        return Err(Error::invalid(format!("Enter {whose}, at most {MAX_NAME} characters.")));
    }
    Ok(name.to_owned())
}

/// Nothing is ever sent to the address: it has to look like one, and to be typed the same way twice.
fn checked_email(email: &str) -> Result<String, Error> {
    let email = email.trim().to_ascii_lowercase();
    let plain = email.len() <= 254 && !email.contains(|c: char| c.is_whitespace() || c.is_control());
    let shaped = email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if plain && shaped { Ok(email) } else { Err(Error::invalid("Enter an e-mail address.")) }
}

/// Signs in and gives the session's token.
///
/// # Errors
/// [`Error::Invalid`] when address or password is wrong, which of the two is not said. [`Error::Limited`] after too many.
pub(crate) async fn sign_in(app: &App, email: &str, password: SecretText, address: &str) -> Result<SecretText, Error> {
    let now = app.clock.now();
    let email = email.trim().to_ascii_lowercase();
    let who = format!("{address} {}", data_encoding::HEXLOWER.encode(&random::token_hash(&email)));
    app.limits.sign_ins.act(&who, now)?;
    app.limits.sign_ins_by_address.act(address, now)?;
    let found = account::with_password(&mut *app.store.read().await?, &email).await?;
    let (id, hash) = found.unzip();
    let fits = app.passwords.verify(password, hash).await?;
    match id {
        Some(id) if fits => {
            app.limits.sign_ins.forgive(&who);
            start_session(app, &id).await
        }
        _ => Err(Error::invalid("That address and password do not match an account.")),
    }
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
    (email, account): (&str, &AccountId),
    (old, new): (SecretText, SecretText),
    session_hash: &[u8; 32],
) -> Result<(), Error> {
    app.limits.sign_ins.act(&account.to_string(), app.clock.now())?;
    let found = account::with_password(&mut *app.store.read().await?, email).await?;
    if !app.passwords.verify(old, found.map(|(_, hash)| hash)).await? {
        return Err(Error::invalid("The current password is not right."));
    }
    let hash = app.passwords.hash(new).await?;
    let mut tx = app.store.write().await?;
    account::set_password(&mut tx, account, &hash).await?;
    session::delete_others(&mut tx, account, session_hash).await?;
    tx.commit().await?;
    app.limits.sign_ins.forgive(&account.to_string());
    Ok(())
}
