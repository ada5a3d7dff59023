//! Machines beside their reference models (`verification::models`), through random facts and passing time.

mod admission;
mod bindings;
mod channel;
mod consent;
mod files;
mod handshake;
mod jwt;
mod key_ring;
mod keyset;
mod limiter;
mod link;
mod pairing;
mod pairing_code;
mod rate;
mod renewal;
mod revocations;
mod rotation;
mod routes;
mod session;
mod spool;
mod watcher;
mod whole;
