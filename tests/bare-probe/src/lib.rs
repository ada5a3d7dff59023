//! `proto-core` with nothing around it: a heap in the module itself, and one function. As WebAssembly it must import nothing;
//! `check.mjs` holds it to that, and calls it. The firmware in `main.rs` is built on it.

#![no_std]

use self_test::arena::Arena;

/// Enough for sixteen bindings and their relays' ends.
#[global_allocator]
pub static HEAP: Arena<{ 512 << 10 }> = Arena::new();

/// Does every check. 0 when all went as recorded, else [`self_test::exit_code`]'s number.
#[unsafe(no_mangle)]
pub extern "C" fn self_test() -> i32 {
    self_test::exit_code()
}

/// The most heap that was in use at once so far, in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn heap_peak() -> u32 {
    u32::try_from(HEAP.usage().peak).unwrap_or(u32::MAX)
}

/// Ends in a trap where there is one, so that a panic is never taken for success.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    loop {
        core::hint::spin_loop();
    }
}
