//! The relay as a whole: how it starts and how it stops.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use io_engine::{fresh_entropy, write_private};
use io_tokio::Network;
use proto_core::{
    Entropy, JitterRng,
    crypto::StaticKeys,
    key::StaticKey,
    relay::{admission::PlatformAccess, connection::Settings},
    secret::Secret,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time,
};
use viewport_server::raise_file_limit;

use crate::{
    Tap,
    config::Config,
    event_log::{Entry, EventLog},
    files,
    hub::{HubTask, ToHub},
    keys::Keys,
    listener,
    revocations::RevocationTask,
    shared::{ConnectionLimits, SOFTWARE, Shared},
    store::{Store, StoreError},
};

/// How long a stopping relay waits for its devices to close their connections.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a relay cannot start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Its address cannot be had.
    #[error("{address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The static key's file cannot be read or made.
    #[error("{path}: {error}")]
    StaticKey {
        /// Where it is.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The record store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A relay that is bound to its address and has its store open, and answers once [`Relay::serve`] runs.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    hub: JoinHandle<Store>,
}

impl Relay {
    /// Opens the store, binds the address and begins to fetch the key set. The static key is made when there is none.
    ///
    /// # Errors
    /// [`RelayError`]: the address is taken, the directory belongs to another user, another relay runs on it.
    pub async fn bind(config: Config) -> Result<Self, RelayError> {
        Self::bind_with(config, Options::default()).await
    }

    /// The same, with what only tests and demonstrations need.
    ///
    /// # Errors
    /// As [`Relay::bind`].
    pub async fn bind_with(config: Config, options: Options) -> Result<Self, RelayError> {
        raise_file_limit();
        let address = config.listen;
        let listening = |error| RelayError::Listen { address, error };
        let keys = static_keys(&config.static_key_file)?;
        let listener = TcpListener::bind(address).await.map_err(listening)?;
        let local_addr = listener.local_addr().map_err(listening)?;
        let (answers, from_store) = mpsc::unbounded_channel();
        let (store, first_number) = Store::open(
            &config.data_dir,
            config.retention,
            Arc::new(move |answer| {
                // Without a hub it is not waited for.
                let _ = answers.send(answer);
            }),
        )?;
        let (store_works, store_reads) = (store.working(), store.readable());
        let (hub_task, hub) = HubTask::new(store, first_number, from_store);
        let (stop, shutdown) = watch::channel(false);
        let (mut tasks, event_log, network) = (JoinSet::new(), Arc::new(EventLog::default()), options.network);
        let shared = Arc::new(Shared {
            settings: Arc::new(settings(&config, keys)),
            keys: Keys::start(config.jwks_url.clone(), network.clone(), Arc::clone(&event_log), jitter(), &mut tasks),
            network,
            event_log,
            hub,
            store_works,
            store_reads,
            tap: options.tap,
            shutdown,
            doors: ConnectionLimits::new(&config),
            config,
        });
        tasks.spawn(watch_for(&shared).run());
        Ok(Self { listener, local_addr, shared, stop, tasks, hub: tokio::spawn(hub_task.run()) })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The key that devices pin.
    pub fn static_key(&self) -> StaticKey {
        self.shared.settings.keys.public()
    }

    /// Serves until `shutdown` ends; then asks every device to reconnect, makes durable what it has, and lets go of address
    /// and store, so that another relay can take both over at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, local_addr, shared, stop, mut tasks, hub } = self;
        shared.event_log.record(Entry { address: Some(local_addr.ip()), ..Entry::new("serving") });
        let mut all_ended = listener::accept_until(listener, &shared, shutdown).await;
        // There are no listeners without connections.
        let _ = stop.send(true);
        // Nothing is ever sent: it ends with the last connection.
        let _ = time::timeout(SHUTDOWN_TIMEOUT, all_ended.recv()).await;
        tasks.shutdown().await;
        shared.hub.send(ToHub::Stop).await;
        if let Ok(store) = hub.await {
            // Waits for the disk, which a runtime's thread must not. It ends, or it has panicked and said so.
            let _ = tokio::task::spawn_blocking(move || drop(store)).await;
        }
        shared.event_log.record(Entry::new("stopped"));
    }
}

/// What only tests and demonstrations need.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Is shown all that devices send.
    pub tap: Option<Tap>,
    /// How the platform is reached; by default without a proxy, and trusting those whom the system trusts.
    pub network: Network,
}

fn settings(config: &Config, keys: StaticKeys) -> Settings {
    let gate = PlatformAccess {
        validate_url: config.validate_url.clone(),
        internal_key: config.internal_key.clone(),
        issuer: Some(config.token_issuer.clone()),
    };
    Settings { gate: Arc::new(gate), keys, frame_max: config.frame_max, software: SOFTWARE.to_owned() }
}

fn watch_for(shared: &Shared) -> RevocationTask {
    RevocationTask {
        url: shared.config.revocations_url.clone(),
        internal_key: shared.config.internal_key.clone(),
        network: shared.network.clone(),
        hub: shared.hub.clone(),
        event_log: Arc::clone(&shared.event_log),
        jitter: jitter(),
    }
}

fn jitter() -> JitterRng {
    let secret = fresh_entropy().derive("jitter");
    let seed = secret.expose().first_chunk().map_or(0, |seed| u64::from_be_bytes(*seed));
    JitterRng::new(seed)
}

/// The relay's static keys, from their file; made durably, with mode 0600, when there is none.
///
/// # Errors
/// [`RelayError::StaticKey`]: it cannot be read or made, others can read it, or it holds something else.
pub fn static_keys(path: &Path) -> Result<StaticKeys, RelayError> {
    let failed = |error| RelayError::StaticKey { path: path.to_owned(), error };
    let private = match files::read_private(path).map_err(failed)? {
        Some(text) => decode_key(&text).ok_or_else(|| {
            let expected = "expected 32 bytes in base64url without padding";
            failed(std::io::Error::new(std::io::ErrorKind::InvalidData, expected))
        })?,
        None => make_key(path, &fresh_entropy()).map_err(failed)?,
    };
    Ok(StaticKeys::from_private(private))
}

fn make_key(path: &Path, entropy: &Entropy) -> std::io::Result<Secret> {
    let private = entropy.derive("relay static key");
    let text = serde_json::to_string(&private).map_err(std::io::Error::other)?;
    write_private(path, format!("{}\n", text.trim_matches('"')).as_bytes())?;
    Ok(private)
}

fn decode_key(text: &str) -> Option<Secret> {
    serde_json::from_str(&format!("\"{}\"", text.trim())).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_static_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/static.key");
        let made = static_keys(&path).unwrap();
        assert_eq!(static_keys(&path).unwrap(), made);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(static_keys(&dir.path().join("other")).unwrap(), made);
    }

    #[test]
    fn a_static_key_that_is_none_or_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("static.key");
        write_private(&path, b"AAAA").unwrap();
        assert!(static_keys(&path).unwrap_err().to_string().contains("expected 32 bytes"));
        std::fs::remove_file(&path).unwrap();
        static_keys(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(static_keys(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
