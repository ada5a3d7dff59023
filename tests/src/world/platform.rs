//! The control plane as a script: codes, approvals, credentials, key set, validation; all in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use proto_core::{
    Instant, JitterRng, Machine, OrgId, PlatformId, Reason, UnixTime,
    api::{
        Approval, JWKS_PATH, KEY_DEVICE_PATH, KEY_HANDOVERS_PATH, KEY_STATEMENTS_PATH, MintAnswer, MintRequest, NamedMachine,
        ORGANIZATION_KEY_PATH, PAIRING_CODES_PATH, PolicyMode, PollAnswer, Problem, REVOCATIONS_PATH, ROTATE_PATH, RelayEndpoint,
        Renewed, RotateRequest, VALIDATE_PATH, ValidateAnswer, ValidateRequest, Workspace,
    },
    effect::{HttpAnswer, HttpRequest, Method},
    id::DeviceKind,
    jose::{Claims, Confirmation, Expectation, Expiry, ProofTarget, Thumbprint, verify_proof},
    key::{IdentityKey, StaticKey},
    platform::{
        key_ring::Change,
        pairing_code::{self, MAX_POLLS, Membership, POLLS_WINDOW, PairingCode, Verdict},
        rate::Window,
        rotation::{self, Found, Holder, Record, Refusal, Terms},
    },
    relay::admission::PlatformAccess,
    secret::{Secret, SecretBytes, SecretText},
};
use serde::Serialize;

use super::{issuer::Issuer, organization_key::OrganizationKey, revocations::Ended};

/// Where it is.
pub const API: &str = "https://api.example";

/// An organization.
#[derive(Clone, Debug)]
pub struct Org {
    /// Id, slug and name.
    pub workspace: Workspace,
    /// Its relay.
    pub relay: RelayEndpoint,
    /// How it wants handshakes.
    pub policy: PolicyMode,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The accounts that belong to it.
    pub members: BTreeSet<PlatformId>,
}

/// A runtime target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whose it is, the generation of its newest credential, and whether access was withdrawn.
    pub record: Record,
    /// What it calls itself.
    pub name: String,
    /// Its pre-shared key.
    pub psk: Option<Secret>,
}

/// A pairing code: the machine, and what is stored beside it.
#[derive(Clone, Debug)]
pub struct Code {
    /// What the device asked for.
    pub request: MintRequest,
    /// How it stands.
    pub machine: PairingCode,
    status_token: String,
    approval: Option<Approval>,
}

/// The control plane.
#[derive(Debug)]
pub struct Platform {
    /// Whether it answers.
    pub is_up: bool,
    /// Seconds from one credential's start to its soft expiry.
    pub lifetime: u64,
    /// Seconds from there to its hard expiry.
    pub renewable: u64,
    /// Whether a machine that pairs again with an org keeps its runtime target there.
    pub keeps_targets: bool,
    /// Its organizations.
    pub orgs: BTreeMap<OrgId, Org>,
    /// Its runtime targets.
    pub targets: BTreeMap<PlatformId, Target>,
    /// How many credentials were renewed.
    pub renewals: usize,
    /// How many codes were made.
    pub minted: usize,
    /// Its codes, by their text.
    pub codes: BTreeMap<String, Code>,
    /// What it tells relays of, in order.
    pub ended: Vec<Ended>,
    /// The organizations' keys.
    pub keys: BTreeMap<OrgId, OrganizationKey>,
    issuer: Issuer,
    polls: Window<String>,
    drawn: JitterRng,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            is_up: true,
            lifetime: 3_600,
            renewable: 30 * 86_400,
            keeps_targets: false,
            orgs: BTreeMap::new(),
            targets: BTreeMap::new(),
            renewals: 0,
            minted: 0,
            codes: BTreeMap::new(),
            ended: Vec::new(),
            keys: BTreeMap::new(),
            issuer: Issuer::default(),
            polls: Window::new(MAX_POLLS, POLLS_WINDOW),
            drawn: JitterRng::new(0x706c_6174),
        }
    }
}

impl Platform {
    /// What its relays know of it.
    pub fn gate() -> Arc<PlatformAccess> {
        let validate_url = format!("{API}{VALIDATE_PATH}");
        Arc::new(PlatformAccess { validate_url, internal_key: SecretText::new("internal"), issuer: Some(API.into()) })
    }

    /// Its published signing key of that name.
    pub fn signing_key(&self, kid: Thumbprint) -> Option<IdentityKey> {
        self.issuer.ring().published().get(kid)
    }

    /// Publishes a successor of its signing key.
    pub fn rotate_keys(&mut self, now: UnixTime) {
        let change = self.issuer.ring().rotate(now);
        self.change_keys(change);
    }

    /// Its signing keys leaked: it publishes them no more, and signs with a fresh one at once.
    pub fn withdraw_keys(&mut self, now: UnixTime) {
        let changes = self.issuer.ring().withdraw(now);
        self.change_keys(changes);
    }

    /// Makes and forgets signing keys as they are due.
    fn tend_keys(&mut self, now: UnixTime) {
        let due = self.issuer.ring().due(now, self.lifetime + self.renewable);
        self.change_keys(due);
    }

    fn change_keys(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            let seed = if self.issuer.ring().keys().is_empty() { Secret::new([9; 32]) } else { self.secret() };
            self.issuer.carry_out(change, &seed);
        }
    }

    /// A member approves a code for this org, as a member of it.
    pub fn approve(&mut self, code: &str, org: &OrgId, now: UnixTime) {
        let member = self.orgs[org].members.first().expect("the org has a member").clone();
        self.approve_as(code, &member, org, now).expect("the code can be approved");
    }

    /// An account approves a code for this org.
    ///
    /// # Errors
    /// Why that does not count.
    pub fn approve_as(&mut self, code: &str, by: &PlatformId, org: &OrgId, now: UnixTime) -> Result<(), pairing_code::Refusal> {
        self.decide(code, pairing_code::Input::Approve { by: by.clone(), org: org.clone() }, now)
    }

    /// A dishonest platform answers a code with an approval for this org, whatever was asked for.
    pub fn misissue(&mut self, text: &str, org: &OrgId, now: UnixTime) {
        self.issue(text, org, now);
        let by = self.draw("account");
        let code = self.codes.get_mut(text).unwrap();
        let decision = Some(pairing_code::Decision::Approved { by, org: org.clone() });
        code.machine = PairingCode::restore(moment(now), pairing_code::Record { decision, ..code.machine.record() });
    }

    /// A member denies a code.
    ///
    /// # Panics
    /// When it is decided already.
    pub fn deny(&mut self, code: &str, now: UnixTime) {
        let by = self.draw("account");
        self.decide(code, pairing_code::Input::Deny { by }, now).expect("the code can be denied");
    }

    fn decide(&mut self, text: &str, input: pairing_code::Input, now: UnixTime) -> Result<(), pairing_code::Refusal> {
        self.tell_code(text, input, now);
        let mut refused = Ok(());
        while let Some(output) = self.codes.get_mut(text).and_then(|code| code.machine.poll_output()) {
            match output {
                pairing_code::Output::CheckStanding { check, by, org } => {
                    let standing = self.standing(&by, &org);
                    self.tell_code(text, pairing_code::Input::Checked { check, standing }, now);
                }
                pairing_code::Output::Issue { org, .. } => self.issue(text, &org, now),
                pairing_code::Output::Refused(refusal) => refused = Err(refusal),
                pairing_code::Output::Decided(_)
                | pairing_code::Output::Answer(_)
                | pairing_code::Output::Unknown
                | pairing_code::Output::Voided => {}
            }
        }
        refused
    }

    fn tell_code(&mut self, text: &str, input: pairing_code::Input, now: UnixTime) {
        if let Some(code) = self.codes.get_mut(text) {
            code.machine.handle_input(moment(now), input).unwrap();
        }
    }

    fn standing(&self, by: &PlatformId, org: &OrgId) -> Membership {
        let org = self.orgs.get(org).filter(|org| !org.deleted && org.members.contains(by));
        org.map_or(Membership::NoMember, |org| Membership::Member { slug: org.workspace.slug.clone() })
    }

    fn issue(&mut self, text: &str, org: &OrgId, now: UnixTime) {
        let request = self.codes[text].request.clone();
        let confirmation =
            Confirmation { static_key: request.static_key, identity: Thumbprint::of_identity_key(request.identity_key) };
        let approval = self.enrol(org, request.kind, &request.name, confirmation, now);
        let was = self.codes.get_mut(text).unwrap().approval.replace(approval);
        assert!(was.is_none(), "PAIR-12: one code was approved twice");
    }

    /// A new device of an org.
    pub fn enrol(&mut self, org: &OrgId, kind: DeviceKind, name: &str, confirmation: Confirmation, now: UnixTime) -> Approval {
        let [install, fresh, machine] = ["in", "rt", "ma"].map(|prefix| self.draw(prefix));
        let is_its = |target: &Target| {
            let holder = &target.record.holder;
            self.keeps_targets && holder.org == *org && holder.role == kind && target.name == name
        };
        let runtime_target = self.targets.iter().find(|(_, target)| is_its(target)).map_or(fresh, |(id, _)| id.clone());
        let known = &self.orgs[org];
        let (workspace, relay, policy_mode) = (known.workspace.clone(), known.relay.clone(), known.policy);
        let psk = (policy_mode == PolicyMode::CryptoPairing).then(|| self.secret());
        let holder = Holder { org: org.clone(), install, runtime_target, machine, role: kind, confirmation };
        let record = Record { holder: holder.clone(), latest: 1, is_revoked: false };
        self.targets.insert(holder.runtime_target.clone(), Target { record, name: name.into(), psk: psk.clone() });
        let issue_token = self.credential(&holder.runtime_target, now);
        Approval {
            workspace,
            install_id: holder.install,
            runtime_target_id: holder.runtime_target,
            machine_id: holder.machine,
            issue_token,
            relay,
            policy_mode,
            psk,
        }
    }

    /// The newest credential of a target, issued now.
    pub fn credential(&mut self, target_id: &PlatformId, now: UnixTime) -> SecretText {
        self.tend_keys(now);
        let id = self.draw("jti");
        let Record { holder, latest, .. } = &self.targets[target_id].record;
        let terms = Terms { issuer: API.into(), opens_for: self.lifetime, renewable_for: self.lifetime + self.renewable };
        self.issuer.sign(terms.credential(holder, *latest, id, now))
    }

    /// Answers a request, and says what time it is.
    pub fn answer(&mut self, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        HttpAnswer { date: Some(now), ..self.undated_answer(request, now) }
    }

    fn undated_answer(&mut self, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        self.tend_keys(now);
        let path = request.url.strip_prefix(API).unwrap_or_else(|| panic!("a request to {}", request.url));
        match path {
            PAIRING_CODES_PATH => self.mint(request, now),
            JWKS_PATH => raw(200, self.issuer.ring().published().to_json().into_bytes()),
            ROTATE_PATH => self.rotate(request, now),
            VALIDATE_PATH => self.validate(request, now),
            feed if feed.starts_with(REVOCATIONS_PATH) => self.revocations(request),
            key if key.starts_with(ORGANIZATION_KEY_PATH) => self.organization_key(key, request, now),
            _ => self.poll(path.rsplit('/').next().unwrap(), request, now),
        }
    }

    fn draw(&mut self, prefix: &str) -> PlatformId {
        format!("{prefix}-{:016x}{:016x}", self.drawn.next(), self.drawn.next()).parse().unwrap()
    }

    fn secret(&mut self) -> Secret {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.drawn.next().to_be_bytes()));
        Secret::new(bytes)
    }

    fn mint(&mut self, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        const LETTERS: &[u8] = b"BCDFGHJKLMNPQRST";
        let number = self.drawn.next();
        let code: String = (0..8).map(|n| char::from(LETTERS[usize::try_from(number >> (4 * n)).unwrap() & 15])).collect();
        let status_token = self.draw("status").to_string();
        let request: MintRequest = serde_json::from_slice(request.body.as_ref().unwrap().expose()).unwrap();
        let machine = PairingCode::mint(moment(now), request.org.clone());
        self.codes.insert(code.clone(), Code { request, machine, status_token: status_token.clone(), approval: None });
        self.minted += 1;
        let url = format!("{API}/pair?code={code}");
        json(201, &MintAnswer { code, status_token: SecretText::new(status_token), url, expires_in: 900, interval: Some(2) })
    }

    fn poll(&mut self, text: &str, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        let gone = || json(404, &Problem::because(404, Reason::CodeExpired));
        let Some(code) = self.codes.get_mut(text) else { return gone() };
        if let Err(wait) = self.polls.act(&text.to_owned(), now) {
            return HttpAnswer {
                retry_after: u32::try_from(wait).ok(),
                date: None,
                ..json(429, &Problem::because(429, Reason::RateLimited))
            };
        }
        let token_fits = header(request, "Authorization") == Some(format!("Bearer {}", code.status_token).as_str());
        code.machine.handle_input(moment(now), pairing_code::Input::Polled { token_fits }).unwrap();
        let said: Vec<_> = std::iter::from_fn(|| code.machine.poll_output()).collect();
        match (said.first(), &code.approval) {
            (Some(pairing_code::Output::Answer(Verdict::Pending)), _) => json(200, &PollAnswer::Pending),
            (Some(pairing_code::Output::Answer(Verdict::Denied)), _) => json(200, &PollAnswer::Denied),
            (Some(pairing_code::Output::Answer(Verdict::Approved)), Some(approval)) => {
                json(200, &PollAnswer::Approved(Box::new(approval.clone())))
            }
            _ => gone(),
        }
    }

    fn rotate(&mut self, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        match self.renew(request, now) {
            Ok(renewed) => json(200, &renewed),
            Err(refusal) => {
                let reason = if let Refusal::Because(reason) = refusal { Some(reason) } else { None };
                let (status, title) = (refusal.status(), refusal.to_string());
                json(status, &Problem { status, title, reason, detail: None })
            }
        }
    }

    fn renew(&mut self, request: &HttpRequest, now: UnixTime) -> Result<Renewed, Refusal> {
        let missing = Refusal::Because(Reason::TokenMalformed);
        let token = header(request, "Authorization").and_then(|text| text.strip_prefix("DPoP ")).ok_or(missing)?;
        let (token, proof) = (SecretText::new(token), SecretText::new(header(request, "DPoP").ok_or(missing)?));
        let expected = Expectation { issuer: Some(API.into()), expiry: Expiry::Renew };
        let claims = self.issuer.believe(&token, now, &expected).map_err(Refusal::Because)?;
        let url = [request.url.as_str()];
        rotation::prove_possession(&proof, &token, &claims, "POST", url, now).map_err(Refusal::Because)?;
        let RotateRequest { generation } = serde_json::from_slice(request.body.as_ref().unwrap().expose()).unwrap();
        let successor = rotation::renew(&claims, generation, self.found(&claims))?;
        if let Some(target) = self.targets.get_mut(&claims.runtime_target) {
            target.record.latest = successor;
        }
        self.renewals += 1;
        let relay = self.orgs[&claims.org].relay.clone();
        Ok(Renewed { issue_token: self.credential(&claims.runtime_target, now), relay })
    }

    /// The machines of an organization that run sessions, as its people know them.
    fn machines(&self, org: &OrgId) -> Vec<NamedMachine> {
        let holders = self.targets.iter().map(|(id, target)| (id, &target.record.holder, &target.name));
        let its = holders.filter(|(_, holder, _)| holder.org == *org && holder.role == DeviceKind::Daemon);
        let named = |(id, _, name): (&PlatformId, _, &String)| NamedMachine {
            runtime_target_id: id.clone(),
            name: name.clone(),
            owner: "Ada".into(),
        };
        its.map(named).collect()
    }

    fn organization_key(&mut self, path: &str, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        let (claims, identity) = match self.authenticate(request, now) {
            Ok(authenticated) => authenticated,
            Err(reason) => return json(401, &Problem::because(401, reason)),
        };
        let revoked: BTreeSet<_> =
            self.targets.iter().filter(|(_, target)| target.record.is_revoked).map(|(id, _)| id.clone()).collect();
        let named = self.machines(&claims.org);
        let key = self.keys.entry(claims.org.clone()).or_default();
        let body = || request.body.as_ref().unwrap().expose();
        let status = match path {
            KEY_DEVICE_PATH => key.register(&claims, identity, serde_json::from_slice(body()).unwrap()),
            KEY_STATEMENTS_PATH => key.publish(&serde_json::from_slice(body()).unwrap()),
            KEY_HANDOVERS_PATH => key.hand_over(&serde_json::from_slice(body()).unwrap()),
            _ => {
                let query = path.split_once("?after=").map_or("0", |(_, query)| query);
                let (after, machines) = query.strip_suffix("&machines=true").map_or((query, false), |after| (after, true));
                let mut view = key.view(&claims, after.parse().expect("a number"), |target| revoked.contains(target));
                if machines {
                    view.machines = named;
                }
                return json(200, &view);
            }
        };
        raw(status, Vec::new())
    }

    /// Whose request it is, by its credential and the proof of its key.
    fn authenticate(&self, request: &HttpRequest, now: UnixTime) -> Result<(Claims, IdentityKey), Reason> {
        let missing = Reason::TokenMalformed;
        let token = header(request, "Authorization").and_then(|text| text.strip_prefix("DPoP ")).ok_or(missing)?;
        let (token, proof) = (SecretText::new(token), SecretText::new(header(request, "DPoP").ok_or(missing)?));
        let claims = self.issuer.believe(&token, now, &Expectation { issuer: Some(API.into()), expiry: Expiry::Connect })?;
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        let url = request.url.split('?').next().unwrap();
        let target = ProofTarget { method, url, token: &token };
        let proof = verify_proof(&proof, target, claims.confirmation.identity, now)?;
        rotation::validate(&claims, claims.confirmation.static_key, self.found(&claims))?;
        Ok((claims, proof.identity_key))
    }

    fn found(&self, claims: &Claims) -> Found<'_> {
        Found {
            org_lives: self.orgs.get(&claims.org).is_some_and(|org| !org.deleted),
            record: self.targets.get(&claims.runtime_target).map(|target| &target.record),
        }
    }

    fn validate(&self, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        let ValidateRequest { token, static_key } = serde_json::from_slice(request.body.as_ref().unwrap().expose()).unwrap();
        let answer = match self.judge(&token, static_key, now) {
            Ok((policy_mode, psk)) => ValidateAnswer { active: true, reason: None, policy_mode: Some(policy_mode), psk },
            Err(reason) => ValidateAnswer { active: false, reason: Some(reason), policy_mode: None, psk: None },
        };
        json(200, &answer)
    }

    fn judge(&self, token: &SecretText, static_key: StaticKey, now: UnixTime) -> Result<(PolicyMode, Option<Secret>), Reason> {
        let expected = Expectation { issuer: None, expiry: Expiry::Connect };
        let claims = self.issuer.believe(token, now, &expected)?;
        rotation::validate(&claims, static_key, self.found(&claims))?;
        let psk = self.targets.get(&claims.runtime_target).and_then(|target| target.psk.clone());
        Ok((self.orgs[&claims.org].policy, psk))
    }
}

/// The platform's clock as the axis of its codes.
fn moment(now: UnixTime) -> Instant {
    Instant::ZERO.after(Duration::from_secs(now.0))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.expose())
}

pub(super) fn json(status: u16, body: &impl Serialize) -> HttpAnswer {
    raw(status, serde_json::to_vec(body).unwrap())
}

fn raw(status: u16, body: Vec<u8>) -> HttpAnswer {
    HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body) }
}
