//! Which of several sessions is meant, and how long that is waited for.

use alloc::{string::ToString as _, vec, vec::Vec};
use core::time::Duration;

use super::{
    choice::{Choice, Entry, Wanted, Which, answer, in_order, telling_length},
    *,
};
use crate::{
    api::{KeyView, NamedMachine},
    wire::{Listing, Standing, Title},
};

/// The `n`-th session, which stands so since `began`.
fn entry(n: u128, standing: Standing, began: u64) -> Entry {
    let listing = Listing { standing, began: UnixTime(began), active: UnixTime(began + 5), bytes: 1, records: 1 };
    Entry { session: numbered(n << 64), listing, machine: None, title: None, obstacle: None }
}

fn on(machine: &str, entry: Entry) -> Entry {
    let named = NamedMachine { runtime_target_id: "r1".parse().unwrap(), name: machine.into(), owner: "Ada".into() };
    Entry { machine: Some(named), ..entry }
}

fn wanted(prefix: &str, machine: &str, which: Which) -> Wanted {
    let prefix = (!prefix.is_empty()).then(|| prefix.parse().unwrap());
    Wanted { prefix, machine: (!machine.is_empty()).then(|| machine.into()), which }
}

fn ids(entries: &[Entry]) -> Vec<u128> {
    entries.iter().map(|entry| u128::from_be_bytes(entry.session.0) >> 64).collect()
}

#[test]
fn live_sessions_come_first_and_then_the_newest() {
    let entries = vec![
        entry(1, Standing::Exited, 50),
        entry(2, Standing::Live, 10),
        entry(3, Standing::Away, 60),
        entry(4, Standing::Live, 20),
        entry(5, Standing::Cut, 50),
        entry(6, Standing::Exited, 0),
    ];
    assert_eq!(ids(&in_order(entries)), [4, 2, 3, 1, 5, 6]);
}

/// What a session says of its beginning itself counts more than what the relay says; how long it took is known of those that have
/// ended, and of those that go on.
#[test]
fn times_are_told_as_far_as_they_are_known() {
    let now = UnixTime(1_000);
    let title = Title { command: "x".into(), directory: "/".into(), started: 40, columns: 80, rows: 24 };
    let titled = Entry { title: Some(title.into()), ..entry(1, Standing::Exited, 50) };
    assert_eq!((titled.started(), titled.ended(), titled.lasted(now)), (Some(UnixTime(40)), Some(UnixTime(55)), Some(15)));
    let live = entry(1, Standing::Live, 50);
    assert_eq!((live.ended(), live.lasted(now)), (None, Some(950)));
    let away = entry(1, Standing::Away, 50);
    assert_eq!((away.ended(), away.lasted(now)), (None, None));
    let unknown = Entry { listing: Listing { standing: Standing::Cut, ..Listing::default() }, ..away };
    assert_eq!((unknown.started(), unknown.ended(), unknown.lasted(now)), (None, None, None));
}

/// The only live one is meant where nothing is said, else the only one; the rest has to be said.
#[test]
fn what_is_meant_follows_from_what_is_said() {
    let (live, ended) = (entry(1, Standing::Live, 10), entry(2, Standing::Exited, 20));
    let (other, away) = (on("Build", entry(3, Standing::Live, 5)), entry(4, Standing::Away, 30));
    let this = |entry: &Entry| Choice::This(entry.session);
    let several = |live| Choice::Several { live };
    let all = [&live, &ended, &other, &away];
    for (said, of, choice) in [
        (wanted("", "", Which::Only), &all[..2], this(&live)),
        (wanted("", "", Which::Only), &all[1..2], this(&ended)),
        (wanted("", "", Which::Only), &all[..], several(true)),
        (wanted("", "", Which::Only), &[&ended, &away], several(false)),
        (wanted("", "", Which::Only), &[], Choice::Nothing),
        (wanted("", "", Which::Live), &all[..2], this(&live)),
        (wanted("", "", Which::Live), &all[..], several(true)),
        (wanted("", "", Which::Live), &all[1..2], Choice::Nothing),
        (wanted("", "", Which::Latest), &all[..], this(&away)),
        (wanted("", "", Which::Latest), &[], Choice::Nothing),
        (wanted("", "build", Which::Only), &all[..], this(&other)),
        (wanted("", "build", Which::Latest), &all[..], this(&other)),
        (wanted("", "elsewhere", Which::Only), &all[..], Choice::Nothing),
        (wanted("a", "", Which::Only), &all[..], several(false)),
        (wanted("a", "", Which::Live), &all[..], several(true)),
        (wanted("b", "", Which::Only), &all[..], Choice::Nothing),
    ] {
        let of: Vec<_> = of.iter().map(|entry| (*entry).clone()).collect();
        assert_eq!(said.choose(&of), choice, "{said:?} of {:?}", ids(&of));
    }
    let all = all.map(Clone::clone);
    assert_eq!(ids(&wanted("", "", Which::Only).left(all.to_vec())), [1, 3], "those that are live");
    assert_eq!(ids(&wanted("a", "", Which::Only).left(all.to_vec())), [1, 3, 4, 2]);
    assert_eq!(ids(&wanted("", "", Which::Latest).left(all.to_vec())), [4]);
    assert_eq!(ids(&wanted("b", "", Which::Only).left(all.to_vec())), []);
}

/// The beginning of an id is enough where it tells sessions apart, in whatever case.
#[test]
fn an_id_may_be_cut_short() {
    let ids = [SessionId([0; 16]), SessionId([0x84; 16]), SessionId([0xff; 16])];
    let entries: Vec<_> = ids.map(|session| Entry { session, ..entry(1, Standing::Exited, 1) }).into();
    for (session, text) in [(ids[0], "a"), (ids[1], "QS"), (ids[2], "77777777777777777777777774")] {
        assert_eq!(wanted(text, "", Which::Only).choose(&entries), Choice::This(session), "{text}");
    }
    for bad in ["", "a-b", "0", "18", "ä", "77777777777777777777777774a"] {
        assert!(bad.parse::<choice::Prefix>().is_err(), "{bad}");
    }
    assert_eq!(telling_length(&entries), 6, "six at least, so that they tell apart for a while");
    let near = [entry(1, Standing::Live, 1), entry(2, Standing::Live, 1)];
    let length = telling_length(&near);
    let cut = near.clone().map(|entry| entry.session.to_string()[..length].to_string());
    assert_ne!(cut[0], cut[1]);
    assert_eq!(near[0].session.to_string()[..length - 1], near[1].session.to_string()[..length - 1]);
    assert_eq!((telling_length(&[]), telling_length(&near[..1])), (6, 6));
}

/// At a numbered list a person answers with a line's number or with the beginning of an id.
#[test]
fn an_answer_names_a_line_or_an_id() {
    let entries = [0xd6, 0x84, 0x85].map(|byte| Entry { session: SessionId([byte; 16]), ..entry(1, Standing::Live, 1) });
    for (text, named) in [("1", 0), (" 2\n", 1), ("3", 2), ("qs", 1), ("QW", 2)] {
        assert_eq!(answer(text, &entries), Ok(entries[named].session), "{text:?}");
    }
    for bad in ["0", "4", "", "zz", "-1", "99999", "23", "help!"] {
        assert_eq!(answer(bad, &entries), Err(Reason::SessionUnknown), "{bad:?}");
    }
    assert_eq!(answer("q", &entries), Err(Reason::SessionAmbiguous));
}

fn open_as(bench: &mut Bench, relay: &mut Relay, n: u128, standing: Standing, began: u64) {
    let listing = Listing { standing, began: UnixTime(began), ..Listing::default() };
    let daemon_token = uplink::testing::token(1, UNIX);
    let body = listing.body(daemon_token.expose().as_bytes());
    bench.tell(relay, Frame { head: Head::Open { session: numbered(n), cipher: 1 }, body });
}

fn only(wanted: Wanted) -> Bench {
    Bench::with(Settings { goal: Goal::TheOnly, wanted, ..settings() })
}

/// The one that is live is shown, though others are kept.
#[test]
fn the_only_live_session_is_shown() {
    let mut bench = only(Wanted::default());
    let mut relay = bench.up();
    open_as(&mut bench, &mut relay, 1, Standing::Exited, 7);
    open_as(&mut bench, &mut relay, 2, Standing::Live, 5);
    open_as(&mut bench, &mut relay, 3, Standing::Exited, 9);
    bench.pass(LIST_QUIET_TIME);
    assert_eq!(bench.waits_for(), "frames");
    bench.pass(TITLE_TIMEOUT);
    assert!(!bench.take_said().iter().any(|output| matches!(output, Output::Sessions(_))), "that one is meant");
}

/// What is asked for and is not there is no reason to wait.
#[test]
fn what_does_not_fit_is_not_waited_for() {
    let elsewhere = wanted("", "elsewhere", Which::Only);
    for said in [wanted("", "", Which::Live), wanted("", "", Which::Latest), wanted("b", "", Which::Only), elsewhere] {
        let mut bench = only(said);
        bench.up();
        assert!(matches!(bench.take_said()[..], [Output::Up { waits_for_session: false }]));
        bench.pass(LIST_QUIET_TIME);
        assert_eq!(bench.watcher.status(), Status::Failed(&Reason::SessionUnknown));
    }
}

/// Where a machine is named, the platform's names are waited for, and not for ever; what is listed carries them.
#[test]
fn machines_are_known_by_the_names_that_the_platform_gives_them() {
    let target = crate::testing::claims(&Identity::from_seed(Secret::new([3; 32])), UNIX).runtime_target;
    let named = NamedMachine { runtime_target_id: target, name: "mbp".into(), owner: "Ada".into() };
    let view = KeyView { statements: vec![], device: None, waiting: vec![], renew: false, machines: vec![named.clone()] };
    for (answers, waits) in [(true, LIST_QUIET_TIME), (false, TITLE_TIMEOUT)] {
        let mut bench = only(wanted("", "MBP", Which::Only));
        let mut relay = bench.up();
        open_as(&mut bench, &mut relay, 1, Standing::Exited, 7);
        if answers {
            let of_key = |id: &EffectId| matches!(id, EffectId::Viewer(_, uplink::EffectId::OrganizationKey(_)));
            let request = bench.answer(of_key, 200, &serde_json::to_string(&view).unwrap());
            assert!(request.url.ends_with("?after=0&machines=true"), "{}", request.url);
        }
        bench.pass(waits.saturating_sub(Duration::from_nanos(1)));
        assert_eq!(bench.waits_for(), "frames");
        bench.pass(Duration::from_nanos(1));
        let is_unknown = bench.watcher.status() == Status::Failed(&Reason::SessionUnknown);
        assert_eq!(is_unknown, !answers);
    }
    let mut bench = Bench::paired(Goal::List);
    let mut relay = bench.up();
    open_as(&mut bench, &mut relay, 1, Standing::Exited, 7);
    bench.answer(
        |id| matches!(id, EffectId::Viewer(_, uplink::EffectId::OrganizationKey(_))),
        200,
        &serde_json::to_string(&view).unwrap(),
    );
    bench.pass(TITLE_TIMEOUT);
    let listed =
        bench.take_said().into_iter().find_map(|output| if let Output::Sessions(list) = output { Some(list) } else { None });
    assert_eq!(listed.unwrap()[0].machine, Some(named));
}
