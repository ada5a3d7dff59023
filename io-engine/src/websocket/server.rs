//! The server's half of the upgrade, for servers that read the HTTP request themselves.

use http::{HeaderValue, Request, Response, header::SEC_WEBSOCKET_PROTOCOL};
use proto_core::wire::SUBPROTOCOL;
use tungstenite::handshake::server::create_response_with_body;

/// Why a request is not upgraded: answer it with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefused {
    /// It does not ask for a WebSocket of version 13 (RFC 6455 section 4.2.1).
    #[error("this endpoint speaks WebSocket (RFC 6455) and nothing else")]
    NotWebSocket,
    /// It does not offer the subprotocol.
    #[error("this endpoint speaks the WebSocket subprotocol viewport.v1 and no other")]
    NoSubprotocol,
}

/// The answer `101` with its `Sec-WebSocket-Accept` to a request that asks for a WebSocket with [`SUBPROTOCOL`]. Once it is
/// sent, the stream belongs to [`WebSocket::server`](crate::WebSocket::server).
///
/// # Errors
/// [`UpgradeRefused`] when the request asks for something else.
pub fn answer_upgrade<B, A: Default>(request: &Request<B>) -> Result<Response<A>, UpgradeRefused> {
    let mut answer = create_response_with_body(request, A::default).map_err(|_| UpgradeRefused::NotWebSocket)?;
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offer| offer.to_str().ok());
    if !offers.flat_map(|offer| offer.split(',')).any(|offer| offer.trim() == SUBPROTOCOL) {
        return Err(UpgradeRefused::NoSubprotocol);
    }
    answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(protocol: &str) -> http::request::Builder {
        Request::get("/ws")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", protocol)
    }

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        let answer: Response<()> = answer_upgrade(&request("other, viewport.v1").body(()).unwrap()).unwrap();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.headers()["sec-websocket-protocol"], "viewport.v1");
    }

    #[test]
    fn what_asks_for_something_else_is_refused() {
        let refusal = |request: http::request::Builder| answer_upgrade::<_, ()>(&request.body(()).unwrap()).unwrap_err();
        assert_eq!(refusal(request("viewport.v2")), UpgradeRefused::NoSubprotocol);
        assert_eq!(refusal(request("viewport.v1").method("POST")), UpgradeRefused::NotWebSocket);
        assert_eq!(refusal(Request::get("/ws")), UpgradeRefused::NotWebSocket);
    }
}
