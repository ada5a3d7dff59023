//! What a piece of work took of the process that did it.

use std::{fmt, fs, process::Command};

use rustix::time::{ClockId, clock_gettime};

/// What it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Nanoseconds of CPU time, of the program and of the kernel for it.
    pub(crate) cpu: u64,
    /// KiB of resident memory at most, beyond what was resident before the work.
    pub(crate) grown: u64,
    /// KiB of resident memory at most, in all.
    pub(crate) whole: u64,
}

impl Reading {
    /// Does `work` in this process.
    pub(crate) fn of(work: impl FnOnce()) -> Self {
        let (cpu, resident) = (cpu_time(), status("VmRSS"));
        work();
        let whole = status("VmHWM");
        Self { cpu: cpu_time() - cpu, grown: whole.saturating_sub(resident), whole }
    }

    /// The reading of this program, run again with `arguments`.
    ///
    /// # Panics
    /// When that fails: there is nothing to compare then.
    pub(crate) fn in_a_process(arguments: &[&str]) -> Self {
        let itself = std::env::current_exe().expect("this program has a path");
        let done = Command::new(itself).args(arguments).output().expect("this program runs again");
        let said = String::from_utf8_lossy(&done.stdout);
        let numbers: Vec<_> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [cpu, grown, whole] if done.status.success() => Self { cpu, grown, whole },
            _ => panic!("{arguments:?}: {}{said}{}", done.status, String::from_utf8_lossy(&done.stderr)),
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.cpu, self.grown, self.whole)
    }
}

fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("time goes on")
}

/// A number of KiB in what the kernel says about this process.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells about this process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("this is told");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
