//! One step after the other: ask, look at the answer, keep what is new, do what there is to do.

use alloc::boxed::Box;
use core::{mem, time::Duration};

use super::{
    BACKOFF, MAX_STEPS, OrganizationKey, Settings,
    event::{Call, EffectId, KeyEvent, Output},
    key_state::{Followed, KeyState},
    state::{Asked, State},
};
use crate::{
    Entropy, EntropyChain, Reason, Unhashed,
    api::{Base64url, Handover, KeyView, Publication, Registration, WaitingDevice, refusal, unanswered},
    effect::{HttpAnswer, IoEvent},
    id::DeviceKind,
    orgkey::{Generation, MAX_GENERATIONS, SealingKey, Statement, Wrapped, WrappingKeys, verify_wrapping_key},
};

impl OrganizationKey {
    pub(super) fn link_up(&mut self, entropy: &Entropy) {
        match self.state {
            State::Away => {
                self.entropy = Some(EntropyChain::new(entropy));
                self.look_around();
            }
            State::Resting { .. } => self.look_around(),
            _ => {}
        }
    }

    pub(super) fn retry_now(&mut self) {
        // After a failure the back-off holds: the request may come often.
        if matches!(self.state, State::Resting { .. }) && self.failures == 0 {
            self.look(0);
        }
    }

    /// Asks what there is. The newest statement that is known here has to be shown again: a platform that has another one, or none,
    /// is found out.
    pub(super) fn look(&mut self, steps: u32) {
        self.call(self.view(false), Asked::View, steps);
    }

    /// The same, and for the names of the machines where their sessions may be watched.
    fn look_around(&mut self) {
        self.call(self.view(self.settings.role == DeviceKind::Viewer), Asked::View, 0);
    }

    fn view(&self, machines: bool) -> Call {
        Call::View { after: self.kept.lineage.generation().saturating_sub(1), machines }
    }

    fn call(&mut self, call: Call, what: Asked, steps: u32) {
        if steps >= MAX_STEPS {
            return self.rest();
        }
        self.asked = Unhashed(self.asked.0.wrapping_add(1));
        self.state = State::Asking { number: self.asked, what, steps: steps.saturating_add(1) };
        self.port.push(Output::Call(EffectId(self.asked.0), call));
    }

    fn rest(&mut self) {
        self.state = State::Resting { until: self.port.now().after(self.pause()) };
    }

    fn failed(&mut self, reason: Reason, retry_after: Duration) {
        self.failures = self.failures.saturating_add(1);
        let wait = BACKOFF.ceiling(self.failures).max(retry_after.min(BACKOFF.cap));
        self.state = State::Resting { until: self.port.now().after(wait) };
        self.report_trouble(Some(reason));
    }

    /// Says what is in the way when it is something else than before.
    fn report_trouble(&mut self, trouble: Option<Reason>) {
        if self.trouble != trouble {
            self.trouble = trouble;
            self.port.extend(trouble.map(KeyEvent::Trouble).map(Output::KeyEvent));
        }
    }

    pub(super) fn io_event(&mut self, event: IoEvent<EffectId>) {
        let (EffectId(number), event) = event.take_id();
        let (what, steps) = match &self.state {
            State::Asking { number: asked, what, steps } if asked.0 == number => (what.clone(), *steps),
            _ => return self.port.ignore(),
        };
        match event {
            IoEvent::Answered((), answer) => self.answered(what, steps, &answer),
            IoEvent::Unanswered((), fault) => self.failed(unanswered(fault), Duration::ZERO),
            _ => self.port.ignore(),
        }
    }

    fn answered(&mut self, what: Asked, steps: u32, answer: &HttpAnswer) {
        match (what, answer.status) {
            (Asked::View, 200) => match serde_json::from_slice(answer.body.expose()) {
                Ok(view) => self.viewed(view, steps),
                Err(_) => self.failed(Reason::PlatformAnswerInvalid, Duration::ZERO),
            },
            (Asked::HandOver(news), 204) => {
                self.port.extend(news.map(Output::KeyEvent));
                self.look(steps);
            }
            (Asked::Register, 204) | (Asked::Publish, 201) => self.look(steps),
            // Another device was faster: the next look shows what there is.
            (Asked::Publish | Asked::HandOver(_), 409) => self.rest(),
            _ => self.failed(refusal(answer), Duration::from_secs(answer.retry_after.unwrap_or(0).into())),
        }
    }

    fn viewed(&mut self, mut view: KeyView, steps: u32) {
        let machines = mem::take(&mut view.machines);
        if !machines.is_empty() && self.settings.role == DeviceKind::Viewer {
            self.port.push(Output::Machines(machines));
        }
        match self.learn(&view) {
            Err(reason) => self.failed(reason, Duration::ZERO),
            Ok((next, news)) if next != self.kept => self.keep(next, news, steps),
            Ok(_) => {
                self.failures = 0;
                self.proceed(view, steps);
            }
        }
    }

    /// What is known and held with what the view says.
    fn learn(&self, view: &KeyView) -> Result<(KeyState, Option<KeyEvent>), Reason> {
        let (mut next, mut news) = (self.kept.clone(), None);
        if view.statements.is_empty() && next.lineage.newest().is_some() {
            return Err(Reason::OrganizationKeyForked);
        }
        for bytes in &view.statements {
            let statement = Statement::decode(&bytes.0).map_err(|_| Reason::PlatformAnswerInvalid)?;
            let is_first = statement.generation() == 1;
            news = match next.follow(statement)? {
                Followed::Known => news,
                Followed::Own if is_first => Some(KeyEvent::Founded),
                Followed::Own => Some(KeyEvent::Renewed),
                Followed::Others => Some(KeyEvent::Newer),
            };
        }
        let wrapped = view.device.as_ref().and_then(|device| device.wrapped.as_ref());
        if let Some(wrapped) = wrapped.filter(|_| next.newest().is_none())
            && self.open(&mut next, &wrapped.0)
        {
            news = Some(KeyEvent::Held);
        }
        Ok((next, news))
    }

    /// What cannot be opened brings nothing: it may be for the key of an earlier pairing.
    fn open(&self, next: &mut KeyState, bytes: &[u8]) -> bool {
        let Ok(wrapped) = Wrapped::decode(bytes) else { return false };
        let number = wrapped.generation();
        let is_more = (next.newest_held().saturating_add(1)..=next.lineage.generation()).contains(&number);
        let opened = is_more.then(|| wrapped.open(&self.settings.org, &self.settings.target, &self.wrapping)).flatten();
        opened.is_some_and(|generation| next.take(number, generation))
    }

    fn keep(&mut self, next: KeyState, news: Option<KeyEvent>, steps: u32) {
        let file = next.to_file(&self.settings.org);
        self.state = State::Keeping { next: Box::new(next), news, steps };
        self.port.push(Output::Keep(Box::new(file)));
    }

    pub(super) fn durable(&mut self) {
        match mem::replace(&mut self.state, State::Away) {
            State::Keeping { next, news, steps } => {
                self.kept = *next;
                self.port.extend(news.map(Output::KeyEvent));
                if self.kept.made().is_some() { self.publish(steps) } else { self.look(steps) }
            }
            other => {
                self.state = other;
                self.port.ignore();
            }
        }
    }

    pub(super) fn not_durable(&mut self) {
        if matches!(self.state, State::Keeping { .. }) {
            self.failed(Reason::StateNotWritten, Duration::ZERO);
        } else {
            self.port.ignore();
        }
    }

    /// Nothing is news: does what a viewing device has to do.
    fn proceed(&mut self, view: KeyView, steps: u32) {
        let known = self.kept.lineage.generation();
        let holds_all = self.kept.newest_held() == known;
        let Some(device) = view.device.filter(|_| self.settings.role == DeviceKind::Viewer) else {
            self.trouble = None;
            return self.rest();
        };
        // It goes on by itself: the user is told once what it waits for.
        self.report_trouble((!holds_all).then_some(Reason::OrganizationKeyMissing));
        if !device.registered || (!holds_all && self.is_useless(device.wrapped.as_ref())) {
            self.register(steps);
        } else if holds_all && self.kept.made().is_some() {
            self.publish(steps);
        } else if holds_all && (known == 0 || view.renew) && known < MAX_GENERATIONS {
            self.make(steps);
        } else if let Some((call, news)) = self.handover(&view.waiting) {
            self.call(call, Asked::HandOver(news), steps);
        } else {
            self.rest();
        }
    }

    /// Whether that was wrapped for this device, is of the newest generation, and does not open: registering again says so.
    fn is_useless(&self, wrapped: Option<&Base64url>) -> bool {
        let known = self.kept.lineage.generation();
        wrapped.is_some_and(|bytes| Wrapped::decode(&bytes.0).map_or(true, |wrapped| wrapped.generation() >= known))
    }

    fn register(&mut self, steps: u32) {
        let public = self.wrapping.public();
        let (identity, org) = (&self.settings.identity, &self.settings.org);
        let signature = WrappingKeys::registration(&public, identity, org, &self.settings.target);
        let registration = Registration { wrapping_key: Base64url(public.bytes().to_vec()), signature };
        self.call(Call::Register(Box::new(registration)), Asked::Register, steps);
    }

    fn make(&mut self, steps: u32) {
        let Some(entropy) = self.entropy.as_mut().map(EntropyChain::draw) else { return self.rest() };
        let mut next = self.kept.clone();
        next.make(Generation::generate(&entropy));
        self.keep(next, None, steps);
    }

    fn publish(&mut self, steps: u32) {
        match self.statement() {
            Some(statement) => {
                let publication = Publication { statement: Base64url(statement.encode()) };
                self.call(Call::Publish(Box::new(publication)), Asked::Publish, steps);
            }
            None => self.rest(),
        }
    }

    /// The statement of what this device made.
    fn statement(&self) -> Option<Statement> {
        let made = self.kept.made()?;
        let Settings { org, target, identity, .. } = &self.settings;
        if self.kept.lineage.newest().is_none() {
            return Some(Statement::found(org, made, target, identity));
        }
        let (newest, held) = self.kept.newest()?;
        newest.succeed(held, made, target, identity).ok()
    }

    /// To the first device that waits and signed its wrapping key.
    fn handover(&mut self, waiting: &[WaitingDevice]) -> Option<(Call, Option<KeyEvent>)> {
        let org = self.settings.org.clone();
        let (device, key) = waiting.iter().find_map(|device| {
            let key = SealingKey::new(&device.wrapping_key.0).ok()?;
            let target = &device.runtime_target_id;
            verify_wrapping_key(device.identity_key, &key, &org, target, &device.signature).then_some((device, key))
        })?;
        let entropy = self.kept.newest().and(self.entropy.as_mut()).map(EntropyChain::draw)?;
        let (statement, generation) = self.kept.newest()?;
        let (identity, target) = (&self.settings.identity, device.runtime_target_id.clone());
        let wrapped = Wrapped::wrap(&org, &target, &key, statement.generation(), generation, identity, &entropy).ok()?;
        let handover = Handover { runtime_target_id: target, wrapped: Base64url(wrapped.encode()) };
        let is_other = device.runtime_target_id != self.settings.target;
        let news = KeyEvent::HandedOver { name: device.name.clone(), owner: device.owner.clone() };
        Some((Call::HandOver(Box::new(handover)), is_other.then_some(news)))
    }
}
