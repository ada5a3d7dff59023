//! The platform through its router: real pages, real SQLite, virtual time.

mod access;
mod credentials;
mod isolation;
mod pairing;
mod relay;
mod support;
mod workspace;
