//! The statements of one organization's key as one device has accepted them.

use alloc::{string::String, vec::Vec};

use super::{Digest, Generation, MAX_GENERATIONS, Statement, fingerprint};
use crate::{Reason, id::OrgId};

/// One generation after the other, each signed by the holder of the one before. It grows and never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lineage {
    org: OrgId,
    statements: Vec<Statement>,
}

impl Lineage {
    /// Nothing was seen of that organization's key yet.
    pub const fn new(org: OrgId) -> Self {
        Self { org, statements: Vec::new() }
    }

    /// The newest generation's number; 0 where there is none.
    pub fn generation(&self) -> u32 {
        self.newest().map_or(0, Statement::generation)
    }

    /// The newest statement.
    pub fn newest(&self) -> Option<&Statement> {
        self.statements.last()
    }

    /// The statement of that generation.
    pub fn get(&self, generation: u32) -> Option<&Statement> {
        self.statements.get(usize::try_from(generation.checked_sub(1)?).ok()?)
    }

    /// All of them, from generation 1.
    pub fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.statements.iter()
    }

    /// The hash of the newest statement, which vouches for all before it.
    pub fn digest(&self) -> Option<Digest> {
        self.newest().map(Statement::digest)
    }

    /// What people compare.
    pub fn fingerprint(&self) -> Option<String> {
        self.digest().as_ref().map(fingerprint)
    }

    /// Takes the next statement. One that is there already changes nothing. Whether it was news.
    ///
    /// # Errors
    /// [`Reason::OrganizationKeyForked`] when it does not follow: of another organization, not signed by the holder of the
    /// generation before, or another one than what was accepted before. Nothing has changed then.
    pub fn follow(&mut self, statement: Statement) -> Result<bool, Reason> {
        let forked = Reason::OrganizationKeyForked;
        if *statement.org() != self.org {
            return Err(forked);
        }
        if let Some(known) = self.get(statement.generation()) {
            return if *known == statement { Ok(false) } else { Err(forked) };
        }
        let is_next = match self.newest() {
            None => statement.founds(),
            Some(newest) => statement.follows(newest),
        };
        if !is_next || statement.generation() > MAX_GENERATIONS {
            return Err(forked);
        }
        self.statements.push(statement);
        Ok(true)
    }

    /// The secrets of all generations up to that of `secret`, by the links, oldest first. Empty where `secret` is that of none, or
    /// where a link does not open: then who made it kept the older generations from others.
    pub fn unfold(&self, generation: u32, secret: Generation) -> Vec<Generation> {
        let mut found = Vec::new();
        let mut current = Some(secret);
        for number in (1..=generation).rev() {
            let (Some(statement), Some(secret)) = (self.get(number), current.take()) else { return Vec::new() };
            if !statement.is_of(&secret) {
                return Vec::new();
            }
            current = statement.secret_before(&secret);
            found.push(secret);
        }
        found.reverse();
        found
    }
}
