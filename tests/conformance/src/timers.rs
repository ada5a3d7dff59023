//! The clock: woken at a deadline and not before.

use std::time::Duration;

use proto_core::{Deadline, Instant};

use crate::{Subject, subject};

fn sleep_until<S: Subject>(subject: &mut S, at: Instant) {
    assert_eq!(subject.next(Some(Deadline::new(at, "test"))), None);
    assert!(subject.now() >= at, "woken early");
}

/// However early the runtime wakes up.
pub fn not_before_the_deadline<S: Subject>() {
    let mut subject = subject::<S>();
    for nanos in [1, 999, 1_000_001, 20_000_000] {
        let at = subject.now().after(Duration::from_nanos(nanos));
        sleep_until(&mut subject, at);
    }
}

/// After a suspend a deadline lies in the past.
pub fn late_ones_at_once<S: Subject>() {
    let mut subject = subject::<S>();
    (0..1000).for_each(|_| sleep_until(&mut subject, Instant::ZERO));
}

/// A nearer deadline replaces a farther one.
pub fn armed_again<S: Subject>() {
    let mut subject = subject::<S>();
    subject.perform(proto_core::effect::Effect::Remove("file", proto_core::effect::StateFile::Config));
    let far = Deadline::new(subject.now().after(crate::PATIENCE), "far");
    assert!(subject.next(Some(far)).is_some());
    let near = subject.now().after(Duration::from_millis(5));
    sleep_until(&mut subject, near);
    assert!(subject.now() < far.at);
}
