//! D15: a session opens from its envelope, without the machine that made it; and only if that machine made the envelope.

use super::*;
use crate::{
    crypto::seal::{EpochSecret, Scope, Sealer},
    device::{files::OrganizationKeyFile, orgkey},
    orgkey::{Envelope, Generation, Lineage, Statement},
    secret::Secret,
    wire::{Content, Record},
};

fn org() -> OrgId {
    "ORG".parse().unwrap()
}

fn generation(number: u8) -> Generation {
    Generation::new(Secret::new([number; 32]))
}

fn maker() -> Identity {
    Identity::from_seed(Secret::new([8; 32]))
}

fn statement() -> Statement {
    Statement::found(&org(), &generation(5), &"t1".parse().unwrap(), &maker())
}

/// What a device keeps that knows the first generation, and holds it or not.
fn file(holds: bool) -> OrganizationKeyFile {
    let mut lineage = Lineage::new(org());
    lineage.follow(statement()).unwrap();
    OrganizationKeyFile::new(&org(), &lineage, if holds { core::slice::from_ref(&KEY) } else { &[] }, None)
}

static KEY: Generation = Generation::new(Secret::new([5; 32]));

fn secret() -> EpochSecret {
    EpochSecret::new(Secret::new([7; 32]))
}

fn envelope(session: SessionId, by: &Identity) -> Frame {
    let envelope = Envelope::seal(&statement(), session, &secret(), by, &Entropy::new([2; 32])).unwrap();
    Frame { head: Head::Envelope { session: numbered(1) }, body: envelope.encode().into() }
}

fn sealed_record() -> Frame {
    let scope = Scope { org: org(), session: numbered(1), cipher: Cipher::ChaCha20Poly1305 };
    let mut body = Vec::new();
    Sealer::new(&PureRust, scope, 0, secret(), 0).seal(0, &record_of("a").encode(), &mut body).unwrap();
    Frame { head: Head::Data { session: numbered(1), epoch: 0, sequence: 0 }, body: body.into() }
}

fn record_of(text: &'static str) -> Record {
    Record { at: core::time::Duration::ZERO, content: Content::Output(Bytes::from_static(text.as_bytes())) }
}

fn resume() -> Frame {
    Head::Resume { session: numbered(1), next: 0 }.into()
}

/// The envelope comes before the session is wanted, or after its daemon was asked: either way it opens, and the records are read.
#[test]
fn a_session_opens_from_its_envelope() {
    for first in [true, false] {
        let mut bench = Bench::with(Some(&file(true)));
        if first {
            bench.open_as(&claims(1, UNIX));
            bench.tell(envelope(numbered(1), &device()));
            assert_eq!(bench.heard(), [], "it is not watched");
            bench.input(Input::Watch(numbered(1)));
            assert_eq!(bench.heard(), [resume()]);
        } else {
            bench.watch(&claims(1, UNIX));
            assert!(matches!(bench.heard()[..], [Frame { head: Head::Peer { .. }, .. }]), "its daemon is asked");
            bench.tell(envelope(numbered(1), &device()));
            assert_eq!(bench.heard(), [resume()]);
        }
        bench.said.clear();
        bench.tell(sealed_record());
        assert_eq!(bench.said, [Output::Record(numbered(1), record_of("a"))]);
    }
}

/// A relay can seal what it likes to a public key: what another than the session's daemon made is refused, and so is what was made
/// for another session.
#[test]
fn a_foreign_envelope_is_refused() {
    for foreign in [envelope(numbered(1), &maker()), envelope(numbered(2), &device())] {
        let mut bench = Bench::with(Some(&file(true)));
        bench.watch(&claims(1, UNIX));
        bench.heard();
        bench.tell(foreign);
        assert_eq!(bench.said, [Output::Failed(numbered(1), Reason::EnvelopeForged)]);
        assert_eq!(bench.heard(), []);
    }
}

/// Bytes that are no envelope are as if there were none: the daemon is asked.
#[test]
fn what_is_no_envelope_counts_for_nothing() {
    let mut bench = Bench::with(Some(&file(true)));
    bench.open_as(&claims(1, UNIX));
    bench.tell(Frame { head: Head::Envelope { session: numbered(1) }, body: Bytes::from_static(b"nonsense") });
    bench.input(Input::Watch(numbered(1)));
    assert!(matches!(bench.heard()[..], [Frame { head: Head::Peer { .. }, .. }]));
    assert_eq!(bench.said, []);
}

/// A device that does not hold the generation asks the daemon, as before; once it was handed the generation, what waits opens.
#[test]
fn a_session_opens_once_the_generation_is_held() {
    let mut bench = Bench::with(Some(&file(false)));
    bench.watch(&claims(1, UNIX));
    bench.tell(envelope(numbered(1), &device()));
    assert!(bench.heard().iter().all(|frame| matches!(frame.head, Head::Peer { .. })));
    let keys = crate::orgkey::WrappingKeys::of(&device());
    let target = "r1".parse().unwrap();
    let wrapped =
        crate::orgkey::Wrapped::wrap(&org(), &target, &keys.public(), 1, &generation(5), &maker(), &Entropy::new([3; 32]))
            .unwrap();
    let own = crate::api::OwnDevice { registered: true, wrapped: Some(crate::api::Base64url(wrapped.encode())) };
    let view = crate::api::KeyView {
        statements: file(false).statements,
        device: Some(own),
        waiting: vec![],
        renew: false,
        machines: vec![],
    };
    let body = crate::secret::SecretBytes::new(serde_json::to_vec(&view).unwrap());
    let answer = crate::effect::HttpAnswer { status: 200, retry_after: None, date: None, body };
    bench.input(Input::Io(IoEvent::Answered(EffectId::OrganizationKey(orgkey::EffectId(1)), answer)));
    assert!(matches!(bench.said[..], [Output::Keep(_)]));
    assert_eq!(bench.heard(), [], "not before it is durable");
    bench.input(Input::Kept(true));
    assert_eq!(bench.heard(), [resume()]);
    bench.tell(sealed_record());
    assert_eq!(bench.said.last(), Some(&Output::Record(numbered(1), record_of("a"))));
}
