//! One suite that every adapter passes, of effects one by one, of what a process costs, and of whole journeys: implement
//! [`Subject`], write `conformance::suite!(YourAdapter);` into a test.
//!
//! The other ends are threads with blocking sockets, so that no runtime is tested against itself. Nothing sleeps, and but for
//! [`process`], which counts what a process uses, no outcome depends on how fast the machine is: a scenario only ever waits for
//! what has to come.

#![allow(clippy::missing_panics_doc, reason = "scenarios panic when an adapter does not conform")]

pub mod alone;
pub mod discipline;
pub mod disk;
pub mod files;
pub mod forward;
pub mod http;
pub mod http_faults;
pub mod journeys;
pub mod peer;
pub mod process;
pub mod proxies;
pub mod timers;
pub mod tls;
pub mod trace;
pub mod turns;
pub mod websocket;
pub mod websocket_faults;

use std::{fmt::Debug, hash::Hash, time::Duration};

use io_engine::{DriverLoop, Home, Network};
use proto_core::{
    Deadline, Instant, WallClock,
    effect::{Effect, IoEvent},
};

/// How the scenarios of single effects name them.
pub type Id = &'static str;

/// What an adapter may ask of a name for an effect.
pub trait Name: Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<I: Clone + Debug + Eq + Hash + Send + Sync + 'static> Name for I {}

/// How long a scenario waits for what has to come before it fails rather than hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// An adapter under test that names effects by an `I`, with its clock.
pub trait Subject<I = Id> {
    /// One whose files live in `home` and whose clients go by `network`.
    fn start(home: Option<Home>, network: Network) -> Self;

    /// Begins to carry out `effect`.
    fn perform(&mut self, effect: Effect<I>);

    /// The time on the clock by which it is woken.
    fn now(&self) -> Instant;

    /// Both clocks, read at once.
    fn wall(&self) -> WallClock;

    /// Drives a machine with the adapter's loop until it has ended.
    fn drive(&mut self, machine: &mut turns::Diary, turns: &mut DriverLoop, script: &mut turns::Script);

    /// What happens next; `None` once the deadline is reached and nothing has happened.
    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<I>>;

    /// Finishes what was to be stored and closes the WebSockets normally.
    fn shutdown(self);

    /// Drops the adapter, while its runtime lives on, and gives how many of its tasks are left once the runtime is at rest.
    fn abandon(self) -> usize;
}

/// A subject without files that knows nothing particular of the network.
fn subject<S: Subject>() -> S {
    S::start(None, Network::default())
}

/// What has to happen next.
fn next<S: Subject>(subject: &mut S) -> IoEvent<Id> {
    let deadline = Deadline::new(subject.now().after(PATIENCE), "patience");
    subject.next(Some(deadline)).expect("something happens")
}

/// Makes a test of every scenario for one adapter, a `struct` whose only parameter is the type of its effects' ids.
#[macro_export]
macro_rules! suite {
    ($subject:ident) => {
        $crate::suite!($subject: http {
            plain, body_of_70_kib, chunked_and_closed, oversized, truncated, slow, silent, not_http, no_listener,
            tls_good, tls_unknown_root, tls_wrong_name
        });
        $crate::suite!($subject: websocket {
            messages_come_back, refused_upgrade, closed_with_reason_by_us, closed_with_reason_by_peer, half_open,
            reset_within_a_frame, given_up_before_it_opens, too_large, a_name_belongs_to_its_latest, dropping_closes_everything, shutdown_closes_normally
        });
        $crate::suite!($subject: http_faults {
            trickling, truncated_anywhere, endless, half_open, never_reads, answered_early, interim_answers
        });
        $crate::suite!($subject: tls {
            unknown_root, wrong_name, expired, not_tls, handshake_stops, cut_without_goodbye, long_body_before_the_handshake, lots_at_once
        });
        $crate::suite!($subject: proxies {
            request_through_a_tunnel, websockets_through_a_tunnel, plain_request, secure_proxy, refusals, away, past_the_proxy, nonsense
        });
        $crate::suite!($subject: websocket_faults {
            slow_upgrade, truncated_upgrade, endless_upgrade, frames_in_pieces, truncated_anywhere, deaf_peer, no_answer_to_a_goodbye,
            talks_on_after_a_goodbye, reset_while_sending
        });
        $crate::suite!($subject: discipline { a_flood_starves_no_other_effect, pings_starve_no_other_effect, a_flood_is_held_back, cancelled_waits_lose_nothing });
        $crate::suite!($subject: trace { as_in_memory, as_in_memory_however_often_it_is_woken });
        $crate::suite!($subject: alone process { idle, few_wake_ups_for_a_message, nothing_stays_behind });
        $crate::suite!($subject: on_a_small_disk disk { full });
        $crate::suite!($subject: files { stored_in_order_with_modes, old_contents_survive_a_failure, nothing_without_a_home });
        $crate::suite!($subject: turns { step_then_due_then_facts, woken_by_the_deadline_alone });
        $crate::suite!($subject: timers { not_before_the_deadline, late_ones_at_once, armed_again });
        $crate::suite!($subject<$crate::journeys::EffectId>: journeys {
            pair, killed_while_pairing, stream, relay_restarts, rotate, revoke, replace, unpair, unpair_without_platform, two_orgs
        });
    };
    ($subject:ident: $area:ident { $($scenario:ident),* }) => {
        $crate::suite!($subject<$crate::Id>: $area { $($scenario),* });
    };
    ($subject:ident<$name:ty>: $area:ident { $($scenario:ident),* }) => {
        mod $area {
            use super::*;
            $(#[test] fn $scenario() { $crate::$area::$scenario::<$subject<$name>>(); })*
        }
    };
    ($subject:ident: $place:ident $area:ident { $($scenario:ident),* }) => {
        mod $area {
            use super::*;
            $(#[test] fn $scenario() {
                $crate::alone::$place(module_path!(), stringify!($scenario), $crate::$area::$scenario::<$subject<$crate::Id>>);
            })*
        }
    };
}
