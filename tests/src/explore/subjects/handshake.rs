//! `handshake`: both ends, each against the other one's genuine, changed, repeated and foreign messages, under IK and IKpsk2.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    Machine, Reason, Status,
    noise::{
        Symbolic,
        handshake::{
            Initiator, Responder, initiator,
            responder::{self, Verdict},
        },
    },
    secret::Secret,
    wire::{Pattern, Refused, Suite},
};

use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::{
        handshake::{decided, first_message, knock, open, second_message, third_message, welcome},
        identity, secret,
    },
};

/// The side that knocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knocking;

/// The side that opens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening;

const SUITES: [Suite; 2] = [Suite::IkAesGcm, Suite::IkPsk2ChaChaPoly];

/// What an initiator can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Heard {
    /// Message 2 of the relay that was meant.
    Welcome,
    /// The same, where the relay holds another PSK, or one where none is due.
    WelcomeOtherPsk,
    Refused,
    /// Message 2 of a responder with another key.
    FromOther,
    /// Message 2 with its last bit changed.
    Flipped,
    Cut,
    Empty,
    /// Its own message 1.
    Reflected,
    Closed,
    ClosedPskInvalid,
}

/// What the outside knows of an initiator.
#[derive(Clone, Debug, Hash)]
pub struct Knock {
    suite_is_psk: bool,
    garbage: u8,
    has_welcome: bool,
}

fn suite(is_psk: bool) -> Suite {
    if is_psk { SUITES[1] } else { SUITES[0] }
}

fn admit(psk: Option<Secret>) -> Verdict {
    Verdict::Admit { psk, welcome: welcome() }
}

/// The message with its last bit changed.
fn flipped(message: &Bytes) -> Bytes {
    let mut bytes = message.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.into()
}

impl Subject for Knocking {
    type Machine = Initiator<Symbolic>;
    type Fact = Heard;
    type Memory = Knock;

    const NAME: &'static str = "handshake-initiator";
    const MAX_OUTPUTS: usize = 1;
    const SETTLES: (usize, Duration) = (2, Duration::from_secs(10));

    fn bounds(&self) -> String {
        "IK and IKpsk2; genuine, changed, foreign and reflected messages".into()
    }

    fn starts(&self) -> Vec<(Self::Machine, Knock)> {
        [false, true]
            .map(|suite_is_psk| (knock(suite(suite_is_psk)), Knock { suite_is_psk, garbage: 0, has_welcome: false }))
            .into()
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<Heard> {
        vec![
            Heard::Welcome,
            Heard::WelcomeOtherPsk,
            Heard::Refused,
            Heard::FromOther,
            Heard::Flipped,
            Heard::Cut,
            Heard::Empty,
            Heard::Reflected,
            Heard::Closed,
            Heard::ClosedPskInvalid,
        ]
    }

    fn input(&self, fact: &Heard, at: &Situation<Self>) -> initiator::Input {
        let suite = suite(at.memory.suite_is_psk);
        let (relay, first) = (identity(2), first_message(suite));
        initiator::Input::Received(match fact {
            Heard::Welcome => second_message(&relay, first),
            Heard::WelcomeOtherPsk if at.memory.suite_is_psk => decided(&relay, first, admit(Some(secret(8)))),
            Heard::Refused => {
                let refused = Refused { reason: Reason::MachineRevoked, retry_after: 1 };
                decided(&relay, first, Verdict::Refuse(refused))
            }
            Heard::FromOther => second_message(&identity(9), first),
            Heard::Flipped | Heard::WelcomeOtherPsk => flipped(&second_message(&relay, first)),
            Heard::Cut => second_message(&relay, first).slice(..40),
            Heard::Empty => Bytes::new(),
            Heard::Reflected => first,
            Heard::Closed => return initiator::Input::Closed(None),
            Heard::ClosedPskInvalid => return initiator::Input::Closed(Some(Reason::NoisePskInvalid)),
        })
    }

    /// NOI-2, NOI-3: only the genuine message 2 makes a session, and a PSK that does not fit is called so.
    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Knock) -> Result<(), Broken> {
        for output in seen.outputs {
            match output {
                initiator::Output::Established { .. } if seen.fact != Some(&Heard::Welcome) => {
                    return Err(Broken::new("NOI-2", format!("{:?} made a session", seen.fact)));
                }
                initiator::Output::Established { .. } => memory.has_welcome = true,
                initiator::Output::Failed(initiator::Failure::Refused(_)) if seen.fact != Some(&Heard::Refused) => {
                    return Err(Broken::new("BIND-6", format!("{:?} counts as a refusal of the relay", seen.fact)));
                }
                initiator::Output::Failed(initiator::Failure::Broken(reason)) => {
                    let heard_no_psk = matches!(seen.fact, Some(Heard::ClosedPskInvalid | Heard::WelcomeOtherPsk));
                    if memory.suite_is_psk && heard_no_psk && *reason != Reason::NoisePskInvalid {
                        return Err(Broken::new("NOI-3", format!("a PSK that does not fit is called {reason:?}")));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Heard> {
        matches!(at.machine.status(), Status::Running { .. }).then_some(Heard::Welcome)
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { .. })
    }

    fn say(&self, output: &initiator::Output<Symbolic>) -> String {
        match output {
            initiator::Output::Send(_) => "Send(message 1)".into(),
            initiator::Output::Established { .. } => "Established".into(),
            initiator::Output::Failed(failure) => format!("Failed({:?})", failure.reason()),
        }
    }
}

/// What a responder can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Knocked {
    /// Message 1 of a device.
    First,
    FirstFlipped,
    /// Message 1 that was meant for another responder.
    FirstForOther,
    /// A preamble of a version that is not known.
    Unsupported,
    Empty,
    /// The first transport message of a device that read message 2.
    Third,
    ThirdFlipped,
    Admit,
    AdmitPsk,
    Refuse,
    Closed,
}

/// What the outside knows of a responder.
#[derive(Clone, Debug, Hash)]
pub struct Door {
    suite_is_psk: bool,
    second: Option<Bytes>,
    is_admitted: bool,
}

impl Subject for Opening {
    type Machine = Responder<Symbolic>;
    type Fact = Knocked;
    type Memory = Door;

    const NAME: &'static str = "handshake-responder";
    const MAX_OUTPUTS: usize = 2;
    const SETTLES: (usize, Duration) = (4, Duration::from_secs(10));

    fn bounds(&self) -> String {
        "IK and IKpsk2; genuine, changed and foreign messages, every verdict at any time".into()
    }

    fn starts(&self) -> Vec<(Self::Machine, Door)> {
        [false, true].map(|suite_is_psk| (open(&identity(2)), Door { suite_is_psk, second: None, is_admitted: false })).into()
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<Knocked> {
        vec![
            Knocked::First,
            Knocked::FirstFlipped,
            Knocked::FirstForOther,
            Knocked::Unsupported,
            Knocked::Empty,
            Knocked::Third,
            Knocked::ThirdFlipped,
            Knocked::Admit,
            Knocked::AdmitPsk,
            Knocked::Refuse,
            Knocked::Closed,
        ]
    }

    fn input(&self, fact: &Knocked, at: &Situation<Self>) -> responder::Input {
        let suite = suite(at.memory.suite_is_psk);
        let third = || third_message(suite, at.memory.second.clone().unwrap_or_default());
        responder::Input::Received(match fact {
            Knocked::First => first_message(suite),
            Knocked::FirstFlipped => flipped(&first_message(suite)),
            Knocked::FirstForOther => first_message_to_other(suite),
            Knocked::Unsupported => Bytes::from_static(&[9, 9, 9, 9]),
            Knocked::Empty => Bytes::new(),
            Knocked::Third => third(),
            Knocked::ThirdFlipped => flipped(&third()),
            Knocked::Admit => return responder::Input::Verdict(admit(None)),
            Knocked::AdmitPsk => return responder::Input::Verdict(admit(Some(secret(3)))),
            Knocked::Refuse => {
                return responder::Input::Verdict(Verdict::Refuse(Refused { reason: Reason::MachineRevoked, retry_after: 0 }));
            }
            Knocked::Closed => return responder::Input::Closed(None),
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Door) -> Result<(), Broken> {
        let pattern = suite(memory.suite_is_psk).pattern();
        for output in seen.outputs {
            match output {
                responder::Output::Hello { .. } if seen.fact != Some(&Knocked::First) => {
                    return Err(Broken::new("NOI-2", format!("{:?} counts as a message 1", seen.fact)));
                }
                responder::Output::Send(message) => {
                    memory.second = Some(message.clone());
                    memory.is_admitted |= matches!(seen.fact, Some(Knocked::Admit | Knocked::AdmitPsk));
                    let fits = match seen.fact {
                        Some(Knocked::Admit | Knocked::Refuse) => pattern == Pattern::Ik,
                        Some(Knocked::AdmitPsk) => true,
                        _ => false,
                    };
                    if !fits {
                        return Err(Broken::new("NOI-3", format!("{:?} made a message 2 under {pattern:?}", seen.fact)));
                    }
                }
                responder::Output::Confirmed { .. } if seen.fact != Some(&Knocked::Third) || !memory.is_admitted => {
                    return Err(Broken::new("NOI-8", format!("{:?} confirmed a session", seen.fact)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Knocked> {
        match at.machine.status() {
            Status::Running { waiting_for: "message 1" } => Some(Knocked::First),
            Status::Running { waiting_for: "the verdict" } if at.memory.suite_is_psk => Some(Knocked::AdmitPsk),
            Status::Running { waiting_for: "the verdict" } => Some(Knocked::Admit),
            Status::Running { .. } => Some(Knocked::Third),
            _ => None,
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { .. })
    }

    fn say(&self, output: &responder::Output<Symbolic>) -> String {
        match output {
            responder::Output::Hello { .. } => "Hello".into(),
            responder::Output::Send(_) => "Send(message 2)".into(),
            responder::Output::Confirmed { .. } => "Confirmed".into(),
            responder::Output::Failed(reason) => format!("Failed({reason:?})"),
        }
    }
}

/// Message 1 of the same device to a relay with another key.
fn first_message_to_other(suite: Suite) -> Bytes {
    let mut bytes = first_message(suite).to_vec();
    // The ephemeral key is another one, so nothing that follows it fits.
    if let Some(byte) = bytes.get_mut(10) {
        *byte ^= 0xff;
    }
    bytes.into()
}
