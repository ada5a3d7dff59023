//! What a viewer keeps in mind, and what it passes over.

mod sealed;
mod watching;

use alloc::{vec, vec::Vec};

use super::*;
use crate::{
    Entropy,
    crypto::PureRust,
    device::uplink::{
        EffectId,
        testing::{START, UNIX, claims, device, key_set, record, settings, signer, welcome},
    },
    effect::{Closed, Effect, IoEvent},
    jose::{self, Claims},
    keyset,
    noise::{Symbolic, channel::Channel},
    testing::fingerprint,
    wire::{Answer, Refused},
};

/// A viewer with its relay, which does what a test says.
struct Bench {
    viewer: Viewer<Symbolic>,
    relay: Channel<Symbolic>,
    said: Vec<Output>,
    sent: Vec<Bytes>,
}

fn viewer() -> Viewer<Symbolic> {
    viewer_with(None)
}

fn viewer_with(key: Option<&OrganizationKeyFile>) -> Viewer<Symbolic> {
    let clock = WallClock::new(START, UNIX);
    Viewer::new(START, clock, &record(), device(), key, &settings(), &PureRust, JitterRng::new(1)).unwrap()
}

impl Bench {
    fn up() -> Self {
        Self::with(None)
    }

    /// A viewer that is up, and kept this of the organization's key.
    fn with(key: Option<&OrganizationKeyFile>) -> Self {
        let mut viewer = viewer_with(key);
        viewer.handle_timeout(START);
        let connected = Input::Io(IoEvent::Connected(EffectId::Link, Entropy::new([4; 32])));
        viewer.handle_input(START, connected).unwrap();
        let message_1 = core::iter::from_fn(|| viewer.poll_output()).find_map(|output| match output {
            Output::Effect(Effect::Send(EffectId::Link, message)) => Some(message),
            _ => None,
        });
        let (relay, message_2) = welcome(&message_1.unwrap());
        let mut bench = Self { viewer, relay, said: vec![], sent: vec![] };
        bench.input(Input::Io(IoEvent::Received(EffectId::Link, message_2)));
        assert_eq!(core::mem::take(&mut bench.said), [Output::Up]);
        bench
    }

    fn input(&mut self, input: Input) {
        self.viewer.handle_input(START, input).unwrap();
        while let Some(output) = self.viewer.poll_output() {
            match output {
                Output::Effect(Effect::Send(EffectId::Link, message)) => self.sent.push(message),
                Output::Effect(_) => {}
                said => self.said.push(said),
            }
        }
    }

    /// The frames that arrived at the relay.
    fn heard(&mut self) -> Vec<Frame> {
        self.sent.drain(..).map(|message| self.relay.open(&message).unwrap()).collect()
    }

    /// A session of a daemon with these claims, which the user wants to see; the platform's keys are there.
    fn watch(&mut self, claims: &Claims) {
        self.open_as(claims);
        self.input(Input::Watch(numbered(1)));
    }

    fn open_as(&mut self, claims: &Claims) {
        let daemon_token = jose::sign(claims, &signer());
        let open = Head::Open { session: numbered(1), cipher: 2 };
        self.tell(Frame { head: open, body: Bytes::copy_from_slice(daemon_token.expose().as_bytes()) });
        self.input(Input::Io(IoEvent::Answered(EffectId::Keys(keyset::EffectId(1)), key_set())));
        self.heard();
        self.said.clear();
    }

    fn tell(&mut self, frame: impl Into<Frame>) {
        let message = self.relay.seal(&frame.into()).unwrap();
        self.input(Input::Io(IoEvent::Received(EffectId::Link, message)));
    }

    fn open(&mut self, session: SessionId) {
        self.tell(Head::Open { session, cipher: 1 });
    }
}

fn numbered(number: usize) -> SessionId {
    SessionId((number as u128).to_be_bytes())
}

/// L6: what the relay says of sessions that are not there, or in a way that is not known, is counted and changes nothing.
#[test]
fn what_makes_no_sense_is_counted() {
    let mut bench = Bench::up();
    assert_eq!(bench.viewer.ignored(), 0);
    for (n, head) in (1..).zip([
        Head::Open { session: numbered(1), cipher: 0 },
        Head::Open { session: numbered(1), cipher: 3 },
        Head::Data { session: numbered(1), epoch: 0, sequence: 0 },
        Head::Peer { session: numbered(1), viewer: 0 },
    ]) {
        bench.tell(head);
        assert_eq!((bench.viewer.ignored(), bench.said.len()), (n, 0));
    }
}

/// L8: so many sessions are kept in mind, whether the relay or a person named them; these can be named again.
#[test]
fn so_many_sessions_are_kept_in_mind() {
    let mut bench = Bench::up();
    for n in 0..MAX_SESSIONS {
        bench.input(Input::Watch(numbered(n)));
    }
    assert_eq!(bench.viewer.ignored(), 0);
    bench.input(Input::Watch(numbered(0)));
    bench.open(numbered(1));
    assert_eq!((bench.viewer.ignored(), &*bench.said), (0, &[Output::Listed(numbered(1))][..]));
    bench.input(Input::Watch(numbered(MAX_SESSIONS)));
    bench.open(numbered(MAX_SESSIONS));
    assert_eq!((bench.viewer.ignored(), bench.said.len()), (2, 1));
}

/// A session may be asked for before the relay names it, and is listed once.
#[test]
fn a_session_is_listed_once() {
    let mut bench = Bench::up();
    bench.input(Input::Watch(numbered(1)));
    for session in [1, 2, 1, 2] {
        bench.open(numbered(session));
    }
    assert_eq!(bench.said, [1, 2].map(|session| Output::Listed(numbered(session))));
    assert_eq!(bench.viewer.ignored(), 0);
}

/// What the relay says of a session is news when it says something else of it; whose it is stands in the credential beside it.
#[test]
fn a_session_is_listed_again_when_it_stands_otherwise() {
    use crate::wire::{Listing, Standing};

    let mut bench = Bench::up();
    let daemon_token = jose::sign(&claims(1, UNIX), &signer());
    let mut tell = |standing| {
        let listing = Listing { standing, bytes: 5, ..Listing::default() };
        let open = Head::Open { session: numbered(1), cipher: 1 };
        bench.tell(Frame { head: open, body: listing.body(daemon_token.expose().as_bytes()) });
        (core::mem::take(&mut bench.said).len(), bench.viewer.about(numbered(1)).unwrap())
    };
    for (standing, news) in [(Standing::Live, 1), (Standing::Live, 0), (Standing::Cut, 1)] {
        let about = About {
            listing: Listing { standing, bytes: 5, ..Listing::default() },
            machine: Some(claims(1, UNIX).runtime_target),
        };
        assert_eq!(tell(standing), (news, about));
    }
    assert_eq!(bench.viewer.about(numbered(2)), None);
}

/// Viewers are told apart by what they know, whatever library they use.
#[test]
fn a_viewers_fingerprint_is_that_of_what_it_knows() {
    let mut watching = viewer();
    assert_eq!(fingerprint(&watching), fingerprint(&viewer()));
    watching.handle_input(START, Input::Watch(numbered(1))).unwrap();
    assert_ne!(fingerprint(&watching), fingerprint(&viewer()));
}

/// S125, L4: once the relay ended it, nothing that is asked for is kept in mind any more.
#[test]
fn an_ended_viewer_watches_nothing() {
    let mut bench = Bench::up();
    bench.tell(Head::Revoke { reason: Reason::MachineRevoked });
    bench.input(Input::Io(IoEvent::Closed(EffectId::Link, Closed::ByUs)));
    assert_eq!(bench.viewer.status(), Status::Failed(&Reason::MachineRevoked));
    let before = fingerprint(&bench.viewer);
    bench.input(Input::Watch(numbered(1)));
    assert_eq!(fingerprint(&bench.viewer), before);
}

/// JWT-1, ADM-4: a session is one of a daemon of the viewer's own org, as the platform's signature says; else it is not shown.
#[test]
fn only_a_daemon_of_the_org_is_vouched_for() {
    let own = claims(1, UNIX);
    let mut bench = Bench::up();
    bench.watch(&own);
    assert!(matches!(bench.heard()[..], [Frame { head: Head::Peer { .. }, .. }]));
    assert_eq!(bench.said, []);
    for other in [
        Claims { org: "OTHER".parse().unwrap(), ..own.clone() },
        Claims { role: DeviceKind::Viewer, ..own.clone() },
        Claims { role: DeviceKind::Viewer, org: "OTHER".parse().unwrap(), ..own },
    ] {
        let mut bench = Bench::up();
        bench.watch(&other);
        assert_eq!(bench.said, [Output::Failed(numbered(1), Reason::TokenWrongAudience)]);
        assert_eq!(bench.heard(), []);
    }
}

/// WIRE section 8: a daemon's no ends the wait for its session, where asking again cannot help.
#[test]
fn a_daemons_refusal_is_final_or_waited_out() {
    for (reason, is_final) in [
        (Reason::SessionUnknown, true),
        (Reason::TokenMalformed, true),
        (Reason::TokenExpired, false),
        (Reason::RateLimited, false),
    ] {
        let mut bench = Bench::up();
        bench.watch(&claims(1, UNIX));
        let send_first_message = bench.heard().remove(0).body;
        let (mut noise, _) = Symbolic::respond(device().static_keys(), Entropy::new([8; 32]), &send_first_message).unwrap();
        let refusal = Answer::Refused(Refused { reason, retry_after: 0 }).encode();
        let body = noise.answer(None, &refusal).unwrap().into();
        bench.tell(Frame { head: Head::Peer { session: numbered(1), viewer: 0 }, body });
        let failed = Output::Failed(numbered(1), reason);
        assert_eq!(bench.said, if is_final { vec![failed] } else { vec![] }, "{reason:?}");
    }
}
