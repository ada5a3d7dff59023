//! Commands that are run, what they show, and which viewers watch.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    SessionId,
    device::{
        bridge::SourceId,
        control::{Attach, Attached},
        daemon, session, watcher,
    },
    noise::Noise,
    wire::{Content, Frame, Outcome},
};

use super::{
    Party, Sim,
    host::{Script, unix},
    oracle::Seen,
    people::directory,
    step::Event,
};
use crate::world::Run;

/// How long a person takes to approve a viewer.
const APPROVED_WITHIN: Duration = Duration::from_secs(5);

impl<N: Noise + 'static> Sim<N> {
    /// `vpd run`: a command that shows so many records.
    pub(super) fn begin_run(&mut self, host: usize, org: usize, records: u64, size: usize, every: Duration) {
        self.forget_commands(host);
        let source = self.number();
        let directory = directory(org).to_string();
        let run = Run::new(&directory, source);
        let title = run.title(unix(self.now));
        let machine = &mut self.hosts[host];
        machine.laptop.runs.push(run);
        let line = |n: u64| {
            let text = format!("run {source} line {n} ");
            text.bytes().cycle().take(size.max(text.len())).collect()
        };
        machine.scripts.push(Script {
            run: source,
            moved_to: None,
            left: (0..records).map(line).collect(),
            every,
            has_ended: false,
        });
        if machine.laptop.daemon.is_some() {
            self.attach(host, source, Attach::Start { directory, title });
        } else {
            // No daemon: nothing streams, and the command runs as it would.
            self.attached(host, SourceId(source), Attached::LocalOnly { reason: None });
        }
        self.queue.put(self.now.after(every), Event::Show(host, source));
    }

    fn attach(&mut self, host: usize, source: u64, attach: Attach) {
        let entropy = self.hosts[host].dice.entropy();
        let input = daemon::Input::Attach(SourceId(source), attach, entropy);
        self.queue.put(self.now, Event::Host(host, self.hosts[host].laptop.life, input));
    }

    pub(super) fn attached(&mut self, host: usize, source: SourceId, attached: Attached) {
        if let Some(run) = self.hosts[host].laptop.runs.iter().find(|run| run.source == source.0) {
            let script = self.hosts[host].scripts.iter().find(|script| script.now_at() == source.0);
            let (command, directory) = (script.map_or(source.0, |script| script.run), run.directory.as_str());
            self.oracles.see(self.now, &Seen::Attached { host, command, directory, attached: &attached });
        }
        let at = self.hosts[host].clock.monotonic(self.now);
        self.with_run(host, source, |run| run.attached(at, attached));
    }

    pub(super) fn goes_to_source(&mut self, host: usize, source: SourceId, frame: Frame) {
        let at = self.hosts[host].clock.monotonic(self.now);
        self.with_run(host, source, |run| run.tell(at, session::Input::Frame(frame)));
    }

    fn with_run(&mut self, host: usize, source: SourceId, step: impl FnOnce(&mut Run) -> Vec<Frame>) {
        let Some(run) = self.hosts[host].laptop.runs.iter().position(|run| run.source == source.0) else { return };
        let was_delivered = self.hosts[host].laptop.runs[run].is_delivered();
        let frames = step(&mut self.hosts[host].laptop.runs[run]);
        self.run_said(host, source, frames);
        let run = &self.hosts[host].laptop.runs[run];
        if let Some(session) = run.id().filter(|_| !was_delivered && run.is_delivered()) {
            self.oracles.see(self.now, &Seen::Delivered { host, session });
            let input = daemon::Input::Detach(source);
            self.queue.put(self.now, Event::Host(host, self.hosts[host].laptop.life, input));
        }
    }

    fn run_said(&mut self, host: usize, source: SourceId, frames: Vec<Frame>) {
        let life = self.hosts[host].laptop.life;
        for frame in frames {
            self.queue.put(self.now, Event::Host(host, life, daemon::Input::Frame(source, frame)));
        }
    }

    /// A command's connection to the daemon has a new number each time; its script is known by the first one.
    fn position(&self, host: usize, first: u64) -> Option<usize> {
        let script = self.hosts[host].scripts.iter().find(|script| script.run == first)?;
        let source = script.now_at();
        self.hosts[host].laptop.runs.iter().position(|run| run.source == source)
    }

    /// The command shows its next record, or ends.
    pub(super) fn show_next(&mut self, host: usize, first: u64) {
        if let Some(until) = self.is_stopped(Party::Host(host)) {
            return self.queue.put(until, Event::Show(host, first));
        }
        let Some(position) = self.position(host, first) else { return };
        let at = self.hosts[host].clock.monotonic(self.now);
        let machine = &mut self.hosts[host];
        let Some(script) = machine.scripts.iter_mut().find(|script| script.run == first) else { return };
        if script.has_ended {
            return;
        }
        let run = &mut machine.laptop.runs[position];
        let source = SourceId(run.source);
        if let Some(bytes) = script.left.pop_front() {
            let every = script.every;
            let content = Content::Output(Bytes::from(bytes));
            self.oracles.see(self.now, &Seen::Said { command: first, content: &content });
            let frames = run.push(at, content);
            self.queue.put(self.now.after(every), Event::Show(host, first));
            return self.run_said(host, source, frames);
        }
        let is_waiting = run.attached.is_none();
        if is_waiting {
            // The daemon has not said yet where it streams to.
            return self.queue.put(self.now.after(Duration::from_secs(1)), Event::Show(host, first));
        }
        script.has_ended = true;
        let exit = Content::Exit { status: 0 };
        self.oracles.see(self.now, &Seen::Said { command: first, content: &exit });
        let mut frames = run.push(at, exit);
        frames.extend(run.end(at, Outcome::Exited));
        self.run_said(host, source, frames);
    }

    /// A terminal loses its daemon, and comes back.
    pub(super) fn hang_up(&mut self, host: usize) {
        let machine = &self.hosts[host];
        let Some(run) = machine.laptop.runs.iter().find(|run| run.id().is_some() && !run.is_delivered()) else { return };
        let source = run.source;
        if let Some(session) = run.id() {
            self.oracles.see(self.now, &Seen::Left { host, session });
        }
        let input = daemon::Input::Detach(SourceId(source));
        self.queue.put(self.now, Event::Host(host, machine.laptop.life, input));
        let at = self.hosts[host].clock.monotonic(self.now);
        if let Some(run) = self.hosts[host].laptop.runs.iter_mut().find(|run| run.source == source) {
            let _ = run.tell(at, session::Input::Detached);
        }
        let away = self.hosts[host].dice.time(Duration::from_millis(100), Duration::from_secs(100));
        self.queue.put(self.now.after(away), Event::ComeBack(host, source));
    }

    pub(super) fn come_back(&mut self, host: usize, old: u64) {
        if let Some(until) = self.is_stopped(Party::Host(host)) {
            return self.queue.put(until, Event::ComeBack(host, old));
        }
        if self.hosts[host].laptop.daemon.is_none() {
            return;
        }
        let new = self.number();
        let machine = &mut self.hosts[host];
        let Some(run) = machine.laptop.runs.iter_mut().find(|run| run.source == old && !run.is_delivered()) else { return };
        let Some(session) = run.id() else { return };
        run.source = new;
        if let Some(script) = machine.scripts.iter_mut().find(|script| script.now_at() == old) {
            script.moved_to = Some(new);
        }
        self.attach(host, new, Attach::Again { session });
    }

    /// After a daemon's start: commands that wait for it come back.
    pub(super) fn commands_come_back(&mut self, host: usize) {
        let runs =
            self.hosts[host].laptop.runs.iter().filter(|run| run.id().is_some() && !run.is_delivered() && run.cut.is_none());
        let waiting: Vec<_> = runs.map(|run| run.source).collect();
        for source in waiting {
            self.come_back(host, source);
        }
        // Those that were not told yet where they stream to give up on it.
        let unanswered = self.hosts[host].laptop.runs.iter().filter(|run| run.attached.is_none());
        let unanswered: Vec<_> = unanswered.map(|run| run.source).collect();
        for source in unanswered {
            self.attached(host, SourceId(source), Attached::LocalOnly { reason: None });
        }
    }

    /// Commands that are over, and have nothing more to do with their daemon, are forgotten.
    fn forget_commands(&mut self, host: usize) {
        let machine = &mut self.hosts[host];
        let scripts = &machine.scripts;
        let is_over = |run: &Run| {
            let has_more = scripts.iter().any(|script| script.now_at() == run.source && !script.has_ended);
            !has_more && (run.is_delivered() || (run.attached.is_some() && (run.session.is_none() || run.cut.is_some())))
        };
        machine.laptop.runs.retain(|run| !is_over(run));
        let runs = &machine.laptop.runs;
        machine.scripts.retain(|script| runs.iter().any(|run| run.source == script.now_at()));
    }

    /// A viewer watches every session that is listed to it.
    pub(super) fn viewer_said(&mut self, viewer: usize, output: &watcher::Output) {
        match output {
            watcher::Output::Listed(session) => self.watch(viewer, *session),
            watcher::Output::Record(session, record) => {
                self.oracles.see(self.now, &Seen::Shown { viewer, session: *session, record });
            }
            watcher::Output::Ended(session, outcome) => {
                self.oracles.see(self.now, &Seen::ShownEnd { viewer, session: *session, outcome: *outcome });
            }
            watcher::Output::Failed(_, reason) => {
                self.story.viewer(self.now, viewer, &format!("cannot show a session: {}", reason.summary()));
            }
            watcher::Output::ShowCode(shown) => {
                self.story.viewer(self.now, viewer, "is to be paired again");
                self.queue.put(self.now.after(APPROVED_WITHIN), Event::ApproveViewer(viewer, shown.code.clone()));
            }
            _ => {}
        }
    }

    fn watch(&mut self, viewer: usize, session: SessionId) {
        let life = self.viewers[viewer].life;
        self.queue.put(self.now, Event::Viewer(viewer, life, watcher::Input::Watch(session)));
    }
}

impl Script {
    /// The number of the command's connection now.
    pub(super) fn now_at(&self) -> u64 {
        self.moved_to.unwrap_or(self.run)
    }
}
