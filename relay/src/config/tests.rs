use super::*;

fn env(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let needed = [
        ("RELAY_JWKS_URL", "https://viewport.example/api/.well-known/jwks.json"),
        ("RELAY_VALIDATE_URL", "https://viewport.example"),
        ("RELAY_INTERNAL_KEY", "0123456789abcdef"),
        ("PATH", "/bin"),
    ];
    Config::from_env(needed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn what_is_needed_is_enough() {
    let config = env(&[]).unwrap();
    assert_eq!(config.validate_url, "https://viewport.example/api/relay/validate");
    assert_eq!(config.revocations_url, "https://viewport.example/api/relay/revocations");
    assert_eq!(config.token_issuer, "https://viewport.example");
    assert_eq!((config.frame_max, config.rate_limit_per_ip), (1_048_576, 60), "S204, S209");
    assert_eq!(config.static_key_file, PathBuf::from("viewport-relay/static.key"));
    assert!(config.admin_token.is_none());
}

#[test]
fn everything_can_be_set() {
    let config = env(&[
        ("RELAY_LISTEN", "[::]:80"),
        ("RELAY_VALIDATE_URL", "http://platform:8787/api/relay/validate"),
        ("RELAY_ADMIN_TOKEN", "fedcba9876543210"),
        ("RELAY_FRAME_MAX_BYTES", "4194304"),
        ("RELAY_RATE_LIMIT_PER_IP", "0"),
        ("RELAY_TRUSTED_IPS", "192.0.2.1"),
        ("RELAY_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("RELAY_MAX_CONNECTIONS", "7"),
        ("RELAY_RETENTION_AGE", "30d"),
        ("RELAY_RETENTION_ORG_BYTES", "2GiB"),
        ("RELAY_RETENTION_BYTES", "500000000"),
        ("RELAY_DATA_DIR", "/data"),
        ("RELAY_STATIC_KEY_FILE", "/keys/relay"),
        ("RELAY_TOKEN_ISSUER", "https://public.example/"),
    ])
    .unwrap();
    assert_eq!(config.revocations_url, "http://platform:8787/api/relay/revocations");
    assert_eq!((config.frame_max, config.rate_limit_per_ip, config.max_connections), (4_194_304, 0, 7), "S205, S210");
    assert_eq!((config.trusted_ips.len(), config.trusted_proxies.len()), (1, 2));
    let retention = Retention { age: Some(Duration::from_hours(30 * 24)), org_bytes: Some(2 << 30), bytes: Some(500_000_000) };
    assert_eq!(config.retention, retention);
    assert_eq!((config.data_dir, config.static_key_file), ("/data".into(), "/keys/relay".into()));
    assert_eq!(config.token_issuer, "https://public.example");
}

#[test]
fn retention_has_limits_that_can_be_lifted() {
    let kept = env(&[]).unwrap().retention;
    assert_eq!(kept, Retention { age: Some(RETENTION_AGE_DEFAULT), org_bytes: Some(RETENTION_ORG_BYTES_DEFAULT), bytes: None });
    let lifted =
        env(&[("RELAY_RETENTION_AGE", "0"), ("RELAY_RETENTION_ORG_BYTES", "0"), ("RELAY_RETENTION_BYTES", "0")]).unwrap();
    assert_eq!(lifted.retention, Retention::default());
}

#[test]
fn a_misspelt_name_is_refused_with_the_nearest() {
    let error = env(&[("RELAY_FRAME_MAX_BYTE", "1")]).unwrap_err();
    assert_eq!(error.to_string(), "unknown setting RELAY_FRAME_MAX_BYTE: did you mean RELAY_FRAME_MAX_BYTES?");
    let error = env(&[("RELAY_COFFEE_MACHINE_COLOUR", "on")]).unwrap_err();
    assert_eq!(error.to_string(), "unknown setting RELAY_COFFEE_MACHINE_COLOUR");
}

#[test]
fn what_cannot_be_guessed_must_be_set() {
    assert_eq!(Config::from_env([]).unwrap_err(), ConfigError::Missing(JWKS_URL));
    let elsewhere = env(&[("RELAY_JWKS_URL", "https://keys.example/jwks")]).unwrap_err();
    assert_eq!(elsewhere, ConfigError::Missing(TOKEN_ISSUER));
}

#[test]
fn bad_values_are_refused_and_secrets_not_shown() {
    for (name, value) in [
        ("RELAY_LISTEN", "8788"),
        ("RELAY_JWKS_URL", "viewport.example"),
        ("RELAY_JWKS_URL", "ftp://viewport.example"),
        ("RELAY_VALIDATE_URL", "https://user:pass@viewport.example"),
        ("RELAY_VALIDATE_URL", "https://viewport.example/api/validate"),
        ("RELAY_INTERNAL_KEY", "hunter2"),
        ("RELAY_ADMIN_TOKEN", "hunter2 hunter2 hunter2"),
        ("RELAY_FRAME_MAX_BYTES", "65535"),
        ("RELAY_FRAME_MAX_BYTES", "1MiB"),
        ("RELAY_RATE_LIMIT_PER_IP", "-1"),
        ("RELAY_TRUSTED_IPS", "10.0.0.0/99"),
        ("RELAY_TRUSTED_PROXIES", "localhost"),
        ("RELAY_MAX_CONNECTIONS", "0"),
        ("RELAY_RETENTION_AGE", "soon"),
        ("RELAY_RETENTION_ORG_BYTES", "much"),
        ("RELAY_RETENTION_BYTES", "99999999999999TiB"),
        ("RELAY_DATA_DIR", ""),
    ] {
        let error = env(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(name) && !error.contains("hunter2"), "{error}");
    }
}
