//! A daemon that is killed with `kill -9` at a moment of a pairing comes back paired or cleanly unpaired (S22, S23), with the
//! real program, the real platform, real files.

mod program;

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use proto_core::{
    api::{RelayEndpoint, Workspace},
    device::control::Report,
    id::PlatformId,
    key::StaticKey,
    secret::SecretText,
};
use tokio::{net::TcpListener, runtime::Runtime};
use viewport_platform::{Clock, Config, FirstAdmin, Platform};

use program::{Home, wait_until};

/// A platform with one workspace, on a port of its own.
struct Control {
    runtime: Runtime,
    platform: Platform,
    account: PlatformId,
    workspace: Workspace,
    url: String,
    _data: tempfile::TempDir,
}

impl Control {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let data = tempfile::tempdir().unwrap();
        let (platform, founded, url) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            // No server listens there: these tests are about pairing alone.
            let relay = RelayEndpoint { url: "ws://127.0.0.1:9/ws".into(), static_keys: vec![StaticKey([9; 32])] };
            let key = SecretText::new("an internal key of enough length");
            let config = Config::new(data.path().join("platform.db"), &url, relay, key);
            let platform = Platform::open(config, Clock::system()).await.unwrap();
            let admin = FirstAdmin {
                email: "ada@example.com".into(),
                password: SecretText::new("correct horse battery"),
                name: "Ada".into(),
                organization: "Acme Engineering".into(),
            };
            let founded = platform.create_first_admin(admin).await.unwrap();
            let serving = platform.clone();
            tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
            (platform, founded, url)
        });
        Self { runtime, platform, account: founded.account, workspace: founded.workspace, url, _data: data }
    }

    fn approve(&self, code: &str) {
        self.runtime.block_on(self.platform.approve(&self.account, &self.workspace, code)).unwrap();
    }
}

/// A home whose daemon pairs with a platform; the daemon is killed when this goes.
struct Machine<'a> {
    home: Home,
    control: &'a Control,
}

impl<'a> Machine<'a> {
    fn new(control: &'a Control) -> Self {
        let machine = Self { home: Home::new(), control };
        machine.start();
        machine
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("VIEWPORT_API_URL", &self.control.url);
        command
    }

    fn start(&self) {
        let output = self.command(&["start"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn report(&self) -> Option<Report> {
        let output = self.command(&["status", "--json"]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    fn kill(&self) {
        if let Some(report) = self.report() {
            let killed = Command::new("kill").args(["-9", &report.pid.to_string()]).status().unwrap();
            assert!(killed.success());
            // Its lock and its socket go with it; until then it may still be there.
            wait_until("the daemon is gone", || self.report().is_none());
        }
    }

    /// Begins a pairing, up to the moment at which its code is shown.
    fn pair(&self) -> Waiting {
        let mut child =
            self.command(&["pair"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let code = lines.find_map(|line| Some(line.unwrap().split_once("/pair?code=")?.1.trim().to_owned()));
        Waiting { child, lines, code: code.expect("a code was shown") }
    }

    fn bindings(&self) -> usize {
        self.report().map_or(0, |report| report.bindings.len())
    }
}

/// A `vpd pair` that waits for its approval.
struct Waiting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    code: String,
}

impl Waiting {
    /// Waits for its end; whether it says that it is paired.
    fn ends_paired(mut self) -> bool {
        let says_so = self.lines.any(|line| line.unwrap().contains("Paired with"));
        self.child.wait().unwrap().success() && says_so
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// S22, S23: approved while the daemon was dead: connected as soon as it is back, and the same pairing, not another one.
#[test]
fn killed_while_the_code_waits_and_approved_meanwhile() {
    let control = Control::start();
    let machine = Machine::new(&control);
    let waiting = machine.pair();
    let code = waiting.code.clone();
    machine.kill();
    assert!(!waiting.ends_paired());
    control.approve(&code);
    machine.start();
    wait_until("the laptop is paired", || machine.bindings() == 1);
    assert!(!machine.home.path().join("pending-pairing.json").exists() || machine.report().unwrap().pairing.is_none());
}

/// S19, S22: killed and back before the approval: the same code still counts.
#[test]
fn killed_and_back_before_the_approval() {
    let control = Control::start();
    let machine = Machine::new(&control);
    let waiting = machine.pair();
    let code = waiting.code.clone();
    machine.kill();
    assert!(!waiting.ends_paired());
    machine.start();
    wait_until("the pairing goes on", || {
        machine.report().and_then(|report| report.pairing).is_some_and(|pairing| pairing.code == code)
    });
    control.approve(&code);
    wait_until("the laptop is paired", || machine.bindings() == 1);
}

/// S151: killed right after it was paired: still paired, with the same identity.
#[test]
fn killed_once_paired() {
    let control = Control::start();
    let machine = Machine::new(&control);
    let waiting = machine.pair();
    control.approve(&waiting.code);
    assert!(waiting.ends_paired());
    let identity = || std::fs::read(machine.home.path().join(format!("relay-identities/{}.json", control.workspace.id))).unwrap();
    let before = identity();
    machine.kill();
    machine.start();
    assert_eq!((machine.bindings(), identity()), (1, before));
}

/// Killed at any moment between the request for a code and the end: whenever it comes back it is paired or cleanly unpaired,
/// and pairing again works.
#[test]
fn killed_at_any_moment() {
    let control = Control::start();
    for moment in 0..6 {
        let machine = Machine::new(&control);
        let mut wait = machine.command(&["pair"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The more reports come first, the later the kill.
        for _ in 0..moment {
            machine.report();
        }
        // First the client, which would start the daemon again.
        wait.kill().unwrap();
        wait.wait().unwrap();
        machine.kill();
        machine.start();
        let report = machine.report().expect("it runs");
        assert_eq!(report.bindings.len(), 0);
        if report.pairing.is_some() {
            assert!(machine.command(&["pair", "--cancel"]).status().unwrap().success());
            wait_until("the pairing has ended", || machine.report().is_some_and(|report| report.pairing.is_none()));
        }
        let waiting = machine.pair();
        control.approve(&waiting.code);
        assert!(waiting.ends_paired());
        assert_eq!(machine.bindings(), 1);
    }
}
