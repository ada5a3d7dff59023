//! Why something was refused or failed: one catalogue for the relay's log, its metrics, the close frame, `vpd status`, the
//! error a person sees, the exit code and `vpd explain CODE` (D12).

mod catalogue;

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use catalogue::Reason;

/// What a reason is about. Decides the exit code of the command that ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The request itself cannot be carried out as it stands: exit code 3.
    Request,
    /// Pairing did not come about: exit code 4.
    Pairing,
    /// A server cannot be reached or answers nonsense: exit code 5.
    Network,
    /// The credential (JWT) was not accepted: exit code 6.
    Credential,
    /// The Noise handshake did not come about: exit code 7.
    Handshake,
    /// The workspace or machine is gone, or the servers disagree about it: exit code 8.
    Workspace,
    /// A limit was met: exit code 9.
    Limit,
    /// A local file or the daemon itself stands in the way: exit code 10.
    Local,
}

impl Family {
    /// The exit code of a command that ends with a reason of this family.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Request => 3,
            Self::Pairing => 4,
            Self::Network => 5,
            Self::Credential => 6,
            Self::Handshake => 7,
            Self::Workspace => 8,
            Self::Limit => 9,
            Self::Local => 10,
        }
    }

    /// What the family is about, as a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Request => "Requests",
            Self::Pairing => "Pairing",
            Self::Network => "Network",
            Self::Credential => "JWT validation",
            Self::Handshake => "Noise handshake",
            Self::Workspace => "Workspace and keys",
            Self::Limit => "Limits",
            Self::Local => "This machine",
        }
    }
}

impl Reason {
    /// The WebSocket close code that carries this reason: 4000 and its place in the catalogue.
    pub const fn close_code(self) -> u16 {
        4000 + self as u16
    }

    /// Whether the device deletes its binding when the relay refuses with this reason under its pinned key (D12).
    pub const fn ends_binding(self) -> bool {
        matches!(self, Self::MachineRevoked | Self::WorkspaceNotFound)
    }

    /// Whether trying again without a person doing something can help.
    pub const fn is_temporary(self) -> bool {
        matches!(self.family(), Family::Network | Family::Limit)
            || matches!(self, Self::ValidateUnreachable | Self::JwksUnreachable)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())
    }
}

impl core::error::Error for Reason {}

/// A text that is no reason code of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason code")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(code: &str) -> Result<Self, UnknownReason> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code).ok_or(UnknownReason)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// A code that this version does not know is read as [`Reason::PeerError`]: a newer peer may have more of them.
impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = alloc::string::String::deserialize(deserializer)?;
        if code.len() > 64 {
            return Err(D::Error::custom("reason code too long"));
        }
        Ok(code.parse().unwrap_or(Self::PeerError))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_parse_back() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.code().parse(), Ok(*reason));
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!(!reason.next().is_empty());
            assert!(!reason.cause().is_empty());
        }
    }

    /// The families are what people and scripts tell reasons apart by: each has an exit code and a heading of its own.
    #[test]
    fn families_are_told_apart() {
        let families = [
            (Family::Request, 3, "Requests"),
            (Family::Pairing, 4, "Pairing"),
            (Family::Network, 5, "Network"),
            (Family::Credential, 6, "JWT validation"),
            (Family::Handshake, 7, "Noise handshake"),
            (Family::Workspace, 8, "Workspace and keys"),
            (Family::Limit, 9, "Limits"),
            (Family::Local, 10, "This machine"),
        ];
        for (family, exit_code, title) in families {
            assert_eq!((family.exit_code(), family.title()), (exit_code, title));
            assert!(Reason::ALL.iter().any(|reason| reason.family() == family), "{title}");
        }
    }

    /// docs/REASONS.md: 4000 and its number, in the range that RFC 6455 section 7.4.2 leaves to us.
    #[test]
    fn close_codes_are_the_numbers_of_reasons() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.close_code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| (4000..5000).contains(code)));
        assert_eq!(Reason::PairingInProgress.close_code(), 4030);
    }

    #[test]
    fn a_newer_peer_may_have_more_codes() {
        assert_eq!(serde_json::from_str::<Reason>("\"from_the_future\"").ok(), Some(Reason::PeerError));
        for (len, read) in [(64, Some(Reason::PeerError)), (65, None), (1_000, None)] {
            let code = alloc::format!("\"{}\"", "x".repeat(len));
            assert_eq!(serde_json::from_str::<Reason>(&code).ok(), read, "{len}");
        }
    }

    #[test]
    fn a_reason_is_shown_as_its_summary() {
        assert!(Reason::ALL.iter().all(|reason| alloc::format!("{reason}") == reason.summary()));
    }
}
