//! The links of a daemon's bindings: which binding dials when, and which bridge gets an input.

use alloc::{vec, vec::Vec};

use serde_json::json;

use super::{super::*, laptop::*};
use crate::{
    Obstacle, Reason,
    device::{
        files::{Config, Document},
        uplink::{
            self,
            testing::{LIFETIME, RELAY_URL, RENEWABLE, relay, token},
        },
    },
    effect::{Closed, IoEvent, NetFault, StateFile, UpgradeRefusal},
    wire::Head,
};

/// Both links are down, and their next attempts are some time away.
fn waiting() -> Laptop {
    let mut laptop = Laptop::paired();
    laptop.pass(Duration::ZERO);
    for _ in 0..12 {
        for effect_id in laptop.dialled() {
            laptop.happens(IoEvent::Closed(effect_id, Closed::Fault(NetFault::Refused)));
        }
        let next = laptop.daemon.poll_timeout().unwrap().at.since(laptop.now);
        laptop.pass(next);
    }
    for effect_id in laptop.dialled() {
        laptop.happens(IoEvent::Closed(effect_id, Closed::Fault(NetFault::Refused)));
    }
    laptop.take_said();
    laptop
}

fn ids(dialled: Vec<EffectId>) -> Vec<BindingId> {
    dialled
        .into_iter()
        .map(|effect_id| if let EffectId::Bridge(id, ..) = effect_id { (*id).clone() } else { panic!("{effect_id:?}") })
        .collect()
}

/// S151: every binding dials at the start, each its own relay.
#[test]
fn every_binding_dials_at_the_start() {
    let mut laptop = Laptop::paired();
    assert_eq!(laptop.daemon.poll_timeout().map(|deadline| deadline.at), Some(START));
    laptop.pass(Duration::ZERO);
    assert_eq!(ids(laptop.dialled()), [beta(), org()]);
}

/// S70: a daemon that is not paired knows no relay's address: it dials none, and waits for nothing.
#[test]
fn a_daemon_that_is_not_paired_dials_nobody() {
    let mut laptop = Laptop::new();
    laptop.request(1, Request::Reconnect);
    laptop.pass(Duration::from_hours(1));
    assert_eq!((laptop.net.len(), laptop.daemon.poll_timeout(), laptop.take_answers().len()), (0, None, 1));
}

/// S145: a request to reconnect, or waking the machine, makes every waiting link try at once.
#[test]
fn waiting_links_try_at_once_when_told_to() {
    let wakes: [fn(&mut Laptop); 2] =
        [|laptop| laptop.request(1, Request::Reconnect), |laptop| laptop.clock(WallClock::new(START, UNIX.plus(5)))];
    for wake in wakes {
        let mut laptop = waiting();
        laptop.pass(Duration::ZERO);
        assert_eq!(laptop.dialled(), []);
        wake(&mut laptop);
        laptop.pass(Duration::ZERO);
        assert_eq!(ids(laptop.dialled()), [beta(), org()]);
    }
}

/// L3: a reading of the clock that says nothing new wakes no link.
#[test]
fn a_clock_that_was_not_set_hurries_nothing() {
    let mut laptop = waiting();
    laptop.clock(WallClock::new(START.after(Duration::from_secs(9)), UNIX.plus(9)));
    laptop.pass(Duration::ZERO);
    assert_eq!(laptop.dialled(), []);
}

/// The wall clock was set: what a credential says about time counts by the new one, for every binding.
#[test]
fn stamps_are_read_anew_after_a_suspend() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.clock(WallClock::new(START, UNIX.plus(RENEWABLE + 1)));
    laptop.pass(Duration::ZERO);
    let lapsed: Vec<_> = laptop.take_log().into_iter().filter(|event| matches!(event, Event::RenewalExpired(_))).collect();
    assert_eq!(lapsed, [Event::RenewalExpired(beta()), Event::RenewalExpired(org())]);
}

/// A link that goes up and down is said, with the reason.
#[test]
fn links_that_come_and_go_are_reported() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    let relay = laptop.up(&org());
    assert_eq!(laptop.take_log(), [Event::Connected(org())]);
    laptop.happens(IoEvent::Closed(relay.effect_id, Closed::ByPeer(None)));
    assert!(matches!(&laptop.take_log()[..], [Event::Disconnected(id, _, None)] if *id == org()));
}

/// F43: what a proxy answers in the relay's place is logged and shown, until the link is up.
#[test]
fn what_a_connection_met_is_said() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.pass(Duration::ZERO);
    let effect_id = laptop.dialled().into_iter().find(|id| matches!(id, EffectId::Bridge(of, ..) if **of == org())).unwrap();
    let refusal = UpgradeRefusal { status: 403, retry_after: None, is_problem: false };
    laptop.happens(IoEvent::Closed(effect_id, Closed::Refused(refusal)));
    let met = Some(Obstacle::Status(403));
    assert_eq!(laptop.take_log(), [Event::Disconnected(org(), Reason::RelayUnreachable, met)]);
    assert_eq!(laptop.daemon.report().bindings[0].obstacle, met);
    laptop.pass(Duration::from_secs(2));
    laptop.up(&org());
    assert_eq!(laptop.daemon.report().bindings[0].obstacle, None);
}

/// Sessions that stream when a link comes up again are opened there, and those of other bindings are not.
#[test]
fn a_link_that_comes_up_opens_its_sessions() {
    let mut laptop = Laptop::paired();
    let session = laptop.streams(SOURCE, BOUND);
    laptop.streams(OTHER, BOUND_TO_BETA);
    let mut relay = laptop.up(&org());
    let opened: Vec<_> = laptop.heard(&mut relay).into_iter().filter_map(|frame| frame.head.session()).collect();
    assert_eq!(opened, [session]);
}

/// ROT-2, ROT-5: a renewed credential is shown to the relay once it is durable, which is said then.
#[test]
fn a_renewed_credential_is_durable_before_it_is_shown() {
    let mut laptop = Laptop::paired();
    let mut link = laptop.up(&org());
    let now = UNIX.plus(LIFETIME);
    laptop.clock(WallClock::new(START, now));
    laptop.heard(&mut link);
    laptop.take_said();
    let newer = token(2, now);
    let key = relay().static_key().to_base64url();
    let body = json!({"issue_token": newer.expose(), "relay": {"url": RELAY_URL, "static_keys": [key]}});
    let is_its =
        |effect_id: &EffectId| matches!(effect_id, EffectId::Bridge(id, _, uplink::EffectId::Rotation(_)) if **id == org());
    laptop.answer_of(is_its, 200, &body);
    assert_eq!((laptop.heard(&mut link), laptop.take_said()), (vec![], vec![]));
    let (file, contents) = laptop.stored();
    let config = Config::parse(contents.unwrap().expose()).unwrap();
    let record = config.bindings.iter().find(|record| record.id() == org()).unwrap();
    assert_eq!((file, record.generation, &record.issue_token), (StateFile::Config, 2, &newer));
    assert_eq!(laptop.heard(&mut link), [Head::Rotate { token: newer }.into()]);
    assert_eq!(laptop.take_log(), [Event::Renewed(org())]);
    assert_eq!(laptop.daemon.report().bindings[0].renewable_until, now.plus(RENEWABLE).0);
}

/// A credential that is not renewed for now is said, for its own binding.
#[test]
fn a_renewal_that_fails_is_reported() {
    let mut laptop = Laptop::paired();
    laptop.clock(WallClock::new(START, UNIX.plus(LIFETIME)));
    laptop.take_said();
    laptop.answer_of(
        |effect_id| matches!(effect_id, EffectId::Bridge(id, _, uplink::EffectId::Rotation(_)) if **id == org()),
        503,
        &"",
    );
    assert!(matches!(&laptop.take_log()[..], [Event::NotRenewed(id, ..)] if *id == org()));
    assert!(laptop.files.is_empty());
}
