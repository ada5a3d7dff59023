//! What a daemon answers, for tests of what is printed of it.

use proto_core::{
    api::Workspace,
    device::{control::BindingRow, link::LinkState},
};

/// A binding that is connected and of which nothing is in the way.
pub(super) fn binding(name: &str) -> BindingRow {
    BindingRow {
        org: Workspace { id: "01J7".parse().expect("an id"), slug: name.to_lowercase(), name: name.into() },
        relay: "wss://relay.example/ws".into(),
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
    }
}
