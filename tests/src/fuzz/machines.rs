//! Every machine of the core as a sequence of inputs: the subjects of the laws in the fuzzer's hands.
//!
//! One byte chooses the law whose second run is compared (L3, L5, L6, L10, the clamp or the clock), so that a machine whose
//! outputs, deadline, status or complaints depend on more than its trace is found; L1, L2, L4, L7 and L9 are checked after every
//! call of both runs. Each step has its own piece of the input, and four bytes of it choose one of the subject's own recipes: a
//! changed byte changes one step and no other.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::fixtures::UNIX;
use crate::laws::{
    self, Law, Step, Subject, Trace,
    subjects::{
        admission, binding, bridge, connection, consent, credential, daemon, handshake, hub, keyset, link, orgkey, pairing,
        pairing_code, revocations, session, spool, uplink, viewer, watcher,
    },
};

/// The laws that compare two runs. Floods (L8) are for another day: they take seconds.
const LAWS: [Law; 6] = [Law::L3, Law::L5, Law::L6, Law::L10, Law::Clamp, Law::Clock];

/// The most steps of a trace.
const MAX_STEPS: usize = 64;

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident = $subject:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(data: &[u8]) {
                keeps_the_laws(&$subject, data);
            }
        )*
    };
}

targets! {
    /// Whether a device may come in.
    law_admission = admission::Entering;
    /// The bindings and their files.
    law_binding = binding::Bound;
    /// The sessions of one binding on their way to the relay, and its visitors.
    law_bridge = bridge::Streaming;
    /// A pairing code at the platform.
    law_pairing_code = pairing_code::Code;
    /// Whether a directory streams.
    law_consent = consent::Asked;
    /// The rotation of a credential.
    law_credential = credential::Renewing;
    /// The whole daemon.
    law_daemon = daemon::Whole;
    /// The relay's hub.
    law_hub = hub::Routing;
    /// The device's end of a handshake.
    law_initiator = handshake::AwaitingFirstMessage;
    /// The platform's key set.
    law_keyset = keyset::Keys;
    /// A device's link.
    law_link = link::Dialling;
    /// A viewing device's part in its organization's key.
    law_orgkey = orgkey::Held(proto_core::id::DeviceKind::Viewer);
    /// A pairing at the device.
    law_pairing = pairing::Waiting;
    /// A relay's connection.
    law_connection = connection::Entering;
    /// The relay's end of a handshake.
    law_responder = handshake::Opening;
    /// How a relay follows revocations.
    law_revocations = revocations::Followed;
    /// A session's records until they are durable.
    law_session = session::Streamed;
    /// What is kept until a relay takes it.
    law_spool = spool::Kept;
    /// A link with its credential and key set.
    law_uplink = uplink::Wired;
    /// Somebody who watches.
    law_viewer = viewer::Watching;
    /// A viewing device.
    law_watcher = watcher::Whole;
}

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Kind {
    Fact,
    AnotherFact,
    Back(Span),
    Advance(Span),
    Deadline,
    JustBefore,
    /// The wall clock, so many seconds from where machines begin.
    Clock(i32),
}

/// A duration, each order of magnitude as likely as the next.
#[derive(Arbitrary, Debug)]
struct Span {
    bits: u8,
    random: u64,
}

impl Span {
    fn duration(&self) -> Duration {
        Duration::from_nanos(self.random & ((1 << (self.bits % 49)) - 1))
    }
}

fn keeps_the_laws<S: Subject>(subject: &S, data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((law, seed)) = data.arbitrary::<(u8, u8)>() else { return };
    let facts = subject.facts();
    let mut steps = Vec::new();
    while steps.len() < MAX_STEPS
        && !data.is_empty()
        && let Ok(kind) = data.arbitrary::<Kind>()
    {
        let mut fact = || draw(&facts, data.arbitrary().unwrap_or_default());
        steps.push(match kind {
            Kind::Fact | Kind::AnotherFact => Step::Fact(fact()),
            Kind::Back(by) => Step::Back(fact(), by.duration()),
            Kind::Advance(by) => Step::Advance(by.duration()),
            Kind::Deadline => Step::Deadline,
            Kind::JustBefore => Step::JustBefore(fact()),
            Kind::Clock(off) => Step::Clock(UNIX.0.saturating_add_signed(off.into())),
        });
    }
    let trace = Trace { seed: seed.into(), steps };
    if let Err(violation) = laws::hold(subject, LAWS[usize::from(law) % LAWS.len()], &trace) {
        panic!("{violation}\n{trace:#?}");
    }
}

/// The fact with this number. (The generator that passes bytes through is of no use here: where it has none left, recipes that are
/// chosen by rejection never come to an end.)
fn draw<F: Clone + std::fmt::Debug>(facts: &BoxedStrategy<F>, number: u32) -> F {
    let mut seed = *b"which fact is it";
    seed[..4].copy_from_slice(&number.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::XorShift, &seed));
    facts.new_tree(&mut runner).expect("the recipes reject nothing").current()
}
