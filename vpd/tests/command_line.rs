//! The program from outside: what it says to good and bad command lines, where it says it, and how it ends.

mod program;

use std::{fs, os::unix::fs::PermissionsExt as _};

use program::{Home, vpd};

const COMMANDS: [&str; 16] = [
    "pair", "unpair", "bind", "unbind", "run", "status", "start", "stop", "restart", "logs", "explain", "serve", "demo", "watch",
    "sessions", "viewers",
];

#[test]
fn help_goes_to_the_standard_output_and_names_every_command_and_exit_code() {
    let help = vpd(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for part in COMMANDS.iter().chain(&["VIEWPORT_HOME", "VIEWPORT_API_URL", "Exit codes:", "First steps:"]) {
        assert!(help.stdout.contains(part), "{part} in {}", help.stdout);
    }
    assert!(!help.stdout.contains("reasons-page"));
}

#[test]
fn every_command_has_a_page_with_examples() {
    for command in COMMANDS {
        let help = vpd(&[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("Example"), "{}", help.stdout);
        assert!(help.stdout.contains(&format!("vpd {command}")), "{}", help.stdout);
        assert!(help.stdout.lines().all(|line| line.chars().count() <= 110), "{}", help.stdout);
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_how_it_is_right() {
    for (arguments, part) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["pair", "--add", "--replace"], "cannot be used with"),
        (&["pair", "--cancel", "--org", "acme"], "cannot be used with"),
        (&["run"], "COMMAND"),
        (&["logs", "--since", "yesterday"], "invalid value"),
        (&["explain", "token_expird"], "did you mean `token_expired`"),
        (&["status", "--jsn"], "--json"),
        (&["serve", "--listen", "0.0.0.0:0"], "--public-url"),
        (&["serve", "--relay-listen", "[::]:0"], "--relay-url"),
        (&["watch", "no-session-id"], "26 characters"),
        (&["watch", "--live", "--latest"], "cannot be used with"),
        (&["watch", "2nyr6c", "--live"], "cannot be used with"),
        (&["sessions", "--jsn"], "--json"),
        (&["demo", "--fault", "earthquake"], "relay-restart"),
    ] {
        let end = vpd(arguments);
        assert_eq!((end.code, end.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(end.stderr.contains(part), "{arguments:?}: {}", end.stderr);
    }
}

/// D12: what happened, the code, the cause, the next command; the exit code of the family.
#[test]
fn without_a_daemon_commands_say_how_to_start_it() {
    let home = Home::new();
    for arguments in [&["status"][..], &["unbind"], &["pair", "--cancel"]] {
        let end = home.vpd(arguments);
        assert_eq!((end.code, end.stdout.as_str()), (10, ""), "{arguments:?}");
        for part in ["error: the daemon is not running", "daemon_not_running", "cause:", "next:", "vpd start"] {
            assert!(end.stderr.contains(part), "{part} in {}", end.stderr);
        }
    }
}

/// A daemon that does not run is stopped already.
#[test]
fn stopping_a_daemon_that_does_not_run_succeeds() {
    let end = Home::new().vpd(&["stop"]);
    assert_eq!((end.code, end.stdout.as_str()), (0, "✓ Daemon not running.\n"));
}

#[test]
fn binding_nothing_says_that_it_is_nothing() {
    let home = Home::new();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    for path in ["/nonexistent/place", file.to_str().unwrap()] {
        let end = home.vpd(&["bind", path]);
        assert_eq!(end.code, 3);
        assert!(end.stderr.contains("directory_missing") && end.stderr.contains(path), "{}", end.stderr);
    }
}

#[test]
fn a_bad_platform_url_is_named() {
    let home = Home::new();
    let end = home.command(&["start"]).env("VIEWPORT_API_URL", "api.your-co.com").output().unwrap();
    assert_eq!(end.status.code(), Some(5));
    let said = String::from_utf8(end.stderr).unwrap();
    assert!(said.contains("platform_unreachable") && said.contains("api.your-co.com"), "{said}");
}

/// BIND-8, BIND-9: a config that cannot be trusted stops the daemon before it does anything.
#[test]
fn a_config_that_is_broken_newer_or_open_to_others_stops_the_start() {
    for (text, mode, reason) in
        [("{", 0o600, "config_invalid"), (r#"{"version":99}"#, 0o600, "config_newer"), ("{}", 0o644, "config_too_open")]
    {
        let home = Home::new();
        let config = home.path().join("config.json");
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(mode)).unwrap();
        let end = home.vpd(&["start"]);
        assert_eq!((end.code, end.stdout.as_str()), (10, ""), "{}", end.stderr);
        assert!(end.stderr.contains(reason) && end.stderr.contains("config.json"), "{}", end.stderr);
    }
}

#[test]
fn a_home_that_cannot_be_made_is_named() {
    let home = Home::new();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let end = home.command(&["start"]).env("VIEWPORT_HOME", file.join("home")).output().unwrap();
    assert_eq!(end.status.code(), Some(10));
    assert!(String::from_utf8(end.stderr).unwrap().contains("state_not_written"));
}

#[test]
fn explanations_are_for_people_and_for_programs() {
    let text = vpd(&["explain", "noise_psk_invalid"]);
    assert_eq!(text.code, 0);
    assert!(text.stdout.starts_with("noise_psk_invalid: Noise handshake failed: invalid psk\n"), "{}", text.stdout);
    let json = vpd(&["explain", "noise_psk_invalid", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&value["code"], &value["exit_code"]), (&"noise_psk_invalid".into(), &7.into()));
    assert_eq!(vpd(&["explain", &value["close_code"].to_string()]).stdout, text.stdout);
    let all: Vec<serde_json::Value> = serde_json::from_str(&vpd(&["explain", "--json"]).stdout).unwrap();
    assert!(all.contains(&value));
}

#[test]
fn nothing_is_coloured_that_is_not_read_on_a_terminal() {
    let home = Home::new();
    for end in [home.vpd(&["status"]), vpd(&["explain"]), vpd(&["--help"]), vpd(&["nonsense"])] {
        assert!(!end.stdout.contains('\x1b') && !end.stderr.contains('\x1b'));
    }
}

/// S160, S161: `vpd logs --since 2m | grep -i pair`.
#[test]
fn logs_are_printed_as_they_are() {
    let home = Home::new();
    let none = home.vpd(&["logs"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("vpd start"));
    let now = jiff::Timestamp::now();
    let old = "2026-01-01T00:00:00.000000Z  INFO vpd: pairing: expired, 404\n";
    let new = format!("{now}  INFO vpd: pairing: code shown\n");
    fs::create_dir(home.path().join("logs")).unwrap();
    fs::write(home.path().join("logs/vpd-2026-01-01.log"), format!("{old}{new}")).unwrap();
    assert_eq!(home.vpd(&["logs"]).stdout, format!("{old}{new}"));
    assert_eq!(home.vpd(&["logs", "--since", "2m"]).stdout, new);
}
