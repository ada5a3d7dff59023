//! State files: one after the other, away from the threads that serve sockets.

use std::sync::Arc;

use io_engine::{FileError, Home};
use proto_core::{
    effect::{Happening, StateFile},
    secret::SecretBytes,
};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::adapter::Reports;

#[derive(Debug)]
pub(crate) enum FileJob {
    Store(StateFile, SecretBytes),
    Remove(StateFile),
}

/// Carries out the jobs in order until there will be no more of them. Without a home none of them succeeds.
pub(crate) async fn work<I>(home: Option<Home>, mut jobs: mpsc::UnboundedReceiver<(I, FileJob)>, reports: Reports<I>) {
    let home = home.map(Arc::new);
    while let Some((id, job)) = jobs.recv().await {
        let durable = match home.clone() {
            Some(home) => spawn_blocking(move || carry_out(&home, &job)).await.unwrap_or(false),
            None => false,
        };
        // Nobody listens any more after a shutdown, which waits for the rest of the jobs.
        let _ = reports.tell(if durable { Happening::Stored(id) } else { Happening::NotStored(id) }).await;
    }
}

fn carry_out(home: &Home, job: &FileJob) -> bool {
    let done = match job {
        FileJob::Store(file, contents) => home.store(file, contents),
        FileJob::Remove(file) => home.remove(file),
    };
    done.inspect_err(report).is_ok()
}

fn report(error: &FileError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "a state file is not durable");
}
