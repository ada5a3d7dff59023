//! The life of a pairing code at the platform (PAIR-9, PAIR-12, S7, S10, S211; D1).

use proto_core::platform::pairing_code::{CheckId, Input, Membership, Output, Refusal, Verdict};

/// A code, with everything there is to know about it. Seconds since it was minted.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The org that the device asked for, by id or slug.
    pub asked: Option<String>,
    /// Polls with a wrong token.
    pub guesses: u32,
    /// What was decided.
    pub decided: Option<Verdict>,
    /// The approval that is being looked up: the question and the org.
    pub open: Option<(CheckId, String)>,
    /// How often it was issued.
    pub issued: u32,
}

impl Code {
    const LIFETIME: u64 = 900;

    /// Whether it can still be polled at `now`.
    pub fn lives(&self, now: u64, guesses_max: u32) -> bool {
        now < Self::LIFETIME && (self.guesses < guesses_max || self.decided.is_some())
    }

    /// What must be said to `input`, apart from the number of a question and the words of [`Output::Voided`].
    pub fn hear(&mut self, now: u64, guesses_max: u32, input: &Input) -> Vec<Output> {
        let lives = self.lives(now, guesses_max);
        match input {
            // An ended machine says nothing (L4): a request for such a code is answered with 404.
            _ if !lives => {
                self.open = None;
                vec![]
            }
            Input::Polled { token_fits: true } => vec![Output::Answer(self.decided.unwrap_or(Verdict::Pending))],
            Input::Polled { token_fits: false } => self.guessed(guesses_max),
            Input::Approve { .. } | Input::Deny { .. } if self.decided.is_some() => {
                vec![Output::Refused(Refusal::AlreadyDecided)]
            }
            Input::Approve { .. } if self.open.is_some() => vec![Output::Refused(Refusal::BeingDecided)],
            Input::Approve { by, org } => {
                let check = CheckId(u64::MAX);
                self.open = Some((check, org.to_string()));
                vec![Output::CheckStanding { check, by: by.clone(), org: org.clone() }]
            }
            // A no needs no looking up, and comes before a yes that is still being looked up.
            Input::Deny { .. } => {
                self.open = None;
                self.decide(Verdict::Denied)
            }
            Input::Checked { check, standing } => self.checked(*check, standing),
        }
    }

    fn guessed(&mut self, guesses_max: u32) -> Vec<Output> {
        if self.decided.is_none() {
            self.guesses += 1;
            if self.guesses == guesses_max {
                return vec![Output::Voided, Output::Unknown];
            }
        }
        vec![Output::Unknown]
    }

    fn checked(&mut self, check: CheckId, standing: &Membership) -> Vec<Output> {
        let Some((_, org)) = self.open.take_if(|(open, _)| *open == check) else { return vec![] };
        match standing {
            Membership::NoMember => vec![Output::Refused(Refusal::NoMember)],
            Membership::Member { slug } if self.asked.as_ref().is_some_and(|asked| *asked != org && asked != slug) => {
                vec![Output::Refused(Refusal::OtherOrgAsked)]
            }
            Membership::Member { .. } => {
                self.issued += 1;
                self.decide(Verdict::Approved)
            }
        }
    }

    fn decide(&mut self, verdict: Verdict) -> Vec<Output> {
        self.decided = Some(verdict);
        vec![Output::Decided(verdict)]
    }
}
