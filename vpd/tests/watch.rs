//! `vpd watch` before there is anything to see: its home, its first pairing, and Ctrl-C.

mod program;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use axum::{Json, Router, http::StatusCode, routing::post};
use tokio::net::TcpListener;

use program::Home;

/// D12: the message of a second `vpd watch` says what is true, and not to stop a daemon that has nothing to do with it.
#[test]
fn a_second_watch_says_that_another_one_is_open() {
    let home = Home::new();
    let files = io_engine::Home::at(home.path().join("viewer"));
    let _held = files.lock().unwrap();
    for arguments in [&["watch"][..], &["watch", "--list"]] {
        let end = home.vpd(arguments);
        assert_eq!(end.code, 10, "{end:?}");
        assert!(end.stderr.contains("another vpd watch of this home is open"), "{}", end.stderr);
        assert!(end.stderr.contains("viewer_in_use") && !end.stderr.contains("vpd stop"), "{}", end.stderr);
    }
}

/// A platform that gives a code, and never decides about it.
async fn platform() -> String {
    let code = || async {
        let code = serde_json::json!({
            "code": "BCDF2345", "status_token": "s", "url": "https://app.example/pair?code=BCDF2345", "expires_in": 900
        });
        (StatusCode::CREATED, Json(code))
    };
    let pending = || async { Json(serde_json::json!({ "status": "pending" })) };
    let router =
        Router::new().route("/api/pairing-codes", post(code)).route("/api/pairing-codes/{code}", axum::routing::get(pending));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// S20: Ctrl-C at a viewer that waits for its approval cancels the pairing: it says so, and nothing of it stays on disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_interrupted_first_use_leaves_nothing_behind() {
    let home = Home::new();
    let url = platform().await;
    let mut command = home.command(&["watch"]);
    let mut child = command.env("VIEWPORT_API_URL", url).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let before: Vec<_> = said.by_ref().take_while(|line| !line.contains("Waiting for confirmation")).collect();
    assert!(before.iter().any(|line| line.contains("BCDF-2345")), "{before:?}");
    let pending = home.path().join("viewer/pending-pairing.json");
    assert!(pending.exists(), "a code that is shown is durable");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let after: Vec<_> = said.collect();
    assert_eq!(child.wait().unwrap().code(), Some(4), "{after:?}");
    assert!(after.iter().any(|line| line.contains("pairing_cancelled")), "{after:?}");
    assert!(!pending.exists());
}
