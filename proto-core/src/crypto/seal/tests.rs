use alloc::{vec, vec::Vec};

use data_encoding::HEXLOWER;

use super::*;
use crate::{crypto::PureRust, testing::fingerprint};

const SECRET: [u8; 32] = [9; 32];

fn scope(cipher: Cipher) -> Scope {
    let session = SessionId(core::array::from_fn(|i| u8::try_from(i).unwrap()));
    Scope { org: "org_1".parse().unwrap(), session, cipher }
}

fn secret() -> EpochSecret {
    EpochSecret::new(Secret::new(SECRET))
}

fn sealer(cipher: Cipher) -> Sealer {
    Sealer::new(&PureRust, scope(cipher), 0, secret(), 0)
}

fn opener(cipher: Cipher) -> Opener {
    Opener::new(&PureRust, scope(cipher), 0, secret())
}

fn seal(sealer: &mut Sealer, sequence: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    sealer.seal(sequence, plaintext, &mut out).unwrap();
    out
}

fn open(opener: &mut Opener, epoch: u32, sequence: u64, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut out = vec![0xee];
    let result = opener.open(epoch, sequence, sealed, &mut out);
    assert_eq!(out.remove(0), 0xee);
    assert!(result.is_ok() || out.is_empty(), "nothing is written when a record does not open");
    result.map(|()| out)
}

/// Golden bytes of WIRE section 7, worked out with another implementation.
#[test]
fn records_are_sealed_as_written() {
    for (cipher, first, second) in [
        (Cipher::Aes256Gcm, "acc2101dfc12da2b6bfa8ec7ffc583981276970f7f", "3556f10724634faceb1c4b960af2d9f276167534ed"),
        (Cipher::ChaCha20Poly1305, "f67371b66e338cc33c0b06ed7a414498de55656973", "d4ddca549131cdeb4ff2672f0a7bab22abe7807add"),
    ] {
        assert_eq!(HEXLOWER.encode(&seal(&mut sealer(cipher), 5, b"hello")), first);
        let mut later = sealer(cipher);
        assert!(later.advance());
        assert_eq!(HEXLOWER.encode(&seal(&mut later, 5, b"hello")), second);
    }
}

#[test]
fn what_is_sealed_opens_across_epochs() {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let (mut sealer, mut opener) = (sealer(cipher), opener(cipher));
        for sequence in 0..10 {
            if sequence % 3 == 2 {
                assert!(sealer.advance());
            }
            let plaintext = vec![7; usize::try_from(sequence).unwrap() * 1000];
            let record = seal(&mut sealer, sequence, &plaintext);
            assert_eq!(open(&mut opener, sealer.epoch(), sequence, &record), Ok(plaintext));
        }
        assert_eq!(opener.epoch(), sealer.epoch());
    }
}

/// A record fits no other place: org, session, epoch, sequence, cipher, secret; and no bit of it may change.
#[test]
fn a_record_opens_in_its_own_place_only() {
    let sealed = seal(&mut sealer(Cipher::Aes256Gcm), 3, b"secret");
    let good = || opener(Cipher::Aes256Gcm);
    assert!(open(&mut good(), 0, 3, &sealed).is_ok());
    let other = |change: fn(&mut Scope)| {
        let mut scope = scope(Cipher::Aes256Gcm);
        change(&mut scope);
        Opener::new(&PureRust, scope, 0, secret())
    };
    for mut wrong in [
        other(|s| s.org = "org_2".parse().unwrap()),
        other(|s| s.session.0[15] ^= 1),
        other(|s| s.cipher = Cipher::ChaCha20Poly1305),
        Opener::new(&PureRust, scope(Cipher::Aes256Gcm), 0, EpochSecret::new(Secret::new([8; 32]))),
    ] {
        assert_eq!(open(&mut wrong, 0, 3, &sealed), Err(OpenError::Forged));
    }
    assert_eq!(open(&mut good(), 0, 4, &sealed), Err(OpenError::Forged));
    assert_eq!(open(&mut good(), 1, 3, &sealed), Err(OpenError::Forged));
    for len in 0..sealed.len() {
        assert_eq!(open(&mut good(), 0, 3, &sealed[..len]), Err(OpenError::Forged));
    }
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&mut good(), 0, 3, &flipped), Err(OpenError::Forged), "bit {bit}");
    }
}

/// NOI-6, a nonce never serves two contents.
#[test]
fn a_sequence_is_sealed_once() {
    let mut sealer = sealer(Cipher::Aes256Gcm);
    seal(&mut sealer, 5, b"one");
    let before = sealer.clone();
    for used in [0, 4, 5] {
        assert_eq!(sealer.seal(used, b"two", &mut vec![]), Err(SealError::SequenceUsed(used)));
    }
    assert_eq!(sealer, before);
    seal(&mut sealer, 6, b"three");
}

/// NOI-7, epochs only rise: an old secret is gone, and a forged epoch number neither moves the opener nor keeps it busy.
#[test]
fn epochs_only_rise() {
    let (mut sealer, mut opener) = (sealer(Cipher::ChaCha20Poly1305), opener(Cipher::ChaCha20Poly1305));
    let old = seal(&mut sealer, 0, b"old");
    assert!(sealer.advance());
    let new = seal(&mut sealer, 1, b"new");
    assert_eq!(open(&mut opener, 7, 1, &new), Err(OpenError::Forged));
    assert_eq!(open(&mut opener, u32::MAX, 1, &new), Err(OpenError::EpochTooFar(u32::MAX)));
    assert_eq!(open(&mut opener, 0, 0, &old).unwrap(), b"old");
    assert_eq!(open(&mut opener, 1, 1, &new).unwrap(), b"new");
    assert_eq!(open(&mut opener, 0, 0, &old), Err(OpenError::EpochGone(0)));
}

/// NOI-7: an opener leaps over as many epochs as it may, and over none more.
#[test]
fn a_leap_has_its_greatest_length() {
    let mut far = Sealer::new(&PureRust, scope(Cipher::Aes256Gcm), 0, secret(), 0);
    for _ in 0..MAX_EPOCH_LEAP {
        assert!(far.advance());
    }
    let record = seal(&mut far, 0, b"far");
    assert_eq!(open(&mut opener(Cipher::Aes256Gcm), MAX_EPOCH_LEAP, 0, &record).unwrap(), b"far");
    let beyond = MAX_EPOCH_LEAP + 1;
    assert_eq!(open(&mut opener(Cipher::Aes256Gcm), beyond, 0, &record), Err(OpenError::EpochTooFar(beyond)));
}

/// Openers are told apart by scope, number and secret, each for itself; a log shows no secret.
#[test]
fn epochs_are_compared_by_scope_number_and_secret() {
    let opener = |cipher, number, secret| Opener::new(&PureRust, scope(cipher), number, EpochSecret::new(Secret::new(secret)));
    let one = opener(Cipher::Aes256Gcm, 1, SECRET);
    assert!(one == opener(Cipher::Aes256Gcm, 1, SECRET));
    assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
    for other in
        [opener(Cipher::ChaCha20Poly1305, 1, SECRET), opener(Cipher::Aes256Gcm, 2, SECRET), opener(Cipher::Aes256Gcm, 1, [8; 32])]
    {
        assert!(one != other);
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
    let shown = alloc::format!("{one:?}");
    assert!(shown.contains("org_1") && shown.contains("number: 1") && !shown.contains("secret"), "{shown}");
}

/// A viewer that is let in at epoch 2 cannot read epoch 1.
#[test]
fn a_secret_opens_no_earlier_epoch() {
    let mut sealer = sealer(Cipher::Aes256Gcm);
    assert!(sealer.advance());
    let earlier = seal(&mut sealer, 0, b"earlier");
    assert!(sealer.advance());
    let mut late = Opener::new(&PureRust, scope(Cipher::Aes256Gcm), 2, sealer.secret().clone());
    assert_eq!(open(&mut late, 1, 0, &earlier), Err(OpenError::EpochGone(1)));
    let later = seal(&mut sealer, 1, b"later");
    assert_eq!(open(&mut late, 2, 1, &later).unwrap(), b"later");
}

#[test]
fn an_epoch_ends_at_its_limits() {
    let mut by_count = sealer(Cipher::Aes256Gcm);
    by_count.records = MAX_EPOCH_RECORDS - 1;
    seal(&mut by_count, 0, b"");
    assert_eq!(by_count.seal(1, b"", &mut vec![]), Err(SealError::EpochSpent));
    assert!(by_count.advance());
    seal(&mut by_count, 1, b"");

    let mut by_bytes = sealer(Cipher::Aes256Gcm);
    by_bytes.bytes = MAX_EPOCH_BYTES - 3;
    seal(&mut by_bytes, 0, b"123");
    assert_eq!(by_bytes.seal(1, b"4", &mut vec![]), Err(SealError::EpochSpent));
}

#[test]
fn no_epoch_follows_the_last() {
    let mut last = Sealer::new(&PureRust, scope(Cipher::Aes256Gcm), u32::MAX, secret(), 0);
    let before = last.clone();
    assert!(!last.advance());
    assert_eq!(last, before);
}

/// Two ends are the same when they open the same records: the explorer tells states apart by that.
#[test]
fn openers_of_different_epochs_scopes_or_secrets_differ() {
    let of = |org: &str, epoch, byte| {
        let scope = Scope { org: org.parse().unwrap(), ..scope(Cipher::Aes256Gcm) };
        Opener::new(&PureRust, scope, epoch, EpochSecret::new(Secret::new([byte; 32])))
    };
    assert_eq!(of("org_1", 0, 9), of("org_1", 0, 9));
    for other in [of("org_2", 0, 9), of("org_1", 1, 9), of("org_1", 0, 8)] {
        assert_ne!(of("org_1", 0, 9), other);
    }
}

impl Sealer {
    /// As if its epoch had sealed all it may.
    pub(crate) fn spend(&mut self) {
        self.records = MAX_EPOCH_RECORDS;
    }
}

/// WIRE section 7: an epoch seals 2^20 records or 1 GiB at most.
#[test]
fn an_epoch_ends_where_the_protocol_says() {
    assert_eq!((MAX_EPOCH_RECORDS, MAX_EPOCH_BYTES), (1_048_576, 1_073_741_824));
}
