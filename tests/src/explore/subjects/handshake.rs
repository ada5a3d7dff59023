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
pub struct AwaitingFirstMessage;

/// The side that opens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening;

const SUITES: [Suite; 2] = [Suite::IkAesGcm, Suite::IkPsk2ChaChaPoly];

/// What an initiator can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InitiatorFact {
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
pub struct InitiatorMemory {
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

impl Subject for AwaitingFirstMessage {
    type Machine = Initiator<Symbolic>;
    type Fact = InitiatorFact;
    type Memory = InitiatorMemory;

    const NAME: &'static str = "handshake-initiator";
    const MAX_OUTPUTS: usize = 1;
    const SETTLES: (usize, Duration) = (2, Duration::from_secs(10));

    fn bounds(&self) -> String {
        "IK and IKpsk2; genuine, changed, foreign and reflected messages".into()
    }

    fn starts(&self) -> Vec<(Self::Machine, InitiatorMemory)> {
        [false, true]
            .map(|suite_is_psk| (knock(suite(suite_is_psk)), InitiatorMemory { suite_is_psk, garbage: 0, has_welcome: false }))
            .into()
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<InitiatorFact> {
        vec![
            InitiatorFact::Welcome,
            InitiatorFact::WelcomeOtherPsk,
            InitiatorFact::Refused,
            InitiatorFact::FromOther,
            InitiatorFact::Flipped,
            InitiatorFact::Cut,
            InitiatorFact::Empty,
            InitiatorFact::Reflected,
            InitiatorFact::Closed,
            InitiatorFact::ClosedPskInvalid,
        ]
    }

    fn input(&self, fact: &InitiatorFact, at: &Situation<Self>) -> initiator::Input {
        let suite = suite(at.memory.suite_is_psk);
        let (relay, first) = (identity(2), first_message(suite));
        initiator::Input::Received(match fact {
            InitiatorFact::Welcome => second_message(&relay, first),
            InitiatorFact::WelcomeOtherPsk if at.memory.suite_is_psk => decided(&relay, first, admit(Some(secret(8)))),
            InitiatorFact::Refused => {
                let refused = Refused { reason: Reason::MachineRevoked, retry_after: 1 };
                decided(&relay, first, Verdict::Refuse(refused))
            }
            InitiatorFact::FromOther => second_message(&identity(9), first),
            InitiatorFact::Flipped | InitiatorFact::WelcomeOtherPsk => flipped(&second_message(&relay, first)),
            InitiatorFact::Cut => second_message(&relay, first).slice(..40),
            InitiatorFact::Empty => Bytes::new(),
            InitiatorFact::Reflected => first,
            InitiatorFact::Closed => return initiator::Input::Closed(None),
            InitiatorFact::ClosedPskInvalid => return initiator::Input::Closed(Some(Reason::NoisePskInvalid)),
        })
    }

    /// NOI-2, NOI-3: only the genuine message 2 makes a session, and a PSK that does not fit is called so.
    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut InitiatorMemory) -> Result<(), Broken> {
        for output in seen.outputs {
            match output {
                initiator::Output::Established { .. } if seen.fact != Some(&InitiatorFact::Welcome) => {
                    return Err(Broken::new("NOI-2", format!("{:?} made a session", seen.fact)));
                }
                initiator::Output::Established { .. } => memory.has_welcome = true,
                initiator::Output::Failed(initiator::Failure::Refused(_)) if seen.fact != Some(&InitiatorFact::Refused) => {
                    return Err(Broken::new("BIND-6", format!("{:?} counts as a refusal of the relay", seen.fact)));
                }
                initiator::Output::Failed(initiator::Failure::Broken(reason)) => {
                    let heard_no_psk =
                        matches!(seen.fact, Some(InitiatorFact::ClosedPskInvalid | InitiatorFact::WelcomeOtherPsk));
                    if memory.suite_is_psk && heard_no_psk && *reason != Reason::NoisePskInvalid {
                        return Err(Broken::new("NOI-3", format!("a PSK that does not fit is called {reason:?}")));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<InitiatorFact> {
        matches!(at.machine.status(), Status::Running { .. }).then_some(InitiatorFact::Welcome)
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
pub enum ResponderFact {
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
pub struct ResponderMemory {
    suite_is_psk: bool,
    second: Option<Bytes>,
    is_admitted: bool,
}

impl Subject for Opening {
    type Machine = Responder<Symbolic>;
    type Fact = ResponderFact;
    type Memory = ResponderMemory;

    const NAME: &'static str = "handshake-responder";
    const MAX_OUTPUTS: usize = 2;
    const SETTLES: (usize, Duration) = (4, Duration::from_secs(10));

    fn bounds(&self) -> String {
        "IK and IKpsk2; genuine, changed and foreign messages, every verdict at any time".into()
    }

    fn starts(&self) -> Vec<(Self::Machine, ResponderMemory)> {
        [false, true]
            .map(|suite_is_psk| (open(&identity(2)), ResponderMemory { suite_is_psk, second: None, is_admitted: false }))
            .into()
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<ResponderFact> {
        vec![
            ResponderFact::First,
            ResponderFact::FirstFlipped,
            ResponderFact::FirstForOther,
            ResponderFact::Unsupported,
            ResponderFact::Empty,
            ResponderFact::Third,
            ResponderFact::ThirdFlipped,
            ResponderFact::Admit,
            ResponderFact::AdmitPsk,
            ResponderFact::Refuse,
            ResponderFact::Closed,
        ]
    }

    fn input(&self, fact: &ResponderFact, at: &Situation<Self>) -> responder::Input {
        let suite = suite(at.memory.suite_is_psk);
        let third = || third_message(suite, at.memory.second.clone().unwrap_or_default());
        responder::Input::Received(match fact {
            ResponderFact::First => first_message(suite),
            ResponderFact::FirstFlipped => flipped(&first_message(suite)),
            ResponderFact::FirstForOther => first_message_to_other(suite),
            ResponderFact::Unsupported => Bytes::from_static(&[9, 9, 9, 9]),
            ResponderFact::Empty => Bytes::new(),
            ResponderFact::Third => third(),
            ResponderFact::ThirdFlipped => flipped(&third()),
            ResponderFact::Admit => return responder::Input::Verdict(admit(None)),
            ResponderFact::AdmitPsk => return responder::Input::Verdict(admit(Some(secret(3)))),
            ResponderFact::Refuse => {
                return responder::Input::Verdict(Verdict::Refuse(Refused { reason: Reason::MachineRevoked, retry_after: 0 }));
            }
            ResponderFact::Closed => return responder::Input::Closed(None),
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut ResponderMemory) -> Result<(), Broken> {
        let pattern = suite(memory.suite_is_psk).pattern();
        for output in seen.outputs {
            match output {
                responder::Output::Hello { .. } if seen.fact != Some(&ResponderFact::First) => {
                    return Err(Broken::new("NOI-2", format!("{:?} counts as a message 1", seen.fact)));
                }
                responder::Output::Send(message) => {
                    memory.second = Some(message.clone());
                    memory.is_admitted |= matches!(seen.fact, Some(ResponderFact::Admit | ResponderFact::AdmitPsk));
                    let fits = match seen.fact {
                        Some(ResponderFact::Admit | ResponderFact::Refuse) => pattern == Pattern::Ik,
                        Some(ResponderFact::AdmitPsk) => true,
                        _ => false,
                    };
                    if !fits {
                        return Err(Broken::new("NOI-3", format!("{:?} made a message 2 under {pattern:?}", seen.fact)));
                    }
                }
                responder::Output::Confirmed { .. } if seen.fact != Some(&ResponderFact::Third) || !memory.is_admitted => {
                    return Err(Broken::new("NOI-8", format!("{:?} confirmed a session", seen.fact)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<ResponderFact> {
        match at.machine.status() {
            Status::Running { waiting_for: "message 1" } => Some(ResponderFact::First),
            Status::Running { waiting_for: "the verdict" } if at.memory.suite_is_psk => Some(ResponderFact::AdmitPsk),
            Status::Running { waiting_for: "the verdict" } => Some(ResponderFact::Admit),
            Status::Running { .. } => Some(ResponderFact::Third),
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
