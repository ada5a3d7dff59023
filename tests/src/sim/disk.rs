//! A disk: what of a write is there after what.

use std::{collections::BTreeMap, time::Duration};

use proto_core::{Instant, effect::StateFile, secret::SecretBytes};

use super::{dice::Dice, fault::Fault};

type Files = BTreeMap<StateFile, SecretBytes>;

/// How a disk is at the moment.
#[derive(Debug, Default)]
pub struct Disk {
    /// When what was begun is done.
    pub(super) free_at: Instant,
    /// What is wrong with it, and until when.
    trouble: Option<(Fault, Instant)>,
    /// What writes said to be durable have replaced, and what is not: in the order of the writes.
    unsafe_writes: Vec<(StateFile, Option<SecretBytes>)>,
    /// The version of each file before its last change.
    earlier: Files,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is durable.
    Done,
    /// It fails, and the old contents are intact.
    Failed(Fault),
    /// The power goes, and it is as if it had not begun.
    PowerGoes,
}

impl Disk {
    /// Something is wrong with it from now on.
    pub(super) fn upset(&mut self, fault: Fault, until: Instant) {
        self.trouble = Some((fault, until));
    }

    /// It is in order again, and what it said to be durable is.
    pub(super) fn heal(&mut self) {
        self.trouble = None;
        self.unsafe_writes.clear();
    }

    pub(super) fn fault(&self, now: Instant) -> Option<Fault> {
        self.trouble.filter(|(_, until)| now < *until).map(|(fault, _)| fault)
    }

    /// What becomes of a write or a removal now.
    pub(super) fn fate(&mut self, now: Instant) -> Fate {
        match self.fault(now) {
            Some(fault @ (Fault::NoSpace | Fault::Io | Fault::Permissions)) => Fate::Failed(fault),
            Some(Fault::TornWrite) => {
                self.trouble = None;
                Fate::PowerGoes
            }
            _ => Fate::Done,
        }
    }

    /// A file is about to be replaced or removed, and the disk is going to say that it is done.
    pub(super) fn replaces(&mut self, now: Instant, files: &Files, file: &StateFile) {
        let old = files.get(file).cloned();
        if matches!(self.fault(now), Some(Fault::LostFsync | Fault::LostRename)) {
            self.unsafe_writes.push((file.clone(), old.clone()));
        }
        if let Some(old) = old {
            self.earlier.insert(file.clone(), old);
        }
    }

    /// Whether it says to be durable what is not.
    pub(super) fn lies(&self) -> bool {
        matches!(self.trouble, Some((Fault::LostFsync | Fault::LostRename, _)))
    }

    /// The power goes. Whether anything is lost that was said to be durable.
    pub(super) fn lose(&mut self, files: &mut Files) -> Option<Fault> {
        let fault = self.trouble.map(|(fault, _)| fault);
        let lost = match fault {
            // Only the last rename is not in the directory yet.
            Some(Fault::LostRename) => self.unsafe_writes.pop().into_iter().collect(),
            _ => std::mem::take(&mut self.unsafe_writes),
        };
        self.unsafe_writes.clear();
        let changes = lost.len();
        for (file, old) in lost.into_iter().rev() {
            match old {
                Some(old) => drop(files.insert(file, old)),
                None => drop(files.remove(&file)),
            }
        }
        // The tear that the power went at may have come after the lie.
        (changes > 0).then(|| fault.unwrap_or(Fault::LostFsync))
    }

    /// One file is read as it was before its last change.
    pub(super) fn go_back(&self, files: &mut Files, dice: &mut Dice) -> bool {
        let stale: Vec<_> = self.earlier.iter().filter(|(file, old)| files.get(file).is_some_and(|new| new != *old)).collect();
        if stale.is_empty() {
            return false;
        }
        let (file, old) = stale[dice.index(stale.len())];
        files.insert(file.clone(), old.clone());
        true
    }

    /// A bit of some file changes.
    pub(super) fn rot(files: &mut Files, dice: &mut Dice) -> bool {
        let long: Vec<_> = files.iter_mut().filter(|(_, bytes)| !bytes.expose().is_empty()).collect();
        if long.is_empty() {
            return false;
        }
        let which = dice.index(long.len());
        let Some((_, bytes)) = long.into_iter().nth(which) else { return false };
        let mut rotten = bytes.expose().to_vec();
        let at = dice.index(rotten.len());
        rotten[at] ^= 1 << dice.below(8);
        *bytes = SecretBytes::new(rotten);
        true
    }
}

/// How long a write takes.
pub(super) fn latency(dice: &mut Dice) -> Duration {
    dice.time(Duration::from_micros(200), Duration::from_millis(15))
}
