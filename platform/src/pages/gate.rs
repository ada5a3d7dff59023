//! What every page request passes: cookies are understood, forms prove that they are ours, answers get their headers.
//!
//! A form carries a hash of the visitor's cookie. Another site can make a browser send the cookie, but cannot read it, so it
//! cannot know the hash. Visitors who are not signed in have a cookie of their own for this.

use axum::{
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use proto_core::secret::SecretText;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    error::PageError,
    fields::{FORM_TOKEN, Fields},
    visitor::{SignedIn, Visitor},
};
use crate::{
    accounts::{KNOWN_FOR, SESSION_LIFETIME},
    app::{App, Shared},
    error::Error,
    random,
    store::{organization, session},
};

const SESSION: &str = "viewport_session";
const VISIT: &str = "viewport_visit";
const BROWSER: &str = "viewport_browser";

/// No script, no foreign content, no framing: there is nothing on these pages that needs them.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Lets a request through to its page.
pub(super) async fn gate(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match admit(&app, request).await {
        Ok(Admitted { request, fresh_visit }) => {
            let mut response = next.run(request).await;
            if let Some(token) = fresh_visit {
                set_cookie(&app, &mut response, VISIT, token.expose(), None);
            }
            response
        }
        Err(error) => error.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if is_https(&app) {
        let value = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

struct Admitted {
    request: Request,
    /// The cookie that a first visit gets.
    fresh_visit: Option<SecretText>,
}

async fn admit(app: &Shared, request: Request) -> Result<Admitted, PageError> {
    let (visitor, fresh_visit) = recognize(app, request.headers()).await?;
    let mut request = if request.method() == Method::POST { check_form(app, request, &visitor).await? } else { request };
    request.extensions_mut().insert(visitor);
    Ok(Admitted { request, fresh_visit })
}

async fn recognize(app: &App, headers: &HeaderMap) -> Result<(Visitor, Option<SecretText>), Error> {
    if let Some(token) = cookie(app, headers, SESSION)
        && let Some(signed_in) = find_session(app, token).await?
    {
        return Ok((Visitor { signed_in: Some(signed_in), form_token: form_token(token).into() }, None));
    }
    if let Some(token) = cookie(app, headers, VISIT) {
        return Ok((Visitor { signed_in: None, form_token: form_token(token).into() }, None));
    }
    let token = random::token()?;
    Ok((Visitor { signed_in: None, form_token: form_token(token.expose()).into() }, Some(token)))
}

async fn find_session(app: &App, token: &str) -> Result<Option<SignedIn>, Error> {
    let session_hash = random::token_hash(token);
    let mut db = app.store.read().await?;
    let Some(account) = session::account(&mut db, &session_hash, app.clock.now()).await? else { return Ok(None) };
    let organizations = organization::joined(&mut db, &account.id).await?.into();
    Ok(Some(SignedIn { account, organizations, session_hash }))
}

async fn check_form(app: &Shared, request: Request, visitor: &Visitor) -> Result<Request, PageError> {
    let (parts, body) = request.into_parts();
    let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), app).await;
    let fields = Fields::parse(&bytes.map_err(|error| Error::invalid(error.body_text()))?);
    let fits: bool = fields.get(FORM_TOKEN).as_bytes().ct_eq(visitor.form_token.as_bytes()).into();
    if !fits {
        return Err(Error::Forbidden("This form is out of date. Go back, reload the page and try again.").into());
    }
    let mut request = Request::from_parts(parts, axum::body::Body::empty());
    request.extensions_mut().insert(fields);
    Ok(request)
}

fn form_token(cookie: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::new().chain_update("viewport form token ").chain_update(cookie).finalize())
}

/// Signs the browser in.
pub(super) fn set_session(app: &App, response: &mut Response, token: &SecretText) {
    set_cookie(app, response, SESSION, token.expose(), Some(SESSION_LIFETIME));
}

/// What the browser was given when an account signed in there before.
pub(super) fn known_browser<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    cookie(app, headers, BROWSER)
}

/// Lets the browser be known from now on.
pub(super) fn set_known_browser(app: &App, response: &mut Response, token: &SecretText) {
    set_cookie(app, response, BROWSER, token.expose(), Some(KNOWN_FOR));
}

/// Signs the browser out.
pub(super) fn clear_session(app: &App, response: &mut Response) {
    set_cookie(app, response, SESSION, "", Some(0));
}

fn is_https(app: &App) -> bool {
    app.config.public_url.starts_with("https:")
}

/// Over https a cookie that no other host of the domain can set (RFC 6265bis section 4.1.3.2).
fn cookie_name(app: &App, name: &str) -> String {
    if is_https(app) { format!("__Host-{name}") } else { name.to_owned() }
}

fn cookie<'a>(app: &App, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let name = cookie_name(app, name);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(|value| value.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(given, value)| *given == name && !value.is_empty()).map(|(_, value)| value)
}

fn set_cookie(app: &App, response: &mut Response, name: &str, value: &str, max_age: Option<u64>) {
    let secure = if is_https(app) { "; Secure" } else { "" };
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}", cookie_name(app, name));
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
