//! What signs the platform's credentials, and knows its latest ones again letter by letter: it believes the same ones as with a
//! look at each signature, in a fraction of the time.

use std::collections::VecDeque;

use proto_core::{
    Reason, UnixTime,
    jose::{Claims, Expectation, JwkSet, SigningKey, Thumbprint, sign, verify},
    key::IdentityKey,
    secret::{Secret, SecretText},
};

/// So many credentials are known again; the devices of one world use no more at a time.
const LATEST: usize = 64;

/// The keys and the credentials that they signed last.
#[derive(Debug)]
pub(super) struct Issuer {
    /// All are published, the last one signs.
    keys: Vec<SigningKey>,
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
    pub(super) fn new(seed: &Secret) -> Self {
        Self { keys: vec![SigningKey::from_seed(seed)], latest: VecDeque::new() }
    }

    /// Signs with this key from now on.
    pub(super) fn rotate(&mut self, seed: &Secret) {
        self.keys.push(SigningKey::from_seed(seed));
    }

    /// Publishes no more than the two latest keys.
    pub(super) fn retire(&mut self) {
        let old = self.keys.len().saturating_sub(2);
        self.keys.drain(..old);
    }

    pub(super) fn key(&self, kid: Thumbprint) -> Option<IdentityKey> {
        self.keys.iter().find(|key| key.kid() == kid).map(SigningKey::public_key)
    }

    pub(super) fn key_set(&self) -> JwkSet {
        self.keys.iter().map(SigningKey::public_key).collect()
    }

    pub(super) fn sign(&mut self, claims: Claims) -> SecretText {
        let key = self.keys.last().expect("a key to sign with");
        let token = sign(&claims, key);
        self.latest.truncate(LATEST - 1);
        self.latest.push_front(Credential { token: token.clone(), kid: key.kid(), claims });
        token
    }

    /// Believes a credential, or says why not.
    pub(super) fn believe(&self, token: &SecretText, now: UnixTime, expected: &Expectation) -> Result<Claims, Reason> {
        let known = self.latest.iter().find(|known| known.token.expose() == token.expose());
        match known.filter(|known| self.key(known.kid).is_some()) {
            Some(known) => known.claims.hold(now, expected).map(|()| known.claims.clone()),
            None => verify(token, &self.key_set(), now, expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use proto_core::{
        id::DeviceKind,
        jose::{Confirmation, Expiry, RELAY_AUDIENCE},
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
        let mut issuer = Issuer::new(&Secret::new([9; 32]));
        let mut tokens: Vec<_> = (0..2 * LATEST as u64).map(|generation| issuer.sign(claims(generation))).collect();
        tokens.push(sign(&claims(1), &SigningKey::from_seed(&Secret::new([8; 32]))));
        for keys in 0..3 {
            for expiry in [Expiry::Connect, Expiry::Renew, Expiry::Ignored] {
                let expected = Expectation { issuer: Some("https://api.example".into()), expiry };
                let other = Expectation { issuer: Some("https://other.example".into()), expiry };
                for (token, now) in tokens.iter().flat_map(|token| [900, 1_000, 2_060, 3_060].map(|now| (token, UnixTime(now)))) {
                    for expected in [&expected, &other] {
                        let verdict = verify(token, &issuer.key_set(), now, expected);
                        assert_eq!(issuer.believe(token, now, expected), verdict, "{keys} other keys, {expiry:?} at {now:?}");
                    }
                }
            }
            issuer.rotate(&Secret::new([keys; 32]));
            issuer.retire();
        }
        assert_eq!(
            issuer.believe(&tokens[0], UnixTime(1_000), &Expectation { issuer: None, expiry: Expiry::Connect }),
            Err(Reason::SignatureMismatch)
        );
    }
}
