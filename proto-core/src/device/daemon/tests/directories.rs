//! Directories are bound and unbound, one change to the ledger after the other.

use alloc::{string::String, vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Reason,
    device::{
        consent::Change,
        control::Unbound,
        files::{Document, Grants},
    },
    effect::StateFile,
};

fn bind(path: &str, org: Option<&str>) -> Request {
    Request::Bind(Bind { recursive: true, ..Bind::new(directory(path), org.map(Into::into)) })
}

/// The next write of the ledger becomes durable; which directories it names.
fn write_ledger(laptop: &mut Laptop) -> Vec<String> {
    let (file, contents) = laptop.stored();
    assert_eq!(file, StateFile::Grants);
    Grants::parse(contents.unwrap().expose()).unwrap().directories.into_keys().collect()
}

/// The directory's files are changed.
fn change(laptop: &mut Laptop, result: Result<(), Reason>) -> Vec<Change> {
    let (task_id, files) = laptop.changes.pop_front().unwrap();
    laptop.input(Input::Changed(task_id, result));
    files
}

fn directories(laptop: &Laptop) -> Vec<(String, bool, String)> {
    laptop.daemon.report().directories.into_iter().map(|row| (row.path, row.recursive, row.org)).collect()
}

/// D11: first the directory's file, then the ledger; only then the directory counts as bound, and the request is answered.
#[test]
fn a_directory_is_bound_once_the_ledger_is_durable() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.request(1, bind("/new", Some("beta")));
    assert!(laptop.changes.is_empty());
    laptop.look();
    assert!(laptop.files.is_empty());
    assert!(matches!(&change(&mut laptop, Ok(()))[..], [Change::Write(..), ..]));
    assert_eq!((directories(&laptop).len(), laptop.take_said()), (2, vec![]));
    assert_eq!(write_ledger(&mut laptop), [BOUND, BOUND_TO_BETA, "/new"]);
    let answers = laptop.take_answers();
    let [(1, Ok(Answer::Bound(bound)))] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((&bound.directory[..], &bound.org.name[..]), ("/new", "Zeta"));
    let expected = [(BOUND, true, "Org"), (BOUND_TO_BETA, false, "Zeta"), ("/new", true, "Zeta")];
    assert_eq!(directories(&laptop), expected.map(|(path, recursive, org)| (path.into(), recursive, org.into())));
}

/// F40: a directory that is bound to another organization is bound anew only when the user knows it; to its own, as often as one
/// likes.
#[test]
fn a_bind_that_replaces_another_has_to_be_confirmed() {
    let mut laptop = Laptop::paired();
    let mut outcome = |bind: Bind| {
        laptop.request(1, Request::Bind(bind));
        laptop.look();
        if !laptop.changes.is_empty() {
            change(&mut laptop, Ok(()));
            write_ledger(&mut laptop);
        }
        let [(1, answer)] = &laptop.take_answers()[..] else { panic!("one answer") };
        (answer.clone().map(drop), directories(&laptop)[0].2.clone())
    };
    let to = |org: &str| Bind::new(directory(BOUND), Some(org.into()));
    assert_eq!(outcome(to("beta")), (Err(Reason::BindReplaces), String::from("Org")));
    assert_eq!(outcome(to("org")), (Ok(()), String::from("Org")));
    assert_eq!(outcome(Bind { confirmed: true, ..to("beta") }), (Ok(()), String::from("Zeta")));
    assert_eq!(outcome(to("org")), (Err(Reason::BindReplaces), String::from("Zeta")));
}

/// The ledger loses the grant first; what is left of the file is then ignored, so its removal may fail.
#[test]
fn a_directory_is_unbound_once_the_ledger_is_durable() {
    for result in [Ok(()), Err(Reason::StateNotWritten)] {
        let mut laptop = Laptop::paired();
        laptop.take_said();
        laptop.request(1, Request::Unbind(directory(BOUND)));
        assert!(laptop.changes.is_empty());
        assert_eq!(write_ledger(&mut laptop), [BOUND_TO_BETA]);
        assert_eq!((directories(&laptop).len(), laptop.take_said()), (1, vec![]));
        assert!(matches!(change(&mut laptop, result)[..], [Change::Remove(_), ..]));
        assert_eq!(laptop.take_answers(), [(1, Ok(Answer::Unbound(Unbound { directory: BOUND.into() })))]);
    }
}

/// Each change is made to what the one before left, so that none undoes another, also where one of them fails.
#[test]
fn changes_of_the_ledger_follow_each_other() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    for (n, path) in [(1, "/one"), (2, "/two")] {
        laptop.request(n, bind(path, Some("ORG")));
        laptop.look();
    }
    change(&mut laptop, Ok(()));
    change(&mut laptop, Ok(()));
    laptop.request(3, Request::Unbind(directory(BOUND)));
    assert_eq!(laptop.files.len(), 1, "one at a time");
    assert_eq!(write_ledger(&mut laptop), [BOUND, BOUND_TO_BETA, "/one"]);
    assert_eq!(laptop.not_stored(), StateFile::Grants);
    assert_eq!(write_ledger(&mut laptop), [BOUND_TO_BETA, "/one"]);
    change(&mut laptop, Ok(()));
    let answers: Vec<_> = laptop.take_answers().into_iter().map(|(id, answer)| (id, answer.err())).collect();
    assert_eq!(answers, [(1, None), (2, Some(Reason::StateNotWritten)), (3, None)]);
    assert_eq!(directories(&laptop).into_iter().map(|(path, ..)| path).collect::<Vec<_>>(), [BOUND_TO_BETA, "/one"]);
}

/// A directory that cannot be written, and one for an organization that is not paired, are refused.
#[test]
fn what_cannot_be_bound_is_refused() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.request(1, bind("/new", None));
    laptop.look();
    laptop.request(2, bind("/new", Some("other")));
    laptop.look();
    laptop.request(3, bind("/new", Some("org")));
    laptop.look();
    change(&mut laptop, Err(Reason::StateNotWritten));
    laptop.request(4, Request::Unbind(directory("/new")));
    let answers: Vec<_> = laptop.take_answers().into_iter().map(|(id, answer)| (id, answer.unwrap_err())).collect();
    assert_eq!(
        answers,
        [(1, Reason::OrgAmbiguous), (2, Reason::OrgUnknown), (3, Reason::StateNotWritten), (4, Reason::NotBound)]
    );
    assert_eq!((directories(&laptop).len(), laptop.files.len()), (2, 0));

    let mut alone = Laptop::new();
    alone.request(1, bind("/new", None));
    assert_eq!((alone.take_answers(), alone.looks.len()), (vec![(1, Err(Reason::NotPaired))], 0));
}
