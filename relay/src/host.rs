//! The `Host` field of a request (RFC 9112 section 3.2).

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, Version, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use viewport_server::http::plain_problem;

/// Answers 400 to what is no request of RFC 9112: without `Host`, with more than one, or with one that is none.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    if let Err(title) = check(request.version(), request.headers()) {
        return plain_problem(StatusCode::BAD_REQUEST, title).into_response();
    }
    next.run(request).await
}

fn check(version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err("the request has no Host field"),
        (Some(_), Some(_)) => Err("the request has more than one Host field"),
        // A target without an authority has an empty one.
        (Some(host), None) if host.is_empty() => Ok(()),
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(authority) if !authority.as_str().contains('@') => Ok(()),
            _ => Err("the Host field is invalid"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(version: Version, hosts: &[&'static str]) -> Result<(), &'static str> {
        check(version, &hosts.iter().map(|host| (header::HOST, host.parse().unwrap())).collect())
    }

    /// F34, RFC 9112 section 3.2.
    #[test]
    fn a_request_has_one_host() {
        for host in ["relay.example", "relay.example:8080", "127.0.0.1", "[::1]:80", ""] {
            assert_eq!(checked(Version::HTTP_11, &[host]), Ok(()), "{host}");
        }
        assert_eq!(checked(Version::HTTP_10, &[]), Ok(()));
        assert!(checked(Version::HTTP_11, &[]).is_err());
        for hosts in [&["a", "b"][..], &["a", "a"], &["a b"], &["user@a"], &["a/b"], &["a, b"]] {
            assert!(checked(Version::HTTP_11, hosts).is_err(), "{hosts:?}");
            assert!(checked(Version::HTTP_10, hosts).is_err(), "{hosts:?}");
        }
    }
}
