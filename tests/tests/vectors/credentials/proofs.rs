//! Proofs of possession.

use sha2::{Digest, Sha256};

use super::{NOW, Possession, device, encode, jws, signer, thumbprint};

const URL: &str = "https://viewport.example/api/credentials/rotate";
const TOKEN: &str = "a.token.of-this-device";

fn made(name: &str, proof: String, expected: &str) -> Possession {
    Possession {
        name: name.into(),
        proof,
        method: "POST".into(),
        url: URL.into(),
        token: TOKEN.into(),
        owner: thumbprint(&device()),
        now: NOW,
        expected: expected.into(),
    }
}

fn header() -> String {
    format!(
        r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{}"}}}}"#,
        device().identity_key().to_base64url()
    )
}

fn payload() -> String {
    let ath = encode(Sha256::digest(TOKEN));
    format!(r#"{{"jti":"unique","htm":"POST","htu":"{URL}","iat":{NOW},"ath":"{ath}"}}"#)
}

pub(super) fn all() -> Vec<Possession> {
    let good = || jws(&header(), &payload(), &device());
    let with_header = |name: &str, old: &str, new: &str, expected: &str| {
        assert!(header().contains(old), "{old}");
        made(name, jws(&header().replacen(old, new, 1), &payload(), &device()), expected)
    };
    let with_payload = |name: &str, old: &str, new: &str, expected: &str| {
        assert!(payload().contains(old), "{old}");
        made(name, jws(&header(), &payload().replacen(old, new, 1), &device()), expected)
    };
    let other = signer(0x72);
    let others_header = header().replace(&device().identity_key().to_base64url(), &other.identity_key().to_base64url());
    let (malformed, mismatch, elsewhere) = ("token_malformed", "signature_mismatch", "token_key_mismatch");
    let at = |name: &str, now: u64, expected: &str| Possession { now, ..made(name, good(), expected) };
    vec![
        made("a good proof", good(), "believed"),
        Possession { method: "GET".into(), ..made("for another method", good(), elsewhere) },
        Possession { method: "post".into(), ..made("for a method in small letters", good(), elsewhere) },
        Possession { url: format!("{URL}/"), ..made("for another URL", good(), elsewhere) },
        Possession { url: format!("{URL}?a=1"), ..made("for a URL with a query", good(), elsewhere) },
        Possession { token: "another".into(), ..made("for another token", good(), elsewhere) },
        Possession { owner: thumbprint(&other), ..made("of another owner", good(), elsewhere) },
        made("by another key, which it names", jws(&others_header, &payload(), &other), elsewhere),
        made("by another key, which it does not name", jws(&header(), &payload(), &other), mismatch),
        made("signed by the owner, naming another key", jws(&others_header, &payload(), &device()), mismatch),
        at("300 s late", NOW + 300, "believed"),
        at("301 s late", NOW + 301, "token_not_yet_valid"),
        at("300 s early", NOW - 300, "believed"),
        at("301 s early", NOW - 301, "token_not_yet_valid"),
        with_header("alg none", "EdDSA", "none", malformed),
        with_header("alg HS256", "EdDSA", "HS256", malformed),
        with_header("typ JWT", "dpop+jwt", "JWT", malformed),
        with_header("typ of a credential", "dpop+jwt", "viewport+jwt", malformed),
        with_header("typ twice", "{", "{\"typ\":\"dpop+jwt\",", malformed),
        with_header("kid beside jwk", "{", "{\"kid\":\"1\",", malformed),
        with_header("crit", "{", "{\"crit\":[\"b64\"],", malformed),
        with_header("a private key in it", "\"kty\":", "\"d\":\"AAAA\",\"kty\":", malformed),
        with_header("a key of another curve", "Ed25519", "X25519", malformed),
        with_header("a key of another type", "OKP", "EC", malformed),
        with_header("x twice", "\"kty\":", "\"x\":\"AAAA\",\"kty\":", malformed),
        with_payload("without ath", "\"ath\"", "\"xath\"", malformed),
        with_payload("without jti", "\"jti\"", "\"xjti\"", malformed),
        with_payload("htm twice", "{", "{\"htm\":\"POST\",", malformed),
        with_payload("iat as text", &NOW.to_string(), &format!("\"{NOW}\""), malformed),
        with_payload("a claim more, such as a nonce", "{", "{\"nonce\":\"n\",", "believed"),
        made("padding on the signature", good() + "==", malformed),
        made("without a signature", good().rsplit_once('.').unwrap().0.to_owned() + ".", malformed),
        made(
            "detached content",
            good().split('.').enumerate().map(|(at, part)| if at == 1 { "" } else { part }).collect::<Vec<_>>().join("."),
            malformed,
        ),
        made("nothing", String::new(), malformed),
        made(
            "longer than 4,096 bytes",
            jws(&header(), &payload().replacen('{', &format!("{{\"more\":\"{}\",", "x".repeat(4_096)), 1), &device()),
            malformed,
        ),
    ]
}
