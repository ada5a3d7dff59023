//! One subject per machine of the core: how it starts, and what it may hear.

mod admission;
mod binding;
mod bridge;
mod code;
mod consent;
mod credential;
mod daemon;
mod device;
mod handshake;
mod hub;
mod keyset;
mod link;
mod network;
mod pairing;
mod peer;
mod session;
mod uplink;
mod viewer;
mod world;
