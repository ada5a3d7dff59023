//! What a device knows and holds of its organization's key, as it is on disk.

use alloc::vec::Vec;

use crate::{
    Reason,
    device::files::OrganizationKeyFile,
    id::OrgId,
    orgkey::{Generation, Lineage, Statement},
};

/// It changes as a whole, once the change is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyState {
    /// What is known.
    pub(super) lineage: Lineage,
    /// What is held: the generations from 1 on.
    held: Vec<Generation>,
    /// What this device made, and of which it does not know whether it is published: the generation after the newest.
    made: Option<Generation>,
}

/// What a statement was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// Nothing new.
    Known,
    /// This device's own.
    Own,
    /// Another device's.
    Others,
}

impl KeyState {
    pub(super) const fn new(org: OrgId) -> Self {
        Self { lineage: Lineage::new(org), held: Vec::new(), made: None }
    }

    pub(super) fn from_file(file: &OrganizationKeyFile) -> Result<Self, Reason> {
        let lineage = file.lineage()?;
        let held: Vec<_> = file.generations.iter().cloned().map(Generation::new).collect();
        let made = file.made.clone().map(Generation::new);
        let fits = lineage.iter().zip(&held).all(|(statement, generation)| statement.is_of(generation));
        if fits && held.len() <= lineage.iter().count() { Ok(Self { lineage, held, made }) } else { Err(Reason::StateInvalid) }
    }

    pub(super) fn to_file(&self, org: &OrgId) -> OrganizationKeyFile {
        OrganizationKeyFile::new(org, &self.lineage, &self.held, self.made.as_ref())
    }

    /// The secret of that generation.
    pub(super) fn held(&self, number: u32) -> Option<&Generation> {
        self.held.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The newest generation that is held; 0 where there is none.
    pub(super) fn newest_held(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX)
    }

    /// The secret of the newest generation, if it is held.
    pub(super) fn newest(&self) -> Option<(&Statement, &Generation)> {
        let statement = self.lineage.newest()?;
        Some((statement, self.held(statement.generation())?))
    }

    pub(super) const fn made(&self) -> Option<&Generation> {
        self.made.as_ref()
    }

    pub(super) fn make(&mut self, generation: Generation) {
        self.made = Some(generation);
    }

    /// Takes the next statement. What this device made is published by it, or is of no use any more: another device was faster.
    pub(super) fn follow(&mut self, statement: Statement) -> Result<Followed, Reason> {
        let number = statement.generation();
        if !self.lineage.follow(statement)? {
            return Ok(Followed::Known);
        }
        let made = self.made.take_if(|_| self.lineage.generation() == number);
        let own = made.filter(|made| self.lineage.newest().is_some_and(|newest| newest.is_of(made)));
        let is_own = own.is_some() && self.newest_held().saturating_add(1) == number;
        self.held.extend(own.filter(|_| is_own));
        Ok(if is_own { Followed::Own } else { Followed::Others })
    }

    /// Takes a generation that was handed over, and those that follow from it. Whether that brings anything.
    pub(super) fn take(&mut self, number: u32, generation: Generation) -> bool {
        let unfolded = self.lineage.unfold(number, generation);
        let is_more = unfolded.len() > self.held.len();
        if is_more {
            self.held = unfolded;
        }
        is_more
    }
}
