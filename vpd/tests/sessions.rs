//! Finding a session without its id: `vpd sessions`, and what `vpd watch` is told instead. With the real programs.

mod program;
mod site;

use std::{
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use program::{End, Home, VPD, shell_code, wait_until, window::Window};
use site::{Laptop, Servers, Viewer};

/// A workspace with two sessions that have ended and, while it is wanted, some that are live.
struct Scene {
    _servers: Servers,
    laptop: Laptop,
    viewer: Viewer,
    live: Vec<Child>,
}

impl Scene {
    fn set() -> Self {
        let mut servers = Servers::start();
        let laptop = Laptop::paired(&mut servers);
        let viewer = Viewer::new(&servers);
        let mut watch = viewer.start(&[]);
        watch.is_approved(&mut servers);
        watch.says("founded the organization's key");
        laptop.says("first");
        assert!(watch.ends().contains("first"));
        // Sessions tell their beginning in seconds.
        thread::sleep(Duration::from_millis(1_100));
        laptop.says("second");
        Self { _servers: servers, laptop, viewer, live: Vec::new() }
    }

    /// Starts a session that goes on, and waits until it is listed as such.
    fn begins(&mut self) {
        let mut command = self.laptop.command(&["run", "--", "sh", "-c", "echo still here; sleep 600"]);
        self.live.push(command.stdout(Stdio::null()).spawn().unwrap());
        // The relay counts how often an address connects, so its list is not asked for again and again.
        wait_until("it streams", || {
            let report: Value = serde_json::from_str(&self.laptop.vpd(&["status", "--json"])).unwrap();
            report["sessions"].as_array().map(Vec::len) == Some(self.live.len())
        });
        self.laptop.is_sealed();
    }

    fn vpd(&self, arguments: &[&str]) -> End {
        let mut command = self.viewer.home.command(arguments);
        command.env("VIEWPORT_API_URL", &self.viewer.url).env("TZ", "UTC").stdin(Stdio::null()).output().unwrap().into()
    }

    fn rows(&self) -> Vec<Value> {
        let end = self.vpd(&["sessions", "--json"]);
        assert_eq!((end.code, end.stderr.as_str()), (0, ""));
        let list: Value = serde_json::from_str(&end.stdout).unwrap();
        assert_eq!(list["schema"], 1);
        list["sessions"].as_array().unwrap().clone()
    }

    fn states(&self) -> Vec<String> {
        self.rows().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether `vpd watch` shows a session that is live.
    fn shows_a_live_one(&self, arguments: &[&str]) {
        let mut watch = self.viewer.start(arguments);
        watch.says("sh -c 'echo still here");
        watch.stop();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for child in &mut self.live {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Live first, then the newest; what it is, whose, since when, how much; and the same for programs.
#[test]
fn sessions_are_listed_with_what_tells_them_apart() {
    let mut scene = Scene::set();
    scene.begins();
    let rows = scene.rows();
    let commands: Vec<_> = rows.iter().map(|row| row["command"].as_str().unwrap()).collect();
    assert!(commands[0].starts_with("sh -c") && commands[1..] == ["echo second", "echo first"], "{commands:?}");
    assert_eq!(scene.states(), ["live", "ended", "ended"]);
    for row in &rows {
        assert_eq!(row["owner"], "Ada", "{row}");
        assert!(row["readable"] == true && row["reason"].is_null() && row["bytes"].as_u64() > Some(20), "{row}");
        assert!(row["records"].as_u64() >= Some(2) && row["started"].as_str().unwrap().ends_with('Z'), "{row}");
        assert_eq!(row["ended"].is_null(), row["state"] == "live", "{row}");
    }
    let table = scene.vpd(&["sessions"]);
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    let lines: Vec<_> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("SESSION  STATE  STARTED") && lines[1].contains("  live   "), "{}", table.stdout);
    for (line, row) in lines[1..].iter().zip(&rows) {
        let short = line.split(' ').next().unwrap();
        assert!(short.len() >= 6 && row["session"].as_str().unwrap().starts_with(short), "{line}");
        assert!(line.chars().count() <= 100 && line.contains(row["machine"].as_str().unwrap()), "{line}");
    }
    let ids = |arguments: &[&str]| -> Vec<String> {
        scene.vpd(arguments).stdout.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["watch", "--list"]), ids(&["sessions"]), "an alias");
    let lines = scene.vpd(&["watch", "--list", "--json"]).stdout;
    let named = |row: &Value| row["session"].as_str().unwrap().to_owned();
    let lines = lines.lines().map(|line| named(&serde_json::from_str(line).unwrap()));
    assert!(lines.eq(rows.iter().map(named)), "one object per line");
    // Its machine goes away in the middle.
    scene.laptop.vpd(&["stop"]);
    wait_until("it is listed as away", || {
        thread::sleep(Duration::from_secs(1));
        scene.states().contains(&"away".to_owned())
    });
    let rows = scene.rows();
    let away = rows.iter().find(|row| row["state"] == "away").unwrap();
    assert!(away["seconds"].is_null() && away["command"].as_str().unwrap().starts_with("sh -c"), "{away}");
}

/// F10: the beginning of an id is enough; what is missing or ambiguous says so, with what there is, and never ends in success.
#[test]
fn a_session_is_found_by_what_a_person_knows_of_it() {
    let mut scene = Scene::set();
    let rows = scene.rows();
    let id = |row: &Value| row["session"].as_str().unwrap().to_owned();
    let (second, first) = (id(&rows[0]), id(&rows[1]));
    let length = second.bytes().zip(first.bytes()).take_while(|(a, b)| a == b).count() + 1;
    assert!(scene.viewer.reads(&first[..length]).contains("first"));
    assert!(scene.viewer.reads(&second[..length].to_uppercase()).contains("second"));
    assert!(scene.viewer.start(&["--latest"]).ends().contains("second"));
    let ends_with = |arguments: &[&str], parts: &[&str]| {
        let end = scene.vpd(&[&["watch"], arguments].concat());
        assert_eq!((end.code, end.stdout.as_str()), (3, ""), "{arguments:?}");
        for part in parts.iter().chain(&["reason:", "next:", "vpd "]) {
            assert!(end.stderr.contains(part), "{part:?} in {}", end.stderr);
        }
    };
    // None of two ids begins like this: there is a letter for each of them.
    let other = ["a", "b", "c"].into_iter().find(|letter| !first.starts_with(letter) && !second.starts_with(letter)).unwrap();
    ends_with(&[other], &["session_unknown", other, "vpd sessions"]);
    ends_with(&[], &["session_ambiguous", &first[..6], &second[..6], "echo first", "echo second"]);
    ends_with(&["--live"], &["session_unknown", "none is live", "--latest"]);
    ends_with(&["--machine", "nowhere"], &["session_unknown", "nowhere", "names the machines"]);
    if length > 1 {
        ends_with(&[&first[..1]], &["session_ambiguous", &second[..6]]);
    }
    scene.begins();
    let machine = scene.rows()[0]["machine"].as_str().unwrap().to_owned();
    for arguments in [&[][..], &["--live"], &["--latest"], &["--machine", &machine, "--live"]] {
        scene.shows_a_live_one(arguments);
    }
    scene.begins();
    let end = scene.vpd(&["watch"]);
    assert!(end.code == 3 && end.stderr.contains("session_ambiguous") && !end.stderr.contains("echo first"), "{}", end.stderr);
    chooser(&scene);
}

/// At a terminal a person is asked: a number, the beginning of an id, nothing, or Ctrl-C.
fn chooser(scene: &Scene) {
    let ask = || {
        let mut window = Window::open(VPD, &["watch"], scene.viewer.home.path(), scene.viewer.home.path());
        window.until("Which one? [1-2, or the beginning of an id] ");
        window
    };
    let mut window = ask();
    window.line("7");
    window.until("None of them.");
    window.until("Which one?");
    window.line("2");
    window.until("still here");
    window.keys("\x03");
    window.end();
    let code = |window: Window| shell_code(window.end().1);
    let window = ask();
    window.keys("\x03");
    assert_eq!(code(window), 130);
    let window = ask();
    window.keys("\n");
    assert_eq!(code(window), 0);
}

/// Nothing to list is no failure, and says what to do first.
#[test]
fn an_empty_list_says_what_to_do() {
    let mut servers = Servers::start();
    let viewer = Viewer::new(&servers);
    let mut watch = viewer.start(&[]);
    watch.is_approved(&mut servers);
    watch.stop();
    let list = |arguments: &[&str]| -> End {
        let mut command = viewer.home.command(arguments);
        command.env("VIEWPORT_API_URL", &viewer.url).output().unwrap().into()
    };
    let end = list(&["sessions"]);
    assert_eq!((end.code, end.stdout.as_str()), (0, ""));
    assert!(end.stderr.contains("No sessions yet. next: vpd run -- COMMAND"), "{}", end.stderr);
    let end = list(&["sessions", "--json"]);
    let list: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!((end.code, list["sessions"].as_array().map(Vec::len)), (0, Some(0)));
    let end = viewer.home.command(&["watch", "--latest"]).env("VIEWPORT_API_URL", &viewer.url).output().unwrap();
    let end = End::from(end);
    assert!(end.code == 3 && end.stderr.contains("there is none yet"), "{}", end.stderr);
}

/// F9: the viewer's pairings are listed, beside an open watch too, and dropped: nothing of one stays, and the next watch pairs
/// anew.
#[test]
fn viewers_are_listed_and_dropped() {
    let mut servers = Servers::start();
    let viewer = Viewer::new(&servers);
    let vpd = |arguments: &[&str]| -> End {
        let mut command = viewer.home.command(arguments);
        command.env("VIEWPORT_API_URL", &viewer.url).stdin(Stdio::null()).output().unwrap().into()
    };
    let none = vpd(&["viewers"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("next: vpd watch"), "{}", none.stderr);
    let end = vpd(&["viewers", "drop"]);
    assert!(end.code != 0 && end.stderr.contains("not_paired") && end.stderr.contains("vpd viewers"), "{}", end.stderr);
    let mut watch = viewer.start(&[]);
    watch.is_approved(&mut servers);
    watch.says("founded the organization's key");
    let held = || -> Value { serde_json::from_str(&vpd(&["viewers", "--json"]).stdout).unwrap() };
    wait_until("it holds the key", || held()["viewers"][0]["key"] == "held");
    assert_eq!((&held()["schema"], &held()["viewers"][0]["org"]["slug"]), (&1.into(), &"acme".into()));
    assert!(vpd(&["viewers"]).stdout.starts_with("Acme  ws://"));
    let end = vpd(&["viewers", "drop", "--yes"]);
    assert!(end.code == 10 && end.stderr.contains("viewer_in_use"), "{}", end.stderr);
    watch.stop();
    let end = vpd(&["viewers", "drop"]);
    assert!(end.code == 0 && end.stderr.contains("--yes") && end.stderr.contains("Nothing was changed."), "{}", end.stderr);
    let end = vpd(&["viewers", "drop", "--org", "other"]);
    assert!(end.code != 0 && end.stderr.contains("org_unknown"), "{}", end.stderr);
    let end = vpd(&["viewers", "drop", "--org", "acme", "--yes"]);
    assert_eq!((end.code, end.stdout.as_str()), (0, "✓ This user no longer watches Acme.\n"), "{}", end.stderr);
    let place = viewer.home.path().join("viewer");
    for folder in ["relay-identities", "organization-keys"] {
        assert_eq!(std::fs::read_dir(place.join(folder)).map_or(0, Iterator::count), 0, "{folder}");
    }
    assert_eq!(vpd(&["viewers"]).stdout, "");
    let mut watch = viewer.start(&[]);
    watch.says("/pair?code=");
    watch.stop();
}

/// F10: beside a `vpd watch` that is open, the list says so, and what else there is to do than to stop the daemon.
#[test]
fn a_list_beside_an_open_watch_says_so() {
    let home = Home::new();
    let files = io_engine::Home::at(home.path().join("viewer"));
    let _held = files.lock().unwrap();
    let end = home.vpd(&["sessions"]);
    assert_eq!(end.code, 10, "{end:?}");
    for part in ["another vpd watch of this home is open", "viewer_in_use", "VIEWPORT_HOME"] {
        assert!(end.stderr.contains(part), "{}", end.stderr);
    }
    assert!(!end.stderr.contains("vpd stop"), "{}", end.stderr);
}
