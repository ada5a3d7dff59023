//! What was promised, and whether it held.

use std::{io, path::Path};

use super::{scan::Needles, sides, tap::Seen};

/// Everything that was seen, on all sides.
#[derive(Debug)]
pub(super) struct Evidence {
    /// What the local terminal showed.
    pub(super) local: Vec<u8>,
    /// What the remote viewer saw.
    pub(super) remote: Vec<u8>,
    /// What went over the platform's line and the relay's.
    pub(super) seen: [Seen; 2],
    /// Texts that only the two ends may know.
    pub(super) secrets: Vec<String>,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) held: bool,
    pub(super) text: String,
}

impl Evidence {
    /// Both screens.
    pub(super) fn screens(&self) -> String {
        let heading = |name: &str, screen: &[u8]| format!("{name} ({} bytes)", screen.len());
        let headings = [heading("local terminal", &self.local), heading("remote viewer", &self.remote)];
        sides::render([&headings[0], &headings[1]], [&self.local, &self.remote])
    }

    /// Judges every promise; `stored` is what platform and relay keep.
    pub(super) fn judge(&self, stored: &Path) -> io::Result<Vec<Finding>> {
        Ok(vec![self.is_equal(), self.passed_the_relay(), self.stayed_secret(stored)?])
    }

    fn is_equal(&self) -> Finding {
        let common = self.local.iter().zip(&self.remote).take_while(|(local, remote)| local == remote).count();
        let held = self.local == self.remote && !self.local.is_empty();
        let text = match (held, self.local.is_empty()) {
            (true, _) => format!("byte for byte equal: {} bytes", self.local.len()),
            (_, true) => "the command showed nothing at all".to_owned(),
            _ => format!("the two differ from byte {common} on"),
        };
        Finding { held, text }
    }

    fn passed_the_relay(&self) -> Finding {
        let [_, Seen { messages, message_bytes, .. }] = &self.seen;
        let text = format!("the relay received {messages} messages, {message_bytes} bytes of ciphertext");
        Finding { held: *message_bytes >= self.local.len() && *messages > 0, text }
    }

    fn stayed_secret(&self, stored: &Path) -> io::Result<Finding> {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let needles = Needles::of(&secrets, &self.local);
        let lines = self.seen.iter().flat_map(|seen| [seen.received.concat(), seen.sent.concat()]).collect::<Vec<_>>();
        let bytes: usize = lines.iter().map(Vec::len).sum();
        let found = lines.iter().any(|line| needles.found_in(line)) || needles.found_below(stored)?;
        let text = if found {
            "plaintext of the session was found at the relay or the platform".to_owned()
        } else {
            format!("nothing of it in {bytes} bytes that relay and platform received and sent, nor in their files")
        };
        Ok(Finding { held: !found && !needles.is_empty(), text })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn evidence() -> Evidence {
        let relay = Seen { received: vec![Bytes::from_static(&[0xa5; 64])], messages: 2, message_bytes: 64, ..Seen::default() };
        let screen = b"the plan: canary-0123456789\r\n".to_vec();
        Evidence {
            local: screen.clone(),
            remote: screen,
            seen: [Seen::default(), relay],
            secrets: vec!["canary-0123456789".into()],
        }
    }

    fn held(evidence: &Evidence) -> Vec<bool> {
        let stored = tempfile::tempdir().unwrap();
        evidence.judge(stored.path()).unwrap().into_iter().map(|finding| finding.held).collect()
    }

    #[test]
    fn a_demonstration_that_went_well_is_one() {
        assert_eq!(held(&evidence()), [true, true, true]);
    }

    /// META-1: each promise is broken by what breaks it, and by that alone.
    #[test]
    fn every_promise_can_be_broken() {
        let lost = Evidence { remote: b"the plan: canary".to_vec(), ..evidence() };
        assert_eq!(held(&lost), [false, true, true]);
        let doubled = Evidence { remote: evidence().local.repeat(2), ..evidence() };
        assert_eq!(held(&doubled), [false, true, true]);
        let bypassed = Evidence { seen: [Seen::default(), Seen::default()], ..evidence() };
        assert_eq!(held(&bypassed), [true, false, true]);
        for side in [0, 1] {
            let mut leaked = evidence();
            leaked.seen[side].received.extend([Bytes::from_static(b"..canary-012"), Bytes::from_static(b"3456789..")]);
            assert_eq!(held(&leaked), [true, true, false]);
        }
        let stored = tempfile::tempdir().unwrap();
        std::fs::write(stored.path().join("records"), "canary-0123456789").unwrap();
        assert!(!evidence().judge(stored.path()).unwrap()[2].held);
    }
}
