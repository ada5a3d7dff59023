//! Every machine of the core has its law, table, walk, model, fuzz target and planted bug; what one lacks is named here, with the
//! reason.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use verification::{explore::catalogue, fuzz::TARGETS, sources::workspace};

/// What a machine may lack, and why that is no gap.
const LACKING: &[(&str, Layer, &str)] = &[
    ("bridge", Layer::Model, "the models of session and routes say what it passes on"),
    ("connection", Layer::Model, "the models of admission and channel say what it lets through"),
    ("daemon", Layer::Model, "the simulation's oracles are its model"),
    ("handshake-initiator", Layer::Model, "properties over every bit of both messages stand in tests/tests/models/handshake.rs"),
    ("handshake-responder", Layer::Model, "properties over every bit of both messages stand in tests/tests/models/handshake.rs"),
    ("orgkey", Layer::Model, "several devices with a platform that keeps what they publish stand in its own tests"),
    ("uplink", Layer::Model, "the models of link, credential and key set are its parts"),
    ("viewer", Layer::Model, "the model of routes says what it may ask for, the simulation's oracles what it shows"),
];

/// What a machine has beside its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Law,
    Table,
    Walk,
    Model,
    Fuzz,
    Planted,
}

impl Layer {
    const ALL: [Self; 6] = [Self::Law, Self::Table, Self::Walk, Self::Model, Self::Fuzz, Self::Planted];
}

/// A machine of the core.
struct Machine {
    /// Its folder below `proto-core/src`.
    room: PathBuf,
    /// As its table is named.
    name: String,
}

impl Machine {
    fn at(room: &Path) -> Self {
        let names: Vec<_> = room.iter().map(|name| name.to_string_lossy().replace('_', "-")).collect();
        let name = match &names[..] {
            [.., parent, end] if parent == "handshake" => format!("handshake-{end}"),
            [.., name] => name.clone(),
            [] => String::new(),
        };
        Self { room: room.to_owned(), name }
    }

    /// As its Rust modules in `tests/` are named.
    fn module(&self, layer: Layer) -> String {
        match (layer, self.name.as_str()) {
            (Layer::Law, "handshake-initiator" | "handshake-responder") => "handshake".to_owned(),
            (Layer::Fuzz, name) => name.trim_start_matches("handshake-").replace('-', "_"),
            (Layer::Model, "credential") => "rotation".to_owned(),
            (Layer::Model, "hub") => "routes".to_owned(),
            (_, name) => name.replace('-', "_"),
        }
    }

    fn has(&self, layer: Layer) -> bool {
        let module = self.module(layer);
        match layer {
            Layer::Law => exists(&format!("tests/src/laws/subjects/{module}.rs")),
            Layer::Table => exists(&format!("tests/tables/{}.md", self.name)),
            Layer::Walk => read("docs/VERIFICATION.md").lines().any(|line| line.starts_with(&format!("| {} |", self.name))),
            Layer::Model => exists(&format!("tests/src/models/{module}.rs")),
            Layer::Fuzz => exists(&format!("fuzz/fuzz_targets/law_{module}.rs")),
            Layer::Planted => {
                let changes = format!("+++ b/proto-core/src/{}/", self.room.display());
                planted().iter().any(|patch| patch.contains(&changes))
            }
        }
    }
}

fn exists(path: &str) -> bool {
    workspace().join(path).exists()
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).expect("a readable page")
}

fn planted() -> Vec<String> {
    let entries = fs::read_dir(workspace().join("tests/planted")).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let patches = paths.filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// The folders of the core whose `mod.rs` implements the contract.
fn machines() -> Vec<Machine> {
    let core = workspace().join("proto-core/src");
    let mut rooms = vec![core.clone()];
    let mut machines = Vec::new();
    while let Some(room) = rooms.pop() {
        let entries = fs::read_dir(&room).expect("a readable folder").map(|entry| entry.expect("an entry").path());
        rooms.extend(entries.filter(|path| path.is_dir()));
        let source = fs::read_to_string(room.join("mod.rs")).unwrap_or_default();
        if source.lines().any(|line| line.starts_with("impl") && line.contains("Machine for ")) {
            machines.push(Machine::at(room.strip_prefix(&core).expect("below the core")));
        }
    }
    machines
}

#[test]
fn no_machine_lacks_what_the_others_have() {
    let machines = machines();
    assert!(machines.len() >= 17, "only {} machines were found", machines.len());
    let lacking: BTreeSet<_> = machines
        .iter()
        .flat_map(|machine| Layer::ALL.into_iter().map(move |layer| (machine, layer)))
        .filter(|(machine, layer)| !machine.has(*layer))
        .map(|(machine, layer)| (machine.name.as_str(), layer))
        .collect();
    let explained: BTreeSet<_> = LACKING.iter().map(|(machine, layer, _)| (*machine, *layer)).collect();
    assert_eq!(lacking, explained);
}

/// What VERIFICATION.md says of how many there are.
#[test]
fn the_page_counts_what_there_is() {
    let page = read("docs/VERIFICATION.md");
    let files = |folder: &str| fs::read_dir(workspace().join(folder)).expect("a folder").count();
    // `main.rs` is no model.
    let models = files("tests/tests/models") - 1;
    for counted in [
        format!("| {} machines, every state", files("tests/tables")),
        format!("| {} machines and systems", catalogue::names().len()),
        format!("| {models} models"),
        format!("| {} targets,", TARGETS.len()),
        format!("Each of the {} fuzz targets", TARGETS.len()),
    ] {
        assert!(page.contains(&counted), "docs/VERIFICATION.md lacks \"{counted}\"");
    }
}
