//! Looks for traces that break a law.

use std::collections::BTreeSet;

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

use crate::{Law, Subject, Trace, Violation, driver, flood, trace};

/// Checks all laws, each on `cases` random traces; L8 on two, which are long. `reached` are the beginnings of statuses
/// ("waiting for …", "finished", "failed: …") to which such traces must lead, for the laws to have been checked there.
///
/// # Panics
/// When a law does not hold, with the smallest trace found, or when a status is not reached.
pub fn check<S: Subject>(subject: &S, cases: u32, reached: &[&str]) {
    for law in Law::ALL {
        let cases = if law == Law::L8 { 2 } else { cases };
        if let Err(report) = search(subject, law, cases) {
            panic!("{report}");
        }
    }
    let statuses = statuses(subject, cases);
    for status in reached {
        assert!(statuses.iter().any(|seen| seen.starts_with(status)), "no trace reached {status:?}: {statuses:#?}");
    }
}

/// Looks for a trace that breaks `law`, among `cases` random ones.
///
/// # Errors
/// The violation and the smallest trace found, as text.
pub fn search<S: Subject>(subject: &S, law: Law, cases: u32) -> Result<(), String> {
    // Of a flood, only its seed matters.
    let max_shrink_iters = if law == Law::L8 { 0 } else { 2_000 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&trace::traces(subject.facts(), S::START.unix), |trace| {
        hold(subject, law, &trace).map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, trace)) => Err(format!("{reason}\n{trace:#?}")),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}

/// Checks one law on one trace: for fuzzers and for traces that were kept.
///
/// # Errors
/// How it is broken. A panic of the machine is a violation of L7, whichever law was asked about.
pub fn hold<S: Subject>(subject: &S, law: Law, trace: &Trace<S::Fact>) -> Result<(), Violation> {
    match law {
        Law::L8 => flood::check(subject, trace),
        _ => driver::check(subject, law, trace),
    }
}

/// The statuses that random traces lead to.
fn statuses<S: Subject>(subject: &S, cases: u32) -> BTreeSet<String> {
    let mut runner = TestRunner::deterministic();
    let traces = trace::traces(subject.facts(), S::START.unix);
    let trace = |_| traces.new_tree(&mut runner).expect("the strategy rejects nothing").current();
    (0..cases).map(trace).flat_map(|trace| driver::statuses(subject, &trace).unwrap_or_default()).collect()
}
