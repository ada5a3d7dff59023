//! ISO-6, ISO-7, SES-1 to SES-3: where sessions go, and whether they arrive whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use proto_core::{
    Instant, OrgId, SessionId,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Opener, Scope},
    },
    device::{
        control::Attached,
        files::{Document, Grants},
        session::MAX_RETAINED,
    },
    effect::StateFile,
    noise::Noise,
    secret::Secret,
    wire::{Content, Frame, Head, Outcome, Record},
};

use super::{Oracle, Seen, Verdicts};
use crate::{sim::Sim, world::Stored};

/// A session whose directory was looked at before the grant went may still start so much later: its pin is being written.
const STARTING: Duration = Duration::from_secs(1);

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: BTreeMap<SessionId, Known>,
    /// What each command said, as digests in order.
    said: BTreeMap<u64, Vec<u64>>,
    /// What stands in each machine's ledger, and until when something stood there that does not any more.
    granted: BTreeMap<(usize, String, OrgId), Option<Instant>>,
    /// How much each viewer has shown.
    shown: BTreeMap<(usize, SessionId), usize>,
    /// Delivered by their makers, on these machines, and not compared with the store yet.
    to_compare: Vec<(usize, SessionId)>,
    /// Machines whose disks did not keep what they said to keep.
    damaged: BTreeSet<usize>,
}

#[derive(Debug)]
struct Known {
    org: OrgId,
    command: u64,
    secret: Secret,
    cipher: u8,
}

impl Sessions {
    fn attached(&mut self, at: Instant, host: usize, command: u64, place: &str, attached: &Attached, verdicts: &mut Verdicts) {
        let Attached::Streaming { session, org, secret, cipher } = attached else { return };
        if let Some(known) = self.known.get(session) {
            let stays = known.org == org.id;
            return verdicts
                .demand(stays, at, "ISO-7", || format!("laptop-{host}: a session moved from {} to {}", known.org, org.id));
        }
        let grant = self.granted.get(&(host, place.into(), org.id.clone()));
        let is_granted = grant.is_some_and(|ended| ended.is_none_or(|ended| at.since(ended) <= STARTING));
        verdicts.demand(is_granted, at, "ISO-6", || format!("laptop-{host}: {place} streams to {} without a grant", org.id));
        let known = Known { org: org.id.clone(), command, secret: secret.clone(), cipher: *cipher };
        self.known.insert(*session, known);
    }

    fn ledger(&mut self, at: Instant, host: usize, bytes: &[u8]) {
        let Ok(grants) = Grants::parse(bytes) else { return };
        let its = self.granted.iter_mut().filter(|((of, ..), _)| *of == host);
        its.for_each(|(_, ended)| *ended = ended.or(Some(at)));
        self.granted.extend(grants.directories.into_iter().filter_map(|(path, grant)| {
            let org = grant.org_id.as_str().parse().ok()?;
            Some(((host, path, org), None))
        }));
    }

    fn frame(&self, at: Instant, org: Option<&OrgId>, frame: &Frame, verdicts: &mut Verdicts) {
        let (Head::Open { session, .. } | Head::Data { session, .. } | Head::End { session, .. }) = &frame.head else { return };
        let pinned = self.known.get(session).map(|known| &known.org);
        verdicts.demand(pinned.is_some(), at, "ISO-6", || format!("{org:?} gets a session that was not started"));
        verdicts.demand(pinned.is_none() || org.is_none() || pinned == org, at, "ISO-7", || {
            format!("a session of {pinned:?} goes to {org:?}")
        });
    }

    fn shown(&mut self, at: Instant, viewer: usize, session: SessionId, record: &Record, verdicts: &mut Verdicts) {
        let nth = self.shown.entry((viewer, session)).or_default();
        let said = self.known.get(&session).and_then(|known| self.said.get(&known.command)?.get(*nth));
        let place = *nth;
        *nth += 1;
        verdicts.demand(said == Some(&digest(&record.content)), at, "SES-1", || {
            format!("viewer-{viewer} shows a record {place} that was never said")
        });
    }

    fn shown_end(&self, at: Instant, viewer: usize, session: SessionId, verdicts: &mut Verdicts) {
        let shown = self.shown.get(&(viewer, session)).copied().unwrap_or(0);
        let said = self.known.get(&session).and_then(|known| self.said.get(&known.command)).map_or(0, Vec::len);
        verdicts.demand(shown == said, at, "SES-1", || format!("viewer-{viewer} shows an end after {shown} of {said} records"));
    }

    /// A session that its maker calls delivered is in the store, whole and in order, or lies on its machine until it is (SPOOL-2).
    /// Whether it is in the store.
    fn compare<N: Noise>(&self, sim: &Sim<N>, host: usize, session: SessionId, verdicts: &mut Verdicts) -> bool {
        let Some(known) = self.known.get(&session) else { return true };
        let stored = sim.stations.iter().find_map(|station| station.relay.session(session));
        let disk = &sim.hosts[host].laptop.disk;
        let is_durable = disk.keys().any(|file| matches!(file, StateFile::Segment(of, _) if *of == session));
        let is_cut = !disk.contains_key(&StateFile::Session(session));
        let Some(stored) = stored.filter(|stored| stored.ended.is_some()) else {
            verdicts.demand(is_durable || is_cut || self.damaged.contains(&host), sim.now, "SPOOL-2", || {
                format!("laptop-{host}: a session is delivered, and neither a relay nor the machine has all of it")
            });
            return !is_durable;
        };
        if self.damaged.contains(&host) {
            return true;
        }
        self.compare_records(sim.now, known, session, stored, verdicts);
        true
    }

    fn compare_records(&self, now: Instant, known: &Known, session: SessionId, stored: &Stored, verdicts: &mut Verdicts) {
        verdicts.demand(stored.org == known.org, now, "ADM-4", || format!("{} has a session of {}", stored.org, known.org));
        let Some(cipher) = Cipher::from_byte(known.cipher) else { return };
        let scope = Scope { org: known.org.clone(), session, cipher };
        let mut opener = Opener::new(&PureRust, scope, 0, EpochSecret::new(known.secret.clone()));
        let mut records = Vec::new();
        for (sequence, sealed) in (0..).zip(&stored.records) {
            let mut plain = Vec::new();
            let opens = opener.open(sealed.epoch, sequence, &sealed.body, &mut plain).is_ok();
            records.push(if opens { Record::decode(&plain.into()).map_or(0, |record| digest(&record.content)) } else { 0 });
        }
        let said = self.said.get(&known.command);
        verdicts.demand(said == Some(&records) && stored.ended == Some(Outcome::Exited), now, "SES-2", || {
            let said = said.map_or(0, Vec::len);
            format!("a session is delivered: {said} records were said, {} are durable, {:?}", records.len(), stored.ended)
        });
    }
}

fn digest(content: &Content) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

impl<N: Noise + 'static> Oracle<N> for Sessions {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Attached { host, command, directory, attached, .. } => {
                self.attached(at, *host, *command, directory, attached, verdicts);
            }
            Seen::Said { command, content } => self.said.entry(*command).or_default().push(digest(content)),
            Seen::Durable { host, file: StateFile::Grants, contents: Some(contents) } => {
                self.ledger(at, *host, contents.expose());
            }
            Seen::Booted { host, disk } => {
                if let Some(contents) = disk.get(&StateFile::Grants) {
                    self.ledger(at, *host, contents.expose());
                }
            }
            Seen::Frame { device, frame } => self.frame(at, device.map(|device| &device.org), frame, verdicts),
            Seen::Delivered { host, session } => self.to_compare.push((*host, *session)),
            Seen::Damaged { host } => drop(self.damaged.insert(*host)),
            Seen::Shown { viewer, session, record } => self.shown(at, *viewer, *session, record, verdicts),
            Seen::ShownEnd { viewer, session, outcome: Outcome::Exited } => self.shown_end(at, *viewer, *session, verdicts),
            Seen::ViewerRestarted { viewer } => self.shown.retain(|(of, _), _| of != viewer),
            _ => {}
        }
    }

    fn every(&self) -> u64 {
        64
    }

    fn inspect(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        let mut to_compare = std::mem::take(&mut self.to_compare);
        to_compare.retain(|(host, session)| !self.compare(sim, *host, *session, verdicts));
        self.to_compare = to_compare;
        for run in sim.hosts.iter().flat_map(|host| &host.laptop.runs) {
            let kept = run.session.as_ref().map_or(0, proto_core::device::session::Session::pending_bytes);
            verdicts.demand(kept <= MAX_RETAINED + 65_536, sim.now, "SES-3", || format!("a session keeps {kept} bytes"));
        }
    }
}
