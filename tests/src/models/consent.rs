//! Which org a directory streams to (D10, D11, S92 to S97, ISO-6), and what is said about a hint (D9, S103 to S109).
//!
//! A directory is described with all that lies above it, nearest first; there are no tables.

/// One directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Its `local.yaml`.
    pub local: Local,
    /// Whether it is the root of a repository.
    pub is_repository: bool,
    /// The org that its `workspace.yaml` suggests.
    pub hint: Option<&'static str>,
    /// What `vpd bind` on this machine entered in the ledger for it: the org, and whether recursively.
    pub grant: Option<(&'static str, bool)>,
}

/// What a `local.yaml` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// There is none.
    #[default]
    Absent,
    /// It cannot be relied on: broken, of another user, a link.
    Broken,
    /// `streaming: disabled`.
    Disabled,
    /// This org, and whether recursively; as `vpd bind` writes it.
    Enabled(&'static str, bool),
    /// The same not written by `vpd bind`: a repository that ships it, an editor.
    Foreign(&'static str, bool),
}

/// Where a session that starts in the nearest of these directories streams to: the org and how many levels up it is bound.
///
/// # Errors
/// Why it stays local.
pub fn decide(levels: &[Level]) -> Result<(&'static str, usize), Why> {
    match nearest(levels) {
        Err(Why::NothingBound) if has_lost(levels) => Err(Why::Gone),
        decided => decided,
    }
}

/// Whether a directory from which a grant reaches the nearest one has lost its file.
fn has_lost(levels: &[Level]) -> bool {
    levels.iter().enumerate().any(|(up, level)| {
        let is_outside = levels[..up].iter().any(|below| below.is_repository);
        level.local == Local::Absent && level.grant.is_some_and(|(_, is_recursive)| is_recursive || !is_outside)
    })
}

fn nearest(levels: &[Level]) -> Result<(&'static str, usize), Why> {
    let Some((here, above)) = levels.split_first() else { return Err(Why::NothingBound) };
    match (here.local, here.grant) {
        // D10: the nearest file decides, also against streaming.
        (Local::Broken, _) => Err(Why::Broken),
        (Local::Disabled, _) => Err(Why::Disabled),
        // D11: it counts when `vpd bind` on this machine wrote it, and the ledger says the same.
        (Local::Enabled(org, _), Some((granted, _))) if org == granted => Ok((org, 0)),
        (Local::Enabled(..) | Local::Foreign(..), _) => Err(Why::NoGrant),
        (Local::Absent, _) => match nearest(above) {
            // D10: a binding from above enters a repository only recursively.
            Ok((_, up)) if here.is_repository && !is_recursive(&above[up]) => Err(Why::NestedRepository),
            Ok((org, up)) => Ok((org, up + 1)),
            Err(why) => Err(why),
        },
    }
}

fn is_recursive(level: &Level) -> bool {
    matches!((level.local, level.grant), (Local::Enabled(_, true), Some((_, true))))
}

/// Why nothing streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing is bound here.
    NothingBound,
    /// The nearest file says so.
    Disabled,
    /// The nearest file cannot be relied on.
    Broken,
    /// `vpd bind` did not write it.
    NoGrant,
    /// The binding above ends at this repository.
    NestedRepository,
    /// What `vpd bind` wrote is not there any more.
    Gone,
}

/// What to say on the way into a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Nothing,
    /// Bind the directory so many levels up to this org?
    AskToBind(usize, &'static str),
    /// The repository suggests an org that this device is not paired with.
    Suggest(usize, &'static str),
}

/// The nearest hint, up to the root of the repository (S104): how many levels up, and the org.
pub fn hint(levels: &[Level]) -> Option<(usize, &'static str)> {
    let (here, above) = levels.split_first()?;
    match here.hint {
        Some(org) => Some((0, org)),
        None if here.is_repository => None,
        None => hint(above).map(|(up, org)| (up + 1, org)),
    }
}

/// What is said about it: nothing where the user said no to just this (S107), switched streaming off, or bound the hinted directory
/// already, or to the hinted org; a question where the org is paired (S105), a notice where not (S106).
pub fn advise(levels: &[Level], paired: &[&str], declined: &[(usize, &str)]) -> Advice {
    match hint(levels) {
        None => Advice::Nothing,
        Some(hint) if declined.contains(&hint) => Advice::Nothing,
        Some((up, org)) => match decide(levels) {
            Err(Why::Disabled) => Advice::Nothing,
            Ok((bound_to, bound_at)) if bound_to == org || bound_at <= up => Advice::Nothing,
            _ if paired.contains(&org) => Advice::AskToBind(up, org),
            _ => Advice::Suggest(up, org),
        },
    }
}
