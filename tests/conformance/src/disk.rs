//! BIND-4 on a disk that is full. Runs [on a small one](crate::alone::on_a_small_disk).

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use io_engine::{Home, Network};
use proto_core::{
    effect::{Effect, IoEvent, StateFile},
    secret::SecretBytes,
};

use crate::{Id, Subject, alone::disk, next};

/// What does not fit.
const TOO_MUCH: usize = 100 * 1024;

fn store<S: Subject>(subject: &mut S, id: Id, file: StateFile, contents: &[u8]) -> bool {
    subject.perform(Effect::Store(id, file, SecretBytes::new(contents)));
    match next(subject) {
        IoEvent::Stored(stored) if stored == id => true,
        IoEvent::NotStored(not_stored) if not_stored == id => false,
        other => panic!("{other:?}"),
    }
}

/// Takes what is left; `false` when there is no end to it, because only single files are limited.
fn fill(filler: &Path) -> bool {
    let mut file = File::create(filler).unwrap();
    loop {
        match file.write_all(&[0; 512]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return true,
            Err(error) if error.kind() == ErrorKind::FileTooLarge => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

fn contents(home: &Home, file: &StateFile) -> Vec<u8> {
    home.read(file).unwrap().unwrap().expose().to_vec()
}

/// What does not fit is told, the old contents stay, nothing half done is left, and everything goes on once there is room.
pub fn full<S: Subject>() {
    let disk = disk();
    let home = Home::at(disk.join("home"));
    let mut subject = S::start(Some(home.clone()), Network::default());
    assert!(store(&mut subject, "config", StateFile::Config, b"old"));
    assert!(store(&mut subject, "grants", StateFile::Grants, b"granted"));
    assert!(!store(&mut subject, "too much", StateFile::Grants, &vec![1; TOO_MUCH]));
    assert_eq!(contents(&home, &StateFile::Grants), b"granted");
    nothing_unfinished(&home);

    let filler = disk.join("filler");
    if fill(&filler) {
        assert!(!store(&mut subject, "no room at all", StateFile::Config, b"new"));
        assert_eq!(contents(&home, &StateFile::Config), b"old");
        nothing_unfinished(&home);
    }
    // In order, also around one that fails: what is removed makes room for what follows.
    let small = |contents: &[u8]| SecretBytes::new(contents);
    subject.perform(Effect::Store("fails", StateFile::Grants, small(&vec![2; TOO_MUCH])));
    subject.perform(Effect::Remove("makes room", StateFile::Grants));
    subject.perform(Effect::Store("fits", StateFile::Config, small(b"new")));
    assert_eq!(next(&mut subject), IoEvent::NotStored("fails"));
    assert_eq!(next(&mut subject), IoEvent::Stored("makes room"));
    assert_eq!(next(&mut subject), IoEvent::Stored("fits"));
    assert_eq!(contents(&home, &StateFile::Config), b"new");

    fs::remove_file(filler).unwrap();
    assert!(store(&mut subject, "room again", StateFile::Declines, b"none"));
    subject.shutdown();
    nothing_unfinished(&home);
}

fn nothing_unfinished(home: &Home) {
    let mut names = fs::read_dir(home.root()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.any(|name| name.to_string_lossy().starts_with('.')));
}
