//! A machine whose way to platform and relay is a proxy: the real programs, and names that only the proxy knows.

mod program;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Child, ChildStdout, Stdio},
};

use browser::Browser;
use conformance::forward::ForwardProxy;
use program::{End, Home, wait_until};
use proto_core::device::{control::Report, link::LinkState};
use serde_json::Value;
use tokio::runtime::Runtime;

const SECRET: &str = "s3cret";

/// `vpd serve`, which tells machines that its relay is at `relay.test`.
struct Servers {
    child: Child,
    _home: Home,
    _stdout: BufReader<ChildStdout>,
    port: String,
    runtime: Runtime,
    browser: Browser,
}

impl Servers {
    fn start() -> Self {
        let home = Home::new();
        let relay = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (listen, url) = (relay.to_string(), format!("ws://relay.test:{}/ws", relay.port()));
        let arguments = ["serve", "--json", "--listen", "127.0.0.1:0", "--relay-listen", &listen, "--relay-url", &url];
        let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let place: Value = serde_json::from_str(&line).unwrap();
        let (runtime, mut browser) = (Runtime::new().unwrap(), Browser::default());
        runtime.block_on(async {
            let page = browser.open(place["setup_url"].as_str().unwrap()).await.unwrap();
            let typed =
                [("organization", "Acme"), ("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse battery")];
            browser.submit(&page, "/setup", &typed).await.unwrap();
        });
        let port = place["listen"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        Self { child, _home: home, _stdout: stdout, port, runtime, browser }
    }

    fn approve(&mut self, url: &str) {
        self.runtime.block_on(async {
            let page = self.browser.open(url).await.unwrap();
            let page = self.browser.submit(&page, "/pair/approve", &[]).await.unwrap();
            assert!(page.says("Paired with"));
        });
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A laptop whose daemon goes with it.
struct Laptop(Home);

impl Drop for Laptop {
    fn drop(&mut self) {
        self.0.vpd(&["stop"]);
    }
}

impl Laptop {
    fn vpd(&self, arguments: &[&str], environment: &[(&str, &str)]) -> End {
        self.0.command(arguments).envs(environment.iter().copied()).output().unwrap().into()
    }

    fn restart(&self, environment: &[(&str, &str)]) {
        let end = self.vpd(&["restart"], environment);
        assert_eq!(end.code, 0, "{end:?}");
    }

    fn is_connected(&self) -> bool {
        let report: Report = serde_json::from_str(&self.0.vpd(&["status", "--json"]).stdout).unwrap();
        report.bindings[0].link == LinkState::Connected
    }

    /// The page of `vpd status`, once it says `word`.
    fn status_with(&self, word: &str) -> String {
        let mut page = String::new();
        wait_until(&format!("status says {word}"), || {
            page = self.0.vpd(&["status"]).stdout;
            page.contains(word)
        });
        page
    }
}

fn pair(laptop: &Laptop, servers: &mut Servers, environment: &[(&str, &str)]) {
    let mut command = laptop.0.command(&["pair"]);
    let mut child = command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url =
        lines.find_map(|line| line.unwrap().split_whitespace().find(|word| word.contains("/pair?code=")).map(str::to_owned));
    servers.approve(&url.expect("a URL was shown"));
    assert!(lines.any(|line| line.unwrap().contains("Paired with Acme")));
    assert!(child.wait().unwrap().success());
}

/// What the environment of the first start says is kept, later starts go by it, and what a proxy says against it is told with
/// what to type. Its password is in `config.json` alone.
#[test]
fn a_daemon_goes_by_the_proxy_that_it_was_started_with() {
    let (mut servers, proxy, laptop) = (Servers::start(), ForwardProxy::open(), Laptop(Home::new()));
    let (url, way) = (format!("http://platform.test:{}", servers.port), format!("http://ada:{SECRET}@{}", proxy.address()));
    pair(&laptop, &mut servers, &[("VIEWPORT_API_URL", &url), ("HTTP_PROXY", &way)]);
    wait_until("the laptop is connected", || laptop.is_connected());
    let seen = proxy.seen();
    assert!(seen.iter().any(|head| head.starts_with(&format!("POST {url}/api/pairing-codes "))), "{seen:?}");
    assert!(seen.iter().any(|head| head.starts_with("CONNECT relay.test:")), "{seen:?}");

    laptop.restart(&[]);
    wait_until("the laptop is connected", || laptop.is_connected());
    let tunnels = || proxy.seen().iter().filter(|head| head.starts_with("CONNECT ")).count();
    assert!(tunnels() >= 2, "another shell, and the same way");

    let address = proxy.address().to_string();
    for (line, next) in [
        ("407 Proxy Authentication Required", format!("next: http_proxy=http://USER:PASSWORD@{address} vpd restart ")),
        (
            "403 Forbidden",
            "next: ask who runs the proxy to let this machine through; or without it: http_proxy= vpd restart".into(),
        ),
        ("502 Bad Gateway", "next: ask who runs the proxy".into()),
    ] {
        proxy.refuse_with(Some(line));
        laptop.restart(&[]);
        let page = laptop.status_with("(relay_unreachable)");
        let met = format!("the relay cannot be reached: the proxy answered HTTP {} (by the proxy {address})", &line[..3]);
        assert!(page.contains(&met) && page.contains(&next), "{page}");
        assert!(!page.contains(SECRET), "{page}");
    }

    let away = [("http_proxy", "http://127.0.0.1:1")];
    laptop.restart(&away);
    let page = laptop.status_with("(relay_unreachable)");
    assert!(page.contains("the proxy refused the connection (by the proxy 127.0.0.1:1)"), "{page}");
    assert!(page.contains("next: http_proxy= vpd restart "), "{page}");

    let config = laptop.0.path().join("config.json");
    assert!(fs::read_to_string(&config).unwrap().contains("127.0.0.1:1"));
    laptop.restart(&[("http_proxy", "")]);
    let page = laptop.status_with("(relay_unreachable)");
    assert!(page.contains("its name does not resolve ("), "without a proxy: {page}");
    assert!(!fs::read_to_string(&config).unwrap().contains("proxy"), "forgotten");

    let logs = laptop.0.vpd(&["logs"]).stdout;
    assert!(logs.contains("the proxy answered HTTP 407") && !logs.contains(SECRET), "{logs}");
}

/// A proxy that stands in the way of pairing, and one that the running daemon does not know.
#[test]
fn pairing_names_the_proxy() {
    let (proxy, laptop) = (ForwardProxy::open(), Laptop(Home::new()));
    proxy.refuse_with(Some("407 Proxy Authentication Required"));
    let way = proxy.address().to_string();
    let environment = [("VIEWPORT_API_URL", "https://platform.test"), ("https_proxy", &*way)];
    let end = laptop.vpd(&["pair"], &environment);
    assert_eq!(end.code, 5, "{end:?}");
    let (met, next) = (
        "https://platform.test: the proxy answered HTTP 407",
        format!("next:   https_proxy=http://USER:PASSWORD@{way} vpd restart"),
    );
    assert!(end.stderr.contains(met) && end.stderr.contains(&next), "{}", end.stderr);
    assert!(!end.stderr.contains("note:"), "{}", end.stderr);
    let other = [("VIEWPORT_API_URL", "https://platform.test"), ("HTTPS_PROXY", "http://127.0.0.1:1")];
    let end = laptop.vpd(&["pair"], &other);
    assert!(end.stderr.contains("note: the daemon was started with other proxies"), "{}", end.stderr);
}

/// `daemon.tls.roots` is read at the start, by whom the message is for.
#[test]
fn roots_that_are_none_are_named() {
    let home = Home::new();
    let roots = home.path().join("roots.pem");
    let config = home.path().join("config.json");
    fs::write(&config, format!(r#"{{"daemon":{{"tls":{{"roots":[{roots:?}]}}}}}}"#)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let end = home.vpd(&["start"]);
    assert_eq!(end.code, 10, "{end:?}");
    assert!(end.stderr.contains("daemon.tls.roots: ") && end.stderr.contains("roots.pem: No such file"), "{}", end.stderr);
}
