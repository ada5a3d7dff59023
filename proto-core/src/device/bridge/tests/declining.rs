//! F4: a session that the relay declines waits by itself; the link and the other sessions go on.

use core::time::Duration;

use super::*;
use crate::effect::NetFault;

const FIRST: SessionId = SessionId([1; 16]);
const SECOND: SessionId = SessionId([2; 16]);

impl Bench {
    /// A bridge with two sessions of one process, whose `Open`s the relay has heard.
    fn with_two() -> Self {
        let mut bench = Self::up();
        for session in [FIRST, SECOND] {
            bench.know(session);
            bench.input(Input::Attach(SOURCE, session));
            bench.input(Input::Frame(SOURCE, open(session)));
        }
        assert_eq!(bench.opened(), [FIRST, SECOND]);
        bench
    }

    fn decline(&mut self, session: SessionId, retry_after: u32) {
        self.tell(Head::Decline { session, reason: Reason::SessionLimit, retry_after });
    }

    /// Time passes on a link that lives.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.after(Duration::from_secs(1));
            self.bridge.handle_timeout(self.now);
            self.drain();
            self.tell(Head::Ping { nonce: 1 });
        }
    }

    /// The sessions that were opened at the relay.
    fn opened(&mut self) -> Vec<SessionId> {
        let opens = |frame: &Frame| if let Head::Open { session, .. } = frame.head { Some(session) } else { None };
        self.heard().iter().filter_map(opens).collect()
    }
}

fn open(session: SessionId) -> Frame {
    Head::Open { session, cipher: 2 }.into()
}

#[test]
fn a_declined_session_waits_and_the_others_go_on() {
    let mut bench = Bench::with_two();
    bench.decline(FIRST, 120);
    let resume = Frame::from(Head::Resume { session: SECOND, next: 0 });
    bench.tell(resume.clone());
    assert_eq!(bench.said, [Output::Declined(FIRST, Reason::SessionLimit), Output::ToSource(SOURCE, resume)]);
    assert_eq!((bench.bridge.declined(FIRST), bench.bridge.declined(SECOND)), (Some(Reason::SessionLimit), None));
    bench.input(Input::Frame(SOURCE, data(FIRST, 0)));
    bench.input(Input::Frame(SOURCE, data(SECOND, 0)));
    assert_eq!((bench.heard(), bench.stats()), (vec![data(SECOND, 0)], [1, 0, 0]));
    assert_eq!(bench.bridge.link_state(), LinkState::Connected);
}

#[test]
fn it_is_opened_again_until_the_relay_takes_it() {
    let mut bench = Bench::with_two();
    bench.decline(FIRST, 120);
    bench.said.clear();
    for _ in 0..2 {
        bench.wait(119);
        assert_eq!(bench.opened(), []);
        bench.wait(1);
        assert_eq!(bench.opened(), [FIRST], "once");
        bench.decline(FIRST, 120);
    }
    assert_eq!(bench.said, [], "that it is declined is said once");
    bench.wait(120);
    let resume = Frame::from(Head::Resume { session: FIRST, next: 0 });
    bench.tell(resume.clone());
    assert_eq!((bench.said.clone(), bench.bridge.declined(FIRST)), (vec![Output::ToSource(SOURCE, resume)], None));
    bench.opened();
    bench.wait(300);
    assert_eq!(bench.opened(), []);
}

/// Where the relay names no pause it is a minute, and an hour where it names more.
#[test]
fn the_pause_is_neither_nothing_nor_for_ever() {
    for (named, pause) in [(0, 60), (1, 1), (3_600, 3_600), (u32::MAX, 3_600)] {
        let mut bench = Bench::with_two();
        bench.decline(FIRST, named);
        bench.wait(pause - 1);
        assert_eq!(bench.opened(), []);
        bench.wait(1);
        assert_eq!(bench.opened(), [FIRST]);
    }
}

/// A new link is a new question; the pause of the old one is over, and while there is no link there is nothing to wait for.
#[test]
fn a_new_link_asks_at_once() {
    let mut bench = Bench::with_two();
    bench.decline(FIRST, 120);
    bench.input(Input::Io(IoEvent::Closed(EffectId::Link, Closed::Fault(NetFault::Broken))));
    let waits = |bench: &Bench| bench.bridge.poll_timeout().is_some_and(|deadline| deadline.timer == Timer::OpenAgain);
    assert!(!waits(&bench));
    bench.sent.clear();
    bench.said.clear();
    bench.now = bench.now.after(Duration::from_secs(30));
    bench.come_up();
    assert_eq!(bench.opened(), [FIRST, SECOND]);
    bench.wait(120);
    assert_eq!(bench.opened(), []);
}

/// L6: what answers no `Open` is counted; who is gone, or forgotten, is not asked for again.
#[test]
fn nobody_else_is_declined() {
    let mut bench = Bench::with_two();
    bench.decline(numbered(9), 1);
    bench.tell(Head::Resume { session: SECOND, next: 0 });
    bench.decline(SECOND, 1);
    assert_eq!((bench.stats(), bench.bridge.declined(SECOND)), ([0, 2, 0], None));
    bench.decline(FIRST, 10);
    bench.input(Input::Detach(SOURCE));
    bench.wait(20);
    assert_eq!((bench.opened(), bench.bridge.declined(FIRST)), (vec![], None));
    let mut bench = Bench::with_two();
    bench.decline(FIRST, 10);
    bench.input(Input::Forget(FIRST));
    assert_eq!(bench.bridge.declined(FIRST), None);
    bench.wait(20);
    assert_eq!(bench.opened(), []);
}
