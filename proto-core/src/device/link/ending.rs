//! How an attempt or an open link ends, and what follows.

use core::time::Duration;

use super::{
    Link, Output,
    state::{AfterClose, State},
};
use crate::{
    Machine, MachineBase, Obstacle, Reason, Status, Unhashed,
    effect::{Close, Closed, Effect, NetFault, UpgradeRefusal},
    noise::{
        Noise,
        handshake::{Initiator, initiator},
    },
};

/// How long a device that another one with its pairing displaced leaves it alone.
pub(super) const TAKEOVER_PAUSE: Duration = Duration::from_mins(5);

/// The longest wait that an answer without a proof may ask for: an attacker in between could ask for a year.
pub(super) const MAX_UNPROVEN_WAIT: Duration = Duration::from_mins(2);

impl<N: Noise> Link<N> {
    /// The relay said no, under its pinned key.
    pub(super) fn refused(&mut self, reason: Reason, retry_after: u32) {
        if reason.ends_binding() {
            return self.close(AfterClose::End(reason));
        }
        if reason == Reason::Superseded {
            // Another device with this pairing is alive: two that chase each other away help neither.
            self.schedule.slow_down();
            self.schedule.not_before(self.port.now().after(TAKEOVER_PAUSE));
        }
        self.schedule.not_before(self.port.now().after(Duration::from_secs(u64::from(retry_after))));
        self.close(AfterClose::Retry(reason));
    }

    /// Closes the WebSocket; what follows happens once it is closed.
    pub(super) fn close(&mut self, then: AfterClose) {
        let close = match then {
            AfterClose::Stop => Close::Normal,
            AfterClose::Retry(reason) | AfterClose::End(reason) => Close::Because(reason),
        };
        match (self.is_up(), then.reason()) {
            (true, reason) => self.port.push(Output::Down(reason.unwrap_or(Reason::RelayClosed))),
            (false, Some(reason)) => self.port.push(Output::Failed(reason)),
            (false, None) => {}
        }
        self.state = State::Closing(then);
        self.effect(Effect::Close((), close));
    }

    pub(super) fn closed(&mut self, closed: Closed) {
        self.obstacle = Unhashed(obstacle(closed));
        let then = match &mut self.state {
            State::Waiting { .. } | State::Stopped | State::Ended(_) => {
                self.stats.0.stale += 1;
                return;
            }
            State::Closing(then) => *then,
            State::Connecting => {
                if let Closed::Refused(UpgradeRefusal { retry_after: Some(seconds), .. }) = closed {
                    let wait = Duration::from_secs(u64::from(seconds)).min(MAX_UNPROVEN_WAIT);
                    self.schedule.not_before(self.port.now().after(wait));
                }
                self.failed(why_closed(closed, Reason::RelayUnreachable))
            }
            State::Handshaking(initiator) => {
                let reason = why_handshake_closed(&mut self.port, initiator, closed);
                self.failed(reason)
            }
            State::Up(_) => {
                let reason = why_closed(closed, Reason::RelayClosed);
                self.port.push(Output::Down(reason));
                AfterClose::Retry(reason)
            }
        };
        self.trouble = then.reason();
        self.state = match then {
            AfterClose::Retry(_) => State::Waiting { until: self.schedule.next(self.port.now()) },
            AfterClose::Stop => State::Stopped,
            AfterClose::End(reason) => {
                self.port.push(Output::Ended(reason));
                State::Ended(reason)
            }
        };
    }

    fn failed(&mut self, reason: Reason) -> AfterClose {
        self.port.push(Output::Failed(reason));
        AfterClose::Retry(reason)
    }

    pub(super) fn stop(&mut self) {
        match self.state {
            State::Waiting { .. } => self.state = State::Stopped,
            State::Stopped | State::Ended(_) => {}
            State::Closing(_) => self.state = State::Closing(AfterClose::Stop),
            State::Connecting | State::Handshaking(_) | State::Up(_) => self.close(AfterClose::Stop),
        }
    }
}

const fn obstacle(closed: Closed) -> Option<Obstacle> {
    match closed {
        Closed::Fault(fault) => Some(Obstacle::Fault(fault)),
        Closed::Refused(refusal) => Some(Obstacle::Status(refusal.status)),
        Closed::ByPeer(_) | Closed::ByUs => None,
    }
}

/// What a close frame says is a hint only, but a useful one for people.
const fn why_closed(closed: Closed, otherwise: Reason) -> Reason {
    match closed {
        Closed::ByPeer(Some(reason)) => reason,
        Closed::Fault(NetFault::TooLarge) => Reason::FrameTooLarge,
        Closed::Refused(UpgradeRefusal { status: 429, .. }) => Reason::RateLimited,
        // Where it is no relay that answers, a 503 is that of a proxy that does not reach one.
        Closed::Refused(UpgradeRefusal { status: 503, is_problem: true, .. }) => Reason::RelayFull,
        _ => otherwise,
    }
}

/// What a close in the middle of the handshake means: a PSK that does not fit looks like this.
fn why_handshake_closed<N: Noise>(port: &mut MachineBase<Output>, initiator: &mut Initiator<N>, closed: Closed) -> Reason {
    let said = if let Closed::ByPeer(reason) = closed { reason } else { None };
    port.feed(initiator, initiator::Input::Closed(said));
    match initiator.status() {
        Status::Failed(failure) => failure.reason(),
        _ => why_closed(closed, Reason::RelayClosed),
    }
}
