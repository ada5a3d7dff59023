//! A device's link to its relay, in each of the four suites: connect, handshake, frames both ways, a ping after silence. The
//! same recording serves both sides: what the device sent, the relay is given.

use alloc::{collections::VecDeque, vec};
use core::fmt;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use proto_core::{
    Entropy, Instant, JitterRng, SessionId,
    crypto::Identity,
    device::link::{Config, Input, Link, Output},
    effect::{Effect, IoEvent},
    secret::{Secret, SecretText},
    wire::{Frame, Head, Role},
};

use crate::{
    Noise, Wrong,
    relay::{self, Relay},
    replay::{Line, Play, lines, replay},
};

/// One recorded link.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// With a pre-shared key: IKpsk2, else IK.
    pub psk: bool,
    /// AES-GCM and SHA-256, else ChaChaPoly and BLAKE2s.
    pub aes: bool,
    /// The name of its file.
    pub name: &'static str,
    /// What was recorded.
    pub recording: &'static str,
}

macro_rules! recorded {
    ($name:ident, $file:literal, psk: $psk:literal, aes: $aes:literal) => {
        /// Recorded in this suite.
        pub const $name: Recorded =
            Recorded { psk: $psk, aes: $aes, name: $file, recording: include_str!(concat!("../recorded/", $file)) };
    };
}
recorded!(IK_AES, "ik-aesgcm.txt", psk: false, aes: true);
recorded!(IK_CHACHA, "ik-chachapoly.txt", psk: false, aes: false);
recorded!(IKPSK2_AES, "ikpsk2-aesgcm.txt", psk: true, aes: true);
recorded!(IKPSK2_CHACHA, "ikpsk2-chachapoly.txt", psk: true, aes: false);

/// Every recorded link.
pub const ALL: [Recorded; 4] = [IK_AES, IK_CHACHA, IKPSK2_AES, IKPSK2_CHACHA];

impl Recorded {
    /// The device's link, brought up as recorded: idle after its first ping.
    ///
    /// # Errors
    /// Where it went otherwise.
    pub fn device(&self) -> Result<Link<Noise>, Wrong> {
        let link = replay(&mut Device::new(*self), self.recording)?;
        if link.is_up() { Ok(link) } else { Err(Wrong::new("a link that is up")) }
    }

    /// The pre-shared key, with IKpsk2.
    pub fn psk(&self) -> Option<Secret> {
        self.psk.then(|| Secret::new([5; 32]))
    }

    /// The relay's side: given what the device sent, it must answer what the device received.
    ///
    /// # Errors
    /// Where it answered otherwise.
    pub fn relay(&self) -> Result<(), Wrong> {
        let mut relay = Relay::new(self.psk());
        let mut answers = VecDeque::new();
        for line in lines(self.recording) {
            let (number, line) = line?;
            let wrong = |expected| Wrong { expected, line: number };
            match line {
                Line::Says(text) if text.starts_with("send ") => {
                    let message = bytes(text, "send ").ok_or(wrong("a message"))?;
                    answers.extend(relay.hear(&message).map_err(|failed| wrong(failed.expected))?);
                }
                Line::Hears(text) if text.starts_with("received ") => {
                    let message = bytes(text, "received ").ok_or(wrong("a message"))?;
                    if answers.pop_front() != Some(message) {
                        return Err(wrong("this answer of the relay"));
                    }
                }
                _ => {}
            }
        }
        if answers.is_empty() && relay.is_open() { Ok(()) } else { Err(Wrong::new("an open channel, and no more answers")) }
    }
}

/// Both sides of one recording.
///
/// # Errors
/// Where one of them did something else.
pub fn check(recorded: &Recorded) -> Result<(), Wrong> {
    recorded.device().map(drop)?;
    recorded.relay()
}

/// A relay that expects another pattern must not come to an open channel: no check here passes whatever it is given.
///
/// # Errors
/// A suite's recording was accepted with the wrong key policy.
pub fn check_patterns_differ() -> Result<(), Wrong> {
    let crossed = ALL.iter().map(|recorded| Recorded { psk: !recorded.psk, ..*recorded });
    for recorded in crossed {
        if recorded.relay().is_ok() || recorded.device().is_ok() {
            return Err(Wrong::new("another pattern to be refused"));
        }
    }
    Ok(())
}

/// The device of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    recorded: Recorded,
}

impl Device {
    /// Of that one.
    pub const fn new(recorded: Recorded) -> Self {
        Self { recorded }
    }
}

impl Play for Device {
    type Machine = Link<Noise>;

    fn start(&self) -> Link<Noise> {
        let config = Config {
            role: Role::Daemon,
            url: "wss://relay.example/ws".into(),
            relay_keys: vec![relay::keys().public()],
            identity: Identity::from_seed(Secret::new([1; 32])),
            psk: self.recorded.psk(),
            token: SecretText::new("a credential"),
            software: "self-test".into(),
            aes_in_hardware: self.recorded.aes,
        };
        Link::new(config, JitterRng::new(7), Instant::ZERO)
    }

    fn say(&mut self, output: &Output, line: &mut dyn fmt::Write) -> fmt::Result {
        match output {
            Output::Effect(Effect::Connect((), connect)) => {
                write!(line, "connect {} within {:?}, {} bytes", connect.url, connect.timeout, connect.max_message)
            }
            Output::Effect(Effect::Send((), message)) => write!(line, "send {}", HEXLOWER.encode_display(message)),
            Output::Up(welcome) => write!(line, "up {} {} {}", welcome.software, welcome.frame_max, welcome.time),
            Output::Received(Frame { head: Head::Resume { session, next }, .. }) => write!(line, "resume {session} {next}"),
            _ => Err(fmt::Error),
        }
    }

    fn hear(&mut self, line: &str) -> Option<Input> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("connected", _) => Some(Input::Io(IoEvent::Connected((), Entropy::new([3; 32])))),
            ("received", _) => Some(Input::Io(IoEvent::Received((), bytes(line, "received ")?))),
            ("open", _) => Some(Input::Send(Head::Open { session: SessionId([6; 16]), cipher: 2 }.into())),
            _ => None,
        }
    }
}

fn bytes(line: &str, word: &str) -> Option<Bytes> {
    let hex = line.strip_prefix(word)?;
    Some(HEXLOWER.decode(hex.as_bytes()).ok()?.into())
}
