//! A session's secret, sealed to the organization's key.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Context, Fixed, Generation, Sealed, Statement};
use crate::{
    Entropy, SessionId,
    crypto::{Identity, seal::EpochSecret, verify},
    id::OrgId,
    key::{IdentityKey, Signature},
    wire::Malformed,
};

/// The longest envelope that a relay takes, in bytes.
pub const MAX_ENVELOPE: usize = 2_048;

/// What lies beside a session's records and opens them for who holds the generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Envelope {
    generation: u32,
    epoch: u32,
    sealed: Sealed,
    maker: Fixed<32>,
    signature: Fixed<64>,
}

impl Envelope {
    /// Seals the secret of a session's epoch 0 to the generation of `statement`, by the daemon that runs the session.
    ///
    /// # Errors
    /// The statement's sealing key is none.
    pub fn seal(
        statement: &Statement,
        session: SessionId,
        secret: &EpochSecret,
        maker: &Identity,
        entropy: &Entropy,
    ) -> Result<Self, Malformed> {
        let (generation, epoch) = (statement.generation(), 0);
        let context = context(statement.org(), session, epoch, generation);
        let sealed = statement.sealing_key().seal(secret.secret(), &context, entropy)?;
        let signature = Fixed(maker.sign(&signed(context, &sealed)).0);
        Ok(Self { generation, epoch, sealed, maker: Fixed(maker.identity_key().0), signature })
    }

    /// Opens it. `None`: it was not sealed to this generation, or not for this session of this organization.
    pub fn open(&self, org: &OrgId, session: SessionId, secret: &Generation) -> Option<EpochSecret> {
        let context = context(org, session, self.epoch, self.generation);
        secret.opening_key().open(&self.sealed, &context).map(EpochSecret::new)
    }

    /// Whether the device that it names made it for that session. Whether that device runs the session, the credential in the
    /// session's `Open` says.
    pub fn is_by_its_maker(&self, org: &OrgId, session: SessionId) -> bool {
        let context = context(org, session, self.epoch, self.generation);
        verify(self.maker(), &signed(context, &self.sealed), &Signature(self.signature.0))
    }

    /// To which generation it is sealed.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The first epoch that its secret opens.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The identity key of the daemon that made it.
    pub const fn maker(&self) -> IdentityKey {
        IdentityKey(self.maker.0)
    }

    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Growing a vector is the only thing that could fail, and that aborts.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads postcard bytes; nothing may follow.
    ///
    /// # Errors
    /// They are no envelope. The signature is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((envelope, [])) if bytes.len() <= MAX_ENVELOPE && envelope.encode() == bytes => Ok(envelope),
            _ => Err(Malformed("envelope")),
        }
    }
}

fn context(org: &OrgId, session: SessionId, epoch: u32, generation: u32) -> Vec<u8> {
    Context::new("viewport/1 envelope ").org(org).session(session).number(epoch).number(generation).0
}

fn signed(context: Vec<u8>, sealed: &Sealed) -> Vec<u8> {
    let [encapsulated, ciphertext] = sealed.parts();
    Context(context).bytes(encapsulated).bytes(ciphertext).0
}
