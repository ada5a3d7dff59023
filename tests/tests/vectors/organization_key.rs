//! `organization_key.json`: what opens with which secret, and what follows from what (WIRE section 12).

use proto_core::{
    Entropy, OrgId, PlatformId, SessionId,
    crypto::{Identity, seal::EpochSecret},
    orgkey::{Envelope, Generation, Statement, Wrapped, WrappingKeys, fingerprint},
};
use serde::{Deserialize, Serialize};

use super::{
    counted,
    file::{array, committed, hex, secret, unhex},
};

#[derive(Serialize, Deserialize)]
struct File {
    org: String,
    generations: Vec<GenerationVector>,
    foreign: Vec<Foreign>,
    wrapped: Vec<WrappedVector>,
    envelopes: Vec<EnvelopeVector>,
}

/// In their order, each after the one before.
#[derive(Serialize, Deserialize)]
struct GenerationVector {
    secret: String,
    sealing_key: String,
    signing_key: String,
    statement: String,
    hash: String,
    fingerprint: String,
}

/// Follows none of them, and why.
#[derive(Serialize, Deserialize)]
struct Foreign {
    why: String,
    statement: String,
}

#[derive(Serialize, Deserialize)]
struct WrappedVector {
    target: String,
    seed: String,
    wrapping_key: String,
    registration: String,
    wrapped: String,
    secret: String,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeVector {
    session: String,
    maker: String,
    generation: u32,
    envelope: String,
    epoch_secret: String,
}

const GENERATIONS: [[u8; 32]; 3] = [[0x11; 32], [0x22; 32], [0x33; 32]];

fn org() -> OrgId {
    "acme".parse().unwrap()
}

fn target(name: &str) -> PlatformId {
    name.parse().unwrap()
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(secret(&hex([seed; 32])))
}

fn generation(bytes: [u8; 32]) -> Generation {
    Generation::new(secret(&hex(bytes)))
}

fn statements() -> Vec<Statement> {
    let mut statements = vec![Statement::found(&org(), &generation(GENERATIONS[0]), &target("t1"), &identity(0x44))];
    for pair in GENERATIONS.windows(2) {
        let (held, next) = (generation(pair[0]), generation(pair[1]));
        let newest = statements.last().unwrap();
        statements.push(newest.succeed(&held, &next, &target("t1"), &identity(0x44)).unwrap());
    }
    statements
}

fn made() -> File {
    let statements = statements();
    let generations = statements.iter().zip(GENERATIONS).map(|(statement, bytes)| {
        let key = statement.key();
        GenerationVector {
            secret: hex(bytes),
            sealing_key: hex(key.sealing.bytes()),
            signing_key: hex(key.signing.0),
            statement: hex(statement.encode()),
            hash: hex(statement.digest()),
            fingerprint: fingerprint(&statement.digest()),
        }
    });
    let mallory = generation([0x66; 32]);
    let founded = Statement::found(&org(), &mallory, &target("t6"), &identity(0x66));
    let next = founded.succeed(&mallory, &generation([0x67; 32]), &target("t6"), &identity(0x66)).unwrap();
    let mut flipped = statements[1].encode();
    flipped[20] ^= 1;
    let foreign = [
        ("another founder", founded.encode()),
        ("not signed by the generation before", next.encode()),
        ("a flipped bit", flipped),
    ];
    let device = identity(0x55);
    let keys = WrappingKeys::of(&device);
    let wrapped = (1..).zip(GENERATIONS).map(|(n, bytes)| {
        let public = keys.public();
        let wrapped =
            Wrapped::wrap(&org(), &target("t5"), &public, n, &generation(bytes), &identity(0x44), &Entropy::new([0x50; 32]))
                .unwrap();
        WrappedVector {
            target: "t5".into(),
            seed: hex([0x55; 32]),
            wrapping_key: hex(public.bytes()),
            registration: hex(WrappingKeys::registration(&public, &device, &org(), &target("t5")).0),
            wrapped: hex(wrapped.encode()),
            secret: hex(bytes),
        }
    });
    let envelopes = statements.iter().map(|statement| {
        let epoch = EpochSecret::new(secret(&hex([0x77; 32])));
        let session = SessionId([0x88; 16]);
        let envelope = Envelope::seal(statement, session, &epoch, &identity(0x99), &Entropy::new([0x51; 32])).unwrap();
        EnvelopeVector {
            session: hex(session.0),
            maker: hex(identity(0x99).identity_key().0),
            generation: statement.generation(),
            envelope: hex(envelope.encode()),
            epoch_secret: hex([0x77; 32]),
        }
    });
    File {
        org: org().to_string(),
        generations: generations.collect(),
        foreign: foreign.map(|(why, bytes)| Foreign { why: why.into(), statement: hex(bytes) }).into(),
        wrapped: wrapped.collect(),
        envelopes: envelopes.collect(),
    }
}

/// D15: as they stand in the file, all of them open with what is said to open them, and follow one another.
#[test]
fn the_vectors_of_the_organizations_key_hold() {
    let file = committed("organization_key.json", &made());
    let org: OrgId = file.org.parse().unwrap();
    let mut lineage = proto_core::orgkey::Lineage::new(org.clone());
    for vector in &file.generations {
        let statement = Statement::decode(&unhex(&vector.statement)).unwrap();
        assert!(statement.is_of(&generation(array(&vector.secret))));
        assert_eq!(hex(statement.digest()), vector.hash);
        for foreign in &file.foreign {
            let follows = Statement::decode(&unhex(&foreign.statement))
                .is_ok_and(|foreign| lineage.generation() > 0 && lineage.clone().follow(foreign).is_ok());
            assert!(!follows, "{}", foreign.why);
        }
        assert_eq!(lineage.follow(statement), Ok(true));
        assert_eq!(lineage.fingerprint().as_ref(), Some(&vector.fingerprint));
    }
    let secrets: Vec<_> = file.generations.iter().map(|vector| generation(array(&vector.secret))).collect();
    assert_eq!(lineage.unfold(lineage.generation(), secrets.last().unwrap().clone()), secrets);
    for vector in &file.wrapped {
        let keys = WrappingKeys::of(&Identity::from_seed(secret(&vector.seed)));
        let wrapped = Wrapped::decode(&unhex(&vector.wrapped)).unwrap();
        assert_eq!(wrapped.open(&org, &target(&vector.target), &keys), Some(generation(array(&vector.secret))));
    }
    for vector in &file.envelopes {
        let session = SessionId(array(&vector.session));
        let envelope = Envelope::decode(&unhex(&vector.envelope)).unwrap();
        assert!(envelope.is_by_its_maker(&org, session) && hex(envelope.maker().0) == vector.maker);
        let held = &secrets[usize::try_from(vector.generation).unwrap() - 1];
        assert_eq!(envelope.open(&org, session, held), Some(EpochSecret::new(secret(&vector.epoch_secret))));
    }
    counted("organization_key.json", file.generations.len() + file.foreign.len() + file.wrapped.len() + file.envelopes.len());
}
