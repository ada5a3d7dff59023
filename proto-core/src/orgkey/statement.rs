//! What is published of a generation.

use alloc::{boxed::Box, string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Context, Fixed, Generation, GenerationKey, MAX_GENERATIONS, Sealed, SealingKey, grouped};
use crate::{
    crypto::{Identity, verify},
    id::{OrgId, PlatformId},
    key::{IdentityKey, Signature},
    wire::Malformed,
};

/// The hash of a statement.
pub type Digest = [u8; 32];

/// A generation's statement, signed by who made it and by the generation before. WIRE section 12 has its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Statement {
    body: Body,
    maker_signature: Fixed<64>,
    succession: Fixed<64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Body {
    org: OrgId,
    generation: u32,
    sealing_key: SealingKey,
    signing_key: Fixed<32>,
    before: Fixed<32>,
    link: Link,
    maker: PlatformId,
    maker_key: Fixed<32>,
}

/// How the generation before is found from this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Link {
    /// There is none before.
    First,
    /// Its secret, sealed to this one.
    Next(Box<Sealed>),
}

/// The device that makes a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker<'a> {
    pub(super) target: &'a PlatformId,
    pub(super) identity: &'a Identity,
}

impl Statement {
    /// The longest statement, in bytes.
    pub const MAX: usize = 3_072;

    /// The statement of generation 1.
    pub fn found(org: &OrgId, secret: &Generation, target: &PlatformId, identity: &Identity) -> Self {
        let place = Place { org, generation: 1, before: [0; 32], link: Link::First };
        Self::sign(place, secret, secret, Maker { target, identity })
    }

    /// The statement of the generation after this one, whose secret is `held`. The same secrets give the same statement, so that
    /// publishing it again is harmless.
    ///
    /// # Errors
    /// `held` is not the secret of this statement's generation, or there are [`MAX_GENERATIONS`] already.
    pub fn succeed(
        &self,
        held: &Generation,
        next: &Generation,
        target: &PlatformId,
        identity: &Identity,
    ) -> Result<Self, Malformed> {
        let generation = self.generation().saturating_add(1);
        if !self.is_of(held) || generation > MAX_GENERATIONS {
            return Err(Malformed("succession"));
        }
        let org = self.org();
        let sealed = next.key().sealing.seal(held.secret(), &link_context(org, generation), &next.link_entropy())?;
        let place = Place { org, generation, before: self.digest(), link: Link::Next(Box::new(sealed)) };
        Ok(Self::sign(place, next, held, Maker { target, identity }))
    }

    fn sign(place: Place<'_>, secret: &Generation, before: &Generation, maker: Maker<'_>) -> Self {
        let key = secret.key();
        let body = Body {
            org: place.org.clone(),
            generation: place.generation,
            sealing_key: key.sealing,
            signing_key: Fixed(key.signing.0),
            before: Fixed(place.before),
            link: place.link,
            maker: maker.target.clone(),
            maker_key: Fixed(maker.identity.identity_key().0),
        };
        let maker_signature = Fixed(maker.identity.sign(&body.signed(MAKER)).0);
        let succession = Fixed(before.signing_keys().sign(&body.signed(SUCCESSION)).0);
        Self { body, maker_signature, succession }
    }

    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Growing a vector is the only thing that could fail, and that aborts.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads postcard bytes; nothing may follow, and there is one way to write a statement.
    ///
    /// # Errors
    /// They are no statement: its form, its keys, a number out of range, or a link where there can be none. Signatures are not
    /// looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = Malformed("statement");
        if bytes.len() > Self::MAX {
            return Err(malformed);
        }
        let Ok((statement, [])) = postcard::take_from_bytes::<Self>(bytes) else { return Err(malformed) };
        SealingKey::new(statement.body.sealing_key.bytes())?;
        let is_first = statement.generation() == 1;
        let has_link = matches!(statement.body.link, Link::Next(_));
        let in_range = (1..=MAX_GENERATIONS).contains(&statement.generation());
        let begins = !is_first || statement.body.before.0 == [0; 32];
        let is_sound = in_range && begins && is_first != has_link && statement.encode() == bytes;
        is_sound.then_some(statement).ok_or(malformed)
    }

    /// Whose key it is about.
    pub const fn org(&self) -> &OrgId {
        &self.body.org
    }

    /// Which generation.
    pub const fn generation(&self) -> u32 {
        self.body.generation
    }

    /// Its public halves.
    pub fn key(&self) -> GenerationKey {
        GenerationKey { sealing: self.body.sealing_key.clone(), signing: self.signing_key() }
    }

    /// What secrets are sealed to.
    pub const fn sealing_key(&self) -> &SealingKey {
        &self.body.sealing_key
    }

    const fn signing_key(&self) -> IdentityKey {
        IdentityKey(self.body.signing_key.0)
    }

    /// The runtime target that made it, and its identity key.
    pub const fn maker(&self) -> (&PlatformId, IdentityKey) {
        (&self.body.maker, IdentityKey(self.body.maker_key.0))
    }

    /// The hash of the statement before.
    pub const fn before(&self) -> &Digest {
        &self.body.before.0
    }

    /// Its own hash: SHA-256 over all of its bytes.
    pub fn digest(&self) -> Digest {
        Sha256::digest(self.encode()).into()
    }

    /// Whether `secret` is that of this generation.
    pub fn is_of(&self, secret: &Generation) -> bool {
        secret.signing_keys().public() == self.signing_key() && secret.opening_key().sealing_key() == self.body.sealing_key
    }

    /// The secret of the generation before, by that of this one. `None` in the first, and where the link does not open.
    pub fn secret_before(&self, secret: &Generation) -> Option<Generation> {
        let Link::Next(sealed) = &self.body.link else { return None };
        let opened = secret.opening_key().open(sealed, &link_context(self.org(), self.generation()))?;
        Some(Generation::new(opened))
    }

    /// Whether the device that it names made it.
    pub fn is_by_its_maker(&self) -> bool {
        verify(self.maker().1, &self.body.signed(MAKER), &Signature(self.maker_signature.0))
    }

    /// Whether it is the first of a lineage: generation 1, signed by itself and by who made it.
    pub fn founds(&self) -> bool {
        self.generation() == 1 && self.is_by_its_maker() && self.is_signed_by(self)
    }

    /// Whether it comes right after `older`, whose holder signed it.
    pub fn follows(&self, older: &Self) -> bool {
        self.org() == older.org()
            && Some(self.generation()) == older.generation().checked_add(1)
            && *self.before() == older.digest()
            && self.is_by_its_maker()
            && self.is_signed_by(older)
    }

    fn is_signed_by(&self, older: &Self) -> bool {
        verify(older.signing_key(), &self.body.signed(SUCCESSION), &Signature(self.succession.0))
    }
}

/// Where a statement stands.
struct Place<'a> {
    org: &'a OrgId,
    generation: u32,
    before: Digest,
    link: Link,
}

const MAKER: &str = "viewport/1 statement maker ";
const SUCCESSION: &str = "viewport/1 statement succession ";

impl Body {
    fn signed(&self, label: &str) -> Vec<u8> {
        Context::new(label).bytes(&postcard::to_allocvec(self).unwrap_or_default()).0
    }
}

fn link_context(org: &OrgId, generation: u32) -> Vec<u8> {
    Context::new("viewport/1 link ").org(org).number(generation).0
}

/// What people compare of a statement: 8 groups of 4 characters.
pub fn fingerprint(digest: &Digest) -> String {
    grouped(digest.first_chunk::<20>().map_or(&digest[..], |first| &first[..]))
}
