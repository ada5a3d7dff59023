//! What the disk answers, and when.

use super::*;

/// BIND-4, L6: what came of another write than the one under way says nothing about this one.
#[test]
fn only_the_answer_to_the_write_under_way_counts() {
    let mut laptop = Laptop::new();
    laptop.input(Input::Adopt(Box::new(paired("A", "r1", 1, New))));
    let (Effect::Store(EffectId(asked), ..) | Effect::Remove(EffectId(asked), ..)) = laptop.effects[0] else { panic!() };
    for other in [asked - 1, asked + 1] {
        laptop.input(Input::Io(IoEvent::Stored(EffectId(other))));
        laptop.input(Input::Io(IoEvent::NotStored(EffectId(other))));
    }
    assert_eq!(laptop.machine.ignored(), 4);
    assert_eq!(laptop.machine.status(), Status::Running { waiting_for: "a state file to be durable" });
    assert!(laptop.said.is_empty() && laptop.effects.len() == 1);
    laptop.settle();
    assert_eq!(laptop.view(), [(id("A", "r1"), "active", Some(1))]);
}

/// BIND-5: a binding is gone when neither record nor key of it is on disk any more, not before.
#[test]
fn a_binding_is_gone_with_the_last_of_its_files() {
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    laptop.input(Input::Unpair("A".parse().unwrap()));
    laptop.take_said();
    for left in ["config.json", KEY_A] {
        assert!(laptop.files().iter().any(|file| file == left) && laptop.said.is_empty());
        assert_eq!(laptop.view(), [(id("A", "r1"), "leaving", None)]);
        laptop.write();
    }
    assert_eq!(laptop.said, [Output::Gone(id("A", "r1"))]);
    assert!(laptop.view().is_empty());
}
