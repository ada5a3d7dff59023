//! The commands that ask the daemon, against one that answers what the test wants.

mod program;

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Read as _},
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use hyper::body::Frame;
use proto_core::{
    Reason,
    api::{PairingMode, Problem, Workspace},
    device::{
        control::{BindRequest, BindingRow, Bound, PairEvent, PairRequest, PendingPairing, Report, UnpairRequest, Unpaired},
        link::LinkState,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{net::UnixListener, runtime::Runtime};

use program::Home;

fn acme() -> Workspace {
    Workspace { id: "01J7M8".parse().unwrap(), slug: "acme".into(), name: "Acme Engineering".into() }
}

fn report() -> Report {
    let relay = "ws://relay.acme.example/ws".to_owned();
    let binding = BindingRow {
        org: acme(),
        relay,
        link: LinkState::Connected,
        reason: None,
        obstacle: None,
        proxy: None,
        clock_ahead: None,
        draining: false,
        renewable_until: 0,
        key: None,
        key_reason: None,
        without_envelope: 0,
    };
    Report {
        name: "mehr-mbp".into(),
        version: "0.1.0".into(),
        pid: 7,
        api_endpoint: "https://api.your-co.com".into(),
        api_proxy: None,
        bindings: vec![binding],
        directories: Vec::new(),
        sessions: Vec::new(),
        spool: Vec::new(),
        pairing: None,
    }
}

fn code() -> PairEvent {
    let url = "https://app.getviewport.com/pair?code=BCDF2345".to_owned();
    PairEvent::Code(PendingPairing { code: "BCDF2345".into(), url, expires_in: 900 })
}

fn lines(events: &[PairEvent]) -> String {
    events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
}

/// Answers on the socket of `home` as long as the runtime lives.
fn serve(home: &Home, router: Router) -> Runtime {
    let runtime = Runtime::new().unwrap();
    let path = home.path().join("vpd.sock");
    let router = router.route("/v1/status", get(async || Json(report())));
    let listener = runtime.block_on(async { UnixListener::bind(path).unwrap() });
    runtime.spawn(async { axum::serve(listener, router).await.unwrap() });
    runtime
}

fn problem(reason: Reason) -> Response {
    (StatusCode::CONFLICT, Json(Problem::because(409, reason))).into_response()
}

/// S3, S16, S26, S25: the page, the code, a waiting line, and the organization's name at the end.
#[test]
fn pairing_shows_the_page_waits_and_ends_with_the_name() {
    let home = Home::new();
    let asked = Arc::new(Mutex::new(None));
    let events = lines(&[
        code(),
        PairEvent::Trouble { reason: Reason::PlatformUnreachable, obstacle: None },
        PairEvent::Paired { org: acme(), refreshed: false },
    ]);
    let note = Arc::clone(&asked);
    let pair = post(move |Json(request): Json<PairRequest>| {
        *note.lock().unwrap() = Some(request);
        std::future::ready(events)
    });
    let _runtime = serve(&home, Router::new().route("/v1/pair", pair));
    let end = home.vpd(&["pair", "--add", "--org", "acme"]);
    assert_eq!(end.code, 0, "{}", end.stderr);
    assert_eq!(*asked.lock().unwrap(), Some(PairRequest { mode: PairingMode::Add, org: Some("acme".into()), name: None }));
    for part in [
        "https://app.getviewport.com/pair?code=BCDF2345\n",
        "BCDF2345",
        "15 minutes",
        "Paired with Acme Engineering.",
        "--org acme",
    ] {
        assert!(end.stdout.contains(part), "{part} in {}", end.stdout);
    }
    for part in ["Waiting for confirmation...", "platform_unreachable"] {
        assert!(end.stderr.contains(part), "{part} in {}", end.stderr);
    }
}

#[test]
fn pairing_as_json_is_one_event_per_line() {
    let home = Home::new();
    let events = lines(&[code(), PairEvent::Failed { reason: Reason::CodeExpired, obstacle: None }]);
    let said = events.clone();
    let _runtime = serve(&home, Router::new().route("/v1/pair", post(async move || said)));
    let end = home.vpd(&["pair", "--json"]);
    assert_eq!((end.code, end.stdout), (4, events));
    assert!(end.stderr.contains("code_expired"));
}

/// S41, S48, D1: refused, with what is there already and both ways on.
#[test]
fn already_paired_names_the_bindings_and_both_commands() {
    let home = Home::new();
    let _runtime = serve(&home, Router::new().route("/v1/pair", post(async || problem(Reason::AlreadyPaired))));
    let end = home.vpd(&["pair"]);
    assert_eq!((end.code, end.stdout.as_str()), (3, ""));
    for part in
        ["already paired", "Acme Engineering  ws://relay.acme.example/ws  connected", "vpd pair --add", "vpd pair --replace"]
    {
        assert!(end.stderr.contains(part), "{part} in {}", end.stderr);
    }
}

/// An answer that stays open after its first words, as the daemon's does while a pairing waits.
struct HeldOpen(Option<Bytes>);

impl hyper::body::Body for HeldOpen {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |words| Poll::Ready(Some(Ok(Frame::data(words)))))
    }
}

/// S20: Ctrl-C cancels the pairing at the daemon.
#[test]
fn control_c_cancels() {
    let home = Home::new();
    let cancelled = Arc::new(Mutex::new(false));
    let note = Arc::clone(&cancelled);
    let wait = async || Response::new(Body::new(HeldOpen(Some(lines(&[code()]).into()))));
    let cancel = move || {
        *note.lock().unwrap() = true;
        std::future::ready(StatusCode::NO_CONTENT)
    };
    let _runtime = serve(&home, Router::new().route("/v1/pair", post(wait).delete(cancel)));
    let mut child = home.command(&["pair"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("Waiting for confirmation"), "{line}");
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(rest.contains("pairing_cancelled"), "{rest}");
    assert!(*cancelled.lock().unwrap());
}

/// S50, S86, S148: one line with what was done, and the request as it was typed.
#[test]
fn binding_and_unpairing_say_what_was_done() {
    let home = Home::new();
    let bind = post(async |Json(request): Json<BindRequest>| {
        assert_eq!((request.org.as_deref(), request.recursive), (Some("acme"), true));
        Json(Bound { directory: request.directory, org: acme() })
    });
    let unpair = post(async |Json(request): Json<UnpairRequest>| {
        assert_eq!(request.org.as_deref(), Some("01J7M8"));
        Json(Unpaired { org: acme() })
    });
    let _runtime = serve(&home, Router::new().route("/v1/bind", bind).route("/v1/unpair", unpair));
    let place = tempfile::tempdir().unwrap();
    let path = place.path().canonicalize().unwrap();
    let bound = home.vpd(&["bind", place.path().to_str().unwrap(), "--org", "acme", "--recursive"]);
    assert_eq!((bound.code, bound.stdout), (0, format!("✓ {}/... → Acme Engineering\n", path.display())));
    let unpaired = home.vpd(&["unpair", "--org", "01J7M8"]);
    assert_eq!((unpaired.code, unpaired.stdout.as_str()), (0, "✓ No longer paired with Acme Engineering.\n"));
}

/// F40: without a terminal to ask on, a bind that would replace another one is refused with both names of what to do; `--yes`
/// answers.
#[test]
fn a_bind_that_replaces_another_says_so() {
    let home = Home::new();
    let bind = post(async |Json(request): Json<BindRequest>| {
        if !request.confirmed {
            return problem(Reason::BindReplaces).into_response();
        }
        Json(Bound { directory: request.directory, org: acme() }).into_response()
    });
    let _runtime = serve(&home, Router::new().route("/v1/bind", bind));
    let refused = home.vpd(&["bind", "/"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (3, ""));
    assert!(refused.stderr.contains("bind_replaces") && refused.stderr.contains("vpd bind --yes"), "{}", refused.stderr);
    assert!(refused.stderr.contains("/ is bound to"), "{}", refused.stderr);
    let bound = home.vpd(&["bind", "--yes", "/"]);
    assert_eq!((bound.code, bound.stdout.as_str()), (0, "✓ / → Acme Engineering\n"));
    assert!(bound.stderr.contains("covers more than a project"), "{}", bound.stderr);
}

#[test]
fn a_refusal_is_passed_on_with_its_reason() {
    let home = Home::new();
    let _runtime = serve(&home, Router::new().route("/v1/unpair", post(async || problem(Reason::OrgAmbiguous))));
    let end = home.vpd(&["unpair"]);
    assert_eq!(end.code, 3);
    assert!(end.stderr.contains("org_ambiguous") && end.stderr.contains("--org"), "{}", end.stderr);
}

#[test]
fn status_is_the_report_in_json_too() {
    let home = Home::new();
    let _runtime = serve(&home, Router::new());
    let end = home.vpd(&["status", "--json"]);
    assert_eq!(serde_json::from_str::<Report>(&end.stdout).unwrap(), report());
    assert!(home.vpd(&["status"]).stdout.starts_with("Daemon: mehr-mbp · v0.1.0 · running\nOrg bindings (1):\n"));
}

/// A daemon of another version may answer what we do not understand; that is said, and nothing hangs or panics.
#[test]
fn answers_that_make_no_sense_are_an_error() {
    let home = Home::new();
    let _runtime = serve(&home, Router::new().route("/v1/pair", post(async || "nonsense\n")));
    let end = home.vpd(&["pair"]);
    assert_eq!(end.code, 5);
    assert!(end.stderr.contains("peer_error"), "{}", end.stderr);
}

/// S162: another platform than the daemon's is not silently ignored.
#[test]
fn a_platform_that_the_daemon_does_not_use_is_noted() {
    let home = Home::new();
    let events = lines(&[PairEvent::Paired { org: acme(), refreshed: true }]);
    let _runtime = serve(&home, Router::new().route("/v1/pair", post(async || events)));
    let end = home.command(&["pair", "--add"]).env("VIEWPORT_API_URL", "https://other.example").output().unwrap();
    assert!(String::from_utf8(end.stderr).unwrap().contains("vpd restart"));
    assert!(String::from_utf8(end.stdout).unwrap().starts_with("✓ Refreshed the pairing with Acme Engineering."));
}
