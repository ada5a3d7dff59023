mod ends;
mod open;

use alloc::{string::ToString, vec, vec::Vec};

use super::*;
use crate::{
    effect::{Close, Closed, HttpAnswer, NetFault, UpgradeRefusal},
    noise::{FirstMessage, Symbolic},
    wire::{
        Answer, Refused,
        liveness::{MAX_SILENCE, REKEY_AFTER},
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// A link and a relay that does as it is told, on virtual time.
#[derive(Clone)]
struct Bench {
    link: Link<Symbolic>,
    relay: Identity,
    now: Instant,
    entropy: u8,
}

/// The relay's end of an open link.
struct Relay {
    channel: Channel<Symbolic>,
}

impl Bench {
    fn new() -> Self {
        Self::with_psk(None)
    }

    fn with_psk(psk: Option<Secret>) -> Self {
        let relay = Identity::from_seed(Secret::new([2; 32]));
        let config = Config {
            role: Role::Daemon,
            url: "ws://relay.test/ws".to_string(),
            relay_keys: vec![relay.static_key()],
            identity: Identity::from_seed(Secret::new([1; 32])),
            psk,
            token: SecretText::new("token"),
            software: "test".to_string(),
            aes_in_hardware: false,
        };
        Self { link: Link::new(config, JitterRng::new(7), Instant::ZERO), relay, now: Instant::ZERO, entropy: 0 }
    }

    fn entropy(&mut self) -> Entropy {
        self.entropy += 1;
        Entropy::new([self.entropy; 32])
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.link.handle_input(self.now, input).unwrap();
        self.drain()
    }

    fn io_event(&mut self, event: IoEvent<()>) -> Vec<Output> {
        self.input(Input::Io(event))
    }

    fn drain(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.link.poll_output()).collect()
    }

    /// Waits for the next deadline and lets it fire.
    fn fire(&mut self) -> Vec<Output> {
        self.now = self.now.max(self.link.poll_timeout().unwrap().at);
        self.link.handle_timeout(self.now);
        self.drain()
    }

    /// Waits for the next attempt; gives message 1.
    fn knock(&mut self) -> Bytes {
        let outputs = self.fire();
        assert!(matches!(outputs[..], [Output::Effect(Effect::Connect(..))]), "{outputs:?}");
        let entropy = self.entropy();
        match self.io_event(IoEvent::Connected((), entropy)).pop() {
            Some(Output::Effect(Effect::Send((), message))) => message,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, message_1: &[u8], psk: Option<&Secret>, answer: &Answer) -> (Symbolic, Vec<Output>) {
        let entropy = self.entropy();
        let (mut noise, _): (_, FirstMessage) = Symbolic::respond(self.relay.static_keys(), entropy, message_1).unwrap();
        let message_2 = noise.answer(psk, &answer.encode()).unwrap();
        let outputs = self.io_event(IoEvent::Received((), message_2.into()));
        (noise, outputs)
    }

    fn come_up(&mut self) -> Relay {
        let message_1 = self.knock();
        let (noise, outputs) = self.answer(&message_1, None, &welcome());
        assert!(matches!(outputs[..], [Output::Up(_), Output::Effect(Effect::Send(..))]), "{outputs:?}");
        let mut relay = Relay { channel: Channel::new(noise, Tails::Refused) };
        assert_eq!(relay.frames(&outputs), [Head::Ping { nonce: 0 }.into()]);
        assert!(self.link.is_up());
        relay
    }

    fn tell(&mut self, relay: &mut Relay, frame: impl Into<Frame>) -> Vec<Output> {
        let message = relay.channel.seal(&frame.into()).unwrap();
        self.io_event(IoEvent::Received((), message))
    }

    fn lose(&mut self) -> Vec<Output> {
        self.io_event(IoEvent::Closed((), Closed::Fault(NetFault::Broken)))
    }
}

impl Relay {
    fn frames(&mut self, outputs: &[Output]) -> Vec<Frame> {
        outputs
            .iter()
            .filter_map(|output| match output {
                Output::Effect(Effect::Send((), message)) => Some(self.channel.open(message).unwrap()),
                _ => None,
            })
            .collect()
    }
}

fn welcome() -> Answer {
    Answer::Welcome(Welcome { frame_max: 65_536, time: 0, software: "relay".to_string() })
}

fn refusal(reason: Reason) -> Answer {
    Answer::Refused(Refused { reason, retry_after: 0 })
}

fn closes_because(outputs: &[Output], reason: Reason) -> bool {
    outputs.iter().any(|o| *o == Output::Effect(Effect::Close((), Close::Because(reason))))
}

#[test]
fn it_connects_shakes_hands_and_confirms_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.link.state(), LinkState::Connecting);
    bench.come_up();
    assert_eq!((bench.link.state(), bench.link.trouble()), (LinkState::Connected, None));
}

/// S178, D7, F43: a relay that is full, or has had enough of this address, is not unreachable, and is left alone as long as it
/// asks; what has no proof cannot ask for ever.
#[test]
fn a_refused_upgrade_says_why_and_for_how_long() {
    let refused = |status, retry_after, is_problem| Closed::Refused(UpgradeRefusal { status, retry_after, is_problem });
    for (closed, reason, wait) in [
        (refused(429, Some(40), true), Reason::RateLimited, 40),
        (refused(429, Some(50), false), Reason::RateLimited, 50),
        (refused(503, Some(60), true), Reason::RelayFull, 60),
        (refused(503, Some(70), false), Reason::RelayUnreachable, 70),
        (refused(503, Some(u32::MAX), true), Reason::RelayFull, 120),
        (refused(403, None, false), Reason::RelayUnreachable, 0),
    ] {
        let mut bench = Bench::new();
        bench.fire();
        bench.io_event(IoEvent::Closed((), closed));
        assert_eq!(bench.link.trouble(), Some(reason));
        let waits = bench.link.poll_timeout().unwrap().at.since(bench.now);
        assert!((wait..=wait.max(1)).contains(&waits.as_secs()), "{closed:?}: {waits:?}");
    }
}

/// S144, S145, D7: five quick attempts that `vpd status` counts, then slow ones, for ever.
#[test]
fn it_counts_quick_attempts_and_then_tries_slowly_without_giving_up() {
    let mut bench = Bench::new();
    for attempt in 1..=QUICK_ATTEMPTS {
        bench.fire();
        bench.io_event(IoEvent::Closed((), Closed::Fault(NetFault::Refused)));
        assert_eq!(bench.link.state(), LinkState::Reconnecting { attempt, of: 5 });
        assert_eq!(bench.link.trouble(), Some(Reason::RelayUnreachable));
    }
    for _ in 0..10 {
        bench.fire();
        bench.io_event(IoEvent::Closed((), Closed::Fault(NetFault::Refused)));
        assert_eq!(bench.link.state(), LinkState::Disconnected);
        assert!(is_slow(bench.link.poll_timeout().unwrap().at.since(bench.now)));
    }
}

fn is_slow(wait: Duration) -> bool {
    (MIN_SLOW..=MAX_SLOW).contains(&wait)
}

/// A relay that accepts and closes at once must not be stormed: the count starts again only after 30 stable seconds.
#[test]
fn the_count_starts_again_only_after_a_stable_link() {
    let mut bench = Bench::new();
    for attempt in 1..=3 {
        bench.come_up();
        bench.lose();
        assert_eq!(bench.link.state(), LinkState::Reconnecting { attempt, of: 5 });
    }
    let mut relay = bench.come_up();
    while bench.now < Instant::ZERO.after(120 * SECOND) && bench.link.schedule.attempt() > 0 {
        let outputs = bench.fire();
        relay.frames(&outputs);
        bench.tell(&mut relay, Head::Pong { nonce: 0 });
    }
    bench.lose();
    assert_eq!(bench.link.state(), LinkState::Reconnecting { attempt: 1, of: 5 });
}

/// S125 to S127, BIND-6: a refusal under the relay's key ends the link; a close frame that claims the same does not.
#[test]
fn only_an_authenticated_refusal_ends_it() {
    for reason in [Reason::MachineRevoked, Reason::WorkspaceNotFound] {
        let mut bench = Bench::new();
        bench.knock();
        bench.io_event(IoEvent::Closed((), Closed::ByPeer(Some(reason))));
        assert_eq!(bench.link.trouble(), Some(reason));
        assert!(matches!(bench.link.status(), Status::Running { .. }));

        let message_1 = bench.knock();
        let (_, outputs) = bench.answer(&message_1, None, &refusal(reason));
        assert!(closes_because(&outputs, reason));
        bench.io_event(IoEvent::Closed((), Closed::ByUs));
        assert_eq!(bench.link.status(), Status::Failed(&reason));
        assert_eq!(bench.link.poll_timeout(), None);
    }
}

/// D3: a revocation cuts a live link at once.
#[test]
fn a_revocation_ends_a_live_link() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let outputs = bench.tell(&mut relay, Head::Revoke { reason: Reason::MachineRevoked });
    assert!(outputs.contains(&Output::Down(Reason::MachineRevoked)) && closes_because(&outputs, Reason::MachineRevoked));
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    assert_eq!(bench.link.status(), Status::Failed(&Reason::MachineRevoked));
}

/// S184, S187: any other refusal is shown and tried again.
#[test]
fn other_refusals_are_shown_and_tried_again() {
    let mut bench = Bench::new();
    let message_1 = bench.knock();
    let refused = Answer::Refused(Refused { reason: Reason::TokenExpired, retry_after: 60 });
    bench.answer(&message_1, None, &refused);
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    assert_eq!(bench.link.trouble(), Some(Reason::TokenExpired));
    assert!(bench.link.poll_timeout().unwrap().at >= bench.now.after(60 * SECOND));
    bench.input(Input::RetryNow);
    assert_eq!(bench.link.poll_timeout().unwrap().at, bench.now);
}

/// S192, NOI-3: a PSK that does not fit is `noise_psk_invalid` here too.
#[test]
fn a_psk_that_does_not_fit_is_named() {
    let mut bench = Bench::with_psk(Some(Secret::new([8; 32])));
    let message_1 = bench.knock();
    for _ in 0..=crate::noise::handshake::MAX_GARBAGE {
        bench.answer(&message_1, Some(&Secret::new([9; 32])), &welcome());
    }
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    assert_eq!(bench.link.trouble(), Some(Reason::NoisePskInvalid));
}

/// LINK-5: pings go out when nothing else does, and a silent relay is given up.
#[test]
fn a_silent_relay_is_noticed() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let up_at = bench.now;
    let mut pings = 0;
    while bench.link.is_up() {
        let outputs = bench.fire();
        pings += outputs.iter().filter(|o| matches!(o, Output::Effect(Effect::Send(..)))).count();
        assert!(bench.now <= up_at.after(MAX_SILENCE));
        if bench.link.is_up() {
            relay.frames(&outputs);
        } else {
            assert!(closes_because(&outputs, Reason::PingTimeout));
        }
    }
    assert_eq!(pings, 2);
}

/// A suspend of any length leads to one reconnect, not to a burst of late pings.
#[test]
fn a_suspend_leads_to_one_reconnect() {
    let mut bench = Bench::new();
    bench.come_up();
    bench.now = bench.now.after(Duration::from_hours(168));
    bench.link.handle_timeout(bench.now);
    let outputs = bench.drain();
    assert_eq!(
        outputs,
        [Output::Down(Reason::PingTimeout), Output::Effect(Effect::Close((), Close::Because(Reason::PingTimeout)))]
    );
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    bench.knock();
}

#[test]
fn a_rekey_is_sent_and_followed() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let up_at = bench.now;
    let mut rekeys = 0;
    while bench.now < up_at.after(REKEY_AFTER + SECOND) {
        let outputs = bench.fire();
        rekeys += relay.frames(&outputs).iter().filter(|f| f.head == Head::Rekey).count();
        bench.tell(&mut relay, Head::Pong { nonce: 1 });
        if rekeys == 1 {
            bench.tell(&mut relay, Head::Rekey);
        }
    }
    assert_eq!(rekeys, 1);
    let sent = bench.input(Input::Send(Head::Pong { nonce: 9 }.into()));
    assert_eq!(relay.frames(&sent), [Head::Pong { nonce: 9 }.into()]);
    assert!(bench.link.is_up());
}

/// D8, ROT-5: a renewed credential goes to the relay over the live link.
#[test]
fn a_renewed_credential_is_shown_over_the_live_link_and_used_from_then_on() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let sent = bench.input(Input::Renew(SecretText::new("newer")));
    assert_eq!(relay.frames(&sent), [Head::Rotate { token: SecretText::new("newer") }.into()]);
    assert_eq!(bench.tell(&mut relay, Head::Rotated { generation: 2 }), [Output::Rotated(2)]);
    bench.lose();
    let message_1 = bench.knock();
    let (_, first) = Symbolic::respond(bench.relay.static_keys(), Entropy::new([99; 32]), &message_1).unwrap();
    assert_eq!(Hello::decode(&first.payload).unwrap().token, SecretText::new("newer"));
}

/// PIN-2: while a successor of the relay's key is announced, both are tried in turn.
#[test]
fn an_announced_successor_is_tried_in_turn() {
    let mut bench = Bench::new();
    let successor = Identity::from_seed(Secret::new([3; 32]));
    let keys = vec![bench.relay.static_key(), successor.static_key()];
    bench.link.follow("ws://relay.test/ws".to_string(), keys);
    bench.relay = successor;
    let message_1 = bench.knock();
    assert!(Symbolic::respond(bench.relay.static_keys(), Entropy::new([98; 32]), &message_1).is_err());
    bench.io_event(IoEvent::Closed((), Closed::ByPeer(Some(Reason::NoiseHandshakeFailed))));
    bench.come_up();
}

#[test]
fn frames_of_the_wrong_direction_end_the_link() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let session = crate::SessionId([1; 16]);
    let resume = Head::Resume { session, next: 3 };
    assert_eq!(bench.tell(&mut relay, resume.clone()), [Output::Received(resume.into())]);
    let outputs = bench.tell(&mut relay, Head::Open { session, cipher: 1 });
    assert!(closes_because(&outputs, Reason::FrameMalformed));
}

#[test]
fn a_takeover_is_not_answered_with_a_takeover() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let superseded = Head::Error { reason: Reason::Superseded, retry_after: 0, detail: String::new() };
    bench.tell(&mut relay, superseded);
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    assert_eq!(bench.link.state(), LinkState::Disconnected);
    assert_eq!(bench.link.poll_timeout().unwrap().at, bench.now.after(ending::TAKEOVER_PAUSE));
}

#[test]
fn stopping_ends_it_from_every_state() {
    let mut waiting = Bench::new();
    waiting.input(Input::Stop);
    assert_eq!(waiting.link.status(), Status::Finished);

    let mut up = Bench::new();
    up.come_up();
    let outputs = up.input(Input::Stop);
    assert!(outputs.contains(&Output::Effect(Effect::Close((), Close::Normal))));
    up.io_event(IoEvent::Closed((), Closed::ByUs));
    assert_eq!(up.link.status(), Status::Finished);
    assert_eq!(up.link.poll_timeout(), None);
}

#[test]
fn what_does_not_belong_is_counted() {
    let mut bench = Bench::new();
    bench.input(Input::Send(Head::Rekey.into()));
    let answer = HttpAnswer { status: 200, retry_after: None, date: None, body: crate::secret::SecretBytes::default() };
    bench.io_event(IoEvent::Answered((), answer));
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    assert_eq!(bench.link.stats(), &Stats { not_up: 1, stale: 2 });
}

/// PIN-1: a binding without any key for its relay starts no handshake, and tries again when one may have been announced.
#[test]
fn without_a_pinned_key_there_is_no_handshake() {
    let mut bench = Bench::new();
    bench.link.follow("ws://relay.test/ws".to_string(), vec![]);
    bench.fire();
    let entropy = bench.entropy();
    let outputs = bench.io_event(IoEvent::Connected((), entropy));
    assert!(closes_because(&outputs, Reason::NoiseHandshakeFailed));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Effect(Effect::Send(..)))));
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    let key = bench.relay.static_key();
    bench.link.follow("ws://relay.test/ws".to_string(), vec![key]);
    bench.come_up();
}

/// S204: what the relay said that it does not take is not sent to it.
#[test]
fn a_frame_longer_than_the_relay_takes_ends_the_link_unsent() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let data = |length| Frame {
        head: Head::Data { session: crate::SessionId([1; 16]), epoch: 0, sequence: 0 },
        body: vec![0; length].into(),
    };
    let outputs = bench.input(Input::Send(data(65_000)));
    assert_eq!(relay.frames(&outputs), [data(65_000)]);
    let outputs = bench.input(Input::Send(data(65_536)));
    assert!(closes_because(&outputs, Reason::FrameTooLarge));
    assert_eq!(relay.frames(&outputs), []);
}
