mod bench;
mod frames;
mod limits;

use alloc::{vec, vec::Vec};
use core::time::Duration;

use super::*;
use crate::{
    jose::Claims,
    noise::{Snow, Symbolic},
    relay::{admission::KeyAnswer, hub::weight},
    secret::{Secret, SecretText},
    wire::{Frame, Head, Outcome, Role, Suite},
};
use bench::{Bench, NOW, Platform, S, claims, token};

const SECOND: Duration = Duration::from_secs(1);
/// The longest wait before the platform is asked again about a link in doubt.
const RECHECK_WITHIN: Duration = Duration::from_secs(3);

fn frame(head: Head, body: &'static [u8]) -> Frame {
    Frame { head, body: Bytes::from_static(body) }
}

fn data(sequence: u64) -> Frame {
    frame(Head::Data { session: S, epoch: 0, sequence }, b"sealed")
}

/// From the first byte to frames both ways, with real and symbolic Noise.
#[test]
fn a_device_comes_in_and_frames_flow() {
    fn flow<N: Noise>() {
        let mut daemon = Bench::<N>::admitted(Role::Daemon);
        daemon.say(data(0));
        assert_eq!(daemon.take(), [Output::Frame(data(0))]);
        daemon.input(Input::Send(Head::Resume { session: S, next: 0 }.into()));
        assert_eq!(daemon.hear(), [Head::Resume { session: S, next: 0 }.into()]);
        let mut viewer = Bench::<N>::admitted(Role::Viewer);
        viewer.input(Input::SendTail(data(7)));
        let message = &viewer.to_device[0];
        assert!(message.ends_with(b"\0\0sealed"), "the body goes as it came");
        assert_eq!(viewer.hear(), [data(7)]);
    }
    flow::<Snow>();
    flow::<Symbolic>();
}

#[test]
fn the_hub_learns_who_it_is_and_only_then() {
    let mut bench = Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, token(&claims(Role::Daemon, 1)));
    bench.knock();
    assert_eq!(bench.connection.stage(), Some(Stage::Unconfirmed));
    bench.shake_hands();
    assert_eq!(bench.take(), []);
    bench.say(data(0));
    let device = Device {
        org: "org_1".parse().unwrap(),
        target: "rt_1".parse().unwrap(),
        role: Role::Daemon,
        token: token(&claims(Role::Daemon, 1)),
        software: "vpd".into(),
    };
    assert_eq!(bench.take(), [Output::Confirmed(Box::new(device)), Output::Frame(data(0))]);
}

/// NOI-4: message 1 of another day, and everything that followed it then, leads nowhere.
#[test]
fn a_replay_has_no_effect() {
    let knock = || Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, token(&claims(Role::Daemon, 1)));
    let mut genuine = knock();
    let message_1 = genuine.message_1();
    genuine.receive(message_1.clone());
    genuine.shake_hands();
    let message_3 = genuine.sealed(data(0));
    let clock = WallClock::new(bench::START, NOW);
    let mut replayed = knock();
    let settings = Arc::clone(&replayed.connection.settings);
    replayed.connection = Connection::new(bench::START, settings, clock, &Entropy::new([77; 32]));
    replayed.receive(message_1);
    replayed.receive(message_3);
    assert_eq!(replayed.take(), [Output::Ended(Ended { reason: Some(Reason::NoiseHandshakeFailed), stage: Stage::Unconfirmed })]);
}

/// ADM-2: whatever the platform or the token says, the same reason goes to the device, the close frame and the log.
#[test]
fn refusals_carry_their_reason_everywhere() {
    let content = Platform::content;
    let cases = [
        (Platform { key: KeyAnswer::Unreachable, ..content() }, Reason::JwksUnreachable),
        (Platform { key: KeyAnswer::Unknown, ..content() }, Reason::SignatureMismatch),
        (Platform { status: 401, ..content() }, Reason::InternalKeyMismatch),
        (Platform { status: 500, ..content() }, Reason::ValidateUnreachable),
        (Platform::refusing("machine_revoked"), Reason::MachineRevoked),
        (Platform::refusing("workspace_not_found"), Reason::WorkspaceNotFound),
        (
            Platform { body: serde_json::json!({"active": true, "policy_mode": "crypto_pairing"}), ..content() },
            Reason::NoisePskInvalid,
        ),
    ];
    for (platform, reason) in cases {
        let mut bench = Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, token(&claims(Role::Daemon, 1)));
        bench.platform = platform;
        bench.knock();
        assert_eq!(bench.ended(), (Some(reason), Stage::Deciding));
        assert_eq!(bench.closed, Some(Close::Because(reason)));
        assert_eq!(bench.shake_hands(), Some(reason));
    }
}

/// NOI-3: under IKpsk2 another PSK shows when nothing opens.
#[test]
fn a_wrong_psk_ends_in_its_own_reason() {
    let psk = Secret::new([1; 32]);
    let mut bench = Bench::<Symbolic>::new(Suite::IkPsk2AesGcm, Role::Daemon, Some(&psk), token(&claims(Role::Daemon, 1)));
    bench.platform.body = serde_json::json!({"active": true, "policy_mode": "crypto_pairing", "psk": Secret::new([2; 32])});
    bench.knock();
    bench.input(Input::Io(IoEvent::Closed(EffectId::Socket, Closed::ByPeer(Some(Reason::NoisePskInvalid)))));
    assert_eq!(bench.ended(), (Some(Reason::NoisePskInvalid), Stage::Unconfirmed));
}

#[test]
fn garbage_and_silence_end_an_unknown_connection() {
    let stranger = || Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, SecretText::new("x"));
    for (message, reason) in [
        (&b""[..], Reason::FrameMalformed),
        (b"GET / HTTP/1.1", Reason::NoiseVersionUnsupported),
        (b"\x01\x01\x01nonsense", Reason::NoiseHandshakeFailed),
    ] {
        let mut bench = stranger();
        bench.receive(Bytes::from_static(message));
        assert_eq!(bench.ended(), (Some(reason), Stage::Unauthenticated));
    }
    let mut silent = stranger();
    silent.wait(9 * SECOND);
    assert_eq!(silent.take(), []);
    silent.wait(2 * SECOND);
    assert_eq!(silent.ended(), (Some(Reason::HandshakeTimedOut), Stage::Unauthenticated));
    let mut large = stranger();
    large.input(Input::Io(IoEvent::Closed(EffectId::Socket, Closed::Fault(NetFault::TooLarge))));
    assert_eq!(large.ended(), (Some(Reason::FrameTooLarge), Stage::Unauthenticated));
}

/// WIRE section 4: no unconfirmed device stays longer than 10 s.
#[test]
fn an_unconfirmed_device_is_let_go() {
    let mut bench = Bench::<Symbolic>::new(Suite::IkAesGcm, Role::Daemon, None, token(&claims(Role::Daemon, 1)));
    bench.knock();
    bench.wait(11 * SECOND);
    assert_eq!(bench.ended(), (Some(Reason::HandshakeTimedOut), Stage::Unconfirmed));
}

/// WIRE section 6, the table of directions: everything else is malformed, and the device is told so.
#[test]
fn frames_in_the_wrong_direction_end_the_link() {
    let peer = |viewer| frame(Head::Peer { session: S, viewer }, b"noise");
    let both: Vec<Frame> = vec![
        Head::Acknowledge { session: S, next: 0 }.into(),
        Head::Rotated { generation: 1 }.into(),
        Head::Revoke { reason: Reason::MachineRevoked }.into(),
    ];
    let open = |body| frame(Head::Open { session: S, cipher: 1 }, body);
    let end: Frame = Head::End { session: S, next: 0, outcome: Outcome::Cut }.into();
    let resume: Frame = Head::Resume { session: S, next: 0 }.into();
    let from_daemon = [resume.clone(), open(b"body")];
    let from_viewer = [open(b""), data(0), end.clone(), peer(5)];
    for (role, wrong) in [(Role::Daemon, &from_daemon[..]), (Role::Viewer, &from_viewer[..])] {
        for frame in both.iter().chain(wrong) {
            let mut bench = Bench::<Symbolic>::admitted(role);
            bench.say(frame.clone());
            assert_eq!(bench.ended(), (Some(Reason::FrameMalformed), Stage::Admitted), "{role:?} {frame:?}");
            let heard = bench.hear();
            assert!(matches!(heard[..], [Frame { head: Head::Error { reason: Reason::FrameMalformed, .. }, .. }]), "{heard:?}");
        }
    }
    for (role, right) in [(Role::Daemon, vec![open(b""), data(0), end, peer(5)]), (Role::Viewer, vec![resume, peer(0)])] {
        for frame in right {
            let mut bench = Bench::<Symbolic>::admitted(role);
            bench.say(frame.clone());
            assert_eq!(bench.take(), [Output::Frame(frame)]);
        }
    }
}

#[test]
fn bytes_that_do_not_open_end_the_link() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.receive(vec![0; 40]);
    assert_eq!(bench.ended(), (Some(Reason::FrameMalformed), Stage::Admitted));
}

/// LINK-5, from the relay's side.
#[test]
fn a_silent_device_is_pinged_and_then_let_go() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.wait(20 * SECOND);
    assert_eq!(bench.hear(), [Head::Ping { nonce: 1 }.into()]);
    bench.say(Head::Pong { nonce: 1 });
    bench.wait(44 * SECOND);
    assert_eq!(bench.take(), []);
    bench.wait(SECOND);
    assert_eq!(bench.ended(), (Some(Reason::PingTimeout), Stage::Admitted));
}

/// A device that the relay does not read from is not taken for dead.
#[test]
fn a_device_that_is_held_back_is_not_taken_for_silent() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.input(Input::PauseReading);
    assert!(!bench.connection.is_reading());
    bench.wait(300 * SECOND);
    bench.input(Input::ResumeReading);
    assert!(bench.connection.is_reading());
    bench.wait(44 * SECOND);
    assert_eq!(bench.take(), []);
    bench.wait(SECOND);
    assert_eq!(bench.ended(), (Some(Reason::PingTimeout), Stage::Admitted));
}

/// D12: what makes a device delete its binding comes as a frame under the key it pinned.
#[test]
fn the_hub_closes_it_with_a_reason_inside_noise() {
    for (reason, farewell) in [
        (Reason::MachineRevoked, Head::Revoke { reason: Reason::MachineRevoked }),
        (Reason::Superseded, Head::Error { reason: Reason::Superseded, retry_after: 0, detail: String::new() }),
    ] {
        let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
        bench.input(Input::Close(reason));
        assert_eq!(bench.hear(), [farewell.into()]);
        assert_eq!(bench.closed, Some(Close::Because(reason)));
        assert_eq!(bench.ended(), (Some(reason), Stage::Admitted));
    }
}

/// D8, ROT-5: a renewed credential is decided about like the first one, over the live link.
#[test]
fn a_renewed_credential_is_accepted_in_band() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    let renewed = token(&claims(Role::Daemon, 2));
    bench.say(Head::Rotate { token: renewed.clone() });
    assert_eq!(bench.hear(), [Head::Rotated { generation: 2 }.into()]);
    assert_eq!(bench.take(), [Output::Renewed(renewed)]);
}

#[test]
fn a_platform_that_cannot_be_asked_does_not_end_a_live_link() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.platform.status = 503;
    bench.say(Head::Rotate { token: token(&claims(Role::Daemon, 2)) });
    assert_eq!((bench.hear(), bench.take()), (vec![], vec![]));
    bench.platform = Platform::content();
    bench.wait(30 * SECOND);
    assert!(bench.hear().contains(&Head::Rotated { generation: 2 }.into()));
}

#[test]
fn a_renewal_that_is_refused_ends_the_link() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.platform = Platform::refusing("machine_revoked");
    bench.say(Head::Rotate { token: token(&claims(Role::Daemon, 2)) });
    assert_eq!(bench.hear(), [Head::Revoke { reason: Reason::MachineRevoked }.into()]);
    assert_eq!(bench.ended(), (Some(Reason::MachineRevoked), Stage::Admitted));
}

/// ADM-4: a link stays with its org, whatever valid credential it shows later.
#[test]
fn a_renewal_for_another_org_or_machine_ends_the_link() {
    let mut other_org = claims(Role::Daemon, 2);
    other_org.org = "org_2".parse().unwrap();
    let mut other_target = claims(Role::Daemon, 2);
    other_target.runtime_target = "rt_2".parse().unwrap();
    for other in [other_org, other_target] {
        let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
        bench.say(Head::Rotate { token: token(&other) });
        assert_eq!(bench.ended(), (Some(Reason::TokenKeyMismatch), Stage::Admitted));
    }
}

/// D3, F20: what the hub has validated again is asked about at once, quietly; a refusal ends the link with its reason.
#[test]
fn a_link_is_validated_again_when_the_hub_asks() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.input(Input::Revalidate);
    assert_eq!((bench.take(), bench.hear()), (vec![], vec![]), "nothing is said of it");
    bench.platform = Platform::refusing("machine_revoked");
    bench.input(Input::Revalidate);
    assert_eq!(bench.hear(), [Head::Revoke { reason: Reason::MachineRevoked }.into()]);
    assert_eq!(bench.ended(), (Some(Reason::MachineRevoked), Stage::Admitted));
}

/// D3: a platform that cannot be asked does not end the link, and is asked again within the bound of a revocation.
#[test]
fn a_link_in_doubt_is_asked_about_until_the_platform_answers() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Viewer);
    bench.platform.status = 503;
    bench.input(Input::Revalidate);
    for _ in 0..5 {
        bench.wait(RECHECK_WITHIN);
        assert_eq!(bench.connection.stage(), Some(Stage::Admitted));
    }
    bench.platform = Platform::refusing("machine_revoked");
    bench.wait(RECHECK_WITHIN);
    assert_eq!(bench.ended(), (Some(Reason::MachineRevoked), Stage::Admitted));
}

/// A renewal that is being decided about is not forgotten over a second look: the device is told when it takes effect.
#[test]
fn a_recheck_during_a_renewal_asks_about_the_renewed_credential() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.platform.status = 503;
    let renewed = token(&claims(Role::Daemon, 2));
    bench.say(Head::Rotate { token: renewed.clone() });
    bench.platform = Platform::content();
    bench.input(Input::Revalidate);
    assert_eq!(bench.take(), [Output::Renewed(renewed)]);
    assert_eq!(bench.hear(), [Head::Rotated { generation: 2 }.into()]);
}

/// F20: a link is validated again when its credential expires, and lives on only if the platform says so (D3), or cannot be
/// asked (ROT-5).
#[test]
fn a_link_is_validated_again_when_its_credential_expires() {
    let hour = Duration::from_mins(61);
    let mut renewed = Bench::<Symbolic>::admitted(Role::Daemon);
    stay(&mut renewed, hour);
    let later = Claims { expires_at: NOW.plus(7200), ..claims(Role::Daemon, 2) };
    renewed.say(Head::Rotate { token: token(&later) });
    renewed.take();
    renewed.platform = Platform::refusing("token_expired");
    stay(&mut renewed, Duration::from_hours(1));
    assert_eq!(renewed.connection.stage(), Some(Stage::Admitted), "the renewed one counts");
    stay(&mut renewed, Duration::from_secs(2));
    assert_eq!(renewed.ended(), (Some(Reason::TokenExpired), Stage::Admitted));

    let mut cut_off = Bench::<Symbolic>::admitted(Role::Daemon);
    cut_off.platform.status = 503;
    stay(&mut cut_off, hour * 3);
    assert_eq!(cut_off.connection.stage(), Some(Stage::Admitted));
    cut_off.platform = Platform::refusing("token_expired");
    stay(&mut cut_off, Duration::from_secs(31));
    assert_eq!(cut_off.ended(), (Some(Reason::TokenExpired), Stage::Admitted));
}

/// Time passes for a device that answers every ping.
fn stay(bench: &mut Bench<Symbolic>, time: Duration) {
    let until = bench.now.after(time);
    while bench.now < until && bench.connection.stage().is_some() {
        bench.wait(until.since(bench.now).min(Duration::from_secs(1)));
        for frame in bench.hear() {
            if let Head::Ping { nonce } = frame.head {
                bench.say(Head::Pong { nonce });
            }
        }
    }
}

/// NOI-6: within the hour there is a new key, and both sides go on with it.
#[test]
fn the_relay_rekeys_within_the_hour() {
    fn rekeys_once<N: Noise>() {
        let mut bench = Bench::<N>::admitted(Role::Daemon);
        let mut rekeys = 0;
        for _ in 0..200 {
            bench.wait(20 * SECOND);
            let heard = bench.hear();
            rekeys += heard.iter().filter(|frame| frame.head == Head::Rekey).count();
            let Some(&Frame { head: Head::Ping { nonce }, .. }) = heard.last() else { panic!("{heard:?}") };
            bench.say(Head::Pong { nonce });
        }
        assert_eq!(rekeys, 1);
        bench.say(Head::Rekey);
        bench.say(data(0));
        assert_eq!(bench.take(), [Output::Frame(data(0))]);
    }
    rekeys_once::<Snow>();
    rekeys_once::<Symbolic>();
}

/// The hub learns what the socket took of what it sent, and nothing else.
#[test]
fn what_the_socket_took_is_told_by_weight() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Viewer);
    bench.input(Input::SendTail(data(0)));
    bench.say(Head::Ping { nonce: 2 });
    bench.input(Input::SendTail(data(1)));
    let sent = |messages| Input::Io(IoEvent::Sent(EffectId::Socket, messages));
    bench.input(sent(3));
    assert_eq!(bench.take(), [Output::Taken(weight(&data(0)))], "message 2, the first pong, and the first record");
    bench.input(sent(1));
    assert_eq!(bench.take(), []);
    bench.input(sent(1));
    assert_eq!(bench.take(), [Output::Taken(weight(&data(1)))]);
}

/// A viewer cannot end a daemon's link by sending it something that only just fits.
#[test]
fn a_peer_frame_that_grew_too_long_is_dropped() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    let frame = Frame { head: Head::Peer { session: S, viewer: u64::MAX }, body: vec![0; 65_500].into() };
    bench.input(Input::Send(frame.clone()));
    assert_eq!(bench.take(), [Output::Taken(weight(&frame))]);
    assert_eq!((bench.hear(), bench.connection.ignored()), (vec![], 1));
}

#[test]
fn a_device_that_does_not_read_is_not_read_from() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Viewer);
    // Message 2 and the first pong are waiting already.
    for nonce in 2..MAX_UNSENT as u64 {
        assert!(bench.connection.is_reading());
        bench.say(Head::Ping { nonce });
    }
    assert!(!bench.connection.is_reading());
    bench.input(Input::Io(IoEvent::Sent(EffectId::Socket, 10)));
    assert!(bench.connection.is_reading());
}

/// L4, L6: an ended connection absorbs everything, and counts it.
#[test]
fn what_ended_stays_ended() {
    let mut bench = Bench::<Symbolic>::admitted(Role::Daemon);
    bench.input(Input::Io(IoEvent::Closed(EffectId::Socket, Closed::ByPeer(None))));
    assert_eq!(bench.ended(), (None, Stage::Admitted));
    assert_eq!(bench.connection.status(), Status::Finished);
    let message = bench.sealed(data(0));
    bench.receive(message);
    bench.input(Input::Send(data(0)));
    bench.input(Input::Close(Reason::Superseded));
    bench.input(Input::PauseReading);
    assert_eq!((bench.take(), bench.to_device.len(), bench.connection.ignored()), (vec![], 0, 4));
}
