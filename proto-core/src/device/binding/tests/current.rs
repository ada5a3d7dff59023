//! Which bindings another pairing would overwrite.

use super::*;

/// D2, S44: a binding that drains is none that the daemon is paired with any more.
#[test]
fn a_draining_binding_is_not_current() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.start_session(&id("A", "r1"), 7);
    laptop.pair("B", "r2", 2, Replace);
    assert_eq!(laptop.view().len(), 2);
    let orgs: Vec<_> = laptop.machine.workspaces().into_iter().map(|workspace| workspace.id).collect();
    assert_eq!(orgs, ["B".parse().unwrap()]);
}

/// PAIR-10, S50: a binding that was cut does not stand in the way of a new pairing, though it is still on disk.
#[test]
fn a_binding_on_its_way_out_is_not_current() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.input(Input::Unpair("A".parse().unwrap()));
    assert_eq!(laptop.view(), [(id("A", "r1"), "leaving", None)]);
    assert!(laptop.machine.workspaces().is_empty());
    laptop.take_said();
    laptop.pair("B", "r2", 2, New);
    assert!(laptop.said.contains(&Output::Adopted(id("B", "r2"))));
    assert_eq!(laptop.view(), [(id("B", "r2"), "active", Some(2))]);
}
