//! What `vpd pair` may do on a daemon that is already paired (D1).

use crate::{
    Reason,
    api::{PairingMode, Workspace},
};

/// Decides, before any code is minted, how a pairing goes on with the `bound` organizations: as asked, or, when `org` (an id or
/// a slug) names one that is not bound yet, as an explicit add.
///
/// # Errors
/// [`Reason::AlreadyPaired`]: nothing is overwritten by surprise (S48).
pub fn decide_mode<'a>(
    asked: PairingMode,
    org: Option<&str>,
    bound: impl IntoIterator<Item = &'a Workspace>,
) -> Result<PairingMode, Reason> {
    let mut bound = bound.into_iter().peekable();
    if asked != PairingMode::New || bound.peek().is_none() {
        return Ok(asked);
    }
    match org {
        Some(org) if !bound.any(|workspace| workspace.is_named(org)) => Ok(PairingMode::Add),
        _ => Err(Reason::AlreadyPaired),
    }
}
