//! A file that several readers read side by side, page by page, each into memory of its own that it uses again: asking the
//! system for memory, or for the length of the file, costs more than many a page.

use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::{Bytes, BytesMut};

use super::table::Input;

/// Bytes read for the header of a page, which has under a hundred.
const HEADER_BYTES: usize = 1024;

/// Why a stream is no file of pages.
const FORWARDS: &str = "a stream is read forwards alone";

/// An input, and how long it is.
pub(super) struct Source {
    input: Input,
    length: u64,
}

impl Source {
    pub(super) fn new(input: Input) -> Arc<Self> {
        let length = Length::len(&input);
        Arc::new(Self { input, length })
    }

    /// Ranges are checked against the length first: a damaged footer must not make us reserve memory for bytes which do
    /// not exist.
    fn has(&self, start: u64, length: usize) -> Result<()> {
        match start.checked_add(length as u64) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(ParquetError::EOF("a range past the end of the file".to_owned())),
        }
    }
}

/// One reader of an input.
pub(super) struct PageReader {
    source: Arc<Source>,
    /// The page that was read last. Once nobody else holds it, its memory takes the next.
    last: Mutex<Bytes>,
}

impl PageReader {
    pub(super) fn new(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), last: Mutex::new(Bytes::new()) }
    }
}

impl Length for PageReader {
    fn len(&self) -> u64 {
        self.source.length
    }
}

impl ChunkReader for PageReader {
    type T = BufReader<Onwards>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.source.has(start, 0)?;
        let onwards = Onwards { source: Arc::clone(&self.source), start };
        Ok(BufReader::with_capacity(HEADER_BYTES, onwards))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.source.has(start, length)?;
        let file = match &self.source.input {
            Input::File(file) => file,
            Input::Bytes(bytes) => return Ok(bytes.slice(start as usize..start as usize + length)),
            Input::Stream { .. } => return Err(ParquetError::General(FORWARDS.to_owned())),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = std::mem::take(&mut *last).try_into_mut().unwrap_or_else(|_| BytesMut::zeroed(length));
        bytes.resize(length, 0);
        file.read_exact_at(&mut bytes, start)?;
        *last = bytes.freeze();
        Ok(last.clone())
    }
}

/// The bytes from some place on, read without moving the place that other readers of the file share.
pub(super) struct Onwards {
    source: Arc<Source>,
    start: u64,
}

impl Read for Onwards {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = match &self.source.input {
            Input::File(file) => file.read_at(into, self.start)?,
            Input::Bytes(bytes) => {
                let left = usize::try_from(self.start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
                let n = left.len().min(into.len());
                into[..n].copy_from_slice(&left[..n]);
                n
            }
            Input::Stream { .. } => return Err(std::io::Error::other(FORWARDS)),
        };
        self.start += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_read_is_what_the_input_holds_and_stays_so_while_it_is_held() {
        let bytes: Vec<u8> = (0..(1_usize << 20) + 17).map(|i| (i * 31 / 7 % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        for input in [Input::File(file), bytes.clone().into()] {
            let reader = PageReader::new(&Source::new(input));
            let mut held: Vec<(usize, Bytes)> = Vec::new();
            for step in 0..300 {
                let start = step * 7_919_003 % (bytes.len() + 1);
                let length = [step, step * 104_729 % 50_000][step % 2];
                let found = reader.get_bytes(start as u64, length).ok();
                assert_eq!(found.as_deref(), bytes.get(start..start + length), "{length} bytes from {start}");
                let mut read = Vec::new();
                reader.get_read(start as u64).unwrap().take(3_000).read_to_end(&mut read).unwrap();
                assert_eq!(read, bytes[start..bytes.len().min(start + 3_000)], "from {start}");
                // Some pages are let go before the next is read, and some are held.
                held.extend(found.filter(|_| step % 3 > 0).map(|found| (start, found)));
                held = held.split_off(held.len().saturating_sub(5));
                for (start, found) in &held {
                    assert_eq!(found, &bytes[*start..start + found.len()], "held from {start}");
                }
            }
            assert!(reader.get_bytes(u64::MAX, 1).is_err() && reader.get_bytes(0, usize::MAX).is_err());
            assert!(reader.get_read(bytes.len() as u64 + 1).is_err());
        }
    }
}
