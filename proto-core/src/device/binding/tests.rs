mod current;
mod disk;
mod laptop;
mod sessions;

use alloc::{boxed::Box, vec, vec::Vec};

use self::laptop::*;
use super::*;
use crate::{
    Reason::*,
    api::PairingMode::{Add, New, Replace},
    device::{
        files::{BindingState, Document},
        pairing,
    },
    effect::{Effect, IoEvent},
    secret::SecretBytes,
};

const KEY_A: &str = "relay-identities/A.json";

/// PAIR-8, S62 to S67: key first, then config; only then is the binding started, and the pairing told.
#[test]
fn an_adopted_binding_is_durable_before_it_starts() {
    let mut laptop = Laptop::new();
    laptop.input(Input::Adopt(Box::new(paired("A", "r1", 1, New))));
    assert!(matches!(&laptop.effects[0], Effect::Store(_, StateFile::Identity(..), _)));
    assert!(laptop.write() && laptop.said.is_empty());
    assert!(matches!(&laptop.effects[0], Effect::Store(_, StateFile::Config, _)));
    assert!(laptop.view().is_empty());
    assert!(laptop.write());
    assert_eq!(laptop.said, [Output::Started(id("A", "r1")), Output::Adopted(id("A", "r1"))]);
    assert_eq!(laptop.view(), [(id("A", "r1"), "active", Some(1))]);
    assert_eq!(laptop.files(), ["config.json", KEY_A]);
    assert!(laptop.effects.is_empty());
}

/// S43, S54, S151, BIND-1: several orgs side by side, across restarts.
#[test]
fn bindings_survive_a_restart_unchanged() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.pair("B", "r2", 2, Add);
    let mut again = laptop.again();
    assert_eq!(again.view(), laptop.view());
    assert_eq!(again.take_said(), [Output::Started(id("A", "r1")), Output::Started(id("B", "r2"))]);
    assert!(again.effects.is_empty(), "a clean start writes nothing");
    assert_eq!(again.machine.workspaces().len(), 2);
    assert!(again.machine.settings().bindings.is_empty(), "they are not settings");
    assert_eq!(again.machine.active(&"B".parse().unwrap()).unwrap().0, &id("B", "r2"));
}

/// Where to pair next is what config.json says, or what is the default.
#[test]
fn the_platform_is_that_of_the_file() {
    assert_eq!(Laptop::new().machine.platform(), crate::device::files::DEFAULT_API_ENDPOINT);
    let config = SecretBytes::new(r#"{"daemon": {"api": {"endpoint": "https://viewport.example"}}}"#);
    let laptop = Laptop::boot([(StateFile::Config, config)].into(), []);
    assert_eq!(laptop.machine.platform(), "https://viewport.example");
    assert_eq!(laptop.machine.settings().api_endpoint(), "https://viewport.example");
}

/// A binding names the platform that it belongs to where that is not the file's own.
#[test]
fn a_binding_names_another_platform_than_the_files() {
    let at = |endpoint: &str| {
        let mut laptop = Laptop::new();
        let paired = pairing::Paired { api_endpoint: endpoint.into(), ..paired("A", "r1", 1, New) };
        laptop.input(Input::Adopt(Box::new(paired)));
        laptop.settle();
        let config = Config::parse(laptop.disk[&StateFile::Config].expose()).unwrap();
        config.bindings[0].api.as_ref().and_then(|api| api.endpoint.clone())
    };
    assert_eq!(at(crate::device::files::DEFAULT_API_ENDPOINT), None);
    assert_eq!(at("https://viewport.example").as_deref(), Some("https://viewport.example"));
}

/// PAIR-9: the same approval again, also after a restart, is one binding.
#[test]
fn an_approval_that_comes_again_changes_nothing() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    for mut laptop in [laptop.clone(), laptop.again()] {
        laptop.take_said();
        assert!(laptop.machine.has_seed(&Secret::new([1; 32])) && !laptop.machine.has_seed(&Secret::new([2; 32])));
        laptop.pair("A", "r1", 1, New);
        assert_eq!(laptop.said, [Output::Adopted(id("A", "r1"))]);
        assert_eq!(laptop.view(), [(id("A", "r1"), "active", Some(1))]);
    }
}

/// PAIR-10, S48: nothing is overwritten by surprise.
#[test]
fn a_new_pairing_on_a_paired_daemon_is_refused() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.take_said();
    let before = laptop.disk.clone();
    laptop.pair("B", "r2", 2, New);
    laptop.pair("A", "r3", 3, New);
    assert_eq!(laptop.said, [Output::Refused(AlreadyPaired), Output::Refused(OrgAlreadyBound)]);
    assert_eq!(laptop.disk, before);
}

/// D1: `--add` to a bound org refreshes it. With a new runtime target the running sessions stay with the old one.
#[test]
fn adding_a_bound_org_refreshes_it() {
    let (old, new) = (id("A", "r1"), id("A", "r2"));
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.start_session(&old, 7);
    laptop.pair("A", "r2", 2, Add);
    assert_eq!(laptop.view(), [(old.clone(), "draining", Some(1)), (new.clone(), "active", Some(2))]);
    assert_eq!(laptop.files(), ["config.json", KEY_A, "relay-identities/A+1.json"]);
    laptop.end_session(&old, 7);
    laptop.settle();
    assert_eq!(laptop.view(), [(new, "active", Some(2))]);
    assert_eq!(laptop.files(), ["config.json", "relay-identities/A+1.json"]);
}

/// D1: a refresh that keeps the runtime target is the same binding with another key; its sessions go on with that.
#[test]
fn a_refresh_may_keep_the_runtime_target() {
    let only = id("A", "r1");
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.start_session(&only, 7);
    laptop.take_said();
    laptop.pair("A", "r1", 2, Add);
    assert_eq!(laptop.said, [Output::Started(only.clone()), Output::Adopted(only.clone())]);
    assert_eq!(laptop.view(), [(only.clone(), "active", Some(2))]);
    assert_eq!(laptop.machine.get(&only).unwrap().sessions().len(), 1);
    assert_eq!(laptop.files(), ["config.json", "relay-identities/A+1.json"]);
}

/// D2, S44 to S47, BIND-3: the old binding drains: no new session, its key lives until the last one ended, across a restart.
#[test]
fn replacing_drains_the_old_binding() {
    let (old, new) = (id("A", "r1"), id("B", "r2"));
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.start_session(&old, 7);
    laptop.start_session(&old, 8);
    laptop.take_said();
    laptop.pair("B", "r2", 2, Replace);
    assert_eq!(laptop.said, [Output::Draining(old.clone()), Output::Started(new.clone()), Output::Adopted(new.clone())]);
    laptop.start_session(&old, 9);
    assert_eq!(laptop.machine.ignored(), 1, "a draining binding takes no new session");
    laptop.start_session(&old, 9);
    assert_eq!(laptop.machine.ignored(), 2);
    laptop.end_session(&old, 7);

    let mut laptop = laptop.again();
    assert_eq!(laptop.view(), [(old.clone(), "draining", Some(1)), (new.clone(), "active", Some(2))]);
    assert_eq!(laptop.take_said(), [Output::Started(old.clone()), Output::Started(new.clone())]);
    laptop.end_session(&old, 8);
    laptop.settle();
    assert_eq!(laptop.said, [Output::Drained(old.clone()), Output::Gone(old)]);
    assert_eq!(laptop.files(), ["config.json", "relay-identities/B.json"]);
    assert_eq!(laptop.machine.workspaces().len(), 1);
}

/// S44: without running sessions the replaced binding goes at once.
#[test]
fn replacing_an_idle_binding_erases_it() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.pair("B", "r2", 2, Replace);
    assert_eq!(laptop.view(), [(id("B", "r2"), "active", Some(2))]);
    assert_eq!(laptop.files(), ["config.json", "relay-identities/B.json"]);
    assert!(laptop.said.contains(&Output::Gone(id("A", "r1"))));
}

/// S50 to S53, S130, BIND-5, BIND-7: cut before anything is written; config first, then the key; twice is once.
#[test]
fn unpairing_cuts_at_once_and_then_erases() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.pair("B", "r2", 2, Add);
    laptop.start_session(&id("A", "r1"), 7);
    laptop.take_said();
    let unpair = || Input::Unpair("A".parse().unwrap());
    laptop.input(unpair());
    assert_eq!(laptop.take_said(), [Output::Cut(id("A", "r1"), None)]);
    assert_eq!(laptop.machine.get(&id("A", "r1")).unwrap().identity(), None, "its key is dropped");
    laptop.input(unpair());
    assert!(matches!(&laptop.effects[0], Effect::Store(_, StateFile::Config, _)));
    laptop.write();
    assert!(matches!(&laptop.effects[0], Effect::Remove(_, StateFile::Identity(..))));
    laptop.settle();
    assert_eq!(laptop.said, [Output::Gone(id("A", "r1"))]);
    assert_eq!(laptop.files(), ["config.json", "relay-identities/B.json"]);
    laptop.pair("A", "r3", 3, Add);
    assert_eq!(laptop.files(), ["config.json", KEY_A, "relay-identities/B.json"]);
}

/// BIND-6, S125 to S129: only the two reasons that the relay says under its pinned key end a binding, and only that one.
#[test]
fn only_a_revocation_deletes() {
    for reason in Reason::ALL.iter().copied() {
        let mut laptop = Laptop::new();
        laptop.pair("A", "r1", 1, New);
        laptop.pair("B", "r2", 2, Add);
        laptop.take_said();
        laptop.input(Input::Revoked { binding: id("A", "r1"), reason });
        laptop.settle();
        if matches!(reason, MachineRevoked | WorkspaceNotFound) {
            assert_eq!(laptop.said, [Output::Cut(id("A", "r1"), Some(reason)), Output::Gone(id("A", "r1"))]);
            assert_eq!(laptop.view(), [(id("B", "r2"), "active", Some(2))]);
        } else {
            assert!(laptop.said.is_empty() && laptop.view().len() == 2, "{reason:?}");
        }
    }
}

/// ROT-1: a renewed credential is said to be saved once it is durable, also when it was already.
#[test]
fn renewed_credentials_are_saved() {
    let only = id("A", "r1");
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.take_said();
    let renewed = |generation| Input::Renewed { binding: only.clone(), renewal: Box::new(renewal("A", "r1", 1, generation)) };
    laptop.input(renewed(2));
    assert!(laptop.said.is_empty());
    laptop.settle();
    assert_eq!(laptop.take_said(), [Output::Saved(only.clone())]);
    let config = Config::parse(laptop.disk[&StateFile::Config].expose()).unwrap();
    assert_eq!((config.bindings[0].generation, &config.bindings[0].issue_token), (2, &token("A", "r1", 1, 2)));
    laptop.input(renewed(2));
    assert_eq!(laptop.take_said(), [Output::Saved(only.clone())]);
    laptop.input(renewed(1));
    assert!(laptop.effects.is_empty() && laptop.machine.ignored() == 1, "generations never fall");
}

/// BIND-4: a disk that refuses is tried again with growing pauses; what was wanted comes about, and trouble is said once.
#[test]
fn a_full_disk_delays_but_loses_nothing() {
    let only = id("A", "r1");
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.take_said();
    laptop.input(Input::Renewed { binding: only.clone(), renewal: Box::new(renewal("A", "r1", 1, 2)) });
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let before = laptop.now;
        laptop.fail();
        laptop.wait();
        assert_eq!(laptop.now.since(before).as_secs(), seconds);
    }
    laptop.settle();
    assert_eq!(laptop.said, [Output::Trouble(StateNotWritten), Output::Saved(only)]);
}

/// PAIR-7, BIND-4: an adoption that cannot be written is refused, and nothing of it stays.
#[test]
fn an_adoption_that_fails_leaves_nothing_behind() {
    for failing in 0..2 {
        let mut laptop = Laptop::new();
        laptop.pair("A", "r1", 1, New);
        laptop.take_said();
        let before = (laptop.view(), laptop.disk.clone());
        laptop.input(Input::Adopt(Box::new(paired("B", "r2", 2, Replace))));
        for _ in 0..failing {
            laptop.write();
        }
        laptop.fail();
        laptop.settle();
        assert_eq!(laptop.said, [Output::Refused(StateNotWritten)]);
        assert_eq!((laptop.view(), laptop.disk.clone()), before);
    }
}

type Step = fn(&mut Laptop);

/// Everything that changes the disk, from a device with two bindings, one of them in use.
fn changes() -> Vec<(&'static str, Step)> {
    vec![
        ("add", |l| l.input(Input::Adopt(Box::new(paired("C", "r3", 3, Add))))),
        ("refresh", |l| l.input(Input::Adopt(Box::new(paired("A", "r4", 4, Add))))),
        ("refresh the same", |l| l.input(Input::Adopt(Box::new(paired("A", "r1", 5, Add))))),
        ("replace", |l| l.input(Input::Adopt(Box::new(paired("C", "r3", 3, Replace))))),
        ("unpair", |l| l.input(Input::Unpair("A".parse().unwrap()))),
        ("revoke", |l| l.input(Input::Revoked { binding: id("B", "r2"), reason: MachineRevoked })),
        ("renew", |l| l.input(Input::Renewed { binding: id("A", "r1"), renewal: Box::new(renewal("A", "r1", 1, 2)) })),
    ]
}

/// What counts after recovery: which bindings there are, with which keys and credentials.
fn outcome(laptop: &Laptop) -> Vec<(BindingId, &'static str, Option<u8>, u64)> {
    let generation = |id: &BindingId| laptop.machine.get(id).unwrap().record().generation;
    laptop.view().into_iter().map(|(id, phase, seed)| (id.clone(), phase, seed, generation(&id))).collect()
}

/// BIND-4, exhaustive: a kill before, between or after any two writes recovers to the old or the new state, every binding
/// that is there has its key, and no key is left over.
#[test]
fn a_crash_anywhere_leaves_the_old_or_the_new_state() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.pair("B", "r2", 2, Add);
    laptop.start_session(&id("A", "r1"), 7);
    for (name, change) in changes() {
        let recover = |laptop: &Laptop| {
            let mut again = laptop.again();
            again.settle();
            again
        };
        let mut done = laptop.clone();
        change(&mut done);
        done.settle();
        let (old, new) = (outcome(&laptop), outcome(&done));
        assert_ne!(old, new, "{name}");
        let mut crashing = laptop.clone();
        change(&mut crashing);
        loop {
            // The sessions' pins are on disk: they run on, whatever the machine in memory thought of them.
            let pins = [(SessionId([7; 16]), id("A", "r1"))];
            let mut again = Laptop::boot(crashing.disk.clone(), pins);
            again.settle();
            let after = outcome(&again);
            assert!(after == old || after == new, "{name}: {after:?} is neither {old:?} nor {new:?}");
            assert!(after.iter().all(|(_, _, seed, _)| seed.is_some()), "{name}: a binding without its key");
            assert_eq!(again.files().len(), 1 + after.len(), "{name}: {:?}", again.files());
            if !crashing.write() {
                break;
            }
        }
        assert_eq!(outcome(&recover(&done)), new, "{name}");
    }
}

/// A key that is missing, damaged or swapped: the binding is shown as broken and only a person ends or refreshes it.
#[test]
fn a_binding_without_its_key_is_broken() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.pair("B", "r2", 2, Add);
    let file = |org: &str| StateFile::Identity(org.parse().unwrap(), 0);
    let swapped = laptop.disk[&file("B")].clone();
    for (bytes, reason) in
        [(None, StateInvalid), (Some(SecretBytes::new(*b"{")), StateInvalid), (Some(swapped), TokenKeyMismatch)]
    {
        let mut disk = laptop.disk.clone();
        disk.remove(&file("A"));
        disk.extend(bytes.map(|bytes| (file("A"), bytes)));
        let mut again = Laptop::boot(disk, []);
        assert_eq!(again.take_said(), [Output::Started(id("B", "r2"))]);
        assert_eq!(again.machine.get(&id("A", "r1")).unwrap().phase(), &Phase::Broken(reason));
        assert!(again.effects.is_empty(), "nothing is deleted on its own");
        let mut unpaired = again.clone();
        unpaired.input(Input::Unpair("A".parse().unwrap()));
        unpaired.settle();
        assert_eq!(unpaired.files(), ["config.json", "relay-identities/B.json"]);
        again.input(Input::Adopt(Box::new(paired("A", "r5", 5, Add))));
        while again.write() {
            again.again();
        }
        assert_eq!(again.view(), [(id("A", "r5"), "active", Some(5)), (id("B", "r2"), "active", Some(2))]);
    }
}

/// BIND-8: a config that cannot be read is left alone.
#[test]
fn a_damaged_config_stops_the_boot() {
    let boot = |config: &[u8]| Bindings::boot(NOW, Some(config), [], []).map(|_| ());
    assert_eq!(boot(b"{"), Err(ConfigInvalid));
    assert_eq!(boot(br#"{"version": 9}"#), Err(ConfigNewer));
    assert_eq!(boot(b"{}"), Ok(()));
}

/// Commands that cross: an unpair while the same org is being adopted leaves nothing of it.
#[test]
fn unpairing_takes_back_a_binding_that_is_joining() {
    for writes in 0..2 {
        let mut laptop = Laptop::new();
        laptop.input(Input::Adopt(Box::new(paired("A", "r1", 1, New))));
        for _ in 0..writes {
            laptop.write();
        }
        laptop.input(Input::Unpair("A".parse().unwrap()));
        laptop.settle();
        assert_eq!(laptop.said, [Output::Refused(PairingCancelled)]);
        assert!(laptop.view().is_empty() && !laptop.files().contains(&KEY_A.into()), "after {writes}");
    }
}

/// L6: one adoption at a time; what is too much changes nothing.
#[test]
fn too_much_is_misuse() {
    let mut laptop = Laptop::new();
    laptop.input(Input::Adopt(Box::new(paired("A", "r1", 1, New))));
    let before = laptop.machine.clone();
    let second = Input::Adopt(Box::new(paired("B", "r2", 2, Add)));
    assert_eq!(laptop.machine.handle_input(NOW, second), Err(Misuse::Full("one adoption at a time")));
    assert_eq!(laptop.machine, before);
    laptop.settle();
    let state = laptop.machine.get(&id("A", "r1")).unwrap().record().state;
    assert_eq!(state, BindingState::Active);
}

/// BIND-4: a key that is still being written when its adoption is given up is not taken for the next adoption's.
#[test]
fn a_key_on_its_way_is_not_another_adoptions() {
    let mut laptop = Laptop::new();
    laptop.input(Input::Adopt(Box::new(paired("A", "r1", 1, New))));
    laptop.input(Input::Unpair("A".parse().unwrap()));
    laptop.input(Input::Adopt(Box::new(paired("A", "r1", 2, New))));
    while laptop.write() {}
    assert_eq!(laptop.view(), [(id("A", "r1"), "active", Some(2))]);
    assert_eq!(laptop.again().view(), [(id("A", "r1"), "active", Some(2))]);
    assert_eq!(laptop.files().len(), 2, "{:?}", laptop.files());
}
