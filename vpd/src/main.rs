//! The Viewport daemon and its command line.

fn main() {}
