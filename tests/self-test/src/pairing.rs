//! A pairing: mint, save, show, poll twice, verify, adopt, forget.

use core::{fmt, str};

use proto_core::{
    Entropy, Instant, Machine, Status, WallClock,
    api::PairingMode,
    device::pairing::{EffectId, Input, Output, Paired, Pairing, Settings},
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method},
    id::DeviceKind,
    secret::SecretBytes,
};

use crate::{
    Wrong, platform,
    replay::{Play, replay},
};

/// What was recorded.
pub const RECORDING: &str = include_str!("../recorded/pairing.txt");

/// A pairing that answers what it was asked last: it asks for one thing at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs {
    asked: Option<EffectId>,
}

/// Pairs as recorded.
///
/// # Errors
/// Where it went otherwise.
pub fn check() -> Result<(), Wrong> {
    let machine = replay(&mut Pairs::default(), RECORDING)?;
    match machine.status() {
        Status::Finished => Ok(()),
        _ => Err(Wrong::new("a finished pairing")),
    }
}

impl Play for Pairs {
    type Machine = Pairing;

    fn start(&self) -> Pairing {
        let settings = Settings {
            api_endpoint: platform::API.into(),
            kind: DeviceKind::Daemon,
            mode: PairingMode::New,
            org: None,
            name: "sensor 7".into(),
            software: "self-test".into(),
        };
        let clock = WallClock::new(Instant::ZERO, platform::TODAY);
        Pairing::start(Instant::ZERO, clock, settings, &Entropy::new([7; 32]))
    }

    fn say(&mut self, output: &Output, line: &mut dyn fmt::Write) -> fmt::Result {
        match output {
            Output::Effect(effect) => {
                self.asked = asked(effect);
                say_effect(effect, line)
            }
            Output::ShowCode(shown) => write!(line, "show {} {} {}", shown.code, shown.url, shown.expires_at.as_nanos()),
            Output::Trouble(reason) => write!(line, "trouble {reason}"),
            Output::Approved(paired) => say_paired(paired, line),
        }
    }

    fn hear(&mut self, line: &str) -> Option<Input> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let event = match word {
            "answer" => {
                let (status, body) = rest.split_once(' ')?;
                let answer =
                    HttpAnswer { status: status.parse().ok()?, retry_after: None, date: None, body: SecretBytes::new(body) };
                IoEvent::Answered(self.asked?, answer)
            }
            "stored" => IoEvent::Stored(self.asked?),
            "adopted" => return Some(Input::Adopted),
            _ => return None,
        };
        Some(Input::Io(event))
    }
}

const fn asked(effect: &Effect<EffectId>) -> Option<EffectId> {
    match effect {
        Effect::Http(effect_id, _) | Effect::Store(effect_id, ..) | Effect::Remove(effect_id, _) => Some(*effect_id),
        _ => None,
    }
}

fn say_effect(effect: &Effect<EffectId>, line: &mut dyn fmt::Write) -> fmt::Result {
    match effect {
        Effect::Http(effect_id, request) => {
            write!(line, "{effect_id:?} ")?;
            say_request(request, line)
        }
        Effect::Store(effect_id, file, contents) => {
            write!(line, "{effect_id:?} {file:?} ")?;
            // Indented for people, and here in one line.
            text(contents)?.lines().try_for_each(|member| line.write_str(member.trim()))
        }
        Effect::Remove(effect_id, file) => write!(line, "{effect_id:?} {file:?}"),
        _ => Err(fmt::Error),
    }
}

fn say_request(request: &HttpRequest, line: &mut dyn fmt::Write) -> fmt::Result {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    write!(line, "{method} {} within {:?}, {} bytes", request.url, request.timeout, request.max_answer)?;
    for (name, value) in &request.headers {
        write!(line, " {name}: {}", value.expose())?;
    }
    match &request.body {
        Some(body) => write!(line, " {}", text(body)?),
        None => Ok(()),
    }
}

fn say_paired(paired: &Paired, line: &mut dyn fmt::Write) -> fmt::Result {
    let approval = &paired.approval;
    write!(line, "approved {} by {}", approval.workspace.id, paired.api_endpoint)?;
    write!(line, " for {}", data_encoding::HEXLOWER.encode_display(paired.seed.expose()))?;
    write!(line, " generation {} {}", paired.generation, approval.issue_token.expose())
}

fn text(bytes: &SecretBytes) -> Result<&str, fmt::Error> {
    str::from_utf8(bytes.expose()).map_err(|_| fmt::Error)
}
