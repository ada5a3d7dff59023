//! How a machine calls itself to an organization (S75, D18).

use alloc::{format, string::String};

use data_encoding::BASE32_NOPAD;

use crate::{
    Entropy,
    api::{Workspace, is_name},
};

/// The longest name of a machine and of its software, in characters.
pub const MAX_LABEL_LEN: usize = 64;

/// Bytes of a name that says nothing, which become letters and digits.
const NEUTRAL_BYTES: usize = 5;

/// The name under which a machine pairs: the one that was asked for now, else the one of `config.json`, else `host`, its host name.
/// The host name must be `None` where another organization knows it already: two organizations must not be able to tell that it is
/// the same machine. Then, and where no name can be shown, it is one that says nothing, such as `machine-k3f9x2qa`.
pub fn machine_name(asked: Option<&str>, configured: Option<&str>, host: Option<&str>, entropy: &Entropy) -> String {
    let chosen = [asked, configured, host].into_iter().flatten().map(str::trim);
    chosen.filter(|name| is_name(name, MAX_LABEL_LEN)).map(String::from).next().unwrap_or_else(|| neutral(entropy))
}

/// Whether another organization than `org` (an id or a slug, or whichever is picked at the approval) is among those that are
/// `bound`.
pub fn is_known_elsewhere<'a>(org: Option<&str>, bound: impl IntoIterator<Item = &'a Workspace>) -> bool {
    bound.into_iter().any(|workspace| !org.is_some_and(|org| workspace.is_named(org)))
}

fn neutral(entropy: &Entropy) -> String {
    let drawn = entropy.derive("machine name");
    let bytes = drawn.expose().first_chunk::<NEUTRAL_BYTES>().copied().unwrap_or_default();
    format!("machine-{}", BASE32_NOPAD.encode(&bytes).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_comes_first_and_what_cannot_be_shown_never() {
        let entropy = Entropy::new([1; 32]);
        let name = |asked, configured, host| machine_name(asked, configured, host, &entropy);
        assert_eq!(name(Some("Ada's laptop"), Some("box"), Some("host")), "Ada's laptop");
        assert_eq!(name(None, Some(" box "), Some("host")), "box");
        assert_eq!(name(Some("a\u{202e}b"), Some(""), Some("host")), "host");
        assert_eq!(name(None, None, Some("host")), "host");
    }

    /// D18.
    #[test]
    fn a_machine_without_a_name_gets_another_one_each_time() {
        let name = |byte| machine_name(None, None, None, &Entropy::new([byte; 32]));
        assert!(is_name(&name(1), MAX_LABEL_LEN));
        assert_ne!(name(1), name(2));
        assert_eq!(name(1).len(), "machine-".len() + 8);
    }
}
