//! A device's link between a network that does anything and a relay that says anything (LINK-1 to LINK-5, NOI-8, BIND-6).

use std::{sync::LazyLock, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use proto_core::{
    Entropy, Instant, JitterRng, Reason,
    crypto::Identity,
    device::link::{Config, Input, Link, Output},
    effect::{Closed, Effect, IoEvent, NetFault},
    noise::{
        Noise, Symbolic,
        channel::{Channel, Tails},
    },
    secret::{Secret, SecretText},
    wire::{Answer, Frame, Head, Refused, Role, Welcome},
};

use super::driven::Driven;

/// Quick attempts, slow ones of an hour, and one for good measure.
const ATTEMPTS_PER_HOUR: usize = 1 + 5 + 360;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Wait {
        millis: u32,
    },
    Fire,
    /// The network opens the WebSocket that is asked for.
    Connected,
    /// It closes, in whatever way.
    Closed {
        by_peer: bool,
        reason: Option<u8>,
    },
    /// The relay answers the handshake.
    Welcome {
        frame_max: u32,
    },
    Refuse {
        reason: u8,
        retry_after: u32,
    },
    /// The relay sends this plaintext, sealed under its key.
    Sealed(&'a [u8]),
    RelayRekeys,
    RelayRevokes {
        reason: u8,
    },
    /// Random bytes.
    Garbage(&'a [u8]),
    /// The owner sends a frame.
    Send {
        size: u16,
    },
    Renew,
    RetryNow,
    Stop,
}

/// Whatever happens: one WebSocket at a time, used only while it is open; few attempts; no frame before the handshake is
/// through or after the link went down; and an end only because the relay said so under its pinned key (BIND-6).
pub fn link(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((has_psk, is_viewer)) = data.arbitrary::<(bool, bool)>() else { return };
    let mut bench = Bench::new(has_psk, if is_viewer { Role::Viewer } else { Role::Daemon });
    let Ok(steps) = data.arbitrary_iter::<Step<'_>>() else { return };
    for step in steps.take(300).flatten() {
        bench.apply(&step);
    }
}

/// The WebSocket as the adapter sees it.
#[derive(Debug, PartialEq)]
enum Socket {
    None,
    Asked,
    Open,
    Closing,
}

struct Bench {
    link: Driven<Link<Symbolic>>,
    psk: Option<Secret>,
    socket: Socket,
    message_1: Option<Bytes>,
    relay: Option<Channel<Symbolic>>,
    entropy: u8,
    /// What the relay said under its key: it may end the binding.
    said: Vec<Reason>,
    /// When connections were asked for, since the parent last hurried it or it was last up.
    attempts: Vec<Instant>,
    is_up: bool,
}

/// Making keys takes longer than everything else here.
static RELAY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(Secret::new([2; 32])));
static DEVICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(Secret::new([1; 32])));

/// Any reason, also those that end a binding.
fn reason(which: u8) -> Reason {
    Reason::ALL[usize::from(which) % Reason::ALL.len()]
}

impl Bench {
    fn new(has_psk: bool, role: Role) -> Self {
        let psk = has_psk.then(|| Secret::new([5; 32]));
        let config = Config {
            role,
            url: "ws://relay.example/ws".into(),
            relay_keys: vec![RELAY.static_key()],
            identity: DEVICE.clone(),
            psk: psk.clone(),
            token: SecretText::new("token"),
            software: "vpd 0.1.0".into(),
            aes_in_hardware: false,
        };
        Self {
            link: Driven::new(Link::new(config, JitterRng::new(7), Instant::ZERO), Instant::ZERO),
            psk,
            socket: Socket::None,
            message_1: None,
            relay: None,
            entropy: 0,
            said: Vec::new(),
            attempts: Vec::new(),
            is_up: false,
        }
    }

    fn apply(&mut self, step: &Step<'_>) {
        match step {
            Step::Wait { millis } => {
                let outputs = self.link.pass(Duration::from_millis((*millis).into()));
                self.perform(outputs.unwrap_or_default());
            }
            Step::Fire => {
                let outputs = self.link.fire();
                self.perform(outputs.unwrap_or_default());
            }
            Step::Connected if self.socket == Socket::Asked => {
                self.socket = Socket::Open;
                let entropy = self.entropy();
                self.happen(IoEvent::Connected((), entropy));
            }
            Step::Closed { by_peer, reason: said } if self.socket != Socket::None => {
                let said = said.map(reason);
                (self.socket, self.message_1, self.relay) = (Socket::None, None, None);
                self.happen(IoEvent::Closed((), if *by_peer { Closed::ByPeer(said) } else { Closed::Fault(NetFault::Broken) }));
            }
            Step::Welcome { frame_max } => {
                self.answer(&Answer::Welcome(Welcome { frame_max: *frame_max, time: 0, software: "relay".into() }));
            }
            Step::Refuse { reason: which, retry_after } => {
                if self.message_1.is_some() {
                    self.said.push(reason(*which));
                }
                self.answer(&Answer::Refused(Refused { reason: reason(*which), retry_after: *retry_after }));
            }
            Step::Sealed(plaintext) => self.sealed(&Bytes::copy_from_slice(plaintext)),
            Step::RelayRekeys => self.tell(&Head::Rekey.into()),
            Step::RelayRevokes { reason: which } => self.tell(&Head::Revoke { reason: reason(*which) }.into()),
            Step::Garbage(bytes) if self.socket == Socket::Open => {
                self.happen(IoEvent::Received((), Bytes::copy_from_slice(bytes)));
            }
            Step::Send { size } => {
                let head = Head::Peer { session: proto_core::SessionId([1; 16]), viewer: 0 };
                self.input(Input::Send(Frame { head, body: vec![0; usize::from(*size) / 8].into() }));
            }
            Step::Renew => self.input(Input::Renew(SecretText::new("another token"))),
            Step::RetryNow => {
                self.attempts.clear();
                self.input(Input::RetryNow);
            }
            Step::Stop => self.input(Input::Stop),
            Step::Connected | Step::Closed { .. } | Step::Garbage(_) => {}
        }
    }

    fn entropy(&mut self) -> Entropy {
        self.entropy = self.entropy.wrapping_add(1);
        Entropy::new([self.entropy; 32])
    }

    fn input(&mut self, input: Input) {
        let outputs = self.link.input(input).expect("never a misuse");
        self.perform(outputs);
    }

    fn happen(&mut self, event: IoEvent<()>) {
        self.input(Input::Io(event));
    }

    /// The relay answers message 1, once.
    fn answer(&mut self, answer: &Answer) {
        let Some(message_1) = self.message_1.take() else { return };
        let entropy = self.entropy();
        let (mut noise, _) = Symbolic::respond(RELAY.static_keys(), entropy, &message_1).expect("NOI-8: message 1");
        let message_2 = noise.answer(self.psk.as_ref(), &answer.encode()).expect("an answer");
        self.relay = matches!(answer, Answer::Welcome(_)).then(|| Channel::new(noise, Tails::Refused));
        if self.socket == Socket::Open {
            self.happen(IoEvent::Received((), message_2.into()));
        }
    }

    fn sealed(&mut self, plaintext: &Bytes) {
        if let Ok(frame) = Frame::decode(plaintext) {
            self.tell(&frame);
        }
    }

    /// The relay sends a frame over the channel.
    fn tell(&mut self, frame: &Frame) {
        let Some(channel) = &mut self.relay else { return };
        let message = channel.seal(frame).expect("a channel in its transport phase");
        if let Head::Revoke { reason } | Head::Error { reason, .. } = frame.head {
            self.said.push(reason);
        }
        if self.socket == Socket::Open {
            self.happen(IoEvent::Received((), message));
        }
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Effect(effect) => self.effect(effect),
                Output::Up(_) => {
                    assert!(self.relay.is_some() && !self.is_up, "up without a welcome");
                    self.is_up = true;
                }
                Output::Down(_) => {
                    assert!(self.is_up, "down and never up");
                    self.is_up = false;
                    self.attempts.clear();
                }
                Output::Failed(_) => assert!(!self.is_up),
                Output::Ended(reason) => {
                    assert!(reason.ends_binding() && self.said.contains(&reason), "BIND-6: ended for {reason}");
                }
                Output::Received(frame) => {
                    assert!(self.is_up, "NOI-8: a frame while the link is not up: {:?}", frame.head);
                }
                Output::Rotated(_) => assert!(self.is_up),
            }
        }
        assert_eq!(self.link.machine.is_up(), self.is_up);
    }

    fn effect(&mut self, effect: Effect<()>) {
        match effect {
            Effect::Connect((), _) => {
                assert_eq!(self.socket, Socket::None, "LINK-2: two WebSockets");
                self.socket = Socket::Asked;
                self.attempts.push(self.link.now);
                let hour = Duration::from_hours(1);
                let recent = self.attempts.iter().filter(|at| self.link.now.since(**at) < hour).count();
                assert!(recent <= ATTEMPTS_PER_HOUR, "LINK-1: {recent} attempts in an hour");
            }
            Effect::Send((), message) => {
                assert_eq!(self.socket, Socket::Open, "sent on a WebSocket that is not open");
                self.sent(&message);
            }
            Effect::Close((), _) => {
                assert!(matches!(self.socket, Socket::Asked | Socket::Open), "closed what is not open");
                self.socket = Socket::Closing;
            }
            other => panic!("not asked of a link: {other:?}"),
        }
    }

    /// What the relay reads: message 1 first, then frames that open.
    fn sent(&mut self, message: &Bytes) {
        match &mut self.relay {
            None => assert!(self.message_1.replace(message.clone()).is_none(), "NOI-8: more than message 1"),
            Some(channel) => {
                let frame = channel.open(message).expect("NOI-6: what the link sent opens");
                assert!(!matches!(frame.head, Head::Revoke { .. } | Head::Error { .. }), "not for a device to say");
            }
        }
    }
}
