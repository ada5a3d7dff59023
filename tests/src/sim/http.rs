//! Requests to the platform and their answers: lost, late, asked twice, overtaken, refused by what stands in between.

use std::time::Duration;

use proto_core::{
    PlatformId, Reason,
    api::{JWKS_PATH, PAIRING_CODES_PATH, Problem, VALIDATE_PATH, ValidateAnswer, ValidateRequest},
    effect::{HttpAnswer, HttpRequest, IoEvent, NetFault},
    jose::Unverified,
    noise::Noise,
    secret::SecretBytes,
};

use super::{
    Party, Sim,
    dice::Dice,
    fault::Fault,
    host::unix,
    net::{End, Way},
    oracle::Seen,
    plan::Place,
    step::Event,
};
use crate::world::API;

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) end: End,
    request: HttpRequest,
    dice: Dice,
}

impl<N: Noise + 'static> Sim<N> {
    /// A party sends the platform a request.
    pub(super) fn asks(&mut self, end: End, request: HttpRequest) {
        let clock = self.clock_of(end.party());
        self.oracles.see(self.now, &Seen::Asked { end: &end, request: &request, clock });
        let number = self.number();
        let mut dice = Dice::of(self.options.seed, "request", number);
        let (party, place) = (end.party(), Place::Platform);
        let timeout = request.timeout;
        let is_lost = self.struck_by_chance(party, place, Fault::Drop);
        let twice = self.struck_by_chance(party, place, Fault::Duplicate);
        let mut may_be_held_back = matches!(end, End::RevocationFeed(..));
        if is_lost {
            may_be_held_back = false;
        } else {
            let time = self.travel(party, place, Way::Up, 1_000, &mut dice);
            may_be_held_back &= time < timeout;
            self.queue.put(self.now.after(time), Event::Request(number, twice));
        }
        if !may_be_held_back {
            self.queue.put(self.now.after(timeout), Event::TimeOut(number));
        }
        self.exchanges.insert(number, Exchange { end, request, dice });
    }

    /// The request arrives at the platform.
    pub(super) fn request(&mut self, number: u64, twice: bool) {
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let (end, request, mut dice) = (exchange.end.clone(), exchange.request.clone(), exchange.dice.clone());
        let (party, place) = (end.party(), Place::Platform);
        if matches!(end, End::RevocationFeed(..)) {
            if !self.platform.has_news(&request) {
                // Such a platform holds its answer back for as long as there is none: a year has too many seconds to ask in.
                return self.held_back.push(number);
            }
            self.queue.put(self.now.after(request.timeout), Event::TimeOut(number));
        }
        let outcome = self.outcome(&end, &request, false);
        if twice && outcome.is_ok() {
            // What comes of the second one is what arrives.
            let again = self.outcome(&end, &request, true);
            return self.answers(number, again, &mut dice);
        }
        if self.struck_by_chance(party, place, Fault::BitFlip) || self.struck_by_chance(party, place, Fault::Truncate) {
            return self.answers(number, Err(NetFault::Broken), &mut dice);
        }
        self.answers(number, outcome, &mut dice);
    }

    fn outcome(&mut self, end: &End, request: &HttpRequest, again: bool) -> Result<HttpAnswer, NetFault> {
        let (party, place) = (end.party(), Place::Platform);
        // A bit of a file has changed, and now the platform is said to be elsewhere.
        if !request.url.starts_with(&format!("{API}/")) {
            return Err(NetFault::Dns);
        }
        if let Some(answer) = self.interference(party, place, request) {
            return Ok(answer);
        }
        if !self.platform.is_up {
            return Err(NetFault::Refused);
        }
        if matches!(end, End::Peer(station, ..) if self.stations[*station].is_false) {
            return Ok(believes_everything());
        }
        let now = unix(self.now);
        let answer = self.platform.answer(request, now);
        self.oracles.see(self.now, &Seen::Platform { request, answer: &answer, again });
        if self.races && request.url.ends_with(VALIDATE_PATH) {
            self.revoke_validated(request, &answer);
        }
        Ok(answer)
    }

    /// What stands in front of the platform and answers in its place.
    fn interference(&mut self, party: Party, place: Place, request: &HttpRequest) -> Option<HttpAnswer> {
        let is_host = matches!(party, Party::Host(_));
        if is_host && self.struck(party, place, &[Fault::CaptiveHtml]).is_some() {
            return Some(answer(200, None, b"<html><body>Please sign in to Wi-Fi</body></html>"));
        }
        if self.struck(party, place, &[Fault::ServerError]).is_some() {
            return Some(answer(503, None, b"<html>503</html>"));
        }
        if request.url.ends_with(JWKS_PATH) && self.struck(party, place, &[Fault::JwksOutage]).is_some() {
            return Some(answer(502, None, b""));
        }
        if is_host && self.struck(party, place, &[Fault::TooMany]).is_some() {
            let problem = serde_json::to_vec(&Problem::because(429, Reason::RateLimited)).unwrap_or_default();
            return Some(answer(429, Some(7), &problem));
        }
        let is_poll = request.url.contains(&format!("{PAIRING_CODES_PATH}/"));
        if is_poll && self.struck(party, place, &[Fault::SlowDown]).is_some() {
            return Some(answer(400, None, br#"{"error":"slow_down"}"#));
        }
        None
    }

    /// An answer sets out.
    fn answers(&mut self, number: u64, outcome: Result<HttpAnswer, NetFault>, dice: &mut Dice) {
        let Some(party) = self.exchanges.get(&number).map(|exchange| exchange.end.party()) else { return };
        let place = Place::Platform;
        if self.struck_by_chance(party, place, Fault::Drop) {
            return;
        }
        let mut time =
            self.travel(party, place, Way::Down, outcome.as_ref().map_or(1, |answer| answer.body.expose().len()), dice);
        if self.struck_by_chance(party, place, Fault::Reorder) {
            time += dice.time(Duration::from_secs(1), Duration::from_secs(20));
        }
        self.queue.put(self.now.after(time), Event::Answer(number, outcome));
    }

    /// An answer arrives, or the time for it is over: whichever is first.
    pub(super) fn answered(&mut self, number: u64, outcome: Result<HttpAnswer, NetFault>) {
        let Some(exchange) = self.exchanges.remove(&number) else { return };
        self.oracles.see(self.now, &Seen::Came { end: &exchange.end, outcome: &outcome });
        let event = match outcome {
            Ok(answer) => IoEvent::Answered((), answer),
            Err(fault) => IoEvent::Unanswered((), fault),
        };
        self.tell_end(exchange.end, event);
    }

    /// The target that was just found valid is revoked, before the relay is told that it is valid.
    fn revoke_validated(&mut self, request: &HttpRequest, answer: &HttpAnswer) {
        let said: Option<ValidateAnswer> = serde_json::from_slice(answer.body.expose()).ok();
        if !said.is_some_and(|said| said.active) {
            return;
        }
        let Some(target) = validated_target(request) else { return };
        self.races = false;
        self.tally.count(Fault::RevocationRace);
        self.revoke_targets(vec![target]);
    }
}

fn validated_target(request: &HttpRequest) -> Option<PlatformId> {
    let body: ValidateRequest = serde_json::from_slice(request.body.as_ref()?.expose()).ok()?;
    Some(Unverified::parse(&body.token).ok()?.into_unproven().runtime_target)
}

/// What the attacker's relay is told by its own platform.
fn believes_everything() -> HttpAnswer {
    let said = ValidateAnswer { active: true, reason: None, policy_mode: Some(proto_core::api::PolicyMode::Standard), psk: None };
    answer(200, None, &serde_json::to_vec(&said).unwrap_or_default())
}

fn answer(status: u16, retry_after: Option<u32>, body: &[u8]) -> HttpAnswer {
    HttpAnswer { status, retry_after, date: None, body: SecretBytes::new(body.to_vec()) }
}
