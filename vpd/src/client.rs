//! The other side of [`crate::control`]: what commands ask the daemon over its socket.

use std::{io, path::PathBuf, time::Duration};

use bytes::BytesMut;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use proto_core::{Reason, api::Problem};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time};

use crate::{
    control::{BindRequest, Bound, PairEvent, PairRequest, Report, UnbindRequest, Unbound, UnpairRequest, Unpaired},
    failure::Failure,
    home::{Home, reachable},
};

/// How long the daemon may take for an answer: it does not wait for the network with one, except while it pairs.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest line of a pairing that is read.
const MAX_LINE: usize = 64 * 1024;

type Body = Full<bytes::Bytes>;

/// A way to ask the daemon of one home.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// Nothing is connected yet.
    pub(crate) fn of(home: &Home) -> Self {
        Self { socket: home.socket() }
    }

    /// `vpd status`.
    pub(crate) async fn status(&self) -> Result<Report, Failure> {
        self.ask(Method::GET, "/v1/status", None::<&()>).await
    }

    /// `vpd pair`: what the pairing tells, as it happens.
    pub(crate) async fn pair(&self, request: &PairRequest) -> Result<PairEvents, Failure> {
        let response = self.send(Method::POST, "/v1/pair", Some(request)).await?;
        Ok(PairEvents { body: accepted(response).await?.into_body(), line: BytesMut::new() })
    }

    /// `vpd pair --cancel`, and Ctrl-C.
    pub(crate) async fn cancel_pairing(&self) -> Result<(), Failure> {
        self.tell(Method::DELETE, "/v1/pair").await
    }

    /// `vpd unpair`.
    pub(crate) async fn unpair(&self, request: &UnpairRequest) -> Result<Unpaired, Failure> {
        self.ask(Method::POST, "/v1/unpair", Some(request)).await
    }

    /// `vpd bind`.
    pub(crate) async fn bind(&self, request: &BindRequest) -> Result<Bound, Failure> {
        self.ask(Method::POST, "/v1/bind", Some(request)).await
    }

    /// `vpd unbind`.
    pub(crate) async fn unbind(&self, request: &UnbindRequest) -> Result<Unbound, Failure> {
        self.ask(Method::POST, "/v1/unbind", Some(request)).await
    }

    /// `vpd stop`.
    pub(crate) async fn stop(&self) -> Result<(), Failure> {
        self.tell(Method::POST, "/v1/stop").await
    }

    /// A connection to the daemon.
    pub(crate) fn connect(&self) -> Result<UnixStream, Failure> {
        // Connecting to a socket of this machine does not wait for the other side.
        let stream = reachable(&self.socket, |path| std::os::unix::net::UnixStream::connect(path));
        let connected = stream.and_then(|stream| {
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        connected.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Reason::DaemonNotRunning.into(),
            _ => Failure::about(Reason::DaemonNotRunning, format_args!("{}: {error}", self.socket.display())),
        })
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<T, Failure> {
        let exchange = async {
            let response = accepted(self.send(method, path, body).await?).await?;
            let body = response.into_body().collect().await.map_err(|error| gone(&error))?.to_bytes();
            serde_json::from_slice(&body).map_err(|error| Failure::about(Reason::PeerError, error))
        };
        time::timeout(PATIENCE, exchange).await.map_err(|_| silent())?
    }

    async fn tell(&self, method: Method, path: &str) -> Result<(), Failure> {
        let exchange = async { accepted(self.send(method, path, None::<&()>).await?).await.map(drop) };
        time::timeout(PATIENCE, exchange).await.map_err(|_| silent())?
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Response<Incoming>, Failure> {
        let stream = TokioIo::new(self.connect()?);
        let (mut sender, connection) = http1::handshake::<_, Body>(stream).await.map_err(|error| gone(&error))?;
        // Ends when the answer has been read or dropped.
        tokio::spawn(connection);
        let request = request(method, path, body).map_err(|error| Failure::about(Reason::PeerError, error))?;
        sender.send_request(request).await.map_err(|error| gone(&error))
    }
}

fn request(method: Method, path: &str, body: Option<&impl Serialize>) -> anyhow::Result<Request<Body>> {
    let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header(header::HOST, "vpd");
    Ok(request.header(header::CONTENT_TYPE, "application/json").body(Full::from(body))?)
}

/// An answer below 400; the others tell of a problem.
async fn accepted(response: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    let body = response.into_body().collect().await.map_err(|error| gone(&error))?.to_bytes();
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or("unknown status").to_owned(),
        reason: None,
        detail: None,
    });
    Err(Failure::from_problem(problem))
}

fn gone(error: &dyn std::error::Error) -> Failure {
    Failure::about(Reason::DaemonNotRunning, format_args!("it ended while it was asked ({error})"))
}

fn silent() -> Failure {
    Failure::about(Reason::DaemonNotRunning, format_args!("no answer for {} s; try: vpd restart", PATIENCE.as_secs()))
}

/// What a pairing tells, line by line.
#[derive(Debug)]
pub(crate) struct PairEvents {
    body: Incoming,
    line: BytesMut,
}

impl PairEvents {
    /// The next event.
    ///
    /// # Errors
    /// When the daemon ended, or said something that is no event.
    pub(crate) async fn next(&mut self) -> Result<PairEvent, Failure> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let line = self.line.split_to(end + 1);
                return serde_json::from_slice(&line).map_err(|error| Failure::about(Reason::PeerError, error));
            }
            if self.line.len() > MAX_LINE {
                return Err(Failure::about(Reason::PeerError, "a line without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.line.extend(frame.into_data().into_iter().flatten()),
                Some(Err(error)) => return Err(gone(&error)),
                None => {
                    return Err(Failure::about(
                        Reason::DaemonNotRunning,
                        "it ended before the pairing did; it goes on with it when it runs again",
                    ));
                }
            }
        }
    }
}
