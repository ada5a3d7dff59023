//! What tests of several modules share.

use core::hash::{Hash, Hasher};

use crate::{
    UnixTime,
    crypto::Identity,
    id::DeviceKind,
    jose::{Claims, Confirmation, RELAY_AUDIENCE, Thumbprint},
};

/// The lifetime of [`claims`], in seconds, and how long they can be renewed.
pub(crate) const LIFETIME: u64 = 3_600;
pub(crate) const RENEWABLE: u64 = 2_592_000;

/// What a daemon's first credential says, an hour long, and renewable for 30 days.
pub(crate) fn claims(device: &Identity, issued_at: UnixTime) -> Claims {
    Claims {
        issuer: "https://api.example".into(),
        audience: RELAY_AUDIENCE.into(),
        install: "i1".parse().unwrap(),
        org: "ORG".parse().unwrap(),
        runtime_target: "r1".parse().unwrap(),
        machine: "m1".parse().unwrap(),
        role: DeviceKind::Daemon,
        generation: 1,
        confirmation: Confirmation {
            static_key: device.static_key(),
            identity: Thumbprint::of_identity_key(device.identity_key()),
        },
        issued_at,
        not_before: issued_at,
        expires_at: issued_at.plus(LIFETIME),
        renewable_until: issued_at.plus(RENEWABLE),
        id: "t1".parse().unwrap(),
    }
}

/// What `value` hashes to. Equal values have one fingerprint; others differ, as far as tests of a few values go.
pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    value.hash(&mut sum);
    sum.finish()
}

struct Sum(u64);

impl Hasher for Sum {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(*byte)));
    }
}
