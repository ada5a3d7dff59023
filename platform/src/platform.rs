//! The platform as its host sees it.

use std::{future::Future, io, sync::Arc};

use axum::{Router, extract::DefaultBodyLimit};
use proto_core::{
    PlatformId,
    api::{CodeText, Workspace},
    secret::SecretText,
};
use tokio::net::TcpListener;

use crate::{
    accounts::{self, SignUp},
    api,
    app::{App, Shared},
    clock::Clock,
    config::Config,
    door,
    error::Error,
    keys, pages, pairing,
    store::OpenError,
};

/// The most bytes of a request's body.
const MAX_BODY: usize = 64 * 1024;

/// An opened platform. Clones share everything.
#[derive(Clone, Debug)]
pub struct Platform {
    app: Shared,
}

/// The first administrator of a new platform.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    /// What to sign in with.
    pub email: String,
    /// At least ten characters.
    pub password: SecretText,
    /// What others see.
    pub name: String,
    /// The first workspace; its slug is made from this.
    pub organization: String,
}

/// What [`Platform::create_first_admin`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// The admin's account.
    pub account: PlatformId,
    /// The first workspace.
    pub workspace: Workspace,
}

impl Platform {
    /// Opens the database, or makes it, and brings its schema up to date.
    ///
    /// # Errors
    /// The file cannot be opened, is no database of ours, or was written by a newer version.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, OpenError> {
        Ok(Self { app: Arc::new(App::open(config, clock).await?) })
    }

    /// Where the first admin signs up, while there is no account. Every call makes a new link and ends the one before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn setup_url(&self) -> Result<Option<String>, Error> {
        let token = accounts::offer_setup(&self.app).await?;
        Ok(token.map(|token| self.app.url(&format!("/setup?token={}", token.expose()))))
    }

    /// Makes the first account and its workspace, without a browser.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when there is an account already; [`Error::Invalid`] when a field is invalid.
    pub async fn create_first_admin(&self, admin: FirstAdmin) -> Result<Founded, Error> {
        let sign_up = SignUp { name: admin.name, email: admin.email, password: admin.password };
        let (account, organization) = accounts::create_first(&self.app, None, sign_up, &admin.organization).await?;
        let workspace = Workspace { id: organization.id.wire().clone(), slug: organization.slug, name: organization.name };
        Ok(Founded { account: account.wire().clone(), workspace })
    }

    /// Approves a code on behalf of an account, as if it had pressed Approve: for demonstrations and tests on one machine.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is no such code; [`Error::Invalid`]: it cannot be approved any more, or not by this account.
    pub async fn approve(&self, account: &PlatformId, workspace: &Workspace, code: &str) -> Result<(), Error> {
        let code: CodeText = code.parse().map_err(|_| Error::NotFound)?;
        let choice = pairing::Choice::Approve(workspace.id.clone().into());
        match pairing::decide(&self.app, &account.clone().into(), code, choice).await? {
            pairing::Outcome::Decided => Ok(()),
            pairing::Outcome::Refused(refusal) => Err(Error::invalid(refusal.to_string())),
            pairing::Outcome::TooLate => Err(Error::invalid("the code expired")),
        }
    }

    /// Publishes a new signing key, which signs two hours later, once every relay knows it (S180).
    ///
    /// # Errors
    /// The database fails.
    pub async fn rotate_signing_key(&self) -> Result<(), Error> {
        keys::rotate(&self.app).await.map(|_| ())
    }

    /// Takes all signing keys out of use because they may have leaked: none of them is published from now on, and a fresh key
    /// signs at once. Devices renew their credentials by themselves; nothing has to be paired again.
    ///
    /// # Errors
    /// The database fails.
    pub async fn withdraw_signing_keys(&self) -> Result<(), Error> {
        keys::withdraw(&self.app).await.map(|_| ())
    }

    /// All pages and endpoints. Give it [`axum::extract::ConnectInfo`] of `SocketAddr`, or all callers count as one address.
    pub fn router(&self) -> Router {
        api::routes().merge(pages::routes(&self.app)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(Arc::clone(&self.app))
    }

    /// Answers on `listener` until `shutdown` comes; then held polls are answered, requests under way are finished, and the
    /// database is closed.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let app = Arc::clone(&self.app);
        let closing = async move {
            shutdown.await;
            app.news.close();
        };
        let serve = door::serve(listener, self.router(), self.app.config.trusted_proxies.clone(), closing);
        let served = tokio::select! {
            served = serve => served,
            () = pairing::keep_swept(&self.app) => Ok(()),
        };
        self.app.store.close().await;
        served
    }
}
