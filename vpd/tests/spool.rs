//! D17, F2, F8, with the real programs: the servers are gone while a command runs, the daemon is killed, and nothing is lost.

mod program;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use browser::Browser;
use proto_core::device::control::{PairEvent, Report};
use serde_json::Value;

use program::{End, Home, wait_until};

/// Both servers, from one directory.
struct Servers {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    place: Value,
}

impl Servers {
    /// Starts them at these addresses.
    fn start(home: &Home, [listen, relay]: [&str; 2]) -> Self {
        let arguments = ["serve", "--json", "--listen", listen, "--relay-listen", relay];
        let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Self { child, _stdout: stdout, place: serde_json::from_str(&line).unwrap() }
    }

    fn text(&self, name: &str) -> String {
        self.place[name].as_str().unwrap().to_owned()
    }

    fn addresses(&self) -> [String; 2] {
        ["listen", "relay_listen"].map(|name| self.text(name))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home whose daemon is paired; the daemon is killed when this goes.
struct Machine {
    home: Home,
    api_url: String,
    directory: PathBuf,
}

impl Machine {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("VIEWPORT_API_URL", &self.api_url).current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    fn vpd(&self, arguments: &[&str]) -> End {
        self.command(arguments).output().unwrap().into()
    }

    fn report(&self) -> Option<Report> {
        let end = self.vpd(&["status", "--json"]);
        (end.code == 0).then(|| serde_json::from_str(&end.stdout).unwrap())
    }

    fn kill_daemon(&self) {
        if let Some(report) = self.report() {
            assert!(Command::new("kill").args(["-9", &report.pid.to_string()]).status().unwrap().success());
            wait_until("the daemon is gone", || self.report().is_none());
        }
    }

    /// Everything of a spool that is on the disk.
    fn segments(&self) -> Vec<Vec<u8>> {
        let folders = fs::read_dir(self.home.path().join("state/spool")).into_iter().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill_daemon();
    }
}

/// Presses Approve on a device's page.
async fn approve(browser: &mut Browser, url: &str) {
    let page = browser.open(url).await.unwrap();
    let page = browser.submit(&page, "/pair/approve", &[]).await.unwrap();
    assert!(page.says("Paired with"));
}

/// A paired daemon with a bound directory, and a paired viewer.
async fn machine(place: &Path, servers: &Servers) -> Machine {
    let mut browser = Browser::default();
    let page = browser.open(&servers.text("setup_url")).await.unwrap();
    let typed = [("organization", "Acme"), ("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse battery")];
    browser.submit(&page, "/setup", &typed).await.unwrap();

    let directory = place.join("repository");
    fs::create_dir_all(directory.join(".git")).unwrap();
    let machine = Machine { home: Home::new(), api_url: servers.text("public_url"), directory };
    assert_eq!(machine.vpd(&["start"]).code, 0);
    let mut pairing = machine.command(&["pair", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(pairing.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| match serde_json::from_str(&line.unwrap()).unwrap() {
        PairEvent::Code(pairing) => Some(pairing.url),
        _ => None,
    });
    approve(&mut browser, &url.expect("a code was shown")).await;
    lines.for_each(|line| drop(line.unwrap()));
    assert!(pairing.wait().unwrap().success());
    let bound = machine.vpd(&["bind", machine.directory.to_str().unwrap()]);
    assert_eq!(bound.code, 0, "{bound:?}");

    let mut viewing = machine.command(&["watch", "--list"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(viewing.stderr.take().unwrap()).lines().map(Result::unwrap);
    let page = said.find(|line| line.contains("/pair?code=")).expect("the viewer asks to be approved");
    approve(&mut browser, page.trim()).await;
    said.for_each(drop);
    viewing.wait().unwrap();
    machine
}

/// SPOOL-1, SPOOL-2: a command that runs and ends while the servers are down is kept on the disk, sealed; the daemon is killed with
/// `kill -9`; when the servers are there again, the relay has all of it, once, and a viewer shows it byte for byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_command_that_runs_while_the_relay_is_away_is_delivered_later() {
    let (place, serving) = (tempfile::tempdir().unwrap(), Home::new());
    let servers = Servers::start(&serving, ["127.0.0.1:0", "127.0.0.1:0"]);
    let machine = machine(place.path(), &servers).await;
    let addresses = servers.addresses();
    drop(servers);

    let shown = machine.vpd(&["run", "--", "seq", "1", "720000"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.len() > 4_900_000);
    assert!(shown.stderr.contains("kept here and will be delivered"), "{}", shown.stderr);
    let report = machine.report().unwrap();
    let [kept] = &report.spool[..] else { panic!("{:?}", report.spool) };
    assert!(kept.bytes > 4_900_000 && kept.org == "Acme", "{kept:?}");
    let page = machine.vpd(&["status"]).stdout;
    assert!(page.contains("Kept here until the relay takes it:") && page.contains("of 1 session"), "{page}");
    let segments = machine.segments();
    assert!(segments.iter().map(Vec::len).sum::<usize>() > 4_900_000);
    let plain = b"360000\n360001\n";
    assert!(
        !segments.iter().any(|segment| segment.windows(plain.len()).any(|window| window == plain)),
        "what lies here is sealed"
    );

    machine.kill_daemon();
    assert_eq!(machine.vpd(&["start"]).code, 0);
    assert_eq!(machine.report().unwrap().spool.len(), 1);

    let [listen, relay] = &addresses;
    let _servers = Servers::start(&serving, [listen, relay]);
    wait_until("the relay has what was kept", || machine.report().is_some_and(|report| report.spool.is_empty()));
    let watched = machine.vpd(&["watch", "--raw", &kept.session]);
    assert_eq!(watched.code, 0, "{}", watched.stderr);
    assert!(watched.stdout == shown.stdout, "{} bytes of {}", watched.stdout.len(), shown.stdout.len());
    assert_eq!(machine.segments().len(), 0, "nothing is left here");
}
