//! Bytes on their way in: in memory while they are few, then in a file without a name, so that a slow sender holds next to
//! nothing.

use crate::http::problem::Problem;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes of one part that stay in memory, and those written at once: with 40 parts in 8 uploads, some tens of megabytes.
const MEMORY_BYTES: usize = 256 << 10;

/// One part of an upload.
pub struct Spool {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
    bytes: usize,
}

impl Spool {
    /// An empty one, whose file will lie in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), memory: Vec::new(), file: None, bytes: 0 }
    }

    /// How many bytes came.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// A folder that takes no file: a failure of ours.
    pub async fn push(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        self.bytes += chunk.len();
        self.memory.extend_from_slice(chunk);
        if self.memory.len() < MEMORY_BYTES {
            return Ok(());
        }
        let (file, memory) = (self.file.take(), std::mem::take(&mut self.memory));
        let folder = self.folder.clone();
        let written = off_thread(move || {
            let mut file = file.map_or_else(|| nameless(&folder), Ok)?;
            file.write_all(&memory)?;
            Ok(file)
        });
        self.file = Some(written.await?);
        Ok(())
    }

    /// All that came, in memory.
    ///
    /// # Errors
    /// A file that cannot be read back: a failure of ours.
    pub async fn into_bytes(self) -> Result<Vec<u8>, Problem> {
        let Self { memory, file, bytes, .. } = self;
        let Some(mut file) = file else { return Ok(memory) };
        off_thread(move || {
            let mut whole = Vec::with_capacity(bytes);
            file.rewind()?;
            file.read_to_end(&mut whole)?;
            whole.extend_from_slice(&memory);
            Ok(whole)
        })
        .await
    }
}

/// A file that its owner's account alone may read, and that is gone when it is closed, also by a kill.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".upload-{:016x}", rand::random::<u64>()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Problem::failure(&format!("an upload could not be kept: {error}"))),
        Err(panic) => Err(Problem::failure(&panic.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_in_pieces_is_whole_again_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        for pieces in [0, 1, 3, 40] {
            let piece: Vec<u8> = (0..MEMORY_BYTES / 3).map(|i| i as u8).collect();
            let mut spool = Spool::new(folder.path());
            for _ in 0..pieces {
                spool.push(&piece).await.unwrap();
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            assert_eq!(spool.file.is_some(), pieces > 3);
            assert_eq!(spool.len(), pieces * piece.len());
            assert_eq!(spool.into_bytes().await.unwrap(), piece.repeat(pieces));
        }
    }
}
