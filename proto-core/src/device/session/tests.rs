mod frames;
mod room;

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use super::*;
use crate::{
    crypto::{PureRust, seal::Opener},
    secret::Secret,
    wire::Title,
};

const ID: SessionId = SessionId([7; 16]);

fn session() -> Session {
    Session::new(&PureRust, scope(), secret(), Instant::ZERO)
}

fn scope() -> Scope {
    Scope { org: "org".parse().unwrap(), session: ID, cipher: Cipher::ChaCha20Poly1305 }
}

fn secret() -> EpochSecret {
    EpochSecret::new(Secret::new([1; 32]))
}

fn feed(session: &mut Session, input: Input) -> Vec<Frame> {
    session.handle_input(Instant::ZERO, input).unwrap();
    drain(session)
}

fn drain(session: &mut Session) -> Vec<Frame> {
    core::iter::from_fn(|| session.poll_output()).map(|Output::Send(frame)| frame).collect()
}

fn output(text: &str) -> Input {
    Input::Push(Content::Output(Bytes::copy_from_slice(text.as_bytes())))
}

fn resume(next: u64) -> Input {
    Input::Frame(Head::Resume { session: ID, next }.into())
}

fn acknowledge(next: u64) -> Input {
    Input::Frame(Head::Acknowledge { session: ID, next }.into())
}

fn sequences(frames: &[Frame]) -> Vec<u64> {
    frames.iter().filter_map(|f| if let Head::Data { sequence, .. } = f.head { Some(sequence) } else { None }).collect()
}

#[test]
fn nothing_is_sent_before_the_relay_said_where_to_go_on() {
    let mut s = session();
    assert_eq!(feed(&mut s, output("a")), []);
    let open = |source_first: u64| {
        let body = Bytes::copy_from_slice(&source_first.to_be_bytes());
        Frame { head: Head::Open { session: ID, cipher: 2 }, body }
    };
    assert_eq!(feed(&mut s, Input::Attached), [open(0)]);
    assert_eq!(feed(&mut s, output("b")), []);
    assert_eq!(sequences(&feed(&mut s, resume(0))), [0, 1]);
    assert_eq!(sequences(&feed(&mut s, output("c"))), [2]);
}

/// SES-1, SES-2: after a reconnect the stream goes on where the relay's durable records end, with the same bytes.
#[test]
fn a_reconnect_rewinds_to_the_durable_end_and_repeats_the_same_bytes() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    let first: Vec<_> = ["a", "b", "c"].into_iter().flat_map(|t| feed(&mut s, output(t))).collect();
    feed(&mut s, acknowledge(1));
    feed(&mut s, Input::Detached);
    assert_eq!(feed(&mut s, output("d")), []);
    feed(&mut s, Input::Attached);
    let again = feed(&mut s, resume(2));
    assert_eq!(sequences(&again), [2, 3]);
    assert_eq!(again[0], first[2]);
}

#[test]
fn it_finishes_only_when_the_end_itself_is_durable() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    feed(&mut s, output("a"));
    assert_eq!(feed(&mut s, Input::End(Outcome::Exited)), []);
    let end = Head::End { session: ID, next: 1, outcome: Outcome::Exited };
    assert_eq!(feed(&mut s, acknowledge(1)), [end.clone().into()]);
    // A repeated acknowledgement of the last record is none of the end.
    feed(&mut s, acknowledge(1));
    assert!(matches!(s.status(), Status::Running { .. }));
    // The answer is lost; after the reconnect the relay says that it has everything.
    feed(&mut s, Input::Detached);
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(2));
    assert_eq!(s.status(), Status::Finished);
    assert_eq!(feed(&mut s, output("late")), []);
    assert_eq!(s.stats().pushed_after_end, 1);
}

/// SES-2: where the relay wants to go on says what it received, not what is durable there. When it then loses that, the records
/// are still here.
#[test]
fn a_resume_forgets_nothing() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    let first: Vec<_> = ["a", "b"].into_iter().flat_map(|t| feed(&mut s, output(t))).collect();
    feed(&mut s, Input::Attached);
    assert_eq!(feed(&mut s, resume(2)), []);
    feed(&mut s, Input::Attached);
    assert_eq!(feed(&mut s, resume(0)), first);
    feed(&mut s, acknowledge(2));
    assert_eq!(s.pending_bytes(), 0);
}

/// S118: a cut ends the streaming, for good, and keeps nothing.
#[test]
fn a_cut_ends_it() {
    let mut s = session();
    feed(&mut s, output("a"));
    feed(&mut s, Input::Frame(Head::Revoke { reason: Reason::MachineRevoked }.into()));
    assert_eq!(s.status(), Status::Failed(&Reason::MachineRevoked));
    assert_eq!(s.pending_bytes(), 0);
    assert_eq!(feed(&mut s, Input::Attached), []);
}

/// SES-3: full means push back, with nothing dropped; and only a window of it is on its way at once.
#[test]
fn a_full_buffer_pushes_back_and_loses_nothing() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    let chunk = Bytes::from(vec![0; MAX_RECORD_CONTENT]);
    let mut sent = Vec::new();
    while s.has_room() {
        sent.extend(feed(&mut s, Input::Push(Content::Output(chunk.clone()))));
    }
    let in_flight: usize = sent.iter().map(|f| f.body.len()).sum();
    assert!((MAX_IN_FLIGHT..MAX_IN_FLIGHT + 2 * MAX_RECORD_CONTENT).contains(&in_flight));
    let refused = s.handle_input(Instant::ZERO, Input::Push(Content::Output(chunk)));
    assert_eq!(refused, Err(Misuse::Full("session buffer")));
    let next = sent.len() as u64;
    assert_eq!(sequences(&feed(&mut s, acknowledge(next))).first(), Some(&next));
    assert!(s.has_room());
}

/// SES-4 for the way out: content of any size comes back whole, in records of bounded size.
#[test]
fn long_content_is_split_and_comes_back_whole() {
    for size in [0, 1, MAX_RECORD_CONTENT - 1, MAX_RECORD_CONTENT, MAX_RECORD_CONTENT + 1, 2 * MAX_RECORD_CONTENT + 1] {
        let text: Vec<u8> = (0..=250_u8).cycle().take(size).collect();
        let joined: Vec<u8> = pieces(Content::Output(Bytes::from(text.clone())))
            .flat_map(|piece| match piece {
                Content::Output(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= MAX_RECORD_CONTENT);
                    bytes.to_vec()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(joined, text);
    }
}

#[test]
fn a_relay_that_lost_its_records_fails_the_session_instead_of_leaving_a_gap() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    feed(&mut s, output("a"));
    feed(&mut s, acknowledge(1));
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    assert_eq!(s.status(), Status::Failed(&Reason::RecordsLost));
}

/// D14: what leaves is sealed, and opens with the secret, the org and the session it was made for.
#[test]
fn what_leaves_is_sealed_and_opens_again() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    let title = Title { command: String::from("bash"), directory: "~/x".into(), started: 1, columns: 80, rows: 24 };
    let content = Content::Title(title);
    s.handle_input(Instant::ZERO.after(Duration::from_millis(5)), Input::Push(content.clone())).unwrap();
    let frames = drain(&mut s);
    let Head::Data { epoch, sequence, .. } = frames[0].head else { panic!() };
    assert!(!frames[0].body.windows(4).any(|w| w == b"bash"));
    let mut plain = Vec::new();
    Opener::new(&PureRust, scope(), 0, secret()).open(epoch, sequence, &frames[0].body, &mut plain).unwrap();
    assert_eq!(Record::decode(&plain.into()), Ok(Record { at: Duration::from_millis(5), content }));
}

/// L6: a driver that does not take what the session says is told so, and what it wanted has not happened.
#[test]
fn an_undrained_session_refuses_inputs() {
    let mut s = session();
    let taken = core::iter::repeat_with(|| s.handle_input(Instant::ZERO, Input::Attached)).take_while(Result::is_ok).count();
    assert_eq!(taken, crate::Outbox::<Output>::LIMIT);
    let before = s.clone();
    assert_eq!(s.handle_input(Instant::ZERO, Input::End(Outcome::Cut)), Err(Misuse::Full("outputs")));
    assert_eq!(s, before);
    drain(&mut s);
    assert_eq!(s.handle_input(Instant::ZERO, Input::End(Outcome::Cut)), Ok(()));
}
