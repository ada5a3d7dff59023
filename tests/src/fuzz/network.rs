//! A whole daemon against whole relays, with the fuzzer in control of the network, the power supply and the clock.
//!
//! What must come out in the end is what was put in: an organization's relay has what was shown in its directories and nothing else
//! (ISO-1), each record once, in order, and opening only in its place (SES-1 to SES-3); and no attacker on the path makes a device
//! lose a binding (BIND-6).

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use proto_core::{
    api::PairingMode,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Opener, Scope},
    },
    device::files::SessionFile,
    wire::{Content, Record},
};

use super::sabotage::Sabotage;
use crate::world::{Stored, World};

const ORGS: [&str; 2] = ["acme", "beta"];
/// The most things that happen.
const MAX_STEPS: usize = 96;
/// The most commands.
const MAX_RUNS: usize = 4;

#[derive(Arbitrary, Debug)]
enum Step {
    /// The user runs a command in an organization's directory.
    Run(bool),
    Show {
        run: u8,
        len: u8,
    },
    Exit(u8),
    HangUp(u8),
    /// So many things happen.
    Steps(u8),
    Settle,
    Wait {
        millis: u16,
    },
    /// The next message is not what arrives.
    Sabotage(Sabotage),
    Drop,
    Twice,
    Delay,
    Online(bool),
    Restart {
        org: bool,
    },
    Commits {
        org: bool,
        commits: bool,
    },
    PlatformUp(bool),
    Kill,
}

/// One life of the daemon and the relays, by these steps.
pub fn network(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(steps) = data.arbitrary_iter::<Step>() else { return };
    let mut bench = Bench::new();
    for step in steps.take(MAX_STEPS).flatten() {
        bench.apply(&step);
    }
    bench.check_end();
}

struct Bench {
    world: World,
    /// The organization of each command.
    orgs: Vec<&'static str>,
    exited: Vec<bool>,
    /// What the daemon pinned, also when the session is over.
    pins: Vec<SessionFile>,
}

impl Bench {
    fn new() -> Self {
        let mut world = World::with(&ORGS);
        for (slug, mode) in ORGS.into_iter().zip([PairingMode::New, PairingMode::Add]) {
            world.pair_with(slug, mode);
            world.bind(&directory(slug), slug).expect("a binding");
        }
        Self { world, orgs: Vec::new(), exited: Vec::new(), pins: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Run(org) => self.run(ORGS[usize::from(*org)]),
            Step::Show { run, len } => {
                if let Some(run) = self.running(*run) {
                    let text = format!("{}{run}:{}", self.orgs[run], "x".repeat((*len).into()));
                    self.world.show(run, &text);
                }
            }
            Step::Exit(run) => {
                if let Some(run) = self.running(*run) {
                    self.world.exit(run);
                    self.exited[run] = true;
                }
            }
            Step::HangUp(run) => {
                if let Some(run) = self.running(*run) {
                    self.world.hang_up(run);
                    self.world.come_back(run);
                }
            }
            Step::Steps(steps) => world.steps((*steps).into()),
            Step::Settle => world.settle(),
            Step::Wait { millis } => world.pass(Duration::from_millis((*millis).into())),
            Step::Sabotage(sabotage) => {
                if let Some(message) = world.under_way() {
                    world.replace(vec![sabotage.apply(&message)]);
                }
            }
            Step::Drop => world.replace(Vec::new()),
            Step::Twice => {
                if let Some(message) = world.under_way() {
                    world.replace(vec![message.clone(), message]);
                }
            }
            Step::Delay => world.delay(),
            Step::Online(is_online) => world.set_online(*is_online),
            Step::Restart { org } => world.restart_relay(ORGS[usize::from(*org)]),
            Step::Commits { org, commits } => world.set_commits(ORGS[usize::from(*org)], *commits),
            Step::PlatformUp(is_up) => world.platform.is_up = *is_up,
            Step::Kill => {
                world.kill();
                world.boot();
            }
        }
        self.remember_pins();
        self.check_isolation();
    }

    fn run(&mut self, slug: &'static str) {
        if self.orgs.len() < MAX_RUNS {
            self.world.begin_run(&directory(slug));
            self.orgs.push(slug);
            self.exited.push(false);
        }
    }

    /// One of the commands that still run.
    fn running(&self, which: u8) -> Option<usize> {
        let at = usize::from(which).checked_rem(self.orgs.len())?;
        (!self.exited[at]).then_some(at)
    }

    fn remember_pins(&mut self) {
        for pin in self.world.laptop.pins() {
            if self.pins.iter().all(|known| known.session != pin.session) {
                self.pins.push(pin);
            }
        }
    }

    /// ISO-1: whatever a relay has so far, it is of its own organization, and the beginning of what was shown there.
    fn check_isolation(&self) {
        for slug in ORGS {
            let org = self.world.org(slug);
            let stored = self.world.relays.values().flat_map(|relay| relay.store.values()).filter(|stored| stored.org == org);
            for stored in stored {
                let run = self.world.laptop.runs.iter().position(|run| run.id() == Some(stored.session));
                assert!(run.is_none_or(|run| self.orgs[run] == slug), "ISO-1: a session of another organization");
            }
        }
    }

    /// Everything works again, and there is time: everything has arrived.
    fn check_end(&mut self) {
        let world = &mut self.world;
        world.platform.is_up = true;
        world.set_online(true);
        for slug in ORGS {
            world.set_commits(slug, true);
        }
        world.pass(Duration::from_mins(12));
        for run in 0..self.orgs.len() {
            if !self.exited[run] {
                self.world.exit(run);
            }
        }
        self.world.pass(Duration::from_mins(12));
        self.remember_pins();
        assert_eq!(self.world.laptop.config().bindings.len(), ORGS.len(), "BIND-6: a binding was lost");
        for run in 0..self.orgs.len() {
            self.check_run(run);
        }
    }

    fn check_run(&self, number: usize) {
        let run = &self.world.laptop.runs[number];
        // A command that began while its daemon died was never attached: it streams nothing.
        let Some(session) = run.id() else { return };
        assert_eq!(run.org(), Some(&self.world.org(self.orgs[number])), "ISO-1");
        assert!(run.is_delivered(), "SES-2: a session that is not whole: {:?}", run.cut);
        let stored = self.world.relays.values().find_map(|relay| relay.session(session)).expect("SES-2: something arrived");
        let pin = self.pins.iter().find(|pin| pin.session == session).expect("a stored session was pinned");
        let contents = opened(stored, pin);
        assert_eq!(contents, run.shown, "SES-1, SES-2");
    }
}

fn directory(slug: &str) -> String {
    format!("/work/{slug}")
}

/// What the records say, each opened in its place (SES-3).
fn opened(stored: &Stored, pin: &SessionFile) -> Vec<Content> {
    let cipher = Cipher::from_byte(pin.cipher).expect("a cipher");
    let scope = Scope { org: pin.workspace_id.clone(), session: pin.session, cipher };
    let mut opener = Opener::new(&PureRust, scope, 0, EpochSecret::new(pin.secret.clone()));
    let records = (0..).zip(&stored.records).map(|(sequence, sealed)| {
        let mut plain = Vec::new();
        opener.open(sealed.epoch, sequence, &sealed.body, &mut plain).expect("SES-3: opens in its place");
        Record::decode(&plain.into()).expect("a record").content
    });
    records.collect()
}
