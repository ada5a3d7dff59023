mod bounds;

use alloc::{format, string::String, vec, vec::Vec};

use super::*;
use crate::{
    api::RelayEndpoint,
    id::{OrgId, SessionId},
    key::StaticKey,
};

const CONFIG: &str = r#"{
  "version": 1,
  "daemon": {"api": {"endpoint": "https://api.example", "later": 1}, "relay": {"endpoint": "wss://r.example/ws"}},
  "theme": {"dark": [true, null, 1.5, "x"]},
  "bindings": [{
    "workspaceId": "01J7M8N9P0Q1R2S3T4U5V6W7X8", "slug": "acme", "name": "Acme Engineering",
    "installId": "i", "runtimeTargetId": "r", "machineId": "m", "issueToken": "t", "generation": 3,
    "identity": "relay-identities/01J7M8N9P0Q1R2S3T4U5V6W7X8.json",
    "relay": {"url": "ws://relay.acme.example/ws", "staticKeys": ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], "note": "n"},
    "policyMode": "standard", "color": "blue"
  }]
}"#;

fn parsed(text: &str) -> Result<Config, Reason> {
    Config::parse(text.as_bytes())
}

/// BIND-8, S57 to S63: what another version or a person wrote is still there after this one wrote the file.
#[test]
fn config_keeps_what_it_does_not_know() {
    let config = parsed(CONFIG).unwrap();
    assert_eq!(config.bindings[0].generation, 3);
    assert_eq!(config.relay_endpoint(), Some("wss://r.example/ws"));
    let written = config.write().unwrap();
    assert_eq!(Config::parse(written.expose()).unwrap(), config);
    let value: Value = serde_json::from_slice(written.expose()).unwrap();
    let mut expected: Value = serde_json::from_str(CONFIG).unwrap();
    expected["bindings"][0]["state"] = "active".into();
    assert_eq!(value, expected);
}

/// D5: other spellings are read.
#[test]
fn config_understands_other_names_of_the_org() {
    for name in ["workspace_id", "organization_id"] {
        let config = parsed(&CONFIG.replace("workspaceId", name)).unwrap();
        assert_eq!(config.bindings[0].workspace_id.as_str(), "01J7M8N9P0Q1R2S3T4U5V6W7X8");
    }
}

#[test]
fn config_by_hand_needs_no_version() {
    let config = parsed(r#"{"daemon": {"api": {"endpoint": "http://localhost:1"}}}"#).unwrap();
    assert_eq!((config.api_endpoint(), config.relay_endpoint()), ("http://localhost:1", None));
    assert_eq!(parsed("{}").unwrap(), Config::default());
}

#[test]
fn config_of_a_newer_version_is_refused() {
    assert_eq!(parsed(r#"{"version": 2, "bindings": "something else by then"}"#), Err(Reason::ConfigNewer));
}

/// BIND-8: damage gives an error, never a part of the file. Every truncation, and every way to contradict itself.
#[test]
fn damaged_config_is_refused_as_a_whole() {
    for end in 0..CONFIG.len() {
        assert_eq!(parsed(&CONFIG[..end]), Err(Reason::ConfigInvalid), "cut at {end}");
    }
    let record = CONFIG.split_once('[').unwrap().1;
    let record =
        record.split_once("\"bindings\": [").unwrap().1.trim_end().trim_end_matches('}').trim_end().trim_end_matches(']');
    let bindings = |records: &[&str]| format!("{{\"bindings\": [{}]}}", records.join(","));
    assert!(parsed(&bindings(&[record])).is_ok());
    let other = record.replace("\"r\"", "\"s\"");
    let drained = other.replace("X8.json", "X8+1.json").replace("\"color\"", "\"state\": \"draining\", \"color\"");
    assert!(parsed(&bindings(&[record, &drained])).is_ok());
    for wrong in [
        bindings(&[record, record]),
        bindings(&[record, &other]),
        bindings(&[record, &other.replace("X8.json", "X8+1.json")]),
        bindings(&[&record.replace("relay-identities/", "../")]),
        bindings(&[&record.replace("W7X8.json", "W7X9.json")]),
        bindings(&[&record.replace("standard", "crypto_pairing")]),
        bindings(&[&record.replace("[\"AAAA", "[], \"x\": [\"AAAA")]),
        bindings(&[&record.replace("01J7", "../../")]),
        String::from("[]"),
    ] {
        assert_eq!(parsed(&wrong), Err(Reason::ConfigInvalid), "{wrong}");
    }
}

/// PIN-2: a successor is followed; a key that was dropped never comes back.
#[test]
fn relay_keys_go_forward_only() {
    let key = |n| StaticKey([n; 32]);
    let announced = |keys: &[u8]| RelayEndpoint { url: "ws://r/ws".into(), static_keys: keys.iter().map(|n| key(*n)).collect() };
    let mut relay = RelayRecord::pin(&announced(&[1]));
    for (list, pinned) in [
        (vec![1, 2], vec![1, 2]),
        (vec![2], vec![2]),
        (vec![1], vec![2]),
        (vec![1, 2], vec![2]),
        (vec![], vec![2]),
        (vec![3], vec![3]),
        (vec![2, 1, 3], vec![3]),
        (vec![3, 4, 5], vec![3, 4]),
    ] {
        relay.follow(&announced(&list));
        let expected: Vec<_> = pinned.into_iter().map(key).collect();
        assert_eq!(relay.static_keys, expected, "after {list:?}");
    }
}

/// S87 to S91: the sample of the specification.
#[test]
fn local_yaml_reads_and_writes_the_sample() {
    let sample = "org_id: 01J7M8N9P0Q1R2S3T4U5V6W7X8\nstreaming: enabled\nbound_at: \"2026-05-11T14:42:00Z\"\n";
    let local = LocalYaml::parse(sample.as_bytes()).unwrap();
    assert_eq!((local.org_id.as_str(), local.streaming), ("01J7M8N9P0Q1R2S3T4U5V6W7X8", Streaming::Enabled));
    assert!(!local.recursive);
    assert_eq!(local.write(), sample);
}

#[test]
fn local_yaml_round_trips_any_id() {
    for org in ["1", "true", "null", "01234567890123456789012345", "-", "a:b", "0x1f", "org-a"] {
        for (streaming, recursive) in [(Streaming::Enabled, true), (Streaming::Disabled, false)] {
            let local = LocalYaml { org_id: org.parse().unwrap(), streaming, bound_at: "b".into(), recursive };
            assert_eq!(LocalYaml::parse(local.write().as_bytes()), Ok(local));
        }
    }
}

#[test]
fn local_yaml_that_is_unclear_is_refused() {
    for text in [
        "",
        "org_id: a\nbound_at: b",
        "org_id: a\nstreaming: yes\nbound_at: b",
        "streaming: enabled\nbound_at: b",
        "org_id: a/b\nstreaming: enabled\nbound_at: b",
        "org_id: a\nworkspace_id: c\nstreaming: enabled\nbound_at: b",
        "org_id: a\nstreaming: enabled",
        "org_id: a\nstreaming: enabled\nbound_at: b\nrecursive: maybe",
        "org_id: a\nstreaming: disabled\nstreaming: enabled\nbound_at: b",
        "org_id: a\nstreaming: enabled\nbound_at: b:\tc",
    ] {
        assert_eq!(LocalYaml::parse(text.as_bytes()), Err(Reason::LocalFileInvalid), "{text:?}");
    }
    assert!(LocalYaml::parse(b"organization_id: a\nstreaming: enabled\nbound_at: b\nlater: c").is_ok());
}

/// S102; the slug of a hint ends up in a command that people paste.
#[test]
fn workspace_yaml_names_an_org() {
    let hint = WorkspaceYaml::parse(b"org_id: 01J7M8N9P0Q1R2S3T4U5V6W7X8\n").unwrap();
    assert_eq!(hint.org(), "01J7M8N9P0Q1R2S3T4U5V6W7X8");
    for slug in ["acme", "2-acme-", "a", "7"] {
        let text = format!("org_id: a\nslug: \"{slug}\"");
        assert_eq!(WorkspaceYaml::parse(text.as_bytes()).unwrap().org(), slug);
    }
    for slug in ["\"acme; rm -rf ~\"", "\"-x\"", "-x", "\"$(id)\"", "Acme", "\"\""] {
        let text = format!("org_id: a\nslug: {slug}");
        assert_eq!(WorkspaceYaml::parse(text.as_bytes()), Err(Reason::LocalFileInvalid), "{slug}");
    }
}

#[test]
fn a_session_file_keeps_its_pin() {
    let text = r#"{"version":1,"session":"aaaaaaaaaaaaaaaaaaaaaaaaaa","workspaceId":"A","runtimeTargetId":"r","cipher":1,
        "secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","started":5,
        "title":{"command":"c","directory":"d","started":5,"columns":80,"rows":24},"later":{}}"#;
    let file = SessionFile::parse(text.as_bytes()).unwrap();
    assert_eq!((file.session, file.pin().org), (SessionId([0; 16]), "A".parse::<OrgId>().unwrap()));
    assert_eq!(SessionFile::parse(file.write().unwrap().expose()), Ok(file));
    assert_eq!(SessionFile::parse(text.replace("\"cipher\":1", "\"cipher\":3").as_bytes()), Err(Reason::StateInvalid));
}

/// S107, S108: bounded, and the oldest answers go first.
#[test]
fn declines_are_remembered_up_to_a_limit() {
    let org: OrgId = "A".parse().unwrap();
    let mut declines = Declines::default();
    for n in 0..=declines::MAX_DECLINES as u64 {
        declines.remember(format!("/{n}"), org.clone(), crate::UnixTime(n));
    }
    assert_eq!(declines.directories.len(), declines::MAX_DECLINES);
    assert!(!declines.contains("/0", &org) && declines.contains("/1", &org));
    assert!(!declines.contains("/1", &"B".parse().unwrap()));
}

/// S162, S163: without a setting the platform that approved every binding is meant, so that it need not be named in every shell.
#[test]
fn the_platform_of_all_bindings_is_the_one_to_pair_with() {
    let mut config = parsed(CONFIG).unwrap();
    assert_eq!(config.api_endpoint(), "https://api.example");
    config.daemon.api = None;
    assert_eq!(config.api_endpoint(), DEFAULT_API_ENDPOINT);
    let of = |url: &str| Some(Api { endpoint: Some(url.into()), unknown: Unknown::new() });
    config.bindings[0].api = of("https://own.example");
    assert_eq!(config.api_endpoint(), "https://own.example");
    let other = BindingRecord { api: of("https://other.example"), ..config.bindings[0].clone() };
    config.bindings.push(other);
    assert_eq!(config.api_endpoint(), DEFAULT_API_ENDPOINT);
}
