//! Which organization a person means.

use crate::{Reason, api::Workspace};

/// The org of those that are `paired` which an id or a slug names, or the only one there is.
///
/// # Errors
/// [`Reason::NotPaired`] when there is none at all, [`Reason::OrgUnknown`] when none has that name, [`Reason::OrgAmbiguous`] when
/// several have, or when there are several and none was named.
pub fn which_org(asked: Option<&str>, paired: &[Workspace]) -> Result<Workspace, Reason> {
    let found = match (asked, paired) {
        (_, []) => Err(Reason::NotPaired),
        (None, [only]) => Ok(only),
        (None, _) => Err(Reason::OrgAmbiguous),
        (Some(asked), _) => {
            let by_id = paired.iter().find(|org| org.id.as_str() == asked);
            let mut by_slug = paired.iter().filter(|org| org.slug == asked);
            match (by_id.or_else(|| by_slug.next()), by_slug.next()) {
                (Some(_), Some(_)) if by_id.is_none() => Err(Reason::OrgAmbiguous),
                (found, _) => found.ok_or(Reason::OrgUnknown),
            }
        }
    };
    found.cloned()
}
