//! As much of a browser as it takes to press a button on the platform's pages: redirects, cookies, forms. So the demonstration
//! and the tests go through the very pages that a person would use.

mod form;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

use form::Form;

const MAX_PAGE: usize = 1024 * 1024;
const MAX_REDIRECTS: usize = 5;

/// A visitor with a jar of cookies.
#[derive(Debug, Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
}

/// What is on the screen.
#[derive(Clone, Debug)]
pub struct Page {
    url: Url,
    html: String,
}

impl Page {
    /// Whether a text stands on the page.
    pub fn says(&self, text: &str) -> bool {
        self.html.contains(text)
    }

    /// Where the first link leads whose path ends so.
    pub fn link_to(&self, end: &str) -> Option<Url> {
        self.url.join(&form::link_to(&self.html, end)?).ok()
    }

    /// The value of the radio button `name` whose label says `label`.
    pub fn choice(&self, name: &str, label: &str) -> Option<String> {
        form::choice(&self.html, name, label)
    }
}

impl Browser {
    /// Opens a page.
    pub async fn open(&mut self, url: &str) -> anyhow::Result<Page> {
        self.follow(Method::GET, url.parse().with_context(|| url.to_owned())?, String::new()).await
    }

    /// Fills the fields of the form with that action, leaves the others as the page has them, and presses its button.
    pub async fn submit(&mut self, page: &Page, action: &str, typed: &[(&str, &str)]) -> anyhow::Result<Page> {
        let Form { fields, .. } =
            form::find(&page.html, action).with_context(|| format!("{}: no form for {action}", page.url))?;
        let typed_over = |name: &str| typed.iter().any(|(typed, _)| *typed == name);
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields.iter().filter(|(name, _)| !typed_over(name)));
        body.extend_pairs(typed);
        self.follow(Method::POST, page.url.join(action)?, body.finish()).await
    }

    async fn follow(&mut self, mut method: Method, mut url: Url, mut form: String) -> anyhow::Result<Page> {
        for _ in 0..MAX_REDIRECTS {
            let (status, location, html) = self.exchange(method, &url, form).await?;
            match location {
                Some(location) if status.is_redirection() => {
                    url = url.join(&location)?;
                    (method, form) = (Method::GET, String::new());
                }
                _ => {
                    ensure!(status == StatusCode::OK, "{url} answered {status}");
                    return Ok(Page { url, html });
                }
            }
        }
        bail!("{url} redirects without an end");
    }

    async fn exchange(
        &mut self,
        method: Method,
        url: &Url,
        form: String,
    ) -> anyhow::Result<(StatusCode, Option<String>, String)> {
        ensure!(url.scheme() == "http", "{url}: only http here");
        let address = url.socket_addrs(|| None)?;
        let stream = TcpStream::connect(&*address).await.with_context(|| format!("cannot reach {url}"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let response = sender.send_request(self.request(method, url, form)?).await?;
        let (head, body) = response.into_parts();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str()?);
        }
        let location = head.headers.get(header::LOCATION).map(|value| value.to_str().map(str::to_owned)).transpose()?;
        let body = Limited::new(body, MAX_PAGE).collect().await.map_err(anyhow::Error::from_boxed)?.to_bytes();
        Ok((head.status, location, String::from_utf8(body.into())?))
    }

    fn request(&self, method: Method, url: &Url, form: String) -> anyhow::Result<Request<Full<Bytes>>> {
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, authority);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if !form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        Ok(request.body(Full::from(form))?)
    }

    fn keep(&mut self, set_cookie: &str) {
        let cookie = set_cookie.split(';').next().and_then(|pair| pair.trim().split_once('='));
        if let Some((name, value)) = cookie {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}
