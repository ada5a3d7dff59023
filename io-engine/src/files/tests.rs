use std::os::unix::fs::symlink;

use super::*;

const PENDING: StateFile = StateFile::PendingPairing;

fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    (folder, home)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn identity() -> StateFile {
    StateFile::Identity("ACME".parse().unwrap(), 0)
}

/// BIND-9: files 0600, folders 0700; and what is stored is what is read.
#[test]
fn stored_files_come_back_and_are_private() {
    let (_folder, home) = home();
    assert_eq!(home.read(&identity()).unwrap(), None);
    for contents in [&b"one"[..], b"", b"two"] {
        home.store(&identity(), &SecretBytes::new(contents)).unwrap();
        assert_eq!(home.read(&identity()).unwrap(), Some(SecretBytes::new(contents)));
    }
    assert_eq!(mode(&home.path_of(&identity())), 0o600);
    for folder in ["", "relay-identities", "state", "state/sessions"] {
        assert_eq!(mode(&home.root().join(folder)), 0o700, "{folder}");
    }
    let names: Vec<_> =
        fs::read_dir(home.root().join("relay-identities")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["ACME.json"]);
}

#[test]
fn removing_twice_is_removing() {
    let (_folder, home) = home();
    home.store(&PENDING, &SecretBytes::new(*b"code")).unwrap();
    home.remove(&PENDING).unwrap();
    home.remove(&PENDING).unwrap();
    assert_eq!(home.read(&PENDING).unwrap(), None);
}

/// D12: a secret that others can read is refused, with the reason that says so.
#[test]
fn files_that_others_can_read_are_refused() {
    let (_folder, home) = home();
    home.store(&StateFile::Config, &SecretBytes::new(*b"{}")).unwrap();
    let path = home.path_of(&StateFile::Config);
    for wide in [0o640, 0o604, 0o620, 0o601, 0o700] {
        fs::set_permissions(&path, Permissions::from_mode(wide)).unwrap();
        let error = home.read(&StateFile::Config).unwrap_err();
        assert_eq!(error.reason(), Reason::ConfigTooOpen);
        assert!(error.to_string().contains(&format!("{wide:03o}")), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(home.read(&StateFile::Config).unwrap().is_some());
}

/// SPOOL-1: a file that is not there is not the same as one that cannot be read.
#[test]
fn what_cannot_be_read_is_not_taken_for_missing() {
    let (_folder, home) = home();
    let load = |home: Option<&Home>| FileJob::Load(StateFile::Config).carry_out("id", home);
    assert_eq!(load(Some(&home)), IoEvent::Loaded("id", None));
    assert_eq!(load(None), IoEvent::NotLoaded("id"));
    home.store(&StateFile::Config, &SecretBytes::new(*b"{}")).unwrap();
    assert_eq!(load(Some(&home)), IoEvent::Loaded("id", Some(SecretBytes::new(*b"{}"))));
    fs::set_permissions(home.path_of(&StateFile::Config), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(load(Some(&home)), IoEvent::NotLoaded("id"));
}

/// A store replaces what is in its place, and does not write through a link to somewhere else.
#[test]
fn a_store_does_not_follow_links() {
    let (folder, home) = home();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "untouched").unwrap();
    home.store(&StateFile::Config, &SecretBytes::default()).unwrap();
    fs::remove_file(home.path_of(&StateFile::Config)).unwrap();
    symlink(&elsewhere, home.path_of(&StateFile::Config)).unwrap();
    home.store(&StateFile::Config, &SecretBytes::new(*b"new")).unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), b"untouched");
    assert_eq!(home.read(&StateFile::Config).unwrap(), Some(SecretBytes::new(*b"new")));
}

/// BIND-4: a store that fails leaves the old contents, and no litter.
#[test]
fn a_failed_store_leaves_the_old_contents() {
    let (_folder, home) = home();
    home.store(&PENDING, &SecretBytes::new(*b"old")).unwrap();
    fs::create_dir(home.path_of(&StateFile::Grants)).unwrap();
    let error = home.store(&StateFile::Grants, &SecretBytes::new(*b"new")).unwrap_err();
    assert_eq!(error.reason(), Reason::StateNotWritten);
    let unfinished =
        fs::read_dir(home.root()).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(unfinished.count(), 0);
    assert_eq!(home.read(&PENDING).unwrap(), Some(SecretBytes::new(*b"old")));
}

#[test]
fn one_process_owns_a_home() {
    let (_folder, home) = home();
    assert_eq!(home.owner(), None);
    let lock = home.lock().unwrap();
    assert_eq!(home.lock().unwrap_err().reason(), Reason::HomeInUse);
    assert_eq!(home.owner(), Some(std::process::id()));
    drop(lock);
    assert_eq!(home.owner(), None);
    home.lock().unwrap();
    assert_eq!(mode(&home.root().join("daemon.lock")), 0o600);
}

#[test]
fn locking_mends_the_home() {
    let (_folder, home) = home();
    fs::create_dir(home.root()).unwrap();
    fs::set_permissions(home.root(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(home.root().join("state")).unwrap();
    let litter = home.root().join("state/.unfinished-x");
    fs::write(&litter, "half").unwrap();
    let _lock = home.lock().unwrap();
    assert_eq!(mode(home.root()), 0o700);
    assert!(!litter.exists());
}

#[test]
fn what_is_no_file_is_unreadable() {
    let (_folder, home) = home();
    let _lock = home.lock().unwrap();
    DirBuilder::new().mode(0o600).create(home.path_of(&StateFile::Grants)).unwrap();
    assert_eq!(home.read(&StateFile::Grants).unwrap_err().reason(), Reason::ConfigInvalid);
}
