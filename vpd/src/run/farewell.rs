//! After the command has ended: waits until its last records are durable, as long as they move.

use std::{io, time::Duration};

use owo_colors::OwoColorize as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    time::{self, Instant},
};

use super::{ignored, streamer::Ending};

/// So long it waits without a word.
const QUIET: Duration = Duration::from_secs(1);
/// So long it waits without any progress: whoever called the command gets it back within two seconds, offline or not (F8).
const PATIENCE: Duration = Duration::from_millis(1500);

/// Waits for the end of the stream and says what there is to say about it. TERM, HUP and Ctrl-C end the wait at once.
pub(super) async fn wait(mut ending: oneshot::Receiver<Ending>, mut pending_bytes: watch::Receiver<usize>) {
    let mut calls = Calls::listen();
    let begun = Instant::now();
    let mut quiet_until = Some(begun + QUIET);
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
                    let bytes = amount(*pending_bytes.borrow());
                    note(&format!("waiting until the last {bytes} are safe at the relay; Ctrl-C leaves them behind"));
                }
            }
        }
    };
    match ended {
        Some(Ending::Delivered) => {}
        Some(Ending::Stalled) => note("the relay took nothing for too long; the record of this session stops where that began"),
        Some(Ending::Cut(reason)) => {
            note(&format!("{reason} ({}); the record stops there", reason.code()));
            note(&format!("next: {}", reason.next()));
        }
        None => {
            note(&left_behind(*pending_bytes.borrow()));
            note("next: vpd status");
        }
    }
}

/// One line that cannot be mistaken for the command's.
pub(super) fn note(text: &str) {
    anstream::eprintln!("{} {text}", "vpd:".dimmed());
}

/// The signals that end the wait; those that whoever started us had ignored stay so.
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
        0 => "the relay did not confirm the end of this session".to_owned(),
        _ => format!("the last {} of this session did not reach the relay and are not kept", amount(bytes)),
    }
}

fn amount(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
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
        wait(ending, pending_bytes).await;
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
        wait(ending, pending_bytes).await;
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
        wait(ending, pending_bytes).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10) + PATIENCE);
    }

    async fn pending_forever(_kept: watch::Sender<usize>) {
        std::future::pending::<()>().await;
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!([amount(999), amount(1_500), amount(2_000_000)], ["999 bytes", "1 kB", "2 MB"]);
        assert!(!left_behind(0).contains("0 bytes"));
    }
}
