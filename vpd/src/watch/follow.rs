//! Drives the viewer's machine towards one goal: a list, or a session to its end.

use std::{collections::BTreeMap, time::Duration};

use io_engine::{AwsLc, aes_in_hardware, fresh_jitter};
use io_tokio::{Adapter, Clock, Roots};
use proto_core::{
    BindingId, Machine as _, Reason, SessionId, Status,
    device::{
        uplink::{Ask, Settings},
        viewer::{Input, Output, Viewer},
    },
    noise::Snow,
    wire::{Content, Record},
};
use tokio::time;

use super::{
    device::Device,
    screen::{self, Screen},
};
use crate::{failure::Failure, machine};

/// Once the relay has named no further session for so long, the list counts as whole.
const SETTLED: Duration = Duration::from_millis(500);
/// So long is waited for what runs in each of them.
const TITLED: Duration = Duration::from_secs(3);

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// All sessions there are.
    List,
    /// This session to its end.
    This(SessionId),
    /// The only session to its end; where there is none yet, the next one.
    TheOnly,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The end of the session.
    End,
    /// These sessions, with what runs where.
    Several(Vec<(SessionId, String)>),
}

/// Watches until the goal is reached.
pub(super) async fn follow(device: &mut Device, id: &BindingId, goal: Goal, screen: Screen) -> anyhow::Result<Seen> {
    let mut follower = Follower::new(device, id, goal, screen)?;
    loop {
        if let Some(seen) = follower.drain(device, id).await? {
            follower.adapter.shutdown().await;
            return Ok(seen);
        }
        if let Status::Failed(reason) = follower.viewer.status() {
            return Err(Failure::from(*reason).into());
        }
        if let Some(seen) = follower.step().await? {
            follower.adapter.shutdown().await;
            return Ok(seen);
        }
    }
}

async fn until(at: Option<time::Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Follower {
    viewer: Viewer<Snow<AwsLc>>,
    adapter: Adapter<Ask>,
    clock: Clock,
    screen: Screen,
    goal: Goal,
    /// The session that is shown.
    shown: Option<SessionId>,
    /// What is known of the sessions by their first records.
    titles: BTreeMap<SessionId, Option<String>>,
    /// When the relay last named one, or came; `None` while it is away.
    latest_news: Option<time::Instant>,
}

impl Follower {
    fn new(device: &Device, id: &BindingId, goal: Goal, screen: Screen) -> Result<Self, Failure> {
        let (record, identity) = device.binding(id).ok_or(Reason::NotPaired)?;
        let settings = Settings {
            api_endpoint: device.api_endpoint().to_owned(),
            relay_endpoint: None,
            software: machine::SOFTWARE.to_owned(),
            aes_in_hardware: aes_in_hardware(),
        };
        let clock = Clock::start();
        let viewer = Viewer::new(clock.now(), clock.wall(), &record, identity, &settings, &AwsLc, fresh_jitter())?;
        let shown = if let Goal::This(session) = goal { Some(session) } else { None };
        let mut follower = Self {
            viewer,
            adapter: Adapter::new(None, Roots::default()),
            clock,
            screen,
            goal,
            shown,
            titles: BTreeMap::new(),
            latest_news: None,
        };
        if let Some(session) = shown {
            follower.tell(Input::Watch(session));
        }
        Ok(follower)
    }

    /// Waits for one thing to happen; the answer, when nothing more has to happen.
    async fn step(&mut self) -> Result<Option<Seen>, Failure> {
        let settled_at = self.settled_at();
        tokio::select! {
            happening = self.adapter.next() => self.tell(Input::Happening(happening)),
            () = self.clock.sleep_until(self.viewer.poll_timeout()) => self.viewer.handle_timeout(self.clock.now()),
            () = until(settled_at) => return self.settled(),
        }
        Ok(None)
    }

    /// When it is time to decide by the sessions that are there, where that is still open.
    fn settled_at(&self) -> Option<time::Instant> {
        let is_open = match self.goal {
            Goal::List => true,
            Goal::TheOnly => self.shown.is_none() && !self.titles.is_empty(),
            Goal::This(session) => !self.titles.contains_key(&session),
        };
        let wants_titles = self.goal == Goal::List && self.titles.values().any(Option::is_none);
        let patience = if wants_titles { TITLED } else { SETTLED };
        self.latest_news.filter(|_| is_open).map(|latest| latest + patience)
    }

    /// The relay has named all the sessions that it has.
    fn settled(&mut self) -> Result<Option<Seen>, Failure> {
        match (self.goal, self.titles.len()) {
            (Goal::This(session), _) => Err(Failure::about(Reason::SessionUnknown, session)),
            (Goal::TheOnly, 1) => {
                self.shown = self.titles.keys().next().copied();
                self.watch_listed();
                Ok(None)
            }
            (Goal::TheOnly | Goal::List, _) => {
                let untold = || "(its key or its beginning is not here yet)".to_owned();
                let sessions = self.titles.iter().map(|(session, title)| (*session, title.clone().unwrap_or_else(untold)));
                Ok(Some(Seen::Several(sessions.collect())))
            }
        }
    }

    async fn drain(&mut self, device: &mut Device, id: &BindingId) -> anyhow::Result<Option<Seen>> {
        while let Some(output) = self.viewer.poll_output() {
            match output {
                Output::Effect(effect) => self.adapter.perform(effect),
                Output::Renewed(renewal) => {
                    if let Some(relay) = device.renew(id, renewal).await {
                        self.tell(Input::Stored(relay));
                    }
                }
                Output::Up => self.up(),
                Output::Down(reason) => {
                    self.latest_news = None;
                    self.screen.note(&format!("{reason} ({}); trying again", reason.code()));
                }
                Output::Listed(session) => self.listed(session),
                Output::Record(session, record) => self.record(session, &record)?,
                Output::Ended(session, outcome) if self.shown == Some(session) => {
                    self.screen.end(outcome)?;
                    return Ok(Some(Seen::End));
                }
                Output::Failed(session, reason) if self.shown == Some(session) => {
                    return Err(Failure::about(reason, session).into());
                }
                Output::Ended(..) | Output::Failed(..) => {}
                Output::Revoked(reason) => {
                    device.forget(id, reason).await;
                    return Err(Failure::from(reason).into());
                }
            }
        }
        Ok(None)
    }

    fn up(&mut self) {
        self.latest_news = Some(time::Instant::now());
        let waits = self.goal == Goal::TheOnly && self.titles.is_empty();
        self.screen.note(if waits { "connected, waiting for a session" } else { "connected" });
    }

    /// A list needs the first record of each session, which tells what runs where.
    fn listed(&mut self, session: SessionId) {
        self.titles.entry(session).or_default();
        self.latest_news = Some(time::Instant::now());
        let is_choice = self.goal == Goal::TheOnly && self.shown.is_none() && self.titles.len() > 1;
        if is_choice || self.goal == Goal::List {
            self.watch_listed();
        }
    }

    fn watch_listed(&mut self) {
        for session in self.titles.keys().copied().collect::<Vec<_>>() {
            self.tell(Input::Watch(session));
        }
    }

    fn record(&mut self, session: SessionId, record: &Record) -> anyhow::Result<()> {
        if let Content::Title(title) = &record.content {
            self.titles.insert(session, Some(screen::headline(title)));
        }
        if self.shown == Some(session) {
            self.screen.show(record)?;
        }
        Ok(())
    }

    fn tell(&mut self, input: Input) {
        // A viewer takes every input at any time.
        let _ = self.viewer.handle_input(self.clock.now(), input);
    }
}
