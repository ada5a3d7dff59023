//! The platform through its router: real pages, real SQLite, virtual time.

mod access;
mod credentials;
mod isolation;
mod pairing;
mod relay;
mod serving;
mod support;
mod workspace;
