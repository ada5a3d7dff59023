//! L6, L8: a driver that does not take what a machine says is told so, and what it wanted then has not happened.

use std::time::Duration;

use proto_core::{
    Machine, Misuse, Outbox,
    device::{
        bridge::{self, Bridge},
        uplink::EffectId,
        viewer::{self, Viewer},
    },
    effect::{Closed, IoEvent, NetFault},
    noise::Symbolic,
};
use verification::laws::{
    START, Subject,
    subjects::{bridge::Streaming, daemon as whole, viewer::Watching},
};

const LIMIT: usize = Outbox::<()>::LIMIT;

/// How much a machine has said, at its end.
fn said<M: Machine>(machine: &mut M) -> usize {
    core::iter::from_fn(|| machine.poll_output()).count()
}

#[test]
fn the_daemon_reports_undrained_outputs() {
    let mut machine = whole::Whole.start(1);
    let reconnect = || whole::Whole.input(&whole::Fact::Reconnect, &[]);
    while machine.handle_input(START, reconnect()).is_ok() {}
    let before = machine.clone();
    assert_eq!(machine.handle_input(START, reconnect()), Err(Misuse::Full("outputs")));
    assert_eq!(machine, before);
    assert!((LIMIT..LIMIT + whole::Whole::MAX_OUTPUTS).contains(&said(&mut machine)));
    assert_eq!(machine.handle_input(START, reconnect()), Ok(()));
}

/// Attempts to connect that fail, one after the other.
fn fails_to_connect<M: Machine>(machine: &mut M, hurry: M::Input, closed: M::Input) -> Result<(), Misuse> {
    machine.handle_input(START, hurry)?;
    machine.handle_timeout(START.after(Duration::from_secs(1)));
    machine.handle_input(START, closed)
}

const fn refused() -> IoEvent<EffectId> {
    IoEvent::Closed(EffectId::Link, Closed::Fault(NetFault::Refused))
}

#[test]
fn a_bridge_reports_undrained_outputs() {
    let mut machine: Bridge<Symbolic> = Streaming.start(1);
    let (hurry, closed) = (|| bridge::Input::RetryNow, || bridge::Input::Io(refused()));
    while fails_to_connect(&mut machine, hurry(), closed()).is_ok() {}
    let before = machine.clone();
    assert_eq!(machine.handle_input(START, bridge::Input::Stop), Err(Misuse::Full("outputs")));
    assert_eq!(machine, before);
    assert!((LIMIT..LIMIT + Streaming::MAX_OUTPUTS).contains(&said(&mut machine)));
    assert_eq!(machine.handle_input(START, bridge::Input::Stop), Ok(()));
}

#[test]
fn a_viewer_reports_undrained_outputs() {
    let mut machine: Viewer<Symbolic> = Watching.start(1);
    let (hurry, closed) = (|| viewer::Input::RetryNow, || viewer::Input::Io(refused()));
    while fails_to_connect(&mut machine, hurry(), closed()).is_ok() {}
    let (status, deadline) = (format!("{:?}", machine.status()), machine.poll_timeout());
    assert_eq!(machine.handle_input(START, viewer::Input::Stop), Err(Misuse::Full("outputs")));
    assert_eq!((format!("{:?}", machine.status()), machine.poll_timeout()), (status, deadline));
    assert!((LIMIT..LIMIT + Watching::MAX_OUTPUTS).contains(&said(&mut machine)));
    assert_eq!(machine.handle_input(START, viewer::Input::Stop), Ok(()));
}
