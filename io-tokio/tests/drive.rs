//! The loop around a machine, in virtual time.

use std::{collections::VecDeque, time::Duration};

use io_tokio::{Clock, DriverLoop, MachineIo, Next, Perform, drive};
use proto_core::{Deadline, Instant, Machine, Misuse, Status};
use tokio::sync::mpsc;

/// Writes down what it is told and when, asks to be woken every second, and ends with the fact 0.
struct Diary {
    next_second: Instant,
    written: VecDeque<String>,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("never")]
struct Never;

impl Machine for Diary {
    type Input = u32;
    type Output = String;
    type Failure = Never;
    type Timer = &'static str;

    fn handle_input(&mut self, now: Instant, input: u32) -> Result<(), Misuse> {
        if input > 100 {
            return Err(Misuse::OutOfRange("input"));
        }
        self.ended = input == 0;
        self.written.push_back(format!("{input} after {}", now.as_nanos() / 1_000_000_000));
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.next_second = now.after(Duration::from_secs(1));
        self.written.push_back("second".to_owned());
    }

    fn poll_output(&mut self) -> Option<String> {
        self.written.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        (!self.ended).then(|| Deadline::new(self.next_second, "tick"))
    }

    fn status(&self) -> Status<'_, Never> {
        if self.ended { Status::Finished } else { Status::Running { waiting_for: "a number" } }
    }

    fn ignored(&self) -> u64 {
        0
    }
}

struct DiaryHost {
    inputs: mpsc::UnboundedReceiver<u32>,
    read: Vec<String>,
}

impl MachineIo<Diary> for DiaryHost {
    async fn inputs(&mut self, _: &Diary, inputs: &mut Vec<u32>) -> Next {
        inputs.push(self.inputs.recv().await.unwrap_or(0));
        Next::GoOn
    }
}

impl Perform<Diary> for DiaryHost {
    fn perform(&mut self, output: String) {
        self.read.push(output);
    }
    fn refused(&mut self, misuse: Misuse) {
        self.read.push(misuse.to_string());
    }
}

fn scene() -> (Diary, DiaryHost, mpsc::UnboundedSender<u32>) {
    let (sender, inputs) = mpsc::unbounded_channel();
    let diary = Diary { next_second: Instant::from_nanos(1_000_000_000), written: VecDeque::new(), ended: false };
    (diary, DiaryHost { inputs, read: Vec::new() }, sender)
}

/// L10: a fact that arrives late finds the machine as if it had been woken in time.
#[tokio::test(start_paused = true)]
async fn what_was_due_comes_before_what_arrived() {
    let (mut diary, mut host, sender) = scene();
    let mut clock = Clock::start();
    sender.send(7).unwrap();
    sender.send(0).unwrap();
    tokio::time::advance(Duration::from_millis(5500)).await;
    drive(&mut diary, &mut DriverLoop::new(clock.wall()), &mut clock, &mut host).await;
    assert_eq!(host.read, ["second", "7 after 5", "0 after 5"]);
}

#[tokio::test(start_paused = true)]
async fn deadlines_wake_the_machine_and_the_last_output_is_performed() {
    let (mut diary, mut host, sender) = scene();
    let mut clock = Clock::start();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let _ = sender.send(101);
        let _ = sender.send(0);
    });
    drive(&mut diary, &mut DriverLoop::new(clock.wall()), &mut clock, &mut host).await;
    assert_eq!(host.read, ["second", "second", "argument out of range: input", "0 after 2"]);
}

/// However many facts wait, other tasks of the thread get their turns.
#[tokio::test(start_paused = true)]
async fn a_flood_of_facts_starves_no_other_task() {
    struct Flood(u32);
    impl MachineIo<Diary> for Flood {
        async fn inputs(&mut self, _: &Diary, inputs: &mut Vec<u32>) -> Next {
            self.0 -= 1;
            inputs.push(self.0);
            Next::GoOn
        }
    }
    impl Perform<Diary> for Flood {
        fn perform(&mut self, _: String) {}
        fn refused(&mut self, _: Misuse) {}
    }
    let (mut diary, _, _sender) = scene();
    let (mut clock, mut flood) = (Clock::start(), Flood(100_000));
    let mut started = DriverLoop::new(clock.wall());
    let mut turns = 0;
    tokio::select! {
        biased;
        () = drive(&mut diary, &mut started, &mut clock, &mut flood) => {}
        () = async { loop { turns += 1; tokio::task::yield_now().await } } => {}
    }
    assert!(turns > 1000, "{turns}");
}
