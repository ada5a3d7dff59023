//! The way from the hub to one connection: empty, it holds no memory; how full it gets is bounded by the hub's windows.

use std::{
    mem,
    sync::{Mutex, PoisonError},
};

use proto_core::relay::connection::Input;
use tokio::sync::Notify;

/// What the hub has for a connection that has not fetched it.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    messages: Mutex<Vec<Input>>,
    /// Wakes the connection, once for many letters.
    arrived: Notify,
}

impl Mailbox {
    /// Leaves a letter. [`Mailbox::ring`] must follow.
    pub(crate) fn put(&self, message: Input) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    /// Wakes the connection.
    pub(crate) fn ring(&self) {
        self.arrived.notify_one();
    }

    /// Waits for letters and takes them all, perhaps none. Safe to cancel.
    pub(crate) async fn fetch(&self) -> Vec<Input> {
        self.arrived.notified().await;
        mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
