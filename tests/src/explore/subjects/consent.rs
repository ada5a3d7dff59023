//! `consent`: a ledger, and whatever is in three directories, each inside or outside of a repository.

use proto_core::{
    Machine, Status,
    device::{
        consent::{Decision, Directory, DirectoryFacts, File, Looked, Output, Resolver},
        files::Grants,
    },
};

use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::{UNIX, parsed},
};

/// What is asked about, and what lies above it.
const PATHS: [&str; 3] = ["/a/b", "/a", "/"];

/// One question to the resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked;

/// What is in the directory that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    is_repository: bool,
    local: Local,
    has_hint: bool,
    /// The answer is about a directory that was not asked for.
    is_elsewhere: bool,
}

/// What `local.yaml` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    Absent,
    Unusable,
    Nonsense,
    /// The file that `vpd bind` wrote.
    Granted,
    /// The same, and it says that it holds for repositories within.
    Recursive,
    /// For another organization than the ledger's.
    OtherOrg,
    /// Of another moment than the ledger's: a repository ships it.
    OtherMoment,
    Disabled,
}

const LOCALS: [Local; 8] = [
    Local::Absent,
    Local::Unusable,
    Local::Nonsense,
    Local::Granted,
    Local::Recursive,
    Local::OtherOrg,
    Local::OtherMoment,
    Local::Disabled,
];

/// What the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    /// Which of [`PATHS`] are granted, and for repositories within as well.
    granted: [Option<bool>; 3],
    /// The directory that is asked for.
    at: usize,
    is_outside: bool,
    /// What must come out: `None` while nothing decides.
    decided: Option<bool>,
}

fn directory(place: usize) -> Directory {
    Directory::parse(PATHS.get(place).copied().unwrap_or("/elsewhere")).expect("a path")
}

fn ledger(granted: [Option<bool>; 3]) -> Grants {
    let mut ledger = Grants::default();
    for (place, recursive) in granted.into_iter().enumerate().filter_map(|(place, grant)| Some((place, grant?))) {
        let decision = Decision::LocalOnly { why: None };
        let place = DirectoryFacts { directory: directory(place), decision, hint: None, ignore: File::Absent };
        let plan = place.bind(&parsed("A"), recursive, UNIX).expect("a plan");
        plan.enter(&mut ledger).expect("room");
    }
    ledger
}

impl Local {
    fn file(self) -> File {
        let text = |org: &str, streaming: &str, recursive: bool, moment: u64| {
            let bound_at = UNIX.plus(moment).to_rfc3339();
            let recursive = if recursive { "recursive: true\n" } else { "" };
            File::Contents(format!("org_id: {org}\nstreaming: {streaming}\n{recursive}bound_at: \"{bound_at}\"\n").into())
        };
        match self {
            Self::Absent => File::Absent,
            Self::Unusable => File::Unusable,
            Self::Nonsense => File::Contents(b"?".to_vec()),
            Self::Granted => text("A", "enabled", false, 0),
            Self::Recursive => text("A", "enabled", true, 0),
            Self::OtherOrg => text("B", "enabled", true, 0),
            Self::OtherMoment => text("A", "enabled", true, 60),
            Self::Disabled => text("A", "disabled", true, 0),
        }
    }
}

impl Subject for Asked {
    type Machine = Resolver;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "consent";
    const MAX_OUTPUTS: usize = 1;

    fn bounds(&self) -> String {
        "three directories up to the root; every ledger over them; eight kinds of local.yaml; with and without hint and repository".into()
    }

    fn starts(&self) -> Vec<(Resolver, Memory)> {
        let grants = [None, Some(false), Some(true)];
        let pairs = grants.into_iter().flat_map(|a| grants.map(|b| (a, b)));
        let triples = pairs.flat_map(|(a, b)| grants.map(|c| [a, b, c]));
        let start = |granted| {
            let memory = Memory { granted, at: 0, is_outside: false, decided: None };
            (Resolver::new(directory(0), &ledger(granted)), memory)
        };
        triples.map(start).collect()
    }

    fn facts(&self, _: &Situation<Self>) -> Vec<Fact> {
        let flags = [(false, false), (false, true), (true, false), (true, true)];
        let facts = LOCALS.into_iter().flat_map(|local| {
            flags.map(|(is_repository, has_hint)| Fact { is_repository, local, has_hint, is_elsewhere: false })
        });
        let elsewhere = Fact { is_repository: false, local: Local::Granted, has_hint: false, is_elsewhere: true };
        facts.chain([elsewhere]).collect()
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Looked {
        let directory = if fact.is_elsewhere { directory(PATHS.len()) } else { directory(at.memory.at) };
        let hint = if fact.has_hint { File::Contents(b"org_id: A\nslug: acme\n".to_vec()) } else { File::Absent };
        let (is_repository, local) = (fact.is_repository, fact.local.file());
        Looked { directory, is_repository, local, workspace: hint, ignore: File::Absent }
    }

    /// ISO-6, by a rule of its own: the nearest file decides, and only with the ledger.
    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        if let Some(fact) = seen.fact.filter(|fact| !fact.is_elsewhere)
            && matches!(seen.before.status(), Status::Running { .. })
        {
            memory.look(*fact);
        }
        for output in seen.outputs {
            match output {
                Output::Look(directory) => {
                    memory.at = PATHS.iter().position(|path| *path == directory.as_str()).unwrap_or(PATHS.len());
                }
                Output::Resolved(place) => {
                    let streams = matches!(place.decision, Decision::Stream { .. });
                    if streams != (memory.decided == Some(true)) {
                        return Err(Broken::new("ISO-6", format!("{:?}, where {:?} was due", place.decision, memory.decided)));
                    }
                }
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        let fact = Fact { is_repository: true, local: Local::Absent, has_hint: false, is_elsewhere: false };
        matches!(at.machine.status(), Status::Running { .. }).then_some(fact)
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        matches!(at.machine.status(), Status::Finished)
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Look(_) => "Look(parent)".into(),
            Output::Resolved(place) => {
                let decision = match &place.decision {
                    Decision::Stream { org, .. } => format!("Stream({org})"),
                    Decision::LocalOnly { why } => format!("LocalOnly({why:?})"),
                };
                format!("Resolved({decision})")
            }
        }
    }
}

impl Memory {
    fn look(&mut self, fact: Fact) {
        let grant = self.granted.get(self.at).copied().flatten();
        let verdict = match (fact.local, grant) {
            (Local::Absent, _) => None,
            (Local::Granted, Some(_)) => Some(!self.is_outside),
            (Local::Recursive, Some(recursive)) => Some(!self.is_outside || recursive),
            _ => Some(false),
        };
        self.decided = self.decided.or(verdict);
        self.is_outside |= fact.is_repository;
    }
}
