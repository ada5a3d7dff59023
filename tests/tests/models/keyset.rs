//! [`KeySet`] beside [`Cache`].

use std::{collections::BTreeSet, time::Duration};

use proptest::{collection::vec, prelude::*};
use proto_core::{
    JitterRng, Machine,
    effect::{Effect, IoEvent, NetFault},
    jose::{JwkSet, SigningKey},
    keyset::{EffectId, Input, KeySet, LookupId, Output},
};
use verification::models::{
    START,
    bench::Bench,
    config,
    given::{answered, secret},
    keyset::{Answer, Cache},
    millis,
};

#[derive(Clone, Debug)]
enum Event {
    Look(u8),
    /// The fetch under way ends.
    Fetched(Result<BTreeSet<u8>, &'static str>),
    /// So many seconds pass. An adapter answers in time: a fetch that is under way for five of them is given up.
    Pass(u64),
}

fn events() -> impl Strategy<Value = Event> {
    let keys = proptest::collection::btree_set(0_u8..4, 0..4);
    let time = prop_oneof![6 => 0_u64..12, 3 => 60_u64..600, 2 => 3_000_u64..4_000, 1 => 80_000_u64..90_000];
    prop_oneof![
        8 => (0_u8..5).prop_map(Event::Look),
        4 => keys.prop_map(|keys| Event::Fetched(Ok(keys))),
        2 => proptest::sample::select(&["<html>", "503", "", "lost"]).prop_map(|fault| Event::Fetched(Err(fault))),
        4 => time.prop_map(Event::Pass),
    ]
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&secret(number + 1))
}

fn follow(bench: &Bench<KeySet>, model: &mut Cache, from: usize, is_for_question: bool) {
    for (at, output) in &bench.said[from..] {
        let now = millis(*at);
        match output {
            Output::Effect(_) => model.fetch(now, is_for_question),
            Output::Found { lookup, key: found } => {
                let (asked, _) = model.waiting[&lookup.0];
                assert_eq!(*found, key(asked).public_key());
                model.answered(now, lookup.0, Answer::Found);
            }
            Output::Unknown { lookup } => model.answered(now, lookup.0, Answer::Unknown),
            Output::Unreachable { lookup } => model.answered(now, lookup.0, Answer::Unreachable),
            Output::Refreshed { .. } | Output::Stale { .. } => {}
        }
    }
}

fn ended(fetch: EffectId, result: &Result<BTreeSet<u8>, &'static str>) -> IoEvent<EffectId> {
    match result {
        Ok(keys) => answered(fetch, 200, None, keys.iter().map(|number| key(*number).public_key()).collect::<JwkSet>().to_json()),
        Err("lost") => IoEvent::Unanswered(fetch, NetFault::Broken),
        Err("503") => answered(fetch, 503, Some(5), ""),
        Err(body) => answered(fetch, 200, None, *body),
    }
}

fn latest_fetch(bench: &Bench<KeySet>) -> EffectId {
    let fetch = bench.said.iter().rev().find_map(|(_, output)| match output {
        Output::Effect(Effect::Http(fetch, _)) => Some(*fetch),
        _ => None,
    });
    fetch.unwrap()
}

fn pass(bench: &mut Bench<KeySet>, model: &mut Cache, seconds: u64) {
    let until = bench.now.after(Duration::from_secs(seconds));
    while bench.now < until {
        let patience = Duration::from_secs(5);
        let due = bench.machine.poll_timeout().map_or(until, |deadline| deadline.at.max(bench.now));
        let due = if model.is_fetching { bench.now.after(patience) } else { due };
        let from = bench.said.len();
        let was_fetching = model.is_fetching;
        bench.pass(due.min(until).since(bench.now));
        follow(bench, model, from, false);
        if was_fetching && bench.now == due {
            let from = bench.said.len();
            model.fetched(millis(bench.now), None);
            bench.tell(Input::Io(IoEvent::Unanswered(latest_fetch(bench), NetFault::TimedOut)));
            follow(bench, model, from, false);
        }
    }
}

proptest! {
    #![proptest_config(config(512))]

    /// JWT-5, S178, S181: bounded fetches, every question answered once and truly, a list counts for an hour and, while the
    /// endpoint is down, for a day.
    #[test]
    fn a_key_set_answers_like_its_model(events in vec(events(), 0..80)) {
        let mut bench = Bench::new(KeySet::new(START, "https://api.example/jwks.json".into(), JitterRng::new(1)));
        let mut model = Cache::default();
        follow(&bench, &mut model, 0, false);
        for (number, event) in events.iter().enumerate() {
            let from = bench.said.len();
            match event {
                Event::Look(asked) => {
                    model.waiting.insert(number as u64, (*asked, millis(bench.now)));
                    bench.tell(Input::Look { lookup: LookupId(number as u64), kid: key(*asked).kid() });
                }
                Event::Fetched(result) if model.is_fetching => {
                    let fetch = latest_fetch(&bench);
                    // An empty list is none: a platform that signs has keys.
                    let keys = result.clone().ok().filter(|keys| !keys.is_empty());
                    model.fetched(millis(bench.now), keys);
                    bench.tell(Input::Io(ended(fetch, result)));
                }
                Event::Fetched(_) => {}
                Event::Pass(seconds) => pass(&mut bench, &mut model, *seconds),
            }
            if !matches!(event, Event::Pass(_)) {
                follow(&bench, &mut model, from, matches!(event, Event::Look(_)));
            }
            model.rest(millis(bench.now));
        }
    }
}
