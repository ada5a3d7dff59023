//! Credentials.

use serde_json::json;

use super::{Credential, ISSUER, NOW, device, encode, jws, platform, signer, thumbprint};
use crate::kdf::hmac;

const MALFORMED: &str = "token_malformed";
const MISMATCH: &str = "signature_mismatch";

pub(super) fn all() -> Vec<Credential> {
    let mut all = vec![made("a good credential", good(), "believed")];
    all.extend(algorithms());
    all.extend(headers());
    all.extend(encodings());
    all.extend(serialisations());
    all.extend(signatures());
    all.extend(claims_twice_missing_or_odd());
    all.extend(audiences_and_times());
    all
}

fn made(name: &str, token: String, expected: &str) -> Credential {
    Credential { name: name.into(), token, now: NOW, expiry: "exp".into(), expected: expected.into() }
}

/// Members in this order, so that each token stays the same to the byte.
fn payload() -> String {
    let device = device();
    format!(
        r#"{{"iss":"{ISSUER}","aud":"viewport-relay","sub":"install_1","org":"acme","rtg":"rt_1","mid":"m_1","role":"daemon","gen":1,"cnf":{{"jwk":{{"kty":"OKP","crv":"X25519","x":"{}"}},"jkt":"{}"}},"iat":{NOW},"nbf":{NOW},"exp":{},"rexp":{},"jti":"t_1"}}"#,
        device.static_key().to_base64url(),
        thumbprint(&device),
        NOW + 3_600,
        NOW + 2_592_000
    )
}

fn header() -> String {
    format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"viewport+jwt"}}"#, thumbprint(&platform()))
}

fn good() -> String {
    jws(&header(), &payload(), &platform())
}

/// With the member `name` of the header as this JSON.
fn header_with(name: &str, value: &str) -> String {
    header().replace('{', &format!("{{\"{name}\":{value},"))
}

fn with(old: &str, new: &str) -> String {
    let payload = payload();
    assert!(payload.contains(old), "{old}");
    payload.replacen(old, new, 1)
}

/// Under another `alg`: none, and those whose key is the public key (RFC 8725 section 2.1).
fn algorithms() -> Vec<Credential> {
    let named = |alg: &str| header().replace("EdDSA", alg);
    let input = |alg: &str| format!("{}.{}", encode(named(alg)), encode(payload()));
    let public = platform().identity_key();
    let secret_bytes = |alg: &str, key: &[u8]| format!("{}.{}", input(alg), encode(hmac(key, input(alg).as_bytes())));
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, public.to_base64url());
    let mut all = vec![
        made("alg none, without a signature", format!("{}.", input("none")), MALFORMED),
        made("alg none, with the good signature", jws(&named("none"), &payload(), &platform()), MALFORMED),
        made("alg HS256, the public key's bytes as the secret", secret_bytes("HS256", &public.0), MALFORMED),
        made(
            "alg HS256, the public key's base64url as the secret",
            secret_bytes("HS256", public.to_base64url().as_bytes()),
            MALFORMED,
        ),
        made("alg HS256, the public JWK as the secret", secret_bytes("HS256", jwk.as_bytes()), MALFORMED),
        made("alg EdDSA, but an HMAC", secret_bytes("EdDSA", &public.0), MALFORMED),
        made("without a signature", format!("{}.", input("EdDSA")), MALFORMED),
    ];
    for alg in
        ["None", "NONE", "nOnE", "HS384", "HS512", "RS256", "PS256", "ES256", "ES256K", "Ed25519", "Ed448", "eddsa", "EDDSA", ""]
    {
        all.push(made(&format!("alg {alg:?}, signed with the good key"), jws(&named(alg), &payload(), &platform()), MALFORMED));
    }
    for (what, json) in [("null", "null"), ("a list", r#"["EdDSA"]"#), ("a number", "1")] {
        let header = header().replace("\"EdDSA\"", json);
        all.push(made(&format!("alg is {what}"), jws(&header, &payload(), &platform()), MALFORMED));
    }
    all
}

/// Headers that say more or less than they may. All are signed by the good key.
fn headers() -> Vec<Credential> {
    let signed = |name: &str, header: String| made(name, jws(&header, &payload(), &platform()), MALFORMED);
    let stranger = signer(0x72);
    let own_key = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, stranger.identity_key().to_base64url());
    let by_stranger = |header: String| jws(&header, &payload(), &stranger);
    let kid = thumbprint(&platform());
    let mut all = vec![
        signed("crit, empty", header_with("crit", "[]")),
        signed("crit, naming something known", header_with("crit", r#"["alg"]"#)),
        signed("crit, naming something unknown", header_with("crit", r#"["exp"]"#)),
        signed("b64 false (RFC 7797)", header_with("b64", "false")),
        signed("b64 true", header_with("b64", "true")),
        signed("b64 false and crit", header_with("b64", "false,\"crit\":[\"b64\"]")),
        signed("zip", header_with("zip", r#""DEF""#)),
        signed("cty", header_with("cty", r#""JWT""#)),
        signed("jku", header_with("jku", r#""https://evil.example/jwks.json""#)),
        signed("x5u", header_with("x5u", r#""https://evil.example/cert""#)),
        signed("x5c", header_with("x5c", r#"["MIIB"]"#)),
        signed("a member of a later version", header_with("new", "1")),
        signed("jwk, the good key", header_with("jwk", &own_key)),
        made("jwk, the signer's own key, under the good kid", by_stranger(header_with("jwk", &own_key)), MALFORMED),
        signed("alg twice", header_with("alg", r#""EdDSA""#)),
        signed("alg twice, none first", header_with("alg", r#""none""#)),
        signed("alg twice, the second written with an escape", header_with("\\u0061lg", r#""none""#)),
        signed("kid twice", header_with("kid", &format!("\"{kid}\""))),
        signed("typ twice", header_with("typ", r#""viewport+jwt""#)),
        signed("without alg", header().replace(r#""alg":"EdDSA","#, "")),
        signed("without kid", header().replace(&format!(r#","kid":"{kid}""#), "")),
        signed("without typ", header().replace(r#","typ":"viewport+jwt""#, "")),
        signed("an empty header", "{}".into()),
        signed("a header that is a list", format!(r#"["EdDSA","{kid}","viewport+jwt"]"#)),
        signed("a header that is text", "\"EdDSA\"".into()),
        signed("a header that is no JSON", header().replace('}', "")),
        signed("a header with more behind it", header() + "{}"),
        signed("a header with a byte order mark", format!("\u{feff}{}", header())),
        signed("a huge header", header_with("new", &format!("\"{}\"", "x".repeat(4_000)))),
        signed("a deep header", header_with("new", &format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)))),
    ];
    for typ in ["JWT", "jwt", "dpop+jwt", "Viewport+JWT", "application/viewport+jwt", ""] {
        all.push(signed(&format!("typ {typ:?}"), header().replace("viewport+jwt", typ)));
    }
    for odd in ["../../etc/passwd", "' OR 1=1 --", "1", "", "AAAA", &format!("{kid}="), &format!("{kid}A"), &format!(" {kid}")] {
        all.push(signed(&format!("kid {odd:?}"), header().replace(&kid, odd)));
    }
    let unknown = "A".repeat(43);
    all.push(made("a kid that no key has", jws(&header().replace(&kid, &unknown), &payload(), &platform()), MISMATCH));
    all.push(signed("kid is null", header().replace(&format!("\"{kid}\""), "null")));
    all.push(made("white space in the header", jws(&header().replace(':', " : "), &payload(), &platform()), "believed"));
    all.push(made(
        "members in another order",
        jws(&format!(r#"{{"typ":"viewport+jwt","kid":"{kid}","alg":"EdDSA"}}"#), &payload(), &platform()),
        "believed",
    ));
    all
}

/// The same bytes in ways that are not base64url without padding in its one form (RFC 4648 sections 3.5 and 5).
fn encodings() -> Vec<Credential> {
    let good = good();
    let parts: Vec<_> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!() };
    let joined = |name: &str, parts: [&str; 3]| made(name, parts.join("."), MALFORMED);
    let spare = |part: &str| {
        // The last character of 64 bytes has four spare bits, of which one is set here.
        let last = part.chars().last().unwrap();
        let next = char::from(last as u8 + 1);
        format!("{}{next}", &part[..part.len() - 1])
    };
    vec![
        joined("padding on the signature", [header, payload, &format!("{signature}==")]),
        joined("padding on the payload", [header, &format!("{payload}="), signature]),
        joined("padding on the header", [&format!("{header}="), payload, signature]),
        joined("spare bits set in the signature", [header, payload, &spare(signature)]),
        joined("standard base64 in the signature", [header, payload, &signature.replace('-', "+").replace('_', "/")]),
        joined("a line break in the signature", [header, payload, &format!("{}\n{}", &signature[..40], &signature[40..])]),
        joined("a line break in the payload", [header, &format!("{}\r\n{}", &payload[..40], &payload[40..]), signature]),
        joined("a blank in the header", [&format!("{} {}", &header[..4], &header[4..]), payload, signature]),
        joined("a signature of 63 bytes", [header, payload, &encode([1; 63])]),
        joined("a signature of 65 bytes", [header, payload, &encode([1; 65])]),
        joined("a signature of 32 bytes", [header, payload, &encode([1; 32])]),
        made("a blank behind it", format!("{good} "), MALFORMED),
        made("a blank before it", format!(" {good}"), MALFORMED),
        made("a line end behind it", format!("{good}\n"), MALFORMED),
        made("a zero byte behind it", format!("{good}\0"), MALFORMED),
        made("percent encoded", good.replace('.', "%2E"), MALFORMED),
        made("behind its scheme", format!("Bearer {good}"), MALFORMED),
    ]
}

/// JWS has other forms (RFC 7515 sections 7.2, appendix F); none of them is taken.
fn serialisations() -> Vec<Credential> {
    let good = good();
    let parts: Vec<_> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!() };
    let flattened = json!({ "protected": header, "payload": payload, "signature": signature }).to_string();
    let general = json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] }).to_string();
    vec![
        made("flattened JSON serialisation", flattened.clone(), MALFORMED),
        made("general JSON serialisation", general, MALFORMED),
        made("flattened JSON serialisation, encoded", encode(flattened), MALFORMED),
        made("detached content", format!("{header}..{signature}"), MALFORMED),
        made("two parts", format!("{header}.{payload}"), MALFORMED),
        made("four parts", format!("{good}.{signature}"), MALFORMED),
        made("five parts, like JWE", format!("{header}.{payload}.{signature}.{payload}.{signature}"), MALFORMED),
        made("one part", header.into(), MALFORMED),
        made("nothing", String::new(), MALFORMED),
        made("dots alone", "..".into(), MALFORMED),
        made("a token in a token", jws(&self::header(), &good, &platform()), MALFORMED),
        made(
            "longer than 4,096 bytes",
            jws(&self::header(), &with("}", &format!("}},\"more\":\"{}\"", "x".repeat(4_096))), &platform()),
            MALFORMED,
        ),
    ]
}

fn signatures() -> Vec<Credential> {
    let good = good();
    let (input, signature) = good.rsplit_once('.').unwrap();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let signed_with = |bytes: &[u8]| format!("{input}.{}", encode(bytes));
    let mut all = Vec::new();
    for (name, at, bit) in [("first", 0, 1), ("last of R", 31, 0x40), ("first of S", 32, 1), ("last", 63, 8)] {
        let mut flipped = bytes.clone();
        flipped[at] ^= bit;
        all.push(made(&format!("a bit of the signature changed: {name} byte"), signed_with(&flipped), MISMATCH));
    }
    let other = signer(0x72);
    let (header, payload) = (header(), payload());
    let foreign = header.replace(&thumbprint(&platform()), &thumbprint(&other));
    let elevated = with("\"daemon\"", "\"viewer\"");
    all.extend([
        made("S + L, which is the same signature to a lax verifier", signed_with(&plus_order(&bytes)), MISMATCH),
        made("a signature of zeros", signed_with(&[0; 64]), MISMATCH),
        made("R of low order, S zero", signed_with(&[&[1], &[0; 63][..]].concat()), MISMATCH),
        made("signed by a key that the set does not have, under its own kid", jws(&foreign, &payload, &other), MISMATCH),
        made("signed by a key that the set does not have, under the good kid", jws(&header, &payload, &other), MISMATCH),
        made("signed by the good key under another kid", jws(&foreign, &payload, &platform()), MISMATCH),
        made("the payload changed afterwards", format!("{}.{}.{signature}", encode(&header), encode(elevated)), MISMATCH),
        made(
            "the signature is that of the payload alone",
            format!("{input}.{}", encode(platform().sign(payload.as_bytes()).0)),
            MISMATCH,
        ),
        made(
            "the signature is that of the decoded parts",
            format!("{input}.{}", encode(platform().sign(format!("{header}.{payload}").as_bytes()).0)),
            MISMATCH,
        ),
        made("the claims of a device's own making", jws(&header, &payload, &device()), MISMATCH),
    ]);
    all
}

/// S and the group's order, little-endian, added (RFC 8032 section 5.1.7 forbids it).
fn plus_order(signature: &[u8]) -> Vec<u8> {
    let order = data_encoding::HEXLOWER.decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let (r, s) = signature.split_at(32);
    let mut carry = 0;
    let sum = s.iter().zip(&order).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        u8::try_from(sum & 0xff).unwrap()
    });
    r.iter().copied().chain(sum.collect::<Vec<_>>()).collect()
}

fn claims_twice_missing_or_odd() -> Vec<Credential> {
    let signed = |name: &str, payload: String, expected: &str| made(name, jws(&header(), &payload, &platform()), expected);
    let mut all = Vec::new();
    let document: serde_json::Value = serde_json::from_str(&payload()).unwrap();
    for name in ["iss", "aud", "sub", "org", "rtg", "mid", "role", "gen", "cnf", "iat", "nbf", "exp", "rexp", "jti"] {
        let value = document[name].to_string();
        let twice = payload().replacen('{', &format!("{{\"{name}\":{value},"), 1);
        all.push(signed(&format!("the claim {name} twice"), twice, MALFORMED));
        let renamed = payload().replacen(&format!("\"{name}\":"), &format!("\"x{name}\":"), 1);
        all.push(signed(&format!("without the claim {name}"), renamed, MALFORMED));
        let null = payload().replacen(&format!("\"{name}\":"), &format!("\"{name}\":null,\"x{name}\":"), 1);
        all.push(signed(&format!("the claim {name} is null"), null, MALFORMED));
    }
    let exp = (NOW + 3_600).to_string();
    for (name, old, new) in [
        ("exp as text", exp.clone(), format!("\"{exp}\"")),
        ("exp as a fraction", exp.clone(), format!("{exp}.5")),
        ("exp with an exponent", exp.clone(), "1.8e9".into()),
        ("exp below zero", exp.clone(), "-1".into()),
        ("exp beyond 64 bits", exp, "18446744073709551616".into()),
        ("aud as a list", "\"viewport-relay\"".into(), "[\"viewport-relay\"]".into()),
        ("role admin", "\"daemon\"".into(), "\"admin\"".into()),
        ("role in capitals", "\"daemon\"".into(), "\"Daemon\"".into()),
        ("org with a slash", "\"acme\"".into(), "\"acme/../beta\"".into()),
        ("org empty", "\"acme\"".into(), "\"\"".into()),
        ("gen as text", "\"gen\":1".into(), "\"gen\":\"1\"".into()),
        ("cnf with an Ed25519 key", "\"X25519\"".into(), "\"Ed25519\"".into()),
        ("cnf with another type of key", "\"OKP\"".into(), "\"EC\"".into()),
        ("cnf.jwk twice", "\"cnf\":{".into(), "\"cnf\":{\"jwk\":{},".into()),
        ("a member twice in a claim of a later version", "\"jti\"".into(), "\"new\":{\"a\":1,\"a\":2},\"jti\"".into()),
    ] {
        all.push(signed(name, with(&old, &new), MALFORMED));
    }
    all.push(signed("a claim of a later version", with("\"jti\"", "\"new\":{\"a\":[1,2]},\"jti\""), "believed"));
    all.push(signed("claims that are a list", "[]".into(), MALFORMED));
    all.push(signed("claims that are no JSON", "claims".into(), MALFORMED));
    all.push(signed("claims with more behind them", payload() + " {}", MALFORMED));
    all
}

fn audiences_and_times() -> Vec<Credential> {
    let signed = |name: &str, payload: String, expected: &str| made(name, jws(&header(), &payload, &platform()), expected);
    let mut all = vec![
        signed("another audience", with("viewport-relay", "viewport"), "token_wrong_audience"),
        signed("an audience that differs in case", with("viewport-relay", "Viewport-Relay"), "token_wrong_audience"),
        signed("another issuer", with(ISSUER, "https://evil.example"), "token_wrong_audience"),
        signed("an issuer with a slash more", with(ISSUER, &format!("{ISSUER}/")), "token_wrong_audience"),
        signed(
            "several things wrong, of which the audience comes first",
            with("viewport-relay", "x").replace(&(NOW + 3_600).to_string(), "1"),
            "token_wrong_audience",
        ),
    ];
    let (begin, end, renew) = (NOW, NOW + 3_600, NOW + 2_592_000);
    let times: [(&str, u64, &str, &str); 12] = [
        ("61 s before nbf", begin - 61, "exp", "token_not_yet_valid"),
        ("60 s before nbf", begin - 60, "exp", "believed"),
        ("59 s after exp", end + 59, "exp", "believed"),
        ("60 s after exp", end + 60, "exp", "token_expired"),
        ("after exp, to renew", end + 60, "rexp", "believed"),
        ("59 s after rexp, to renew", renew + 59, "rexp", "believed"),
        ("60 s after rexp, to renew", renew + 60, "rexp", "token_expired"),
        ("61 s before nbf, to renew", begin - 61, "rexp", "token_not_yet_valid"),
        ("long after, for a stored session", renew * 2, "none", "believed"),
        ("61 s before nbf, for a stored session", begin - 61, "none", "token_not_yet_valid"),
        ("at the end of all time", u64::MAX, "exp", "token_expired"),
        ("at the beginning of all time", 0, "exp", "token_not_yet_valid"),
    ];
    for (name, now, expiry, expected) in times {
        all.push(Credential { now, expiry: expiry.into(), ..made(name, good(), expected) });
    }
    let late = format!("\"iat\":{}", NOW + 61);
    all.push(signed("iat 61 s ahead", with(&format!("\"iat\":{NOW}"), &late), "token_not_yet_valid"));
    all
}
