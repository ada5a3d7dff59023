//! `code`: a device that polls, an attacker who guesses, and two accounts that decide.

use std::time::Duration;

use proto_core::{
    Instant, Machine, Status, Unhashed,
    platform::pairing_code::{CheckId, Decision, Failure, Input, LIFETIME, Membership, Output, PairingCode, Verdict},
};

use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::parsed,
    laws::START,
};

/// The life of one code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coded;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Polled,
    /// With another status token than the code's.
    Guessed,
    Approve(Account),
    Deny(Account),
    Checked(Standing3),
    /// The answer to the question before the latest.
    CheckedBefore,
}

/// The account that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Account {
    Ann,
    Bob,
}

/// What an account is in the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Standing3 {
    Member,
    /// A member, of an organization with another slug than the device asked for.
    MemberElsewhere,
    NoMember,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    check: Unhashed<u64>,
    /// An approval is being looked up.
    is_checking: bool,
    expires_at: Instant,
    issued: bool,
    verdict: Option<Verdict>,
    asked: bool,
}

impl Subject for Coded {
    type Machine = PairingCode;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "pairing-code";
    const MAX_OUTPUTS: usize = 2;
    const SETTLES: (usize, Duration) = (4, LIFETIME);

    fn bounds(&self) -> String {
        "for any org and for one; two accounts; every number of guesses up to the limit".into()
    }

    fn starts(&self) -> Vec<(PairingCode, Memory)> {
        let start = |asked: bool| {
            let expires_at = START.after(LIFETIME);
            let memory = Memory { check: Unhashed(0), is_checking: false, expires_at, issued: false, verdict: None, asked };
            (PairingCode::mint(START, asked.then(|| "acme".into())), memory)
        };
        vec![start(false), start(true)]
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<Fact> {
        use Standing3::{Member, MemberElsewhere, NoMember};
        let deciding = [Account::Ann, Account::Bob].into_iter().flat_map(|by| [Fact::Approve(by), Fact::Deny(by)]);
        let checked = [Member, MemberElsewhere, NoMember].map(Fact::Checked);
        [Fact::Polled, Fact::Guessed, Fact::CheckedBefore].into_iter().chain(deciding).chain(checked).collect()
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let name = |account: Account| if account == Account::Ann { parsed("ann") } else { parsed("bob") };
        let standing = |standing| match standing {
            Standing3::Member => Membership::Member { slug: "acme".into() },
            Standing3::MemberElsewhere => Membership::Member { slug: "other".into() },
            Standing3::NoMember => Membership::NoMember,
        };
        let check = at.memory.check.0;
        match *fact {
            Fact::Polled => Input::Polled { token_fits: true },
            Fact::Guessed => Input::Polled { token_fits: false },
            Fact::Approve(by) => Input::Approve { by: name(by), org: parsed("org") },
            Fact::Deny(by) => Input::Deny { by: name(by) },
            Fact::Checked(of) => Input::Checked { check: CheckId(check), standing: standing(of) },
            Fact::CheckedBefore => {
                let standing = Membership::Member { slug: "acme".into() };
                Input::Checked { check: CheckId(check.wrapping_sub(1)), standing }
            }
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        seen.outputs.iter().try_for_each(|output| memory.judge(output, seen))?;
        if !matches!(seen.after.status(), Status::Running { waiting_for } if waiting_for.contains("member")) {
            memory.is_checking = false;
        }
        let lives = matches!(seen.after.status(), Status::Running { .. });
        if lives && seen.now >= memory.expires_at {
            return Err(Broken::new("PAIR-12", "it lives on after its expiry"));
        }
        match (seen.before.decision(), seen.after.decision()) {
            (Some(before), Some(after)) if before != after => Err(Broken::new("PAIR-12", "decided twice")),
            _ => Ok(()),
        }
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        match at.machine.status() {
            Status::Running { waiting_for } if waiting_for.contains("member") => Some(Fact::Checked(Standing3::Member)),
            Status::Running { waiting_for } if waiting_for.contains("browser") => Some(Fact::Approve(Account::Ann)),
            _ => None,
        }
    }

    /// Decided, or ended before.
    fn goal(&self, at: &Situation<Self>) -> bool {
        at.machine.decision().is_some() || !matches!(at.machine.status(), Status::Running { .. })
    }

    fn state(&self, machine: &PairingCode) -> String {
        match (machine.status(), machine.decision()) {
            (_, Some(Decision::Approved { .. })) => "approved, until the code expires".into(),
            (_, Some(Decision::Denied { .. })) => "denied, until the code expires".into(),
            (Status::Running { waiting_for }, None) => format!("waiting for {waiting_for}"),
            (Status::Finished, None) => "finished".into(),
            (Status::Failed(Failure::Expired), None) => "failed: expired".into(),
            (Status::Failed(Failure::Denied), None) => "failed: denied".into(),
            (Status::Failed(Failure::Guessed), None) => "failed: guessed".into(),
        }
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::CheckStanding { .. } => "CheckStanding".into(),
            Output::Issue { .. } => "Issue".into(),
            other => format!("{other:?}"),
        }
    }
}

impl Memory {
    fn judge(&mut self, output: &Output, seen: &Seen<'_, Coded>) -> Result<(), Broken> {
        match output {
            Output::CheckStanding { check, .. } => {
                self.check = Unhashed(check.0);
                self.is_checking = true;
            }
            Output::Issue { .. } => {
                let fits = match seen.fact {
                    Some(Fact::Checked(Standing3::Member)) => true,
                    Some(Fact::Checked(Standing3::MemberElsewhere)) => !self.asked,
                    _ => false,
                };
                if self.issued {
                    return Err(Broken::new("PAIR-9", "issued twice"));
                }
                if !fits || !self.is_checking {
                    return Err(Broken::new("PAIR-12", format!("issued after {:?}", seen.fact)));
                }
                if seen.now >= self.expires_at {
                    return Err(Broken::new("PAIR-12", "issued after the expiry"));
                }
                self.issued = true;
            }
            Output::Decided(verdict) => self.verdict = Some(*verdict),
            Output::Answer(verdict) if *verdict != self.verdict.unwrap_or(Verdict::Pending) => {
                return Err(Broken::new("PAIR-12", format!("{verdict:?} is said, {:?} was decided", self.verdict)));
            }
            Output::Answer(_) if seen.fact != Some(&Fact::Polled) => {
                return Err(Broken::new("PAIR-12", "a guess gets an answer"));
            }
            _ => {}
        }
        Ok(())
    }
}
