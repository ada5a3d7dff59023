use std::{
    cell::{Cell, RefCell},
    future::{Ready, pending, ready},
    io::{ErrorKind, IoSlice},
    pin::pin,
    task::Waker,
    time::Duration,
};

use super::*;
use crate::ByteStream;

/// A network where the last byte of an address says what becomes of an attempt, and where timers run out at once.
struct Network;

const ANSWERS: u8 = 1;
const REFUSES: u8 = 2;
const SILENT: u8 = 3;

thread_local! {
    static TRIED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SLEEPS: Cell<u32> = const { Cell::new(0) };
}

#[derive(Debug, PartialEq)]
struct To(SocketAddr);

impl ByteStream for To {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, _: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn takes_several(&self) -> bool {
        false
    }
}

fn last_byte(address: SocketAddr) -> u8 {
    address.ip().to_string().bytes().last().unwrap() - b'0'
}

fn hop(host: &str) -> Hop {
    let target = crate::Target::http(&format!("http://{host}/")).unwrap();
    Hop::server(&target)
}

impl Runtime for Network {
    type Tcp = To;
    type Sleep = Ready<()>;

    fn sleep(_: Duration) -> Ready<()> {
        SLEEPS.set(SLEEPS.get() + 1);
        ready(())
    }

    async fn resolve(host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        if host == "missing.example" { Err(ErrorKind::NotFound.into()) } else { Ok(addresses(&[ANSWERS])) }
    }

    async fn connect(address: SocketAddr) -> io::Result<To> {
        TRIED.with_borrow_mut(|tried| tried.push(last_byte(address)));
        match last_byte(address) {
            ANSWERS => Ok(To(address)),
            REFUSES => Err(ErrorKind::ConnectionRefused.into()),
            _ => pending().await,
        }
    }
}

fn addresses(last_bytes: &[u8]) -> Vec<SocketAddr> {
    last_bytes.iter().map(|last| SocketAddr::from(([192, 0, 2, *last], 1))).collect()
}

/// What comes of it, if anything does, and which addresses were tried.
fn outcome(last_bytes: &[u8]) -> (Option<Result<u8, NetFault>>, Vec<u8>) {
    TRIED.take();
    let outcome = match pin!(first_to_answer::<Network>(addresses(last_bytes))).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome.map(|To(address)| last_byte(address))),
        Poll::Pending => None,
    };
    (outcome, TRIED.take())
}

#[test]
fn an_address_that_refuses_or_is_silent_does_not_stop_the_next_one() {
    assert_eq!(outcome(&[REFUSES, ANSWERS, SILENT]), (Some(Ok(ANSWERS)), vec![REFUSES, ANSWERS]));
    assert_eq!(outcome(&[SILENT, SILENT, ANSWERS]), (Some(Ok(ANSWERS)), vec![SILENT, SILENT, ANSWERS]));
}

#[test]
fn the_latest_fault_is_told_once_all_have_failed() {
    assert_eq!(outcome(&[REFUSES, REFUSES]), (Some(Err(NetFault::Refused)), vec![REFUSES, REFUSES]));
    assert_eq!(outcome(&[]), (Some(Err(NetFault::Dns)), vec![]));
}

#[test]
fn with_no_address_left_to_try_nothing_wakes_up() {
    SLEEPS.set(0);
    assert_eq!(outcome(&[REFUSES, SILENT]), (None, vec![REFUSES, SILENT]));
    assert_eq!(SLEEPS.get(), 1);
}

#[test]
fn a_name_without_addresses_is_a_dns_fault() {
    let mut cx = Context::from_waker(Waker::noop());
    let target = hop("missing.example");
    assert_eq!(pin!(dial::<Network>(&target)).poll(&mut cx), Poll::Ready(Err(NetFault::Dns)));
    let target = hop("found.example");
    assert!(matches!(pin!(dial::<Network>(&target)).poll(&mut cx), Poll::Ready(Ok(_))));
}
