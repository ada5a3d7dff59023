//! What operators see.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use proto_core::secret::SecretText;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use viewport_relay::{Options, Relay, RelayError, static_keys};

use crate::{ADMIN_TOKEN, Site};

/// S172, S220.
#[tokio::test]
async fn the_admin_endpoints_ask_for_their_token() {
    let site = Site::open().await;
    for path in ["/logs", "/state", "/metrics"] {
        for wrong in [None, Some(""), Some("wrong"), Some("admin token of the test"), Some("admin token of the tests!")] {
            assert_eq!(site.get(path, wrong).await.status, 401, "{path} {wrong:?}");
        }
        assert_eq!(site.get(path, Some(ADMIN_TOKEN)).await.status, 200);
    }
    let without = Site::open_with(|config| config.admin_token = None, Options::default()).await;
    assert_eq!(without.get("/logs", Some(ADMIN_TOKEN)).await.status, 404);
}

/// No token, key or content is in what an operator, or a thief of the logs, can read.
#[tokio::test]
async fn nothing_secret_is_shown() {
    let site = Site::open().await;
    let device = site.daemon("org", "daemon");
    device.connect(site.address, site.key).await.unwrap().leave().await;
    let all = [site.admin("/logs").await, site.admin("/state").await, site.admin("/metrics").await].concat();
    assert!(all.contains("daemon admitted"), "{all}");
    let secrets = [device.token(), SecretText::new(ADMIN_TOKEN), site.config.internal_key.clone()];
    for secret in secrets {
        assert!(!all.contains(secret.expose()));
    }
}

#[tokio::test]
async fn logs_can_be_asked_for_from_a_moment_on() {
    let site = Site::open().await;
    assert!(site.admin("/logs?since=1m").await.contains("serving"));
    assert_eq!(site.admin("/logs?since=4102444800").await, "");
    assert_eq!(site.get("/logs?since=yesterday", Some(ADMIN_TOKEN)).await.status, 400);
}

/// The answer to a path that is none, and to `/ws` without a WebSocket, is plain HTTP; a head that never ends is not waited for.
#[tokio::test]
async fn plain_http_is_answered_plainly() {
    let site = Site::open().await;
    assert_eq!(site.get("/nothing", None).await.status, 404);
    assert_eq!(site.get("/ws", None).await.status, 400);
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    // More than the relay reads of a head; it may hang up in the middle.
    let _ = stream.write_all(&vec![b'a'; 1 << 20]).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn the_static_key_is_known_before_the_relay_starts() {
    let mut site = Site::open().await;
    site.stop().await;
    assert_eq!(static_keys(&site.config.static_key_file).unwrap().public(), site.key);
    let mode = std::fs::metadata(&site.config.static_key_file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(site.config.static_key_file.starts_with(site.dir()));
}

#[tokio::test]
async fn an_address_or_directory_in_use_is_said() {
    let site = Site::open().await;
    assert!(matches!(Relay::bind(site.config.clone()).await, Err(RelayError::Listen { .. })));
    let mut elsewhere = site.config.clone();
    elsewhere.listen = "127.0.0.1:0".parse().unwrap();
    assert!(matches!(Relay::bind(elsewhere).await, Err(RelayError::Store(_))));
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_viewport-relay"));
    command.env_clear().env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command
}

#[test]
fn the_program_names_itself_and_its_settings() {
    let version = program().arg("--version").output().unwrap();
    assert!(version.status.success());
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("viewport-relay "));
    let help = String::from_utf8(program().arg("--help").output().unwrap().stdout).unwrap();
    assert!(help.contains("RELAY_FRAME_MAX_BYTES") && help.contains("RELAY_TRUSTED_PROXIES"), "{help}");
}

/// Bad settings end it at once, with the name that was meant.
#[test]
fn the_program_refuses_bad_settings() {
    let output = program().env("RELAY_JWKS_URI", "x").output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("unknown setting RELAY_JWKS_URI: did you mean RELAY_JWKS_URL?"), "{text}");
}
