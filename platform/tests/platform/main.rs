//! The platform through its router: real pages, real SQLite, virtual time.

mod access;
mod credentials;
mod faults;
mod isolation;
mod organization_key;
mod pairing;
mod relay;
mod routes;
mod serving;
mod support;
mod workspace;
