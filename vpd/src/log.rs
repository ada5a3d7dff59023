//! The daemon's log: lines of text in `logs/`, see [`files`].
//!
//! A log that cannot be written must never stop what it tells of: a line that does not fit on the disk is dropped and counted, and the
//! count is written as soon as there is room again.

mod files;

use std::{
    io::{self, Write},
    panic,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use self::files::Rotating;
pub(crate) use self::files::{LogFile, list};
use crate::home::Home;

/// From now on everything that is traced goes to the log of `home`; `VPD_LOG` says how much, as in `VPD_LOG=debug`.
pub(crate) fn to_files(home: &Home) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_ansi(false)
        .with_target(false)
        .with_writer(Log(Mutex::new(Rotating::in_folder(home.logs()))))
        // Its own errors would go to the standard error, which lies on the same disk.
        .log_internal_errors(false)
        .try_init()
        .map_err(anyhow::Error::msg)?;
    trace_panics();
    Ok(())
}

/// The same on the standard error, for a daemon in the foreground.
pub(crate) fn to_stderr() -> anyhow::Result<()> {
    let ansi = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter()).with_ansi(ansi).with_target(false).with_writer(io::stderr);
    subscriber.log_internal_errors(false).try_init().map_err(anyhow::Error::msg)
}

/// When a line was written; lines that continue another one have no stamp.
pub(crate) fn stamp(line: &[u8]) -> Option<Timestamp> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    std::str::from_utf8(&line[..end]).ok()?.parse().ok()
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("VPD_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}

fn trace_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tracing::error!("panicked: {info}");
        before(info);
    }));
}

/// The files, one line at a time.
struct Log(Mutex<Rotating>);

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        // Nothing panics while it holds the lock; were it otherwise, the files would be as good as before.
        Line(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The turn of one line.
struct Line<'a>(MutexGuard<'a, Rotating>);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line, Timestamp::now());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_their_time() {
        let line = b"2026-11-21T02:59:00.123456Z  INFO vpd: pairing: code shown";
        assert_eq!(stamp(line), Some("2026-11-21T02:59:00.123456Z".parse().unwrap()));
        assert_eq!(stamp(b"  at vpd/src/main.rs"), None);
        assert_eq!(stamp(b""), None);
    }
}
