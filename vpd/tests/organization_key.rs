//! D15, S119, S121, S216: what a machine has streamed stays readable whatever becomes of it, on devices that were added afterwards
//! too. With the real programs: both servers, a laptop, and viewers, each in a home of its own.

mod program;
mod site;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use program::wait_until;
use site::{Laptop, Servers, Viewer, machine_of};

/// A workspace with a session that said `earlier`, a viewer that has the organization's key, and a session that runs on for ever as
/// far as the relay knows, so that a viewer can be open.
struct Scene {
    servers: Servers,
    laptop: Laptop,
    first: Viewer,
    earlier: String,
    endless: String,
}

impl Scene {
    fn set() -> Self {
        let mut servers = Servers::start();
        let laptop = Laptop::paired(&mut servers);
        let first = Viewer::new(&servers);
        let mut watch = first.start(&[]);
        watch.is_approved(&mut servers);
        watch.says("founded the organization's key");
        laptop.says("earlier");
        assert!(watch.ends().contains("earlier"));
        let [earlier] = first.sessions().try_into().unwrap();
        let mut running = laptop.command(&["run", "--", "sleep", "600"]).stdout(Stdio::null()).spawn().unwrap();
        let mut endless = None;
        wait_until("a second session", || {
            endless = first.sessions().into_iter().find(|session| *session != earlier);
            endless.is_some()
        });
        laptop.is_sealed();
        running.kill().unwrap();
        running.wait().unwrap();
        Self { servers, laptop, first, earlier, endless: endless.unwrap() }
    }

    /// A viewer is added, handed the key by the first one, and revoked, which makes the first one make the next generation. The one
    /// that was revoked.
    fn renew(&mut self) -> Viewer {
        let mut open = self.first.start(&[&self.endless]);
        let removed = Viewer::new(&self.servers);
        let mut watch = removed.start(&[&self.endless]);
        watch.is_approved(&mut self.servers);
        watch.says("handed the organization's key to this one");
        self.servers.revoke(&machine_of(&removed.home.path().join("viewer")));
        open.says("made the organization's next key");
        open.stop();
        watch.stop();
        // It looks once a minute, and when it starts.
        self.laptop.vpd(&["restart"]);
        wait_until("the laptop knows the next generation", || self.keys()["bindings"][0]["key"]["generation"] == 2);
        removed
    }

    /// What `vpd status --keys` says on the laptop.
    fn keys(&self) -> Value {
        serde_json::from_str(&self.laptop.vpd(&["status", "--keys", "--json"])).unwrap()
    }

    /// A viewer that was there before, and one that is added now, read the earlier session.
    fn is_readable(&mut self) {
        assert!(self.first.reads(&self.earlier).contains("earlier"));
        // It is open, so it hands over what it holds.
        let open = self.first.start(&[&self.endless]);
        let added = Viewer::new(&self.servers);
        let mut watch = added.start(&[&self.earlier]);
        watch.is_approved(&mut self.servers);
        assert!(watch.ends().contains("earlier"));
        open.stop();
        assert!(added.reads(&self.earlier).contains("earlier"), "it holds the key now, whichever device is online");
    }
}

#[test]
fn records_stay_readable_while_their_machine_is_off() {
    let mut scene = Scene::set();
    scene.laptop.vpd(&["stop"]);
    scene.is_readable();
}

#[test]
fn records_stay_readable_after_their_machine_was_unpaired() {
    let mut scene = Scene::set();
    scene.laptop.vpd(&["unpair"]);
    scene.is_readable();
}

#[test]
fn records_stay_readable_after_their_machine_was_paired_again() {
    let mut scene = Scene::set();
    scene.laptop.pair(&mut scene.servers, &["pair", "--add"]);
    scene.laptop.vpd(&["stop"]);
    scene.is_readable();
}

#[test]
fn records_stay_readable_after_their_machine_was_revoked() {
    let mut scene = Scene::set();
    scene.servers.revoke(&machine_of(scene.laptop.home.path()));
    wait_until("the laptop has ended the binding", || scene.laptop.vpd(&["status"]).contains("Org bindings (0)"));
    scene.is_readable();
}

/// What is on disk of the organization's key, besides what is public: only its owner can read it.
#[test]
fn the_files_of_the_key_are_private_and_go_with_the_pairing() {
    use std::os::unix::fs::PermissionsExt as _;

    let scene = Scene::set();
    let files = |home: &Path| -> Vec<_> {
        let folder = std::fs::read_dir(home.join("organization-keys")).unwrap();
        folder.map(|entry| entry.unwrap().path()).collect()
    };
    for home in [scene.first.home.path().join("viewer"), scene.laptop.home.path().to_owned()] {
        let [file] = files(&home).try_into().unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let holds = std::fs::read_to_string(&file).unwrap().contains("generations");
        assert_eq!(holds, home.ends_with("viewer"), "a laptop holds nothing that opens");
    }
    scene.laptop.vpd(&["unpair"]);
    wait_until("the key's file is gone", || files(scene.laptop.home.path()).is_empty());
}

/// A viewer is revoked: what starts afterwards is sealed to the next generation, which it does not get, and opens for those who are
/// left.
#[test]
fn what_comes_after_a_revocation_is_sealed_to_the_next_generation() {
    let mut scene = Scene::set();
    let before = scene.first.sessions();
    let removed = scene.renew();
    scene.laptop.says("later");
    scene.laptop.vpd(&["stop"]);
    let later = scene.first.sessions().into_iter().find(|session| !before.contains(session)).expect("another session");
    assert!(scene.first.reads(&later).contains("later"));
    let mut refused = removed.start(&[&later]);
    refused.says("/pair?code=");
    assert!(refused.stop().is_empty(), "it belongs to no binding any more");
    scene.is_readable();
}

/// D15: a platform that was restored from an old copy shows less than is known: that is refused, and said on every device.
#[test]
fn a_platform_that_shows_an_older_key_is_refused() {
    let mut scene = Scene::set();
    scene.servers.stop();
    let copy = scene.servers.store();
    scene.servers.start_again();
    scene.renew();
    let known = scene.keys()["bindings"][0]["key"].clone();
    scene.servers.stop();
    scene.servers.restore(&copy);
    scene.servers.start_again();
    let mut watch = scene.first.start(&[&scene.endless]);
    watch.says("organization_key_forked");
    watch.stop();
    scene.laptop.vpd(&["restart"]);
    wait_until("the laptop refuses it", || scene.keys()["bindings"][0]["key_reason"] == "organization_key_forked");
    assert_eq!(scene.keys()["bindings"][0]["key"], known);
    assert!(scene.laptop.vpd(&["status", "--keys"]).contains("organization_key_forked"));
    assert!(scene.first.reads(&scene.earlier).contains("earlier"));
}

/// The fingerprint is the same on every device, whether its daemon runs or not, so that people can compare it.
#[test]
fn a_fingerprint_is_shown_on_every_device() {
    let scene = Scene::set();
    let of = |command: &mut Command| String::from_utf8(command.args(["status", "--keys"]).output().unwrap().stdout).unwrap();
    let shown = of(&mut scene.laptop.command(&[]));
    let fingerprint = shown.split_whitespace().last().expect("a fingerprint").to_owned();
    assert_eq!(fingerprint.len(), 39, "{shown}");
    let shown = of(&mut scene.first.home.command(&[]));
    assert!(shown.contains("The daemon is not running.") && shown.contains(&fingerprint), "{shown}");
}

/// F1: what cannot be opened afterwards is counted before it goes.
#[test]
fn unpairing_says_what_becomes_unreadable() {
    let mut servers = Servers::start();
    let laptop = Laptop::paired(&mut servers);
    laptop.vpd(&["run", "--", "echo", "nobody ever watched"]);
    let unpaired = laptop.command(&["unpair"]).output().unwrap();
    let said = String::from_utf8(unpaired.stderr).unwrap();
    assert!(said.contains("Acme: 1 session is not sealed to the organization's key."), "{said}");
    assert!(unpaired.status.success(), "without a terminal there is no question");
}
