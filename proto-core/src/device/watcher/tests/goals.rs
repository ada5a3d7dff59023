//! When the relay has named all of its sessions, and which of them is meant.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use super::*;

const LESS: Duration = Duration::from_nanos(1);

/// The sessions that the outputs list.
fn sessions(said: &[Output]) -> Option<Vec<SessionId>> {
    said.iter().find_map(|output| match output {
        Output::Sessions(sessions) => Some(sessions.iter().map(|entry| entry.session).collect()),
        _ => None,
    })
}

/// A relay without sessions has named them all when nothing came for half a second; the link is closed then.
#[test]
fn a_list_of_no_sessions_settles_half_a_second_after_the_link_came_up() {
    let mut bench = Bench::paired(Goal::List);
    bench.pass(Duration::from_mins(1));
    assert_eq!(bench.waits_for(), "the WebSocket", "a list waits for the relay however long that takes");
    let relay = bench.up_after_dial();
    assert_eq!(bench.watcher.poll_timeout().unwrap().at, bench.now.after(LIST_QUIET_TIME));
    bench.pass(LIST_QUIET_TIME.saturating_sub(LESS));
    assert!(sessions(&bench.take_said()).is_none());
    bench.pass(LESS);
    assert_eq!(sessions(&bench.take_said()), Some(vec![]));
    assert_eq!(bench.watcher.status(), Status::Finished);
    assert!(bench.net.iter().any(|effect| matches!(effect, Effect::Close(ask, _) if *ask == relay.effect_id)));
}

/// A list waits three seconds for what runs in each session, and says the sessions without it then. Each is watched for its title.
#[test]
fn a_list_waits_for_titles_and_not_for_ever() {
    let mut bench = Bench::paired(Goal::List);
    let mut relay = bench.up();
    bench.open(&mut relay, numbered(1));
    bench.pass(LIST_QUIET_TIME);
    bench.open(&mut relay, numbered(2));
    bench.pass(TITLE_TIMEOUT.saturating_sub(LESS));
    assert!(sessions(&bench.take_said()).is_none());
    bench.pass(LESS);
    assert_eq!(sessions(&bench.take_said()), Some(vec![numbered(1), numbered(2)]));
}

/// A list is of what the relay has named since the link is up: one that is lost in between is waited for.
#[test]
fn a_list_waits_for_a_relay_that_went_away() {
    let mut bench = Bench::paired(Goal::List);
    let relay = bench.up();
    bench.closes(relay.effect_id, None);
    assert_eq!(bench.take_said().pop(), Some(Output::Down(Reason::RelayClosed)));
    bench.pass(LIST_QUIET_TIME);
    assert!(sessions(&bench.take_said()).is_none());
    assert!(matches!(bench.watcher.status(), Status::Running { .. }));
    bench.up_after_dial();
    bench.pass(LIST_QUIET_TIME);
    assert_eq!(sessions(&bench.take_said()), Some(vec![]));
}

/// A renewal that fails says nothing about the link: the list settles as if it had not been tried.
#[test]
fn a_list_settles_although_the_credential_is_not_renewed() {
    let mut bench = Bench::paired(Goal::List);
    let _relay = bench.up();
    bench.clock(UNIX.plus(3_599));
    bench.answer(of_rotation, 503, &"<html>");
    assert!(bench.take_said().iter().any(|output| matches!(output, Output::NotRenewed(_))));
    bench.pass(LIST_QUIET_TIME);
    assert_eq!(bench.watcher.status(), Status::Finished);
}

/// Without any session the next one is waited for, however long that takes, and shown once it is the only one for half a second.
#[test]
fn the_only_session_is_waited_for_and_shown() {
    let mut bench = Bench::paired(Goal::TheOnly);
    let mut relay = bench.up();
    assert_eq!(bench.take_said(), [Output::Up { waits_for_session: true }]);
    bench.pass(Duration::from_secs(20));
    assert_eq!(bench.waits_for(), "frames");
    bench.open(&mut relay, numbered(1));
    assert_eq!(bench.take_said(), [Output::Listed(numbered(1))]);
    bench.pass(LIST_QUIET_TIME);
    bench.open(&mut relay, numbered(2));
    bench.pass(TITLE_TIMEOUT);
    assert_eq!(bench.take_said(), [Output::Listed(numbered(2))], "it is decided");
    assert_eq!(bench.waits_for(), "frames");
}

/// The session that the viewer is a part of is none that it could show: what it prints would come back to it.
#[test]
fn the_surrounding_session_is_not_shown() {
    let settings = Settings { surrounding: Some(numbered(1)), ..settings() };
    let mut bench = Bench::with(Settings { goal: Goal::This(numbered(1)), ..settings.clone() });
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::WatchesItself));
    assert_eq!(bench.take_said(), []);
    let mut bench = Bench::with(Settings { goal: Goal::TheOnly, ..settings.clone() });
    let mut relay = bench.up();
    bench.open(&mut relay, numbered(1));
    bench.pass(LIST_QUIET_TIME);
    assert_eq!(bench.waits_for(), "frames", "there is none yet");
    bench.open(&mut relay, numbered(2));
    bench.pass(LIST_QUIET_TIME);
    assert_eq!(bench.take_said().last(), Some(&Output::Listed(numbered(2))));
    let mut bench = Bench::with(Settings { goal: Goal::List, ..settings });
    let mut relay = bench.up();
    bench.open(&mut relay, numbered(1));
    bench.pass(TITLE_TIMEOUT);
    assert_eq!(sessions(&bench.take_said()), Some(vec![numbered(1)]), "a list ends");
}

/// Of several none is meant more than the others: they are listed.
#[test]
fn several_sessions_are_listed_where_one_was_meant() {
    let mut bench = Bench::paired(Goal::TheOnly);
    let mut relay = bench.up();
    for n in [1, 2] {
        bench.open(&mut relay, numbered(n));
    }
    bench.pass(TITLE_TIMEOUT);
    assert_eq!(sessions(&bench.take_said()), Some(vec![numbered(1), numbered(2)]));
    assert_eq!(bench.watcher.status(), Status::Finished);
}

/// A session that the relay does not have is said to be unknown; one that it has is shown for as long as it takes.
#[test]
fn a_session_that_the_relay_does_not_name_is_unknown() {
    for named in [1, 2] {
        let mut bench = Bench::paired(Goal::This(numbered(1)));
        let mut relay = bench.up();
        bench.open(&mut relay, numbered(named));
        bench.pass(LIST_QUIET_TIME);
        let is_known = named == 1;
        assert_eq!(bench.watcher.status() == Status::Failed(&Reason::SessionUnknown), !is_known);
        assert_eq!(matches!(bench.watcher.status(), Status::Running { .. }), is_known);
    }
}

/// L8: a viewer whose goal is to choose sessions may choose a bounded number; with another goal it may choose none.
#[test]
fn only_a_choosing_viewer_may_watch_more() {
    let mut bench = Bench::paired(Goal::Chosen);
    for n in 0..viewer::MAX_SESSIONS {
        bench.input(Input::Watch(numbered(n as u128)));
    }
    assert_eq!(bench.watcher.ignored(), 0);
    bench.input(Input::Watch(numbered(u128::MAX)));
    assert_eq!(bench.watcher.ignored(), 1);
    let mut bench = Bench::paired(Goal::TheOnly);
    bench.input(Input::Watch(numbered(1)));
    assert_eq!(bench.watcher.ignored(), 1);
}
