//! Asks the daemon, once and before the command starts, whether this session streams. Whatever goes wrong here, the command
//! runs.

use std::{
    env,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use proto_core::{Reason, wire::Title};

use super::{attachment::Attachment, terminal};
use crate::{
    client::Client,
    command::lifecycle,
    control::{Attach, Attached},
    failure::Failure,
    home::{self, Home},
};

/// What was decided.
pub(super) enum Consent {
    /// The session streams over this attachment.
    Streams(Box<Attachment>, Attached),
    /// Nothing leaves this machine; why, where there is something to say.
    LocalOnly(Option<Failure>),
}

/// Asks. A daemon that does not run is started only where a directory looks bound.
pub(super) async fn ask(home: &Home, directory: &Path, title: &Title) -> Consent {
    let client = Client::of(home);
    let Some(text) = directory.to_str() else { return Consent::LocalOnly(None) };
    let attach = Attach::Start { directory: text.to_owned(), title: title.clone() };
    let mut answer = Attachment::ask(&client, &attach).await;
    if answer.as_ref().is_err_and(|failure| failure.reason == Reason::DaemonNotRunning) {
        if !looks_bound(directory) {
            return Consent::LocalOnly(None);
        }
        answer = match lifecycle::ensure_running(home).await {
            Ok(()) => Attachment::ask(&client, &attach).await,
            Err(failure) => Err(failure),
        };
    }
    match answer {
        Ok((attachment, attached @ Attached::Streaming { .. })) => Consent::Streams(Box::new(attachment), attached),
        Ok((_, Attached::LocalOnly { reason })) => Consent::LocalOnly(reason.map(Failure::from)),
        Err(failure) => Consent::LocalOnly(Some(failure)),
    }
}

/// What runs where, as the record tells it.
pub(super) fn title(command: &[std::ffi::OsString], directory: &Path) -> Title {
    let (columns, rows) = terminal::size();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let words = command.iter().map(|word| quoted(&word.to_string_lossy()));
    Title { command: words.collect::<Vec<_>>().join(" "), directory: home::shorten(directory), started, columns, rows }
}

/// The directory that we are in.
pub(super) fn directory() -> Option<PathBuf> {
    env::current_dir().ok()
}

/// Whether this directory was bound, or one above it; only the daemon knows whether that counts.
fn looks_bound(directory: &Path) -> bool {
    directory.ancestors().any(|above| above.join(".viewport/local.yaml").exists())
}

/// A word as it would have to be typed into a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_title_can_be_typed_again() {
        let command = ["sh", "-c", "echo 'it is' $HOME", ""].map(Into::into);
        let title = title(&command, Path::new("/srv/api"));
        assert_eq!(title.command, r"sh -c 'echo '\''it is'\'' $HOME' ''");
        assert_eq!(title.directory, "/srv/api");
    }

    /// S92: the nearest file upward.
    #[test]
    fn a_binding_is_looked_for_upward() {
        let place = tempfile::tempdir().unwrap();
        let below = place.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        assert!(!looks_bound(&below));
        fs::create_dir(place.path().join(".viewport")).unwrap();
        fs::write(place.path().join(".viewport/local.yaml"), "").unwrap();
        assert!(looks_bound(&below));
    }
}
