//! The life of a pairing code on the platform (RFC 8628; PAIR-9, PAIR-12).
//!
//! A code is minted for one device, decided at most once, by a member of the organization it is decided for, and forgotten
//! when it expires. Until then every poll of the device and every visit to the page gets the same answer.
//!
//! ```text
//!                      ┌── Standing: no member, other org asked for: Refused ──┐
//!                      ▼                                                       │
//! mint ──────────► Pending ──── Decide(approve) ► CheckStanding ──────────► Checking
//!                  │   │  │                                                    │
//!   MAX_GUESSES    │   │  └── Decide(deny) ──► Denied ───────────┐             │ Standing: member: Issue
//!   wrong tokens ◄─┘   │                                        │             ▼
//!        │             └── expiry ──► failed: Expired           │          Approved
//!        ▼                                                      ▼             ▼
//!  failed: Guessed                                     expiry: failed      expiry: finished
//! ```
//!
//! The driver's loop is the one of [`Machine`]. The platform runs it inside one database transaction: it restores the machine
//! from a [`Record`], hands in one request, answers [`Output::CheckStanding`] by a query, carries out [`Output::Issue`] as
//! rows, stores [`PairingCode::record`] again and commits. So an approval is either there as a whole or not at all.

mod event;
mod state;

#[cfg(test)]
mod tests;

pub use event::{CheckId, Failure, Input, Membership, Output, Refusal, Timer, Verdict};
pub use state::Decision;

use alloc::string::String;
use core::time::Duration;

use self::state::State;
use crate::{
    id::{OrgId, PlatformId},
    machine::{Deadline, Machine, Misuse, Status, base::MachineBase, time::Instant, unhashed::Unhashed},
};

/// How long a code lives (S7).
pub const LIFETIME: Duration = Duration::from_mins(15);

/// How many polls with a wrong status token end a code. A client that polls a code without its token guesses.
pub const MAX_GUESSES: u32 = 32;

/// How often its device may poll a code within [`POLLS_WINDOW`] (RFC 8628 section 3.5): twice as often as it is asked to.
pub const MAX_POLLS: usize = 30;

/// The window of [`MAX_POLLS`], in seconds.
pub const POLLS_WINDOW: u64 = 30;

/// What of a code outlives a process: everything but a question that is being answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// When the code ends.
    pub expires_at: Instant,
    /// The organization that the device asked for, by id or slug.
    pub asked: Option<String>,
    /// Polls with a wrong status token so far.
    pub guesses: u32,
    /// What was decided, and by whom.
    pub decision: Option<Decision>,
}

/// One pairing code, from its minting to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PairingCode {
    state: State,
    expires_at: Instant,
    asked: Option<String>,
    guesses: u32,
    checks: Unhashed<u64>,
    port: MachineBase<Output>,
}

impl PairingCode {
    /// A fresh code, minted at `now`, which lives for [`LIFETIME`]. `asked` is the organization that the device named.
    pub fn mint(now: Instant, asked: Option<String>) -> Self {
        Self::restore(now, Record { expires_at: now.after(LIFETIME), asked, guesses: 0, decision: None })
    }

    /// A code as it was stored, at `now`.
    pub fn restore(now: Instant, record: Record) -> Self {
        let state = match record.decision {
            None if record.guesses >= MAX_GUESSES => State::Failed(Failure::Guessed),
            None => State::Pending,
            Some(decision) => State::Decided(decision),
        };
        let mut code = Self {
            state,
            expires_at: record.expires_at,
            asked: record.asked,
            guesses: record.guesses,
            checks: Unhashed(0),
            port: MachineBase::new(now),
        };
        code.expire_if_due(now);
        code
    }

    /// What to store after every step that was drained.
    pub fn record(&self) -> Record {
        let decision = match &self.state {
            State::Decided(decision) | State::Over(decision) => Some(decision.clone()),
            State::Pending | State::Checking { .. } | State::Failed(_) => None,
        };
        Record { expires_at: self.expires_at, asked: self.asked.clone(), guesses: self.guesses, decision }
    }

    /// When the code ends.
    pub const fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// What was decided, while the code lives.
    pub const fn decision(&self) -> Option<&Decision> {
        match &self.state {
            State::Decided(decision) => Some(decision),
            _ => None,
        }
    }

    fn expire_if_due(&mut self, now: Instant) {
        if now < self.expires_at || self.has_ended() {
            return;
        }
        self.state = match &self.state {
            State::Decided(decision) => State::Over(decision.clone()),
            _ => State::Failed(Failure::Expired),
        };
    }

    const fn has_ended(&self) -> bool {
        matches!(self.state, State::Over(_) | State::Failed(_))
    }

    fn poll(&mut self, token_fits: bool) {
        if !token_fits {
            return self.count_guess();
        }
        self.port.push(Output::Answer(match &self.state {
            State::Decided(decision) => decision.verdict(),
            _ => Verdict::Pending,
        }));
    }

    /// A decided code is no longer worth guessing: only an undecided one is ended by wrong tokens, so that no attacker can take an
    /// approval away from the device that waits for it.
    fn count_guess(&mut self) {
        self.port.push(Output::Unknown);
        self.guesses = self.guesses.saturating_add(1).min(MAX_GUESSES);
        if self.guesses >= MAX_GUESSES && !matches!(self.state, State::Decided(_)) {
            self.state = State::Failed(Failure::Guessed);
            self.port.push(Output::Voided);
        }
    }

    fn approve(&mut self, by: PlatformId, org: OrgId) {
        self.checks = Unhashed(self.checks.0.wrapping_add(1));
        let check = CheckId(self.checks.0);
        self.port.push(Output::CheckStanding { check, by: by.clone(), org: org.clone() });
        self.state = State::Checking { check: Unhashed(check), by, org };
    }

    fn deny(&mut self, by: PlatformId) {
        self.state = State::Decided(Decision::Denied { by });
        self.port.push(Output::Decided(Verdict::Denied));
    }

    fn settle(&mut self, check: CheckId, standing: &Membership) {
        let (by, org) = match &self.state {
            State::Checking { check: asked, by, org } if asked.0 == check => (by.clone(), org.clone()),
            _ => return self.port.ignore(),
        };
        match standing {
            Membership::Member { slug } if self.fits_what_was_asked(&org, slug) => {}
            Membership::Member { .. } => return self.refuse(Refusal::OtherOrgAsked),
            Membership::NoMember => return self.refuse(Refusal::NoMember),
        }
        self.state = State::Decided(Decision::Approved { by: by.clone(), org: org.clone() });
        self.port.push(Output::Issue { by, org });
        self.port.push(Output::Decided(Verdict::Approved));
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.state = State::Pending;
        self.port.push(Output::Refused(refusal));
    }

    fn fits_what_was_asked(&self, org: &OrgId, slug: &str) -> bool {
        self.asked.as_deref().is_none_or(|asked| org.is_named(slug, asked))
    }
}

impl Machine for PairingCode {
    type Input = Input;
    type Output = Output;
    type Failure = Failure;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let now = self.port.enter(now)?;
        self.expire_if_due(now);
        if self.has_ended() {
            self.port.ignore();
            return Ok(());
        }
        match (input, &self.state) {
            (Input::Polled { token_fits }, _) => self.poll(token_fits),
            (Input::Approve { by, org }, State::Pending) => self.approve(by, org),
            (Input::Deny { by }, State::Pending | State::Checking { .. }) => self.deny(by),
            (Input::Checked { check, standing }, _) => self.settle(check, &standing),
            (Input::Approve { .. }, State::Checking { .. }) => self.port.push(Output::Refused(Refusal::BeingDecided)),
            (Input::Approve { .. } | Input::Deny { .. }, _) => self.port.push(Output::Refused(Refusal::AlreadyDecided)),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.port.advance(now);
        self.expire_if_due(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        (!self.has_ended()).then(|| Deadline::new(self.expires_at, Timer::Expiry))
    }

    fn status(&self) -> Status<'_, Failure> {
        match &self.state {
            State::Pending => Status::Running { waiting_for: "a decision in the browser" },
            State::Checking { .. } => Status::Running { waiting_for: "whether the account is a member" },
            State::Decided(_) => Status::Running { waiting_for: "polls, until the code expires" },
            State::Over(Decision::Approved { .. }) => Status::Finished,
            State::Over(Decision::Denied { .. }) => Status::Failed(&Failure::Denied),
            State::Failed(failure) => Status::Failed(failure),
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
