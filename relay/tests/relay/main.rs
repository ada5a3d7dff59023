//! The relay on loopback: real sockets, real Noise, a real store, and a platform that answers what a test wants.

mod admission;
mod device;
mod doors;
mod operations;
mod platform;
mod streaming;

use std::{net::SocketAddr, path::Path, time::Duration};

use proto_core::{
    effect::{HttpAnswer, HttpRequest, Method},
    key::StaticKey,
    secret::SecretText,
    wire::Role,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use viewport_relay::{Config, Options, Relay};

use device::Device;
use platform::{INTERNAL_KEY, Platform};

pub(crate) const ADMIN_TOKEN: &str = "admin token of the tests";

/// A relay that serves, and its platform.
pub(crate) struct Site {
    pub(crate) platform: Platform,
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) key: StaticKey,
    pub(crate) options: Options,
    dir: TempDir,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}, Options::default()).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Config), options: Options) -> Self {
        let platform = Platform::start().await;
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(&platform.url, SecretText::new(INTERNAL_KEY), dir.path().join("data")).unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.admin_token = Some(SecretText::new(ADMIN_TOKEN));
        config.rate_limit_per_ip = 0;
        change(&mut config);
        let mut site = Self { platform, address: config.listen, config, key: StaticKey([0; 32]), options, dir, running: None };
        site.start().await;
        site
    }

    /// Starts the relay, on the address it had before.
    pub(crate) async fn start(&mut self) {
        let relay = Relay::bind_with(self.config.clone(), self.options.clone()).await.unwrap();
        (self.address, self.key) = (relay.local_addr(), relay.static_key());
        self.config.listen = self.address;
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(relay.serve(async {
            let _ = stopped.await;
        }));
        self.running = Some(Running { stop, served });
        while self.get("/ready", None).await.status != 200 {
            tokio::task::yield_now().await;
        }
    }

    /// Stops it, and waits until address and store are free.
    pub(crate) async fn stop(&mut self) {
        let Running { stop, served } = self.running.take().unwrap();
        stop.send(()).unwrap();
        served.await.unwrap();
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn daemon(&self, org: &str, target: &str) -> Device {
        Device::new(Role::Daemon, &self.platform.url, org, target, target.bytes().fold(1, u8::wrapping_add))
    }

    pub(crate) fn viewer(&self, org: &str, target: &str) -> Device {
        Device { role: Role::Viewer, ..Device::new(Role::Viewer, &self.platform.url, org, target, 77) }
    }

    pub(crate) async fn get(&self, path: &str, bearer: Option<&str>) -> HttpAnswer {
        let authorization = bearer.map(|bearer| ("Authorization", SecretText::new(format!("Bearer {bearer}"))));
        let request = HttpRequest {
            method: Method::Get,
            url: format!("http://{}{path}", self.address),
            headers: authorization.into_iter().collect(),
            body: None,
            timeout: Duration::from_secs(20),
            max_answer: 1 << 20,
        };
        io_tokio::request(&request, &io_tokio::Network::default()).await.unwrap()
    }

    pub(crate) async fn admin(&self, path: &str) -> String {
        let answer = self.get(path, Some(ADMIN_TOKEN)).await;
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body.expose().to_vec()).unwrap()
    }
}
