//! One binding's way to its org: the link to the relay, the credential that it shows, the platform's key set, by which others'
//! credentials are believed, and the organization's key. A daemon's bridge and a viewer are built on it.
//!
//! ```text
//!                 ┌──────── token, RenewNow when the relay calls it expired ───────┐
//!   credential::Rotation ──Announce──► link::Link ◄── frames ──► owner       keyset::KeySet ◄── lookups ── owner
//!        │ HTTP                          │ WebSocket                               │ HTTP
//!        ▼                               ▼                                         ▼
//!     platform                         relay                                    platform
//!        ▲ HTTP, with the credential
//!   orgkey::OrganizationKey, from the first time that the link is up
//!
//!   Running ── Stop ──► Finished        Running ── the relay ended it ──► Failed(reason)
//! ```
//!
//! It owns its children: it drains them inside its own `handle_*`, and its deadline is the least of theirs. It lives as long as
//! its link.

mod authorized;
mod event;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use alloc::{format, string::String};

pub use event::{EffectId, Input, Output, Timer};

use crate::{
    Deadline, Entropy, EntropyChain, Instant, JitterRng, Machine, MachineBase, Misuse, Obstacle, Reason, Status, UnixTime,
    WallClock,
    api::JWKS_PATH,
    crypto::Identity,
    device::{
        credential::{self, Rotation},
        files::{BindingRecord, OrganizationKeyFile, RelayRecord},
        link::{self, Link, LinkState},
        orgkey::{self, OrganizationKey},
    },
    effect::{Effect, HttpAnswer, IoEvent},
    id::DeviceKind,
    jose::JwkSet,
    keyset::{self, KeySet},
    noise::Noise,
    secret::SecretText,
    wire::Role,
};

/// What is the same for every uplink of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The platform's base URL, where a binding names none of its own.
    pub api_endpoint: String,
    /// The relay's URL that replaces the one of the pairing (S166).
    pub relay_endpoint: Option<String>,
    /// Software and version.
    pub software: String,
    /// Whether the CPU has AES instructions: decides suites and ciphers.
    pub aes_in_hardware: bool,
}

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uplink<N> {
    clock: WallClock,
    api: String,
    relay_endpoint: Option<String>,
    identity: Identity,
    link: Link<N>,
    rotation: Rotation,
    keys: KeySet,
    organization_key: OrganizationKey,
    jitter: JitterRng,
    /// Grown anew with each connection; `None` before the first.
    entropy: Option<EntropyChain>,
    port: MachineBase<Output>,
}

impl<N: Noise> Uplink<N> {
    /// The uplink of a binding, which connects at once. `key` is what the last run kept of the organization's key.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`] when the record holds no credential.
    #[expect(clippy::too_many_arguments, reason = "each of them is something else, and comes from somewhere else")]
    pub fn new(
        now: Instant,
        clock: WallClock,
        role: Role,
        record: &BindingRecord,
        identity: &Identity,
        key: Option<&OrganizationKeyFile>,
        settings: &Settings,
        mut jitter: JitterRng,
    ) -> Result<Self, Reason> {
        let api = record.api.as_ref().and_then(|api| api.endpoint.as_deref()).unwrap_or(&settings.api_endpoint);
        let api = api.trim_end_matches('/');
        let config = link::Config {
            role,
            url: settings.relay_endpoint.clone().unwrap_or_else(|| record.relay.url.clone()),
            relay_keys: record.relay.static_keys.clone(),
            identity: identity.clone(),
            psk: record.psk.clone(),
            token: record.issue_token.clone(),
            software: settings.software.clone(),
            aes_in_hardware: settings.aes_in_hardware,
        };
        let token = record.issue_token.clone();
        let whose = orgkey::Settings {
            org: record.workspace_id.clone(),
            target: record.runtime_target_id.clone(),
            role: if role == Role::Daemon { DeviceKind::Daemon } else { DeviceKind::Viewer },
            identity: identity.clone(),
        };
        let mut uplink = Self {
            clock,
            api: api.into(),
            identity: identity.clone(),
            relay_endpoint: settings.relay_endpoint.clone(),
            link: Link::new(config, jitter.split(), now),
            rotation: Rotation::new(now, clock, api, identity.clone(), token, jitter.split())?,
            keys: KeySet::new(now, format!("{api}{JWKS_PATH}"), jitter.split()),
            organization_key: OrganizationKey::new(now, whose, key),
            jitter,
            entropy: None,
            port: MachineBase::new(now),
        };
        uplink.drain();
        Ok(uplink)
    }

    /// How the link stands.
    pub const fn link_state(&self) -> LinkState {
        self.link.state()
    }

    /// Whether frames flow.
    pub const fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Why the link is not up, or else what hinders the renewal of the credential.
    pub fn trouble(&self) -> Option<Reason> {
        self.link.trouble().or_else(|| self.rotation.trouble())
    }

    /// What the latest attempt met of that which [`trouble`](Self::trouble) tells.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self.link.trouble() {
            Some(_) => self.link.obstacle(),
            None => self.rotation.obstacle(),
        }
    }

    /// The credential to show.
    pub const fn credential(&self) -> &SecretText {
        self.rotation.credential()
    }

    /// After that the credential cannot be renewed any more.
    pub const fn renewable_until(&self) -> UnixTime {
        self.rotation.renewable_until()
    }

    /// The platform's keys, as far as they are known.
    pub fn keys(&self) -> Option<&JwkSet> {
        self.keys.keys(self.port.now())
    }

    /// The organization's key, as far as this device knows and holds it.
    pub const fn organization_key(&self) -> &OrganizationKey {
        &self.organization_key
    }

    /// The time now, by which credentials are judged: the platform's, as far as that is known.
    pub const fn unix(&self) -> UnixTime {
        self.rotation.clock().best().unix_at(self.port.now())
    }

    /// By how many seconds this device's clock is ahead of the platform's; none where they agree, as far as is known.
    pub fn clock_ahead(&self) -> Option<i64> {
        self.rotation.clock().ahead(self.port.now())
    }

    /// A fresh block of entropy, grown from the one that came with the connection; `None` before the first.
    pub fn draw(&mut self) -> Option<Entropy> {
        self.entropy.as_mut().map(EntropyChain::draw)
    }

    fn io_event(&mut self, event: IoEvent<EffectId>) {
        let (effect_id, event) = event.take_id();
        if let (EffectId::OrganizationKey(_), IoEvent::Answered((), HttpAnswer { date: Some(date), .. })) = (&effect_id, &event) {
            self.drive_rotation(credential::Input::Stated(*date));
        }
        match (effect_id, event) {
            (EffectId::Link, IoEvent::Connected((), entropy)) => {
                let mut chain = EntropyChain::new(&entropy);
                let first = chain.draw();
                self.entropy = Some(chain);
                self.drive_link(link::Input::Io(IoEvent::Connected((), first)));
            }
            (EffectId::Link, event) => self.drive_link(link::Input::Io(event)),
            (EffectId::Rotation(effect_id), event) => self.drive_rotation(credential::Input::Io(event.with_id(effect_id))),
            (EffectId::Keys(fetch), event) => self.drive_keys(keyset::Input::Io(event.with_id(fetch))),
            (EffectId::OrganizationKey(effect_id), event) => self.drive_key(orgkey::Input::Io(event.with_id(effect_id))),
        }
    }

    fn stored(&mut self, relay: RelayRecord) {
        let url = self.relay_endpoint.clone().unwrap_or(relay.url);
        self.link.follow(url, relay.static_keys);
        self.drive_rotation(credential::Input::Stored);
    }

    fn retry_now(&mut self) {
        self.drive_link(link::Input::RetryNow);
        if self.rotation.trouble().is_some() {
            self.drive_rotation(credential::Input::RenewNow);
        }
    }

    fn drive_link(&mut self, input: link::Input) {
        self.port.feed(&mut self.link, input);
    }

    fn drive_rotation(&mut self, input: credential::Input) {
        self.port.feed(&mut self.rotation, input);
    }

    fn drive_keys(&mut self, input: keyset::Input) {
        self.port.feed(&mut self.keys, input);
    }

    fn drive_key(&mut self, input: orgkey::Input) {
        self.port.feed(&mut self.organization_key, input);
    }

    /// Takes what the children want, until none of them wants anything: what one says may make another speak.
    fn drain(&mut self) {
        loop {
            if let Some(output) = self.link.poll_output() {
                self.link_said(output);
            } else if let Some(output) = self.rotation.poll_output() {
                self.rotation_said(output);
            } else if let Some(output) = self.keys.poll_output() {
                self.keys_said(output);
            } else if let Some(output) = self.organization_key.poll_output() {
                self.key_said(output);
            } else {
                return;
            }
        }
    }

    fn link_said(&mut self, output: link::Output) {
        let output = match output {
            link::Output::Effect(effect) => Output::Effect(effect.map_id(|()| EffectId::Link)),
            link::Output::Up(_) => {
                if let Some(entropy) = self.draw() {
                    self.drive_key(orgkey::Input::Up(entropy));
                }
                Output::Up
            }
            link::Output::Down(reason) | link::Output::Failed(reason) => {
                if reason == Reason::TokenExpired {
                    self.drive_rotation(credential::Input::RenewNow);
                }
                Output::Down(reason)
            }
            link::Output::Ended(reason) => Output::Ended(reason),
            link::Output::Received(frame) => Output::Received(frame),
            link::Output::Rotated(_) => return,
        };
        self.port.push(output);
    }

    fn rotation_said(&mut self, output: credential::Output) {
        let output = match output {
            credential::Output::Effect(effect) => Output::Effect(effect.map_id(EffectId::Rotation)),
            credential::Output::Renewed(renewal) => Output::Renewed(renewal),
            credential::Output::Announce(token) => return self.announce(token),
            credential::Output::Trouble(reason) => Output::NotRenewed(reason),
            credential::Output::RenewalExpired => Output::RenewalExpired,
        };
        self.port.push(output);
    }

    /// A live link shows the renewed credential to the relay; one that waits may have waited for just that.
    fn announce(&mut self, token: SecretText) {
        self.drive_link(link::Input::Renew(token));
        if self.link.trouble() == Some(Reason::TokenExpired) {
            self.drive_link(link::Input::RetryNow);
        }
    }

    fn keys_said(&mut self, output: keyset::Output) {
        let output = match output {
            keyset::Output::Effect(effect) => Output::Effect(effect.map_id(EffectId::Keys)),
            keyset::Output::Found { lookup, .. }
            | keyset::Output::Unknown { lookup }
            | keyset::Output::Unreachable { lookup } => Output::LookedUp(lookup),
            keyset::Output::Refreshed { .. } | keyset::Output::Stale { .. } => return,
        };
        self.port.push(output);
    }

    fn key_said(&mut self, output: orgkey::Output) {
        let output = match output {
            orgkey::Output::Call(effect_id, call) => {
                let (token, now) = (self.rotation.credential(), self.unix());
                let request = authorized::request(&call, &self.api, &self.identity, token, now, &mut self.jitter);
                Output::Effect(Effect::Http(EffectId::OrganizationKey(effect_id), request))
            }
            orgkey::Output::Keep(file) => Output::Keep(file),
            orgkey::Output::KeyEvent(news) => Output::KeyNews(news),
            orgkey::Output::Machines(machines) => Output::Machines(machines),
        };
        self.port.push(output);
    }

    fn is_running(&self) -> bool {
        matches!(self.link.status(), Status::Running { .. })
    }
}

impl<N: Noise> Machine for Uplink<N> {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        if !self.is_running() {
            self.port.ignore();
            return Ok(());
        }
        match input {
            Input::Io(event) => self.io_event(event),
            Input::Stored(relay) => self.stored(relay),
            Input::Send(frame) => self.drive_link(link::Input::Send(frame)),
            Input::Kept(true) => self.drive_key(orgkey::Input::Kept),
            Input::Kept(false) => self.drive_key(orgkey::Input::NotKept),
            Input::PollOrganizationKey => self.drive_key(orgkey::Input::Poll),
            Input::Look(lookup, kid) => self.drive_keys(keyset::Input::Look { lookup, kid }),
            Input::RetryNow => self.retry_now(),
            Input::Stop => self.drive_link(link::Input::Stop),
        }
        self.drain();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        if self.is_running() {
            self.link.handle_timeout(self.port.now());
            self.rotation.handle_timeout(self.port.now());
            self.keys.handle_timeout(self.port.now());
            self.organization_key.handle_timeout(self.port.now());
            self.drain();
        }
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.port.advance(now);
        if self.is_running() && !self.clock.agrees_with(wall) {
            self.clock = wall;
            self.rotation.handle_clock(self.port.now(), wall);
            self.retry_now();
            self.drain();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        if !self.is_running() {
            return None;
        }
        let link = self.link.poll_timeout().map(|deadline| deadline.map(Timer::Link));
        let rotation = self.rotation.poll_timeout().map(|deadline| deadline.map(Timer::Rotation));
        let keys = self.keys.poll_timeout().map(|deadline| deadline.map(Timer::Keys));
        let organization_key = self.organization_key.poll_timeout().map(|deadline| deadline.map(Timer::OrganizationKey));
        link.into_iter().chain(rotation).chain(keys).chain(organization_key).min()
    }

    fn status(&self) -> Status<'_, Reason> {
        self.link.status()
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
