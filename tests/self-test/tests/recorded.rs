//! The recordings are what the machines do: each is made anew, with a platform and a relay of the same code on the other side,
//! and compared to the byte. `RECORD=1 cargo test -p self-test` writes them where a change was meant.

use std::{collections::VecDeque, env, fmt::Write as _, fs, path::Path};

use data_encoding::HEXLOWER;
use proto_core::{
    Instant, Machine, OrgId,
    api::{MintAnswer, MintRequest, PollAnswer},
    device::{link, pairing},
    effect::Effect,
    secret::SecretText,
};
use self_test::{
    CHECKS, exit_code,
    link::{ALL, Device, IK_AES, Recorded},
    pairing::Pairs,
    platform,
    relay::Relay,
    replay::{Play, replay},
};

/// Plays `play` against an other side, which tells the machine something for each of its outputs. Time passes when neither side has
/// anything to say, `passes` times.
fn record<P: Play>(
    play: &mut P,
    passes: usize,
    mut other: impl FnMut(&<P::Machine as Machine>::Output) -> Vec<String>,
) -> String {
    let mut machine = play.start();
    let (mut now, mut passes_left) = (Instant::ZERO, passes);
    let mut recording =
        String::from("# Made by `RECORD=1 cargo test -p self-test`; see src/replay.rs for what the signs mean.\n");
    let mut told = VecDeque::new();
    loop {
        while let Some(output) = machine.poll_output() {
            recording.push_str("> ");
            play.say(&output, &mut recording).expect("an output of this exchange");
            recording.push('\n');
            told.extend(other(&output));
        }
        if let Some(text) = told.pop_front() {
            writeln!(recording, "< {text}").unwrap();
            machine.handle_input(now, play.hear(&text).expect("an input")).expect("no misuse");
        } else if let Some(deadline) = machine.poll_timeout().filter(|_| passes_left > 0) {
            (now, passes_left) = (now.max(deadline.at), passes_left - 1);
            writeln!(recording, "@ {}", now.as_nanos()).unwrap();
            machine.handle_timeout(now);
        } else {
            return recording;
        }
    }
}

/// Mints, is undecided once, approves.
fn pairing() -> String {
    let mut request: Option<MintRequest> = None;
    let mut polls = 0;
    record(&mut Pairs::default(), 1, |output| match output {
        pairing::Output::Effect(Effect::Http(pairing::EffectId::Mint(_), asked)) => {
            request = serde_json::from_slice(asked.body.as_ref().expect("a body").expose()).ok();
            let minted = MintAnswer {
                code: "BCDF2345".into(),
                status_token: SecretText::new("a-status-token"),
                url: format!("{}/pair?code=BCDF2345", platform::API),
                expires_in: 900,
                interval: Some(2),
            };
            vec![format!("answer 201 {}", serde_json::to_string(&minted).unwrap())]
        }
        pairing::Output::Effect(Effect::Http(pairing::EffectId::Poll(_), _)) => {
            polls += 1;
            let minted = request.as_ref().expect("a code was asked for first");
            let org: OrgId = platform::id("org").unwrap();
            let approval = platform::approval(org, minted.static_key, minted.identity_key).unwrap();
            let answer = if polls == 1 { PollAnswer::Pending } else { PollAnswer::Approved(Box::new(approval)) };
            vec![format!("answer 200 {}", serde_json::to_string(&answer).unwrap())]
        }
        pairing::Output::Effect(Effect::Http(pairing::EffectId::KeySet(_), _)) => {
            vec![format!("answer 200 {}", platform::key_set())]
        }
        pairing::Output::Effect(_) => vec!["stored".into()],
        pairing::Output::Approved(_) => vec!["adopted".into()],
        pairing::Output::ShowCode(_) | pairing::Output::Trouble(_) => Vec::new(),
    })
}

/// Lets the device in; it announces a session, and after a silence it pings.
fn link(recorded: Recorded) -> String {
    let mut relay = Relay::new(recorded.psk());
    record(&mut Device::new(recorded), 2, |output| match output {
        link::Output::Effect(Effect::Connect(..)) => vec!["connected".into()],
        link::Output::Effect(Effect::Send((), message)) => {
            let answers = relay.hear(message).expect("a message of a device");
            answers.iter().map(|answer| format!("received {}", HEXLOWER.encode(answer))).collect()
        }
        link::Output::Up(_) => vec!["open".into()],
        _ => Vec::new(),
    })
}

fn recordings() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let links = ALL.into_iter().map(|recorded| (recorded.name, link(recorded), recorded.recording));
    links.chain([("pairing.txt", pairing(), self_test::pairing::RECORDING)])
}

#[test]
fn the_recordings_are_what_the_machines_do() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
    for (name, made, recorded) in recordings() {
        if env::var_os("RECORD").is_some() {
            fs::write(directory.join(name), &made).expect("a directory to write to");
        } else {
            assert_eq!(made, recorded, "{name}");
        }
    }
}

#[test]
fn every_check_holds() {
    for (name, check) in CHECKS {
        assert_eq!(check(), Ok(()), "{name}");
    }
    assert_eq!(exit_code(), 0);
}

/// META-1: a recording with one bit changed is refused, wherever that is.
#[test]
fn a_changed_recording_is_refused() {
    // Time may pass a little later than recorded; all else is exact.
    let exact = IK_AES.recording.lines().enumerate().filter(|(_, text)| text.starts_with(['>', '<']));
    for (line, text) in exact {
        let lines = IK_AES.recording.lines().enumerate();
        let changed = lines.map(|(n, text)| if n == line { change(text) } else { text.to_owned() });
        let changed = changed.collect::<Vec<_>>().join("\n");
        assert!(replay(&mut Device::new(IK_AES), &changed).is_err(), "line {}", line + 1);
        if text.starts_with("> send ") || text.starts_with("< received ") {
            let recorded = Recorded { recording: Box::leak(changed.into_boxed_str()), ..IK_AES };
            assert!(recorded.relay().is_err(), "line {}", line + 1);
        }
    }
}

/// The same line with its last character changed.
fn change(text: &str) -> String {
    let mut text = text.to_owned();
    let last = text.pop().expect("a line that says something");
    text.push(if last == '0' { '1' } else { '0' });
    text
}
