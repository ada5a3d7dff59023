//! How deep the stack went: it is painted before, and what is not painted any more was used.

use core::arch::asm;

unsafe extern "C" {
    /// The lowest word of the stack's memory, from `memory.ld`.
    static mut stack_start: u32;
    /// The word behind its highest.
    static stack_end: u32;
}

/// Where the stack begins to grow down.
pub const END: *const u32 = &raw const stack_end;

const PAINT: u32 = 0x5ca1_ab1e;

/// Distance that is kept from what is in use while painting, in words.
const MARGIN: usize = 64;

/// Paints all that is not in use.
#[inline(never)]
pub fn paint() {
    let mut word = &raw mut stack_start;
    let top: *mut u32;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) top) };
    while word < top.wrapping_sub(MARGIN) {
        // SAFETY: between the end of the data and the stack that is in use there is unused memory.
        unsafe { word.write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

/// How many bytes were in use at most since it was painted.
#[inline(never)]
pub fn deepest() -> usize {
    let mut word: *const u32 = &raw const stack_start;
    // SAFETY: memory of the stack, all of which was written before.
    while word < END && unsafe { word.read_volatile() } == PAINT {
        word = word.wrapping_add(1);
    }
    END.addr() - word.addr()
}
