//! When a viewing device pairs, and with what it watches.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use super::*;
use crate::device::incarnation::Incarnation;

const ACME: &str = "acme";

fn is_pairing_again(bench: &Bench) -> bool {
    matches!(bench.watcher.state, State::PairingAgain(..))
}

/// S14, PAIR-5: on first use a code is shown once it is durable; approved, the binding is made durable, then it is watched with.
#[test]
fn a_device_pairs_on_first_use_and_watches() {
    let mut bench = Bench::new();
    assert_eq!(bench.take_said(), [Output::Pairing(PairingCause::First)]);
    let request = bench.net.first().cloned();
    let pending = bench.mint();
    let Some(Effect::Http(_, HttpRequest { url, .. })) = request else { panic!("{request:?}") };
    assert_eq!((&url[..], pending.kind), ("https://api.example/api/pairing-codes", DeviceKind::Viewer));
    assert!(matches!(&bench.take_said()[..], [Output::ShowCode(shown)] if shown.code == pending.code));
    bench.approve(&pending, |_| {});
    assert_eq!([bench.stored().0, bench.stored().0], [StateFile::Identity(org(), 0), StateFile::Config]);
    assert_eq!((bench.take_said(), bench.dialled()), (vec![], vec![]), "the pending file is still there");
    assert_eq!(bench.settle(), (vec![], vec![StateFile::PendingPairing]));
    assert!(matches!(&bench.take_said()[..], [Output::Paired(workspace)] if workspace.slug == ACME));
    bench.up();
    assert_eq!(bench.take_said(), [Output::Up { waits_for_session: false }]);
}

fn interrupted(org: Option<&str>, change: impl Fn(&mut PendingPairing)) -> (PendingPairing, StoredState) {
    let mut bench = Bench::boot(&StoredState::default(), org, Goal::Chosen);
    let mut pending = bench.mint();
    change(&mut pending);
    let found = StoredState { pending: Some(pending.write().unwrap()), ..StoredState::default() };
    (pending, found)
}

/// S22: a pairing that a kill interrupted goes on with the code that the person has; one for something else does not.
#[test]
fn an_interrupted_pairing_goes_on_when_it_is_the_one_that_is_wanted() {
    type Change = fn(&mut PendingPairing);
    let cases: [(Option<&str>, Change, bool); 6] = [
        (Some(ACME), |_| {}, true),
        (None, |_| {}, false),
        (Some("oss"), |_| {}, false),
        (Some(ACME), |pending| pending.api_endpoint = "https://other.example".into(), false),
        (Some(ACME), |pending| pending.kind = DeviceKind::Daemon, false),
        (Some(ACME), |pending| pending.expires_at = UNIX, false),
    ];
    for (org, change, goes_on) in cases {
        let (pending, found) = interrupted(Some(ACME), change);
        let mut bench = Bench::boot(&found, org, Goal::Chosen);
        let said = bench.take_said();
        assert_eq!(said.iter().any(|output| matches!(output, Output::ShowCode(shown) if shown.code == pending.code)), goes_on);
        let is_mint = |effect: &Effect<EffectId>| matches!(effect, Effect::Http(EffectId::Pairing(_, asking), _) if matches!(asking, crate::device::pairing::EffectId::Mint(_)));
        assert_eq!(bench.net.iter().any(is_mint), !goes_on, "{org:?}");
    }
}

/// PAIR-9: killed between binding and pending file, it needs no second approval; the seed does not stay on disk.
#[test]
fn a_pairing_whose_binding_is_durable_is_only_forgotten() {
    let (mut pending, _) = interrupted(None, |_| {});
    pending.seed = Secret::new([3; 32]);
    let found = StoredState { pending: Some(pending.write().unwrap()), ..found(vec![record()]) };
    let mut bench = Bench::boot(&found, None, Goal::Chosen);
    assert_eq!(bench.settle(), (vec![], vec![StateFile::PendingPairing]));
    bench.up();
    assert!(!bench.take_said().iter().any(|output| matches!(output, Output::ShowCode(_) | Output::Pairing(_))));
}

/// The pairing that is meant is found by id or slug, or is the only one.
#[test]
fn the_binding_that_is_meant_is_found_by_id_or_slug() {
    let both = || found(vec![beta_record(), record()]);
    for (asked, bindings, meant) in [
        (None, found(vec![record()]), "ORG"),
        (Some("org"), both(), "ORG"),
        (Some("ORG"), both(), "ORG"),
        (Some("beta"), both(), "BETA"),
    ] {
        let bench = Bench::boot(&bindings, asked, Goal::Chosen);
        let used = bench.watcher.state.watching().map(|watching| watching.binding.org.as_str());
        assert_eq!(used, Some(meant), "{asked:?}");
    }
    let bench = Bench::boot(&both(), None, Goal::Chosen);
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::OrgAmbiguous));
    assert_eq!((bench.watcher.poll_timeout(), &bench.said[..]), (None, &[][..]));
    let bench = Bench::boot(&both(), Some("oss"), Goal::Chosen);
    assert_eq!(bench.said, [Output::Pairing(PairingCause::First)], "another org is paired with");
}

/// A `config.json` that is damaged is left as it is.
#[test]
fn a_damaged_config_is_an_error() {
    let found = StoredState { config: Some(SecretBytes::new(*b"{")), ..StoredState::default() };
    let clock = WallClock::new(START, UNIX);
    let watcher = Watcher::<Symbolic>::boot(START, clock, &found, settings(), &Entropy::new([7; 32]), JitterRng::new(1));
    assert_eq!(watcher.err(), Some(Reason::ConfigInvalid));
}

/// What does not come about is why the watcher ends, with nothing left of it.
#[test]
fn a_pairing_that_fails_is_the_end() {
    let mut bench = Bench::new();
    bench.mint();
    bench.answer(of_pairing, 200, &r#"{"status":"denied"}"#);
    assert_eq!(bench.settle(), (vec![], vec![StateFile::PendingPairing]));
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::PairingDenied));
    assert_eq!(bench.watcher.poll_timeout(), None);
}

/// A key that cannot be written is why nothing comes of the pairing.
#[test]
fn a_binding_that_cannot_be_written_is_not_paired() {
    let mut bench = Bench::new();
    let pending = bench.mint();
    bench.approve(&pending, |_| {});
    let (effect_id, ..) = bench.files.pop_front().unwrap();
    bench.happens(IoEvent::NotStored(effect_id));
    bench.settle();
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::StateNotWritten));
}

/// The org's policy asks for a pre-shared key that this pairing does not have: a person is asked for another pairing with it, and
/// that one takes the place of the first, whose key goes.
#[test]
fn a_pairing_of_no_use_any_more_is_made_anew() {
    let mut bench = Bench::paired(Goal::Chosen);
    bench.is_of_no_use();
    let said = bench.take_said();
    let [Output::Down(Reason::NoisePskInvalid), Output::Pairing(PairingCause::Again(workspace, reason))] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((&workspace.slug[..], *reason), ("org", Reason::NoisePskInvalid));
    let pending = bench.mint();
    assert_eq!(pending.org.as_deref(), Some("ORG"), "with this org and no other");
    bench.take_said();
    bench.approve(&pending, |_| {});
    let (kept, removed) = bench.settle();
    let keys = [0, 1].map(|number| StateFile::Identity(org(), number));
    assert_eq!(kept, [keys[1].clone(), StateFile::Config]);
    assert!(removed.contains(&keys[0]) && removed.contains(&StateFile::PendingPairing), "{removed:?}");
    assert!(matches!(&bench.take_said()[..], [Output::Paired(_)]));
    bench.up();
    assert_eq!(bench.take_said(), [Output::Up { waits_for_session: false }]);
}

/// BIND-6: the relay may wrongly say that a pairing is of no use. The viewer tries on; once it is let in, the person is not asked
/// again.
#[test]
fn a_link_that_comes_up_after_all_ends_the_pairing() {
    let mut bench = Bench::paired(Goal::Chosen);
    bench.is_of_no_use();
    bench.mint();
    assert!(is_pairing_again(&bench));
    bench.take_said();
    bench.up_after_dial();
    assert_eq!(bench.settle(), (vec![], vec![StateFile::PendingPairing]));
    assert_eq!(bench.take_said(), [Output::Up { waits_for_session: false }]);
    assert!(matches!(bench.watcher.state, State::Watching(_)));
    assert_eq!(bench.watcher.bindings().workspaces().len(), 1);
}

/// D8: past its hard expiry a credential cannot be renewed, and only another pairing helps.
#[test]
fn a_lapsed_credential_is_paired_anew() {
    let mut bench = Bench::paired(Goal::Chosen);
    bench.clock(UNIX.plus(testing_renewable() + 1));
    let said = bench.take_said();
    assert!(matches!(&said[..], [Output::Pairing(PairingCause::Again(_, Reason::TokenExpired))]), "{said:?}");
}

const fn testing_renewable() -> u64 {
    crate::testing::RENEWABLE
}

/// S125: the access ends while a person is asked for another pairing: record, key and pending file go.
#[test]
fn a_revocation_ends_a_pairing_that_is_made_anew() {
    for is_up in [true, false] {
        let mut bench = Bench::paired(Goal::Chosen);
        bench.is_of_no_use();
        bench.mint();
        if is_up {
            let mut relay = bench.up_after_dial();
            bench.tell(&mut relay, Head::Revoke { reason: Reason::MachineRevoked });
            bench.closes(relay.effect_id, None);
        } else {
            bench.refused_under_key(Reason::MachineRevoked);
        }
        let (_, removed) = bench.settle();
        let gone = [StateFile::PendingPairing, StateFile::Identity(org(), 0)];
        assert!(gone.iter().all(|file| removed.contains(file)), "{removed:?}");
        assert_eq!(bench.watcher.status(), Status::Failed(&Reason::MachineRevoked));
    }
}

/// Ctrl-C cancels a pairing: the pending file goes. Said again, it ends at once.
#[test]
fn a_stop_cancels_a_pairing() {
    for times in [1, 2] {
        let mut bench = Bench::new();
        bench.mint();
        (0..times).for_each(|_| bench.input(Input::Stop));
        assert_eq!(
            bench.files.front().map(|(_, file, contents)| (file, contents.is_some())),
            Some((&StateFile::PendingPairing, false))
        );
        if times == 1 {
            assert_eq!(bench.waits_for(), "the end of the pairing");
            bench.settle();
        }
        assert_eq!(bench.watcher.status(), Status::Failed(&Reason::PairingCancelled));
    }
}

/// A stop that comes while the binding is being made durable is too late to cancel it, and still the end.
#[test]
fn a_stop_after_the_approval_ends_with_a_binding() {
    let mut bench = Bench::new();
    let pending = bench.mint();
    bench.approve(&pending, |_| {});
    bench.input(Input::Stop);
    bench.settle();
    assert_eq!(bench.watcher.status(), Status::Finished);
    assert_eq!((bench.watcher.bindings().workspaces().len(), bench.dialled()), (1, Vec::new()));
}

/// What is said late of a pairing or a viewer that is gone is not taken for the next one's.
#[test]
fn late_answers_of_another_life_are_ignored() {
    let mut bench = Bench::paired(Goal::Chosen);
    bench.pass(Duration::ZERO);
    let effect_id = bench.dialled().pop().unwrap();
    let EffectId::Viewer(Incarnation(life), asking) = effect_id else { panic!("{effect_id:?}") };
    bench.net.clear();
    bench.happens(IoEvent::Connected(EffectId::Viewer(Incarnation(life + 1), asking), Entropy::new([4; 32])));
    bench.happens(IoEvent::Stored(EffectId::Pairing(Incarnation(life), crate::device::pairing::EffectId::Save)));
    assert_eq!((bench.watcher.ignored(), bench.net.len()), (2, 0));
}
