use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::device::{
    consent::{Directory, DirectoryFacts, File, Looked, Output, Resolver},
    files::Grants,
};

use super::world::{UNIX, latest, parsed};
use crate::laws::Subject;

const PATHS: [&str; 4] = ["/a/b/c", "/a/b", "/a", "/"];

pub struct Asked;

#[derive(Clone, Debug)]
pub struct Fact {
    /// The directory that was asked for, or one of [`PATHS`].
    directory: Option<usize>,
    is_repository: bool,
    files: [File; 3],
}

fn directory(place: usize) -> Directory {
    Directory::parse(PATHS[place]).unwrap()
}

fn files() -> BoxedStrategy<File> {
    let bound_at = UNIX.to_rfc3339();
    let texts = vec![
        format!("org_id: A\nstreaming: enabled\nbound_at: \"{bound_at}\"\n"),
        format!("org_id: A\nstreaming: enabled\nrecursive: true\nbound_at: \"{bound_at}\"\n"),
        "org_id: A\nstreaming: disabled\nbound_at: x\n".into(),
        "org_id: A\nslug: acme\n".into(),
        "?".into(),
    ];
    let contents = proptest::sample::select(texts).prop_map(|text| File::Contents(text.into()));
    prop_oneof![8 => Just(File::Absent), 1 => Just(File::Unusable), 3 => contents].boxed()
}

impl Subject for Asked {
    type Machine = Resolver;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 1;
    const MAX_DEBUG: usize = 4_096;

    fn start(&self, seed: u64) -> Resolver {
        let mut ledger = Grants::default();
        for place in (0..PATHS.len()).filter(|place| seed >> place & 1 == 1) {
            let (directory, ignore) = (directory(place), File::Absent);
            let decision = proto_core::device::consent::Decision::LocalOnly { why: None };
            let plan = DirectoryFacts { directory, decision, hint: None, ignore }.bind(&parsed("A"), true, UNIX).unwrap();
            plan.enter(&mut ledger).unwrap();
        }
        Resolver::new(directory(0), &ledger)
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let place = proptest::option::weighted(0.2, 0..PATHS.len());
        (place, any::<bool>(), [files(), files(), files()])
            .prop_map(|(directory, is_repository, files)| Fact { directory, is_repository, files })
            .boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Looked {
        let asked = latest(said, 0, |output| match output {
            Output::Look(directory) => Some(directory.clone()),
            Output::Resolved(_) => None,
        });
        let [local, workspace, ignore] = fact.files.clone();
        let directory = fact.directory.map(directory).or(asked).unwrap_or(directory(0));
        Looked { directory, is_repository: fact.is_repository, local, workspace, ignore }
    }
}
