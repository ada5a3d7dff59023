//! One subject per machine of the core: how it starts, and what it may hear.

mod admission;
mod binding;
mod code;
mod consent;
mod credential;
mod handshake;
mod hub;
mod keyset;
mod link;
mod pairing;
mod session;
mod world;
