//! Whether the platform can do its work: whether its database takes a write.

use std::time::Duration;

use proto_core::UnixTime;
use tokio::{sync::Mutex, time::timeout};

use crate::app::App;

/// For how many seconds an answer is repeated: callers who are not signed in make the disk work no more often than this.
const REPEATED: u64 = 5;

/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The latest answer.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<(UnixTime, bool)>>);

/// Whether the database takes a write.
pub(crate) async fn is_healthy(app: &App) -> bool {
    let now = app.clock.now();
    let mut latest = app.health.0.lock().await;
    if let Some((at, was)) = *latest
        && now >= at
        && now.since(at) < REPEATED
    {
        return was;
    }
    let is = match timeout(PATIENCE, app.store.probe(now)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "database write probe failed");
            false
        }
        Err(_) => {
            tracing::error!("database write probe failed within {PATIENCE:?}");
            false
        }
    };
    *latest = Some((now, is));
    is
}
