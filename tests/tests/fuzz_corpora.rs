//! Replays what the fuzzer found worth keeping: every input of the committed corpora goes through its target, on the stable
//! compiler. And the three lists of targets, the code's, the programs' and the corpora's, are the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use verification::fuzz::TARGETS;

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz_dir().join("fuzz_targets")), targets);
    assert_eq!(names(&fuzz_dir().join("corpus")), targets);
}

#[test]
fn the_corpora_go_through() {
    for (name, run) in TARGETS {
        let corpus = fuzz_dir().join("corpus").join(name);
        let inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "no inputs for {name}");
        for input in &inputs {
            println!("{}", input.display());
            run(&fs::read(input).unwrap());
        }
        println!("{name}: {} inputs", inputs.len());
    }
}

/// What is committed stays small: a corpus is for replaying, not for keeping all that was ever tried.
#[test]
fn the_corpora_are_small() {
    let mut total = 0;
    for (name, _) in TARGETS {
        for input in fs::read_dir(fuzz_dir().join("corpus").join(name)).unwrap() {
            let input = input.unwrap();
            let len = input.metadata().unwrap().len();
            assert!(len <= 8 * 1024, "{}: {len} bytes", input.path().display());
            total += len;
        }
    }
    println!("{total} bytes in all");
    assert!(total < 4 * 1024 * 1024, "{total} bytes");
}
