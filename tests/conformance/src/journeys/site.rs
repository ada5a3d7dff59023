//! The real platform and the real relay, on loopback in a runtime of their own, and the browser of the person who governs them.

use std::path::PathBuf;

use browser::Browser;
use io_engine::Network;
use proto_core::{
    api::RelayEndpoint,
    effect::{HttpRequest, Method},
    secret::SecretText,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
};
use viewport_platform::{Clock, Platform};
use viewport_relay::Relay;

use crate::PATIENCE;

/// The workspace that there is from the beginning.
pub(super) const ORG: &str = "Acme";

const INTERNAL_KEY: &str = "known to relay and platform";
const ADMIN_TOKEN: &str = "known to the operator";

/// Both servers.
pub(super) struct Site {
    // The servers end before their files go.
    runtime: Runtime,
    platform: Running,
    relay: Running,
    relay_config: viewport_relay::Config,
    url: String,
    browser: Browser,
    place: TempDir,
}

/// A server until it is stopped.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Site {
    /// Both serve; the person has signed up.
    pub(super) fn open() -> Self {
        Self::open_at(Clock::system())
    }

    /// The same, where the platform has this clock.
    pub(super) fn open_at(clock: Clock) -> Self {
        // One thread, which is not the one that the journey goes on in.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let place = tempfile::tempdir().unwrap();
        let (url, platform, relay, relay_config, browser) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let key = SecretText::new(INTERNAL_KEY);
            let mut relay_config = viewport_relay::Config::new(&url, key.clone(), place.path().join("relay")).unwrap();
            relay_config.listen = "127.0.0.1:0".parse().unwrap();
            relay_config.admin_token = Some(SecretText::new(ADMIN_TOKEN));
            let relay = Relay::bind(relay_config.clone()).await.unwrap();
            relay_config.listen = relay.local_addr();
            let endpoint =
                RelayEndpoint { url: format!("ws://{}/ws", relay.local_addr()), static_keys: vec![relay.static_key()] };
            let config = viewport_platform::Config::new(place.path().join("platform.db"), &url, endpoint, key);
            let platform = Platform::open(config, clock).await.unwrap();
            let setup = platform.setup_url().await.unwrap().unwrap();
            let platform = serve_platform(platform, listener);
            let browser = sign_up(&setup).await;
            (url, platform, serve_relay(relay), relay_config, browser)
        });
        Self { runtime, platform, relay, relay_config, url, browser, place }
    }

    /// The platform's base URL.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A folder for one device or repository.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.place.path().canonicalize().unwrap().join(name)
    }

    /// A repository that can be bound.
    pub(super) fn repository(&self, name: &str) -> PathBuf {
        let folder = self.folder(name);
        std::fs::create_dir_all(folder.join(".git")).unwrap();
        folder
    }

    // What a person does in the browser

    /// Makes another workspace.
    pub(super) fn make_workspace(&mut self, name: &str) {
        let Self { runtime, browser, url, .. } = self;
        runtime.block_on(async {
            let page = browser.open(&format!("{url}/workspaces/new")).await.unwrap();
            browser.submit(&page, "/workspaces/new", &[("name", name)]).await.unwrap();
        });
    }

    /// Opens the page of a code, picks the workspace there and presses Approve.
    pub(super) fn approve(&mut self, page: &str, org: &str) {
        let Self { runtime, browser, .. } = self;
        runtime.block_on(async {
            let page = browser.open(page).await.unwrap();
            let workspace = page.choice("workspace", org).expect("the workspace can be picked");
            let page = browser.submit(&page, "/pair/approve", &[("workspace", &workspace)]).await.unwrap();
            assert!(page.says(&format!("Paired with {org}")), "{page:?}");
        });
    }

    /// Revokes the first machine on the Machines page of a workspace.
    pub(super) fn revoke(&mut self, slug: &str) {
        let Self { runtime, browser, url, .. } = self;
        runtime.block_on(async {
            let page = browser.open(&format!("{url}/w/{slug}/machines")).await.unwrap();
            let link = page.link_to("/revoke").expect("a machine that can be revoked");
            let page = browser.open(link.as_str()).await.unwrap();
            browser.submit(&page, link.path(), &[]).await.unwrap();
        });
    }

    // What an operator does

    /// How often something stands in the relay's log.
    pub(super) fn count_in_relay_log(&self, what: &str) -> usize {
        let bearer = SecretText::new(format!("Bearer {ADMIN_TOKEN}"));
        let request = HttpRequest {
            method: Method::Get,
            url: format!("http://{}/logs", self.relay_config.listen),
            headers: vec![("Authorization", bearer)],
            body: None,
            timeout: PATIENCE,
            max_answer: 1 << 20,
        };
        let answer = self.runtime.block_on(io_tokio::request(&request, &Network::default())).unwrap();
        assert_eq!(answer.status, 200);
        str::from_utf8(answer.body.expose()).unwrap().matches(what).count()
    }

    /// Stops the platform, and waits until it is stopped.
    pub(super) fn stop_platform(&mut self) {
        self.platform.stop();
        self.runtime.block_on(&mut self.platform.served).unwrap();
    }

    /// Tells the relay to stop. It takes leave of its devices, which have to be driven for that.
    pub(super) fn stop_relay(&mut self) {
        self.relay.stop();
    }

    pub(super) fn relay_has_stopped(&self) -> bool {
        self.relay.served.is_finished()
    }

    /// Starts the relay that was stopped, on the same address and data.
    pub(super) fn start_relay(&mut self) {
        let relay = self.runtime.block_on(Relay::bind(self.relay_config.clone())).unwrap();
        self.relay = self.runtime.block_on(async { serve_relay(relay) });
    }
}

impl Running {
    fn stop(&mut self) {
        let stop = self.stop.take().expect("it runs");
        stop.send(()).expect("it waits for this");
    }
}

fn serve_platform(platform: Platform, listener: TcpListener) -> Running {
    let (stop, stopped) = oneshot::channel();
    let serving = async move { platform.serve(listener, asked(stopped)).await.unwrap() };
    Running { stop: Some(stop), served: tokio::spawn(serving) }
}

fn serve_relay(relay: Relay) -> Running {
    let (stop, stopped) = oneshot::channel();
    Running { stop: Some(stop), served: tokio::spawn(relay.serve(asked(stopped))) }
}

/// Ends when it is asked for; one whose owner is gone serves on until its runtime goes.
async fn asked(stopped: oneshot::Receiver<()>) {
    if stopped.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The first admin signs up on the set-up page.
async fn sign_up(page: &str) -> Browser {
    let mut browser = Browser::default();
    let page = browser.open(page).await.unwrap();
    let typed = [("organization", ORG), ("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse battery")];
    browser.submit(&page, "/setup", &typed).await.unwrap();
    browser
}
