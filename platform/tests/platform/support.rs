//! A platform on a temporary database, and the people and devices that use it: everything goes through the router.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use proto_core::{
    Entropy, UnixTime,
    api::{
        Approval, MintAnswer, MintRequest, PAIRING_CODES_PATH, PairingMode, PollAnswer, Problem, ROTATE_PATH, RelayEndpoint,
        Renewed, Revocations, VALIDATE_PATH, ValidateAnswer, ValidateRequest,
    },
    crypto::Identity,
    id::DeviceKind,
    jose::{self, JwkSet, ProofTarget},
    key::StaticKey,
    secret::{Secret, SecretText},
};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use tower::ServiceExt;
use viewport_platform::{Clock, Config, FirstAdmin, Platform};

pub(crate) const URL: &str = "https://viewport.example";
pub(crate) const INTERNAL_KEY: &str = "known to relays only";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const START: UnixTime = UnixTime(1_770_000_000);

/// A platform of its own, with virtual time.
pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) clock: Clock,
    pub(crate) folder: TempDir,
}

impl World {
    /// Without any account.
    pub(crate) async fn empty() -> Self {
        Self::with(|_| {}).await
    }

    /// With `ann@example.org`, admin of `Acme`.
    pub(crate) async fn with_ann() -> (Self, Browser) {
        let world = Self::empty().await;
        world.found().await;
        let ann = world.signed_in("ann@example.org").await;
        (world, ann)
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = RelayEndpoint { url: "wss://relay.example/ws".into(), static_keys: vec![StaticKey([9; 32])] };
        let file = folder.path().join("data/platform.db");
        let mut config = Config::new(file, URL, relay, SecretText::new(INTERNAL_KEY));
        change(&mut config);
        let clock = Clock::manual(START);
        Self { platform: Platform::open(config, clock.clone()).await.unwrap(), clock, folder }
    }

    pub(crate) async fn found(&self) {
        let admin = FirstAdmin {
            email: "ann@example.org".into(),
            password: SecretText::new(PASSWORD),
            name: "Ann".into(),
            organization: "Acme".into(),
        };
        self.platform.create_first_admin(admin).await.unwrap();
    }

    /// A browser that is not signed in.
    pub(crate) fn browser(&self) -> Browser {
        Browser { router: self.platform.router(), cookies: BTreeMap::new(), page: Answer::default(), address: None }
    }

    pub(crate) async fn signed_in(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        browser.get("/sign-in").await;
        let answer = browser.post("/sign-in", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }

    /// Makes an account by an invitation from `admin` to the workspace `slug`.
    pub(crate) async fn invited(&self, admin: &mut Browser, slug: &str, name: &str) -> Browser {
        let link = admin.invite(slug, name, "member").await;
        let mut browser = self.browser();
        browser.get(&link).await;
        let email = format!("{name}@example.org");
        let token = link.split_once("token=").unwrap().1;
        let fields = [("token", token), ("name", name), ("email", &email), ("password", PASSWORD)];
        let answer = browser.post("/invitation/sign-up", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Answer {
        Answer::of(self.platform.router(), request).await
    }

    pub(crate) async fn key_set(&self) -> JwkSet {
        let request = Request::get("/api/.well-known/jwks.json").body(Body::empty()).unwrap();
        JwkSet::parse(self.call(request).await.body.as_bytes()).unwrap()
    }

    pub(crate) async fn validate(&self, token: &SecretText, static_key: StaticKey) -> ValidateAnswer {
        let request = ValidateRequest { token: token.clone(), static_key };
        self.call(post_json(VALIDATE_PATH, &request, &[("authorization", &bearer(INTERNAL_KEY))])).await.json()
    }

    pub(crate) async fn revocations(&self, after: Option<u64>) -> Revocations {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let request = Request::get(format!("/api/relay/revocations{query}"));
        self.call(request.header("authorization", bearer(INTERNAL_KEY)).body(Body::empty()).unwrap()).await.json()
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn post_json(path: &str, body: &impl Serialize, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}

/// An answer, read to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(router: Router, request: Request<Body>) -> Self {
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.body))
    }

    pub(crate) fn problem(&self) -> (StatusCode, Option<&'static str>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status.as_u16());
        (self.status, problem.reason.map(proto_core::Reason::code))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body))
    }
}

/// A browser: it keeps cookies, and fills in the hidden form token of the page that it looks at.
pub(crate) struct Browser {
    router: Router,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) page: Answer,
    /// What a proxy says about where it is.
    pub(crate) address: Option<String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let answer = self.send(Request::get(path), Body::empty()).await;
        self.page = answer.clone();
        answer
    }

    /// Posts a form with the page's token.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token();
        let with_token: Vec<_> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post_bare(path, &with_token).await
    }

    /// Posts a form as it is.
    pub(crate) async fn post_bare(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request, Body::from(body)).await
    }

    pub(crate) fn form_token(&self) -> String {
        let (_, rest) = self.page.body.split_once("name=\"form_token\" value=\"").expect("no form on this page");
        rest.split_once('"').unwrap().0.to_owned()
    }

    async fn send(&mut self, mut request: axum::http::request::Builder, body: Body) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(address) = &self.address {
            request = request.header("x-forwarded-for", address);
        }
        let answer = Answer::of(self.router.clone(), request.body(body).unwrap()).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.insert(name.into(), value.into());
        }
        answer
    }

    /// Makes an invitation and gives its link's path.
    pub(crate) async fn invite(&mut self, slug: &str, label: &str, role: &str) -> String {
        self.get(&format!("/w/{slug}/members")).await;
        let answer = self.post(&format!("/w/{slug}/members/invite"), &[("label", label), ("role", role)]).await;
        let (_, rest) = answer.body.split_once(&format!("value=\"{URL}")).unwrap_or_else(|| panic!("{}", answer.body));
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// Opens the code's page, picks the workspace with that name there, and presses Approve.
    pub(crate) async fn approve(&mut self, code: &str, workspace: &str) -> Answer {
        let page = self.get(&format!("/pair?code={code}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let id = choice(&page.body, workspace).unwrap_or_else(|| panic!("{workspace} is not offered: {}", page.body));
        self.post("/pair/approve", &[("code", code), ("workspace", &id)]).await
    }
}

/// The value of the radio button that stands before `<strong>{name}</strong>`.
pub(crate) fn choice(page: &str, name: &str) -> Option<String> {
    let (before, _) = page.split_once(&format!("<strong>{name}</strong>"))?;
    let (_, value) = before.rsplit_once("name=\"workspace\" value=\"")?;
    Some(value.split_once('"')?.0.to_owned())
}

/// A device: an identity made for one pairing.
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) name: String,
    pub(crate) org: Option<String>,
    pub(crate) kind: DeviceKind,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            identity: Identity::from_seed(Secret::new([seed; 32])),
            name: "ann's laptop".into(),
            org: None,
            kind: DeviceKind::Daemon,
        }
    }

    pub(crate) fn request(&self) -> MintRequest {
        MintRequest {
            kind: self.kind,
            mode: PairingMode::New,
            org: self.org.clone(),
            name: self.name.clone(),
            software: "vpd 0.1.0".into(),
            identity_key: self.identity.identity_key(),
            static_key: self.identity.static_key(),
            static_key_signature: self.identity.static_key_signature(),
        }
    }

    pub(crate) async fn mint(&self, world: &World) -> MintAnswer {
        let answer = world.call(post_json(PAIRING_CODES_PATH, &self.request(), &[])).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.json()
    }

    /// Pairs through the pages.
    pub(crate) async fn pair(&self, world: &World, browser: &mut Browser, workspace: &str) -> Approval {
        let minted = self.mint(world).await;
        let answer = browser.approve(&minted.code, workspace).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        match poll(world, &minted).await.json() {
            PollAnswer::Approved(approval) => *approval,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn rotate(&self, world: &World, token: &SecretText, generation: u64) -> Answer {
        self.rotate_at(world, token, generation, &format!("{URL}{ROTATE_PATH}")).await
    }

    pub(crate) async fn rotate_at(&self, world: &World, token: &SecretText, generation: u64, url: &str) -> Answer {
        let target = ProofTarget { method: "POST", url, token };
        let proof = jose::prove(&self.identity, target, world.clock.now(), &Entropy::new([7; 32]));
        let authorization = format!("DPoP {}", token.expose());
        let headers = [("authorization", authorization.as_str()), ("dpop", proof.expose())];
        world.call(post_json(ROTATE_PATH, &serde_json::json!({ "generation": generation }), &headers)).await
    }

    /// A device that watches.
    pub(crate) fn viewer(seed: u8) -> Self {
        Self { kind: DeviceKind::Viewer, name: format!("viewer {seed}"), ..Self::new(seed) }
    }

    /// Asks in its own name: with its credential and the proof of its key.
    pub(crate) async fn ask(&self, world: &World, token: &SecretText, path: &str, body: Option<&serde_json::Value>) -> Answer {
        let method = if body.is_some() { "POST" } else { "GET" };
        let url = format!("{URL}{}", path.split('?').next().unwrap());
        let target = ProofTarget { method, url: &url, token };
        let proof = jose::prove(&self.identity, target, world.clock.now(), &Entropy::new([7; 32]));
        let authorization = format!("DPoP {}", token.expose());
        let headers = [("authorization", authorization.as_str()), ("dpop", proof.expose())];
        let request = match body {
            Some(body) => post_json(path, body, &headers),
            None => Request::get(path)
                .header("authorization", &authorization)
                .header("dpop", proof.expose())
                .body(Body::empty())
                .unwrap(),
        };
        world.call(request).await
    }

    pub(crate) async fn renew(&self, world: &World, token: &SecretText, generation: u64) -> SecretText {
        self.rotate(world, token, generation).await.json::<Renewed>().issue_token
    }
}

pub(crate) async fn poll(world: &World, minted: &MintAnswer) -> Answer {
    world.call(poll_request(&minted.code, minted.status_token.expose(), 0)).await
}

pub(crate) fn poll_request(code: &str, token: &str, wait: u64) -> Request<Body> {
    let request = Request::get(format!("{PAIRING_CODES_PATH}/{code}"));
    request.header("authorization", bearer(token)).header("prefer", format!("wait={wait}")).body(Body::empty()).unwrap()
}
