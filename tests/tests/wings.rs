//! The three parts of the core stay apart: what runs on devices, in relays and on the platform builds on shared modules, and the
//! three know nothing of one another. No requirement asks for this; it is a rule of this project.

use std::{collections::BTreeSet, fs, path::PathBuf};

use verification::sources::{rust_files, workspace};

/// The parts: folders of `proto-core/src`.
const WINGS: [&str; 3] = ["device", "relay", "platform"];

/// The parts that a source names, `own` aside: in a path from the crate's root, or in the tree of a `use` of it.
fn wings_named<'a>(source: &str, own: &str) -> BTreeSet<&'a str> {
    let code: String = source.lines().filter_map(|line| line.split("//").next()).collect::<Vec<_>>().join("\n");
    let paths = code.split("crate::").skip(1);
    let named: BTreeSet<_> =
        paths.flat_map(|path| path.strip_prefix('{').map_or_else(|| vec![path], branches)).map(first_name).collect();
    WINGS.into_iter().filter(|wing| *wing != own && named.contains(wing)).collect()
}

/// The name with which a path begins.
fn first_name(path: &str) -> &str {
    let path = path.trim_start();
    path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The branches of a `use` tree whose first brace is behind us, up to the brace that closes it.
fn branches(tree: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let end = tree.find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth < 0
    });
    let mut depth = 0_i32;
    tree[..end.unwrap_or(tree.len())]
        .split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0 && c == ','
        })
        .collect()
}

fn core_dir() -> PathBuf {
    workspace().join("proto-core/src")
}

#[test]
fn no_part_names_another() {
    for own in WINGS {
        let sources = rust_files(&core_dir().join(own));
        assert!(!sources.is_empty(), "{own} is empty");
        for path in &sources {
            let source = fs::read_to_string(path).expect("a readable source");
            assert_eq!(wings_named(&source, own), BTreeSet::new(), "{} of the wing {own}", path.display());
        }
    }
}

/// What all three stand on names none of them; `lib.rs` alone lists them.
#[test]
fn shared_modules_name_no_part() {
    let shared = rust_files(&core_dir()).into_iter().filter(|path| {
        let below = path.strip_prefix(core_dir()).expect("below the core");
        !WINGS.iter().any(|wing| below.starts_with(wing))
    });
    for path in shared {
        let source = fs::read_to_string(&path).expect("a readable source");
        assert_eq!(wings_named(&source, ""), BTreeSet::new(), "{}", path.display());
    }
}

/// META-1: the check can fail.
#[test]
fn a_part_that_names_another_is_found() {
    for bad in [
        "use crate::relay::hub::Hub;",
        "use crate::{\n    Unhashed,\n    relay::{hub, admission},\n};",
        "use crate::{Unhashed, relay};",
        "use crate::{relay::hub};",
        "fn f(_: crate::relay::hub::Hub) {}",
    ] {
        assert_eq!(wings_named(bad, "device"), BTreeSet::from(["relay"]), "{bad}");
    }
    for good in [
        "use crate::{api::relay::Answer, device::link};",
        "// crate::relay::hub",
        "use crate::device::uplink::testing::relay;",
        "use crate::{device::uplink::{testing::{relay, record}, Uplink}, wire::Frame};",
    ] {
        assert_eq!(wings_named(good, "device"), BTreeSet::new(), "{good}");
    }
}
