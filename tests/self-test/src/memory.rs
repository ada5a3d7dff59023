//! How much memory the machines need, measured where every allocated byte is counted: all of it but the stack. Each figure has a
//! budget, for pointers of 64 bits; more than that is a failure.

use core::fmt;

use proto_core::{
    device::{
        binding::Bindings, bridge::Bridge, consent::Resolver, credential::Rotation, daemon::Daemon, link::Link, pairing::Pairing,
        session::Session, uplink::Uplink, viewer::Viewer,
    },
    keyset::KeySet,
    noise::handshake::{Initiator, Responder},
    platform::pairing_code::PairingCode,
    relay::{admission::Admission, connection::Connection, hub::Hub},
};

use crate::{
    Noise, Wrong,
    arena::Arena,
    devices::{Reach, daemon},
    link::{IK_AES, IK_CHACHA, IKPSK2_AES, IKPSK2_CHACHA, Recorded},
    pairing,
};

/// Bindings over which a share is taken.
const MANY: u8 = 16;

/// Measures all of it on `heap`, which everything is allocated from, and prints it.
///
/// # Errors
/// A machine did not do as recorded, did not give its memory back, or the console failed.
pub fn table<const N: usize>(heap: &Arena<N>, console: &mut dyn fmt::Write) -> Result<(), Wrong> {
    let rows = heap_rows(heap)?;
    print(&rows, console).map_err(|_| Wrong::new("a console"))?;
    if rows.iter().all(|row| row.bytes <= row.budget) { Ok(()) } else { Err(Wrong::new("no more than the budget")) }
}

/// One figure.
struct Row {
    what: &'static str,
    bytes: usize,
    /// The most that is accepted.
    budget: usize,
}

fn print(heap_rows: &[Row], console: &mut dyn fmt::Write) -> fmt::Result {
    writeln!(console, "{:>8}  {:>8}  of heap, in blocks of 16", "bytes", "budget")?;
    for Row { what, bytes, budget } in heap_rows {
        writeln!(console, "{bytes:>8}  {budget:>8}  {what}")?;
    }
    writeln!(console, "\n{:>8}  of one machine by itself (`size_of`), with pointers of {} bits", "bytes", usize::BITS)?;
    sizes().iter().try_for_each(|(what, bytes)| writeln!(console, "{bytes:>8}  {what}"))
}

fn heap_rows<const N: usize>(heap: &Arena<N>) -> Result<[Row; 11], Wrong> {
    let up = |recorded: Recorded| held(heap, || recorded.device());
    let none = held(heap, || daemon(0, Reach::Offline))?;
    let more = |bindings, reach| held(heap, || daemon(bindings, reach)).map(|all| all.saturating_sub(none));
    let share = |reach| more(MANY, reach).map(|all| all / usize::from(MANY));
    let row = |what, budget, bytes| Row { what, bytes, budget };
    Ok([
        row("at most during a pairing, with the requests and answers that are under way", 8_192, peak(heap, pairing::check)?),
        row("at most during an IKpsk2 handshake, the device's side", 4_096, peak(heap, || IKPSK2_CHACHA.device())?),
        row("behind a link that is up and idle: IK, ChaChaPoly", 2_048, up(IK_CHACHA)?),
        row("behind a link that is up and idle: IK, AES-GCM", 3_072, up(IK_AES)?),
        row("behind a link that is up and idle: IKpsk2, ChaChaPoly", 2_048, up(IKPSK2_CHACHA)?),
        row("behind a link that is up and idle: IKpsk2, AES-GCM", 3_072, up(IKPSK2_AES)?),
        row("behind a daemon without a binding", 1_024, none),
        row("more for its first binding, offline", 16_384, more(1, Reach::Offline)?),
        row("more for its first binding, connected", 16_384, more(1, Reach::Connected)?),
        row("per binding where there are 16, offline", 12_288, share(Reach::Offline)?),
        row("per binding where there are 16, connected", 12_288, share(Reach::Connected)?),
    ])
}

/// The most that was in use at once while `work` was done, beyond what was in use before.
fn peak<const N: usize, T>(heap: &Arena<N>, work: impl FnOnce() -> Result<T, Wrong>) -> Result<usize, Wrong> {
    let before = heap.usage().live;
    heap.reset_peak();
    work()?;
    Ok(heap.usage().peak - before)
}

/// What a machine keeps in use while it waits.
fn held<const N: usize, T>(heap: &Arena<N>, make: impl FnOnce() -> Result<T, Wrong>) -> Result<usize, Wrong> {
    let before = heap.usage().live;
    let machine = make()?;
    let held = heap.usage().live - before;
    drop(machine);
    if heap.usage().live == before { Ok(held) } else { Err(Wrong::new("all memory to come back")) }
}

const fn sizes() -> [(&'static str, usize); 16] {
    [
        ("daemon::Daemon", size_of::<Daemon<Noise>>()),
        ("binding::Bindings", size_of::<Bindings>()),
        ("bridge::Bridge", size_of::<Bridge<Noise>>()),
        ("uplink::Uplink", size_of::<Uplink<Noise>>()),
        ("link::Link", size_of::<Link<Noise>>()),
        ("handshake::Initiator", size_of::<Initiator<Noise>>()),
        ("handshake::Responder", size_of::<Responder<Noise>>()),
        ("credential::Rotation", size_of::<Rotation>()),
        ("keyset::KeySet", size_of::<KeySet>()),
        ("pairing::Pairing", size_of::<Pairing>()),
        ("consent::Resolver", size_of::<Resolver>()),
        ("session::Session", size_of::<Session>()),
        ("viewer::Viewer", size_of::<Viewer<Noise>>()),
        ("connection::Connection, at the relay", size_of::<Connection<Noise>>()),
        ("hub::Hub and admission::Admission, at the relay", size_of::<Hub>() + size_of::<Admission>()),
        ("pairing_code::PairingCode, at the platform", size_of::<PairingCode>()),
    ]
}
