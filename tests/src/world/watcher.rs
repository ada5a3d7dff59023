//! Somebody who watches.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{
    Instant, Jitter, Machine, Reason, SessionId, WallClock,
    api::Approval,
    crypto::{Identity, PureRust},
    device::{
        files::{BindingRecord, BindingState, RelayRecord, Unknown},
        uplink::Settings,
        viewer::{self, Viewer},
    },
    noise::{Noise, Symbolic},
    wire::{Outcome, Record},
};

use super::platform::API;

/// A viewer and what it showed.
#[derive(Debug)]
pub struct Watcher<N = Symbolic> {
    /// The machine.
    pub viewer: Viewer<N>,
    /// What its binding says.
    pub record: BindingRecord,
    /// Sessions it heard of.
    pub listed: BTreeSet<SessionId>,
    /// Records it showed.
    pub records: BTreeMap<SessionId, Vec<Record>>,
    /// Sessions that ended.
    pub ended: BTreeMap<SessionId, Outcome>,
    /// Sessions that cannot be shown.
    pub failed: BTreeMap<SessionId, Reason>,
    /// Why the link was down, every time.
    pub downs: Vec<Reason>,
    /// Why it was thrown out.
    pub revoked: Option<Reason>,
}

impl<N: Noise> Watcher<N> {
    pub(crate) fn new(now: Instant, clock: WallClock, identity: Identity, approval: Approval, jitter: Jitter) -> Self {
        let record = BindingRecord {
            workspace_id: approval.workspace.id,
            slug: approval.workspace.slug,
            name: approval.workspace.name,
            install_id: approval.install_id,
            runtime_target_id: approval.runtime_target_id,
            machine_id: approval.machine_id,
            issue_token: approval.issue_token,
            generation: 1,
            identity: String::new(),
            relay: RelayRecord::pin(&approval.relay),
            policy_mode: approval.policy_mode,
            psk: approval.psk,
            api: None,
            state: BindingState::Active,
            unknown: Unknown::new(),
        };
        let settings =
            Settings { api_endpoint: API.into(), relay_endpoint: None, software: "vpd 0.1.0".into(), aes_in_hardware: false };
        let viewer = Viewer::new(now, clock, &record, identity, &settings, &PureRust, jitter).unwrap();
        Self {
            viewer,
            record,
            listed: BTreeSet::new(),
            records: BTreeMap::new(),
            ended: BTreeMap::new(),
            failed: BTreeMap::new(),
            downs: Vec::new(),
            revoked: None,
        }
    }

    /// Hands an input over and takes what comes of it: effects, and what is to be told at once.
    pub(crate) fn tell(&mut self, now: Instant, input: viewer::Input) {
        self.viewer.handle_input(now, input).unwrap();
    }

    pub(crate) fn said(&mut self, output: viewer::Output) -> Option<Then> {
        match output {
            viewer::Output::Effect(effect) => return Some(Then::Perform(effect)),
            viewer::Output::Renewed(renewal) => {
                self.record.renew(&renewal);
                return Some(Then::Stored(self.record.relay.clone()));
            }
            viewer::Output::Up => {}
            viewer::Output::Down(reason) => self.downs.push(reason),
            viewer::Output::Listed(session) => assert!(self.listed.insert(session), "listed twice"),
            viewer::Output::Record(session, record) => self.records.entry(session).or_default().push(record),
            viewer::Output::Ended(session, outcome) => drop(self.ended.insert(session, outcome)),
            viewer::Output::Failed(session, reason) => drop(self.failed.insert(session, reason)),
            viewer::Output::Revoked(reason) => self.revoked = Some(reason),
        }
        None
    }
}

/// What a viewer's output leads to.
pub(crate) enum Then {
    Perform(proto_core::effect::Effect<proto_core::device::uplink::Ask>),
    Stored(RelayRecord),
}
