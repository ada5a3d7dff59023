//! Callers that wait for a change: held polls wake the moment something changes (D3, D13).

use proto_core::api::CodeText;
use tokio::sync::{Semaphore, SemaphorePermit, broadcast, watch};

/// How many polls may be held open at once; further ones are answered at once.
const SEATS: usize = 4096;

/// What happened, for those who are waiting right now. The database is authoritative: a waiter looks before and after.
#[derive(Debug)]
pub(crate) struct LongPolls {
    decided: broadcast::Sender<CodeText>,
    revoked: watch::Sender<()>,
    closing: watch::Sender<bool>,
    seats: Semaphore,
}

impl LongPolls {
    pub(crate) fn new() -> Self {
        Self {
            decided: broadcast::Sender::new(64),
            revoked: watch::Sender::new(()),
            closing: watch::Sender::new(false),
            seats: Semaphore::new(SEATS),
        }
    }

    /// The right to hold an answer back.
    pub(crate) fn seat(&self) -> Option<SemaphorePermit<'_>> {
        self.seats.try_acquire().ok()
    }

    /// A code was decided.
    pub(crate) fn code_decided(&self, code: CodeText) {
        // There may be no waiting task.
        let _ = self.decided.send(code);
    }

    /// From now on, decisions about `code`.
    pub(crate) fn decisions_about(&self, code: CodeText) -> Decision {
        Decision { code, decided: self.decided.subscribe() }
    }

    /// A machine was revoked, or an organization deleted.
    pub(crate) fn something_revoked(&self) {
        self.revoked.send_replace(());
    }

    /// From now on, revocations.
    pub(crate) fn revocations(&self) -> watch::Receiver<()> {
        self.revoked.subscribe()
    }

    /// The server stops: held polls are answered.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns when the server stops.
    pub(crate) async fn closing(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

/// Waits for one code's decision.
#[derive(Debug)]
pub(crate) struct Decision {
    code: CodeText,
    decided: broadcast::Receiver<CodeText>,
}

impl Decision {
    /// Returns when the code was decided since this was made, or may have been.
    pub(crate) async fn made(&mut self) {
        while let Ok(code) = self.decided.recv().await {
            if code == self.code {
                return;
            }
        }
    }
}
