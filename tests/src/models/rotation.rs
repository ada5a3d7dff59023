//! The renewal of a credential (ROT-1 to ROT-3, D8, S185, S186): what the platform has, what the device has, and when it asks.

/// A credential. Times are seconds since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its generation.
    pub generation: u64,
    /// No connection from then on.
    pub soft: u64,
    /// No renewal from then on.
    pub hard: u64,
}

/// Device and platform.
#[derive(Clone, Debug)]
pub struct Renewals {
    /// What the device uses.
    pub device: Credential,
    /// What it was told to make durable.
    pub offered: Option<Credential>,
    /// The platform's generation.
    pub platform: u64,
    /// When each attempt began.
    pub attempts: Vec<u64>,
    /// Whether it was said that only pairing again helps.
    pub is_lapsed: bool,
}

impl Renewals {
    /// Attempts in an hour, at most (ROT-3).
    pub const PER_HOUR: usize = 12;

    /// Both have `credential`.
    pub const fn new(credential: Credential) -> Self {
        Self { device: credential, offered: None, platform: credential.generation, attempts: Vec::new(), is_lapsed: false }
    }

    /// The device asks for the generation after `generation`.
    ///
    /// # Panics
    /// When it asks too often, too late, or for another one (ROT-2, ROT-3).
    pub fn ask(&mut self, now: u64, generation: u64) {
        assert!(now < self.device.hard, "ROT-3: an attempt at {now}, past the hard expiry");
        assert_eq!(generation, self.device.generation, "ROT-2");
        let recent = self.attempts.iter().filter(|at| now - **at < 3_600).count();
        assert!(recent < Self::PER_HOUR, "ROT-3: {recent} attempts within the hour before {now}");
        self.attempts.push(now);
    }

    /// What the platform answers: the generation after that, the same one when it is asked again (ROT-2), nothing when it is
    /// beyond.
    pub fn renew(&mut self, now: u64, generation: u64) -> Option<Credential> {
        if self.platform == generation {
            self.platform += 1;
        }
        (self.platform == generation + 1).then_some(Credential {
            generation: self.platform,
            soft: now + 3_600,
            hard: now + 2_592_000,
        })
    }

    /// The device is handed a credential to make durable.
    ///
    /// # Panics
    /// When its generation falls, or is far from the platform's (ROT-2).
    pub fn offer(&mut self, credential: Credential) {
        assert_eq!(credential.generation, self.device.generation + 1, "ROT-2");
        assert!(self.platform.abs_diff(credential.generation) <= 1, "ROT-2");
        self.offered = Some(credential);
    }

    /// It is durable: from now on, and not before, it is used (ROT-1).
    pub fn stored(&mut self) -> bool {
        let offered = self.offered.take();
        self.device = offered.unwrap_or(self.device);
        offered.is_some()
    }
}
