//! What accounts, workspaces and invitations may be called.

use proto_core::api::is_name;

use crate::error::Error;

/// The longest name of a person or a workspace, in characters.
pub(crate) const MAX_NAME: usize = 80;

/// A name that people will read, without the space around it.
pub(crate) fn checked_name(name: &str, whose: &str) -> Result<String, Error> {
    let name = name.trim();
    if is_name(name, MAX_NAME) {
        return Ok(name.to_owned());
    }
    let hidden = "without control, invisible or bidirectional control characters";
    Err(Error::invalid(format!("Enter {whose}, at most {MAX_NAME} characters, {hidden}.")))
}
