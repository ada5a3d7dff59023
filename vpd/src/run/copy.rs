//! Carries what the command shows to the person first, then to the record.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use proto_core::wire::Content;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::watch,
    time,
};

use super::recorder::Recorder;

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// Once the command has ended: so much silence says that only somebody it left behind still holds its terminal.
const SILENCE: Duration = Duration::from_millis(100);

/// Copies `from` to `to` and to the record, until `from` ends, or falls silent after the command `ended`.
///
/// # Errors
/// When `to` takes no more.
pub(super) async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    recorder: Recorder,
    mut ended: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let chunk = read_chunk(&mut from, &mut buffer, &mut ended).await;
        if chunk.is_empty() {
            return Ok(());
        }
        to.write_all(&chunk).await?;
        to.flush().await?;
        recorder.record(Content::Output(chunk)).await;
    }
}

/// The next bytes; empty at the end.
async fn read_chunk(from: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, ended: &mut watch::Receiver<bool>) -> Bytes {
    buffer.reserve(CHUNK);
    let over = async {
        // An error says that nobody waits for the command any more, which comes to the same.
        let _ = ended.wait_for(|ended| *ended).await.is_ok();
    };
    let read = tokio::select! {
        biased;
        read = from.read_buf(buffer) => read,
        () = over => time::timeout(SILENCE, from.read_buf(buffer)).await.unwrap_or(Ok(0)),
    };
    // A terminal ends with EIO when nobody holds its other side any more.
    if read.is_err() {
        buffer.clear();
    }
    buffer.split().freeze()
}
