//! What signs the platform's credentials, and knows its latest ones again letter by letter: it believes the same ones as with a
//! look at each signature, in a fraction of the time.

use std::collections::VecDeque;

use proto_core::{
    Reason, UnixTime,
    jose::{Claims, Expectation, Expiry, SigningKey, Thumbprint, sign, verify},
    platform::key_ring::{Change, Key, KeyRing},
    secret::{Secret, SecretText},
};

/// So many credentials are known again; the devices of one world use no more at a time.
const LATEST: usize = 64;

/// The platform's keys and the credentials that they signed last.
#[derive(Debug, Default)]
pub(super) struct Issuer {
    ring: KeyRing,
    /// The newest first.
    latest: VecDeque<Credential>,
}

#[derive(Debug)]
struct Credential {
    token: SecretText,
    kid: Thumbprint,
    claims: Claims,
}

impl Issuer {
    pub(super) const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Carries one change of the ring out; `seed` is fresh.
    pub(super) fn carry_out(&mut self, change: Change, seed: &Secret) {
        let mut keys: Vec<_> = self.ring.keys().to_vec();
        match change {
            Change::Add { active_from } => {
                keys.push(Key { signing: SigningKey::from_seed(seed), active_from, is_withdrawn: false });
            }
            Change::Withdraw(kid) => {
                keys.iter_mut().filter(|key| key.signing.kid() == kid).for_each(|key| key.is_withdrawn = true);
            }
            Change::Forget(kid) => keys.retain(|key| key.signing.kid() != kid),
        }
        self.ring = keys.into_iter().collect();
    }

    pub(super) fn sign(&mut self, claims: Claims) -> SecretText {
        let key = self.ring.signing_key(claims.issued_at).expect("a key to sign with");
        let token = sign(&claims, key);
        self.latest.truncate(LATEST - 1);
        self.latest.push_front(Credential { token: token.clone(), kid: key.kid(), claims });
        token
    }

    /// Believes a credential, or says why not.
    pub(super) fn believe(&self, token: &SecretText, now: UnixTime, expected: &Expectation) -> Result<Claims, Reason> {
        let keys = if expected.expiry == Expiry::Renew { self.ring.renewable() } else { self.ring.published() };
        let known = self.latest.iter().find(|known| known.token.expose() == token.expose());
        match known.filter(|known| keys.get(known.kid).is_some()) {
            Some(known) => known.claims.hold(now, expected).map(|()| known.claims.clone()),
            None => verify(token, &keys, now, expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use proto_core::{
        id::DeviceKind,
        jose::{Confirmation, RELAY_AUDIENCE},
        key::StaticKey,
    };

    use super::*;

    fn claims(generation: u64) -> Claims {
        let id = |text: &str| text.parse().expect("an id");
        Claims {
            issuer: "https://api.example".into(),
            audience: RELAY_AUDIENCE.into(),
            install: id("install"),
            org: "org".parse().expect("an id"),
            runtime_target: id("target"),
            machine: id("machine"),
            role: DeviceKind::Daemon,
            generation,
            confirmation: Confirmation { static_key: StaticKey([1; 32]), identity: Thumbprint([2; 32]) },
            issued_at: UnixTime(1_000),
            not_before: UnixTime(1_000),
            expires_at: UnixTime(2_000),
            renewable_until: UnixTime(3_000),
            id: id("jti"),
        }
    }

    /// JWT-1 to JWT-3 hold for the platform of the simulation too: it believes what any verifier with its key set would.
    #[test]
    fn a_credential_is_believed_exactly_when_its_signature_and_its_claims_would_be() {
        let mut issuer = Issuer::default();
        issuer.carry_out(Change::Add { active_from: UnixTime(0) }, &Secret::new([9; 32]));
        let mut tokens: Vec<_> = (0..2 * LATEST as u64).map(|generation| issuer.sign(claims(generation))).collect();
        tokens.push(sign(&claims(1), &SigningKey::from_seed(&Secret::new([8; 32]))));
        for keys in 0..3 {
            for expiry in [Expiry::Connect, Expiry::Renew, Expiry::Ignored] {
                let expected = Expectation { issuer: Some("https://api.example".into()), expiry };
                let other = Expectation { issuer: Some("https://other.example".into()), expiry };
                for (token, now) in tokens.iter().flat_map(|token| [900, 1_000, 2_060, 3_060].map(|now| (token, UnixTime(now)))) {
                    for expected in [&expected, &other] {
                        let (published, all) = (issuer.ring().published(), issuer.ring().renewable());
                        let set = if expiry == Expiry::Renew { all } else { published };
                        let verdict = verify(token, &set, now, expected);
                        assert_eq!(issuer.believe(token, now, expected), verdict, "{keys} other keys, {expiry:?} at {now:?}");
                    }
                }
            }
            issuer.carry_out(Change::Add { active_from: UnixTime(1_000 + u64::from(keys)) }, &Secret::new([keys; 32]));
            let previous = issuer.ring().keys().iter().rev().nth(1).map(|key| key.signing.kid()).expect("two keys");
            issuer
                .carry_out(if keys == 0 { Change::Withdraw(previous) } else { Change::Forget(previous) }, &Secret::new([0; 32]));
        }
        assert_eq!(
            issuer.believe(&tokens[0], UnixTime(1_000), &Expectation { issuer: None, expiry: Expiry::Connect }),
            Err(Reason::SignatureMismatch)
        );
    }
}
