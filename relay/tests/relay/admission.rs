//! Which devices are admitted, and what the others are told (ADM-2, D12).

use axum::http::StatusCode;
use proto_core::{
    Reason,
    effect::{Closed, UpgradeRefusal},
    jose::SigningKey,
    secret::{Secret, SecretText},
    wire::{Frame, Head, Role, Suite},
};
use serde_json::json;
use viewport_relay::Options;

use crate::{
    Site,
    device::{Device, Outcome, now},
};

/// The reason is in `/logs`, in its summary and in `/metrics`, under the same code.
async fn is_on_record(site: &Site, reason: Reason) {
    let code = reason.code();
    let lines = site.admin("/logs").await;
    assert!(lines.contains(&format!("reason={code}")), "{code} not in:\n{lines}");
    let summary = site.admin("/logs?summary=1").await;
    assert!(summary.contains(code) && summary.contains(reason.next()), "{code} not in:\n{summary}");
    let metrics = site.admin("/metrics").await;
    assert!(metrics.contains(&format!("reason=\"{code}\"")), "{code} not in:\n{metrics}");
}

async fn refused(site: &Site, device: &Device) -> Outcome {
    device.connect(site.address, site.key).await.expect_err("it was let in")
}

/// S178-S199: every refusal about a credential, under the relay's key.
#[tokio::test]
async fn a_credential_that_does_not_hold_is_refused_by_name() {
    let site = Site::open().await;
    let good = site.daemon("org", "target");
    let mut expired = good.clone();
    expired.claims.expires_at = now();
    expired.claims.expires_at.0 -= 120;
    let mut early = good.clone();
    early.claims.not_before = now().plus(600);
    let mut elsewhere = good.clone();
    elsewhere.claims.audience = "another audience".to_owned();
    let mut copied = good.clone();
    copied.identity = Device::new(Role::Daemon, "", "org", "target", 200).identity;
    let forged = Device { signer: SigningKey::from_seed(&Secret::new([1; 32])), ..good.clone() };
    let viewer_token = Device { claims: site.viewer("org", "target").claims, ..good.clone() };
    for (device, reason) in [
        (expired, Reason::TokenExpired),
        (early, Reason::TokenNotYetValid),
        (elsewhere, Reason::TokenWrongAudience),
        (copied, Reason::TokenKeyMismatch),
        (forged, Reason::SignatureMismatch),
        (viewer_token, Reason::TokenWrongAudience),
    ] {
        assert_eq!(refused(&site, &device).await, Outcome::Refused(reason));
        is_on_record(&site, reason).await;
    }
    good.connect(site.address, site.key).await.unwrap().leave().await;
}

#[tokio::test]
async fn what_the_platform_says_decides() {
    let site = Site::open().await;
    let device = site.daemon("org", "target");
    for reason in [Reason::MachineRevoked, Reason::WorkspaceNotFound, Reason::TokenSuperseded] {
        site.platform.refuses(reason.code());
        assert_eq!(refused(&site, &device).await, Outcome::Refused(reason));
        is_on_record(&site, reason).await;
    }
    site.platform.answers(StatusCode::INTERNAL_SERVER_ERROR, json!({}));
    assert_eq!(refused(&site, &device).await, Outcome::Refused(Reason::ValidateUnreachable));
    is_on_record(&site, Reason::ValidateUnreachable).await;
}

/// S199, S200.
#[tokio::test]
async fn a_wrong_internal_key_is_named() {
    let site = Site::open_with(|config| config.internal_key = SecretText::new("another key entirely"), Options::default()).await;
    let device = site.daemon("org", "target");
    assert_eq!(refused(&site, &device).await, Outcome::Refused(Reason::InternalKeyMismatch));
    is_on_record(&site, Reason::InternalKeyMismatch).await;
}

/// S178: the key set cannot be fetched, so no device is let in, and `/ready` says so.
#[tokio::test]
async fn an_unreachable_key_set_is_named() {
    let mut site = Site::open().await;
    *site.platform.jwks.lock().unwrap() = None;
    site.stop().await;
    let relay = viewport_relay::Relay::bind(site.config.clone()).await.unwrap();
    let serving = tokio::spawn(relay.serve(std::future::pending()));
    assert_eq!(site.get("/ready", None).await.status, 503);
    assert_eq!(site.get("/health", None).await.status, 200);
    assert_eq!(refused(&site, &site.daemon("org", "target")).await, Outcome::Refused(Reason::JwksUnreachable));
    is_on_record(&site, Reason::JwksUnreachable).await;
    serving.abort();
}

/// NOI-3, S192: every disagreement about a PSK, whichever side is wrong.
#[tokio::test]
async fn a_psk_that_does_not_fit_is_named() {
    let site = Site::open().await;
    let plain = site.daemon("org", "target");
    let with_psk = Device { suite: Suite::IkPsk2AesGcm, psk: Some(Secret::new([1; 32])), ..plain.clone() };
    site.platform.answers(StatusCode::OK, json!({"active": true, "policy_mode": "crypto_pairing"}));
    assert_eq!(refused(&site, &plain).await, Outcome::Refused(Reason::NoisePskInvalid), "IK under crypto_pairing");
    assert_eq!(refused(&site, &with_psk).await, Outcome::Closed(Some(Reason::NoisePskInvalid)), "no PSK on the platform");
    let another = json!({"active": true, "policy_mode": "crypto_pairing", "psk": Secret::new([2; 32])});
    site.platform.answers(StatusCode::OK, another);
    assert_eq!(refused(&site, &with_psk).await, Outcome::DidNotOpen, "another PSK on the platform");
    is_on_record(&site, Reason::NoisePskInvalid).await;
    assert!(site.admin("/logs").await.contains("reason=noise_psk_invalid stage=unconfirmed"));
    let same = json!({"active": true, "policy_mode": "crypto_pairing", "psk": Secret::new([1; 32])});
    site.platform.answers(StatusCode::OK, same);
    for suite in [Suite::IkPsk2AesGcm, Suite::IkPsk2ChaChaPoly] {
        let device = Device { suite, ..with_psk.clone() };
        device.connect(site.address, site.key).await.unwrap().leave().await;
    }
}

/// PIN-3: a device that pinned another key does not come in, and does not take the refusal for an instruction to delete anything.
#[tokio::test]
async fn another_relay_key_ends_the_handshake() {
    let site = Site::open().await;
    let device = site.daemon("org", "target");
    let another = Device::new(Role::Daemon, "", "org", "target", 201).identity.static_key();
    let outcome = device.connect(site.address, another).await.err().unwrap();
    assert_eq!(outcome, Outcome::Closed(Some(Reason::NoiseHandshakeFailed)));
    is_on_record(&site, Reason::NoiseHandshakeFailed).await;
}

/// S202-S205.
#[tokio::test]
async fn a_frame_over_the_limit_is_named() {
    let site = Site::open_with(|config| config.frame_max = 65_536, Options::default()).await;
    let mut daemon = site.daemon("org", "target").connect(site.address, site.key).await.unwrap();
    daemon.send_raw(vec![0; 65_537].into());
    let (_, reason) = daemon.hear_the_end().await;
    assert_eq!(reason, Some(Reason::FrameTooLarge));
    is_on_record(&site, Reason::FrameTooLarge).await;
}

#[tokio::test]
async fn an_invalid_frame_is_named() {
    let site = Site::open().await;
    let mut daemon = site.daemon("org", "target").connect(site.address, site.key).await.unwrap();
    daemon.send_raw(vec![0; 100].into());
    let (frames, reason) = daemon.hear_the_end().await;
    assert!(matches!(frames[..], [Frame { head: Head::Error { reason: Reason::FrameMalformed, .. }, .. }]), "{frames:?}");
    assert_eq!(reason, Some(Reason::FrameMalformed));
    is_on_record(&site, Reason::FrameMalformed).await;
}

/// S207-S210: before the upgrade, by the address behind a trusted proxy; 0 is off (all other tests), trusted addresses are exempt.
#[tokio::test]
async fn too_many_connections_of_one_address_are_refused_before_the_upgrade() {
    let site = Site::open_with(|config| config.rate_limit_per_ip = 2, Options::default()).await;
    let device = site.daemon("org", "target");
    for _ in 0..2 {
        device.connect(site.address, site.key).await.unwrap().leave().await;
    }
    let refusal = |outcome| match outcome {
        Outcome::NotOpened(Closed::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let limited = refusal(refused(&site, &device).await);
    assert!(limited.status == 429 && limited.is_problem && limited.retry_after.is_some(), "{limited:?}");
    let answer = site.get("/ws", None).await;
    let body = String::from_utf8_lossy(answer.body.expose()).into_owned();
    assert!(answer.status == 429 && body.contains("rate_limited"), "{} {body}", answer.status);
    assert!(answer.retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)));
    is_on_record(&site, Reason::RateLimited).await;

    let trusted = |config: &mut viewport_relay::Config| {
        config.rate_limit_per_ip = 1;
        config.trusted_ips = vec!["127.0.0.0/8".parse().unwrap()];
    };
    let site = Site::open_with(trusted, Options::default()).await;
    for _ in 0..3 {
        site.daemon("org", "target").connect(site.address, site.key).await.unwrap().leave().await;
    }
}

#[tokio::test]
async fn a_full_relay_says_so() {
    let site = Site::open_with(|config| config.max_connections = 1, Options::default()).await;
    let _first = site.daemon("org", "first").connect(site.address, site.key).await.unwrap();
    let second = refused(&site, &site.daemon("org", "second")).await;
    let full = UpgradeRefusal { status: 503, retry_after: Some(30), is_problem: true };
    assert_eq!(second, Outcome::NotOpened(Closed::Refused(full)));
    is_on_record(&site, Reason::RelayFull).await;
}
