//! The organization's key as data: what opens what, what follows from what, and the bytes.

use alloc::{collections::BTreeSet, format, vec::Vec};

use super::*;
use crate::{
    Entropy, Reason,
    crypto::{Identity, seal::EpochSecret},
    id::PlatformId,
    secret::Secret,
};

const SESSION: SessionId = SessionId([0x11; 16]);

fn org() -> OrgId {
    "acme".parse().unwrap()
}

fn target() -> PlatformId {
    "t1".parse().unwrap()
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(Secret::new([seed; 32]))
}

fn generation(number: u8) -> Generation {
    Generation::new(Secret::new([number; 32]))
}

fn entropy(number: u8) -> Entropy {
    Entropy::new([number; 32])
}

fn first() -> Statement {
    Statement::found(&org(), &generation(1), &target(), &identity(0x33))
}

/// The statement of generation `number + 1` after `before`, whose secret is all `number`s.
fn next(before: &Statement, number: u8) -> Statement {
    let (held, next) = (generation(number), generation(number + 1));
    before.succeed(&held, &next, &target(), &identity(0x33)).unwrap()
}

fn three() -> [Statement; 3] {
    let one = first();
    let two = next(&one, 1);
    let three = next(&two, 2);
    [one, two, three]
}

fn lineage(statements: &[Statement]) -> Lineage {
    let mut lineage = Lineage::new(org());
    for statement in statements {
        assert_eq!(lineage.follow(statement.clone()), Ok(true));
    }
    lineage
}

/// D15: what is sealed to a generation opens with its secret, for that session of that organization, and with nothing else.
#[test]
fn an_envelope_opens_for_its_session_and_generation_only() {
    let secret = EpochSecret::new(Secret::new([0x22; 32]));
    let envelope = Envelope::seal(&first(), SESSION, &secret, &identity(0x44), &entropy(9)).unwrap();
    assert_eq!(envelope.open(&org(), SESSION, &generation(1)), Some(secret));
    assert!(envelope.is_by_its_maker(&org(), SESSION));
    assert_eq!(envelope.maker(), identity(0x44).identity_key());
    assert_eq!((envelope.generation(), envelope.epoch()), (1, 0));
    let other: OrgId = "acmf".parse().unwrap();
    let another = SessionId([0x12; 16]);
    assert_eq!(envelope.open(&org(), SESSION, &generation(2)), None);
    assert_eq!(envelope.open(&other, SESSION, &generation(1)), None);
    assert_eq!(envelope.open(&org(), another, &generation(1)), None);
    assert!(!envelope.is_by_its_maker(&other, SESSION));
    assert!(!envelope.is_by_its_maker(&org(), another));
}

/// Anyone can seal to a public key: any changed byte of an envelope is refused, by the seal or by the signature.
#[test]
fn a_changed_envelope_is_not_its_makers() {
    let secret = EpochSecret::new(Secret::new([0x22; 32]));
    let bytes = Envelope::seal(&first(), SESSION, &secret, &identity(0x44), &entropy(9)).unwrap().encode();
    assert!(bytes.len() <= MAX_ENVELOPE);
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let passes = Envelope::decode(&changed).is_ok_and(|envelope| envelope.is_by_its_maker(&org(), SESSION));
        assert!(!passes, "byte {place}");
    }
    assert!(Envelope::decode(&bytes[1..]).is_err());
    assert!(Envelope::decode(&[&bytes[..], &[0]].concat()).is_err());
}

/// A lineage takes each statement once, in order, and none that its holder did not sign.
#[test]
fn a_lineage_follows_its_holders() {
    let [one, two, three] = three();
    let mut lineage = Lineage::new(org());
    assert_eq!((lineage.generation(), lineage.fingerprint()), (0, None));
    assert_eq!(lineage.follow(two.clone()), Err(Reason::OrganizationKeyForked));
    for statement in [&one, &two, &three] {
        assert_eq!(lineage.follow(statement.clone()), Ok(true));
        assert_eq!(lineage.follow(statement.clone()), Ok(false));
    }
    assert_eq!((lineage.generation(), lineage.newest(), lineage.get(2)), (3, Some(&three), Some(&two)));
    assert_eq!((lineage.get(0), lineage.get(4)), (None, None));
    let mut skipping = super::tests::lineage(&[one]);
    assert_eq!(skipping.follow(three), Err(Reason::OrganizationKeyForked));
    assert_eq!(skipping.generation(), 1);
}

/// After first use a platform cannot slip a key of its own in: whatever it makes without a holder's secret is refused.
#[test]
fn a_key_of_another_maker_is_refused() {
    let [one, two, _] = three();
    let mallory = identity(0x66);
    // Another first generation, and one that pretends to come after ours.
    let own = Statement::found(&org(), &generation(7), &target(), &mallory);
    let own_next = own.succeed(&generation(7), &generation(8), &target(), &mallory).unwrap();
    let mut lineage = lineage(core::slice::from_ref(&one));
    for foreign in [own, own_next] {
        assert_eq!(lineage.follow(foreign), Err(Reason::OrganizationKeyForked));
    }
    // Without the secret of the generation there is no successor.
    assert!(one.succeed(&generation(7), &generation(8), &target(), &mallory).is_err());
    // Ours with another organization's name.
    let other = Statement::found(&"other".parse().unwrap(), &generation(1), &target(), &identity(0x33));
    assert_eq!(Lineage::new(org()).follow(other), Err(Reason::OrganizationKeyForked));
    // A holder's second successor after the first was accepted: never back, never aside.
    let fork = one.succeed(&generation(1), &generation(9), &target(), &identity(0x33)).unwrap();
    assert_eq!(lineage.follow(two), Ok(true));
    assert_eq!(lineage.follow(fork), Err(Reason::OrganizationKeyForked));
}

/// Each byte of a statement is under both signatures, or is one of them.
#[test]
fn a_changed_statement_does_not_follow() {
    let [one, two, _] = three();
    let bytes = two.encode();
    assert!(bytes.len() <= Statement::MAX);
    assert_eq!(Statement::decode(&bytes), Ok(two));
    // Every seventh byte, and all of the small fields and signatures at both ends.
    let places = (0..bytes.len()).filter(|place| place % 7 == 0 || *place < 16 || *place > bytes.len() - 240);
    for place in places {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let follows = Statement::decode(&changed).is_ok_and(|statement| statement.follows(&one));
        assert!(!follows, "byte {place}");
    }
}

/// Statements have one form: no trailing bytes, no long numbers, no generation out of range, no link where there is none.
#[test]
fn a_statement_has_one_form() {
    let [one, two, _] = three();
    let bytes = one.encode();
    for cut in [0, 1, 4, bytes.len() - 1] {
        assert!(Statement::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(Statement::decode(&[&bytes[..], &[0]].concat()).is_err());
    // The generation is the byte behind the organization's name: 0 is none, 2 without a link is none.
    for number in [0, 2] {
        let mut changed = bytes.clone();
        changed[5] = number;
        assert!(Statement::decode(&changed).is_err(), "{number}");
    }
    let mut long = bytes.clone();
    long.splice(5..6, [0x81, 0x00]);
    assert!(Statement::decode(&long).is_err());
    let mut linked = two.encode();
    linked[5] = 1;
    assert!(Statement::decode(&linked).is_err());
}

/// Who holds a generation holds those before it.
#[test]
fn older_generations_unfold_from_the_newest() {
    let statements = three();
    let lineage = lineage(&statements);
    assert_eq!(lineage.unfold(3, generation(3)), [1, 2, 3].map(generation));
    assert_eq!(lineage.unfold(2, generation(2)), [1, 2].map(generation));
    for (number, secret) in [(3, 2), (2, 3), (4, 4), (0, 1)] {
        assert!(lineage.unfold(number, generation(secret)).is_empty(), "{number} {secret}");
    }
    assert!(statements[0].secret_before(&generation(1)).is_none());
    assert!(statements[2].secret_before(&generation(1)).is_none());
}

/// A generation is wrapped for one device of one organization, and names who handed it over.
#[test]
fn a_wrapped_generation_is_for_one_device() {
    let (giver, receiver) = (identity(0x33), identity(0x55));
    let keys = WrappingKeys::of(&receiver);
    let wrapped = Wrapped::wrap(&org(), &target(), &keys.public(), 3, &generation(3), &giver, &entropy(8)).unwrap();
    assert_eq!(wrapped.open(&org(), &target(), &keys), Some(generation(3)));
    assert_eq!((wrapped.generation(), wrapped.giver()), (3, giver.identity_key()));
    assert!(wrapped.is_by_its_giver(&org(), &target()));
    let other: OrgId = "other".parse().unwrap();
    assert_eq!(wrapped.open(&other, &target(), &keys), None);
    assert_eq!(wrapped.open(&org(), &"t2".parse().unwrap(), &keys), None);
    assert_eq!(wrapped.open(&org(), &target(), &WrappingKeys::of(&giver)), None);
    let bytes = wrapped.encode();
    assert!(bytes.len() <= Wrapped::MAX);
    assert_eq!(Wrapped::decode(&bytes), Ok(wrapped));
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let opens = Wrapped::decode(&changed).is_ok_and(|wrapped| wrapped.is_by_its_giver(&org(), &target()));
        assert!(!opens, "byte {place}");
    }
}

/// A wrapping key is registered by its device's own signature, for one place.
#[test]
fn a_wrapping_key_is_signed_by_its_device() {
    let device = identity(0x55);
    let public = WrappingKeys::of(&device).public();
    let signature = WrappingKeys::registration(&public, &device, &org(), &target());
    let holds = |identity: &Identity, org: &OrgId, target: &PlatformId, public: &SealingKey| {
        verify_wrapping_key(identity.identity_key(), public, org, target, &signature)
    };
    assert!(holds(&device, &org(), &target(), &public));
    assert!(!holds(&identity(0x56), &org(), &target(), &public));
    assert!(!holds(&device, &"other".parse().unwrap(), &target(), &public));
    assert!(!holds(&device, &org(), &"t2".parse().unwrap(), &public));
    assert!(!holds(&device, &org(), &target(), &WrappingKeys::of(&identity(0x56)).public()));
}

/// ISO-4: another block of entropy gives another seal and another generation; the same gives the same bytes.
#[test]
fn entropy_is_all_the_randomness_there_is() {
    let secret = EpochSecret::new(Secret::new([0x22; 32]));
    let seal = |number| Envelope::seal(&first(), SESSION, &secret, &identity(0x44), &entropy(number)).unwrap().encode();
    assert_eq!(seal(1), seal(1));
    let different: BTreeSet<Vec<u8>> = (1..5).map(seal).collect();
    assert_eq!(different.len(), 4);
    assert_ne!(Generation::generate(&entropy(1)), Generation::generate(&entropy(2)));
}

/// No secret in what is shown; a fingerprint is 8 groups of 4 characters.
#[test]
fn debug_shows_no_secret_and_a_fingerprint_is_readable() {
    let shown = format!("{:?} {:?}", generation(0x41), WrappingKeys::of(&identity(0x41)));
    assert_eq!(shown, "Generation(..) WrappingKeys(OpeningKey(Secret(..)))");
    let fingerprint = lineage(&[first()]).fingerprint().unwrap();
    assert_eq!(fingerprint.split('-').map(str::len).collect::<Vec<_>>(), [4; 8]);
}
