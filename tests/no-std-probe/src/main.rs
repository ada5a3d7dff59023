//! Links `proto-core` into a binary without std: no operating system services but one to write, no heap but a fixed arena, no
//! unwinding. A std dependency anywhere in the core's graph breaks this build. When run it does every check of `self_test`, says
//! how much memory the machines need, and exits 0 if all went as recorded.

#![no_std]
#![no_main]

mod console;

use core::fmt::Write;

use self_test::{CHECKS, Wrong, arena::Arena, memory};

use console::Console;

/// Enough for sixteen bindings and their relays' ends.
#[global_allocator]
static HEAP: Arena<{ 2 << 20 }> = Arena::new();

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let mut went_wrong = 0;
    for (name, check) in CHECKS {
        went_wrong += i32::from(!told(name, check()));
    }
    went_wrong += i32::from(!told("the memory it takes", memory::table(&HEAP, &mut Console)));
    i32::from(went_wrong > 0)
}

/// Says how it went; whether it went well.
fn told(name: &str, result: Result<(), Wrong>) -> bool {
    let said = match result {
        Ok(()) => writeln!(Console, "ok      {name}"),
        Err(Wrong { expected, line }) => writeln!(Console, "FAILED  {name}: expected {expected} (line {line})"),
    };
    said.is_ok() && result.is_ok()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "{info}");
    console::abort()
}

/// The prebuilt `alloc` was compiled to unwind and names these; nothing here ever does.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// See above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    console::abort()
}
