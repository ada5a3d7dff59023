//! One test per machine and per system.

use verification::explore::catalogue;

/// States that are visited here at most, unless what is looked for takes longer to show.
const STATES: usize = 3_000;

fn holds(name: &str) {
    let walk = catalogue::named(name).expect("a known name");
    let states = match name {
        // The limit of an hour shows after as many attempts, what an attacker can do after the messages that he needs for it.
        "credential-limit" => 30_000,
        _ if name.starts_with("attacker") => 10_000,
        _ => STATES,
    };
    match walk.walk(states) {
        Ok(report) => assert!(report.is_closed || report.states >= states, "{report:?}"),
        Err(counterexample) => panic!("{name}: {counterexample}"),
    }
}

macro_rules! explored {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                holds($name);
            }
        )*

        #[test]
        fn nothing_is_left_out() {
            let tested = [$($name),*].into_iter().collect();
            assert_eq!(catalogue::names(), tested);
        }
    };
}

explored! {
    admission: "admission",
    binding: "binding",
    bridge: "bridge",
    pairing_code: "pairing-code",
    consent: "consent",
    credential: "credential",
    daemon: "daemon",
    handshake_initiator: "handshake-initiator",
    handshake_responder: "handshake-responder",
    hub: "hub",
    keyset: "keyset",
    link: "link",
    orgkey: "orgkey",
    pairing: "pairing",
    connection: "connection",
    revocations: "revocations",
    session: "session",
    spool: "spool",
    uplink: "uplink",
    viewer: "viewer",
    watcher: "watcher",
    approval: "approval",
    attacker_ik: "attacker-ik",
    attacker_ik_device_lost: "attacker-ik-device-lost",
    attacker_ik_relay_lost: "attacker-ik-relay-lost",
    attacker_psk: "attacker-psk",
    attacker_psk_device_lost: "attacker-psk-device-lost",
    attacker_psk_relay_lost: "attacker-psk-relay-lost",
    binding_two_orgs: "binding-two-orgs",
    bridge_declined: "bridge-declined",
    crash_bindings: "crash-bindings",
    crash_pairing: "crash-pairing",
    credential_limit: "credential-limit",
    hub_two_orgs: "hub-two-orgs",
    link_up: "link-up",
    link_turned_away: "link-turned-away",
    link_peer: "link-peer",
    rotation_platform: "rotation-platform",
    session_relay: "session-relay",
}
