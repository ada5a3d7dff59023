//! What happened, as lines of the log. They can be grepped: everything about pairing says "pair" (S161).

use proto_core::{
    Obstacle, Reason,
    device::{daemon::Event, orgkey::KeyEvent},
};
use tracing::{info, warn};

/// Writes one event down.
pub(super) fn event(event: &Event) {
    match event {
        Event::PairingShown => info!("pairing: a code waits for its approval"),
        Event::PairingTrouble(reason, met) => warn!(reason = reason.code(), "pairing: {}; it goes on", explained(*reason, *met)),
        Event::Paired(org) => info!(org = %org.id, "pairing: paired with {}", org.name),
        Event::PairingFailed(reason, met) => warn!(reason = reason.code(), "pairing: {}", explained(*reason, *met)),
        Event::Connected(binding) => info!(org = %binding.org, "relay: connected"),
        Event::Disconnected(binding, reason, met) => {
            warn!(org = %binding.org, reason = reason.code(), "relay: not connected: {}", explained(*reason, *met));
        }
        Event::Renewed(binding) => info!(org = %binding.org, "credential: renewed"),
        Event::NotRenewed(binding, reason, met) => {
            let why = explained(*reason, *met);
            warn!(org = %binding.org, reason = reason.code(), "credential: not renewed: {why}; it is tried again");
        }
        Event::RenewalExpired(binding) => {
            warn!(org = %binding.org, "credential: cannot be renewed any more; vpd unpair && vpd pair");
        }
        Event::Draining(binding) => info!(org = %binding.org, "binding: replaced; its running sessions go on"),
        Event::Cut(binding, Some(reason)) => warn!(org = %binding.org, reason = reason.code(), "binding: cut: {reason}"),
        Event::Cut(binding, None) => info!(org = %binding.org, "binding: unpaired, or its last session ended"),
        Event::Gone(binding) => info!(org = %binding.org, "binding: nothing of it is left"),
        Event::SessionStarted(session, binding) => info!(%session, org = %binding.org, "session: streams"),
        Event::SessionEnded(session, binding) => info!(%session, org = %binding.org, "session: over"),
        Event::Key(binding, KeyEvent::Newer) => info!(org = %binding.org, "organization's key: a newer generation"),
        Event::Key(binding, KeyEvent::Trouble(reason)) => {
            warn!(org = %binding.org, reason = reason.code(), "organization's key: {reason}; it is tried again");
        }
        // A daemon holds, makes and hands over nothing.
        Event::Key(..) => {}
        Event::SessionDeclined(session, binding, reason) => {
            warn!(%session, org = %binding.org, reason = reason.code(), "session: {reason}; it is kept, and the relay asked again");
        }
        Event::Trouble(reason) => warn!(reason = reason.code(), "{reason}"),
    }
}

fn explained(reason: Reason, met: Option<Obstacle>) -> String {
    met.map_or_else(|| reason.to_string(), |met| format!("{reason}: {met}"))
}
