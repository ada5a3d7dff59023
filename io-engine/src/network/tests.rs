use std::time::Duration;

use proto_core::{effect::Method, secret::SecretText};

use super::*;

fn proxies(url: &str) -> ProxySettings {
    ProxySettings { all: Some(SecretText::new(url)), ..ProxySettings::default() }
}

fn by(url: &str) -> Network {
    Network::default().with_proxies(&proxies(url))
}

fn get(url: &str) -> HttpRequest {
    let (headers, timeout) = (Vec::new(), Duration::from_secs(1));
    HttpRequest { method: Method::Get, url: url.into(), headers, body: None, timeout, max_answer: 1 }
}

fn hop(network: &Network, url: &str) -> Result<(String, u16), NetFault> {
    network.http(&get(url)).map(|(hop, _)| (hop.host, hop.port))
}

#[test]
fn the_first_hop_is_the_proxy_or_the_server() {
    let proxy = Ok(("proxy.example".to_owned(), 3128));
    for url in ["http://a.example", "https://a.example"] {
        assert_eq!(hop(&by("proxy.example:3128"), url), proxy, "{url}");
    }
    assert_eq!(hop(&Network::default(), "http://a.example"), Ok(("a.example".into(), 80)));
    assert_eq!(hop(&by("proxy.example:3128"), "http://127.0.0.1:8"), Ok(("127.0.0.1".into(), 8)));
    assert_eq!(hop(&by("socks5://x"), "https://a.example"), Err(NetFault::ProxyInvalid));
    assert_eq!(hop(&by("proxy.example:3128"), "nonsense"), Err(NetFault::BadUrl));
}

#[test]
fn what_came_of_connecting_is_said_of_who_was_connected_to() {
    let (to_proxy, _) = by("p:1").http(&get("http://a.example")).unwrap();
    let (to_server, _) = Network::default().http(&get("http://a.example")).unwrap();
    for (fault, of_proxy) in [
        (NetFault::Dns, NetFault::ProxyDns),
        (NetFault::Refused, NetFault::ProxyUnreachable),
        (NetFault::TimedOut, NetFault::ProxyUnreachable),
        (NetFault::Broken, NetFault::Broken),
    ] {
        assert_eq!((to_proxy.fault(fault), to_server.fault(fault)), (of_proxy, fault));
    }
}

#[test]
fn people_may_see_the_proxy_without_its_credentials() {
    let network = by("http://ada:secret@p:1");
    assert_eq!(network.proxy_for("wss://relay.example/ws"), Some(("p:1".into(), "all_proxy")));
    assert_eq!([network.proxy_for("ws://127.0.0.1/ws"), network.proxy_for("nonsense")], [None, None]);
    assert!(!format!("{network:?}").contains("secret"));
}

#[test]
fn files_of_roots_have_to_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let tls = TlsSettings { roots: vec![path.to_str().unwrap().into()], ..TlsSettings::default() };
    let of = || Network::of(&ProxySettings::default(), &tls);
    assert!(of().unwrap_err().to_string().contains("roots.pem: No such file"));
    fs::write(&path, "hello").unwrap();
    assert!(of().unwrap_err().to_string().contains("no certificate"));
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    fs::write(&path, made.cert.pem()).unwrap();
    assert!(of().is_ok());
}
