//! The other ends of a device's requests: a relay that really opens and seals, a platform that answers or does not.

use bytes::Bytes;
use proto_core::{
    Entropy, Machine, Reason, Unhashed,
    device::uplink::EffectId,
    effect::{Closed, Effect, IoEvent, NetFault},
    noise::{
        Noise, Symbolic,
        channel::{Channel, Tails},
    },
    secret::Secret,
    wire::{Answer, Frame, Head, Preamble, Refused},
};

use super::answered;
use crate::{
    explore::{Seen, Subject},
    fixtures::{
        handshake::{psk, welcome},
        key_set, relay_identity, renewed,
    },
};

/// The relay's end of one WebSocket.
#[derive(Clone, Debug, Default, Hash)]
pub(super) enum Relay {
    /// Nothing came yet.
    #[default]
    Deaf,
    /// Message 1 came.
    Knocked(Symbolic, Option<Secret>),
    /// Message 2 was sent.
    Answered(Channel<Symbolic>),
}

impl Relay {
    /// A message of the device came; the frame in it.
    pub(super) fn hear(&mut self, message: &Bytes) -> Option<Frame> {
        match self {
            Self::Deaf => {
                let keys = relay_identity();
                if let Ok((noise, first)) = Symbolic::respond(keys.static_keys(), Entropy::new([6; 32]), message) {
                    *self = Self::Knocked(noise, psk(first.preamble.suite));
                }
                None
            }
            Self::Knocked(..) => None,
            Self::Answered(channel) => channel.open(message).ok(),
        }
    }

    /// What it answers, if it was asked.
    fn answer(&mut self, answer: &Answer) -> Bytes {
        let Self::Knocked(noise, psk) = self else { return Bytes::from_static(b"too early") };
        let message = noise.answer(psk.as_ref(), &answer.encode()).unwrap_or_default();
        *self = Self::Answered(Channel::new(noise.clone(), Tails::Refused));
        message.into()
    }

    fn say(&mut self, frame: &Frame) -> Bytes {
        let message = if let Self::Answered(channel) = self { channel.seal(frame).ok() } else { None };
        message.unwrap_or_default()
    }
}

/// What the network, the relay and the platform can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Net {
    Connected,
    ConnectFails,
    /// The socket is closed, by either side.
    Closed,
    ClosedPskInvalid,
    /// The relay lets the device in.
    Welcome,
    /// Under its key, it says that the machine is revoked.
    RefusedRevoked,
    /// Under its key, it asks for ten minutes' patience.
    RefusedBusy,
    Garbage,
    Ping,
    /// A frame that the relay may send.
    Frame,
    /// A frame that only a device sends.
    WrongFrame,
    Revoke,
    Superseded,
    /// The platform gives the next credential.
    Renewed,
    NotRenewed,
    /// The platform gives its key set.
    KeySet,
    NoKeySet,
}

impl Net {
    /// What happens to a link.
    pub(super) const LINK: [Self; 13] = [
        Self::Connected,
        Self::ConnectFails,
        Self::Closed,
        Self::ClosedPskInvalid,
        Self::Welcome,
        Self::RefusedRevoked,
        Self::RefusedBusy,
        Self::Garbage,
        Self::Ping,
        Self::Frame,
        Self::WrongFrame,
        Self::Revoke,
        Self::Superseded,
    ];

    /// What of it is more than the link's own business.
    pub(super) const ABOVE_LINK: [Self; 8] = [
        Self::Connected,
        Self::ConnectFails,
        Self::Closed,
        Self::Welcome,
        Self::RefusedRevoked,
        Self::Garbage,
        Self::Frame,
        Self::Revoke,
    ];

    /// What happens to the other requests of an uplink.
    pub(super) const PLATFORM: [Self; 4] = [Self::Renewed, Self::NotRenewed, Self::KeySet, Self::NoKeySet];

    /// Whether it comes from the relay over an open link, under its key.
    pub(super) const fn is_frame(self) -> bool {
        matches!(self, Self::Ping | Self::Frame | Self::WrongFrame | Self::Revoke | Self::Superseded)
    }

    /// Whether it ends the access of the device, under the pinned key (BIND-6).
    pub(super) const fn ends_access(self) -> bool {
        matches!(self, Self::RefusedRevoked | Self::Revoke)
    }
}

/// Where the other ends stand.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ends {
    pub(super) relay: Relay,
    rotation: Unhashed<u32>,
    keys: Unhashed<u64>,
    /// What the relay sends as [`Net::Frame`].
    frame: Option<Frame>,
}

impl Ends {
    /// Whether that frame says where to go on.
    pub(super) fn resumes(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| matches!(frame.head, Head::Resume { .. }))
    }

    /// Ends whose relay sends this frame, where it sends one.
    pub(super) fn sending(frame: Frame) -> Self {
        Self { frame: Some(frame), ..Self::default() }
    }

    /// The event behind a name, and what becomes of the ends.
    pub(super) fn io_event(&self, net: Net) -> (Self, IoEvent<EffectId>) {
        let mut ends = self.clone();
        let event = ends.happen(net);
        (ends, event)
    }

    /// Something arrived over a link that was open or not. Over one that was not the relay sends no more frames: those that are not
    /// opened would put its end farther and farther ahead.
    pub(super) fn heard(&mut self, net: Net, was_open: bool) {
        if was_open || !net.is_frame() {
            self.happen(net);
        }
    }

    fn happen(&mut self, net: Net) -> IoEvent<EffectId> {
        let rotation = EffectId::Rotation(proto_core::device::credential::EffectId(self.rotation.0));
        let keys = EffectId::Keys(proto_core::keyset::EffectId(self.keys.0));
        let message = match net {
            Net::Connected => {
                self.relay = Relay::Deaf;
                return IoEvent::Connected(EffectId::Link, Entropy::new([5; 32]));
            }
            Net::ConnectFails => return self.close(Closed::Fault(NetFault::Refused)),
            Net::Closed => return self.close(Closed::ByPeer(None)),
            Net::ClosedPskInvalid => return self.close(Closed::ByPeer(Some(Reason::NoisePskInvalid))),
            Net::Renewed => {
                let renewed = renewed(&Secret::new([1; 32]), "A", "r", 2);
                return answered(rotation, 200, None, serde_json::to_vec(&renewed).expect("JSON"));
            }
            Net::NotRenewed => return answered(rotation, 503, None, "<html>"),
            Net::KeySet => return answered(keys, 200, None, key_set()),
            Net::NoKeySet => return answered(keys, 503, None, "<html>"),
            Net::Welcome => self.relay.answer(&Answer::Welcome(welcome())),
            Net::RefusedRevoked => self.refuse(Reason::MachineRevoked, 0),
            Net::RefusedBusy => self.refuse(Reason::RelayFull, 600),
            Net::Garbage => Bytes::from_static(&[0x42; 80]),
            Net::Ping => self.relay.say(&Head::Ping { nonce: 7 }.into()),
            Net::Frame => {
                let frame = self.frame.clone().unwrap_or_else(|| Head::Ping { nonce: 8 }.into());
                self.relay.say(&frame)
            }
            Net::WrongFrame => self.relay.say(&Head::Rotate { token: proto_core::secret::SecretText::new("x") }.into()),
            Net::Revoke => self.relay.say(&Head::Revoke { reason: Reason::MachineRevoked }.into()),
            Net::Superseded => {
                self.relay.say(&Head::Error { reason: Reason::Superseded, retry_after: 0, detail: String::new() }.into())
            }
        };
        IoEvent::Received(EffectId::Link, message)
    }

    fn close(&mut self, closed: Closed) -> IoEvent<EffectId> {
        self.relay = Relay::Deaf;
        IoEvent::Closed(EffectId::Link, closed)
    }

    fn refuse(&mut self, reason: Reason, retry_after: u32) -> Bytes {
        self.relay.answer(&Answer::Refused(Refused { reason, retry_after }))
    }

    /// The machine asked for this; the frame that it sent to the relay, if it is one.
    pub(super) fn asked(&mut self, effect: &Effect<EffectId>) -> Option<Frame> {
        match effect {
            Effect::Send(_, message) => return self.relay.hear(message),
            Effect::Http(EffectId::Rotation(effect_id), _) => self.rotation = Unhashed(effect_id.0),
            Effect::Http(EffectId::Keys(fetch), _) => self.keys = Unhashed(fetch.0),
            _ => {}
        }
        None
    }
}

/// The start and three deadlines: how often a walk sees the driver turn to a machine for nothing but the time.
pub(super) const TURNS: u8 = 4;

/// How often came what could go on for ever.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Counts {
    /// Connections, renewals and fetches that were asked for, and turns of the driver.
    pub(super) connections: u8,
    pub(super) renewals: u8,
    pub(super) fetches: u8,
    pub(super) turns: u8,
    /// Frames of the relay on this connection.
    pub(super) frames: u8,
}

impl Counts {
    /// This arrived from outside.
    pub(super) fn heard(&mut self, net: Net) {
        self.frames = self.frames.saturating_add(u8::from(net.is_frame()));
    }

    /// The machine's start, or a deadline that came. A driver that wakes long after it is at the end of the walk: what follows is
    /// not walked, but still comes to its goal.
    pub(super) fn turned<S: Subject>(&mut self, seen: &Seen<'_, S>) {
        let is_late = seen.before.poll_timeout().is_some_and(|deadline| deadline.at < seen.now);
        self.turns = if is_late { TURNS } else { self.turns.saturating_add(1) };
    }

    /// The machine asked for this.
    pub(super) fn asked(&mut self, effect: &Effect<EffectId>) {
        match effect {
            Effect::Connect(..) => {
                self.connections = self.connections.saturating_add(1);
                self.frames = 0;
            }
            Effect::Http(EffectId::Rotation(_), _) => self.renewals = self.renewals.saturating_add(1),
            Effect::Http(EffectId::Keys(_), _) => self.fetches = self.fetches.saturating_add(1),
            _ => {}
        }
    }
}

/// Whether a message is one of a handshake.
pub(super) fn is_first_message(message: &Bytes) -> bool {
    Preamble::split(message).is_ok()
}
