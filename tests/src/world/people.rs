//! What people do.

use bytes::Bytes;
use proto_core::{
    JitterRng, PlatformId, Reason, SessionId,
    api::PairingMode,
    crypto::Identity,
    device::{
        bridge::SourceId,
        consent::Directory,
        control::{Attach, PairEvent, PairRequest, UnpairRequest},
        daemon::{self, Answer, Bind, Request, RequestId},
        link::LinkState,
        session,
        watcher::{self, Goal},
    },
    id::DeviceKind,
    jose::{Confirmation, Thumbprint},
    relay::hub,
    secret::Secret,
    wire::{Content, Frame, Outcome, Title},
};

use super::{Event, Run, ViewerDevice, World, adopted, relay_url, tablet::Disk, turns::begun};

impl World {
    /// Asks the daemon; the answer comes into [`Laptop::answers`](super::Laptop::answers).
    pub fn ask(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.number());
        self.events.push_back(Event::Laptop(self.laptop.life, daemon::Input::Request(id, request)));
        id
    }

    /// Asks, and waits for the answer without letting time pass.
    pub fn answer(&mut self, request: Request) -> Result<Answer, Reason> {
        let id = self.ask(request);
        self.settle();
        self.laptop.answers.remove(&id).expect("an answer")
    }

    /// `vpd pair`.
    pub fn pair(&mut self, mode: PairingMode, org: Option<&str>) -> Result<Answer, Reason> {
        let entropy = self.entropy();
        // A platform that knows a machine again knows it by the name that the person gives it.
        let name = self.platform.keeps_targets.then(|| self.laptop.name.clone());
        self.answer(Request::Pair(PairRequest { mode, org: org.map(Into::into), name }, entropy))
    }

    /// `vpd pair`, approved for `slug`, up to the end.
    pub fn pair_with(&mut self, slug: &str, mode: PairingMode) {
        self.pair(mode, None).unwrap();
        self.approve(slug);
        self.until(Self::pairing_ended);
        assert!(matches!(self.laptop.pairing.last(), Some(PairEvent::Paired { .. })), "{:?}", self.laptop.pairing);
        self.settle();
    }

    /// Whether the pairing's last word was said.
    pub fn pairing_ended(&self) -> bool {
        matches!(self.laptop.pairing.last(), Some(PairEvent::Paired { .. } | PairEvent::Failed { .. }))
    }

    /// The code that is shown.
    pub fn code(&self) -> Option<String> {
        self.laptop.daemon().report().pairing.map(|pairing| pairing.code)
    }

    /// A user approves the shown code for an organization.
    pub fn approve(&mut self, slug: &str) {
        let (code, org, now) = (self.code().expect("a code is shown"), self.org(slug), self.unix());
        self.platform.approve(&code, &org, now);
    }

    /// `vpd bind`.
    pub fn bind(&mut self, directory: &str, slug: &str) -> Result<Answer, Reason> {
        let directory = Directory::parse(directory).unwrap();
        self.answer(Request::Bind(Bind { confirmed: true, ..Bind::new(directory, Some(slug.into())) }))
    }

    /// `vpd unbind`.
    pub fn unbind(&mut self, directory: &str) -> Result<Answer, Reason> {
        self.answer(Request::Unbind(Directory::parse(directory).unwrap()))
    }

    /// `vpd unpair`.
    pub fn unpair(&mut self, org: Option<&str>) -> Result<Answer, Reason> {
        self.answer(Request::Unpair(UnpairRequest { org: org.map(Into::into) }))
    }

    /// `vpd run` in a directory; gives its number among [`Laptop::runs`](super::Laptop::runs).
    pub fn run(&mut self, directory: &str) -> usize {
        let run = self.begin_run(directory);
        self.settle();
        run
    }

    /// The same, before anything comes of it.
    pub fn begin_run(&mut self, directory: &str) -> usize {
        let source = self.number();
        let run = Run::new(directory, source);
        let attach = Attach::Start { directory: directory.into(), title: run.title(self.unix()) };
        self.laptop.runs.push(run);
        self.attach(source, attach);
        self.laptop.runs.len() - 1
    }

    pub(super) fn attach(&mut self, source: u64, attach: Attach) {
        let input = daemon::Input::Attach(SourceId(source), attach, self.entropy());
        self.events.push_back(Event::Laptop(self.laptop.life, input));
    }

    /// The command shows something.
    pub fn show(&mut self, run: usize, text: &str) {
        let content = Content::Output(Bytes::copy_from_slice(text.as_bytes()));
        let frames = self.laptop.runs[run].push(self.now, content);
        self.run_said(run, frames);
    }

    /// The command has a title, as `vpd run` says it in its first record.
    pub fn title(&mut self, run: usize, title: Title) {
        let frames = self.laptop.runs[run].push(self.now, Content::Title(title));
        self.run_said(run, frames);
    }

    /// The command ends.
    pub fn exit(&mut self, run: usize) {
        let frames = self.laptop.runs[run].push(self.now, Content::Exit { status: 0 });
        self.run_said(run, frames);
        let frames = self.laptop.runs[run].end(self.now, Outcome::Exited);
        self.run_said(run, frames);
    }

    /// The terminal is closed: its connection to the daemon is gone.
    pub fn hang_up(&mut self, run: usize) {
        let input = daemon::Input::Detach(SourceId(self.laptop.runs[run].source));
        self.events.push_back(Event::Laptop(self.laptop.life, input));
        let _ = self.laptop.runs[run].tell(self.now, session::Input::Detached);
    }

    /// It comes back over another connection.
    pub fn come_back(&mut self, run: usize) {
        let Some(session) = self.laptop.runs[run].id() else { return };
        let source = self.number();
        self.laptop.runs[run].source = source;
        self.attach(source, Attach::Again { session });
    }

    pub(super) fn run_said(&mut self, run: usize, frames: Vec<Frame>) {
        let source = SourceId(self.laptop.runs[run].source);
        for frame in frames {
            self.events.push_back(Event::Laptop(self.laptop.life, daemon::Input::Frame(source, frame)));
        }
    }

    /// Pairs a viewer with an organization and starts it; gives its number among [`World::watchers`].
    pub fn watcher(&mut self, slug: &str) -> usize {
        let seed = Secret::new(self.bytes());
        let identity = Identity::from_seed(seed.clone());
        let confirmation =
            Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) };
        let (org, unix) = (self.org(slug), self.unix());
        let approval = self.platform.enrol(&org, DeviceKind::Viewer, "viewer", confirmation, unix);
        self.start_watcher(adopted(seed, approval), None, Goal::Chosen)
    }

    /// Starts a viewer on this disk, for an organization by id or slug, with a goal; gives its number among
    /// [`World::watchers`].
    pub fn start_watcher(&mut self, disk: Disk, org: Option<&str>, goal: Goal) -> usize {
        let (entropy, clock) = (self.entropy(), self.told);
        let mut tablet = ViewerDevice::boot(self.now, clock, disk, org, goal, &entropy, JitterRng::new(77));
        let wants = begun(&tablet.turns, &mut tablet.watcher);
        self.watchers.push(tablet);
        self.watcher_wants(self.watchers.len() - 1, wants);
        self.settle();
        self.watchers.len() - 1
    }

    /// Approves the code that a viewer shows for an organization.
    pub fn approve_watcher(&mut self, watcher: usize, slug: &str) {
        let code = self.watchers[watcher].code.take().expect("a code is shown");
        let (org, now) = (self.org(slug), self.unix());
        self.platform.approve(&code, &org, now);
    }

    /// Ctrl-C at a viewer.
    pub fn stop_watcher(&mut self, watcher: usize) {
        self.events.push_back(Event::Watcher(watcher, watcher::Input::Stop));
    }

    /// It wants to see a session.
    pub fn watch(&mut self, watcher: usize, session: SessionId) {
        self.events.push_back(Event::Watcher(watcher, watcher::Input::Watch(session)));
    }

    /// Access is withdrawn in the browser from all that an organization has. Relays hear of it at once, if they are `told`.
    pub fn revoke(&mut self, slug: &str, told: bool) {
        self.revoke_those(slug, told, |_, _| true);
    }

    /// The same from its daemons alone.
    pub fn revoke_machine(&mut self, slug: &str) {
        self.revoke_those(slug, true, |_, role| role == DeviceKind::Daemon);
    }

    /// The same from one who watches.
    pub fn revoke_watcher(&mut self, watcher: usize, slug: &str) {
        let its = self.watchers[watcher].target();
        self.revoke_those(slug, true, |target, _| *target == its);
    }

    fn revoke_those(&mut self, slug: &str, told: bool, is_meant: impl Fn(&PlatformId, DeviceKind) -> bool) {
        let org = self.org(slug);
        let mut targets = Vec::new();
        for (id, target) in self.platform.targets.iter_mut().filter(|(_, target)| target.record.holder.org == org) {
            if is_meant(id, target.record.holder.role) {
                target.record.is_revoked = true;
                targets.push(id.clone());
            }
        }
        if told {
            let (url, now) = (relay_url(slug), self.now);
            let wants = self.relay(slug).tell_hub(now, hub::Input::Revoked { targets, orgs: Vec::new() });
            self.relay_wants(&url, wants);
        }
    }

    /// The state of the link to an organization, as `vpd status` says.
    pub fn link(&self, slug: &str) -> Option<LinkState> {
        let report = self.laptop.daemon().report();
        report.bindings.into_iter().find(|row| row.org.slug == slug).map(|row| row.link)
    }

    /// Whether it is connected.
    pub fn is_connected(&self, slug: &str) -> bool {
        self.link(slug) == Some(LinkState::Connected)
    }
}
