//! How our types are stored in columns.

use std::{borrow::Cow, fmt};

use proto_core::{
    OrgId, PlatformId, UnixTime,
    api::{CodeText, PairingMode, PolicyMode},
    id::DeviceKind,
    key::{IdentityKey, StaticKey},
    secret::Secret,
};
use sqlx::{
    Decode, Encode, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};

use crate::{error::Error, random};

/// Implements a column type by way of one that SQLite has.
macro_rules! column {
    ($name:ty, $sql:ty, |$value:ident| $encode:expr, |$stored:ident| $decode:expr) => {
        impl Type<Sqlite> for $name {
            fn type_info() -> SqliteTypeInfo {
                <$sql as Type<Sqlite>>::type_info()
            }
            fn compatible(info: &SqliteTypeInfo) -> bool {
                <$sql as Type<Sqlite>>::compatible(info)
            }
        }
        impl<'q> Encode<'q, Sqlite> for $name {
            fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                let $value = self;
                let stored: $sql = $encode;
                <$sql as Encode<'q, Sqlite>>::encode(stored, buffer)
            }
        }
        impl<'r> Decode<'r, Sqlite> for $name {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let $stored = <$sql as Decode<'r, Sqlite>>::decode(value)?;
                $decode
            }
        }
    };
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name($inner);

        impl $name {
            /// A fresh one: a ULID.
            pub(crate) fn fresh(now: UnixTime) -> Result<Self, Error> {
                let id = random::ulid(now)?.parse().map_err(|_| Error::Internal("a ULID is no identifier".into()))?;
                Ok(Self(id))
            }

            /// As it goes over the wire.
            #[allow(dead_code, reason = "not every kind of id goes over the wire")]
            pub(crate) const fn wire(&self) -> &$inner {
                &self.0
            }
        }

        impl From<$inner> for $name {
            fn from(id: $inner) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        column!($name, String, |id| id.0.as_str().to_owned(), |text| Ok(Self(text.parse()?)));
    )*};
}

ids! {
    /// A person.
    AccountId(PlatformId);
    /// A workspace.
    OrganizationId(OrgId);
    /// An invitation to a workspace.
    InvitationId(PlatformId);
    /// One install in one workspace.
    InstallId(PlatformId);
    /// What a credential names and a revocation ends.
    RuntimeTargetId(PlatformId);
    /// A row of a workspace's machines table.
    MachineId(PlatformId);
}

/// A time, as an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) UnixTime);

column!(Stamp, i64, |stamp| i64::try_from(stamp.0.0).unwrap_or(i64::MAX), |seconds| {
    Ok(Self(UnixTime(u64::try_from(seconds)?)))
});

impl From<Stamp> for UnixTime {
    fn from(stamp: Stamp) -> Self {
        stamp.0
    }
}

/// 32 bytes: a key or a hash.
#[derive(Clone)]
pub(crate) struct Blob32(pub(crate) [u8; 32]);

impl fmt::Debug for Blob32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob32(..)")
    }
}

column!(Blob32, Vec<u8>, |blob| blob.0.to_vec(), |bytes| bytes.try_into().map(Self).map_err(|_| "expected 32 bytes".into()));

impl From<Blob32> for IdentityKey {
    fn from(blob: Blob32) -> Self {
        Self(blob.0)
    }
}

impl From<Blob32> for StaticKey {
    fn from(blob: Blob32) -> Self {
        Self(blob.0)
    }
}

impl From<Blob32> for Secret {
    fn from(blob: Blob32) -> Self {
        Self::new(blob.0)
    }
}

/// A type whose values have fixed texts.
pub(crate) trait TextEnum: Sized {
    /// The text of this value.
    fn word(&self) -> Cow<'static, str>;
    /// The value of that text.
    fn from_word(word: &str) -> Option<Self>;
}

/// Such a type as a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: TextEnum> Type<Sqlite> for Text<T> {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl<'q, T: TextEnum> Encode<'q, Sqlite> for Text<T> {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, Sqlite>>::encode(self.0.word().into_owned(), buffer)
    }
}

impl<'r, T: TextEnum> Decode<'r, Sqlite> for Text<T> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let word = <&str as Decode<'r, Sqlite>>::decode(value)?;
        T::from_word(word).map(Self).ok_or_else(|| format!("unexpected word {word:?}").into())
    }
}

/// Implements [`TextEnum`] for an enum, and lets rows hold the enum itself.
macro_rules! words {
    ($name:ty { $($value:path => $word:literal,)* }) => {
        impl $crate::store::TextEnum for $name {
            fn word(&self) -> std::borrow::Cow<'static, str> {
                match self { $($value => $word,)* }.into()
            }
            fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($value),)* _ => None }
            }
        }
        impl From<$crate::store::Text<$name>> for $name {
            fn from(text: $crate::store::Text<$name>) -> Self {
                text.0
            }
        }
    };
}
pub(crate) use words;

words!(DeviceKind { Self::Daemon => "daemon", Self::Viewer => "viewer", });
words!(PairingMode { Self::New => "new", Self::Add => "add", Self::Replace => "replace", });
words!(PolicyMode { Self::Standard => "standard", Self::CryptoPairing => "crypto_pairing", });

impl TextEnum for CodeText {
    fn word(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
    fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl From<Text<Self>> for CodeText {
    fn from(text: Text<Self>) -> Self {
        text.0
    }
}
