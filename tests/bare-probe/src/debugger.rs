//! What a debugger or an emulator does for a program without an operating system (Arm semihosting).

use core::{arch::asm, fmt};

/// Writes the character that the argument points to.
const WRITE_CHARACTER: u32 = 0x03;
/// Ends with a code.
const EXIT_EXTENDED: u32 = 0x20;
/// The reason `ADP_Stopped_ApplicationExit`.
const APPLICATION_EXIT: u32 = 0x2_0026;

/// Its console.
pub struct Debugger;

impl fmt::Write for Debugger {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| ask(WRITE_CHARACTER, &[byte.into()]));
        Ok(())
    }
}

/// Ends the program; 0 says that all went well.
pub fn exit(code: u32) -> ! {
    loop {
        ask(EXIT_EXTENDED, &[APPLICATION_EXIT, code]);
    }
}

fn ask(operation: u32, argument: &[u32]) {
    // SAFETY: a debugger reads the argument and answers in r0; without one this stops the processor.
    unsafe { asm!("bkpt 0xab", inlateout("r0") operation => _, in("r1") argument.as_ptr()) };
}
