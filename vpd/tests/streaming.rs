//! `vpd run` in a bound directory, against a daemon that does just what the test needs: the record is what the terminal
//! showed, and nothing that happens to the daemon reaches the command.

mod program;

use proto_core::{
    Reason,
    device::control::Attach,
    wire::{Content, Outcome},
};

use program::{
    Home,
    fake_daemon::{Answer, FakeDaemon, SESSION},
};

fn output_of(contents: &[Content]) -> Vec<u8> {
    let bytes = contents.iter().filter_map(|content| if let Content::Output(bytes) = content { Some(&bytes[..]) } else { None });
    bytes.collect::<Vec<_>>().concat()
}

/// SES-1: title first, then every byte in order, then the exit, then the end.
#[test]
fn the_record_is_what_was_shown() {
    let (home, daemon) = (Home::new(), FakeDaemon::default());
    let _runtime = daemon.serve(&home);
    let end = home.vpd(&["run", "--", "sh", "-c", "seq 1 50000; exit 4"]);
    assert_eq!((end.code, end.stderr.as_str()), (4, ""));
    let contents = daemon.contents();
    assert!(matches!(&contents[0], Content::Title(title) if title.command == "sh -c 'seq 1 50000; exit 4'"), "{:?}", contents[0]);
    assert_eq!(contents.last(), Some(&Content::Exit { status: 4 }));
    assert!(output_of(&contents) == end.stdout.as_bytes());
    assert_eq!(daemon.seen.lock().unwrap().ended, Some(Outcome::Exited));
}

/// SES-1, SES-2 and the design's section 8: the connection breaks again and again, and nothing is lost or doubled.
#[test]
fn a_daemon_that_goes_and_comes_back_loses_nothing() {
    let (home, daemon) = (Home::new(), FakeDaemon::default());
    daemon.drops.lock().unwrap().extend([1, 2, 3, 5]);
    let _runtime = daemon.serve(&home);
    let end = home.vpd(&["run", "--", "sh", "-c", "seq 1 200000"]);
    assert_eq!((end.code, end.stderr.as_str()), (0, ""));
    assert!(output_of(&daemon.contents()) == end.stdout.as_bytes());
    let seen = daemon.seen.lock().unwrap();
    assert!(matches!(seen.attaches[0], Attach::Start { .. }));
    assert_eq!(seen.attaches[1..], [(); 4].map(|()| Attach::Again { session: SESSION }));
}

/// S94: not bound means local only, without a word; where there is a reason, it is said once.
#[test]
fn what_does_not_stream_runs_all_the_same() {
    for (reason, said) in [(None, ""), (Some(Reason::GrantMissing), "grant_missing")] {
        let home = Home::new();
        let daemon = FakeDaemon { answer: Answer::LocalOnly(reason), ..FakeDaemon::default() };
        let _runtime = daemon.serve(&home);
        let end = home.vpd(&["run", "--", "echo", "hello"]);
        assert_eq!((end.code, end.stdout.as_str()), (0, "hello\n"));
        assert_eq!(end.stderr.is_empty(), said.is_empty());
        assert!(end.stderr.contains(said), "{}", end.stderr);
        assert!(daemon.seen.lock().unwrap().records.is_empty());
    }
}
