//! [`Effect::Store`] and [`Effect::Remove`]: in order, private, and durable when they are told.

use std::{fs, os::unix::fs::PermissionsExt};

use io_engine::{Home, Network};
use proto_core::{
    effect::{Effect, IoEvent, StateFile},
    secret::SecretBytes,
};

use crate::{Subject, next, subject};

fn store(id: crate::Id, file: StateFile, contents: &[u8]) -> Effect<crate::Id> {
    Effect::Store(id, file, SecretBytes::new(contents))
}

/// BIND-9: what is asked for is done in that order; files are 0600 and folders 0700.
pub fn stored_in_order_with_modes<S: Subject>() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut subject = S::start(Some(home.clone()), Network::default());
    subject.perform(store("first", StateFile::Config, b"one"));
    subject.perform(Effect::Remove("second", StateFile::Config));
    subject.perform(store("third", StateFile::Config, b"three"));
    for id in ["first", "second", "third"] {
        assert_eq!(next(&mut subject), IoEvent::Stored(id));
    }
    assert_eq!(home.read(&StateFile::Config).unwrap(), Some(SecretBytes::new(*b"three")));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(home.root()), mode(&home.path_of(&StateFile::Config))), (0o700, 0o600));
    (0..20_u8).for_each(|at| subject.perform(store("last", StateFile::Config, &[at])));
    subject.shutdown();
    assert_eq!(home.read(&StateFile::Config).unwrap(), Some(SecretBytes::new([19])));
}

/// BIND-4: a write that fails is told, and leaves nothing half done. What cannot be replaced stands in for a full disk.
pub fn old_contents_survive_a_failure<S: Subject>() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut subject = S::start(Some(home.clone()), Network::default());
    subject.perform(store("config", StateFile::Config, b"old"));
    assert_eq!(next(&mut subject), IoEvent::Stored("config"));
    fs::create_dir(home.path_of(&StateFile::Grants)).unwrap();
    subject.perform(store("grants", StateFile::Grants, b"new"));
    assert_eq!(next(&mut subject), IoEvent::NotStored("grants"));
    let unfinished = fs::read_dir(home.root()).unwrap().flatten();
    assert!(!unfinished.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(".unfinished")));
    assert_eq!(home.read(&StateFile::Config).unwrap(), Some(SecretBytes::new(*b"old")));
}

/// Without a home nothing is stored.
pub fn nothing_without_a_home<S: Subject>() {
    let mut subject = subject::<S>();
    subject.perform(store("config", StateFile::Config, b"lost"));
    assert_eq!(next(&mut subject), IoEvent::NotStored("config"));
}
