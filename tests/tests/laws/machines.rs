//! Every machine of the core keeps the laws.

use std::time::Duration;

use proto_core::{
    BindingId, Machine,
    device::{
        daemon::{Daemon, EffectId, Output},
        files::{Document, SessionFile},
    },
    effect::{Effect, StateFile},
    id::DeviceKind,
    noise::Symbolic,
};
use verification::laws::{
    self, START, Subject,
    subjects::{
        admission, binding, bridge, connection, consent, credential, daemon, handshake, hub, keyset, link, orgkey, pairing,
        pairing_code, revocations, session, spool, uplink, viewer, watcher,
    },
};

#[test]
fn an_admission_keeps_the_laws() {
    laws::check(
        &admission::Entering,
        256,
        &[
            "waiting for the signing key",
            "waiting for the platform",
            "failed: TokenMalformed",
            "failed: MachineRevoked",
            "finished",
        ],
    );
}

#[test]
fn the_bindings_keep_the_laws() {
    laws::check(&binding::Bound, 128, &["waiting for a state file", "waiting for commands", "waiting for the time to write"]);
}

#[test]
fn a_bridge_keeps_the_laws() {
    laws::check(&bridge::Streaming, 128, &["waiting for the next attempt", "waiting for frames", "finished"]);
}

#[test]
fn a_pairing_code_keeps_the_laws() {
    laws::check(
        &pairing_code::Code,
        256,
        &["waiting for a decision", "waiting for whether", "waiting for polls", "failed: Denied", "failed: Expired"],
    );
}

#[test]
fn a_consent_resolver_keeps_the_laws() {
    laws::check(&consent::Asked, 256, &["waiting for what stands", "finished"]);
}

#[test]
fn a_rotation_keeps_the_laws() {
    laws::check(
        &credential::Renewing,
        128,
        &["waiting for the time", "waiting for the platform", "waiting for the new credential", "waiting for a new pairing"],
    );
}

#[test]
fn the_daemon_keeps_the_laws() {
    laws::check(&daemon::Whole, 64, &["waiting for requests, sessions and the network"]);
}

/// What the laws do not ask: a session of a binding that is connected is pinned and opened, in the traces above as well.
#[test]
fn the_daemon_of_the_laws_streams() {
    let said = |machine: &mut Daemon<Symbolic>| -> Vec<Output> { std::iter::from_fn(|| Machine::poll_output(machine)).collect() };
    let mut machine = daemon::Whole.start(1);
    let mut outputs = said(&mut machine);
    for fact in [daemon::Fact::Start(1), daemon::Fact::Looked, daemon::Fact::Looked] {
        let input = daemon::Whole.input(&fact, &outputs);
        Machine::handle_input(&mut machine, START.after(Duration::from_secs(1)), input).unwrap();
        outputs.extend(said(&mut machine));
    }
    let pin = BindingId { org: "A".parse().unwrap(), runtime_target: "r1".parse().unwrap() };
    let is_pin = |output: &Output| {
        matches!(output, Output::Effect(Effect::Store(EffectId::Pin(_), StateFile::Session(_), bytes))
        if SessionFile::parse(bytes.expose()).unwrap().pin() == pin)
    };
    assert!(outputs.iter().any(is_pin));
}

#[test]
fn an_initiator_keeps_the_laws() {
    laws::check(
        &handshake::AwaitingFirstMessage,
        128,
        &["waiting for message 2", "failed: Broken", "failed: Refused", "finished"],
    );
}

#[test]
fn a_responder_keeps_the_laws() {
    let waits = ["waiting for message 1", "waiting for the verdict", "waiting for the first transport message"];
    laws::check(
        &handshake::Opening,
        128,
        &[&waits[..], &["failed: NoisePskInvalid", "failed: HandshakeTimedOut", "finished"]].concat(),
    );
}

#[test]
fn the_hub_keeps_the_laws() {
    laws::check(&hub::Routing, 256, &["waiting for connections"]);
}

#[test]
fn a_key_set_keeps_the_laws() {
    laws::check(&keyset::Keys, 256, &["waiting for a lookup", "waiting for the key set"]);
}

#[test]
fn an_organizations_key_keeps_the_laws() {
    let waits = ["the link", "the time to look", "the platform's answer", "the organization's key to be durable"];
    let waits: Vec<_> = waits.iter().map(|what| format!("waiting for {what}")).collect();
    laws::check(&orgkey::Held(DeviceKind::Viewer), 64, &waits.iter().map(String::as_str).collect::<Vec<_>>());
    laws::check(&orgkey::Held(DeviceKind::Daemon), 32, &[]);
}

#[test]
fn a_feed_of_revocations_keeps_the_laws() {
    laws::check(&revocations::Followed, 256, &["waiting for the next request", "waiting for the platform's answer"]);
}

#[test]
fn a_link_keeps_the_laws() {
    let waits = ["the next attempt", "the WebSocket", "the relay's answer", "frames", "the close"];
    let reached: Vec<_> = waits.iter().map(|what| format!("waiting for {what}")).collect();
    laws::check(&link::Dialling, 256, &reached.iter().map(String::as_str).chain(["finished"]).collect::<Vec<_>>());
}

#[test]
fn a_pairing_keeps_the_laws() {
    laws::check(
        &pairing::Waiting,
        128,
        &[
            "waiting for a code",
            "waiting for the pending file to be durable",
            "waiting for an approval",
            "waiting for the platform's key set",
            "waiting for the pending file to be removed",
            "failed: CodeExpired",
            "finished",
        ],
    );
}

#[test]
fn a_connection_keeps_the_laws() {
    let reached = ["message 1", "the verdict", "the first transport message", "frames of the device"];
    let reached: Vec<_> = reached.iter().map(|what| format!("waiting for {what}")).collect();
    let ends = ["failed: HandshakeTimedOut", "failed: SignatureMismatch"];
    laws::check(&connection::Entering, 256, &reached.iter().map(String::as_str).chain(ends).collect::<Vec<_>>());
}

#[test]
fn a_session_keeps_the_laws() {
    laws::check(
        &session::Streamed,
        128,
        &[
            "waiting for the daemon",
            "waiting for the relay's resume point",
            "waiting for more",
            "waiting for the relay's last",
            "failed",
            "finished",
        ],
    );
}

#[test]
fn a_spool_keeps_the_laws() {
    laws::check(
        &spool::Kept,
        256,
        &[
            "waiting for the process and the relay",
            "waiting for the disk",
            "waiting for the relay to say where to go on",
            "waiting for more records, and the relay",
            "waiting for the relay to take the rest",
            "waiting for the relay to take the end",
            "failed: RecordsLost",
            "finished",
        ],
    );
}

#[test]
fn an_uplink_keeps_the_laws() {
    let reached = ["waiting for the next attempt", "waiting for the WebSocket", "waiting for frames", "finished"];
    laws::check(&uplink::Wired, 128, &reached);
}

#[test]
fn a_viewer_keeps_the_laws() {
    laws::check(&viewer::Watching, 128, &["waiting for the next attempt", "waiting for frames", "finished"]);
}

#[test]
fn a_watcher_keeps_the_laws() {
    let waits = ["a code", "an approval", "the platform's key set", "the binding to be durable", "the next attempt", "frames"];
    let waits: Vec<_> = waits.iter().map(|what| format!("waiting for {what}")).collect();
    let ends = ["finished", "failed: PairingCancelled"];
    laws::check(&watcher::Whole, 128, &waits.iter().map(String::as_str).chain(ends).collect::<Vec<_>>());
}
