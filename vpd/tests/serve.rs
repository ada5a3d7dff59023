//! `vpd serve`: both servers from one directory, found by what it prints.

mod program;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use program::Home;

/// A server that says nothing for so long never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// Servers that are up, and what they said about themselves.
struct Serving {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    place: Value,
}

impl Serving {
    fn start(home: &Home) -> Self {
        let arguments = ["serve", "--json", "--listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"];
        let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Self { child, _stdout: stdout, place: serde_json::from_str(&line).unwrap() }
    }

    fn text(&self, name: &str) -> &str {
        self.place[name].as_str().unwrap()
    }

    /// The status line and the body of an answer.
    fn get(&self, listen: &str, path: &str) -> (String, String) {
        let address: SocketAddr = self.text(listen).parse().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// Asks it to end, as an init system does.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

/// S164, and the relay beside it.
#[test]
fn both_servers_answer_where_they_say() {
    let home = Home::new();
    let serving = Serving::start(&home);
    assert_eq!(serving.get("listen", "/api/health").0, "HTTP/1.1 200 OK");
    assert_eq!(serving.get("relay_listen", "/health").0, "HTTP/1.1 200 OK");
    let setup = serving.text("setup_url");
    let path = setup.strip_prefix(serving.text("public_url")).unwrap();
    assert!(serving.get("listen", path).1.contains("Create account and workspace"));
    assert_eq!(serving.text("relay_url"), format!("ws://{}/ws", serving.text("relay_listen")));
    assert_eq!(serving.stop(), Some(0));
}

/// Keys are made once: credentials from before a restart still count after it.
#[test]
fn a_restart_keeps_the_keys() {
    let home = Home::new();
    let keys = [(); 2].map(|()| {
        let serving = Serving::start(&home);
        let keys = serving.get("listen", "/api/.well-known/jwks.json").1;
        assert_eq!(serving.stop(), Some(0));
        keys
    });
    assert!(keys[0].contains("OKP"));
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    let serving = Serving::start(&home);
    let end = home.vpd(&["serve", "--listen", serving.text("listen"), "--relay-listen", "127.0.0.1:0"]);
    assert_eq!(end.code, 1);
    assert!(end.stderr.contains("cannot listen on") && end.stderr.contains(serving.text("listen")), "{}", end.stderr);
    assert_eq!(serving.stop(), Some(0));
}
