//! Both servers, laptops and viewers as the real programs, each in a home of its own.
#![allow(dead_code, reason = "each test file uses a part of it")]

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

use crate::program::{Home, wait_until};

/// Long enough for the slowest machine; only a failing test takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// `vpd serve`, with Ada signed in at its pages.
pub(crate) struct Servers {
    pub(crate) home: Home,
    child: Child,
    /// Open as long as they run.
    stdout: BufReader<ChildStdout>,
    place: Value,
    pub(crate) url: String,
    runtime: Runtime,
    browser: Browser,
}

impl Servers {
    pub(crate) fn start() -> Self {
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

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// At the same addresses, with what is on the disk.
    pub(crate) fn start_again(&mut self) {
        let text = |name: &str| self.place[name].as_str().unwrap();
        let (child, stdout, _) = serve(&self.home, text("listen"), text("relay_listen"));
        (self.child, self.stdout) = (child, stdout);
    }

    /// The files of the platform's store, while the servers are stopped.
    pub(crate) fn store(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let data = Path::new(self.place["data"].as_str().unwrap());
        let paths = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        let its = paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("platform.db"));
        its.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Puts an earlier copy in its place, while the servers are stopped.
    pub(crate) fn restore(&self, copy: &[(PathBuf, Vec<u8>)]) {
        for (path, _) in self.store() {
            std::fs::remove_file(path).unwrap();
        }
        for (path, contents) in copy {
            std::fs::write(path, contents).unwrap();
        }
    }

    /// Presses Approve on a device's page.
    pub(crate) fn approve(&mut self, url: &str) {
        self.runtime.block_on(async {
            let page = self.browser.open(url).await.unwrap();
            let page = self.browser.submit(&page, "/pair/approve", &[]).await.unwrap();
            assert!(page.says("Paired with"));
        });
    }

    /// Revokes a machine on the workspace's page.
    pub(crate) fn revoke(&mut self, machine: &str) {
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
pub(crate) struct Laptop {
    pub(crate) home: Home,
    pub(crate) url: String,
    pub(crate) directory: PathBuf,
}

impl Laptop {
    pub(crate) fn paired(servers: &mut Servers) -> Self {
        let home = Home::new();
        let directory = home.path().join("work");
        std::fs::create_dir_all(directory.join(".git")).unwrap();
        let laptop = Self { home, url: servers.url.clone(), directory };
        laptop.vpd(&["start"]);
        laptop.pair(servers, &["pair"]);
        laptop.vpd(&["bind"]);
        laptop
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("VIEWPORT_API_URL", &self.url).current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    pub(crate) fn vpd(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn pair(&self, servers: &mut Servers, arguments: &[&str]) {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let page = lines.find(|line| line.contains("/pair?code=")).expect("a page to open");
        servers.approve(page.trim());
        let _: Vec<_> = lines.collect();
        assert!(child.wait().unwrap().success());
    }

    /// Streams the words, and waits until they can be read without this machine.
    pub(crate) fn says(&self, words: &str) {
        self.vpd(&["run", "--", "echo", words]);
        self.is_sealed();
    }

    pub(crate) fn is_sealed(&self) {
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
pub(crate) struct Viewer {
    pub(crate) home: Home,
    pub(crate) url: String,
}

/// A `vpd watch` that runs.
pub(crate) struct Watch {
    pub(crate) child: Child,
    stdout: JoinHandle<String>,
    said: Receiver<String>,
    heard: Vec<String>,
}

impl Viewer {
    pub(crate) fn new(servers: &Servers) -> Self {
        Self { home: Home::new(), url: servers.url.clone() }
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Watch {
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
    pub(crate) fn sessions(&self) -> Vec<String> {
        let mut command = self.home.command(&["sessions", "--json"]);
        let output = command.env("VIEWPORT_API_URL", &self.url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = list["sessions"].as_array().unwrap();
        rows.iter().map(|row| row["session"].as_str().unwrap().to_owned()).collect()
    }

    /// Watches a session that has ended; what it showed.
    pub(crate) fn reads(&self, session: &str) -> String {
        self.start(&[session]).ends()
    }
}

impl Watch {
    /// Waits until it says that.
    pub(crate) fn says(&mut self, text: &str) -> String {
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

    pub(crate) fn is_approved(&mut self, servers: &mut Servers) {
        let page = self.says("/pair?code=");
        servers.approve(page.trim());
        self.says("connected");
    }

    /// Waits for its end; what it showed.
    pub(crate) fn ends(mut self) -> String {
        wait_until("vpd watch ends", || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        let heard: Vec<_> = self.heard.drain(..).chain(self.said.iter()).collect();
        assert!(status.success(), "{status} {heard:?}");
        self.stdout.join().unwrap()
    }

    /// Ends it; what it showed.
    pub(crate) fn stop(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.stdout.join().unwrap()
    }
}

/// The machine as which a home is paired.
pub(crate) fn machine_of(home: &Path) -> String {
    let config: Value = serde_json::from_slice(&std::fs::read(home.join("config.json")).unwrap()).unwrap();
    config["bindings"][0]["machineId"].as_str().unwrap().to_owned()
}
