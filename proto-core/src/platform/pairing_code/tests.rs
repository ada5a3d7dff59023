use alloc::{collections::BTreeSet, vec::Vec};

use super::*;

const START: Instant = Instant::from_nanos(1_000);

fn account(name: &str) -> PlatformId {
    name.parse().unwrap()
}

fn org() -> OrgId {
    "org-a".parse().unwrap()
}

fn member() -> Membership {
    Membership::Member { slug: "acme".into() }
}

fn drain(code: &mut PairingCode) -> Vec<Output> {
    core::iter::from_fn(|| code.poll_output()).collect()
}

fn step(code: &mut PairingCode, now: Instant, input: Input) -> Vec<Output> {
    code.handle_input(now, input).unwrap();
    drain(code)
}

/// Presses Approve and answers the question with `standing`.
fn approve(code: &mut PairingCode, now: Instant, by: &str, standing: Membership) -> Vec<Output> {
    let outputs = step(code, now, Input::Approve { by: account(by), org: org() });
    match outputs.as_slice() {
        [Output::CheckStanding { check, .. }] => step(code, now, Input::Checked { check: *check, standing }),
        _ => outputs,
    }
}

fn polled(code: &mut PairingCode, now: Instant) -> Vec<Output> {
    step(code, now, Input::Polled { token_fits: true })
}

/// PAIR-9, PAIR-12, S211: pressed twice, and by a second account, it issues once and every poll gets the same answer.
#[test]
fn an_approval_issues_exactly_once() {
    let mut code = PairingCode::mint(START, None);
    assert_eq!(polled(&mut code, START), [Output::Answer(Verdict::Pending)]);
    assert_eq!(
        approve(&mut code, START, "ann", member()),
        [Output::Issue { by: account("ann"), org: org() }, Output::Decided(Verdict::Approved)]
    );
    for by in ["ann", "bob"] {
        assert_eq!(approve(&mut code, START, by, member()), [Output::Refused(Refusal::AlreadyDecided)]);
        assert_eq!(step(&mut code, START, Input::Deny { by: account(by) }), [Output::Refused(Refusal::AlreadyDecided)]);
        assert_eq!(polled(&mut code, START), [Output::Answer(Verdict::Approved)]);
    }
    assert_eq!(code.decision(), Some(&Decision::Approved { by: account("ann"), org: org() }));
}

/// PAIR-12: only a member approves, and only for the organization that the device asked for; a refusal decides nothing.
#[test]
fn an_account_that_may_not_approve_changes_nothing() {
    let mut code = PairingCode::mint(START, Some("acme".into()));
    let fresh = code.record();
    assert_eq!(approve(&mut code, START, "eve", Membership::NoMember), [Output::Refused(Refusal::NoMember)]);
    let other = Membership::Member { slug: "other".into() };
    assert_eq!(approve(&mut code, START, "ann", other), [Output::Refused(Refusal::OtherOrgAsked)]);
    assert_eq!(code.record(), fresh);
    assert_eq!(approve(&mut code, START, "ann", member()).len(), 2);

    let mut by_id = PairingCode::mint(START, Some("org-a".into()));
    assert_eq!(approve(&mut by_id, START, "ann", Membership::Member { slug: "renamed".into() }).len(), 2);
}

/// PAIR-12: never after expiry, not even when the question was asked before it.
#[test]
fn nothing_is_approved_at_or_after_expiry() {
    let mut code = PairingCode::mint(START, None);
    let check = match step(&mut code, START, Input::Approve { by: account("ann"), org: org() }).as_slice() {
        [Output::CheckStanding { check, .. }] => *check,
        other => panic!("{other:?}"),
    };
    let end = code.expires_at();
    assert_eq!(step(&mut code, end, Input::Checked { check, standing: member() }), []);
    assert_eq!(code.status(), Status::Failed(&Failure::Expired));
    assert_eq!(code.poll_timeout(), None);
    assert_eq!(polled(&mut code, end), []);
}

#[test]
fn outcomes_last_until_expiry_and_no_longer() {
    let mut approved = PairingCode::mint(START, None);
    approve(&mut approved, START, "ann", member());
    let mut denied = PairingCode::mint(START, None);
    assert_eq!(step(&mut denied, START, Input::Deny { by: account("ann") }), [Output::Decided(Verdict::Denied)]);
    assert_eq!(polled(&mut denied, START), [Output::Answer(Verdict::Denied)]);

    let end = approved.expires_at();
    assert_eq!(approved.poll_timeout(), Some(Deadline::new(end, Timer::Expiry)));
    for code in [&mut approved, &mut denied] {
        code.handle_timeout(Instant::from_nanos(end.as_nanos() - 1));
        assert!(matches!(code.status(), Status::Running { .. }));
        code.handle_timeout(end);
    }
    assert_eq!(approved.status(), Status::Finished);
    assert_eq!(denied.status(), Status::Failed(&Failure::Denied));
}

/// PAIR-12: guessing is bounded whatever the arrival times, and cannot take an approval away.
#[test]
fn guessing_ends_an_undecided_code() {
    let mut code = PairingCode::mint(START, None);
    for _ in 1..MAX_GUESSES {
        assert_eq!(step(&mut code, START, Input::Polled { token_fits: false }), [Output::Unknown]);
    }
    let mut decided = code.clone();
    assert_eq!(step(&mut code, START, Input::Polled { token_fits: false }), [Output::Unknown, Output::Voided]);
    assert_eq!(code.status(), Status::Failed(&Failure::Guessed));
    assert_eq!(PairingCode::restore(START, code.record()).status(), Status::Failed(&Failure::Guessed));

    approve(&mut decided, START, "ann", member());
    for _ in 0..2 * MAX_GUESSES {
        assert_eq!(step(&mut decided, START, Input::Polled { token_fits: false }), [Output::Unknown]);
    }
    assert_eq!(polled(&mut decided, START), [Output::Answer(Verdict::Approved)]);
    assert_eq!(polled(&mut PairingCode::restore(START, decided.record()), START), [Output::Answer(Verdict::Approved)]);
}

#[test]
fn a_late_answer_is_counted_and_changes_nothing() {
    let mut code = PairingCode::mint(START, None);
    let stale = Input::Checked { check: CheckId(0), standing: member() };
    assert_eq!(step(&mut code, START, stale.clone()), []);
    code.handle_input(START, Input::Approve { by: account("ann"), org: org() }).unwrap();
    drain(&mut code);
    assert_eq!(step(&mut code, START, stale), []);
    assert_eq!(code.ignored(), 2);
    assert_eq!(
        step(&mut code, START, Input::Approve { by: account("bob"), org: org() }),
        [Output::Refused(Refusal::BeingDecided)]
    );
    assert_eq!(step(&mut code, START, Input::Deny { by: account("bob") }), [Output::Decided(Verdict::Denied)]);
}

/// Kept in a record and restored, a code behaves as if it had never been put away.
#[test]
fn records_restore_to_the_same_code() {
    let mut code = PairingCode::mint(START, Some("acme".into()));
    step(&mut code, START, Input::Polled { token_fits: false });
    let mut restored = PairingCode::restore(START, code.record());
    for now in [START, code.expires_at()] {
        for input in [Input::Polled { token_fits: true }, Input::Deny { by: account("ann") }] {
            assert_eq!(step(&mut code, now, input.clone()), step(&mut restored, now, input));
        }
    }
    assert_eq!(code, restored);
}

/// What must hold of a code, told by its outputs alone.
#[derive(Default)]
struct Ledger {
    issued: Option<(PlatformId, OrgId)>,
    denied: bool,
    guesses: u32,
}

impl Ledger {
    fn note(&mut self, output: &Output, members: &BTreeSet<PlatformId>, ended: bool) {
        assert!(!ended, "{output:?} after the end");
        match output {
            Output::Issue { by, org } => {
                assert!(members.contains(by) && !self.denied && self.issued.is_none());
                self.issued = Some((by.clone(), org.clone()));
            }
            Output::Decided(Verdict::Denied) => {
                assert!(self.issued.is_none() && !self.denied);
                self.denied = true;
            }
            Output::Answer(verdict) => {
                let expected = match (&self.issued, self.denied) {
                    (Some(_), _) => Verdict::Approved,
                    (None, true) => Verdict::Denied,
                    (None, false) => Verdict::Pending,
                };
                assert_eq!(*verdict, expected);
            }
            Output::Unknown => self.guesses += 1,
            Output::Voided => assert!(self.guesses == MAX_GUESSES && self.issued.is_none() && !self.denied),
            Output::CheckStanding { .. } | Output::Decided(_) | Output::Refused(_) => {}
        }
    }
}

/// PAIR-9, PAIR-12: whatever comes in whatever order, with answers that are late, doubled or for other questions, and with the
/// machine stored and restored in between.
#[test]
fn random_traces_keep_the_invariants() {
    let mut random = crate::JitterRng::new(7);
    let names = ["ann", "bob", "eve"];
    let members: BTreeSet<_> = ["ann", "bob"].map(account).into();
    let mut outcomes = BTreeSet::new();
    for _ in 0..3_000 {
        let mut now = START;
        let mut code = PairingCode::mint(now, None);
        let end = code.expires_at();
        let (mut ledger, mut asked) = (Ledger::default(), Vec::new());
        for _ in 0..60 {
            now = now.after(random.up_to(Duration::from_secs(30)));
            let by = account(names[usize::try_from(random.next() % 3).unwrap()]);
            let input = match random.next() % 6 {
                0 => Input::Approve { by, org: org() },
                1 if random.next().is_multiple_of(4) => Input::Deny { by },
                2 | 3 => match asked.get(usize::try_from(random.next() % 4).unwrap()) {
                    Some((check, by)) if members.contains(by) => Input::Checked { check: *check, standing: member() },
                    Some((check, _)) => Input::Checked { check: *check, standing: Membership::NoMember },
                    None => Input::Checked { check: CheckId(random.next()), standing: member() },
                },
                4 => Input::Polled { token_fits: false },
                _ => Input::Polled { token_fits: true },
            };
            for output in step(&mut code, now, input) {
                ledger.note(&output, &members, now >= end);
                if let Output::CheckStanding { check, by, .. } = output {
                    asked.insert(0, (check, by));
                }
            }
            if random.next().is_multiple_of(8) && !matches!(code.state, State::Checking { .. }) {
                asked.clear();
                code = PairingCode::restore(now, code.record());
            }
        }
        let status = alloc::format!("{:?}", code.status());
        assert_eq!(status == "Finished", ledger.issued.is_some() && now >= end);
        outcomes.insert(status);
    }
    assert!(outcomes.len() >= 4, "the traces reach too little: {outcomes:?}");
}
