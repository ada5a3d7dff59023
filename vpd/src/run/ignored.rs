//! Signals that our parent had ignored (`nohup`, a shell's `&` without job control): they stay ignored, here and in the
//! command. Listening for one would take that from both.

use std::fs;

/// A set of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ignored(u64);

/// What is ignored now: to be asked before anything is listened for. The kernel tells on Linux; elsewhere none is known.
pub(crate) fn signals() -> Ignored {
    fs::read_to_string("/proc/self/status").map(|status| Ignored::parse(&status)).unwrap_or_default()
}

impl Ignored {
    /// Reads the line `SigIgn` of `/proc/PID/status` (proc(5)): a mask in hexadecimal, whose lowest bit is signal 1.
    fn parse(status: &str) -> Self {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default())
    }

    /// Whether this signal, by its number, is ignored.
    pub(crate) fn contains(self, signal: i32) -> bool {
        let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
        bit.and_then(|bit| self.0.checked_shr(bit)).is_some_and(|rest| rest & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_the_kernel_is_understood() {
        let ignored = Ignored::parse("Name:\tvpd\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0\n");
        assert_eq!([1, 2, 3, 13, 15].map(|signal| ignored.contains(signal)), [true, true, false, true, false]);
        assert!(!ignored.contains(0) && !ignored.contains(-1) && !ignored.contains(99));
        assert_eq!(Ignored::parse("Name:\tvpd"), Ignored::default());
    }
}
