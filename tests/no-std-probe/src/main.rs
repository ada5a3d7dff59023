//! Links `proto-core` into a binary without std: no operating system services, no heap but a fixed arena, no unwinding. A std
//! dependency anywhere in the core's graph breaks this build. When run it seals and opens a session's record through the
//! machine, and exits 0 if what comes out is what went in.

#![no_std]
#![no_main]

extern crate alloc;

mod arena;

use core::time::Duration;

use proto_core::{
    Instant, Machine, SessionId,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Opener, Scope},
    },
    secret::Secret,
    session::{Input, Output, Session},
    wire::{Content, Frame, Head, Record},
};

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    i32::from(!round_trip().unwrap_or(false))
}

fn round_trip() -> Option<bool> {
    let session = SessionId([7; 16]);
    let scope = Scope { org: "org".parse().ok()?, session, cipher: Cipher::ChaCha20Poly1305 };
    let secret = EpochSecret::new(Secret::new([1; 32]));
    let now = Instant::ZERO.after(Duration::from_millis(5));
    let content = Content::Output(bytes::Bytes::from_static(b"without std"));

    let mut machine = Session::new(&PureRust, scope.clone(), secret.clone(), Instant::ZERO);
    machine.handle_input(now, Input::Attached).ok()?;
    machine.handle_input(now, Input::Frame(Head::Resume { session, next: 0 }.into())).ok()?;
    machine.handle_input(now, Input::Push(content.clone())).ok()?;
    let sealed = core::iter::from_fn(|| machine.poll_output()).find_map(data)?;

    let mut plaintext = alloc::vec::Vec::new();
    Opener::new(&PureRust, scope, 0, secret).open(0, 0, &sealed.body, &mut plaintext).ok()?;
    Some(Record::decode(&plaintext.into()).ok()?.content == content)
}

fn data(output: Output) -> Option<Frame> {
    let Output::Send(frame) = output;
    matches!(frame.head, Head::Data { .. }).then_some(frame)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The prebuilt `alloc` was compiled to unwind and names these; nothing here ever does.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// See above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    loop {}
}
