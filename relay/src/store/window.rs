//! A piece of a file in memory, that moves over it.

use std::{fs::File, io};

use memchr::memmem;
use rustix::{buffer::spare_capacity, io::pread};

/// How much is read at once.
const PIECE: usize = 1024 * 1024;

/// What was read of a file lately.
pub(super) struct Window<'a> {
    file: &'a File,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) const fn new(file: &'a File) -> Self {
        Self { file, start: 0, bytes: Vec::new() }
    }

    /// What stands there: as many bytes as were asked for, fewer at the end of the file.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let is_inside = |start: u64, held: usize| {
            let skip = usize::try_from(offset.checked_sub(start)?).ok()?;
            (skip + length <= held).then_some(skip)
        };
        let skip = if let Some(skip) = is_inside(self.start, self.bytes.len()) {
            skip
        } else {
            self.bytes = read(self.file, offset, length.max(PIECE), std::mem::take(&mut self.bytes))?;
            self.start = offset;
            0
        };
        let end = (skip + length).min(self.bytes.len());
        Ok(&self.bytes[skip..end])
    }

    /// Where these bytes stand next, from that offset on.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn find(&mut self, needle: &[u8], mut from: u64) -> io::Result<Option<u64>> {
        loop {
            let piece = self.at(from, PIECE)?;
            if piece.len() < needle.len() {
                return Ok(None);
            }
            if let Some(found) = memmem::find(piece, needle) {
                return Ok(Some(from + found as u64));
            }
            from += (piece.len() + 1 - needle.len()) as u64;
        }
    }
}

/// What stands in a file from an offset on, at most so much, in that buffer, which is not cleared before.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(file: &File, offset: u64, length: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
    buffer.clear();
    buffer.reserve_exact(length);
    while buffer.len() < length {
        // The capacity may be more than was asked for, which does no harm.
        let at = offset + buffer.len() as u64;
        if pread(file, spare_capacity(&mut buffer), at)? == 0 {
            break;
        }
    }
    Ok(buffer)
}
