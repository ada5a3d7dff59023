//! Every state and every input of every machine, as committed tables and graphs, against what the machines do.
//!
//! `VIEWPORT_RENEW=1 cargo test -p verification --test tables` writes them anew; the difference then is what changed in the
//! machine.

use std::{fmt::Write, fs};

use verification::{
    explore::catalogue::{self, Charted},
    sources::workspace,
};

/// States that are visited for a table at most: enough for every named state and every input in it.
const STATES: usize = 6_000;

const RENEW: &str = "VIEWPORT_RENEW=1 cargo test -p verification --test tables";

/// The page has this text, or gets it.
fn keep(path: &str, text: &str) -> Result<(), String> {
    let file = workspace().join(path);
    if std::env::var_os("VIEWPORT_RENEW").is_some() {
        fs::create_dir_all(file.parent().expect("a folder"))
            .and_then(|()| fs::write(&file, text))
            .expect("a page that can be written");
        return Ok(());
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    if kept == text {
        return Ok(());
    }
    let line = kept.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(kept.lines().count().min(text.lines().count()));
    let (was, is) = (kept.lines().nth(line).unwrap_or(""), text.lines().nth(line).unwrap_or(""));
    Err(format!("{path}, line {}:\n- {was}\n+ {is}", line + 1))
}

fn page(machine: &dyn Charted) -> (String, String) {
    let name = machine.name();
    let (_, chart) = machine.chart(STATES).unwrap_or_else(|counterexample| panic!("{name}: {counterexample}"));
    let gaps = chart.gaps();
    assert!(gaps.is_empty(), "{name}: inputs that were never fed in a state: {gaps:?}");
    let page = format!(
        "# {name}\n\n{}\n{}\nDrawn from what the machine does, as the [table](../../tests/tables/{name}.md) is, which has every \
         input in every state.\n\nAlphabet: {}.\n",
        "Every way from one named state to another, by the input that leads there; inputs that change nothing are left out.\n",
        chart.graph(),
        machine.bounds()
    );
    (chart.table(name), page)
}

#[test]
fn tables_and_graphs_show_what_the_machines_do() {
    let machines = catalogue::machines();
    let mut differences = Vec::new();
    let mut index = String::from(
        "# Machines\n\nWhat each machine of the core does, drawn by walking through the real code; the page of each in \
         `proto-core/src` says what it is for.\n\n| machine | alphabet | table |\n|---|---|---|\n",
    );
    for machine in &machines {
        let name = machine.name();
        let (table, page) = page(machine.as_ref());
        differences.extend(keep(&format!("tests/tables/{name}.md"), &table).err());
        differences.extend(keep(&format!("docs/machines/{name}.md"), &page).err());
        let _ = writeln!(index, "| [{name}]({name}.md) | {} | [table](../../tests/tables/{name}.md) |", machine.bounds());
    }
    let _ = writeln!(index, "\nRenew with `{RENEW}`.");
    differences.extend(keep("docs/machines/README.md", &index).err());
    let report = differences.join("\n");
    assert!(report.is_empty(), "{report}\n\nWhen this is what you meant: {RENEW}");
}
