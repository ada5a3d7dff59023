//! Files of vectors: JSON that any language reads.

use std::{env, fs, path::Path};

use data_encoding::HEXLOWER;
use proto_core::secret::Secret;
use serde::{Serialize, de::DeserializeOwned};

/// The contents of the committed file of this name, which must be what was made, byte for byte.
pub(crate) fn committed<D: Serialize + DeserializeOwned>(name: &str, made: &D) -> D {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = serde_json::to_string_pretty(made).unwrap() + "\n";
    if env::var_os("VIEWPORT_RENEW").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        committed == text,
        "{}: line {:?} is not what is made now; VIEWPORT_RENEW=1 cargo test -p verification --test vectors writes it anew",
        path.display(),
        differs.map(|line| line + 1)
    );
    serde_json::from_str(&committed).unwrap()
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().expect("so many bytes")
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(array(text))
}
