//! Firmware for a Cortex-M4: links for a bare processor, with no third-party library. It starts at the reset vector, does every
//! check, and tells a debugger or an emulator how that went and how much memory it took.

#![no_std]
#![no_main]
#![cfg(target_arch = "arm")]

mod debugger;
mod stack;

use core::{arch::asm, fmt::Write, ptr};

use bare_probe::{HEAP, self_test};
use self_test::memory;

use debugger::Debugger;

/// What a Cortex-M reads first (ARMv7-M, B1.5.3).
#[repr(C)]
struct Vectors {
    stack: *const u32,
    reset: unsafe extern "C" fn() -> !,
}

// SAFETY: read by the processor alone.
unsafe impl Sync for Vectors {}

#[used]
#[unsafe(link_section = ".vectors")]
static VECTORS: Vectors = Vectors { stack: stack::END, reset };

/// Coprocessor access control (ARMv7-M, B3.2.20).
const CPACR: *mut u32 = ptr::without_provenance_mut(0xe000_ed88);

unsafe extern "C" fn reset() -> ! {
    // SAFETY: lets this program use the floating-point registers, which the compiler does; nothing runs beside it.
    unsafe {
        CPACR.write_volatile(CPACR.read_volatile() | 0xf << 20);
        asm!("dsb", "isb");
    }
    stack::paint();
    let failed = self_test();
    let stack = stack::deepest();
    let table = memory::table(&HEAP, &mut Debugger);
    let said = writeln!(Debugger, "\n{stack:>8}  of stack, at most, for every check");
    debugger::exit(if table.is_ok() && said.is_ok() { failed.cast_unsigned() } else { 1 })
}
