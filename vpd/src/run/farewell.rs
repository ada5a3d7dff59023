//! After the command has ended: waits until its last records are durable, at the relay or on this machine, and says which.

use std::{convert::Infallible, io, time::Duration};

use owo_colors::OwoColorize as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    time::{self, Instant},
};

use super::{ignored, mark::SessionEnv, streamer::Ending};
use crate::{
    client::Client,
    command::{lifecycle, status::amount},
    home::Home,
};

/// So long it waits without a word.
const QUIET: Duration = Duration::from_secs(1);
/// So long it waits without any progress: the command's caller gets control back within two seconds, offline or not (F8). What the
/// relay does not take in a quarter of that is kept on this machine.
const PATIENCE: Duration = Duration::from_millis(1900);
/// So long a daemon that is not there is waited for before one is started.
const ALONE: Duration = Duration::from_millis(250);
/// So long the daemon may take to say what it kept.
const ASKED: Duration = Duration::from_millis(250);

/// Sees a session off: waits for the end of its stream, and says where what is not at the relay is.
pub(super) async fn wait_until_durable(
    home: &Home,
    mark: &SessionEnv,
    is_quiet: bool,
    ending: oneshot::Receiver<Ending>,
    bytes: watch::Receiver<usize>,
) {
    let client = Client::of(home);
    let waited = tokio::select! {
        waited = wait(ending, bytes, is_quiet) => waited,
        never = revive(&client, home) => match never {},
    };
    if let (Some(Ending::Delivered), false) = (waited, is_quiet)
        && let Some(bytes) = kept(&client, mark).await
    {
        note(&format!("{} of this session are kept here and will be delivered when the relay is reachable", amount(bytes)));
    }
}

/// Bytes of the session that lie on this machine until the relay takes them.
async fn kept(client: &Client, mark: &SessionEnv) -> Option<u64> {
    let report = time::timeout(ASKED, client.status()).await.ok()?.ok()?;
    let session = mark.session().to_string();
    report.spool.iter().find(|row| row.session == session).map(|row| row.bytes)
}

/// Without a daemon nothing can be kept: one that is gone is started again, as at the start of a session.
async fn revive(client: &Client, home: &Home) -> Infallible {
    time::sleep(ALONE).await;
    if client.connect().is_err() {
        // Without one, what is left is said to be lost.
        let _ = lifecycle::ensure_running(home).await;
    }
    std::future::pending().await
}

/// Waits for the end of the stream and says what is lost of it; unless it `is_quiet`, also that it waits. TERM, HUP and Ctrl-C end
/// the wait at once.
async fn wait(
    mut ending: oneshot::Receiver<Ending>,
    mut pending_bytes: watch::Receiver<usize>,
    is_quiet: bool,
) -> Option<Ending> {
    let mut calls = Calls::listen();
    let begun = Instant::now();
    let mut quiet_until = (!is_quiet).then_some(begun + QUIET);
    let mut latest = begun;
    let mut left = *pending_bytes.borrow();
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut ending => break ended.ok(),
            () = calls.next() => break None,
            () = fewer(&mut pending_bytes, &mut left) => latest = Instant::now(),
            () = time::sleep_until(latest + PATIENCE) => break None,
            () = until(quiet_until) => {
                quiet_until = None;
                // Without any progress the wait is over soon.
                if latest > begun {
                    let bytes = amount(*pending_bytes.borrow() as u64);
                    note(&format!("waiting until the last {bytes} are safe; Ctrl-C leaves them behind"));
                }
            }
        }
    };
    match ended {
        Some(Ending::Delivered) => {}
        Some(Ending::Stalled) => {
            note("nothing could be streamed or kept for too long; the record of this session stops where that began");
        }
        Some(Ending::Cut(reason)) => {
            note(&format!("{reason} ({}); the record stops there", reason.code()));
            note(&format!("next: {}", reason.next()));
        }
        None => {
            note(&left_behind(*pending_bytes.borrow()));
            note("next: vpd status");
        }
    }
    ended
}

/// One line that cannot be mistaken for the command's.
pub(super) fn note(text: &str) {
    anstream::eprintln!("{} {text}", "vpd:".dimmed());
}

/// The signals that end the wait; those that our parent process ignored stay ignored.
struct Calls([Option<Signal>; 3]);

impl Calls {
    fn listen() -> Self {
        let ignored = ignored::signals();
        let listen = |kind: SignalKind| -> io::Result<Option<Signal>> {
            if ignored.contains(kind.as_raw_value()) { Ok(None) } else { signal(kind).map(Some) }
        };
        // A signal that cannot be listened for ends the process, which ends the wait too.
        Self([SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| listen(kind).ok().flatten()))
    }

    async fn next(&mut self) {
        async fn one(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => _ = signal.recv().await,
                None => std::future::pending().await,
            }
        }
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            () = one(interrupt) => {}
            () = one(terminate) => {}
            () = one(hangup) => {}
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Until fewer than so many bytes are left. Once the count has gone, only the ending tells what became of the rest (F12).
async fn fewer(pending_bytes: &mut watch::Receiver<usize>, left: &mut usize) {
    while pending_bytes.changed().await.is_ok() {
        let before = std::mem::replace(left, *pending_bytes.borrow_and_update());
        if *left < before {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// What is lost, in words.
fn left_behind(bytes: usize) -> String {
    match bytes {
        0 => "nothing confirmed the end of this session".to_owned(),
        _ => format!("the last {} of this session did not reach the relay and are not kept", amount(bytes as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_ends_the_wait() {
        let (tell, ending) = oneshot::channel();
        let (_bytes, pending_bytes) = watch::channel(10);
        let begun = Instant::now();
        tokio::spawn(async move {
            time::sleep(Duration::from_millis(700)).await;
            tell.send(Ending::Delivered).unwrap();
        });
        assert_eq!(wait(ending, pending_bytes, false).await, Some(Ending::Delivered));
        assert_eq!(begun.elapsed(), Duration::from_millis(700));
    }

    /// F12: the streamer lets go of the count before it tells the ending; that is no standstill.
    #[tokio::test(start_paused = true)]
    async fn a_count_that_goes_first_is_no_alarm() {
        let (tell, ending) = oneshot::channel();
        let (bytes, pending_bytes) = watch::channel(10);
        let begun = Instant::now();
        tokio::spawn(async move {
            drop(bytes);
            time::sleep(Duration::from_millis(900)).await;
            tell.send(Ending::Delivered).unwrap();
        });
        wait(ending, pending_bytes, false).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(900));
    }

    /// F8: a standstill ends the wait within two seconds; as long as something moves, it is waited for.
    #[tokio::test(start_paused = true)]
    async fn a_standstill_ends_the_wait_and_progress_does_not() {
        let (_tell, ending) = oneshot::channel();
        let (bytes, pending_bytes) = watch::channel(10);
        let begun = Instant::now();
        tokio::spawn(async move {
            for left in (0..10).rev() {
                time::sleep(Duration::from_secs(1)).await;
                bytes.send_replace(left);
            }
            pending_forever(bytes).await;
        });
        wait(ending, pending_bytes, false).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10) + PATIENCE);
    }

    async fn pending_forever(_kept: watch::Sender<usize>) {
        std::future::pending::<()>().await;
    }

    #[test]
    fn an_end_without_a_loss_reports_no_loss() {
        assert!(!left_behind(0).contains("0 bytes"));
    }
}
