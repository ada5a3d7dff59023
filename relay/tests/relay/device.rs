//! A daemon or viewer, written from docs/WIRE.md alone: real sockets, real Noise.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use io_tokio::{ClientSocket, Network};
use proto_core::{
    Entropy, Instant, Machine as _, Reason, UnixTime,
    crypto::Identity,
    effect::{Close, Closed, Connect, IoEvent},
    id::DeviceKind,
    jose::{Claims, Confirmation, RELAY_AUDIENCE, SigningKey, Thumbprint, sign},
    key::StaticKey,
    noise::{
        InitiatorKeys, Snow,
        channel::{Channel, Tails},
        handshake::{Initiator, initiator},
    },
    secret::{Secret, SecretText},
    wire::{Frame, Head, Hello, Preamble, Role, Suite},
};
use tokio::{net::TcpStream, time::timeout};

use crate::platform::signer;

/// Nothing on one machine takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device that connects, and its credentials.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) role: Role,
    pub(crate) suite: Suite,
    pub(crate) psk: Option<Secret>,
    pub(crate) claims: Claims,
    pub(crate) signer: SigningKey,
}

/// How a device did not come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The WebSocket was not opened.
    NotOpened(Closed),
    /// Refused in message 2, under the relay's key.
    Refused(Reason),
    /// Message 2 did not open. A device may wait for another one; this one closes with `noise_psk_invalid` at once.
    DidNotOpen,
    /// Closed without that.
    Closed(Option<Reason>),
}

pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

impl Device {
    pub(crate) fn new(role: Role, issuer: &str, org: &str, target: &str, seed: u8) -> Self {
        let identity = Identity::from_seed(Secret::new([seed; 32]));
        let claims = Claims {
            issuer: issuer.to_owned(),
            audience: RELAY_AUDIENCE.to_owned(),
            install: "install".parse().unwrap(),
            org: org.parse().unwrap(),
            runtime_target: target.parse().unwrap(),
            machine: "machine".parse().unwrap(),
            role: if role == Role::Daemon { DeviceKind::Daemon } else { DeviceKind::Viewer },
            generation: 1,
            confirmation: Confirmation {
                static_key: identity.static_key(),
                identity: Thumbprint::of_identity_key(identity.identity_key()),
            },
            issued_at: now(),
            not_before: now(),
            expires_at: now().plus(3600),
            renewable_until: now().plus(86_400),
            id: "token".parse().unwrap(),
        };
        Self { identity, role, suite: Suite::IkAesGcm, psk: None, claims, signer: signer() }
    }

    pub(crate) fn token(&self) -> SecretText {
        sign(&self.claims, &self.signer)
    }

    /// Begins a handshake with the relay.
    pub(crate) async fn connect(&self, relay: SocketAddr, key: StaticKey) -> Result<Online, Outcome> {
        let connect = Connect { url: format!("ws://{relay}/ws"), timeout: PATIENCE, max_message: 1 << 20 };
        let (mut socket, entropy) = io_tokio::connect(&connect, &Network::default()).await.map_err(Outcome::NotOpened)?;
        let mut initiator = self.initiator(key, entropy);
        let Some(initiator::Output::Send(message)) = initiator.poll_output() else { panic!("no message 1") };
        socket.send(message);
        loop {
            match next(&mut socket).await {
                IoEvent::Received((), message) => {
                    initiator.handle_input(Instant::ZERO, initiator::Input::Received(message)).unwrap();
                    match initiator.poll_output() {
                        Some(initiator::Output::Established { noise, .. }) => {
                            let channel = Channel::new(noise, Tails::Accepted);
                            return Ok(Online { socket, channel }.confirmed().await);
                        }
                        Some(initiator::Output::Failed(failure)) => return Err(Outcome::Refused(failure.reason())),
                        _ => {
                            socket.close(Close::Because(Reason::NoisePskInvalid));
                            while !matches!(next(&mut socket).await, IoEvent::Closed(..)) {}
                            return Err(Outcome::DidNotOpen);
                        }
                    }
                }
                IoEvent::Closed((), closed) => return Err(Outcome::Closed(hint(closed))),
                _ => {}
            }
        }
    }

    fn initiator(&self, key: StaticKey, entropy: Entropy) -> Initiator<Snow> {
        let preamble = Preamble { suite: self.suite, role: self.role };
        let local = self.identity.static_keys();
        let keys = InitiatorKeys { preamble, local, responder: key, psk: self.psk.as_ref() };
        let hello = Hello { token: self.token(), software: "tests".to_owned() };
        Initiator::start(Instant::ZERO, keys, entropy, &hello)
    }
}

fn hint(closed: Closed) -> Option<Reason> {
    match closed {
        Closed::ByPeer(reason) => reason,
        Closed::ByUs | Closed::Fault(_) | Closed::Refused(_) => None,
    }
}

async fn next(socket: &mut ClientSocket<TcpStream>) -> IoEvent<()> {
    timeout(PATIENCE, socket.next()).await.expect("the relay says nothing")
}

/// A device that is in.
#[derive(Debug)]
pub(crate) struct Online {
    pub(crate) socket: ClientSocket<TcpStream>,
    channel: Channel<Snow>,
}

impl Online {
    async fn confirmed(mut self) -> Self {
        self.send(Head::Ping { nonce: 1 });
        assert_eq!(self.hear().await, Head::Pong { nonce: 1 }.into());
        self
    }

    /// Queues a frame; it goes out while something is waited for.
    pub(crate) fn send(&mut self, frame: impl Into<Frame>) {
        let message = self.channel.seal(&frame.into()).unwrap();
        self.socket.send(message);
    }

    /// The next frame.
    pub(crate) async fn hear(&mut self) -> Frame {
        loop {
            match next(&mut self.socket).await {
                IoEvent::Received((), message) => return self.channel.open(&message).unwrap(),
                IoEvent::Sent(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next frame, once one comes that the test wants; others are passed over.
    pub(crate) async fn hear_until(&mut self, wanted: impl Fn(&Head) -> bool) -> Frame {
        loop {
            let frame = self.hear().await;
            if wanted(&frame.head) {
                return frame;
            }
        }
    }

    /// The frames up to the end, and the reason in the close frame.
    pub(crate) async fn hear_the_end(&mut self) -> (Vec<Frame>, Option<Reason>) {
        let mut frames = Vec::new();
        loop {
            match next(&mut self.socket).await {
                IoEvent::Received((), message) => frames.push(self.channel.open(&message).unwrap()),
                IoEvent::Closed((), closed) => return (frames, hint(closed)),
                _ => {}
            }
        }
    }

    /// Bytes that are no frame of ours.
    pub(crate) fn send_raw(&mut self, message: Bytes) {
        self.socket.send(message);
    }

    pub(crate) async fn leave(mut self) {
        self.socket.close(Close::Normal);
        while !matches!(next(&mut self.socket).await, IoEvent::Closed(..)) {}
    }
}
