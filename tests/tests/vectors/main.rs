//! Vectors: other people's through our own wrappers, and our own for everybody (`tests/vectors/README.md` says how to read them).
//!
//! Ours are made here and committed; `VIEWPORT_RENEW=1 cargo test -p verification --test vectors` writes them anew. Without that,
//! each committed file is compared with what is made, byte for byte, and each vector is run as it stands in the file.

mod credentials;
mod file;
mod kdf;
mod noise;
mod organization_key;
mod rfc;
mod sealing;
mod wire;
mod wycheproof;

use std::{collections::BTreeSet, fmt::Debug, fs};

use io_engine::AwsLc;
use proto_core::crypto::{Primitives, PureRust};
use verification::sources::workspace;

const LIBRARIES: [(&str, &'static dyn Primitives); 2] = [("PureRust", &PureRust), ("AwsLc", &AwsLc)];

/// How many distinct vectors there are of each family. What runs on both libraries counts once.
const COUNTS: &[(&str, usize)] = &[
    ("Wycheproof AES-256-GCM", 66),
    ("Wycheproof ChaCha20-Poly1305", 316),
    ("Wycheproof X25519", 518),
    ("Wycheproof Ed25519", 151),
    ("RFC 8032, 8037, 7638, 7748", 10),
    ("wire.json", 466),
    ("noise.json", 400),
    ("credentials.json", 230),
    ("sealing.json", 56),
    ("organization_key.json", 12),
];

/// Those that run in `proto-core`, beside what they are about; the tests there count them.
const ELSEWHERE: &[(&str, usize)] = &[("Wycheproof HKDF-SHA256", 86), ("RFC 5869", 3), ("cacophony IK and IKpsk2", 16)];

/// Says that all vectors of a family were run, each of which is another one than the others by what `keys` says of it.
fn counted_distinct<K: Ord + Debug>(family: &str, keys: impl IntoIterator<Item = K>) {
    let mut seen = BTreeSet::new();
    for key in keys {
        assert!(!seen.contains(&key), "{family}: twice: {key:?}");
        seen.insert(key);
    }
    counted(family, seen.len());
}

/// Says that all vectors of a family were run.
fn counted(family: &str, run: usize) {
    let expected = COUNTS.iter().find(|(name, _)| *name == family).expect("a family").1;
    println!("{family}: {run} vectors");
    assert_eq!(run, expected, "{family}: count them in COUNTS");
}

/// VERIFICATION.md says how many there are, of each of our own files and in all.
#[test]
fn the_page_counts_them() {
    let page = fs::read_to_string(workspace().join("docs/VERIFICATION.md")).expect("the page");
    let total: usize = COUNTS.iter().chain(ELSEWHERE).map(|(_, count)| count).sum();
    let total = format!("| {},{:03} distinct vectors |", total / 1_000, total % 1_000);
    let files = COUNTS.iter().filter(|(family, _)| family.contains(".json"));
    for counted in files.map(|(file, count)| format!("`{file}` ({count})")).chain([total]) {
        assert!(page.contains(&counted), "docs/VERIFICATION.md lacks \"{counted}\"");
    }
}
