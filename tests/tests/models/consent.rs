//! [`Resolver`] beside the recursive description in `verification::models::consent`.

use proptest::{collection::vec, prelude::*};
use proto_core::{
    Machine, Reason,
    api::Workspace,
    device::{
        consent::{self, Decision, Directory, DirectoryFacts, File, Looked, Output, Resolver},
        files::{Declines, Grant, Grants, Unknown},
    },
};
use verification::models::{
    START, config,
    consent::{Advice, Level, Local, Why, advise, decide, hint},
    given::{UNIX, id, workspace},
};

const ORGS: [&str; 3] = ["A", "B", "c"];

fn orgs() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&ORGS)
}

fn levels() -> impl Strategy<Value = Vec<Level>> {
    let local = prop_oneof![
        4 => Just(Local::Absent),
        1 => Just(Local::Broken),
        1 => Just(Local::Disabled),
        4 => (orgs(), any::<bool>()).prop_map(|(org, recursive)| Local::Enabled(org, recursive)),
        1 => (orgs(), any::<bool>()).prop_map(|(org, recursive)| Local::Foreign(org, recursive)),
    ];
    // A grant mostly says what the file says; only the daemon changes the ledger.
    let level = (local, proptest::bool::weighted(0.3), proptest::option::weighted(0.3, orgs()), 0_u8..5, orgs(), any::<bool>())
        .prop_map(|(local, is_repository, hint, chance, org, recursive)| {
            let grant = match (local, chance) {
                (_, 0) => None,
                (_, 1) => Some((org, recursive)),
                (Local::Enabled(org, _), 2) => Some((org, recursive)),
                (Local::Enabled(org, recursive) | Local::Foreign(org, recursive), _) => Some((org, recursive)),
                (_, _) => None,
            };
            Level { local, is_repository, hint, grant }
        });
    vec(level, 1..6)
}

/// The directory that lies `up` levels above the nearest of `count`.
fn directory(count: usize, up: usize) -> Directory {
    let names: Vec<_> = (1..count - up).map(|depth| depth.to_string()).collect();
    Directory::parse(&format!("/{}", names.join("/"))).unwrap()
}

fn looked(levels: &[Level], up: usize) -> Looked {
    let level = &levels[up];
    let yaml = |text: String| File::Contents(text.into_bytes());
    let enabled =
        |org, recursive, at| yaml(format!("org_id: {org}\nstreaming: enabled\nrecursive: {recursive}\nbound_at: \"{at}\"\n"));
    let local = match level.local {
        Local::Absent => File::Absent,
        Local::Broken if up.is_multiple_of(2) => File::Unusable,
        Local::Broken => yaml("org_id: [".into()),
        Local::Disabled => yaml("org_id: A\nstreaming: disabled\nbound_at: \"t\"\n".into()),
        Local::Enabled(org, recursive) => enabled(org, recursive, "t"),
        Local::Foreign(org, recursive) => enabled(org, recursive, "another time"),
    };
    let workspace = level.hint.map_or(File::Absent, |org| yaml(format!("org_id: {org}\n")));
    Looked { directory: directory(levels.len(), up), is_repository: level.is_repository, local, workspace, ignore: File::Absent }
}

fn ledger(levels: &[Level]) -> Grants {
    let mut ledger = Grants::default();
    for (up, level) in levels.iter().enumerate() {
        if let Some((org, recursive)) = level.grant {
            let grant = Grant { org_id: id(org), recursive, bound_at: "t".into(), unknown: Unknown::new() };
            ledger.directories.insert(directory(levels.len(), up).as_str().into(), grant);
        }
    }
    ledger
}

/// What the machine decides, on a disk that looks like this.
fn resolved(levels: &[Level]) -> DirectoryFacts {
    let mut resolver = Resolver::new(directory(levels.len(), 0), &ledger(levels));
    for _ in 0..=levels.len() {
        match resolver.poll_output().expect("it asks or decides") {
            Output::Resolved(place) => return place,
            Output::Look(asked) => {
                let up = (0..levels.len()).find(|up| directory(levels.len(), *up) == asked).expect("a directory above");
                resolver.handle_input(START, looked(levels, up)).unwrap();
            }
        }
    }
    panic!("it looks twice");
}

fn reason(why: Why) -> Option<Reason> {
    match why {
        Why::NothingBound => None,
        Why::Disabled => Some(Reason::StreamingDisabled),
        Why::Broken => Some(Reason::LocalFileInvalid),
        Why::NoGrant => Some(Reason::GrantMissing),
        Why::NestedRepository => Some(Reason::NestedRepository),
        Why::Gone => Some(Reason::LocalFileMissing),
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    /// D10, D11, S92 to S97, ISO-6: the same org, the same directory, the same reason.
    #[test]
    fn a_directory_streams_where_its_model_says(levels in levels()) {
        let expected = match decide(&levels) {
            Ok((org, up)) => Decision::Stream { org: id(org), directory: directory(levels.len(), up) },
            Err(why) => Decision::LocalOnly { why: reason(why) },
        };
        prop_assert_eq!(resolved(&levels).decision, expected);
    }

    /// S109, S110, ISO-6: without a grant in the ledger nothing streams, whatever stands on the disk.
    #[test]
    fn without_a_grant_nothing_streams(levels in levels()) {
        let levels: Vec<_> = levels.into_iter().map(|level| Level { grant: None, ..level }).collect();
        let is_local = matches!(resolved(&levels).decision, Decision::LocalOnly { .. });
        prop_assert!(is_local);
    }

    /// D9, S103 to S109: what is said about a hint, and about which organization.
    #[test]
    fn a_hint_is_answered_like_its_model(
        levels in levels(),
        paired in proptest::sample::subsequence(ORGS.to_vec(), 0..=3),
        declined in vec((0_usize..6, orgs()), 0..3),
    ) {
        // One no per directory is remembered: the latest.
        let mut declines = Declines::default();
        let mut remembered: Vec<(usize, &str)> = Vec::new();
        for (up, org) in declined.iter().filter(|(up, _)| *up < levels.len()) {
            declines.remember(directory(levels.len(), *up).as_str().into(), id(org), UNIX);
            remembered.retain(|(other, _)| other != up);
            remembered.push((*up, org));
        }
        let place = resolved(&levels);
        let found = place.hint.as_ref().map(|hint| (hint.directory.clone(), hint.suggested.org_id.to_string()));
        prop_assert_eq!(found, hint(&levels).map(|(up, org)| (directory(levels.len(), up), org.to_owned())));
        let workspaces: Vec<Workspace> = paired.iter().map(|org| workspace(org)).collect();
        let expected = match advise(&levels, &paired, &remembered) {
            Advice::Nothing => consent::Advice::Nothing,
            Advice::AskToBind(up, org) => consent::Advice::AskToBind { directory: directory(levels.len(), up), org: workspace(org) },
            Advice::Suggest(up, org) => {
                consent::Advice::SuggestPairing { directory: directory(levels.len(), up), org: org.into() }
            }
        };
        prop_assert_eq!(place.advice(&workspaces, &declines), expected, "{:?}", place.decision);
    }
}
