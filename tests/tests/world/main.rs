//! Everything together, in memory: the real machines of the daemon, the relay and the viewers, on virtual time.

mod pairing;
