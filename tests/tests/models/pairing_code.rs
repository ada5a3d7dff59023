//! [`PairingCode`] beside [`Code`].

use std::{collections::BTreeSet, time::Duration};

use proptest::{collection::vec, prelude::*};
use proto_core::{
    Entropy, Machine, Status,
    api::{CODE_ALPHABET, CodeText},
    platform::pairing_code::{CheckId, Input, MAX_GUESSES, Membership, Output, PairingCode},
};
use verification::models::{START, bench::Bench, config, given::id, millis, pairing_code::Code};

#[derive(Clone, Debug)]
enum Event {
    Told(Input),
    /// So many polls with a wrong token.
    Guess(u32),
    /// The `back`-th latest question is answered.
    Checked(usize, Membership),
    Pass(u64),
    /// The platform restarts.
    Restart,
}

fn events() -> impl Strategy<Value = Event> {
    let who = || proptest::sample::select(&["ann", "bob"]).prop_map(id);
    let standing = prop_oneof![
        4 => Just(Membership::Member { slug: "acme".into() }),
        1 => Just(Membership::Member { slug: "other".into() }),
        2 => Just(Membership::NoMember),
    ];
    let time = prop_oneof![4 => 0_u64..60, 1 => 300_u64..900, 1 => Just(1)];
    prop_oneof![
        4 => Just(Event::Told(Input::Polled { token_fits: true })),
        2 => Just(Event::Told(Input::Polled { token_fits: false })),
        1 => (1..MAX_GUESSES + 2).prop_map(Event::Guess),
        3 => (who(), proptest::sample::select(&["A", "B"])).prop_map(|(by, org)| Event::Told(Input::Approve { by, org: id(org) })),
        1 => who().prop_map(|by| Event::Told(Input::Deny { by })),
        4 => (prop_oneof![6 => Just(0_usize), 1 => 1_usize..3], standing).prop_map(|(back, standing)| Event::Checked(back, standing)),
        3 => time.prop_map(Event::Pass),
        1 => Just(Event::Restart),
    ]
}

/// The same without the numbers of questions, which are the machine's own.
fn plain(output: &Output) -> Output {
    match output {
        Output::CheckStanding { by, org, .. } => Output::CheckStanding { check: CheckId(0), by: by.clone(), org: org.clone() },
        other => other.clone(),
    }
}

fn hear(bench: &mut Bench<PairingCode>, model: &mut Code, input: &Input) {
    let now = millis(bench.now) / 1_000;
    let mut expected: Vec<_> = model.hear(now, MAX_GUESSES, input).iter().map(plain).collect();
    let said: Vec<_> = bench.tell(input.clone()).iter().map(|(_, output)| output.clone()).collect();
    if let (Some(Output::CheckStanding { check, .. }), Some((open, _))) = (said.first(), model.open.as_mut()) {
        *open = *check;
    }
    let mut plainly: Vec<_> = said.iter().map(plain).collect();
    // Which of two things that are true at the same moment is said first is not prescribed.
    let issued = plainly.iter().filter(|output| matches!(output, Output::Issue { .. })).count();
    plainly.retain(|output| !matches!(output, Output::Issue { .. }));
    let by_text = |output: &Output| format!("{output:?}");
    plainly.sort_by_key(by_text);
    expected.sort_by_key(by_text);
    assert_eq!(plainly, expected, "to {input:?} at {now} s, {model:?}");
    let decided = plainly.contains(&Output::Decided(proto_core::platform::pairing_code::Verdict::Approved));
    assert_eq!(issued, usize::from(decided), "PAIR-9, PAIR-12: issued with the approval and only then");
}

proptest! {
    #![proptest_config(config(512))]

    /// PAIR-9, PAIR-12, S7, S10, S211: approved at most once, by a member of the chosen org, for the org that was asked for, not
    /// after expiry, and not by guessing; also over restarts of the platform.
    #[test]
    fn a_code_lives_like_its_model(
        asked in proptest::option::of(proptest::sample::select(&["acme", "A"])),
        events in vec(events(), 0..100),
    ) {
        let asked = asked.map(String::from);
        let mut bench = Bench::new(PairingCode::mint(START, asked.clone()));
        let mut model = Code { asked, ..Code::default() };
        let mut before_restart = 0;
        for event in events {
            match event {
                Event::Told(input) => hear(&mut bench, &mut model, &input),
                Event::Guess(times) => {
                    (0..times).for_each(|_| hear(&mut bench, &mut model, &Input::Polled { token_fits: false }));
                }
                Event::Checked(back, standing) => {
                    let asks = bench.said[before_restart..].iter().rev().filter_map(|(_, output)| match output {
                        Output::CheckStanding { check, .. } => Some(*check),
                        _ => None,
                    });
                    let Some(check) = asks.into_iter().nth(back) else { continue };
                    hear(&mut bench, &mut model, &Input::Checked { check, standing });
                }
                Event::Pass(seconds) => {
                    bench.pass(Duration::from_secs(seconds));
                }
                Event::Restart => {
                    bench.machine = PairingCode::restore(bench.now, bench.machine.record());
                    before_restart = bench.said.len();
                    model.open = None;
                }
            }
            prop_assert!(model.issued <= 1, "PAIR-12");
            let lives = model.lives(millis(bench.now) / 1_000, MAX_GUESSES);
            let runs = matches!(bench.machine.status(), Status::Running { .. });
            prop_assert!(runs || !lives || model.decided.is_some(), "{:?}", bench.machine.status());
        }
    }
}

/// PAIR-12, S6: codes of different entropy differ, and each is 8 characters of the alphabet, every one of which occurs everywhere.
#[test]
fn codes_differ_and_use_their_whole_alphabet() {
    let codes: BTreeSet<String> = (0..4_000_u32)
        .map(|number| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            CodeText::generate(&Entropy::new(bytes)).as_str().to_owned()
        })
        .collect();
    assert_eq!(codes.len(), 4_000);
    for place in 0..8 {
        let here: BTreeSet<u8> = codes.iter().map(|code| code.as_bytes()[place]).collect();
        assert_eq!(here, CODE_ALPHABET.iter().copied().collect(), "place {place}");
    }
    assert!(codes.iter().all(|code| code.len() == 8));
}
