//! The viewer as a device: its own home, its own pairings, never a copy of the daemon's.

use io_engine::{FileError, HomeLock, fresh_entropy};
use io_tokio::{Adapter, Clock, Roots};
use proto_core::{
    BindingId, Machine as _, Reason, Status,
    api::PairingMode,
    crypto::Identity,
    device::{
        binding::{self, Bindings, Phase},
        credential::Renewal,
        files::{BindingRecord, Document as _, PendingPairing, RelayRecord},
        pairing::{self, Paired, Pairing, Shown},
    },
    effect::StateFile,
    id::DeviceKind,
    secret::SecretBytes,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{failure::Failure, home::Home, machine, settings::Settings};

/// This user's viewer.
pub(super) struct Device {
    files: io_engine::Home,
    api_endpoint: String,
    bindings: Bindings,
    disk: Adapter<binding::Ask>,
    clock: Clock,
    _lock: HomeLock,
}

impl Device {
    /// Opens the viewer of a home, and makes it where there is none.
    pub(super) fn open(home: &Home) -> Result<Self, Failure> {
        let Settings { api_endpoint } = Settings::load(home)?;
        let files = io_engine::Home::at(home.viewer());
        let lock = files.lock().map_err(|error| match error {
            FileError::InUse(_) => Failure::about(Reason::HomeInUse, "another vpd watch is open; one viewer has one connection"),
            other => from_files(&other),
        })?;
        let clock = Clock::start();
        let config = files.read(&StateFile::Config).map_err(|error| from_files(&error))?;
        let identities = files.identities().map_err(|error| from_files(&error))?;
        let bindings = Bindings::boot(clock.now(), config.as_ref().map(SecretBytes::expose), identities, [])
            .map_err(|reason| Failure::about(reason, files.root().display()))?;
        let disk = Adapter::new(Some(files.clone()), Roots::default());
        Ok(Self { files, api_endpoint, bindings, disk, clock, _lock: lock })
    }

    /// The pairing with an organization, by id or slug; without one, the only pairing.
    ///
    /// # Errors
    /// [`Reason::NotPaired`] and [`Reason::OrgUnknown`]: pairing helps. [`Reason::OrgAmbiguous`]: naming one does.
    pub(super) fn pick(&self, org: Option<&str>) -> Result<BindingId, Reason> {
        let fits = |record: &BindingRecord| org.is_none_or(|org| org == record.workspace_id.as_str() || org == record.slug);
        let active = self.bindings.iter().filter(|(_, binding)| matches!(binding.phase(), Phase::Active(_)));
        let mut picked = active.filter(|(_, binding)| fits(binding.record())).map(|(id, _)| id.clone());
        match (picked.next(), picked.next(), org) {
            (Some(id), None, _) => Ok(id),
            (Some(_), Some(_), _) => Err(Reason::OrgAmbiguous),
            (None, _, Some(_)) => Err(Reason::OrgUnknown),
            (None, _, None) => Err(Reason::NotPaired),
        }
    }

    /// A pairing's record and key.
    pub(super) fn binding(&self, id: &BindingId) -> Option<(BindingRecord, Identity)> {
        let binding = self.bindings.get(id)?;
        Some((binding.record().clone(), binding.identity()?.clone()))
    }

    /// The platform to pair with.
    pub(super) fn api_endpoint(&self) -> &str {
        &self.api_endpoint
    }

    /// Pairs; `show` puts the code before a person. Ctrl-C cancels.
    pub(super) async fn pair(&mut self, org: Option<&str>, show: fn(&Shown, u64)) -> Result<BindingId, Failure> {
        let mut pairing = self.begin(org)?;
        let mut adapter = Adapter::new(Some(self.files.clone()), Roots::default());
        let mut adopted = None;
        // From before the code is shown: from then on Ctrl-C means this pairing.
        let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| Failure::about(Reason::PairingCancelled, error))?;
        // A pairing that was resumed has its code already.
        if let Some(shown) = pairing.shown() {
            self.show(show, &shown);
        }
        loop {
            while let Some(output) = pairing.poll_output() {
                match output {
                    pairing::Output::Effect(effect) => adapter.perform(effect),
                    pairing::Output::ShowCode(shown) => self.show(show, &shown),
                    pairing::Output::Trouble(reason) => anstream::eprintln!("{reason} ({}); trying again...", reason.code()),
                    pairing::Output::Approved(paired) => {
                        let answer = match self.adopt(paired).await {
                            Ok(id) => {
                                adopted = Some(id);
                                pairing::Input::Adopted
                            }
                            Err(reason) => pairing::Input::Rejected(reason),
                        };
                        tell(&mut pairing, &self.clock, answer);
                    }
                }
            }
            match pairing.status() {
                Status::Running { .. } => {}
                Status::Finished => break,
                Status::Failed(reason) => return Err((*reason).into()),
            }
            tokio::select! {
                happening = adapter.next() => tell(&mut pairing, &self.clock, pairing::Input::Happening(happening)),
                () = self.clock.sleep_until(pairing.poll_timeout()) => pairing.handle_timeout(self.clock.now()),
                _ = interrupted.recv() => tell(&mut pairing, &self.clock, pairing::Input::Cancel),
            }
        }
        adapter.shutdown().await;
        adopted.map_or_else(|| self.pick(org).map_err(Failure::from), Ok)
    }

    /// A pairing that a kill interrupted goes on; else a new one begins.
    fn begin(&self, org: Option<&str>) -> Result<Pairing, Failure> {
        let (now, clock) = (self.clock.now(), self.clock.wall());
        let pending = self.files.read(&StateFile::PendingPairing).map_err(|error| from_files(&error))?;
        // A file that makes no sense is of no use to anybody; a new pairing overwrites it.
        let pending = pending.and_then(|bytes| PendingPairing::parse(bytes.expose()).ok());
        if let Some(pending) = pending.filter(|pending| pending.org.as_deref() == org) {
            let is_durable = self.bindings.has_seed(&pending.seed);
            let mut pairing = Pairing::resume(now, clock, pending);
            if is_durable {
                tell(&mut pairing, &self.clock, pairing::Input::Adopted);
            }
            return Ok(pairing);
        }
        let settings = pairing::Settings {
            api_endpoint: self.api_endpoint.clone(),
            kind: DeviceKind::Viewer,
            mode: if self.bindings.workspaces().is_empty() { PairingMode::New } else { PairingMode::Add },
            org: org.map(str::to_owned),
            name: machine::name(),
            software: machine::SOFTWARE.to_owned(),
        };
        Ok(Pairing::start(now, clock, settings, &fresh_entropy()))
    }

    fn show(&self, show: fn(&Shown, u64), shown: &Shown) {
        show(shown, shown.expires_at.since(self.clock.now()).as_secs());
    }

    async fn adopt(&mut self, paired: Box<Paired>) -> Result<BindingId, Reason> {
        self.bind(binding::Input::Adopt(paired), |output| match output {
            binding::Output::Adopted(id) => Some(Ok(id)),
            binding::Output::Refused(reason) => Some(Err(reason)),
            _ => None,
        })
        .await
    }

    /// Makes a renewed credential durable: what is pinned of the relay now.
    pub(super) async fn renew(&mut self, id: &BindingId, renewal: Box<Renewal>) -> Option<RelayRecord> {
        let input = binding::Input::Renewed { binding: id.clone(), renewal };
        self.bind(input, |output| matches!(output, binding::Output::Saved(_)).then_some(())).await;
        self.bindings.get(id).map(|binding| binding.record().relay.clone())
    }

    /// The relay ended this device's access: record and key go.
    pub(super) async fn forget(&mut self, id: &BindingId, reason: Reason) {
        let input = binding::Input::Revoked { binding: id.clone(), reason };
        self.bind(input, |output| matches!(output, binding::Output::Gone(_)).then_some(())).await;
    }

    /// Hands `input` to the bindings and drives them until they say what is awaited.
    async fn bind<T>(&mut self, input: binding::Input, awaited: impl Fn(binding::Output) -> Option<T>) -> T {
        // The bindings are drained after each input, so there is room, and one adoption at a time.
        let _ = self.bindings.handle_input(self.clock.now(), input);
        loop {
            while let Some(output) = self.bindings.poll_output() {
                if let binding::Output::Effect(effect) = output {
                    self.disk.perform(effect);
                } else if let Some(answer) = awaited(output) {
                    return answer;
                }
            }
            tokio::select! {
                happening = self.disk.next() => {
                    let _ = self.bindings.handle_input(self.clock.now(), binding::Input::Happening(happening));
                }
                () = self.clock.sleep_until(self.bindings.poll_timeout()) => self.bindings.handle_timeout(self.clock.now()),
            }
        }
    }
}

/// A pairing takes every input at any time.
fn tell(pairing: &mut Pairing, clock: &Clock, input: pairing::Input) {
    let _ = pairing.handle_input(clock.now(), input);
}

fn from_files(error: &FileError) -> Failure {
    Failure::about(error.reason(), error)
}
