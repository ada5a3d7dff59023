mod bench;

use alloc::vec;

use self::bench::*;
use super::*;
use crate::{
    SessionId,
    effect::{Close, Closed, NetFault},
    keyset::LookupId,
    wire::{Frame, Head},
};

const SESSION: SessionId = SessionId([1; 16]);

/// S163, S166: it connects at once, where the pairing or the device's own setting says, and fetches its platform's keys.
#[test]
fn it_begins_with_what_its_record_names() {
    let own = Settings { relay_endpoint: Some("ws://localhost/ws".into()), ..settings() };
    for (settings, url) in [(settings(), RELAY_URL), (own, "ws://localhost/ws")] {
        let mut bench = Bench::with(&settings);
        assert_eq!(bench.uplink.link_state(), LinkState::Connecting);
        assert_eq!((bench.uplink.is_up(), bench.uplink.trouble(), bench.uplink.keys()), (false, None, None));
        assert_eq!(bench.http[0].1.url, "https://api.example/api/.well-known/jwks.json");
        assert_eq!(bench.uplink.poll_timeout().map(|deadline| deadline.at), Some(START));
        bench.fire();
        assert_eq!(bench.connects, [url]);
        assert_eq!(bench.uplink.credential(), &token(1, UNIX));
        assert_eq!(bench.uplink.renewable_until(), UNIX.plus(RENEWABLE));
    }
}

/// Frames go both ways while it is up, and none does before.
#[test]
fn frames_go_through_an_open_link() {
    let mut bench = Bench::new();
    bench.input(Input::Send(Head::Ping { nonce: 9 }.into()));
    let mut relay = bench.come_up();
    assert_eq!(bench.take_said(), [Output::Up]);
    assert!(bench.uplink.is_up() && bench.uplink.link_state() == LinkState::Connected);
    let end: Frame = Head::Resume { session: SESSION, next: 3 }.into();
    bench.input(Input::Send(end.clone()));
    assert_eq!(bench.sent_to(&mut relay), core::slice::from_ref(&end));
    bench.tell(&mut relay, end.clone());
    assert_eq!(bench.take_said(), [Output::Received(end)]);
    bench.io_event(IoEvent::Closed(EffectId::Link, Closed::Fault(NetFault::Broken)));
    assert_eq!(bench.take_said(), [Output::Down(Reason::RelayClosed)]);
    assert_eq!(bench.uplink.trouble(), Some(Reason::RelayClosed));
}

/// JWT-5: a lookup is answered when the key set is there, and the keys can be read from then on.
#[test]
fn lookups_are_answered_from_the_platforms_key_set() {
    let mut bench = Bench::new();
    let kid = signer().kid();
    bench.input(Input::Look(LookupId(5), kid));
    assert_eq!(bench.take_said(), []);
    bench.answer(200, &[signer().public_key()].into_iter().collect::<JwkSet>().to_json());
    assert_eq!(bench.take_said(), [Output::LookedUp(LookupId(5))]);
    assert_eq!(bench.uplink.keys().and_then(|keys| keys.get(kid)), Some(signer().public_key()));
}

/// D8, S187: a relay that calls the credential expired makes it be renewed, and the link comes again once that is durable.
#[test]
fn an_expired_credential_is_renewed_and_shown_at_once() {
    for (reason, renews) in [(Reason::TokenExpired, true), (Reason::RateLimited, false)] {
        let mut bench = Bench::new();
        bench.answer(200, "{}");
        bench.refuse(reason, 600);
        assert_eq!(bench.take_said(), [Output::Down(reason)]);
        assert_eq!(bench.uplink.trouble(), Some(reason));
        assert_eq!(bench.http.iter().any(|(_, request)| request.url.ends_with("/rotate")), renews);
        if renews {
            let newer = token(2, UNIX);
            bench.renew(&newer);
            let waits = bench.uplink.poll_timeout().unwrap().at;
            assert!(waits > bench.now, "the relay asked for patience");
            bench.input(Input::Stored(relay_record("wss://moved.example/ws")));
            assert_eq!((bench.uplink.credential(), bench.uplink.poll_timeout().unwrap().at), (&newer, bench.now));
            bench.fire();
            assert_eq!(bench.connects, [RELAY_URL, "wss://moved.example/ws"]);
        }
    }
}

/// S166: the device's own setting stays, wherever the platform says the relay is.
#[test]
fn the_devices_own_relay_is_kept_across_renewals() {
    let mut bench = Bench::with(&Settings { relay_endpoint: Some("ws://localhost/ws".into()), ..settings() });
    bench.answer(200, "{}");
    bench.refuse(Reason::TokenExpired, 0);
    bench.renew(&token(2, UNIX));
    bench.input(Input::Stored(relay_record("wss://moved.example/ws")));
    bench.fire();
    assert_eq!(bench.connects, ["ws://localhost/ws", "ws://localhost/ws"]);
}

/// ROT-5: a live link shows the renewed credential, and what comes of that is no news for the owner.
#[test]
fn a_renewed_credential_goes_over_the_live_link() {
    let mut bench = Bench::new();
    bench.answer(200, "{}");
    let mut relay = bench.come_up();
    bench.expire();
    let newer = token(2, bench.unix());
    bench.renew(&newer);
    bench.input(Input::Stored(relay_record(RELAY_URL)));
    assert_eq!(bench.sent_to(&mut relay), [Head::Rotate { token: newer }.into()]);
    bench.take_said();
    bench.tell(&mut relay, Head::Rotated { generation: 2 });
    assert_eq!(bench.take_said(), []);
    assert!(bench.uplink.is_up());
}

/// LINK-1: patience that the relay asked for is kept, whatever becomes of the credential meanwhile.
#[test]
fn a_link_that_waits_for_something_else_is_not_hurried_by_a_renewal() {
    let mut bench = Bench::new();
    bench.answer(200, "{}");
    bench.refuse(Reason::RateLimited, 100_000);
    bench.pass(core::time::Duration::from_secs(LIFETIME));
    bench.renew(&token(2, bench.unix()));
    bench.input(Input::Stored(relay_record(RELAY_URL)));
    assert_eq!(bench.connects.len(), 1);
    assert!(bench.uplink.poll_timeout().unwrap().at > bench.now);
}

/// S145: hurrying tries the link now, and the renewal too where that is in trouble.
#[test]
fn hurrying_tries_everything_that_waits() {
    for in_trouble in [true, false] {
        let mut bench = Bench::new();
        bench.answer(200, "{}");
        bench.refuse(Reason::RateLimited, 100_000);
        if in_trouble {
            bench.expire();
            bench.answer(503, "");
            assert_eq!(bench.take_said().last(), Some(&Output::NotRenewed(Reason::PlatformUnreachable)));
        }
        bench.input(Input::RetryNow);
        assert_eq!(bench.http.len(), usize::from(in_trouble));
        assert_eq!(bench.uplink.poll_timeout().unwrap().at, bench.now);
        bench.fire();
        assert_eq!(bench.connects.len(), 2);
    }
}

/// While the link is up, what hinders the renewal is the trouble to show.
#[test]
fn the_renewals_trouble_is_shown_while_the_link_is_up() {
    let mut bench = Bench::new();
    bench.answer(200, "{}");
    bench.come_up();
    bench.expire();
    bench.answer(503, "");
    assert!(bench.uplink.is_up());
    assert_eq!(bench.uplink.trouble(), Some(Reason::PlatformUnreachable));
}

/// JWT-3: a clock that was set tells the time, and whether the credential has lapsed.
#[test]
fn a_clock_that_was_set_counts() {
    let mut bench = Bench::new();
    assert_eq!(bench.uplink.unix(), UNIX);
    let later = UNIX.plus(RENEWABLE);
    bench.clock(WallClock::new(bench.now, later));
    assert_eq!((bench.uplink.unix(), bench.take_said()), (later, vec![Output::RenewalExpired]));
}

/// S145: a machine that wakes from a suspend tries at once, whatever it waited for; a reading that says nothing new hurries
/// nothing.
#[test]
fn a_suspend_makes_it_try_at_once() {
    for (seconds, tries) in [(5, true), (0, false)] {
        let mut bench = Bench::new();
        bench.answer(200, "{}");
        bench.refuse(Reason::RateLimited, 100_000);
        let unix = bench.unix().plus(seconds);
        bench.clock(WallClock::new(bench.now, unix));
        assert_eq!(bench.uplink.poll_timeout().unwrap().at == bench.now, tries);
    }
}

/// ISO-4: every block of entropy is another, and there is none before a connection brought some.
#[test]
fn entropy_grows_from_that_of_the_connection() {
    let mut bench = Bench::new();
    assert!(bench.uplink.draw().is_none());
    bench.come_up();
    let drawn = [(); 3].map(|()| *bench.uplink.draw().unwrap().derive("test").expose());
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
}

/// BIND-6, L4: a refusal that ends the binding ends this, and nothing is done any more.
#[test]
fn the_relays_last_word_ends_it() {
    let mut bench = Bench::new();
    bench.refuse(Reason::MachineRevoked, 0);
    assert_eq!(bench.take_said(), [Output::Down(Reason::MachineRevoked), Output::Ended(Reason::MachineRevoked)]);
    assert_eq!(bench.uplink.status(), Status::Failed(&Reason::MachineRevoked));
    absorbs(bench);
}

/// L4: it is stopped with a plain close, and then nothing is done any more.
#[test]
fn stopping_ends_it() {
    let mut bench = Bench::new();
    bench.come_up();
    bench.input(Input::Stop);
    assert_eq!(bench.closes, [Close::Normal]);
    bench.io_event(IoEvent::Closed(EffectId::Link, Closed::ByUs));
    assert_eq!(bench.uplink.status(), Status::Finished);
    absorbs(bench);
}

fn absorbs(mut bench: Bench) {
    bench.take_said();
    bench.http.clear();
    let connects = bench.connects.len();
    assert_eq!(bench.uplink.poll_timeout(), None);
    bench.clock(WallClock::new(bench.now, UNIX.plus(RENEWABLE)));
    bench.input(Input::Look(LookupId(1), signer().kid()));
    bench.input(Input::RetryNow);
    bench.pass(core::time::Duration::from_hours(2_000));
    assert_eq!((bench.take_said(), bench.http.len(), bench.connects.len()), (vec![], 0, connects));
}

#[test]
fn a_record_without_a_credential_makes_none() {
    let record = BindingRecord { issue_token: SecretText::new("a.b.c"), ..record() };
    let clock = WallClock::new(START, UNIX);
    let uplink = Uplink::<crate::noise::Symbolic>::new(
        START,
        clock,
        Role::Daemon,
        &record,
        &device(),
        None,
        &settings(),
        JitterRng::new(1),
    );
    assert_eq!(uplink.err(), Some(Reason::TokenMalformed));
}
