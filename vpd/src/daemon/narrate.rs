//! What happened, as lines of the log. They can be grepped: everything about pairing says "pair" (S161).

use proto_core::device::daemon::Event;
use tracing::{info, warn};

/// Writes one event down.
pub(super) fn event(event: &Event) {
    match event {
        Event::PairingShown => info!("pairing: a code waits for its approval"),
        Event::PairingTrouble(reason) => warn!(reason = reason.code(), "pairing: {reason}; it goes on"),
        Event::Paired(org) => info!(org = %org.id, "pairing: paired with {}", org.name),
        Event::PairingFailed(reason) => warn!(reason = reason.code(), "pairing: {reason}"),
        Event::Connected(binding) => info!(org = %binding.org, "relay: connected"),
        Event::Disconnected(binding, reason) => {
            warn!(org = %binding.org, reason = reason.code(), "relay: not connected: {reason}");
        }
        Event::Renewed(binding) => info!(org = %binding.org, "credential: renewed"),
        Event::NotRenewed(binding, reason) => {
            warn!(org = %binding.org, reason = reason.code(), "credential: not renewed: {reason}; it is tried again");
        }
        Event::Lapsed(binding) => warn!(org = %binding.org, "credential: cannot be renewed any more; vpd unpair && vpd pair"),
        Event::Draining(binding) => info!(org = %binding.org, "binding: replaced; its running sessions go on"),
        Event::Cut(binding, Some(reason)) => warn!(org = %binding.org, reason = reason.code(), "binding: cut: {reason}"),
        Event::Cut(binding, None) => info!(org = %binding.org, "binding: unpaired, or its last session ended"),
        Event::Gone(binding) => info!(org = %binding.org, "binding: nothing of it is left"),
        Event::SessionStarted(session, binding) => info!(%session, org = %binding.org, "session: streams"),
        Event::SessionEnded(session, binding) => info!(%session, org = %binding.org, "session: over"),
        Event::Trouble(reason) => warn!(reason = reason.code(), "{reason}"),
    }
}
