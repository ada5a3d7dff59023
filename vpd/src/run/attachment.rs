//! The connection between a command's wrapper and the daemon: frames over a WebSocket on the daemon's socket.

use std::time::Duration;

use bytes::Bytes;
use io_tokio::{ClientSocket, connect_over};
use proto_core::{
    Reason,
    effect::{Connect, IoEvent},
    wire::{Frame, MAX_FRAME_DEFAULT},
};
use tokio::{net::UnixStream, time};

use crate::{
    client::Client,
    control::{Attach, Attached},
    failure::Failure,
};

/// How long the daemon may take to say whether a session streams.
const PATIENCE: Duration = Duration::from_secs(3);

/// An attached session.
#[derive(Debug)]
pub(super) struct Attachment(ClientSocket<UnixStream>);

impl Attachment {
    /// Asks the daemon what becomes of a session.
    ///
    /// # Errors
    /// When there is no daemon, or none that understands the question.
    pub(super) async fn ask(client: &Client, attach: &Attach) -> Result<(Self, Attached), Failure> {
        let exchange = async {
            let connect = Connect { url: "ws://vpd/v1/attach".into(), timeout: PATIENCE, max_message: MAX_FRAME_DEFAULT };
            let (mut socket, _) = connect_over(client.connect()?, &connect).await.map_err(|_| refused())?;
            let question = serde_json::to_vec(attach).map_err(|error| Failure::about(Reason::PeerError, error))?;
            socket.send(question.into());
            let answer = next_message(&mut socket).await.ok_or_else(refused)?;
            let answer = serde_json::from_slice(&answer).map_err(|error| Failure::about(Reason::PeerError, error))?;
            Ok((Self(socket), answer))
        };
        time::timeout(PATIENCE, exchange).await.map_err(|_| refused())?
    }

    /// Hands a frame to the daemon; [`Attachment::next`] carries it there.
    pub(super) fn send(&mut self, frame: &Frame) {
        self.0.send(frame.encode().into());
    }

    /// The next frame of the daemon; `None` once it is gone. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let message = next_message(&mut self.0).await?;
        // Something that is no frame comes from a daemon that is not ours any more.
        Frame::decode(&message).ok()
    }
}

async fn next_message(socket: &mut ClientSocket<UnixStream>) -> Option<Bytes> {
    loop {
        match socket.next().await {
            IoEvent::Received((), message) => return Some(message),
            IoEvent::Closed(..) => return None,
            _ => {}
        }
    }
}

fn refused() -> Failure {
    Failure::about(Reason::DaemonNotRunning, "it does not take the session")
}
