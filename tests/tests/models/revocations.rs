//! [`RevocationFeed`] beside [`Ledger`].

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use proto_core::{
    JitterRng, Machine,
    effect::{Effect, IoEvent, NetFault},
    relay::revocations::{BACKOFF, EffectId, Input, Output, QUIET, RevocationFeed},
    secret::SecretText,
};
use verification::models::{START, bench::Bench, config, given::answered, revocations::Ledger};

#[derive(Clone, Debug)]
enum Event {
    Revoke(u32),
    /// The platform comes back without its latest events.
    Restore(usize),
    /// The request under way is answered.
    Answer,
    /// Or not.
    Fail(&'static str),
    /// So many milliseconds pass.
    Pass(u64),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u32..50).prop_map(Event::Revoke),
        1 => (1_usize..4).prop_map(Event::Restore),
        6 => Just(Event::Answer),
        3 => proptest::sample::select(&["<html>", "503", "401", "lost"]).prop_map(Event::Fail),
        4 => (0_u64..3_000).prop_map(Event::Pass),
    ]
}

/// The request under way, and the place it names.
fn asked(bench: &Bench<RevocationFeed>) -> Option<(EffectId, Option<usize>)> {
    let (_, said) = bench.said.iter().rev().find(|(_, output)| matches!(output, Output::Effect(_)))?;
    let Output::Effect(Effect::Http(id, request)) = said else { return None };
    let place = request.url.split_once("?after=").map(|(_, after)| after.parse().expect("a number"));
    bench.machine.poll_timeout().is_none().then_some((*id, place))
}

fn answer(bench: &mut Bench<RevocationFeed>, ledger: &mut Ledger) {
    let Some((id, place)) = asked(bench) else { return };
    let (last, news) = ledger.answer(place);
    let named = news.iter().map(|whom| format!("\"r{whom}\"")).collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"last":{last},"runtime_targets":[{named}],"organizations":[]}}"#);
    for (_, output) in bench.tell(Input::Io(answered(id, 200, None, body))).to_vec() {
        match output {
            Output::Revoked { targets, .. } => {
                let whom: Vec<u32> = targets.iter().map(|target| target.as_str()[1..].parse().expect("a number")).collect();
                assert_eq!(whom, news);
                ledger.cut_off(&whom);
            }
            Output::Revalidate => ledger.validated(),
            Output::Effect(_) | Output::Connected => {}
            Output::Lost(reason) => panic!("{reason:?}"),
        }
    }
    ledger.answered();
}

proptest! {
    #![proptest_config(config(512))]

    /// D3, JWT-5: whatever fails in between, after an answer no device is in whose access had ended before it; and a request is
    /// made within a second of whatever ended the one before.
    #[test]
    fn a_feed_misses_nothing_that_its_model_knows(events in vec(events(), 0..80), seed: u64) {
        let mut bench = Bench::new(RevocationFeed::new(START, "https://api.example/f".into(), SecretText::new("key"), JitterRng::new(seed)));
        let mut ledger = Ledger::default();
        for event in &events {
            match event {
                Event::Revoke(whom) => ledger.revoke(*whom),
                // A log that is as long as before with other events in it cannot be told from the one that was read.
                Event::Restore(by) => {
                    let len = ledger.log.len();
                    if asked(&bench).is_some_and(|(_, place)| place == Some(len)) {
                        ledger.restore(len.saturating_sub(*by));
                        if *by > 1 && len > 1 {
                            ledger.revoke(u32::MAX);
                        }
                        answer(&mut bench, &mut ledger);
                    }
                }
                Event::Answer => answer(&mut bench, &mut ledger),
                Event::Fail(how) => {
                    let Some((id, _)) = asked(&bench) else { continue };
                    let io_event = match *how {
                        "lost" => IoEvent::Unanswered(id, NetFault::TimedOut),
                        "<html>" => answered(id, 200, None, "<html>"),
                        status => answered(id, status.parse().unwrap(), None, ""),
                    };
                    let is_quiet = bench.tell(Input::Io(io_event)).iter().all(|(_, output)| matches!(output, Output::Lost(_)));
                    prop_assert!(is_quiet);
                }
                Event::Pass(millis) => {
                    bench.pass(Duration::from_millis(*millis));
                }
            }
            if let Some(deadline) = bench.machine.poll_timeout() {
                prop_assert!(deadline.at.since(bench.now) <= BACKOFF.cap.max(QUIET));
            }
        }
    }
}
