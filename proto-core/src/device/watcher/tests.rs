//! What a watcher decides.

mod bench;
mod goals;
mod pairing;
mod viewing;

use bench::*;
