//! State files: one after the other, away from the threads that serve sockets.

use std::sync::Arc;

use io_engine::{FileJob, Home};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::reports::Reports;

/// Carries out the jobs in order until there will be no more of them. Without a home none of them succeeds.
pub(crate) async fn work<I>(home: Option<Home>, mut jobs: mpsc::UnboundedReceiver<(I, FileJob)>, reports: Reports<I>) {
    let home = Arc::new(home);
    while let Some((id, job)) = jobs.recv().await {
        let home = Arc::clone(&home);
        let failed = job.failed(());
        let io_event = spawn_blocking(move || job.carry_out((), (*home).as_ref())).await.unwrap_or(failed);
        // After a shutdown, which waits for the rest of the jobs, the receiver is gone.
        let _ = reports.tell(io_event.with_id(id)).await;
    }
}
