use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::*;
use crate::{
    UnixTime,
    api::Workspace,
    device::files::{Declines, MAX_GRANTS},
    id::OrgId,
};

const NOW: UnixTime = UnixTime(1_778_510_520);
const LATER: UnixTime = UnixTime(1_778_600_000);

fn org(text: &str) -> OrgId {
    text.parse().unwrap()
}

fn at(path: &str) -> Directory {
    Directory::parse(path).unwrap()
}

fn workspace(id: &str) -> Workspace {
    Workspace { id: org(id), slug: id.to_lowercase(), name: format!("{id} Engineering") }
}

fn local_only(why: Reason) -> Decision {
    Decision::LocalOnly { why: Some(why) }
}

fn streams(to: &str, directory: &str) -> Decision {
    Decision::Stream { org: org(to), directory: at(directory) }
}

/// A disk and a ledger, and the driver that looks at them.
#[derive(Clone, Default)]
struct Laptop {
    files: BTreeMap<String, Vec<u8>>,
    foreign: BTreeSet<String>,
    repositories: BTreeSet<Directory>,
    ledger: Grants,
}

impl Laptop {
    fn file(&self, path: &str) -> File {
        match self.files.get(path) {
            _ if self.foreign.contains(path) => File::Unusable,
            Some(bytes) => File::Contents(bytes.clone()),
            None => File::Absent,
        }
    }

    fn look(&self, directory: Directory) -> Looked {
        Looked {
            is_repository: self.repositories.contains(&directory),
            local: self.file(&directory.join(LOCAL_FILE)),
            workspace: self.file(&directory.join(WORKSPACE_FILE)),
            ignore: self.file(&directory.join(IGNORE_FILE)),
            directory,
        }
    }

    fn place(&self, directory: &str) -> DirectoryFacts {
        let mut resolver = Resolver::new(at(directory), &self.ledger);
        loop {
            match resolver.poll_output().expect("one output for each answer") {
                Output::Look(directory) => resolver.handle_input(Instant::ZERO, self.look(directory)).unwrap(),
                Output::Resolved(place) => {
                    assert_eq!(resolver.status(), Status::Finished);
                    assert_eq!(resolver.poll_output(), None);
                    return place;
                }
            }
        }
    }

    fn decision(&self, directory: &str) -> Decision {
        self.place(directory).decision
    }

    fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.into(), text.into());
    }

    fn repository(&mut self, directory: &str) {
        self.repositories.insert(at(directory));
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Write(path, contents) => {
                    self.foreign.remove(&path);
                    self.files.insert(path, contents.into());
                }
                Change::Remove(path) => {
                    self.files.remove(&path);
                }
            }
        }
    }

    fn bind(&mut self, directory: &str, to: &str, recursive: bool) {
        let mut plan = self.place(directory).bind(&org(to), recursive, NOW).unwrap();
        self.apply(core::mem::take(&mut plan.files));
        plan.enter(&mut self.ledger).unwrap();
    }

    fn text(&self, path: &str) -> &str {
        core::str::from_utf8(&self.files[path]).unwrap()
    }
}

/// S86, S87, S89 to S92, S96: what `bind` writes streams, from the directory and from below it, and from nowhere else.
#[test]
fn a_bound_directory_streams_and_its_neighbours_do_not() {
    let mut here = Laptop::default();
    here.bind("/home/u/work/api", "01J7M8N9P0Q1R2S3T4U5V6W7X8", false);
    assert_eq!(
        here.text("/home/u/work/api/.viewport/local.yaml"),
        "org_id: 01J7M8N9P0Q1R2S3T4U5V6W7X8\nstreaming: enabled\nbound_at: \"2026-05-11T14:42:00Z\"\n"
    );
    for inside in ["/home/u/work/api", "/home/u/work/api/src/deep"] {
        assert_eq!(here.decision(inside), streams("01J7M8N9P0Q1R2S3T4U5V6W7X8", "/home/u/work/api"));
    }
    for outside in ["/home/u/work", "/home/u/work/api2", "/"] {
        assert_eq!(here.decision(outside), Decision::LocalOnly { why: None }, "S94, {outside}");
    }
}

/// S94, D11: a bound directory whose file was removed streams no more, and is not silent about it.
#[test]
fn a_binding_whose_file_is_gone_is_reported() {
    for (recursive, nested) in [(false, None), (true, Some(Reason::LocalFileMissing))] {
        let mut here = Laptop::default();
        here.bind("/r", "A", recursive);
        here.repository("/r/n");
        here.files.clear();
        for inside in ["/r", "/r/src"] {
            assert_eq!(here.decision(inside), local_only(Reason::LocalFileMissing));
        }
        assert_eq!(here.decision("/r/n"), Decision::LocalOnly { why: nested });
        assert_eq!(here.decision("/"), Decision::LocalOnly { why: None });
    }
}

/// S99, D10: the nearest one decides, each repository for its own organization.
#[test]
fn each_repository_goes_to_its_own_organization() {
    let mut here = Laptop::default();
    here.bind("/c", "A", true);
    here.bind("/c/b", "B", true);
    here.repository("/c/a");
    here.repository("/c/b/x");
    assert_eq!(here.decision("/c/a"), streams("A", "/c"));
    assert_eq!(here.decision("/c/b/x/y"), streams("B", "/c/b"));
}

/// D10, S97: without `--recursive` a nested repository is not covered, with it it is; a linked working tree counts as one.
#[test]
fn a_nested_repository_needs_a_recursive_binding() {
    let mut here = Laptop::default();
    here.repository("/r");
    here.repository("/r/vendor/n");
    here.bind("/r", "A", false);
    assert_eq!(here.decision("/r"), streams("A", "/r"));
    assert_eq!(here.decision("/r/vendor"), streams("A", "/r"));
    for nested in ["/r/vendor/n", "/r/vendor/n/src"] {
        assert_eq!(here.decision(nested), local_only(Reason::NestedRepository));
    }
    here.bind("/r", "A", true);
    assert_eq!(here.decision("/r/vendor/n/src"), streams("A", "/r"));
}

/// D10: editing a repository's file cannot extend what was granted.
#[test]
fn recursion_needs_both_the_file_and_the_ledger() {
    let mut here = Laptop::default();
    here.repository("/r/n");
    here.bind("/r", "A", false);
    let text = here.text("/r/.viewport/local.yaml").to_string() + "recursive: true\n";
    here.write("/r/.viewport/local.yaml", &text);
    assert_eq!(here.decision("/r/n"), local_only(Reason::NestedRepository));

    here.bind("/r", "A", true);
    let text = here.text("/r/.viewport/local.yaml").replace("recursive: true\n", "");
    here.write("/r/.viewport/local.yaml", &text);
    assert_eq!(here.decision("/r/n"), local_only(Reason::NestedRepository));
}

/// D10, S93: a nearer file decides also when it says no or is invalid, whatever stands above it.
#[test]
fn the_nearest_file_decides_even_against_streaming() {
    let mut here = Laptop::default();
    here.bind("/r", "A", true);
    here.bind("/r/off", "A", false);
    let text = here.text("/r/off/.viewport/local.yaml").replace("enabled", "disabled");
    here.write("/r/off/.viewport/local.yaml", &text);
    here.write("/r/broken/.viewport/local.yaml", "org_id: [A]\n");
    here.write("/r/long/.viewport/local.yaml", &"#".repeat(MAX_FILE_LEN + 1));
    here.foreign.insert("/r/foreign/.viewport/local.yaml".into());
    assert_eq!(here.decision("/r/off/x"), local_only(Reason::StreamingDisabled));
    for broken in ["/r/broken/x", "/r/long", "/r/foreign"] {
        assert_eq!(here.decision(broken), local_only(Reason::LocalFileInvalid), "{broken}");
    }
}

/// A file counts up to the longest that is read, and not beyond.
#[test]
fn a_file_has_a_longest_form() {
    for (len, is_read) in [(MAX_FILE_LEN - 1, true), (MAX_FILE_LEN, true), (MAX_FILE_LEN + 1, false), (2 * MAX_FILE_LEN, false)] {
        let mut here = Laptop::default();
        here.bind("/r", "A", false);
        let text = here.text("/r/.viewport/local.yaml").to_string();
        here.write("/r/.viewport/local.yaml", &format!("{text}{}", "#".repeat(len - text.len())));
        let decided = if is_read { streams("A", "/r") } else { local_only(Reason::LocalFileInvalid) };
        assert_eq!(here.decision("/r"), decided, "{len}");
    }
}

/// D11, S110: shipped by a repository, edited to another organization, copied elsewhere, or left over from an earlier binding
/// of the same path: none of these counts.
#[test]
fn only_what_bind_wrote_here_counts() {
    let mut here = Laptop::default();
    here.write("/shipped/.viewport/local.yaml", "org_id: A\nstreaming: enabled\nbound_at: x\n");
    assert_eq!(here.decision("/shipped"), local_only(Reason::GrantMissing));

    here.bind("/r", "A", false);
    let written = here.text("/r/.viewport/local.yaml").to_string();
    here.write("/copy/.viewport/local.yaml", &written);
    assert_eq!(here.decision("/copy"), local_only(Reason::GrantMissing));

    here.write("/r/.viewport/local.yaml", &written.replace("\"A\"", "\"B\""));
    assert_eq!(here.decision("/r"), local_only(Reason::GrantMissing));

    here.write("/r/.viewport/local.yaml", &written.replace("2026", "2025"));
    assert_eq!(here.decision("/r"), local_only(Reason::GrantMissing));

    here.write("/r/.viewport/local.yaml", &written);
    assert_eq!(here.decision("/r"), streams("A", "/r"));
}

/// S103, S109: a hint alone, with any wording and paired or not, grants nothing.
#[test]
fn a_hint_never_grants() {
    let mut here = Laptop::default();
    here.repository("/r");
    here.write("/r/.viewport/workspace.yaml", "org_id: A\nstreaming: enabled\nbound_at: x\nrecursive: true\n");
    assert_eq!(here.decision("/r"), Decision::LocalOnly { why: None });
    here.bind("/other", "A", true);
    assert_eq!(here.decision("/r"), Decision::LocalOnly { why: None });
}

/// ISO-6, D10, D11: every arrangement of three nested directories against a predicate of its own.
#[test]
fn every_small_tree_agrees_with_the_rules() {
    #[derive(Clone, Copy)]
    struct Level {
        file: Option<(&'static str, bool)>,
        grant: Option<(&'static str, bool)>,
        is_repository: bool,
    }
    const BROKEN: &str = "";
    let files = [None, Some((BROKEN, false)), Some(("A", false)), Some(("A", true)), Some(("B", true))];
    let grants = [None, Some(("A", false)), Some(("A", true))];
    let levels: Vec<_> = files
        .iter()
        .flat_map(|file| grants.iter().map(move |grant| (*file, *grant)))
        .flat_map(|(file, grant)| [false, true].map(|is_repository| Level { file, grant, is_repository }))
        .collect();

    // Whether what stands at `tree[i]` makes the first directory stream. `tree` goes from the directory upward.
    let expected = |tree: &[Level]| {
        let nearest = tree.iter().position(|level| level.file.is_some())?;
        let nested = tree[..nearest].iter().any(|level| level.is_repository);
        let (file, grant) = (tree[nearest].file?, tree[nearest].grant?);
        (file.0 == grant.0 && (!nested || (file.1 && grant.1))).then_some((grant.0, nearest))
    };

    let paths = ["/a/b/c", "/a/b", "/a"];
    let mut streaming = 0;
    for tree in levels.iter().flat_map(|a| levels.iter().flat_map(|b| levels.iter().map(|c| [*a, *b, *c]))) {
        let mut here = Laptop::default();
        for (level, path) in tree.iter().zip(paths) {
            if let Some((to, recursive)) = level.grant {
                here.place(path).bind(&org(to), recursive, NOW).unwrap().enter(&mut here.ledger).unwrap();
            }
            match level.file {
                None => {}
                Some((BROKEN, _)) => here.write(&at(path).join(LOCAL_FILE), "?"),
                Some((to, recursive)) => {
                    let mut plan = here.place(path).bind(&org(to), recursive, NOW).unwrap();
                    here.apply(core::mem::take(&mut plan.files));
                }
            }
            if level.is_repository {
                here.repository(path);
            }
        }
        match (here.decision(paths[0]), expected(&tree)) {
            (Decision::Stream { org: to, directory }, Some((granted, nearest))) => {
                streaming += 1;
                assert_eq!((to.as_str(), directory.as_str()), (granted, paths[nearest]));
            }
            (Decision::LocalOnly { .. }, None) => {}
            (decision, expected) => panic!("{decision:?} instead of {expected:?}"),
        }
    }
    assert!(streaming > 1000, "{streaming}");
}

/// L8: the way up is bounded, and what is bound above the bound does not reach down.
#[test]
fn the_way_up_is_bounded() {
    let mut here = Laptop::default();
    here.bind("/a", "A", true);
    let reached = format!("/a{}", "/d".repeat(MAX_LEVELS - 1));
    assert_eq!(here.decision(&reached), streams("A", "/a"));
    assert_eq!(here.decision(&format!("{reached}/d")), Decision::LocalOnly { why: None });
}

#[test]
fn unsolicited_answers_are_counted() {
    let here = Laptop::default();
    let mut resolver = Resolver::new(at("/a"), &here.ledger);
    assert_eq!(resolver.poll_output(), Some(Output::Look(at("/a"))));
    resolver.handle_input(Instant::ZERO, here.look(at("/"))).unwrap();
    assert_eq!((resolver.poll_output(), resolver.ignored()), (None, 1));
    resolver.handle_input(Instant::ZERO, here.look(at("/a"))).unwrap();
    resolver.handle_input(Instant::ZERO, here.look(at("/a"))).unwrap();
    assert_eq!((resolver.poll_output(), resolver.ignored()), (Some(Output::Look(at("/"))), 2));
}

/// S88: git passes over `local.yaml`, and what others wrote stays.
#[test]
fn bind_has_local_yaml_ignored() {
    const PATH: &str = "/r/.viewport/.gitignore";
    let mut here = Laptop::default();
    here.bind("/r", "A", false);
    assert_eq!(here.text(PATH), "/.gitignore\n/local.yaml\n");
    for (old, new) in [
        ("/.gitignore\n/local.yaml\n", "/.gitignore\n/local.yaml\n"),
        ("local.yaml\r\nx", "local.yaml\r\nx"),
        ("*\n!workspace.yaml\n", "*\n!workspace.yaml\n/local.yaml\n"),
        ("/local.yaml\n!local.yaml", "/local.yaml\n!local.yaml\n/local.yaml\n"),
        ("x", "x\n/local.yaml\n"),
        ("", "/local.yaml\n"),
    ] {
        here.write(PATH, old);
        here.bind("/r", "A", false);
        assert_eq!(here.text(PATH), new, "{old:?}");
    }
    for (len, said) in [(MAX_FILE_LEN, None), (MAX_FILE_LEN + 1, Some(Reason::StateNotWritten))] {
        here.write(PATH, &"#".repeat(len));
        assert_eq!(here.place("/r").bind(&org("A"), false, NOW).err(), said, "{len}");
    }
    here.foreign.insert(PATH.into());
    assert_eq!(here.place("/r").bind(&org("A"), false, NOW), Err(Reason::StateNotWritten));
}

/// D10, D11: after `unbind`, and at any point in the middle of either command, nothing streams that was not granted.
#[test]
fn unbinding_takes_it_back_and_half_done_commands_grant_nothing() {
    let mut here = Laptop::default();
    let plan = here.place("/r").bind(&org("A"), false, NOW).unwrap();
    here.apply(plan.files.clone());
    assert_eq!(here.decision("/r"), local_only(Reason::GrantMissing));
    plan.enter(&mut here.ledger).unwrap();
    assert_eq!(here.decision("/r"), streams("A", "/r"));

    let changes = unbind(&at("/r"), &mut here.ledger).unwrap();
    assert_eq!(here.decision("/r"), local_only(Reason::GrantMissing));
    here.apply(changes);
    assert_eq!(here.decision("/r"), Decision::LocalOnly { why: None });
    assert_eq!(unbind(&at("/r"), &mut here.ledger), Err(Reason::NotBound));
}

/// L8: a full ledger takes no new directory, and still renews an old one.
#[test]
fn the_ledger_is_bounded() {
    let mut here = Laptop::default();
    here.bind("/d0", "A", false);
    let grant = here.ledger.directories["/d0"].clone();
    here.ledger.directories.extend((1..MAX_GRANTS).map(|n| (format!("/d{n}"), grant.clone())));
    let enter = |directory: &str, ledger: &mut Grants| here.place(directory).bind(&org("B"), false, NOW).unwrap().enter(ledger);
    let mut ledger = here.ledger.clone();
    assert_eq!(enter("/new", &mut ledger), Err(Reason::StateNotWritten));
    assert_eq!(ledger, here.ledger);
    assert_eq!(enter("/d1", &mut ledger), Ok(()));
}

/// S98, D4: without `--org` the only binding or the hint; with it an id before a slug.
#[test]
fn bind_knows_which_organization_is_meant() {
    let mut here = Laptop::default();
    let (a, b) = (workspace("A"), workspace("B"));
    let both = [a.clone(), b.clone()];
    let plain = here.place("/r");
    assert_eq!(plain.org(None, &[]), Err(Reason::NotPaired));
    assert_eq!(plain.org(Some("a"), &[]), Err(Reason::NotPaired));
    assert_eq!(plain.org(None, &both[..1]), Ok(&a));
    assert_eq!(plain.org(None, &both), Err(Reason::OrgAmbiguous));
    assert_eq!(plain.org(Some("B"), &both), Ok(&b));
    assert_eq!(plain.org(Some("b"), &both), Ok(&b));
    assert_eq!(plain.org(Some("c"), &both), Err(Reason::OrgUnknown));

    let crossed = [Workspace { slug: "B".into(), ..a.clone() }, b.clone()];
    assert_eq!(plain.org(Some("B"), &crossed), Ok(&b));
    let twins = [Workspace { slug: "same".into(), ..a }, Workspace { slug: "same".into(), ..b.clone() }];
    assert_eq!(plain.org(Some("same"), &twins), Err(Reason::OrgAmbiguous));

    here.write("/r/.viewport/workspace.yaml", "org_id: B\n");
    assert_eq!(here.place("/r/src").org(None, &both), Ok(&b));
    here.bind("/r/src", "B", false);
    assert_eq!(here.place("/r/src").org(None, &both), Ok(&b), "also where something is bound already");
    here.write("/r/.viewport/workspace.yaml", "org_id: C\n");
    assert_eq!(here.place("/r").org(None, &both), Err(Reason::OrgAmbiguous));
}

fn hinted() -> Laptop {
    let mut here = Laptop::default();
    here.repository("/r");
    here.write("/r/.viewport/workspace.yaml", "org_id: A\nslug: acme\n");
    here
}

/// S100 to S102, S104 to S106: paired, it asks by display name; not paired, it names the command's argument.
#[test]
fn a_hint_asks_or_suggests() {
    let here = hinted();
    let none = Declines::default();
    let place = here.place("/r/src");
    let asks = Advice::AskToBind { directory: at("/r"), org: workspace("A") };
    assert_eq!(place.advice(&[workspace("B"), workspace("A")], &none), asks);
    let suggests = Advice::SuggestPairing { directory: at("/r"), org: "acme".into() };
    assert_eq!(place.advice(&[workspace("B")], &none), suggests);
    assert_eq!(here.place("/elsewhere").advice(&[workspace("A")], &none), Advice::Nothing);
}

/// S107, S108: a no is remembered for that directory and that organization.
#[test]
fn a_declined_hint_is_silent() {
    let mut here = hinted();
    let mut declines = Declines::default();
    declines.remember("/r".into(), org("A"), LATER);
    assert_eq!(here.place("/r/src").advice(&[workspace("A")], &declines), Advice::Nothing);
    here.write("/r/.viewport/workspace.yaml", "org_id: B\n");
    assert_ne!(here.place("/r/src").advice(&[workspace("A")], &declines), Advice::Nothing);
}

/// D9: nothing is asked where the user decided already; a repository's hint is read below a binding of everything.
#[test]
fn a_hint_is_silent_where_the_user_decided() {
    let paired = [workspace("A"), workspace("B")];
    let advice = |here: &Laptop| here.place("/r").advice(&paired, &Declines::default());
    let silent = |bind: fn(&mut Laptop)| {
        let mut here = hinted();
        bind(&mut here);
        advice(&here) == Advice::Nothing
    };
    assert!(silent(|here| here.bind("/r", "A", false)));
    assert!(silent(|here| here.bind("/r", "B", false)));
    assert!(silent(|here| here.bind("/", "A", true)));
    assert!(silent(|here| here.write("/r/.viewport/local.yaml", "org_id: A\nstreaming: disabled\nbound_at: x\n")));
    assert!(!silent(|here| here.bind("/", "B", true)));
    assert!(!silent(|here| here.write("/r/.viewport/local.yaml", "org_id: A\nstreaming: enabled\nbound_at: x\n")));
}

/// D9: only a usable hint inside the repository is read, and the nearest of several.
#[test]
fn hints_end_at_the_repository_root() {
    let mut here = hinted();
    here.repository("/r/nested");
    assert_eq!(here.place("/r/nested/src").hint, None);
    here.write("/r/near/.viewport/workspace.yaml", "org_id: B\n");
    assert_eq!(here.place("/r/near/x").hint.map(|hint| hint.directory), Some(at("/r/near")));
    here.write("/r/.viewport/workspace.yaml", "org_id: [A]\n");
    assert_eq!(here.place("/r").hint, None);
    let mut foreign = hinted();
    foreign.foreign.insert("/r/.viewport/workspace.yaml".into());
    assert_eq!(foreign.place("/r").hint, None);
}

/// The resolver asks for no more than it needs: at a bound repository root it is done after one look.
#[test]
fn a_bound_repository_root_takes_one_look() {
    let mut here = Laptop::default();
    here.repository("/home/u/r");
    here.bind("/home/u/r", "A", false);
    let mut resolver = Resolver::new(at("/home/u/r"), &here.ledger);
    assert_eq!(resolver.poll_output(), Some(Output::Look(at("/home/u/r"))));
    resolver.handle_input(Instant::ZERO, here.look(at("/home/u/r"))).unwrap();
    let outputs = vec![resolver.poll_output(), resolver.poll_output()];
    assert!(matches!(outputs.as_slice(), [Some(Output::Resolved(_)), None]));
}
