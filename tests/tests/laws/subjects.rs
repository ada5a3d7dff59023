//! One subject per machine.
