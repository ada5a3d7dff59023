//! What `vpd watch` is driven in: the network and the disk, a terminal, and the signals of a person at it.

use std::time::Instant as Started;

use io_engine::{MachineIo, Network, Next, Perform};
use io_tokio::Adapter;
use owo_colors::OwoColorize as _;
use proto_core::{
    Instant, Misuse, Reason, SessionId,
    api::CodeText,
    device::{
        orgkey::KeyEvent,
        pairing::Shown,
        watcher::{EffectId, Input, Output, PairingCause, choice::Entry},
    },
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    device::{Device, Viewer},
    screen::Screen,
};
use crate::{command::status, failure::Failure, plain::Line};

/// The viewer's terminal.
pub(super) struct Terminal {
    adapter: Adapter<EffectId>,
    interrupted: Signal,
    terminated: Signal,
    screen: Screen,
    platform: String,
    /// Whether nothing but a list is wanted: then it is no news that the link came up.
    only_lists: bool,
    /// The zero of the clock by which the viewer is driven.
    started: Started,
    seen: Seen,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The sessions with which it ended.
    pub(super) sessions: Option<Vec<Entry>>,
    /// The session that cannot be shown.
    pub(super) failed: Option<SessionId>,
    /// A person, or the system, wanted no more.
    pub(super) is_interrupted: bool,
    /// The output could not be written; its reader may have seen enough.
    pub(super) unwritten: Option<std::io::Error>,
}

impl Terminal {
    /// For a viewer whose clock starts now. From now on Ctrl-C means what this makes of it.
    pub(super) fn new(
        device: &Device,
        platform: &str,
        network: Network,
        screen: Screen,
        only_lists: bool,
    ) -> std::io::Result<Self> {
        Ok(Self {
            adapter: Adapter::new(Some(device.files.clone()), network),
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            screen,
            platform: platform.to_owned(),
            only_lists,
            started: Started::now(),
            seen: Seen::default(),
        })
    }

    /// Finishes what was to be stored, and closes the link.
    pub(super) async fn shutdown(self) -> Seen {
        self.adapter.shutdown().await;
        self.seen
    }

    fn now(&self) -> Instant {
        Instant::ZERO.after(self.started.elapsed())
    }

    /// On the standard error: the standard output is the session's.
    fn show_code(&self, shown: &Shown) {
        let code = shown.code.parse().map_or_else(|_| shown.code.clone(), |code: CodeText| code.grouped());
        anstream::eprintln!("Open this page, sign in, pick the workspace and approve this viewer:\n");
        anstream::eprintln!("    {}\n", shown.url.cyan().underline());
        anstream::eprintln!(
            "Code: {}  (lives for {})",
            code.bold(),
            status::minutes(shown.expires_at.since(self.now()).as_secs())
        );
        anstream::eprintln!("Waiting for confirmation... (Ctrl-C cancels)");
    }

    fn pairs(&self, occasion: &PairingCause) {
        match occasion {
            PairingCause::First => {
                anstream::eprintln!("This viewer is a device of its own; it pairs at {} once.", self.platform);
            }
            PairingCause::Again(workspace, reason) => {
                let why = match reason {
                    Reason::NoisePskInvalid => "the workspace's policy mode has changed since this viewer was paired",
                    _ => "this viewer was away for so long that its credential has lapsed",
                };
                anstream::eprintln!("{} has to approve this viewer again: {why} ({}).", workspace.name.bold(), reason.code());
            }
        }
    }

    /// What people ought to know: who holds what opens their sessions.
    fn key_news(&mut self, news: &KeyEvent) {
        let text = match news {
            KeyEvent::Founded => "this viewer founded the organization's key: sessions are sealed to it from now on".to_owned(),
            KeyEvent::Renewed => "this viewer made the organization's next key, because a viewer was revoked".to_owned(),
            KeyEvent::Held => "another viewer handed the organization's key to this one".to_owned(),
            KeyEvent::HandedOver { name, owner } => {
                format!("handed the organization's key to {} of {}", Line(name), Line(owner))
            }
            KeyEvent::Trouble(reason @ Reason::OrganizationKeyMissing) => {
                format!("{reason} ({}). Sessions of machines that are off wait for it. next: {}", reason.code(), reason.next())
            }
            KeyEvent::Trouble(reason) => format!("the organization's key: {reason} ({}); trying again", reason.code()),
            KeyEvent::Newer => return,
        };
        self.screen.note(&text);
    }

    fn stops(&mut self, inputs: &mut Vec<Input>) {
        self.seen.is_interrupted = true;
        inputs.push(Input::Stop);
    }

    fn shows(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written {
            self.seen.unwritten.get_or_insert(error);
        }
    }
}

impl MachineIo<Viewer> for Terminal {
    async fn inputs(&mut self, _: &Viewer, inputs: &mut Vec<Input>) -> Next {
        if self.seen.unwritten.is_some() {
            inputs.push(Input::Stop);
            return Next::GoOn;
        }
        tokio::select! {
            event = self.adapter.next() => inputs.push(Input::Io(event)),
            _ = self.interrupted.recv() => self.stops(inputs),
            _ = self.terminated.recv() => self.stops(inputs),
        }
        Next::GoOn
    }
}

impl Perform<Viewer> for Terminal {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(effect) => self.adapter.perform(effect),
            Output::Pairing(occasion) => self.pairs(&occasion),
            Output::ShowCode(shown) => self.show_code(&shown),
            Output::Paired(workspace) => self.screen.note(&format!("paired with {}", workspace.name)),
            Output::Trouble(reason) | Output::Down(reason) => {
                self.screen.note(&format!("{reason} ({}); trying again", reason.code()));
            }
            Output::NotRenewed(reason) => {
                self.screen.note(&format!("the credential was not renewed: {reason} ({}); trying again", reason.code()));
            }
            Output::Up { .. } if self.only_lists => {}
            Output::Up { waits_for_session } => {
                self.screen.note(if waits_for_session { "connected, waiting for a session" } else { "connected" });
            }
            Output::Key(news) => self.key_news(&news),
            Output::Listed(_) => {}
            Output::Sessions(sessions) => self.seen.sessions = Some(sessions),
            Output::Record(_, record) => {
                let written = self.screen.show(&record);
                self.shows(written);
            }
            Output::Ended(_, outcome) => {
                let written = self.screen.end(outcome);
                self.shows(written);
            }
            Output::Failed(session, _) => self.seen.failed = Some(session),
        }
    }

    fn refused(&mut self, misuse: Misuse) {
        // It is drained after every fact, so there is room for each.
        tracing::warn!(%misuse, "the viewer did not take a fact");
    }
}

impl Seen {
    /// Why the viewer ended, about what there is to say.
    pub(super) fn failure(&self, reason: Reason) -> Failure {
        match self.failed {
            Some(session) => Failure::about(reason, session),
            None => reason.into(),
        }
    }
}
