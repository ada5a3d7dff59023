//! Which organization, if any, a directory's sessions stream to (D9 to D11, S92 to S110, ISO-6).
//!
//! From the session's directory upward, the nearest `.viewport/local.yaml` decides, also when it says `disabled` or is invalid. It
//! counts only together with the daemon's own ledger: the grant of that directory, to that organization, made by the `vpd bind`
//! that wrote this very file. Everything else stays on this machine. A hint never grants.
//!
//! ```text
//!             Looked: nothing decided yet, or the repository goes on: Look(parent)
//!              ┌────┐
//!              ▼    │    decided, and out of the repository or at a hint;
//!   new: Look ─► Walking ───────────────────────────────────────────► Finished: Resolved(place)
//!                        or at the root, or after MAX_LEVELS
//! ```
//!
//! | nearest `local.yaml` | decision |
//! |---|---|
//! | none | local only; `local_file_missing` where the ledger has a grant that would reach here |
//! | not to be relied on, or invalid | local only, `local_file_invalid` |
//! | `streaming: disabled` | local only, `streaming_disabled` |
//! | another organization or moment than the ledger's | local only, `grant_missing` |
//! | good, but a nested repository lies between, and not both it and the ledger say `recursive` | local only, `nested_repository` |
//! | good | stream |
//!
//! The driver's loop is the one of [`Machine`]: answer each [`Output::Look`]; there is no deadline. The
//! [`DirectoryFacts`] that comes out also knows [what to write](DirectoryFacts::bind) when the directory is bound, [which
//! organization](DirectoryFacts::org) is meant, and [what to say](DirectoryFacts::advice) about the repository's hint.

mod directory;
mod event;
mod place;
mod state;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use core::convert::Infallible;

pub use directory::{Directory, MAX_PATH_LEN};
pub use event::{Decision, File, IGNORE_FILE, Input, LOCAL_FILE, Looked, MAX_FILE_LEN, Output, REPOSITORY_MARK, WORKSPACE_FILE};
pub use place::{Advice, Change, DirectoryFacts, Hint, Plan, unbind};
use state::{State, Walk};

use crate::{
    Deadline, Instant, Machine, MachineBase, Misuse, Reason, Status,
    device::files::{Grant, Grants, LocalYaml, Streaming, WorkspaceYaml},
};

/// The most directories one resolver looks at. What is bound higher up does not reach that far down.
pub const MAX_LEVELS: usize = 128;

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resolver {
    directory: Directory,
    /// The ledger, as far as it concerns `directory`.
    grants: BTreeMap<Directory, Grant>,
    state: State,
    port: MachineBase<Output>,
}

impl Resolver {
    /// Asks about `directory`; `ledger` is what `vpd bind` granted on this machine.
    pub fn new(directory: Directory, ledger: &Grants) -> Self {
        let ways_up = core::iter::successors(Some(directory.clone()), Directory::parent).take(MAX_LEVELS);
        let grants = ways_up.filter_map(|at| ledger.directories.get(at.as_str()).cloned().map(|grant| (at, grant))).collect();
        let walk = Walk {
            at: directory.clone(),
            left: MAX_LEVELS - 1,
            is_outside: false,
            decision: None,
            otherwise: None,
            hint: None,
            ignore: None,
        };
        let mut port = MachineBase::default();
        port.push(Output::Look(directory.clone()));
        Self { directory, grants, state: State::Walking(walk), port }
    }

    /// Takes what is in `walk.at`, then goes one up, or ends.
    fn step(&mut self, mut walk: Walk, looked: Looked) {
        if walk.decision.is_none() {
            walk.decision = self.judge(looked.local, &walk);
        }
        if walk.otherwise.is_none() && self.reaches_down(&walk) {
            walk.otherwise = Some(Reason::LocalFileMissing);
        }
        if walk.hint.is_none() && !walk.is_outside {
            walk.hint = hint(&walk.at, looked.workspace);
        }
        walk.ignore.get_or_insert(looked.ignore.usable());
        walk.is_outside |= looked.is_repository;

        let is_decided = walk.decision.is_some() && (walk.hint.is_some() || walk.is_outside);
        match (walk.at.parent(), walk.left.checked_sub(1)) {
            (Some(above), Some(left)) if !is_decided => {
                self.port.push(Output::Look(above.clone()));
                self.state = State::Walking(Walk { at: above, left, ..walk });
            }
            _ => self.finish(walk),
        }
    }

    /// What the `local.yaml` in `walk.at` decides; `None` when there is none.
    fn judge(&self, file: File, walk: &Walk) -> Option<Decision> {
        let verdict = match file.usable() {
            File::Absent => return None,
            File::Unusable => Err(Reason::LocalFileInvalid),
            File::Contents(bytes) => LocalYaml::parse(&bytes).and_then(|local| self.weigh(local, walk)),
        };
        Some(verdict.unwrap_or_else(|why| Decision::LocalOnly { why: Some(why) }))
    }

    /// Whether `vpd bind` granted `walk.at` so that it concerns the directory that was asked about.
    fn reaches_down(&self, walk: &Walk) -> bool {
        self.grants.get(&walk.at).is_some_and(|grant| grant.recursive || !walk.is_outside)
    }

    fn weigh(&self, local: LocalYaml, walk: &Walk) -> Result<Decision, Reason> {
        if local.streaming == Streaming::Disabled {
            return Err(Reason::StreamingDisabled);
        }
        // The moment is compared too: a directory that was bound once, removed, and cloned anew with a file that a repository
        // ships is not the one that was granted.
        let grant = self.grants.get(&walk.at).filter(|g| g.org_id == local.org_id && g.bound_at == local.bound_at);
        let grant = grant.ok_or(Reason::GrantMissing)?;
        let is_recursive = local.recursive && grant.recursive;
        if walk.is_outside && !is_recursive {
            return Err(Reason::NestedRepository);
        }
        Ok(Decision::Stream { org: local.org_id, directory: walk.at.clone() })
    }

    fn finish(&mut self, walk: Walk) {
        self.state = State::Finished;
        self.port.push(Output::Resolved(DirectoryFacts {
            directory: self.directory.clone(),
            decision: walk.decision.unwrap_or(Decision::LocalOnly { why: walk.otherwise }),
            hint: walk.hint,
            ignore: walk.ignore.unwrap_or(File::Absent),
        }));
    }
}

/// An invalid hint is treated as none: it grants nothing, so nothing is lost.
fn hint(at: &Directory, file: File) -> Option<Hint> {
    let File::Contents(bytes) = file.usable() else { return None };
    let suggested = WorkspaceYaml::parse(&bytes).ok()?;
    Some(Hint { directory: at.clone(), suggested })
}

impl File {
    /// The same, where the driver kept to [`MAX_FILE_LEN`].
    fn usable(self) -> Self {
        match self {
            Self::Contents(bytes) if bytes.len() > MAX_FILE_LEN => Self::Unusable,
            file => file,
        }
    }
}

impl Machine for Resolver {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Infallible;

    fn handle_input(&mut self, now: Instant, looked: Looked) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match &self.state {
            State::Walking(walk) if walk.at == looked.directory => {
                let walk = walk.clone();
                self.step(walk, looked);
            }
            State::Walking(_) | State::Finished => self.port.ignore(),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Infallible>> {
        None
    }

    fn status(&self) -> Status<'_, Infallible> {
        match &self.state {
            State::Walking(_) => Status::Running { waiting_for: "what stands in a directory" },
            State::Finished => Status::Finished,
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
