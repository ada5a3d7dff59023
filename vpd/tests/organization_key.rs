//! D15, S119, S121, S216: what a machine has streamed stays readable whatever becomes of it, on devices that were added afterwards
//! too. With the real programs: both servers, a laptop, and viewers, each in a home of its own.

mod program;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use browser::Browser;
use serde_json::Value;
use tokio::runtime::Runtime;

use program::{Home, wait_until};

/// Long enough for the slowest machine; only a failing test takes that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// `vpd serve`, with Ada signed in at its pages.
struct Servers {
    home: Home,
    child: Child,
    /// Open as long as they run.
    stdout: BufReader<ChildStdout>,
    place: Value,
    url: String,
    runtime: Runtime,
    browser: Browser,
}

impl Servers {
    fn start() -> Self {
        let home = Home::new();
        let (child, stdout, place) = serve(&home, "127.0.0.1:0", "127.0.0.1:0");
        let text = |name: &str| place[name].as_str().unwrap().to_owned();
        let (runtime, mut browser) = (Runtime::new().unwrap(), Browser::default());
        runtime.block_on(async {
            let page = browser.open(&text("setup_url")).await.unwrap();
            let typed =
                [("organization", "Acme"), ("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse battery")];
            browser.submit(&page, "/setup", &typed).await.unwrap();
        });
        let url = text("public_url");
        Self { home, child, stdout, place, url, runtime, browser }
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// At the same addresses, with what is on the disk.
    fn start_again(&mut self) {
        let text = |name: &str| self.place[name].as_str().unwrap();
        let (child, stdout, _) = serve(&self.home, text("listen"), text("relay_listen"));
        (self.child, self.stdout) = (child, stdout);
    }

    /// The files of the platform's store, while the servers are stopped.
    fn store(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let data = Path::new(self.place["data"].as_str().unwrap());
        let paths = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        let its = paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("platform.db"));
        its.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Puts an earlier copy in its place, while the servers are stopped.
    fn restore(&self, copy: &[(PathBuf, Vec<u8>)]) {
        for (path, _) in self.store() {
            std::fs::remove_file(path).unwrap();
        }
        for (path, contents) in copy {
            std::fs::write(path, contents).unwrap();
        }
    }

    /// Presses Approve on a device's page.
    fn approve(&mut self, url: &str) {
        self.runtime.block_on(async {
            let page = self.browser.open(url).await.unwrap();
            let page = self.browser.submit(&page, "/pair/approve", &[]).await.unwrap();
            assert!(page.says("Paired with"));
        });
    }

    /// Revokes a machine on the workspace's page.
    fn revoke(&mut self, machine: &str) {
        self.runtime.block_on(async {
            let machines = self.browser.open(&format!("{}/w/acme/machines", self.url)).await.unwrap();
            let link = machines.link_to(&format!("{machine}/revoke")).expect("a machine that can be revoked");
            let page = self.browser.open(link.as_str()).await.unwrap();
            self.browser.submit(&page, link.path(), &[]).await.unwrap();
        });
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(home: &Home, listen: &str, relay_listen: &str) -> (Child, BufReader<ChildStdout>, Value) {
    let arguments = ["serve", "--json", "--listen", listen, "--relay-listen", relay_listen];
    let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (child, stdout, serde_json::from_str(&line).unwrap())
}

/// A laptop with a daemon and a bound directory.
struct Laptop {
    home: Home,
    url: String,
    directory: PathBuf,
}

impl Laptop {
    fn paired(servers: &mut Servers) -> Self {
        let home = Home::new();
        let directory = home.path().join("work");
        std::fs::create_dir_all(directory.join(".git")).unwrap();
        let laptop = Self { home, url: servers.url.clone(), directory };
        laptop.vpd(&["start"]);
        laptop.pair(servers, &["pair"]);
        laptop.vpd(&["bind"]);
        laptop
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("VIEWPORT_API_URL", &self.url).current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    fn vpd(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn pair(&self, servers: &mut Servers, arguments: &[&str]) {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let page = lines.find(|line| line.contains("/pair?code=")).expect("a page to open");
        servers.approve(page.trim());
        let _: Vec<_> = lines.collect();
        assert!(child.wait().unwrap().success());
    }

    /// Streams the words, and waits until they can be read without this machine.
    fn says(&self, words: &str) {
        self.vpd(&["run", "--", "echo", words]);
        self.is_sealed();
    }

    fn is_sealed(&self) {
        wait_until("every session has an envelope", || {
            let report: Value = serde_json::from_str(&self.vpd(&["status", "--json"])).unwrap();
            report["bindings"].as_array().unwrap().iter().all(|binding| binding["without_envelope"] == 0)
        });
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]).output();
    }
}

/// A home with a viewer in it.
struct Viewer {
    home: Home,
    url: String,
}

/// A `vpd watch` that runs.
struct Watch {
    child: Child,
    stdout: JoinHandle<String>,
    said: Receiver<String>,
    heard: Vec<String>,
}

impl Viewer {
    fn new(servers: &Servers) -> Self {
        Self { home: Home::new(), url: servers.url.clone() }
    }

    fn start(&self, arguments: &[&str]) -> Watch {
        let mut command = self.home.command(&[&["watch", "--raw", "--verbose"], arguments].concat());
        command.env("VIEWPORT_API_URL", &self.url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, said) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Watch { child, stdout, said, heard: Vec::new() }
    }

    /// The sessions there are.
    fn sessions(&self) -> Vec<String> {
        let mut command = self.home.command(&["watch", "--list", "--json"]);
        let output = command.env("VIEWPORT_API_URL", &self.url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["session"].as_str().unwrap().to_owned()).collect()
    }

    /// Watches a session that has ended; what it showed.
    fn reads(&self, session: &str) -> String {
        self.start(&[session]).ends()
    }
}

impl Watch {
    /// Waits until it says that.
    fn says(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("it does not say {text:?}: {:?}", self.heard));
            self.heard.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    fn is_approved(&mut self, servers: &mut Servers) {
        let page = self.says("/pair?code=");
        servers.approve(page.trim());
        self.says("connected");
    }

    /// Waits for its end; what it showed.
    fn ends(mut self) -> String {
        wait_until("vpd watch ends", || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        let heard: Vec<_> = self.heard.drain(..).chain(self.said.iter()).collect();
        assert!(status.success(), "{status} {heard:?}");
        self.stdout.join().unwrap()
    }

    /// Ends it; what it showed.
    fn stop(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.stdout.join().unwrap()
    }
}

/// The machine as which a home is paired.
fn machine_of(home: &Path) -> String {
    let config: Value = serde_json::from_slice(&std::fs::read(home.join("config.json")).unwrap()).unwrap();
    config["bindings"][0]["machineId"].as_str().unwrap().to_owned()
}

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

    /// A viewer is added, handed the key by the first one, and revoked, which makes the first one make the next generation. The one that
    /// was revoked.
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

/// What is on disk of the organization's key, besides what is public: nobody else can read it.
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
    assert!(files(scene.laptop.home.path()).is_empty());
}

/// A viewer is revoked: what starts afterwards is sealed to the next generation, which it does not get, and opens for those who are left.
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
