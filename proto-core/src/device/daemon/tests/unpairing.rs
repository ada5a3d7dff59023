//! Bindings end: unpaired here, or revoked by their relay.

use alloc::{string::String, vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Reason,
    device::{
        control::{Attached, UnpairRequest},
        files::BindingRecord,
        uplink::testing::record,
    },
    effect::{Closed, IoEvent, StateFile},
    wire::Head,
};

fn unpair(org: Option<&str>) -> Request {
    Request::Unpair(UnpairRequest { org: org.map(Into::into) })
}

/// What `vpd unpair` makes of an org's name: the org's slug that goes, or why none does.
fn unpaired(laptop: &mut Laptop, org: Option<&str>) -> Result<String, Reason> {
    laptop.take_said();
    laptop.request(1, unpair(org));
    laptop.settle();
    match laptop.take_answers().pop() {
        Some((1, Ok(Answer::Unpaired(unpaired)))) => Ok(unpaired.org.id.as_str().into()),
        Some((1, Err(reason))) => Err(reason),
        other => panic!("{other:?}"),
    }
}

/// S50: `vpd unpair` takes an id, a slug, or nothing while there is one org only. What could mean two is refused, and an id
/// goes before another org's slug.
#[test]
fn an_org_is_named_by_id_or_slug() {
    let third = |slug: &str| {
        let third = BindingRecord { workspace_id: "C".parse().unwrap(), slug: slug.into(), ..beta_record() };
        let key = key_of(&"C".parse().unwrap(), 0, 4);
        let third = BindingRecord { identity: "relay-identities/C.json".into(), ..third };
        let found = StoredState { config: Some(config(vec![record(), beta_record(), third])), ..found() };
        Laptop::boot(&StoredState { identities: found.identities.iter().cloned().chain([key]).collect(), ..found })
    };
    let two = Laptop::paired;
    assert_eq!(unpaired(&mut two(), Some("ORG")), Ok("ORG".into()));
    assert_eq!(unpaired(&mut two(), Some("beta")), Ok("BETA".into()));
    assert_eq!(unpaired(&mut two(), Some("gamma")), Err(Reason::OrgUnknown));
    assert_eq!(unpaired(&mut two(), None), Err(Reason::OrgAmbiguous));
    assert_eq!(unpaired(&mut third("beta"), Some("beta")), Err(Reason::OrgAmbiguous));
    assert_eq!(unpaired(&mut third("ORG"), Some("ORG")), Ok("ORG".into()));
    assert_eq!(unpaired(&mut third("ORG"), Some("C")), Ok("C".into()));
    let mut laptop = two();
    unpaired(&mut laptop, Some("ORG")).unwrap();
    assert_eq!(unpaired(&mut laptop, None), Ok("BETA".into()));
    assert_eq!(unpaired(&mut laptop, None), Err(Reason::NotPaired));
}

/// S50, S118, BIND-5, BIND-7: unpairing cuts the org's sessions at once, removes their keys and the binding, and is answered
/// when nothing of it is left. The other org's session streams on.
#[test]
fn unpairing_leaves_nothing() {
    let mut laptop = Laptop::paired();
    let relay = laptop.up(&org());
    let (session, other) = (laptop.streams(SOURCE, BOUND), laptop.streams(OTHER, BOUND_TO_BETA));
    laptop.take_said();
    laptop.request(1, unpair(Some("org")));
    let revoke = Output::ToSource(SOURCE, Head::Revoke { reason: Reason::SessionCut }.into());
    assert_eq!(laptop.take_said()[..2], [Output::Log(Event::Cut(org(), None)), revoke]);
    assert!(laptop.net.iter().any(|effect| matches!(effect, crate::effect::Effect::Close(ask, _) if *ask == relay.effect_id)));
    let rows: Vec<_> = laptop.daemon.report().sessions.into_iter().map(|row| row.id).collect();
    assert_eq!(rows, [alloc::format!("{other}")]);
    let (stored, mut removed) = laptop.settle();
    removed.sort();
    assert_eq!(
        (stored, removed),
        (vec![StateFile::Config], vec![StateFile::Identity(org().org, 0), StateFile::Session(session)])
    );
    let said = laptop.take_said();
    assert!(matches!(&said[..], [Output::Log(Event::Gone(id)), Output::Answer(RequestId(1), Ok(_))] if *id == org()), "{said:?}");
    laptop.again(SOURCE, session);
    laptop.again(OTHER, other);
    let attached = laptop.take_attached();
    assert_eq!(attached[0], (SOURCE, Attached::LocalOnly { reason: Some(Reason::SessionCut) }));
    assert!(matches!(attached[1], (OTHER, Attached::Streaming { .. })));
}

/// S129, BIND-6: the relay's revocation ends its own binding, with its reason, and no other.
#[test]
fn a_revocation_ends_its_binding_only() {
    let mut laptop = Laptop::paired();
    let mut relay = laptop.up(&org());
    laptop.streams(SOURCE, BOUND);
    laptop.take_said();
    let reason = Reason::MachineRevoked;
    laptop.tell(&mut relay, Head::Revoke { reason });
    assert!(matches!(laptop.take_log()[..], [Event::Disconnected(..)]));
    laptop.happens(IoEvent::Closed(relay.effect_id, Closed::ByUs));
    let revoke = Output::ToSource(SOURCE, Head::Revoke { reason }.into());
    assert_eq!(laptop.take_said(), [revoke, Output::Log(Event::Cut(org(), Some(reason)))]);
    laptop.settle();
    assert_eq!(laptop.take_log(), [Event::Gone(org())]);
    let left: Vec<_> = laptop.daemon.report().bindings.into_iter().map(|row| row.org.slug).collect();
    assert_eq!(left, ["beta"]);
}

/// The binding goes while a session's pin is written: the session stays here, and its pin is removed.
#[test]
fn a_binding_that_goes_takes_the_pin_along() {
    let mut laptop = Laptop::paired();
    laptop.start(SOURCE, BOUND);
    let session = laptop.files[0].1.clone();
    laptop.request(1, unpair(Some("org")));
    let (_, removed) = laptop.settle();
    assert!(removed.contains(&session));
    assert_eq!(laptop.take_attached(), [(SOURCE, Attached::LocalOnly { reason: Some(Reason::SessionCut) })]);
    assert_eq!(laptop.daemon.report().sessions, []);
}

/// What is in a directory becomes known when its org is gone: nothing streams, and nothing is pinned.
#[test]
fn a_session_of_an_org_that_is_gone_stays_here() {
    let mut laptop = Laptop::paired();
    let attach = crate::device::control::Attach::Start { directory: BOUND.into(), title: title() };
    laptop.input(Input::Attach(SOURCE, attach, crate::Entropy::new([1; 32])));
    laptop.request(1, unpair(Some("org")));
    laptop.settle();
    laptop.look();
    assert_eq!(laptop.take_attached(), [(SOURCE, Attached::LocalOnly { reason: Some(Reason::OrgUnknown) })]);
    assert!(laptop.files.is_empty());
}
