//! What `vpd status` shows.

use alloc::{string::ToString, vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Reason,
    device::{
        bridge::SourceId,
        control::{Attached, BindingRow},
        files::{BindingRecord, BindingState, Config, Document},
        link::LinkState,
        uplink::testing::{RELAY_URL, RENEWABLE, record},
    },
    effect::{Effect, StateFile},
};

/// S139 to S150: the machine, and one row per binding in the order of their names, with its relay, its link and how long its
/// credential can be renewed.
#[test]
fn the_report_shows_machine_and_bindings() {
    let mut laptop = Laptop::paired();
    laptop.up(&org());
    let report = laptop.daemon.report();
    assert_eq!((&report.name[..], &report.version[..], report.pid, &report.api_endpoint[..]), ("laptop", "0.1.0", 7, API));
    let row = |record: BindingRecord, link| BindingRow {
        org: crate::api::Workspace { id: record.workspace_id, slug: record.slug, name: record.name },
        relay: RELAY_URL.into(),
        link,
        reason: None,
        obstacle: None,
        proxy: None,
        clock_ahead: None,
        draining: false,
        renewable_until: UNIX.plus(RENEWABLE).0,
        key: None,
        key_reason: None,
        without_envelope: 0,
    };
    assert_eq!(report.bindings, [row(record(), LinkState::Connected), row(beta_record(), LinkState::Connecting)]);
    assert_eq!((report.sessions, report.pairing), (vec![], None));
}

/// S166: the relay that config.json names is dialled and shown instead of the one that came with the pairing.
#[test]
fn the_report_names_the_relay_that_is_dialled() {
    let own = "wss://own.example/ws";
    let written = alloc::format!(r#"{{"daemon": {{"relay": {{"endpoint": "{own}"}}}}}}"#);
    let config = Config { bindings: vec![record()], ..Config::parse(written.as_bytes()).unwrap() };
    let mut laptop = Laptop::boot(&StoredState { config: Some(config.write().unwrap()), ..found() });
    laptop.pass(Duration::ZERO);
    assert!(laptop.net.iter().any(|effect| matches!(effect, Effect::Connect(_, connect) if connect.url == own)));
    assert_eq!(laptop.daemon.report().bindings[0].relay, own);
}

/// The binding that takes new sessions, and the one before it, which drains.
fn draining() -> (BindingId, StoredState) {
    let old = BindingId { runtime_target: "r0".parse().unwrap(), ..org() };
    let drains = BindingRecord { runtime_target_id: old.runtime_target.clone(), state: BindingState::Draining, ..record() };
    let active = BindingRecord { identity: "relay-identities/ORG+1.json".into(), ..record() };
    let found = StoredState {
        config: Some(config(vec![drains, active])),
        identities: vec![key_of(&org().org, 0, 3), key_of(&org().org, 1, 3)],
        ..with_pins([pin(1, &old, 1), pin(2, &old, 2)])
    };
    (old, found)
}

/// D2: a binding that drains is shown as such until its last session is over, and goes then. A session of it whose maker is
/// away may go on there; one that is over may not, for it would hold the binding up.
#[test]
fn a_draining_binding_goes_with_its_last_session() {
    let (old, found) = draining();
    let mut laptop = Laptop::boot(&found);
    let stays = laptop.streams(OTHER, BOUND);
    let rows = laptop.daemon.report().bindings.into_iter();
    assert_eq!(rows.map(|row| (row.draining, row.reason)).collect::<Vec<_>>(), [(true, None), (false, None)]);
    laptop.again(SOURCE, numbered(1));
    assert!(matches!(laptop.take_attached()[..], [(SOURCE, Attached::Streaming { .. })]));
    laptop.pass(RETURN_WITHIN);
    assert!(laptop.take_log().contains(&Event::SessionEnded(numbered(2), old.clone())));
    let third = SourceId(3);
    laptop.again(third, numbered(2));
    assert_eq!(laptop.take_attached(), [(third, Attached::LocalOnly { reason: Some(Reason::SessionCut) })]);
    laptop.input(Input::Detach(SOURCE));
    laptop.pass(RETURN_WITHIN);
    assert!(laptop.take_log().contains(&Event::Cut(old.clone(), None)));
    let (_, removed) = laptop.settle();
    assert!([1, 2].iter().all(|n| removed.contains(&StateFile::Session(numbered(*n)))));
    assert_eq!(laptop.take_log(), [Event::Gone(old)]);
    let report = laptop.daemon.report();
    let sessions: Vec<_> = report.sessions.into_iter().map(|row| row.id).collect();
    assert_eq!((report.bindings.len(), sessions), (1, vec![stays.to_string()]), "those of the new one go on");
}

/// S50: a binding that drains belongs to its org: one word unpairs both, and both are gone when it is answered.
#[test]
fn unpairing_takes_the_draining_binding_along() {
    let (_, found) = draining();
    let mut laptop = Laptop::boot(&found);
    laptop.take_said();
    laptop.request(1, Request::Unpair(crate::device::control::UnpairRequest { org: None }));
    laptop.settle();
    let gone = laptop.said.iter().filter(|output| matches!(output, Output::Log(Event::Gone(_)))).count();
    assert_eq!((gone, laptop.take_answers().len(), laptop.daemon.report().bindings.len()), (2, 1, 0));
}

/// While a binding is being removed `vpd status` does not show it any more.
#[test]
fn a_binding_that_leaves_is_not_shown() {
    let mut laptop = Laptop::paired();
    laptop.request(1, Request::Unpair(crate::device::control::UnpairRequest { org: Some("org".into()) }));
    assert_eq!(laptop.take_answers(), []);
    let rows: Vec<_> = laptop.daemon.report().bindings.into_iter().map(|row| row.org.slug).collect();
    assert_eq!(rows, ["beta"]);
}

/// A directory that is bound to an org that this daemon is not paired with shows the org's id.
#[test]
fn directories_of_strangers_show_an_id() {
    let laptop = Laptop::boot(&StoredState { config: Some(config(vec![record()])), ..found() });
    let orgs: Vec<_> = laptop.daemon.report().directories.into_iter().map(|row| row.org).collect();
    assert_eq!(orgs, ["Org", "BETA"]);
}
