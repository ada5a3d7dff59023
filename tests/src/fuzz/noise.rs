//! Both ends of the handshake of a link over the real Noise, with a saboteur on the wire (NOI-2, NOI-4, NOI-8).

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine, Reason, Status,
    crypto::StaticKeys,
    noise::{
        InitiatorKeys, Noise, Snow,
        channel::{Channel, Tails},
        handshake::{
            HANDSHAKE_TIMEOUT, Initiator, MAX_GARBAGE, Responder, initiator,
            responder::{self, Acceptor, Verdict},
        },
    },
    secret::{Secret, SecretText},
    wire::{Answer, Head, Hello, Pattern, Preamble, Refused, Role, Suite, Welcome},
};

use super::sabotage::Sabotage;

const START: Instant = Instant::from_nanos(1_000);

/// Making keys takes longer than most else here.
static DEVICE: LazyLock<StaticKeys> = LazyLock::new(|| StaticKeys::from_private(Secret::new([1; 32])));
static RELAY: LazyLock<StaticKeys> = LazyLock::new(|| StaticKeys::from_private(Secret::new([2; 32])));

fn psk_for(suite: Suite) -> Option<Secret> {
    (suite.pattern() == Pattern::IkPsk2).then(|| Secret::new([42; 32]))
}

fn welcome() -> Welcome {
    Welcome { frame_max: 1 << 20, time: 1_700_000_000, software: "viewport-relay 0.1.0".into() }
}

fn drain<M: Machine>(machine: &mut M) -> Vec<M::Output> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// A device that begins, and its message 1.
fn knocking(suite: Suite, role: Role, psk: Option<&Secret>) -> (Initiator<Snow>, Bytes) {
    let hello = Hello { token: SecretText::new("token"), software: "vpd 0.1.0".into() };
    let keys = InitiatorKeys { preamble: Preamble { suite, role }, local: &DEVICE, responder: RELAY.public(), psk };
    let mut device = Initiator::start(START, keys, Entropy::new([3; 32]), &hello);
    match drain(&mut device).pop() {
        Some(initiator::Output::Send(message)) => (device, message),
        other => panic!("{other:?}"),
    }
}

/// A relay that receives message 1, a verdict and a confirmation, each perhaps not as it was sent: it admits only the sender of
/// genuine messages, and nothing takes effect before the confirmation.
pub fn responder(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((suite, first, verdict, confirmation)) = data.arbitrary::<(u8, Sabotage, Decision, Sabotage)>() else { return };
    let suite = Suite::ALL[usize::from(suite) % 4];
    let psk = psk_for(suite);
    let (mut device, message_1) = knocking(suite, Role::Daemon, psk.as_ref());
    let mut relay = Responder::<Snow>::new(START, Acceptor::Devices, RELAY.clone(), &Entropy::new([4; 32]));

    let arrived = first.apply(&message_1);
    let is_genuine = arrived == message_1;
    give(&mut relay, responder::Input::Received(arrived));
    match &drain(&mut relay)[..] {
        [responder::Output::Hello { static_key, .. }] => assert!(is_genuine && *static_key == DEVICE.public(), "NOI-2"),
        [responder::Output::Failed(_)] => return assert!(!is_genuine, "the genuine message 1 was refused"),
        other => panic!("{other:?}"),
    }

    give(&mut relay, responder::Input::Verdict(verdict.verdict(psk.clone())));
    let (message_2, refusal) = answer_of(drain(&mut relay));
    let fits = matches!(verdict, Decision::Admit);
    assert_eq!(fits, refusal.is_none(), "{verdict:?}: {refusal:?}");
    if !fits {
        return;
    }
    device.handle_input(START, initiator::Input::Received(message_2.expect("message 2"))).expect("room");
    let noise = match drain(&mut device).pop() {
        Some(initiator::Output::Established { noise, .. }) => noise,
        other => panic!("{other:?}"),
    };
    confirm(&mut relay, noise, &confirmation);
}

fn give(relay: &mut Responder<Snow>, input: responder::Input) {
    relay.handle_input(START, input).expect("room");
}

fn answer_of(outputs: Vec<responder::Output<Snow>>) -> (Option<Bytes>, Option<Reason>) {
    let (mut message, mut refusal) = (None, None);
    for output in outputs {
        match output {
            responder::Output::Send(bytes) => message = Some(bytes),
            responder::Output::Failed(reason) => refusal = Some(reason),
            other => panic!("before the confirmation: {other:?}"),
        }
    }
    (message, refusal)
}

fn confirm(relay: &mut Responder<Snow>, device: Snow, sabotage: &Sabotage) {
    let mut channel = Channel::new(device, Tails::Refused);
    let ping = channel.seal(&Head::Ping { nonce: 0 }.into()).expect("a fresh channel");
    let arrived = sabotage.apply(&ping);
    let is_genuine = arrived == ping;
    give(relay, responder::Input::Received(arrived));
    match &drain(relay)[..] {
        [responder::Output::Confirmed { .. }] => assert!(is_genuine, "NOI-4: a message that is not the device's confirmed it"),
        [responder::Output::Failed(_)] => assert!(!is_genuine, "the genuine confirmation was refused"),
        other => panic!("{other:?}"),
    }
    assert_eq!(relay.poll_timeout(), None, "L4");
}

/// What the relay decides, right or wrong.
#[derive(Arbitrary, Debug)]
enum Decision {
    Admit,
    AdmitWithAnotherPsk,
    Refuse(u32),
}

impl Decision {
    fn verdict(&self, psk: Option<Secret>) -> Verdict {
        match self {
            Self::Admit => Verdict::Admit { psk, welcome: welcome() },
            Self::AdmitWithAnotherPsk => {
                let psk = if psk.is_some() { None } else { Some(Secret::new([9; 32])) };
                Verdict::Admit { psk, welcome: welcome() }
            }
            Self::Refuse(retry_after) => Verdict::Refuse(Refused { reason: Reason::MachineRevoked, retry_after: *retry_after }),
        }
    }
}

/// What a device sees after it knocked.
#[derive(Arbitrary, Debug)]
enum Seen {
    Answer(Sabotage),
    Wait { millis: u16 },
    Closed,
}

/// A device that knocked and sees anything: it is let in by the genuine message 2, after at most [`MAX_GARBAGE`] others and
/// within the deadline, and by nothing else.
pub fn initiator(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((suite, is_refused)) = data.arbitrary::<(u8, bool)>() else { return };
    let suite = Suite::ALL[usize::from(suite) % 4];
    let psk = psk_for(suite);
    let (mut device, message_1) = knocking(suite, Role::Viewer, psk.as_ref());
    let (mut relay, _) =
        Snow::<proto_core::crypto::PureRust>::respond(&RELAY, Entropy::new([4; 32]), &message_1).expect("genuine");
    let refused = Refused { reason: Reason::MachineRevoked, retry_after: 0 };
    let answer = if is_refused { Answer::Refused(refused.clone()) } else { Answer::Welcome(welcome()) };
    let message_2 = relay.answer(psk.as_ref(), &answer.encode()).expect("an answer");

    let mut model = Model { garbage: 0, elapsed_millis: 0 };
    let Ok(sequence) = data.arbitrary_iter::<Seen>() else { return };
    for seen in sequence.take(64).flatten() {
        let expected = model.expects(&seen, &message_2);
        model.hand_over(&mut device, &seen, &message_2);
        let outputs = drain(&mut device);
        match (expected, &outputs[..]) {
            (Expected::Nothing, []) => {}
            (Expected::Decided, [initiator::Output::Established { welcome: said, .. }]) => {
                return assert!(!is_refused && *said == welcome());
            }
            (Expected::Decided, [initiator::Output::Failed(failure)]) => {
                return assert_eq!((is_refused, failure), (true, &initiator::Failure::Refused(refused)));
            }
            (Expected::Broken, [initiator::Output::Failed(initiator::Failure::Broken(_))]) => {
                return assert!(matches!(device.status(), Status::Failed(_)) && device.poll_timeout().is_none());
            }
            other => panic!("{other:?} after {seen:?}"),
        }
    }
}

#[derive(Debug)]
enum Expected {
    Nothing,
    Decided,
    Broken,
}

/// What a device has seen so far.
struct Model {
    garbage: u8,
    elapsed_millis: u64,
}

impl Model {
    fn now(&self) -> Instant {
        START.after(core::time::Duration::from_millis(self.elapsed_millis))
    }

    fn expects(&mut self, seen: &Seen, message_2: &[u8]) -> Expected {
        match seen {
            Seen::Wait { millis } => {
                self.elapsed_millis += u64::from(*millis);
                if self.now() >= START.after(HANDSHAKE_TIMEOUT) { Expected::Broken } else { Expected::Nothing }
            }
            Seen::Answer(sabotage) if sabotage.apply(message_2) == message_2 => Expected::Decided,
            Seen::Answer(_) if self.garbage < MAX_GARBAGE => {
                self.garbage += 1;
                Expected::Nothing
            }
            Seen::Answer(_) | Seen::Closed => Expected::Broken,
        }
    }

    fn hand_over(&self, device: &mut Initiator<Snow>, seen: &Seen, message_2: &[u8]) {
        match seen {
            Seen::Wait { .. } => device.handle_timeout(self.now()),
            Seen::Closed => device.handle_input(self.now(), initiator::Input::Closed(None)).expect("room"),
            Seen::Answer(sabotage) => {
                let message = initiator::Input::Received(sabotage.apply(message_2));
                device.handle_input(self.now(), message).expect("room");
            }
        }
    }
}
