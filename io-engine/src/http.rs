//! One HTTP/1.1 request and its answer (RFC 9112).
//!
//! ```text
//!  Head ──status and headers──► Body ──its end──► Ended(answer)
//!    └──────no body follows────────────────────────►┘
//!  any ──fault───────────────────────────────────► Ended(fault)
//! ```

use std::{fmt, io::IoSlice, mem};

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use proto_core::{
    UnixTime,
    effect::{HttpAnswer, HttpRequest, Method, NetFault},
    secret::{SecretBytes, SecretText},
};
use ureq_proto::{
    BodyMode,
    client::{Call, RecvResponseResult, SendRequestResult, state},
};
use zeroize::Zeroizing;

use crate::{Target, Transducer, date::parse_date};

/// The most that an answer's status line and headers may take, and the most that all interim answers before it may.
const MAX_HEAD: usize = 64 * 1024;

/// Room for the request line and the headers that are added to the caller's.
const REQUEST_HEAD_EXTRA: usize = 1024;

/// The most that a line between chunks, or a trailer, may take.
const MAX_LINE: usize = 8 * 1024;

/// How much of a body is decoded at a time.
const PIECE: usize = 4096;

/// One request on a connection of its own. Its one event is the answer, or why there is none.
pub struct HttpCall {
    request: Zeroizing<Vec<u8>>,
    done: usize,
    received: Zeroizing<Vec<u8>>,
    /// What interim answers took.
    interim: usize,
    max_answer: usize,
    stage: Stage,
}

enum Stage {
    Head(Call<state::RecvResponse>),
    Body(Call<state::RecvBody>, HttpAnswer, Zeroizing<Vec<u8>>),
    Ended(Option<Result<HttpAnswer, NetFault>>),
}

impl HttpCall {
    /// The call that sends `request`, and where to.
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] when the URL is none, or a header is none.
    pub fn new(request: &HttpRequest) -> Result<(Target, Self), NetFault> {
        let target = Target::http(&request.url)?;
        let (call, request_bytes) = encode(&target, request).ok_or(NetFault::BadUrl)?;
        let call = Self {
            request: request_bytes,
            done: 0,
            received: Zeroizing::default(),
            interim: 0,
            max_answer: request.max_answer,
            stage: Stage::Head(call),
        };
        Ok((target, call))
    }

    /// Asks a proxy for it instead of the server at `authority`: by the whole URL (RFC 9112 section 3.2.2). Only before anything
    /// was sent.
    pub(crate) fn ask_proxy(&mut self, authority: &str, authorization: Option<&SecretText>) {
        let target = self.request.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
        let headers = self.request.windows(2).position(|pair| pair == b"\r\n").map_or(target, |at| at + 2);
        let mut request = Zeroizing::new(Vec::with_capacity(self.request.len() + authority.len() + REQUEST_HEAD_EXTRA));
        request.extend_from_slice(&self.request[..target]);
        request.extend_from_slice(b"http://");
        request.extend_from_slice(authority.as_bytes());
        request.extend_from_slice(&self.request[target..headers]);
        if let Some(authorization) = authorization {
            request.extend_from_slice(b"proxy-authorization: ");
            request.extend_from_slice(authorization.expose().as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(&self.request[headers..]);
        self.request = request;
    }

    /// Goes on as far as the bytes received so far reach.
    fn advance(&mut self) {
        let mut stage = Ok(mem::replace(&mut self.stage, Stage::Ended(None)));
        if let Ok(Stage::Head(call)) = stage {
            stage = self.read_head(call);
        }
        if let Ok(Stage::Body(call, answer, body)) = stage {
            stage = self.read_body(call, answer, body);
        }
        self.stage = stage.unwrap_or_else(|fault| Stage::Ended(Some(Err(fault))));
    }

    fn read_head(&mut self, mut call: Call<state::RecvResponse>) -> Result<Stage, NetFault> {
        let response = loop {
            // No more than may be there, so that the fault is the same however the stream was cut.
            let head = &self.received[..self.received.len().min(MAX_HEAD)];
            let (used, response) = call.try_response(head, false).map_err(|_| NetFault::NotUnderstood)?;
            self.received.drain(..used);
            match response {
                Some(response) => break response,
                None if used == 0 && self.received.len() > MAX_HEAD => return Err(NetFault::TooLarge),
                None if used == 0 => return Ok(Stage::Head(call)),
                // An interim answer (1xx): the real one follows.
                None => {
                    self.interim += used;
                    if self.interim > MAX_HEAD {
                        return Err(NetFault::TooLarge);
                    }
                }
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NetFault::NotUnderstood);
        }
        let answer = HttpAnswer {
            status: response.status().as_u16(),
            retry_after: retry_after(&response),
            date: date(&response),
            body: SecretBytes::default(),
        };
        match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => {
                let expected = match call.body_mode() {
                    BodyMode::LengthDelimited(length) => self.fitting(length)?,
                    BodyMode::NoBody | BodyMode::Chunked | BodyMode::CloseDelimited => 0,
                };
                Ok(Stage::Body(call, answer, Zeroizing::new(Vec::with_capacity(expected))))
            }
            Some(RecvResponseResult::Redirect(_) | RecvResponseResult::Cleanup(_)) => Ok(Stage::Ended(Some(Ok(answer)))),
            None => Err(NetFault::NotUnderstood),
        }
    }

    fn read_body(
        &mut self,
        mut call: Call<state::RecvBody>,
        answer: HttpAnswer,
        mut body: Zeroizing<Vec<u8>>,
    ) -> Result<Stage, NetFault> {
        let mut piece = Zeroizing::new([0; PIECE]);
        let mut at = 0;
        loop {
            // No more than a line may take, and room for one byte too many: what is too large is found where it is, not
            // only after what follows in the same read.
            let (line, room) = (self.received.len().min(at + MAX_LINE), PIECE.min(self.max_answer - body.len() + 1));
            let (used, made) = call.read(&self.received[at..line], &mut piece[..room]).map_err(|_| NetFault::NotUnderstood)?;
            at += used;
            self.fitting((body.len() + made) as u64)?;
            body.extend_from_slice(&piece[..made]);
            if used == 0 && made == 0 {
                break;
            }
        }
        self.received.drain(..at);
        if call.can_proceed() && call.body_mode() != BodyMode::CloseDelimited {
            return Ok(finish(answer, body));
        }
        // What is left is the beginning of a line.
        if self.received.len() > MAX_LINE { Err(NetFault::TooLarge) } else { Ok(Stage::Body(call, answer, body)) }
    }

    fn fitting(&self, length: u64) -> Result<usize, NetFault> {
        usize::try_from(length).ok().filter(|length| *length <= self.max_answer).ok_or(NetFault::TooLarge)
    }
}

impl Transducer for HttpCall {
    type Event = Result<HttpAnswer, NetFault>;

    fn receive(&mut self, bytes: &[u8]) {
        if !matches!(self.stage, Stage::Ended(_)) {
            self.received.extend_from_slice(bytes);
            self.advance();
        }
    }

    fn receive_end(&mut self) {
        match &mut self.stage {
            Stage::Body(call, answer, body) if call.body_mode() == BodyMode::CloseDelimited => {
                self.stage = finish(answer.clone(), mem::take(body));
            }
            _ => self.fail(NetFault::Broken),
        }
    }

    fn fail(&mut self, fault: NetFault) {
        if !matches!(self.stage, Stage::Ended(_)) {
            self.stage = Stage::Ended(Some(Err(fault)));
        }
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        match (slices, &self.request[self.done..]) {
            ([], _) | (_, []) => 0,
            ([first, ..], waiting) => {
                *first = IoSlice::new(waiting);
                1
            }
        }
    }

    fn transmitted(&mut self, count: usize) {
        self.done += count;
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        match &mut self.stage {
            Stage::Ended(outcome) => outcome.take(),
            Stage::Head(_) | Stage::Body(..) => None,
        }
    }
}

/// Shows neither request nor answer: both may hold secrets.
impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Head(_) => "Head",
            Stage::Body(..) => "Body",
            Stage::Ended(_) => "Ended",
        };
        f.debug_struct("HttpCall").field("stage", &stage).field("sent", &self.done).finish_non_exhaustive()
    }
}

fn finish(mut answer: HttpAnswer, mut body: Zeroizing<Vec<u8>>) -> Stage {
    answer.body = SecretBytes::new(mem::take(&mut *body));
    Stage::Ended(Some(Ok(answer)))
}

/// The request as bytes, and the call that waits for its answer; `None` when a header is none.
fn encode(target: &Target, request: &HttpRequest) -> Option<(Call<state::RecvResponse>, Zeroizing<Vec<u8>>)> {
    let body = request.body.as_ref().map_or(&[][..], SecretBytes::expose);
    let mut head = Request::new(());
    *head.method_mut() = match request.method {
        Method::Get => ::http::Method::GET,
        Method::Post => ::http::Method::POST,
    };
    *head.uri_mut() = target.path.parse().ok()?;
    *head.headers_mut() = headers(target, request, body.len())?;
    let size = head.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
        + target.path.len()
        + REQUEST_HEAD_EXTRA;
    let mut bytes = Zeroizing::new(vec![0; size + body.len()]);
    let mut call = Call::new(head).ok()?.proceed();
    let mut at = call.write(&mut bytes).ok()?;
    let call = match call.proceed().ok()?? {
        SendRequestResult::SendBody(mut call) => {
            at += call.write(body, &mut bytes[at..]).ok()?.1;
            call.proceed()?
        }
        SendRequestResult::RecvResponse(call) => call,
        SendRequestResult::Await100(_) => return None,
    };
    bytes.truncate(at);
    Some((call, bytes))
}

fn headers(target: &Target, request: &HttpRequest, body_len: usize) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, target.authority.parse().ok()?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if request.method == Method::Post {
        headers.insert(header::CONTENT_LENGTH, body_len.into());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &request.headers {
        let mut value: HeaderValue = value.expose().parse().ok()?;
        value.set_sensitive(true);
        headers.append(name.parse::<HeaderName>().ok()?, value);
    }
    Some(headers)
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); more than fit are as many as fit.
pub(crate) fn retry_after(response: &Response<()>) -> Option<u32> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

/// `Date` (RFC 9110 section 6.6.1).
fn date(response: &Response<()>) -> Option<UnixTime> {
    parse_date(response.headers().get(header::DATE)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests;
