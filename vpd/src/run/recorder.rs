//! Where copies of a session go: to the streamer, while there is one.

use proto_core::wire::Content;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Pieces that wait for the streamer; when they are that many, the terminal is slowed down.
pub(super) const QUEUE: usize = 64;

/// The entrance to the record.
#[derive(Clone, Debug)]
pub(super) struct Recorder(Option<mpsc::Sender<Content>>);

impl Recorder {
    /// Nothing leaves this machine.
    pub(super) const fn local_only() -> Self {
        Self(None)
    }

    /// A recorder and where its content arrives.
    pub(super) fn streaming() -> (Self, mpsc::Receiver<Content>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(Some(sender)), receiver)
    }

    /// Whether anything is recorded.
    pub(super) const fn records(&self) -> bool {
        self.0.is_some()
    }

    /// Records one piece; gives it back when the stream has no room. Once streaming has ended, nothing happens.
    pub(super) fn offer(&self, content: Content) -> Result<(), Content> {
        match self.0.as_ref().map(|sender| sender.try_send(content)) {
            Some(Err(TrySendError::Full(content))) => Err(content),
            None | Some(Ok(()) | Err(TrySendError::Closed(_))) => Ok(()),
        }
    }

    /// Records one piece; waits while the stream has no room. Once streaming has ended, nothing happens.
    pub(super) async fn record(&self, content: Content) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(content).await;
        }
    }
}
