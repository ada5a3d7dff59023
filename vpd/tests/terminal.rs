//! `vpd run` is the terminal: whatever of it is redirected, stopped, put in the background or outlived, the command, the shell
//! and the person see what they would see without it. Each with a real terminal and a real shell, both where nothing streams
//! and where the session streams.

mod program;

use std::{fs, io::Read as _, process::Stdio};

use proto_core::wire::Content;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use program::{
    Home, VPD,
    fake_daemon::{Answer, FakeDaemon, SESSION},
    shell_code,
    window::Window,
};

/// A home, and a daemon where the session is to stream.
struct Setup {
    home: Home,
    daemon: FakeDaemon,
    _runtime: Option<Runtime>,
    work: tempfile::TempDir,
}

impl Setup {
    fn local() -> Self {
        Self { home: Home::new(), daemon: FakeDaemon::default(), _runtime: None, work: tempfile::tempdir().unwrap() }
    }

    fn streaming() -> Self {
        let setup = Self::local();
        let runtime = Some(setup.daemon.serve(&setup.home));
        Self { _runtime: runtime, ..setup }
    }

    /// Both ways, by turns.
    fn both(test: impl Fn(&Self)) {
        test(&Self::local());
        test(&Self::streaming());
    }

    fn shell(&self) -> Window {
        Window::shell(self.home.path(), self.work.path())
    }

    fn script(&self, script: &str) -> Window {
        Window::script(script, self.home.path(), self.work.path())
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.work.path().join(name)).unwrap_or_default()
    }

    /// Wants a script to show the same with `vpd run` in place of `RUN` and with nothing there.
    fn alike(&self, script: &str) -> String {
        let (bare, bare_status) = self.script(&script.replace("RUN", "")).end();
        let (wrapped, status) = self.script(&script.replace("RUN", "$VPD run -q --")).end();
        assert_eq!(wrapped, bare, "{script}");
        assert_eq!(shell_code(status), shell_code(bare_status), "{script}");
        bare
    }
}

/// a1: whatever is piped on to another program on the same terminal, or comes from one, keeps its left margin.
#[test]
fn pipes_on_either_side_keep_the_margin() {
    Setup::both(|setup| {
        let shown = setup.alike("RUN sh -c 'for i in 1 2 3; do echo line $i; done' | cat");
        assert_eq!(shown, "line 1\r\nline 2\r\nline 3\r\n");
        setup.alike("printf 'a\\nb\\n' | RUN cat");
        setup.alike("(echo left >&2; echo x) | RUN sh -c 'read x; echo $x; echo error >&2'");
        setup.alike("RUN sh -c 'echo out; test -t 2 && echo tty >&2' 2>&1 | cat");
        setup.alike("RUN sh -c 'test -t 1 || echo pipe; stty size </dev/tty' > file; cat file");
    });
}

/// Output and error that lead to one pipe come in the order in which they were written.
#[test]
fn the_order_of_one_pipe_is_kept() {
    Setup::both(|setup| {
        let shown = setup.alike("RUN sh -c 'for i in 1 2 3 4 5; do echo out $i; echo error $i >&2; done' 2>&1 | cat");
        assert!(shown.starts_with("out 1\r\nerror 1\r\nout 2\r\n"), "{shown}");
    });
}

/// a4: with all three streams redirected a command that asks on /dev/tty, as ssh and sudo do, can be answered.
#[test]
fn a_prompt_on_the_terminal_is_answered_whatever_is_redirected() {
    Setup::both(|setup| {
        let command = "sh -c 'printf password: >/dev/tty; read x </dev/tty; echo got $x'";
        let mut window = setup.script(&format!("$VPD run -- {command} </dev/null >out 2>&1"));
        window.until("password:");
        window.keys("secret\n");
        let (_, status) = window.end();
        assert_eq!((shell_code(status), setup.file("out").as_str()), (0, "got secret\n"));
    });
}

/// The keys go to the program that reads them: here the one behind the pipe.
#[test]
fn keys_go_to_the_program_behind_the_pipe() {
    Setup::both(|setup| {
        let mut window =
            setup.script("$VPD run -q -- sh -c 'echo a; echo b' | (cat; printf more?; read x </dev/tty; echo got $x)");
        window.until("more?");
        window.keys("yes\n");
        window.until("got yes");
    });
}

/// a5: a command may close its streams and open its terminal later.
#[test]
fn a_command_may_close_its_streams_and_open_its_terminal_later() {
    Setup::both(|setup| {
        let shown = setup.alike(
            "mkfifo f; (echo > f) & RUN sh -c 'exec 0<&- 1>&- 2>&-; read x <f; echo hello >/dev/tty; exit 7'; echo st=$?; rm f",
        );
        assert!(shown.ends_with("hello\r\nst=7\r\n"), "{shown}");
    });
}

/// b1: a job in the background runs; one that reads from there stops until it is brought to the front.
#[test]
fn a_job_in_the_background_behaves_like_one() {
    Setup::both(|setup| {
        let mut window = setup.shell();
        window.line("$VPD run -q -- sh -c 'echo done >bg.txt' & wait; cat bg.txt");
        window.until("done\r\n");
        window.line("$VPD run -q -- sh -c 'read x; echo got-$x' &");
        // The shell tells of it before its next prompt.
        window.line("while [ -z \"$(jobs -s)\" ]; do :; done; echo seen-$((1+1))");
        window.until("seen-2");
        window.line("fg");
        window.until("read x");
        window.keys("abc\n");
        window.until("got-abc");
    });
}

/// b2: Ctrl-Z gives the shell back with the terminal as it was; fg goes on with the command as it was.
#[test]
fn control_z_gives_the_shell_back_and_fg_goes_on() {
    Setup::both(|setup| {
        let mut window = setup.shell();
        let before = window.settings();
        window.line("$VPD run -q -- sh -c 'stty -echo; echo ready; read x; echo got-$x; exit 3'");
        window.until("ready");
        window.keys("\x1a");
        window.until("Stopped");
        window.line("echo shell-$((1+1))");
        window.until("shell-2");
        // The shell reads its next line.
        window.until("$ ");
        let between = window.settings();
        assert_eq!((between.local_modes, between.output_modes), (before.local_modes, before.output_modes));
        window.line("fg; echo status-$?");
        window.until("exit 3");
        window.keys("abc\n");
        window.until("got-abc");
        window.until("status-3");
    });
}

/// A command that is stopped by another process gives the shell back too, and goes on with it.
#[test]
fn a_command_that_is_stopped_from_elsewhere_stops_its_job() {
    Setup::both(|setup| {
        let mut window = setup.shell();
        window.line("$VPD run -q -- sh -c 'echo $$ >pid; echo ready; read x; echo got-$x'");
        window.until("ready");
        let pid = Pid::from_raw(setup.file("pid").trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        window.until("Stopped");
        window.line("fg");
        window.until("read x");
        window.keys("abc\n");
        window.until("got-abc");
    });
}

/// It ends as its command did: by the same signal, or with the same status.
#[test]
fn it_ends_like_its_command() {
    Setup::both(|setup| {
        for (script, code) in
            [("exit 7", 7), ("kill -TERM $$", 143), ("kill -INT $$", 130), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)]
        {
            let end = setup.home.vpd(&["run", "--", "sh", "-c", script]);
            assert_eq!((end.code, end.stderr.as_str()), (code, ""), "{script}");
            let shown = setup.alike(&format!("{{ RUN sh -c '{script}'; echo st=$?; }} 2>/dev/null"));
            assert!(shown.contains(&format!("st={code}\r\n")), "{shown}");
        }
    });
}

/// c1: a signal that was ignored when it was started is ignored, by it and by its command.
#[test]
fn ignored_signals_stay_ignored() {
    Setup::both(|setup| {
        let script = "trap '' HUP; exec $VPD run -- sh -c 'echo ready; read x; echo survived'";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .env("VIEWPORT_HOME", setup.home.path())
            .env("VPD", VPD)
            .env_remove("VPD_SESSION")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 6]).unwrap();
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::HUP).unwrap();
        drop(child.stdin.take());
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), shell_code(child.wait().unwrap())), ("survived\n", 0));
    });
}

/// A signal that is sent to `vpd run` reaches the command, on a terminal and without one.
#[test]
fn signals_reach_the_command() {
    // The shell runs its trap between two commands.
    let command = "sh -c 'trap \"echo caught; exit 5\" TERM; echo ready; while :; do sleep 0.1; done'";
    Setup::both(|setup| {
        let mut window = setup.script(&format!("exec $VPD run -q -- {command}"));
        window.until("ready");
        kill_process(Pid::from_raw(window.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
        window.until("caught");
        assert_eq!(shell_code(window.end().1), 5);
    });
}

/// d1: it ends with its command although something that the command left writes on, for ever.
#[test]
fn it_ends_with_its_command_although_something_writes_on() {
    Setup::both(|setup| {
        let out = fs::File::create(setup.work.path().join("out")).unwrap();
        let mut command = setup.home.command(&["run", "--", "sh", "-c", "yes & echo $! >pid; exit 3"]);
        let status = command.current_dir(setup.work.path()).stdin(Stdio::null()).stdout(out).status().unwrap();
        kill_process(Pid::from_raw(setup.file("pid").trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(shell_code(status), 3);
    });
}

/// What outlives the command writes to where it would have written.
#[test]
fn what_outlives_the_command_is_still_shown() {
    let command = "$VPD run -q -- sh -c '(trap \"\" HUP; read x <f; echo late-$x; rm f) & echo early'";
    Setup::both(|setup| {
        for script in [
            // The command has ended before the other one writes.
            format!("{command}; echo 1 >f; while [ -e f ]; do :; done"),
            format!("{command} >out; echo 1 >f; while [ -e f ]; do :; done; while ! grep -q late out; do :; done; cat out"),
            // A pipe is read until every writer has closed it.
            format!("({command} | cat) & echo 1 >f; wait"),
        ] {
            let mut window = setup.script(&format!("mkfifo f; {script}; read wait"));
            window.until("late-1");
            // What was left behind may write first.
            if !window.text().contains("early") {
                window.until("early");
            }
            window.keys("\n");
            let _ = window.end();
        }
    });
}

/// e6: a size that changes in the first milliseconds reaches the command.
#[test]
fn a_size_that_changes_at_once_reaches_the_command() {
    Setup::both(|setup| {
        for columns in 101..111 {
            let mut window =
                Window::open(VPD, &["run", "-q", "--", "sh", "-c", "read x; stty size"], setup.home.path(), setup.work.path());
            window.resize(50, columns);
            window.keys("\n");
            window.until(&format!("50 {columns}\r\n"));
        }
    });
}

/// F48: a session that streams says to whom and under which id, once, in one line, on a terminal only, and never when told so.
#[test]
fn it_says_to_whom_it_streams() {
    let setup = Setup::streaming();
    let (shown, _) = setup.script("$VPD run -- echo hello").end();
    assert_eq!(shown, format!("vpd: streams to Acme as {SESSION}\r\nhello\r\n"));
    assert_eq!(setup.script("$VPD run -q -- echo hello").end().0, "hello\r\n");
    assert_eq!(setup.home.vpd(&["run", "--", "echo", "hello"]).stderr, "");
}

/// The command knows its session; `vpd run` below it only runs.
#[test]
fn a_command_knows_its_session_and_below_it_nothing_streams_twice() {
    let setup = Setup::streaming();
    let script = "echo $VPD_SESSION $VPD_ORG; $VPD run -- echo below";
    let end: program::End = setup.home.command(&["run", "--", "sh", "-c", script]).env("VPD", VPD).output().unwrap().into();
    assert_eq!((end.stdout, end.stderr.as_str()), (format!("{SESSION} acme\nbelow\n"), ""));
    assert_eq!(setup.daemon.seen.lock().unwrap().attaches.len(), 1);
}

/// On a terminal too the record is what was shown.
#[test]
fn the_record_is_what_the_terminal_showed() {
    let setup = Setup::streaming();
    let (shown, status) = setup.script("exec $VPD run -q -- sh -c 'seq 1 20000; printf \"\\033[1mend\"; exit 4'").end();
    assert_eq!(shell_code(status), 4);
    let output: Vec<u8> = setup
        .daemon
        .contents()
        .iter()
        .flat_map(|content| match content {
            Content::Output(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        })
        .collect();
    assert!(String::from_utf8(output).unwrap() == shown);
}

/// F8, F12: a relay that takes nothing does not delay the command, and what is lost is reported; where all arrived, nothing is
/// said.
#[test]
fn a_relay_that_takes_nothing_does_not_delay_the_command() {
    let home = Home::new();
    let daemon = FakeDaemon { answer: Answer::StreamsNowhere, ..FakeDaemon::default() };
    let _runtime = daemon.serve(&home);
    let end = home.vpd(&["run", "--", "sh", "-c", "echo hello; exit 6"]);
    assert_eq!((end.code, end.stdout.as_str()), (6, "hello\n"));
    assert!(end.stderr.contains("did not reach the relay") && !end.stderr.contains(" 0 bytes"), "{}", end.stderr);
}

/// Whatever ends it, the terminal is as it was.
#[test]
fn the_terminal_is_as_it_was() {
    Setup::both(|setup| {
        for script in ["exit 0", "kill -KILL $$", "stty raw -echo; exit 1"] {
            let mut window = setup.shell();
            let before = window.settings();
            window.line(&format!("$VPD run -q -- sh -c '{script}' 2>&1; stty sane; echo over-$((1+1))"));
            window.until("over-2");
            window.until("$ ");
            assert_eq!(window.settings().output_modes, before.output_modes, "{script}");
        }
    });
}
