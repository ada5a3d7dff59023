//! A call about the organization's key as a request of this device: with its credential and the proof of its key (RFC 9449).

use alloc::{format, string::String, vec};
use core::time::Duration;

use serde::Serialize;

use crate::{
    JitterRng, UnixTime,
    api::{KEY_DEVICE_PATH, KEY_HANDOVERS_PATH, KEY_STATEMENTS_PATH, ORGANIZATION_KEY_PATH},
    crypto::Identity,
    device::{credential::unique, orgkey::Call},
    effect::{HttpRequest, Method},
    jose::{ProofTarget, prove},
    secret::{SecretBytes, SecretText},
};

/// How long the platform may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes: a page of statements and of waiting devices.
const MAX_ANSWER: usize = 262_144;

pub(super) fn request(
    call: &Call,
    api: &str,
    identity: &Identity,
    token: &SecretText,
    now: UnixTime,
    jitter: &mut JitterRng,
) -> HttpRequest {
    let (method, path, query, body) = match call {
        Call::View { after, machines } => {
            let machines = if *machines { "&machines=true" } else { "" };
            (Method::Get, ORGANIZATION_KEY_PATH, format!("?after={after}{machines}"), None)
        }
        Call::Register(registration) => (Method::Post, KEY_DEVICE_PATH, String::new(), Some(json(registration))),
        Call::Publish(publication) => (Method::Post, KEY_STATEMENTS_PATH, String::new(), Some(json(publication))),
        Call::HandOver(handover) => (Method::Post, KEY_HANDOVERS_PATH, String::new(), Some(json(handover))),
    };
    let url = format!("{api}{path}");
    let word = match method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let proof = prove(identity, ProofTarget { method: word, url: &url, token }, now, &unique(jitter));
    let authorization = SecretText::new(format!("DPoP {}", token.expose()));
    HttpRequest {
        method,
        url: url + &query,
        headers: vec![("Authorization", authorization), ("DPoP", proof)],
        body,
        timeout: TIMEOUT,
        max_answer: MAX_ANSWER,
    }
}

/// None of these has a value without a JSON form.
fn json(body: &impl Serialize) -> SecretBytes {
    SecretBytes::new(serde_json::to_vec(body).unwrap_or_default())
}
