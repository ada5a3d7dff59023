//! A segment: a file that is appended to until it is full, and then sealed with what it holds.
//!
//! ```text
//! header, 512 bytes, twice ‖ entry ‖ entry ‖ … ‖ contents ‖ trailer, 32 bytes
//!
//! header    magic 8 ‖ number 4 ‖ marker 8 ‖ length of the organization's id 1 ‖ that id ‖ zeros ‖ checksum 4
//! trailer   magic 8 ‖ marker 8 ‖ place of the contents 4 ‖ their length 4 ‖ their checksum 4 ‖ checksum 4
//! ```

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use io_engine::fresh_entropy;
use proto_core::OrgId;

use super::{StoreError, contents::SegmentIndex, entry::Marker, window};

/// Where the entries begin.
pub(super) const ENTRIES: u32 = 1024;
const HEADER: usize = 512;
const TRAILER: usize = 32;
const MAGIC: [u8; 8] = *b"VPRLOG1\n";
const SEALED: [u8; 8] = *b"VPRSEAL\n";

/// An open segment.
#[derive(Debug)]
pub(super) struct LogSegment {
    pub(super) number: u32,
    pub(super) marker: Marker,
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// The file of a segment.
pub(super) fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

/// The number of the segment in a file of this name.
pub(super) fn number_of(name: &str) -> Option<u32> {
    name.strip_suffix(".log").filter(|number| number.len() == 8)?.parse().ok()
}

impl LogSegment {
    /// Makes a segment without entries, over whatever stood there. It is durable once it was synced, and its directory too.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(path: PathBuf, org: &OrgId, number: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let random = fresh_entropy().derive("segment marker");
        let mut marker = [0; 8];
        marker.copy_from_slice(&random.expose()[..8]);
        let header = header(org, number, Marker(marker));
        file.write_all_at(&[header, header].concat(), 0)?;
        Ok(Self { number, marker: Marker(marker), file, path })
    }

    /// Opens one of this organization.
    ///
    /// # Errors
    /// It cannot be read, is none, or is another's.
    pub(super) fn open(path: PathBuf, org: &OrgId, number: u32) -> Result<Self, StoreError> {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let read = opened.and_then(|file| Ok((window::read(&file, 0, ENTRIES as usize, Vec::new())?, file)));
        let (start, file) = read.map_err(|error| StoreError::Files { path: path.clone(), error })?;
        let markers = start.chunks(HEADER).filter_map(|copy| marker_of(copy.first_chunk()?));
        let markers: Vec<_> = markers.take(2).collect();
        let is_ours = |marker: &Marker| start.chunks(HEADER).any(|copy| copy == header(org, number, *marker));
        match markers.iter().find(|marker| is_ours(marker)) {
            Some(marker) => Ok(Self { number, marker: *marker, file, path }),
            None if markers.is_empty() => Err(StoreError::Damaged { path, what: "no valid segment header" }),
            None => Err(StoreError::Damaged { path, what: "the header names another organization or segment number" }),
        }
    }

    /// Writes what it holds behind its entries. It is sealed once that was synced.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn seal(&self, end: u32, contents: &SegmentIndex) -> io::Result<()> {
        let mut bytes = postcard::to_allocvec(contents).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let sum = crc32c::crc32c(&bytes);
        let trailer_at = bytes.len();
        bytes.extend_from_slice(&SEALED);
        bytes.extend_from_slice(&self.marker.0);
        bytes.extend_from_slice(&[end.to_be_bytes(), length.to_be_bytes(), sum.to_be_bytes()].concat());
        let sum = crc32c::crc32c(&bytes[trailer_at..]);
        bytes.extend_from_slice(&sum.to_be_bytes());
        self.file.write_all_at(&bytes, u64::from(end))?;
        self.file.sync_data()
    }

    /// What it holds, when it is sealed and the seal is whole.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn contents(&self) -> io::Result<Option<SegmentIndex>> {
        let length = self.file.metadata()?.len();
        let Some(at) = length.checked_sub(TRAILER as u64) else { return Ok(None) };
        let mut trailer = [0; TRAILER];
        self.file.read_exact_at(&mut trailer, at)?;
        let Some((place, bytes, sum)) = self.sealed(&trailer).filter(|(place, bytes, _)| place + bytes == at) else {
            return Ok(None);
        };
        let bytes = window::read(&self.file, place, usize::try_from(bytes).map_err(io::Error::other)?, Vec::new())?;
        Ok(postcard::from_bytes(&bytes).ok().filter(|_| crc32c::crc32c(&bytes) == sum))
    }

    /// Where its contents are, how long, and their checksum.
    fn sealed(&self, trailer: &[u8; TRAILER]) -> Option<(u64, u64, u32)> {
        let number = |at: usize| Some(u32::from_be_bytes(*trailer.get(at..)?.first_chunk()?));
        let is_whole = crc32c::crc32c(&trailer[..TRAILER - 4]) == number(TRAILER - 4)?;
        let is_ours = trailer[..8] == SEALED && trailer[8..16] == self.marker.0;
        (is_whole && is_ours).then_some((u64::from(number(16)?), u64::from(number(20)?), number(24)?))
    }
}

/// Whether this file was being made when the relay died: shorter than its header, which is written first.
pub(super) fn is_unfinished(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= u64::from(ENTRIES))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn header(org: &OrgId, number: u32, marker: Marker) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let org = org.as_str().as_bytes();
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&number.to_be_bytes());
    bytes[12..20].copy_from_slice(&marker.0);
    // An identifier has at most 128 bytes.
    bytes[20] = u8::try_from(org.len()).unwrap_or(u8::MAX);
    bytes[21..21 + org.len()].copy_from_slice(org);
    let sum = crc32c::crc32c(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn marker_of(header: &[u8; HEADER]) -> Option<Marker> {
    let is_whole = crc32c::crc32c(&header[..HEADER - 4]).to_be_bytes() == header[HEADER - 4..];
    (is_whole && header[..8] == MAGIC).then(|| Marker(*header[12..].first_chunk().unwrap_or(&[0; 8])))
}
