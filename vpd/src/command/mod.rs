//! The commands that ask the daemon, or the catalogue, and print the answer. Results go to the standard output, everything else
//! to the standard error.

pub(crate) mod bind;
mod directories;
pub(crate) mod explain;
#[cfg(test)]
mod fixtures;
mod keys;
pub(crate) mod lifecycle;
pub(crate) mod logs;
pub(crate) mod pair;
pub(crate) mod question;
pub(crate) mod reasons_page;
pub(crate) mod status;
mod unreadable;
