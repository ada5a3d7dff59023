//! How many sessions a binding may have.

use super::*;
use crate::device::bridge::MAX_SESSIONS;

/// A session more than a binding may have is refused; one that it has may start again.
#[test]
fn sessions_of_a_binding_are_limited() {
    let binding = id("A", "r1");
    let mut laptop = Laptop::new();
    laptop.pair("A", "r1", 1, New);
    let start = |laptop: &mut Laptop, n: usize| {
        let mut session = [0; 16];
        session[..8].copy_from_slice(&n.to_be_bytes());
        let input = Input::SessionStarted { binding: binding.clone(), session: SessionId(session) };
        laptop.machine.handle_input(laptop.now, input)
    };
    assert!((0..MAX_SESSIONS).all(|n| start(&mut laptop, n).is_ok()));
    assert!(start(&mut laptop, MAX_SESSIONS).is_err());
    assert_eq!(start(&mut laptop, 0), Ok(()));
}
