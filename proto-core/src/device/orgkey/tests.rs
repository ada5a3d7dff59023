//! One device with a platform that does what a test says; then several with one that keeps what they publish.

mod desk;

use alloc::{vec, vec::Vec};

use desk::{Harness, Platform, identity, org};

use super::*;
use crate::{
    Entropy,
    api::{Base64url, KeyView, OwnDevice, Publication},
    effect::{HttpAnswer, IoEvent, NetFault},
    orgkey::{Envelope, Statement},
    secret::SecretBytes,
    testing::fingerprint,
};

const SESSION: crate::SessionId = crate::SessionId([7; 16]);

fn news(desk: &mut Harness) -> Vec<KeyEvent> {
    core::mem::take(&mut desk.news)
}

/// Nothing is asked before the link was up once; then at once, and again after a pause.
#[test]
fn a_device_looks_once_the_link_is_up() {
    let mut desk = Harness::new(1, DeviceKind::Daemon);
    assert_eq!((desk.machine.poll_timeout(), desk.calls.len()), (None, 0));
    desk.up();
    assert_eq!(desk.calls, [(EffectId(1), Call::View { after: 0, machines: false })]);
    let mut platform = Platform::default();
    desk.settle(&mut platform);
    assert_eq!(desk.machine.poll_timeout().map(|deadline| deadline.at), Some(desk.now.after(DAEMON_PAUSE)));
    desk.pass(DAEMON_PAUSE);
    assert_eq!(desk.calls, [(EffectId(2), Call::View { after: 0, machines: false })]);
}

/// A viewing device asks for the names of the machines each time the link comes up, and hands on what it is told; a daemon is told
/// none.
#[test]
fn a_viewing_device_learns_whose_machines_there_are() {
    let machine = crate::api::NamedMachine { runtime_target_id: "t9".parse().unwrap(), name: "mbp".into(), owner: "Ada".into() };
    let names = KeyView { machines: vec![machine.clone()], ..view(&[], Some(OwnDevice { registered: true, wrapped: None })) };
    for (role, told) in [(DeviceKind::Viewer, vec![vec![machine]]), (DeviceKind::Daemon, vec![])] {
        let mut desk = Harness::new(1, role);
        desk.up();
        assert_eq!(desk.calls[0].1, Call::View { after: 0, machines: role == DeviceKind::Viewer });
        answered(&mut desk, 200, &names);
        assert_eq!(desk.machines, told);
    }
}

/// D15: the first viewing device founds the key, durably before it is published, and keeps a copy of its own at the platform.
#[test]
fn the_first_viewing_device_founds_the_key() {
    let (mut desk, mut platform) = (Harness::new(1, DeviceKind::Viewer), Platform::default());
    desk.up();
    desk.settle(&mut platform);
    assert_eq!(news(&mut desk), [KeyEvent::Founded]);
    assert_eq!(platform.published(), 1);
    assert!(desk.machine.holds_newest());
    assert_eq!(platform.handed, [("t1".parse().unwrap(), 1)]);
    let files: Vec<_> =
        desk.kept.iter().map(|file| (file.statements.len(), file.generations.len(), file.made.is_some())).collect();
    assert_eq!(files, [(0, 0, true), (1, 1, false)], "made, then held");
}

/// What a daemon seals, a viewing device opens that was handed the key by another one; a daemon holds nothing.
#[test]
fn a_second_device_gets_the_key_from_the_first() {
    let mut platform = Platform::default();
    let mut daemon = Harness::new(9, DeviceKind::Daemon);
    let mut devices = [Harness::new(1, DeviceKind::Viewer), Harness::new(2, DeviceKind::Viewer)];
    devices[0].up();
    devices[0].settle(&mut platform);
    daemon.up();
    daemon.settle(&mut platform);
    assert_eq!((news(&mut daemon), daemon.machine.generation(1)), (vec![KeyEvent::Newer], None));
    let secret = crate::crypto::seal::EpochSecret::new(crate::secret::Secret::new([3; 32]));
    let newest = daemon.machine.lineage().newest().unwrap();
    let envelope = Envelope::seal(newest, SESSION, &secret, &identity(9), &Entropy::new([5; 32])).unwrap();

    devices[1].up();
    devices[1].settle(&mut platform);
    assert_eq!(news(&mut devices[1]), [KeyEvent::Newer, KeyEvent::Trouble(Reason::OrganizationKeyMissing)]);
    assert!(!devices[1].machine.holds_newest());
    devices[0].pass(VIEWER_PAUSE);
    devices[0].settle(&mut platform);
    assert_eq!(news(&mut devices[0])[1..], [KeyEvent::HandedOver { name: "device 2".into(), owner: "Ada".into() }]);
    devices[1].pass(VIEWER_PAUSE);
    devices[1].settle(&mut platform);
    assert_eq!((news(&mut devices[1]), devices[1].machine.trouble()), (vec![KeyEvent::Held], None));
    for device in &devices {
        let generation = device.machine.generation(envelope.generation()).unwrap();
        assert_eq!(envelope.open(&org(), SESSION, generation), Some(secret.clone()));
    }
}

/// Two devices found the key at the same moment: one of them counts, and the other gets that one.
#[test]
fn two_founders_end_with_one_key() {
    let mut platform = Platform::default();
    let mut devices = [Harness::new(1, DeviceKind::Viewer), Harness::new(2, DeviceKind::Viewer)];
    devices.iter_mut().for_each(Harness::up);
    // Both see that there is none before either of them publishes: each takes one step in turn.
    for _ in 0..40 {
        for device in &mut devices {
            device.step(&mut platform);
        }
    }
    for _ in 0..4 {
        for device in &mut devices {
            device.pass(VIEWER_PAUSE);
            device.settle(&mut platform);
        }
    }
    assert_eq!(platform.published(), 1);
    assert!(devices.iter().all(|device| device.machine.holds_newest()));
    let fingerprints = devices.each_ref().map(|device| device.machine.lineage().fingerprint());
    assert_eq!(fingerprints[0], fingerprints[1]);
    let all: Vec<_> = devices.iter_mut().map(news).collect();
    assert!(all.iter().filter(|news| news.contains(&KeyEvent::Founded)).count() == 1, "{all:?}");
}

/// A kill between any two steps: a device that restarts goes on, and there is one key in the end.
#[test]
fn a_founder_that_is_killed_goes_on() {
    for steps in 0..14 {
        let (mut desk, mut platform) = (Harness::new(1, DeviceKind::Viewer), Platform::default());
        desk.up();
        for _ in 0..steps {
            desk.step(&mut platform);
        }
        desk.restart();
        desk.up();
        desk.settle(&mut platform);
        assert_eq!(platform.published(), 1, "after {steps} steps");
        assert!(desk.machine.holds_newest(), "after {steps} steps");
    }
}

/// After a revocation the next holder makes the next generation; what was revoked does not get it, and all before it stay open.
#[test]
fn the_next_generation_is_made_after_a_revocation() {
    let mut platform = Platform::default();
    let mut devices = [1, 2, 3].map(|seed| Harness::new(seed, DeviceKind::Viewer));
    devices[0].up();
    devices[0].settle(&mut platform);
    for device in &mut devices[1..] {
        device.up();
        device.settle(&mut platform);
    }
    for _ in 0..2 {
        for device in &mut devices {
            device.pass(VIEWER_PAUSE);
            device.settle(&mut platform);
        }
    }
    assert!(devices.iter().all(|device| device.machine.holds_newest()));
    platform.revoke("t3");
    for _ in 0..3 {
        for device in &mut devices[..2] {
            device.pass(VIEWER_PAUSE);
            device.settle(&mut platform);
        }
    }
    assert_eq!(platform.published(), 2, "one revocation, one generation");
    for device in &devices[..2] {
        assert!(device.machine.holds_newest() && device.machine.generation(1).is_some());
    }
    // With all that the platform keeps in hand, the one that was revoked opens nothing of the second generation.
    let kept = platform.wrapped();
    let keys = crate::orgkey::WrappingKeys::of(&identity(3));
    let second = kept.iter().filter(|wrapped| wrapped.generation() == 2);
    assert!(second.clone().count() >= 2);
    assert!(
        second
            .flat_map(|wrapped| ["t1", "t2", "t3"].map(|target| wrapped.open(&org(), &target.parse().unwrap(), &keys)))
            .all(|opened| opened.is_none())
    );
}

fn answered(desk: &mut Harness, status: u16, body: &impl serde::Serialize) {
    let (effect_id, _) = desk.calls.remove(0);
    let body = SecretBytes::new(serde_json::to_vec(body).unwrap());
    desk.input(Input::Io(IoEvent::Answered(effect_id, HttpAnswer { status, retry_after: None, date: None, body })));
}

fn view(statements: &[&Statement], device: Option<OwnDevice>) -> KeyView {
    let statements = statements.iter().map(|statement| Base64url(statement.encode())).collect();
    KeyView { statements, device, waiting: vec![], renew: false, machines: vec![] }
}

fn foreign() -> Statement {
    let secret = Generation::generate(&Entropy::new([0x66; 32]));
    Statement::found(&org(), &secret, &"t6".parse().unwrap(), &identity(0x66))
}

/// After first use a platform that lies is refused, and nothing of what it says is done; it goes on once the platform does.
#[test]
fn a_foreign_lineage_is_refused() {
    for role in [DeviceKind::Daemon, DeviceKind::Viewer] {
        let (mut founder, mut platform) = (Harness::new(1, DeviceKind::Viewer), Platform::default());
        founder.up();
        founder.settle(&mut platform);
        let mut desk = Harness::new(2, role);
        desk.up();
        desk.settle(&mut platform);
        let before = desk.machine.lineage().clone();
        desk.news.clear();
        desk.pass(DAEMON_PAUSE);
        let secret = Generation::generate(&Entropy::new([0x66; 32]));
        let next = Generation::generate(&Entropy::new([0x67; 32]));
        let foreign = foreign().succeed(&secret, &next, &"t6".parse().unwrap(), &identity(0x66)).unwrap();
        answered(&mut desk, 200, &view(&[&foreign], None));
        assert_eq!(news(&mut desk), [KeyEvent::Trouble(Reason::OrganizationKeyForked)]);
        assert_eq!((desk.machine.lineage(), desk.calls.len(), desk.kept.len()), (&before, 0, desk.kept.len()));
        desk.pass(BACKOFF.cap);
        desk.settle(&mut platform);
        assert_ne!(desk.machine.trouble(), Some(Reason::OrganizationKeyForked));
    }
}

/// A platform that was restored from an old copy, or that shows others another key, has to show what a device knows already: it is
/// found out at the next look, whether it has another statement in that place or none.
#[test]
fn what_is_known_has_to_be_shown_again() {
    for lies in [&[][..], &[&foreign()]] {
        let (mut desk, mut platform) = (Harness::new(1, DeviceKind::Viewer), Platform::default());
        desk.up();
        desk.settle(&mut platform);
        let known = desk.machine.lineage().clone();
        desk.news.clear();
        desk.pass(VIEWER_PAUSE);
        assert_eq!(desk.calls[0].1, Call::View { after: 0, machines: false }, "the statement of generation 1 is asked for again");
        answered(&mut desk, 200, &view(lies, Some(OwnDevice { registered: true, wrapped: None })));
        assert_eq!(news(&mut desk), [KeyEvent::Trouble(Reason::OrganizationKeyForked)]);
        assert_eq!((desk.machine.lineage(), desk.calls.len()), (&known, 0));
        desk.pass(BACKOFF.cap);
        desk.settle(&mut platform);
        assert_eq!((desk.machine.trouble(), desk.machine.holds_newest(), news(&mut desk).len()), (None, true, 0));
    }
}

/// Invalid answers, no answers, and refusals are trouble that is said once; it is tried again, ever more rarely.
#[test]
fn what_fails_is_tried_again() {
    let mut desk = Harness::new(1, DeviceKind::Viewer);
    desk.up();
    let nonsense = |desk: &mut Harness| answered(desk, 200, &"nonsense");
    let refused = |desk: &mut Harness| answered(desk, 503, &"");
    let silent = |desk: &mut Harness| {
        let (effect_id, _) = desk.calls.remove(0);
        desk.input(Input::Io(IoEvent::Unanswered(effect_id, NetFault::TimedOut)));
    };
    let undecodable = |desk: &mut Harness| {
        answered(
            desk,
            200,
            &KeyView { statements: vec![Base64url(vec![1, 2])], device: None, waiting: vec![], renew: false, machines: vec![] },
        );
    };
    let expected = [Reason::PlatformAnswerInvalid, Reason::PlatformUnreachable];
    for (fails, reason) in [
        (&nonsense as &dyn Fn(&mut Harness), expected[0]),
        (&undecodable, expected[0]),
        (&refused, expected[1]),
        (&silent, expected[1]),
    ] {
        fails(&mut desk);
        let said = news(&mut desk);
        assert!(said.is_empty() || said == [KeyEvent::Trouble(reason)], "{said:?}");
        assert_eq!(desk.machine.trouble(), Some(reason));
        desk.machine.handle_input(desk.now, Input::Poll).unwrap();
        desk.drain();
        assert!(desk.calls.is_empty(), "what fails is not hurried");
        let wait = desk.machine.poll_timeout().unwrap().at.since(desk.now);
        assert!(wait >= BACKOFF.base && wait <= BACKOFF.cap);
        desk.pass(wait);
        assert_eq!(desk.calls.len(), 1);
    }
}

/// What is not durable is not used: neither a statement nor a generation.
#[test]
fn what_is_not_durable_is_not_used() {
    let (mut desk, mut platform) = (Harness::new(1, DeviceKind::Viewer), Platform::default());
    desk.disk_works = false;
    desk.up();
    desk.settle(&mut platform);
    assert_eq!((platform.published(), desk.machine.lineage().generation()), (0, 0));
    assert_eq!(news(&mut desk), [KeyEvent::Trouble(Reason::StateNotWritten)]);
    desk.disk_works = true;
    desk.pass(BACKOFF.cap);
    desk.settle(&mut platform);
    assert!(desk.machine.holds_newest());
}

/// L3, LINK-3: a platform that takes everything and shows nothing of it does not keep a device busy for ever.
#[test]
fn a_platform_that_forgets_keeps_nobody_busy() {
    let mut desk = Harness::new(1, DeviceKind::Viewer);
    desk.up();
    let mut calls = 0;
    while let Some((effect_id, call)) = desk.calls.pop() {
        calls += 1;
        let (status, body) = match call {
            Call::View { .. } => {
                (200, serde_json::to_vec(&view(&[], Some(OwnDevice { registered: true, wrapped: None }))).unwrap())
            }
            Call::Publish(publication) => {
                let Publication { statement } = *publication;
                assert!(Statement::decode(&statement.0).is_ok_and(|statement| statement.founds()));
                (201, vec![])
            }
            _ => (204, vec![]),
        };
        let answer = HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body) };
        desk.input(Input::Io(IoEvent::Answered(effect_id, answer)));
        desk.store();
        assert!(calls <= MAX_STEPS);
    }
    assert!(desk.machine.poll_timeout().is_some());
}

/// L6: answers that are not awaited are counted and change nothing.
#[test]
fn stale_answers_are_counted() {
    let mut desk = Harness::new(1, DeviceKind::Viewer);
    for (n, input) in [
        (1, Input::Kept),
        (2, Input::NotKept),
        (3, Input::Io(IoEvent::Unanswered(EffectId(7), NetFault::TimedOut))),
        (4, Input::Io(IoEvent::Stored(EffectId(0)))),
    ] {
        let before = fingerprint(&desk.machine);
        desk.input(input);
        assert_eq!((Machine::ignored(&desk.machine), fingerprint(&desk.machine)), (n, before));
    }
}

/// BIND-4: a file that is none, or another organization's, is as if there were none.
#[test]
fn a_file_that_does_not_fit_is_not_used() {
    let (mut founder, mut platform) = (Harness::new(1, DeviceKind::Viewer), Platform::default());
    founder.up();
    founder.settle(&mut platform);
    let good = founder.kept.last().unwrap().clone();
    let boot =
        |file: &OrganizationKeyFile| OrganizationKey::new(Instant::ZERO, desk::settings(1, DeviceKind::Viewer), Some(file));
    assert!(boot(&good).holds_newest());
    let mut files = vec![good.clone(); 3];
    files[0].workspace_id = "OTHER".parse().unwrap();
    files[1].statements = vec![Base64url(foreign().encode())];
    files[2].statements[0].0[9] ^= 1;
    for file in &files {
        assert_eq!(boot(file).lineage().generation(), 0);
    }
}
