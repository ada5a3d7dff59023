//! Inputs and outputs of [`PairingCode`](super::PairingCode).

use alloc::string::String;

use crate::{
    id::{OrgId, PlatformId},
    machine::TimerKind,
};

/// Names one [`Output::CheckStanding`], so that a late answer is not taken for a newer question's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u64);

/// A fact about a code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The code was polled, with its status token or with another. Answered by [`Output::Answer`] or [`Output::Unknown`].
    Polled {
        /// Whether the token was the code's own, compared in constant time.
        token_fits: bool,
    },
    /// A signed-in account pressed Approve for an organization.
    Approve {
        /// The account.
        by: PlatformId,
        /// The organization that was picked.
        org: OrgId,
    },
    /// A signed-in account pressed Deny.
    Deny {
        /// The account.
        by: PlatformId,
    },
    /// The answer to [`Output::CheckStanding`].
    Checked {
        /// The question's id.
        check: CheckId,
        /// What the account is in that organization.
        standing: Membership,
    },
}

/// What an account is in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// A member, at the moment of the decision.
    Member {
        /// The organization's slug, because a device may have asked for it by slug.
        slug: String,
    },
    /// No member, or there is no such organization.
    NoMember,
}

/// What to do, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Look up what the account is in the organization; answered by [`Input::Checked`].
    CheckStanding {
        /// Comes back with the answer.
        check: CheckId,
        /// The account.
        by: PlatformId,
        /// The organization.
        org: OrgId,
    },
    /// Make the install, the runtime target, the machine and the credential. Said at most once in a code's life (PAIR-9).
    Issue {
        /// The account that approved, which owns the machine.
        by: PlatformId,
        /// The organization.
        org: OrgId,
    },
    /// The code was decided: wake the polls that wait for it.
    Decided(Verdict),
    /// The decision did not count, and why.
    Refused(Refusal),
    /// Tell the device that polled.
    Answer(Verdict),
    /// Tell the polling client that there is no such code.
    Unknown,
    /// The code ended because its status token was guessed at too often.
    Voided,
}

/// What a device learns about its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No user has decided yet.
    Pending,
    /// A user approved.
    Approved,
    /// A user denied.
    Denied,
}

/// Why a decision did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// The account is no member of the organization that was picked.
    #[error("the account is no member of that organization")]
    NoMember,
    /// The device asked for another organization.
    #[error("the device asked for another organization")]
    OtherOrgAsked,
    /// The code was decided before: a second press, a re-opened page, a second account (S211).
    #[error("the code was already decided")]
    AlreadyDecided,
    /// Another approval is being looked up.
    #[error("the code is being decided")]
    BeingDecided,
}

/// Why a code ended without an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Failure {
    /// No user decided in time.
    #[error("the code expired")]
    Expired,
    /// A user denied.
    #[error("the pairing was denied")]
    Denied,
    /// Its status token was guessed at too often.
    #[error("the code's status token was guessed at too often")]
    Guessed,
}

/// What a code waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Its end.
    Expiry,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Expiry => "the code expires",
        }
    }
}
