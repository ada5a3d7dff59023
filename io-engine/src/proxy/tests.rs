use super::*;

fn settings(http: &str, https: &str, all: &str) -> ProxySettings {
    let url = |text: &str| Some(text).filter(|text| !text.is_empty()).map(SecretText::new);
    ProxySettings { http: url(http), https: url(https), all: url(all), ..ProxySettings::default() }
}

fn shown(settings: &ProxySettings, url: &str) -> Option<(String, &'static str)> {
    Proxies::of(settings).shown(&Target::http(url).or_else(|_| Target::websocket(url)).unwrap())
}

fn parsed(text: &str) -> Option<Proxy> {
    Proxy::parse(&SecretText::new(text))
}

#[test]
fn the_scheme_decides_and_all_is_for_the_rest() {
    let by = |variable| Some((format!("{}:1", if variable == "all_proxy" { "all" } else { "own" }), variable));
    let both = settings("http://own:1", "own:1", "all:1");
    for (url, variable) in
        [("http://x", "http_proxy"), ("ws://x", "http_proxy"), ("https://x", "https_proxy"), ("wss://x", "https_proxy")]
    {
        assert_eq!(shown(&both, url), by(variable), "{url}");
        assert_eq!(shown(&settings("", "", "all:1"), url), by("all_proxy"), "{url}");
        assert_eq!(shown(&settings("", "", ""), url), None, "{url}");
    }
    assert_eq!(shown(&settings("own:1", "", ""), "wss://x"), None);
    assert_eq!(shown(&settings("", "own:1", ""), "ws://x"), None);
}

#[test]
fn what_is_of_this_machine_has_none() {
    let all = settings("", "", "all:1");
    for host in ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
        assert_eq!(shown(&all, &format!("http://{host}:80/")), None, "{host}");
    }
    for host in ["localhost.example", "notlocalhost", "10.0.0.1", "[::2]"] {
        assert!(shown(&all, &format!("http://{host}:80/")).is_some(), "{host}");
    }
}

#[test]
fn what_is_excepted_has_none() {
    let all = ProxySettings { except: Some("corp.example:443".into()), ..settings("", "", "all:1") };
    assert_eq!(shown(&all, "wss://relay.corp.example/ws"), None);
    assert!(shown(&all, "ws://relay.corp.example/ws").is_some(), "another port");
}

#[test]
fn a_proxy_is_a_url_or_a_host_and_a_port() {
    for (text, host, port, tls) in [
        ("proxy.example:3128", "proxy.example", 3128, false),
        (" http://proxy.example:3128/ ", "proxy.example", 3128, false),
        ("http://proxy.example", "proxy.example", 80, false),
        ("https://u@proxy.example", "proxy.example", 443, true),
        ("[2001:db8::1]:8080", "2001:db8::1", 8080, false),
        ("10.0.0.1:8080", "10.0.0.1", 8080, false),
    ] {
        let target = parsed(text).unwrap().target;
        assert_eq!((target.host.as_str(), target.port, target.tls), (host, port, tls), "{text}");
    }
    for text in ["socks5://proxy:1080", "http://", "://x", "http://proxy:99999", "ftp://proxy", "a b"] {
        assert!(parsed(text).is_none(), "{text}");
        let set = settings("", "", text);
        assert_eq!(shown(&set, "http://x"), Some(("(no valid URL)".into(), "all_proxy")));
        let chosen = Proxies::of(&set);
        assert_eq!(chosen.choose(&Target::http("http://x").unwrap()).err(), Some(NetFault::ProxyInvalid), "{text}");
    }
}

#[test]
fn credentials_are_decoded_and_not_shown() {
    for (text, pair) in [
        ("http://ada:p%40ss@p:1", "ada:p@ss"),
        ("ada:secret@p:1", "ada:secret"),
        ("http://ada@p:1", "ada:"),
        ("http://:pw@p:1", ":pw"),
    ] {
        let proxy = parsed(text).unwrap();
        let expected = format!("Basic {}", BASE64.encode(pair.as_bytes()));
        assert_eq!(proxy.authorization().map(SecretText::expose), Some(expected.as_str()), "{text}");
        assert_eq!(proxy.target.endpoint(), "p:1");
        let debug = format!("{:?}", Proxies::of(&settings("", "", text)));
        assert!(
            debug.contains("p:1") && !debug.contains("ada") && !debug.contains("secret") && !debug.contains(&expected),
            "{debug}"
        );
    }
    assert!(parsed("http://p:1").unwrap().authorization().is_none());
}
