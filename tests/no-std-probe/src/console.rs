//! The two services that this binary asks of the C library it is started by.

use core::{
    ffi::{c_int, c_void},
    fmt,
};

/// Standard output.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: `rest` is readable for its length.
            let written = unsafe { write(1, rest.as_ptr().cast(), rest.len()) };
            rest = usize::try_from(written).ok().filter(|n| *n > 0).and_then(|n| rest.get(n..)).ok_or(fmt::Error)?;
        }
        Ok(())
    }
}

/// Ends the process with a signal, which cannot be taken for success.
pub fn abort() -> ! {
    // SAFETY: takes nothing and does not return.
    unsafe { c_abort() }
}

unsafe extern "C" {
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    #[link_name = "abort"]
    fn c_abort() -> !;
}
