//! State files: one after the other, away from the threads that serve sockets.

use std::sync::Arc;

use async_std::{channel::Receiver, task::spawn_blocking};
use futures_util::stream::{self, Stream};
use io_engine::{FileJob, Home};
use proto_core::effect::IoEvent;

/// Carries out the jobs in order until there will be no more of them. Without a home none of them succeeds.
pub(crate) fn work<I>(home: Option<Home>, jobs: Receiver<(I, FileJob)>) -> impl Stream<Item = IoEvent<I>> {
    stream::unfold((Arc::new(home), jobs), async |(home, jobs)| {
        let (id, job) = jobs.recv().await.ok()?;
        let shared = Arc::clone(&home);
        let io_event = spawn_blocking(move || job.carry_out((), (*shared).as_ref())).await;
        Some((io_event.with_id(id), (home, jobs)))
    })
}
