//! How often a caller may act, and how long one waits that failed (PAIR-12, F26): lists of all that happened, counted anew for each
//! question.

/// All acts of one key, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Acts(Vec<u64>);

impl Acts {
    /// Whether one more act is within `most` in any `window`; if not, after how many seconds it is.
    ///
    /// # Errors
    /// The seconds.
    pub fn act(&mut self, now: u64, most: usize, window: u64) -> Result<(), u64> {
        let recent: Vec<u64> = self.0.iter().copied().filter(|at| now - at < window).collect();
        if most > 0 && recent.len() >= most {
            return Err(recent[recent.len() - most] + window - now);
        }
        self.0.push(now);
        Ok(())
    }
}

/// All failures of one key, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Failures(Vec<u64>);

impl Failures {
    /// One more.
    pub fn fail(&mut self, now: u64) {
        self.0.push(now);
    }

    /// The seconds until the next try: after `free` failures in a row, each within `forgotten_after` of the one before, it is
    /// `first`, and twice as long after each further one, at most `most`.
    pub fn left(&self, now: u64, free: usize, first: u64, most: u64, forgotten_after: u64) -> u64 {
        let mut in_a_row = 0;
        let mut later = now;
        for at in self.0.iter().rev() {
            if later - at >= forgotten_after {
                break;
            }
            in_a_row += 1;
            later = *at;
        }
        let mut wait = 0;
        for failure in 1..=in_a_row {
            wait = if failure <= free {
                0
            } else if wait == 0 {
                first.min(most)
            } else {
                (wait * 2).min(most)
            };
        }
        self.0.last().map_or(0, |last| (last + wait).saturating_sub(now))
    }
}
