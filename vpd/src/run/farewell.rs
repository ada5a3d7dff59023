//! After the command has ended: waits until its last records are durable, as long as the person and the network want.

use std::time::Duration;

use owo_colors::OwoColorize as _;
use tokio::{
    signal,
    sync::{oneshot, watch},
    time,
};

use super::streamer::Ending;

/// So long it waits without a word.
const QUIET: Duration = Duration::from_secs(1);
/// So long it waits without any progress, for scripts have nobody to press Ctrl-C.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for the end of the stream and says what there is to say about it.
pub(super) async fn wait(mut ending: oneshot::Receiver<Ending>, pending_bytes: watch::Receiver<usize>) {
    let ended = tokio::select! {
        ended = &mut ending => ended.ok(),
        () = time::sleep(QUIET) => {
            let bytes = *pending_bytes.borrow();
            note(&format!("waiting until the last {} are safe at the relay; Ctrl-C leaves them behind", amount(bytes)));
            tokio::select! {
                ended = ending => ended.ok(),
                () = standstill(pending_bytes.clone()) => None,
                _ = signal::ctrl_c() => None,
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
        None => note(&format!("the last {} did not reach the relay", amount(*pending_bytes.borrow()))),
    }
}

/// One line that cannot be mistaken for the command's.
pub(super) fn note(text: &str) {
    anstream::eprintln!("{} {text}", "vpd:".dimmed());
}

/// Ends when nothing became durable for too long.
async fn standstill(mut pending_bytes: watch::Receiver<usize>) {
    while let Ok(Ok(())) = time::timeout(PATIENCE, pending_bytes.changed()).await {}
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
        let begun = time::Instant::now();
        tokio::spawn(async move {
            time::sleep(Duration::from_secs(5)).await;
            tell.send(Ending::Delivered).unwrap();
        });
        wait(ending, pending_bytes).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    /// A script ends although nobody presses Ctrl-C; as long as something moves, it is waited for.
    #[tokio::test(start_paused = true)]
    async fn a_standstill_ends_the_wait_and_progress_does_not() {
        let (_tell, ending) = oneshot::channel();
        let (bytes, pending_bytes) = watch::channel(10);
        let begun = time::Instant::now();
        tokio::spawn(async move {
            for left in (0..10).rev() {
                time::sleep(Duration::from_secs(50)).await;
                bytes.send_replace(left);
            }
            pending_forever(bytes).await;
        });
        wait(ending, pending_bytes).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(500) + PATIENCE);
    }

    async fn pending_forever(_kept: watch::Sender<usize>) {
        std::future::pending::<()>().await;
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!([amount(999), amount(1_500), amount(2_000_000)], ["999 bytes", "1 kB", "2 MB"]);
    }
}
