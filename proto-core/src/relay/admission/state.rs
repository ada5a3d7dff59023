//! Where an admission stands.

use alloc::boxed::Box;

use crate::{
    Reason,
    jose::{Claims, Unverified},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// The token has a good shape; its key is being looked up.
    LookingUp(Box<Unverified>),
    /// The token holds; the platform is being asked.
    Validating(Box<Claims>),
    /// Said yes.
    Admitted,
    /// Said no.
    Refused(Reason),
}
