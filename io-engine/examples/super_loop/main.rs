//! Fetches a platform's key set with an adapter and a loop that have no runtime:
//! `cargo run -p io-engine --example super_loop -- http://localhost:8080/api/.well-known/jwks.json`.

mod adapter;
mod driver;

use io_engine::{DriverLoop, Network, Next, Perform, fresh_jitter, wall_clock};
use proto_core::{
    Deadline, Misuse,
    effect::Effect,
    keyset::{EffectId, Input, KeySet, Output},
};

use adapter::SuperLoop;
use driver::MachineIo;

fn main() {
    let Some(url) = std::env::args().nth(1) else { return eprintln!("usage: super_loop URL") };
    let mut adapter = SuperLoop::new(None, Network::default());
    let wall = wall_clock(adapter.now());
    let mut keys = KeySet::new(wall.at(), url, fresh_jitter());
    let mut host = Fetch { wanted: Vec::new(), next: Next::GoOn };
    driver::drive(&mut keys, &mut DriverLoop::new(wall), &mut adapter, &mut host);
    adapter.shutdown();
}

/// Until there is a key set, or an attempt that failed.
struct Fetch {
    wanted: Vec<Effect<EffectId>>,
    next: Next,
}

impl MachineIo<KeySet, EffectId> for Fetch {
    fn inputs(&mut self, adapter: &mut SuperLoop<EffectId>, deadline: Option<Deadline>, inputs: &mut Vec<Input>) -> Next {
        if self.next == Next::GoOn {
            inputs.extend(adapter.next(deadline).map(Input::Io));
        }
        self.next
    }

    fn flush(&mut self, adapter: &mut SuperLoop<EffectId>) {
        self.wanted.drain(..).for_each(|effect| adapter.perform(effect));
    }
}

impl Perform<KeySet> for Fetch {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(effect) => self.wanted.push(effect),
            Output::Refreshed { keys } => {
                println!("{keys} keys");
                self.next = Next::Stop;
            }
            Output::Stale { reason, .. } => {
                eprintln!("no keys: {reason}");
                self.next = Next::Stop;
            }
            Output::Found { .. } | Output::Unknown { .. } | Output::Unreachable { .. } => {}
        }
    }

    fn refused(&mut self, misuse: Misuse) {
        eprintln!("{misuse}");
    }
}
