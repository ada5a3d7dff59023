//! How a daemon starts from the files of its last run.

use alloc::{vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Entropy, Reason,
    api::PairingMode,
    device::{
        control::{Attached, PairRequest},
        files::BindingRecord,
        link::LinkState,
        uplink::testing::record,
    },
    effect::{Effect, StateFile},
    noise::Symbolic,
    secret::{SecretBytes, SecretText},
};

/// BIND-5, S118, S129: the pin of a session whose binding is gone is removed, and the session does not stream again. Those of
/// bindings that are there stay.
#[test]
fn sessions_of_lost_bindings_are_forgotten() {
    let lost = BindingId { org: "LOST".parse().unwrap(), ..org() };
    let other_target = BindingId { runtime_target: "r9".parse().unwrap(), ..org() };
    let mut laptop =
        Laptop::boot(&with_pins([pin(1, &org(), 1), pin(2, &lost, 2), pin(3, &beta(), 3), pin(4, &other_target, 4)]));
    assert_eq!(laptop.settle(), (vec![], vec![StateFile::Session(numbered(2)), StateFile::Session(numbered(4))]));
    for n in 1..=4 {
        laptop.again(SOURCE, numbered(n));
    }
    let refused = Attached::LocalOnly { reason: Some(Reason::SessionCut) };
    let answers: Vec<_> = laptop.take_attached().into_iter().map(|(_, attached)| attached == refused).collect();
    assert_eq!(answers, [false, true, false, true]);
}

/// S113: after a restart a session goes on with the pin that it had: org, key and cipher.
#[test]
fn a_session_goes_on_as_it_was_pinned() {
    let file = pin(1, &beta(), 1);
    let mut laptop = Laptop::boot(&with_pins([file.clone()]));
    assert_eq!(laptop.daemon.report().sessions, []);
    laptop.again(SOURCE, numbered(1));
    let org = crate::api::Workspace { id: beta().org, slug: "beta".into(), name: "Zeta".into() };
    let streaming = Attached::Streaming { session: numbered(1), org, secret: file.secret, cipher: 2 };
    assert_eq!(laptop.take_attached(), [(SOURCE, streaming)]);
    assert_eq!(laptop.daemon.report().sessions.len(), 1);
}

/// Damaged pins and a damaged pairing are passed over, and each is said; the others count.
#[test]
fn damaged_pins_and_pairings_are_passed_over() {
    let mut found = with_pins([pin(1, &org(), 1)]);
    found.sessions.insert(0, SecretBytes::new("{"));
    found.sessions.push(SecretBytes::new("[]"));
    found.pending = Some(SecretBytes::new("{}"));
    let mut laptop = Laptop::boot(&found);
    let trouble = Output::Log(Event::Trouble(Reason::StateInvalid));
    assert_eq!(laptop.take_said(), [trouble.clone(), trouble.clone(), trouble]);
    laptop.again(SOURCE, numbered(1));
    assert!(matches!(laptop.take_attached()[..], [(SOURCE, Attached::Streaming { .. })]));
}

/// Without the ledger or the configuration the daemon cannot know what may stream where: it does not start.
#[test]
fn a_damaged_ledger_or_configuration_stops_the_start() {
    let damaged = || Some(SecretBytes::new("{"));
    assert_eq!(try_boot(&StoredState { grants: damaged(), ..found() }).err(), Some(Reason::StateInvalid));
    assert_eq!(try_boot(&StoredState { config: damaged(), ..found() }).err(), Some(Reason::ConfigInvalid));
    let newer = Some(SecretBytes::new(r#"{"version": 99}"#));
    assert_eq!(try_boot(&StoredState { config: newer, ..found() }).err(), Some(Reason::ConfigNewer));
    assert!(try_boot(&StoredState::default()).is_ok());
}

/// S163, S167: where to pair is what the environment says, else what config.json says, else the default; there the code is
/// asked for.
#[test]
fn the_environment_says_where_to_pair() {
    let pairs_at = |config: Option<&str>, env: Option<&str>| {
        let found = StoredState { config: config.map(SecretBytes::new), ..StoredState::default() };
        let settings = Settings { api_endpoint: env.map(Into::into), ..settings() };
        let mut daemon =
            Daemon::<Symbolic>::boot(START, WallClock::new(START, UNIX), &found, settings, JitterRng::new(1)).unwrap();
        let request = Request::Pair(PairRequest { mode: PairingMode::New, org: None, name: None }, Entropy::new([7; 32]));
        daemon.handle_input(START, Input::Request(RequestId(1), request)).unwrap();
        let asked = core::iter::from_fn(|| daemon.poll_output())
            .find_map(|output| if let Output::Effect(Effect::Http(_, request)) = output { Some(request.url) } else { None });
        let shown = daemon.report().api_endpoint;
        assert!(asked.unwrap().starts_with(&shown));
        shown
    };
    let config = Some(r#"{"daemon": {"api": {"endpoint": "https://file.example"}}}"#);
    assert_eq!(pairs_at(config, Some("https://env.example")), "https://env.example");
    assert_eq!(pairs_at(config, None), "https://file.example");
    assert_eq!(pairs_at(None, None), crate::device::files::DEFAULT_API_ENDPOINT);
}

/// A binding whose key is gone, or whose credential cannot be read, has no link and says why, and keeps no other binding from
/// dialling.
#[test]
fn a_binding_without_its_key_or_credential_is_broken() {
    let without_key = StoredState { identities: found().identities.split_off(1), ..found() };
    let record = BindingRecord { issue_token: SecretText::new("none"), ..record() };
    let without_credential = StoredState { config: Some(config(vec![record, beta_record()])), ..found() };
    for (found, reason) in [(without_key, Reason::StateInvalid), (without_credential, Reason::TokenMalformed)] {
        let mut laptop = Laptop::boot(&found);
        laptop.pass(Duration::ZERO);
        assert!(matches!(&laptop.dialled()[..], [EffectId::Bridge(id, ..)] if **id == beta()));
        let rows = laptop.daemon.report().bindings.into_iter();
        let rows: Vec<_> = rows.map(|row| (row.org.slug, row.link, row.reason, row.renewable_until > 0)).collect();
        let broken = ("org".into(), LinkState::Disconnected, Some(reason), false);
        assert_eq!(rows, [broken, ("beta".into(), LinkState::Connecting, None, true)]);
    }
}
