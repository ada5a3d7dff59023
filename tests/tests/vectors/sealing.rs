//! `sealing.json`: the keys of a binding, the secrets of epochs, sealed records, and records that must not open (WIRE sections
//! 1 and 7).

use proto_core::{
    SessionId,
    crypto::{
        Cipher, Identity, PureRust,
        seal::{EpochSecret, OpenError, Opener, Scope, Sealer},
    },
    jose::{SigningKey, Thumbprint},
};
use serde::{Deserialize, Serialize};

use crate::{
    LIBRARIES, counted_distinct,
    file::{array, committed, hex, secret, unhex},
    kdf::hkdf,
};

#[derive(Serialize, Deserialize)]
struct Document {
    about: String,
    bindings: Vec<Binding>,
    records: Vec<Record>,
}

/// The keys that grow from a seed.
#[derive(Serialize, Deserialize)]
struct Binding {
    seed: String,
    identity_private: String,
    identity_public: String,
    static_private: String,
    static_public: String,
    static_key_signature: String,
    thumbprint: String,
}

/// A sealed record as it arrives, for a reader who holds the secret of `first_epoch`.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    org: String,
    session: String,
    cipher: u8,
    first_epoch: u32,
    secret: String,
    epoch: u32,
    sequence: u64,
    sealed: String,
    /// What it says; or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[test]
fn keys_and_records_are_as_in_the_file() {
    let made = Document {
        about: "Keys of bindings from their seeds, and sealed records: docs/WIRE.md sections 1 and 7. See README.md.".into(),
        bindings: [0x00, 0x01, 0x33, 0x44, 0x7f, 0xff].map(binding).into(),
        records: [1, 2].into_iter().flat_map(records).collect(),
    };
    let file = committed("sealing.json", &made);
    file.bindings.iter().for_each(check_binding);
    file.records.iter().for_each(check_record);
    let bindings = file.bindings.iter().map(|v| v.seed.clone());
    let records = file.records.iter().map(|v| format!("{} {} {} {} {}", v.cipher, v.first_epoch, v.epoch, v.sequence, v.sealed));
    counted_distinct("sealing.json", bindings.chain(records));
}

/// Derived with the second HKDF; only the public halves and the signature come from a library.
fn binding(byte: u8) -> Binding {
    let seed = [byte; 32];
    let identity = Identity::from_seed(proto_core::secret::Secret::new(seed));
    let identity_private = hkdf(b"", &seed, "viewport/1 identity");
    let key = SigningKey::from_seed(&proto_core::secret::Secret::new(identity_private)).public_key();
    Binding {
        seed: hex(seed),
        identity_private: hex(identity_private),
        identity_public: hex(key.0),
        static_private: hex(hkdf(b"", &seed, "viewport/1 noise static")),
        static_public: hex(identity.static_key().0),
        static_key_signature: hex(identity.static_key_signature().0),
        thumbprint: Thumbprint::of_identity_key(key).to_string(),
    }
}

fn check_binding(vector: &Binding) {
    let identity = Identity::from_seed(secret(&vector.seed));
    assert_eq!(hex(identity.identity_key().0), vector.identity_public, "{}", vector.seed);
    assert_eq!(hex(identity.static_keys().private().expose()), vector.static_private, "{}", vector.seed);
    assert_eq!(hex(identity.static_key().0), vector.static_public);
    assert_eq!(hex(identity.static_key_signature().0), vector.static_key_signature);
    assert_eq!(Thumbprint::of_identity_key(identity.identity_key()).to_string(), vector.thumbprint);
    for (library, primitives) in LIBRARIES {
        assert_eq!(hex(primitives.x25519_public(&secret(&vector.static_private)).0), vector.static_public, "{library}");
    }
}

const ORG: &str = "acme";
const SESSION: [u8; 16] = [0x11; 16];
const FIRST: [u8; 32] = [0x22; 32];

/// Sealed by hand: key, nonce and associated data as section 7 writes them.
fn seal(cipher: u8, org: &str, session: [u8; 16], epoch: u32, sequence: u64, plaintext: &[u8]) -> Vec<u8> {
    let epoch_secret = (0..epoch).fold(FIRST, |secret, _| hkdf(&session, &secret, "viewport/1 next epoch"));
    let key = proto_core::secret::Secret::new(hkdf(&session, &epoch_secret, "viewport/1 record key"));
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_be_bytes());
    let length = u8::try_from(org.len()).unwrap();
    let associated = [b"viewport/1 record", &[length][..], org.as_bytes(), &session, &epoch.to_be_bytes()].concat();
    let mut sealed = plaintext.to_vec();
    let aead = proto_core::crypto::Primitives::aead(&PureRust, Cipher::from_byte(cipher).unwrap(), &key);
    let tag = aead.seal(&nonce, &associated, &mut sealed);
    sealed.extend(tag);
    sealed
}

fn records(cipher: u8) -> Vec<Record> {
    let vector = |name: &str, epoch, sequence, sealed: Vec<u8>, says: Result<&[u8], &str>| Record {
        name: format!("{name}, cipher {cipher}"),
        org: ORG.into(),
        session: hex(SESSION),
        cipher,
        first_epoch: 0,
        secret: hex(FIRST),
        epoch,
        sequence,
        sealed: hex(sealed),
        plaintext: says.ok().map(hex),
        refused: says.err().map(Into::into),
    };
    let good = seal(cipher, ORG, SESSION, 0, 1, b"hi");
    let seal = |org: &str, session, epoch, sequence| seal(cipher, org, session, epoch, sequence, b"hi");
    let flipped = |at: usize, bit: u8| {
        let mut sealed = good.clone();
        sealed[at] ^= bit;
        sealed
    };
    let forged = Err("does not open");
    let long = vec![0x78; 300];
    let mut vectors = vec![
        vector("a record", 0, 1, good.clone(), Ok(b"hi")),
        vector("the first record", 0, 0, seal(ORG, SESSION, 0, 0), Ok(b"hi")),
        vector("the last sequence", 0, u64::MAX, seal(ORG, SESSION, 0, u64::MAX), Ok(b"hi")),
        vector("nothing in it", 0, 1, self::seal(cipher, ORG, SESSION, 0, 1, b""), Ok(b"")),
        vector("several blocks", 0, 1, self::seal(cipher, ORG, SESSION, 0, 1, &long), Ok(&long)),
        vector("the next epoch", 1, 7, seal(ORG, SESSION, 1, 7), Ok(b"hi")),
        vector("three epochs later", 3, 7, seal(ORG, SESSION, 3, 7), Ok(b"hi")),
        vector("the furthest epoch that is leapt to", 4096, 7, seal(ORG, SESSION, 4096, 7), Ok(b"hi")),
        vector("an epoch too far ahead", 4097, 7, seal(ORG, SESSION, 4097, 7), Err("epoch too far ahead")),
        vector("a bit of the ciphertext changed", 0, 1, flipped(0, 1), forged),
        vector("the first bit of the tag changed", 0, 1, flipped(2, 0x80), forged),
        vector("the last bit of the tag changed", 0, 1, flipped(good.len() - 1, 1), forged),
        vector("cut by a byte", 0, 1, good[..good.len() - 1].to_vec(), forged),
        vector("longer by a byte", 0, 1, [&good[..], &[0]].concat(), forged),
        vector("shorter than a tag", 0, 1, good[..15].to_vec(), forged),
        vector("nothing at all", 0, 1, Vec::new(), forged),
        vector("under the next sequence", 0, 2, good.clone(), forged),
        vector("under the sequence before", 0, 0, good.clone(), forged),
        vector("under the next epoch", 1, 1, good.clone(), forged),
        vector("of another org", 0, 1, seal("acm", SESSION, 0, 1), forged),
        vector("of an org whose name differs in case", 0, 1, seal("Acme", SESSION, 0, 1), forged),
        vector("of another session", 0, 1, seal(ORG, [0x12; 16], 0, 1), forged),
        vector("sealed with the other cipher", 0, 1, self::seal(3 - cipher, ORG, SESSION, 0, 1, b"hi"), forged),
    ];
    // A viewer that was given a later secret reads from there on, and nothing before.
    let later = hkdf(&SESSION, &FIRST, "viewport/1 next epoch");
    for (name, epoch, says) in
        [("a late reader", 1, Ok(&b"hi"[..])), ("a late reader, of an earlier epoch", 0, Err("epoch gone"))]
    {
        let sealed = seal(ORG, SESSION, epoch, 9);
        vectors.push(Record { first_epoch: 1, secret: hex(later), ..vector(name, epoch, 9, sealed, says) });
    }
    vectors
}

fn check_record(vector: &Record) {
    for (library, primitives) in LIBRARIES {
        let session = SessionId(array(&vector.session));
        let scope = Scope { org: vector.org.parse().unwrap(), session, cipher: Cipher::from_byte(vector.cipher).unwrap() };
        let given = || EpochSecret::new(secret(&vector.secret));
        let mut opener = Opener::new(primitives, scope.clone(), vector.first_epoch, given());
        let (sealed, mut plaintext) = (unhex(&vector.sealed), Vec::new());
        let outcome = opener.open(vector.epoch, vector.sequence, &sealed, &mut plaintext);
        let refused = outcome.err().map(|why| match why {
            OpenError::Forged => "does not open",
            OpenError::EpochGone(_) => "epoch gone",
            OpenError::EpochTooFar(_) => "epoch too far ahead",
        });
        assert_eq!(refused, vector.refused.as_deref(), "{} on {library}", vector.name);
        if refused.is_some() {
            assert!(plaintext.is_empty(), "{}: something was written", vector.name);
            continue;
        }
        assert_eq!(Some(hex(&plaintext)), vector.plaintext, "{} on {library}", vector.name);
        let mut writer = Sealer::new(primitives, scope, vector.first_epoch, given(), vector.sequence);
        while writer.epoch() < vector.epoch {
            assert!(writer.advance());
        }
        let mut again = Vec::new();
        writer.seal(vector.sequence, &plaintext, &mut again).unwrap();
        assert_eq!(again, sealed, "{} on {library}", vector.name);
    }
}
