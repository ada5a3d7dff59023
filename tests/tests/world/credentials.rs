//! Credentials in a running daemon.

use std::time::Duration;

use proto_core::{Reason, api::PolicyMode, device::daemon::Event};

use crate::{World, bound, stored};

/// S185, D8, ROT-5: a credential is renewed over the live link; the session that streams loses nothing and the link stays.
#[test]
fn a_credential_is_renewed_while_streaming() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    for _ in 0..48 {
        world.show(run, "tick");
        world.pass(Duration::from_mins(10));
    }
    world.exit(run);
    world.settle();
    assert!(world.platform.renewals >= 8);
    let renewals = world.platform.renewals;
    assert_eq!(world.relay("acme").renewed, renewals);
    assert!(!world.laptop.log.iter().any(|event| matches!(event, Event::Disconnected(..))));
    assert_eq!(stored(&world, run), world.laptop.runs[run].shown);
    let record = &world.laptop.config().bindings[0];
    assert_eq!(record.generation, 1 + world.platform.renewals as u64);
}

/// S186, S187, D8: offline past the soft expiry, the daemon renews and connects when it is back, after a restart as well.
#[test]
fn an_expired_credential_is_renewed_and_then_connects() {
    for restarts in [false, true] {
        let mut world = bound(&["acme"]);
        world.set_online(false);
        world.pass(Duration::from_hours(24 * 7));
        world.set_online(true);
        if restarts {
            world.kill();
            world.boot();
            world.pass(Duration::from_secs(10));
        } else {
            world.pass(Duration::from_hours(1));
        }
        assert!(world.is_connected("acme"), "{:?}", world.laptop.daemon().report());
    }
}

/// S186: past the hard expiry only pairing again helps, and the status says so.
#[test]
fn a_lapsed_credential_says_so() {
    let mut world = bound(&["acme"]);
    world.set_online(false);
    world.pass(Duration::from_hours(24 * 32));
    world.set_online(true);
    world.pass(Duration::from_hours(1));
    assert!(!world.is_connected("acme"));
    assert!(world.laptop.log.iter().any(|event| matches!(event, Event::RenewalExpired(_))));
    let report = world.laptop.daemon().report();
    assert_eq!(report.bindings[0].reason, Some(Reason::TokenExpired));
    assert!(report.bindings[0].renewable_until < world.unix().0);
}

/// ROT-1, ROT-2, BIND-4: killed at any step of a renewal, the daemon connects with what is on its disk.
#[test]
fn a_kill_at_any_step_of_a_renewal_loses_no_access() {
    for steps in 0..40 {
        let mut world = bound(&["acme"]);
        while world.platform.renewals == 0 {
            world.pass(Duration::from_secs(1));
            if world.platform.renewals == 0 && world.unix().0 > verification::world::EPOCH.0 + 1_700 {
                world.set_online(false);
                world.pass(Duration::from_mins(30));
                world.set_online(true);
                break;
            }
        }
        world.wait();
        world.steps(steps);
        world.kill();
        world.boot();
        world.pass(Duration::from_mins(30));
        assert!(world.is_connected("acme"), "killed after {steps} steps: {:?}", world.laptop.daemon().report());
    }
}

/// S188 to S193: an org that wants IKpsk2 gets it; one that switched to it after the pairing refuses with the reason.
#[test]
fn a_policy_of_pre_shared_keys_is_kept() {
    let mut world = World::new();
    world.found("acme", PolicyMode::CryptoPairing);
    world.pair_with("acme", proto_core::api::PairingMode::New);
    world.pass(Duration::from_secs(5));
    assert!(world.is_connected("acme"));

    let mut world = bound(&["acme"]);
    let org = world.org("acme");
    world.platform.orgs.get_mut(&org).unwrap().policy = PolicyMode::CryptoPairing;
    world.restart_relay("acme");
    world.pass(Duration::from_mins(1));
    assert_eq!(world.laptop.daemon().report().bindings[0].reason, Some(Reason::NoisePskInvalid));
    assert_eq!(world.laptop.config().bindings.len(), 1);
}

/// D3, D8: the platform's signing key leaks and is withdrawn. The daemon renews with its own key and connects again; nothing is
/// paired anew, and what was streamed before is whole.
#[test]
fn a_withdrawn_signing_key_costs_no_pairing() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "before");
    world.settle();
    let (now, minted) = (world.unix(), world.platform.minted);
    world.platform.withdraw_keys(now);
    world.set_online(false);
    world.pass(Duration::from_mins(1));
    world.set_online(true);
    world.pass(Duration::from_hours(2));
    assert!(world.is_connected("acme"), "{:?}", world.laptop.daemon().report());
    world.show(run, "after");
    world.exit(run);
    world.settle();
    assert_eq!(stored(&world, run), world.laptop.runs[run].shown);
    assert!(world.platform.renewals >= 1);
    assert_eq!(world.platform.minted, minted);
}
