//! A disk on which a crash may fall anywhere, and what the adapter's way of writing leaves of it.

use std::collections::BTreeMap;

use proto_core::effect::{Effect, StateFile};

/// Files by name, and the one change that is under way. A change is a temporary file, its fsync, a rename and the fsync of the
/// folder; until the rename nothing shows (a torn temporary file has another name), from then on until the last fsync a crash
/// leaves the old contents or the new ones, and after that it is acknowledged.
#[derive(Clone, Debug, Default, Hash)]
pub struct Disk {
    files: BTreeMap<StateFile, Vec<u8>>,
    under_way: Option<Change>,
}

#[derive(Clone, Debug, Hash)]
struct Change {
    file: StateFile,
    contents: Option<Vec<u8>>,
    is_renamed: bool,
}

/// What a crash leaves of the change under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// The old contents: nothing of it, or a temporary file, whole or torn.
    Old,
    /// The new ones.
    New,
}

impl Disk {
    /// Takes over a store or a removal. False when another change is under way: a machine asks for one at a time.
    #[must_use]
    pub fn take<I>(&mut self, effect: &Effect<I>) -> bool {
        let (file, contents) = match effect {
            Effect::Store(_, file, contents) => (file.clone(), Some(contents.expose().to_vec())),
            Effect::Remove(_, file) => (file.clone(), None),
            _ => return true,
        };
        let is_free = self.under_way.is_none();
        self.under_way = Some(Change { file, contents, is_renamed: false });
        is_free
    }

    /// Whether a change is under way.
    pub const fn is_writing(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether it can still fail: before the rename.
    pub fn may_fail(&self) -> bool {
        self.under_way.as_ref().is_some_and(|change| !change.is_renamed)
    }

    /// The adapter gets to the rename.
    pub fn rename(&mut self) {
        if let Some(change) = &mut self.under_way {
            change.is_renamed = true;
        }
    }

    /// All is durable: to be acknowledged.
    pub fn finish(&mut self) {
        self.end(Left::New);
    }

    /// The change failed before the rename.
    pub fn fail(&mut self) {
        self.end(Left::Old);
    }

    /// What a crash may leave.
    pub fn crashes(&self) -> Vec<Left> {
        match &self.under_way {
            Some(change) if change.is_renamed => vec![Left::Old, Left::New],
            _ => vec![Left::Old],
        }
    }

    /// A crash.
    pub fn crash(&mut self, left: Left) {
        self.end(left);
    }

    fn end(&mut self, left: Left) {
        let Some(change) = self.under_way.take().filter(|_| left == Left::New) else { return };
        match change.contents {
            Some(contents) => drop(self.files.insert(change.file, contents)),
            None => drop(self.files.remove(&change.file)),
        }
    }

    /// The contents of a file.
    pub fn read(&self, file: &StateFile) -> Option<&[u8]> {
        self.files.get(file).map(Vec::as_slice)
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = (&StateFile, &[u8])> {
        self.files.iter().map(|(file, contents)| (file, contents.as_slice()))
    }
}
