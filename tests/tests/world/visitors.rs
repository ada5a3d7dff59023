//! Handshakes with a daemon through a relay that lets everything through (D14, WIRE section 8).

use bytes::Bytes;
use proto_core::{
    Entropy, SessionId,
    crypto::Identity,
    id::DeviceKind,
    jose::{Confirmation, Thumbprint},
    noise::{InitiatorKeys, Noise, Symbolic},
    secret::{Secret, SecretText},
    wire::{Answer, Frame, Head, Hello, KeyAnswer, KeyRequest, Pattern, Preamble, Role, Suite},
};

use crate::{World, bound};

/// The most visitors at once, as the daemon has it.
const MAX_VISITORS: u64 = 256;

/// A daemon with a session, and a viewer of its org with a good credential.
struct Setup {
    world: World,
    session: SessionId,
    identity: Identity,
    token: SecretText,
}

impl Setup {
    fn new() -> Self {
        let mut world = bound(&["acme"]);
        let run = world.run("/work/acme");
        let session = world.laptop.runs[run].id().unwrap();
        let identity = Identity::from_seed(Secret::new([7; 32]));
        let confirmation =
            Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) };
        let (org, unix) = (world.org("acme"), world.unix());
        let token = world.platform.enrol(&org, DeviceKind::Viewer, "viewer", confirmation, unix).issue_token;
        Self { world, session, identity, token }
    }

    fn hello(&self) -> Vec<u8> {
        Hello { token: self.token.clone(), software: "viewer".into() }.encode()
    }

    /// Message 1 of this viewer, in a handshake of that kind.
    fn message_1(&self, preamble: Preamble, payload: &[u8], seed: u8) -> (Symbolic, Bytes) {
        let daemon = &self.world.laptop.config().bindings[0].runtime_target_id;
        let responder = self.world.platform.targets[daemon].record.holder.confirmation.static_key;
        let psk = (preamble.suite.pattern() == Pattern::IkPsk2).then(|| Secret::new([1; 32]));
        let keys = InitiatorKeys { preamble, local: self.identity.static_keys(), responder, psk: psk.as_ref() };
        let (noise, message) = Symbolic::initiate(keys, Entropy::new([seed; 32]), payload).unwrap();
        (noise, message.into())
    }

    /// What the daemon answers to the viewer with this number.
    fn say(&mut self, viewer: u64, body: Bytes) -> Option<Bytes> {
        self.world.relay("acme").frames.clear();
        self.world.forge("acme", Frame { head: Head::Peer { session: self.session, viewer }, body });
        self.world.settle();
        let frames = &self.world.relay("acme").frames;
        let is_answer = |frame: &Frame| matches!(frame.head, Head::Peer { viewer: to, .. } if to == viewer);
        frames.iter().find(|(_, frame)| is_answer(frame)).map(|(_, frame)| frame.body.clone())
    }

    fn is_welcome(&mut self, viewer: u64) -> Symbolic {
        let (mut noise, message) = self.message_1(peer(Pattern::Ik), &self.hello(), 3);
        let answer = self.say(viewer, message).expect("an answer");
        let answer = Answer::decode(&noise.read_answer(&answer).unwrap());
        assert!(matches!(answer, Ok(Answer::Welcome(_))), "{answer:?}");
        noise
    }

    /// Whether the daemon gives this visitor the session's key.
    fn gets_key(&mut self, viewer: u64, noise: &mut Symbolic) -> bool {
        let mut message = Vec::new();
        noise.seal(&KeyRequest { session: self.session }.encode(), &mut message).unwrap();
        let Some(answer) = self.say(viewer, message.into()) else { return false };
        let mut plaintext = Vec::new();
        noise.open(&answer, &mut plaintext).unwrap();
        let pin = self.world.laptop.pins().into_iter().find(|pin| pin.session == self.session).unwrap();
        KeyAnswer::decode(&plaintext).unwrap().secret == pin.secret
    }
}

fn peer(pattern: Pattern) -> Preamble {
    Preamble { suite: Suite::choose(pattern, false), role: Role::Peer }
}

/// Only the handshake of a viewer is answered, and only with a credential in it that can be read: a device's own message 1, which a
/// relay could hand on, and one under a PSK, which viewers do not have, lead nowhere.
#[test]
fn only_a_viewers_handshake_is_answered() {
    let mut setup = Setup::new();
    let hello = setup.hello();
    let torn = Hello { token: SecretText::new("no.credential"), software: "viewer".into() }.encode();
    for (preamble, payload) in [
        (Preamble { role: Role::Daemon, ..peer(Pattern::Ik) }, &hello[..]),
        (Preamble { role: Role::Viewer, ..peer(Pattern::Ik) }, &hello[..]),
        (peer(Pattern::IkPsk2), &hello[..]),
        (peer(Pattern::Ik), b"no hello"),
        (peer(Pattern::Ik), &torn[..]),
    ] {
        let (_, message) = setup.message_1(preamble, payload, 3);
        assert_eq!(setup.say(99, message), None, "{preamble:?}");
    }
    let mut noise = setup.is_welcome(99);
    assert!(setup.gets_key(99, &mut noise));
}

/// L8: of more visitors than the daemon serves at once the one that has been quiet for longest makes room. A visitor that comes
/// again takes no other's place.
#[test]
fn the_quietest_visitor_makes_room_for_another_one() {
    let mut setup = Setup::new();
    let mut visitors: Vec<_> = (0..MAX_VISITORS).map(|viewer| setup.is_welcome(viewer)).collect();
    visitors[5] = setup.is_welcome(5);
    assert!(setup.gets_key(0, &mut visitors[0]), "all of them are served");
    let mut latest = setup.is_welcome(MAX_VISITORS);
    assert!(!setup.gets_key(1, &mut visitors[1]), "the quietest has made room");
    assert!(setup.gets_key(2, &mut visitors[2]));
    assert!(setup.gets_key(5, &mut visitors[5]));
    assert!(setup.gets_key(MAX_VISITORS, &mut latest));
}
