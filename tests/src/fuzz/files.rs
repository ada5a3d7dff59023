//! The files of `~/.viewport/` and `.viewport/` (BIND-8): any bytes give an error or a whole, valid document, and a document
//! that was read is written back to one that says the same.

use std::collections::BTreeSet;

use proto_core::{
    api::PolicyMode,
    device::files::{
        BindingState, Config, Declines, Document, Grants, IdentityFile, LocalYaml, PendingPairing, SessionFile, WorkspaceYaml,
    },
};

/// Whatever was read and written is read again as the same.
fn written_back<D: Document + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<D> {
    let document = D::parse(data).ok()?;
    let written = document.write().expect("what was read can be written");
    assert_eq!(D::parse(written.expose()).as_ref(), Ok(&document), "what was written reads as something else");
    Some(document)
}

/// `config.json`: also, members that this version does not know are kept, at most one binding per org is active (BIND-1), no
/// two bindings share a key file, and each names a file of its own org (ISO-8).
pub fn config(data: &[u8]) {
    let Some(config) = written_back::<Config>(data) else { return };
    let mut active = BTreeSet::new();
    let mut files = BTreeSet::new();
    for record in &config.bindings {
        assert!(record.state != BindingState::Active || active.insert(&record.workspace_id), "two active bindings of one org");
        let file = record.identity_file().expect("a binding with a key file");
        assert_eq!(file.path(), record.identity);
        assert!(files.insert(file.path().to_lowercase()), "two bindings with one key");
        assert_eq!(record.psk.is_some(), record.policy_mode == PolicyMode::CryptoPairing);
    }
    let written = config.write().expect("written before");
    let [before, after] = [data, written.expose()].map(|bytes| serde_json::from_slice(bytes).expect("JSON"));
    assert_kept(&before, &after);
}

/// Every member at the top of `before` that is not one of ours stands in `after` with the same value.
fn assert_kept(before: &serde_json::Value, after: &serde_json::Value) {
    let serde_json::Value::Object(before) = before else { return };
    for (name, value) in before {
        if !["version", "daemon", "machine", "bindings"].contains(&name.as_str()) {
            assert_eq!(after.get(name), Some(value), "{name} was lost");
        }
    }
}

/// The other JSON files of `~/.viewport/`; the first byte chooses which.
pub fn state_files(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 5 {
        0 => drop(written_back::<IdentityFile>(data)),
        1 => drop(written_back::<PendingPairing>(data)),
        2 => drop(written_back::<Grants>(data)),
        3 => drop(written_back::<Declines>(data)),
        _ => drop(written_back::<SessionFile>(data)),
    }
}

/// `.viewport/local.yaml` and `workspace.yaml`: a binding that is understood is written back to one that says the same, the two
/// files agree about the organization, and what a hint puts into a command line is one harmless word of it.
pub fn yaml(data: &[u8]) {
    let (local, hint) = (LocalYaml::parse(data), WorkspaceYaml::parse(data));
    if let (Ok(local), Ok(hint)) = (&local, &hint) {
        assert_eq!(local.org_id, hint.org_id);
    }
    if let Ok(hint) = hint {
        assert!(hint.org().bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)), "{}", hint.org());
    }
    if let Ok(local) = local {
        let again = LocalYaml { bound_at: "2026-05-11T14:42:00Z".into(), ..local };
        assert_eq!(LocalYaml::parse(again.write().as_bytes()), Ok(again));
    }
}
