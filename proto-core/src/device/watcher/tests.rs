//! What a watcher decides.

mod bench;
mod choices;
mod goals;
mod pairing;
mod viewing;

use bench::*;
