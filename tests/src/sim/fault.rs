//! The faults, each by its name, and how often each was injected.

use std::fmt;

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A fault. It counts as injected when it hit something, not when it was planned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Fault {
            /// Every fault, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in tables and stories.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

faults! {
    /// A packet is lost. Below a WebSocket that is a stall; a request or its answer is lost for good.
    Drop = "drop",
    /// A proxy sends a request twice: the platform answers it twice, and one answer arrives.
    Duplicate = "duplicate",
    /// An answer is overtaken by later ones.
    Reorder = "reorder",
    /// Everything takes longer, always by the same time.
    Delay = "delay",
    /// Everything takes longer, always by another time.
    JitterRng = "jitter",
    /// Nothing passes for a while, then everything at once.
    Clog = "clog",
    /// So many bytes a second and no more.
    SlowDrip = "slow drip",
    /// A message or an answer arrives without its end.
    Truncate = "truncate",
    /// A box on the way changes a bit of a message; below TLS that is a broken connection.
    BitFlip = "bit flip",
    /// A connection is reset while messages are on their way.
    Reset = "reset in mid-frame",
    /// A connection is dead, and neither end is told.
    HalfOpen = "half-open",
    /// Nothing passes in either direction.
    Partition = "symmetric partition",
    /// Nothing passes in one direction.
    OneWay = "one-way partition",
    /// The relay takes connections and closes them at once.
    AcceptThenClose = "accept-then-close",
    /// Every request is answered with a captive portal's page.
    CaptiveHtml = "captive HTML",
    /// An attacker answers in the relay's place, with other keys.
    Mitm = "MITM swap of keys",
    /// The machine sleeps: its monotonic clock stands still.
    Suspend = "suspend",
    /// The wall clock is set forward.
    JumpForward = "wall jump forward",
    /// The wall clock is set back.
    JumpBack = "wall jump back",
    /// The relay's wall clock is off by more than is allowed.
    Skew = "skew beyond allowance",
    /// A timer fires before its time.
    TimerEarly = "timer early",
    /// Timers fire after their time.
    TimerLate = "timer late",
    /// The process dies.
    Kill = "kill",
    /// The process dies while it recovers from that.
    KillInRecovery = "kill during recovery",
    /// The process is stopped and goes on later.
    Pause = "pause",
    /// A newer program takes over, and writes what the older one does not know.
    Upgrade = "upgrade",
    /// An older program finds files of a newer one.
    Downgrade = "downgrade",
    /// Two daemons on copies of one home.
    TwoDaemons = "two daemons",
    /// The relay's process dies.
    RelayKill = "relay kill",
    /// The relay's store makes nothing durable for a while.
    RelayStall = "relay store stall",
    /// The disk is full.
    NoSpace = "ENOSPC",
    /// The disk fails.
    Io = "EIO",
    /// The power goes in the middle of a write.
    TornWrite = "torn write",
    /// The disk says that writes are durable, and they are not when the power goes.
    LostFsync = "lost fsync",
    /// A rename is undone by a loss of power.
    LostRename = "rename lost",
    /// An older version of a file is read.
    StaleRead = "stale read",
    /// A bit of a file changes.
    BitRot = "bit rot",
    /// The state files belong to another user.
    Permissions = "permissions changed",
    /// The platform answers 429 and asks for patience.
    TooMany = "429",
    /// The platform tells pairings to slow down.
    SlowDown = "slow_down",
    /// The platform answers 5xx.
    ServerError = "5xx burst",
    /// The platform signs with another key.
    KeyRotation = "key rotation",
    /// The platform gives no key set.
    JwksOutage = "JWKS outage",
    /// Access is withdrawn while it is being granted.
    RevocationRace = "revocation race",
    /// A recorded message is replayed by an attacker.
    Replay = "attacker: replay",
    /// The relay sends what was not asked for.
    LyingRelay = "attacker: lying relay",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each fault was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally(Vec<u64>);

impl Default for Tally {
    fn default() -> Self {
        Self(vec![0; Fault::ALL.len()])
    }
}

impl Tally {
    /// It hit something.
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often it did.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }

    /// The faults that never hit anything.
    pub fn missing(&self) -> Vec<Fault> {
        Fault::ALL.iter().copied().filter(|fault| self.of(*fault) == 0).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in Fault::ALL.chunks(3) {
            let cells = row.iter().map(|fault| format!("{:<24}{:>8}", fault.name(), self.of(*fault)));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("    ").trim_end())?;
        }
        Ok(())
    }
}
