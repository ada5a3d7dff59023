//! What can be wrong with each message.

use proto_core::{
    Reason,
    noise::Noise,
    secret::Secret,
    wire::{Answer, MAX_FIRST_MESSAGE, Pattern, Preamble, Refused, Role, Suite},
};

use super::{
    INITIATOR, INITIATOR_ENTROPY, RESPONDER, Vector, answer, first, good_answer, good_first, hello, keys, ping, psk,
    responder_entropy, segment, welcome,
};
use crate::file::{array, hex};

const FAILED: &str = "noise_handshake_failed";
const COMES: &str = "comes about";

/// Public keys whose shared secret is all zeros, and twins of them that are not written canonically (NOI-5).
const LOW_ORDER: [&str; 9] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

pub(super) fn all(suite: Suite, message_1: &[u8], message_2: &[u8]) -> Vec<Vector> {
    let mut all = preambles(message_1);
    all.extend(first_messages(suite, message_1, message_2));
    all.extend(answers(suite, message_1, message_2));
    all.extend(confirmations(suite));
    all
}

fn vector(instead_of: u8, name: impl Into<String>, received: impl AsRef<[u8]>, noise: &str, outcome: &str) -> Vector {
    Vector { name: name.into(), instead_of, received: hex(received), noise: noise.into(), outcome: outcome.into() }
}

/// Each place of a message by its name, with the byte at which it begins.
type Places = [(&'static str, usize)];

/// The message with one bit of each place changed, cut before each place, cut by a byte, and longer by one.
fn mangled(instead_of: u8, message: &[u8], places: &Places, outcome: &str) -> Vec<Vector> {
    let mut all = Vec::new();
    for (place, at) in places {
        for (which, bit) in [("lowest", 1), ("highest", 0x80)] {
            let mut changed = message.to_vec();
            changed[*at] ^= bit;
            all.push(vector(
                instead_of,
                format!("the {which} bit of the first byte of {place} changed"),
                changed,
                "fails",
                outcome,
            ));
        }
        all.push(vector(instead_of, format!("cut before {place}"), &message[..*at], "fails", outcome));
    }
    let mut last = message.to_vec();
    *last.last_mut().unwrap() ^= 1;
    all.push(vector(instead_of, "the last bit changed", last, "fails", outcome));
    all.push(vector(instead_of, "cut by a byte", &message[..message.len() - 1], "fails", outcome));
    all.push(vector(instead_of, "longer by a byte", [message, &[0]].concat(), "fails", outcome));
    all
}

fn preambles(message_1: &[u8]) -> Vec<Vector> {
    let changed = |at: usize, byte: u8| {
        let mut message = message_1.to_vec();
        message[at] = byte;
        message
    };
    let unsupported = "noise_version_unsupported";
    let mut all = vec![
        vector(1, "nothing", [], "malformed", "frame_malformed"),
        vector(1, "one byte", &message_1[..1], "malformed", "frame_malformed"),
        vector(1, "two bytes", &message_1[..2], "malformed", "frame_malformed"),
        vector(1, "without a preamble", &message_1[3..], "unsupported", unsupported),
        vector(1, "role 0", changed(2, 0), "malformed", "frame_malformed"),
        vector(1, "role 4", changed(2, 4), "malformed", "frame_malformed"),
        vector(1, "the role of a viewer in a daemon's message", changed(2, 2), "fails", FAILED),
        vector(1, "the role of a peer in a handshake with a relay", changed(2, 3), "fails", "frame_malformed"),
    ];
    for version in [0, 2, 0x81, 0xff] {
        all.push(vector(1, format!("version {version}"), changed(0, version), "unsupported", unsupported));
    }
    for suite in [0, 5, 0xff] {
        all.push(vector(1, format!("suite {suite}"), changed(1, suite), "unsupported", unsupported));
    }
    for suite in Suite::ALL.map(|suite| suite as u8).into_iter().filter(|suite| *suite != message_1[1]) {
        all.push(vector(1, format!("the message says suite {suite}, and is of another"), changed(1, suite), "fails", FAILED));
    }
    all
}

fn first_messages(suite: Suite, message_1: &[u8], message_2: &[u8]) -> Vec<Vector> {
    let preamble = Preamble { suite, role: Role::Daemon };
    let places = [
        ("the ephemeral key", 3),
        ("the sealed static key", 35),
        ("the static key's tag", 67),
        ("the payload", 83),
        ("the payload's tag", message_1.len() - 16),
    ];
    let mut all = mangled(1, message_1, &places, FAILED);
    for point in LOW_ORDER {
        let ephemeral: [u8; 32] = array(point);
        let forged = [&message_1[..3], &ephemeral, &message_1[35..]].concat();
        all.push(vector(1, format!("an ephemeral key of low order: {point}"), forged, "fails", FAILED));
    }
    let device = keys(INITIATOR);
    let to_another = first(preamble, &device, keys(0x45).public(), INITIATOR_ENTROPY, &hello().encode()).1;
    let with_payload = |payload: &[u8]| first(preamble, &device, keys(RESPONDER).public(), INITIATOR_ENTROPY, payload).1;
    let mut long = hello();
    long.software = "x".repeat(65);
    let mut longer = hello();
    longer.token = proto_core::secret::SecretText::new("x".repeat(4_097));
    all.extend([
        vector(1, "sealed for another responder", to_another, "fails", FAILED),
        // It begins with an ephemeral key, which is no version.
        vector(1, "message 2 comes back as message 1", message_2, "unsupported", "noise_version_unsupported"),
        vector(1, "a payload of zero bytes", with_payload(b""), "opens", "frame_malformed"),
        vector(1, "a payload that is no Hello", with_payload(&[0xff; 8]), "opens", "frame_malformed"),
        vector(
            1,
            "a Hello with a byte behind it",
            with_payload(&[&hello().encode()[..], &[0]].concat()),
            "opens",
            "frame_malformed",
        ),
        vector(1, "a Hello cut by a byte", with_payload(&hello().encode()[..12]), "opens", "frame_malformed"),
        vector(1, "a Hello whose software is longer than 64 bytes", with_payload(&long.encode()), "opens", "frame_malformed"),
        vector(1, "a Hello whose token is longer than 4,096 bytes", with_payload(&longer.encode()), "opens", "frame_malformed"),
        vector(1, "longer than 8,192 bytes", with_payload(&vec![0; MAX_FIRST_MESSAGE]), "opens", "frame_malformed"),
        vector(1, "the good one", message_1, "opens", COMES),
    ]);
    all
}

fn answers(suite: Suite, message_1: &[u8], message_2: &[u8]) -> Vec<Vector> {
    let refusal = if suite.pattern() == Pattern::IkPsk2 { "noise_psk_invalid" } else { FAILED };
    let places = [("the ephemeral key", 0), ("the payload", 32), ("the payload's tag", message_2.len() - 16)];
    let mut all = mangled(2, message_2, &places, refusal);
    for point in LOW_ORDER {
        let ephemeral: [u8; 32] = array(point);
        let forged = [&ephemeral, &message_2[32..]].concat();
        all.push(vector(2, format!("an ephemeral key of low order: {point}"), forged, "fails", refusal));
    }
    let payload = Answer::Welcome(welcome()).encode();
    let device = keys(INITIATOR);
    let preamble = Preamble { suite, role: Role::Daemon };
    let other_session = first(preamble, &device, keys(RESPONDER).public(), [0x56; 32], &hello().encode()).1;
    let to_impostor = first(preamble, &device, keys(0x45).public(), INITIATOR_ENTROPY, &hello().encode()).1;
    let psk_of = psk(suite);
    let good =
        |message_1: &[u8], payload: &[u8]| answer(&keys(RESPONDER), responder_entropy(), message_1, psk_of.as_ref(), payload).1;
    all.extend([
        vector(2, "the answer of another session", good(&other_session, &payload), "fails", refusal),
        vector(
            2,
            "the answer of another responder",
            answer(&keys(0x45), responder_entropy(), &to_impostor, psk_of.as_ref(), &payload).1,
            "fails",
            refusal,
        ),
        vector(2, "message 1 comes back as message 2", message_1, "fails", refusal),
        vector(2, "a payload of zero bytes", good(message_1, b""), "opens", "frame_malformed"),
        vector(2, "a payload that is no Answer", good(message_1, &[2]), "opens", "frame_malformed"),
        vector(2, "a Welcome with a byte behind it", good(message_1, &[&payload[..], &[0]].concat()), "opens", "frame_malformed"),
        vector(2, "the good one", message_2, "opens", COMES),
    ]);
    let refused = Answer::Refused(Refused { reason: Reason::MachineRevoked, retry_after: 0 }).encode();
    all.push(vector(2, "a refusal under the right key", good(message_1, &refused), "opens", "machine_revoked"));
    if suite.pattern() == Pattern::IkPsk2 {
        let wrong = Secret::new([0x78; 32]);
        let wrong = answer(&keys(RESPONDER), responder_entropy(), message_1, Some(&wrong), &payload).1;
        all.push(vector(2, "made with another PSK", wrong, "fails", refusal));
        let zero = Secret::new([0; 32]);
        let zero = answer(&keys(RESPONDER), responder_entropy(), message_1, Some(&zero), &payload).1;
        all.push(vector(2, "made with a PSK of zeros, as Noise has it where none is set", zero, "fails", refusal));
    }
    all
}

fn confirmations(suite: Suite) -> Vec<Vector> {
    let refusal = if suite.pattern() == Pattern::IkPsk2 { "noise_psk_invalid" } else { FAILED };
    let ready = || {
        let (mut device, message_1) = good_first(suite);
        let (relay, message_2) = good_answer(suite, &message_1);
        device.read_answer(&message_2).unwrap();
        (device, relay)
    };
    let good = segment(&mut ready().0, &ping());
    let mut all = mangled(3, &good, &[("the ciphertext", 2), ("the tag", good.len() - 16)], refusal);
    // The length of the segment is not under the seal, so these open for the library, and not at the relay.
    all.retain(|vector| vector.name != "longer by a byte");
    let (mut device, mut relay) = ready();
    let mut early = ready().0;
    let _ = segment(&mut early, &ping());
    let rekeyed = {
        let mut device = ready().0;
        device.rekey_sending();
        segment(&mut device, &ping())
    };
    let empty = segment(&mut device, b"");
    all.extend([
        vector(3, "the relay's own message comes back", segment(&mut relay, &ping()), "fails", refusal),
        vector(3, "the second message before the first", segment(&mut early, &ping()), "fails", refusal),
        vector(3, "sealed with the next key already", rekeyed, "fails", refusal),
        vector(3, "nothing sealed", empty, "opens", refusal),
        vector(3, "with a tail", [&good[..], &[0, 0, 1]].concat(), "fails", refusal),
        vector(3, "nothing", [], "fails", refusal),
        vector(3, "the good one", &good, "opens", COMES),
    ]);
    all
}
