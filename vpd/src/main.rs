//! The Viewport daemon and its command line.

mod control;

fn main() {}
