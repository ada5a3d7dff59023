//! The control plane as a script: codes, approvals, credentials, key set, validation; all in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use proto_core::{
    GivenId, Instant, Jitter, Machine, OrgId, Reason, UnixTime,
    api::{
        Approval, JWKS_PATH, MintAnswer, MintRequest, PAIRING_CODES_PATH, PolicyMode, PollAnswer, Problem, ROTATE_PATH,
        RelayEndpoint, Renewed, RotateRequest, VALIDATE_PATH, ValidateAnswer, ValidateRequest, Workspace,
    },
    effect::{HttpAnswer, HttpRequest},
    id::DeviceKind,
    jose::{Claims, Confirmation, Expectation, Expiry, ProofTarget, RELAY_AUDIENCE, Thumbprint, verify_proof},
    key::{IdentityKey, StaticKey},
    platform::pairing_code::{self, PairingCode, Refusal, Standing, Verdict},
    relay::admission::Gate,
    secret::{Secret, SecretBytes, SecretText},
};
use serde::Serialize;

use super::issuer::Issuer;

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
    pub members: BTreeSet<GivenId>,
}

/// A runtime target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whose.
    pub org: OrgId,
    /// What it is.
    pub kind: DeviceKind,
    /// What it calls itself.
    pub name: String,
    /// The keys of its binding.
    pub confirmation: Confirmation,
    /// What else its credentials say.
    pub install: GivenId,
    /// This org's view of the machine.
    pub machine: GivenId,
    /// The generation of its newest credential.
    pub generation: u64,
    /// Whether access was withdrawn.
    pub revoked: bool,
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
    pub targets: BTreeMap<GivenId, Target>,
    /// How many credentials were renewed.
    pub renewals: usize,
    /// How many codes were made.
    pub minted: usize,
    /// Its codes, by their text.
    pub codes: BTreeMap<String, Code>,
    issuer: Issuer,
    drawn: Jitter,
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
            issuer: Issuer::new(&Secret::new([9; 32])),
            drawn: Jitter::new(0x706c_6174),
        }
    }
}

impl Platform {
    /// What its relays know of it.
    pub fn gate() -> Arc<Gate> {
        let validate_url = format!("{API}{VALIDATE_PATH}");
        Arc::new(Gate { validate_url, internal_key: SecretText::new("internal"), issuer: Some(API.into()) })
    }

    /// Its signing key of that name.
    pub fn signing_key(&self, kid: Thumbprint) -> Option<IdentityKey> {
        self.issuer.key(kid)
    }

    /// Signs with a new key from now on; the old ones stay published.
    pub fn rotate_keys(&mut self) {
        let seed = self.secret();
        self.issuer.rotate(&seed);
    }

    /// Publishes no more than its two latest keys.
    pub fn retire_keys(&mut self) {
        self.issuer.retire();
    }

    /// Somebody approves a code for this org, as a member of it.
    pub fn approve(&mut self, code: &str, org: &OrgId, now: UnixTime) {
        let member = self.orgs[org].members.first().expect("the org has a member").clone();
        self.approve_as(code, &member, org, now).expect("the code can be approved");
    }

    /// An account approves a code for this org.
    ///
    /// # Errors
    /// Why that does not count.
    pub fn approve_as(&mut self, code: &str, by: &GivenId, org: &OrgId, now: UnixTime) -> Result<(), Refusal> {
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

    /// Somebody denies a code.
    ///
    /// # Panics
    /// When it is decided already.
    pub fn deny(&mut self, code: &str, now: UnixTime) {
        let by = self.draw("account");
        self.decide(code, pairing_code::Input::Deny { by }, now).expect("the code can be denied");
    }

    fn decide(&mut self, text: &str, input: pairing_code::Input, now: UnixTime) -> Result<(), Refusal> {
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

    fn standing(&self, by: &GivenId, org: &OrgId) -> Standing {
        let org = self.orgs.get(org).filter(|org| !org.deleted && org.members.contains(by));
        org.map_or(Standing::NoMember, |org| Standing::Member { slug: org.workspace.slug.clone() })
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
        let is_its = |target: &Target| self.keeps_targets && target.org == *org && target.kind == kind && target.name == name;
        let target_id = self.targets.iter().find(|(_, target)| is_its(target)).map_or(fresh, |(id, _)| id.clone());
        let known = &self.orgs[org];
        let (workspace, relay, policy_mode) = (known.workspace.clone(), known.relay.clone(), known.policy);
        let psk = (policy_mode == PolicyMode::CryptoPairing).then(|| self.secret());
        let target = Target {
            org: org.clone(),
            kind,
            name: name.into(),
            confirmation,
            install: install.clone(),
            machine: machine.clone(),
            generation: 1,
            revoked: false,
            psk: psk.clone(),
        };
        self.targets.insert(target_id.clone(), target);
        let issue_token = self.credential(&target_id, now);
        Approval {
            workspace,
            install_id: install,
            runtime_target_id: target_id,
            machine_id: machine,
            issue_token,
            relay,
            policy_mode,
            psk,
        }
    }

    /// The newest credential of a target, issued now.
    pub fn credential(&mut self, target_id: &GivenId, now: UnixTime) -> SecretText {
        let id = self.draw("jti");
        let target = &self.targets[target_id];
        let expires_at = now.plus(self.lifetime);
        let claims = Claims {
            issuer: API.into(),
            audience: RELAY_AUDIENCE.into(),
            install: target.install.clone(),
            org: target.org.clone(),
            runtime_target: target_id.clone(),
            machine: target.machine.clone(),
            role: target.kind,
            generation: target.generation,
            confirmation: target.confirmation,
            issued_at: now,
            not_before: now,
            expires_at,
            renewable_until: expires_at.plus(self.renewable),
            id,
        };
        self.issuer.sign(claims)
    }

    /// Answers a request.
    pub fn answer(&mut self, request: &HttpRequest, now: UnixTime) -> HttpAnswer {
        let path = request.url.strip_prefix(API).unwrap_or_else(|| panic!("a request to {}", request.url));
        match path {
            PAIRING_CODES_PATH => self.mint(request, now),
            JWKS_PATH => raw(200, self.issuer.key_set().to_json().into_bytes()),
            ROTATE_PATH => self.rotate(request, now),
            VALIDATE_PATH => self.validate(request, now),
            _ => self.poll(path.rsplit('/').next().unwrap(), request, now),
        }
    }

    fn draw(&mut self, prefix: &str) -> GivenId {
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
            Err(reason) => json(403, &Problem::because(403, reason)),
        }
    }

    fn renew(&mut self, request: &HttpRequest, now: UnixTime) -> Result<Renewed, Reason> {
        let token = header(request, "Authorization").and_then(|text| text.strip_prefix("DPoP ")).ok_or(Reason::TokenMalformed)?;
        let token = SecretText::new(token);
        let expected = Expectation { issuer: Some(API.into()), expiry: Expiry::Renew };
        let claims = self.issuer.believe(&token, now, &expected)?;
        let proof = SecretText::new(header(request, "DPoP").ok_or(Reason::TokenMalformed)?);
        let goal = ProofTarget { method: "POST", url: &request.url, token: &token };
        verify_proof(&proof, goal, claims.confirmation.identity, now)?;
        let RotateRequest { generation } = serde_json::from_slice(request.body.as_ref().unwrap().expose()).unwrap();
        if self.orgs.get(&claims.org).is_none_or(|org| org.deleted) {
            return Err(Reason::WorkspaceNotFound);
        }
        let target = self.targets.get_mut(&claims.runtime_target).ok_or(Reason::MachineRevoked)?;
        if target.revoked {
            return Err(Reason::MachineRevoked);
        }
        if generation + 1 < target.generation || generation > target.generation {
            return Err(Reason::TokenSuperseded);
        }
        target.generation = generation + 1;
        self.renewals += 1;
        let relay = self.orgs[&claims.org].relay.clone();
        Ok(Renewed { issue_token: self.credential(&claims.runtime_target, now), relay })
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
        let org = self.orgs.get(&claims.org).filter(|org| !org.deleted).ok_or(Reason::WorkspaceNotFound)?;
        let target = self.targets.get(&claims.runtime_target).filter(|target| !target.revoked).ok_or(Reason::MachineRevoked)?;
        if target.confirmation.static_key != static_key {
            return Err(Reason::TokenKeyMismatch);
        }
        if claims.generation + 1 < target.generation {
            return Err(Reason::TokenSuperseded);
        }
        Ok((org.policy, target.psk.clone()))
    }
}

/// The platform's clock as the axis of its codes.
fn moment(now: UnixTime) -> Instant {
    Instant::ZERO.after(Duration::from_secs(now.0))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.expose())
}

fn json(status: u16, body: &impl Serialize) -> HttpAnswer {
    raw(status, serde_json::to_vec(body).unwrap())
}

fn raw(status: u16, body: Vec<u8>) -> HttpAnswer {
    HttpAnswer { status, retry_after: None, body: SecretBytes::new(body) }
}
