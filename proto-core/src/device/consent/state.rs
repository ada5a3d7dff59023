//! Where a resolver stands.

use super::{Decision, Directory, File, Hint};
use crate::Reason;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// On its way up.
    Walking(Walk),
    /// Everything was said.
    Finished,
}

/// What the way up has shown so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Walk {
    /// The directory that is being looked at.
    pub(super) at: Directory,
    /// How many more may be looked at after it.
    pub(super) left: usize,
    /// A repository ended below `at`: what stands from here on is outside of it.
    pub(super) is_outside: bool,
    /// What the nearest `local.yaml` decided.
    pub(super) decision: Option<Decision>,
    /// Why nothing streams, should no `local.yaml` decide: one that `vpd bind` wrote is gone.
    pub(super) otherwise: Option<Reason>,
    /// The nearest hint inside the repository.
    pub(super) hint: Option<Hint>,
    /// What is ignored in the directory where it began.
    pub(super) ignore: Option<File>,
}
