//! What goes to the platform, as JSON.

use serde::Serialize;

use crate::{Reason, secret::SecretBytes};

/// The body of a request.
///
/// # Errors
/// [`Reason::PlatformUnreachable`] when it has no JSON form: there is nothing to ask the platform with then.
pub(crate) fn json(request: &impl Serialize) -> Result<SecretBytes, Reason> {
    serde_json::to_vec(request).map(SecretBytes::new).map_err(|_| Reason::PlatformUnreachable)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    /// No request goes out with an empty body because its own could not be made.
    #[test]
    fn what_has_no_json_form_is_an_error() {
        assert_eq!(json(&[1, 2]).unwrap().expose(), b"[1,2]");
        assert_eq!(json(&BTreeMap::from([((), 1)])).err(), Some(Reason::PlatformUnreachable));
    }
}
