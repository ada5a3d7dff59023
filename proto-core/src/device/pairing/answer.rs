//! Reading what the platform says. Nothing of it is shown, sent or stored before it was found to be what WIRE section 2 says.

use alloc::string::String;
use core::time::Duration;

use serde::Deserialize;

use crate::{
    Reason,
    api::{Approval, CodeText, MintAnswer, PolicyMode, PollAnswer, Problem, is_name, is_url, is_visible, key_set, refusal},
    device::files::is_slug,
    effect::HttpAnswer,
    jose::JwkSet,
    wire::MAX_TOKEN_LEN,
};

/// The longest status token.
const MAX_STATUS_TOKEN_LEN: usize = 512;

/// The longest display name, in characters.
const MAX_NAME_LEN: usize = 200;

/// What a poll brought.
pub(super) enum Polled {
    Pending,
    Approved(alloc::boxed::Box<Approval>),
    Denied,
    /// 404: expired or unknown.
    Gone,
    /// Ask less often from now on.
    SlowDown,
    /// Not an answer to this question; the pairing goes on.
    Trouble(Reason),
}

/// A code, or why there is none.
pub(super) fn minted(answer: &HttpAnswer) -> Result<MintAnswer, Reason> {
    if answer.status != 201 && answer.status != 200 {
        return Err(refusal(answer));
    }
    let minted: MintAnswer = serde_json::from_slice(answer.body.expose()).map_err(|_| Reason::PlatformAnswerInvalid)?;
    let code: CodeText = minted.code.parse().map_err(|_| Reason::PlatformAnswerInvalid)?;
    let is_sound = code.as_str() == minted.code
        && is_url(&minted.url, &["https://", "http://"])
        && is_visible(minted.status_token.expose(), MAX_STATUS_TOKEN_LEN);
    if is_sound { Ok(minted) } else { Err(Reason::PlatformAnswerInvalid) }
}

/// Whether asking for a code again can help: no answer came, or the server is in trouble.
pub(super) const fn may_mint_again(status: u16) -> bool {
    status >= 500
}

pub(super) fn polled(answer: &HttpAnswer) -> Polled {
    let body = answer.body.expose();
    match answer.status {
        200 => match serde_json::from_slice(body) {
            Ok(PollAnswer::Pending) => Polled::Pending,
            Ok(PollAnswer::Denied) => Polled::Denied,
            Ok(PollAnswer::Approved(approval)) if is_sound(&approval) => Polled::Approved(approval),
            Ok(PollAnswer::Approved(_)) | Err(_) => Polled::Trouble(Reason::PlatformAnswerInvalid),
        },
        // A proxy's page says 404 as well; only the platform's own answer ends a pairing.
        404 if serde_json::from_slice::<Problem>(body).is_ok() => Polled::Gone,
        429 => Polled::SlowDown,
        400 if is_slow_down(body) => Polled::SlowDown,
        _ => Polled::Trouble(refusal(answer)),
    }
}

/// The keys that a credential is verified with.
pub(super) fn keys(answer: &HttpAnswer) -> Result<JwkSet, Reason> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    key_set(answer.body.expose())
}

/// How long `Retry-After` asks to wait; a server may not ask for more than `cap`.
pub(super) fn retry_after(answer: &HttpAnswer, cap: Duration) -> Duration {
    Duration::from_secs(answer.retry_after.unwrap_or(0).into()).min(cap)
}

/// RFC 8628 section 3.5, as servers of that flow spell it.
fn is_slow_down(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct OAuthError {
        error: String,
    }
    serde_json::from_slice::<OAuthError>(body).is_ok_and(|body| body.error == "slow_down")
}

fn is_sound(approval: &Approval) -> bool {
    is_name(&approval.workspace.name, MAX_NAME_LEN)
        && is_slug(&approval.workspace.slug)
        && is_visible(approval.issue_token.expose(), MAX_TOKEN_LEN)
        && approval.relay.is_sound()
        && approval.psk.is_some() == (approval.policy_mode == PolicyMode::CryptoPairing)
}
