//! Files made before: a release never changes, so a file of it is made once, as long as there is room.

use super::Wanted;
use crate::http::problem::Problem;
use crate::http::state::Shelved;
use axum::body::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Most bytes kept: every file of a territory with its vintages takes a few megabytes.
const BYTES_MAX: usize = 64 << 20;

/// Most sizes remembered: a catalogue asks for tens a release.
const SIZES_MAX: usize = 10_000;

/// Files made at the same time: they take the processor from those who ask for figures.
const MADE_AT_ONCE: usize = 2;

/// The files made before, shared by the handlers.
#[derive(Clone)]
pub struct Files(Arc<Shared>);

struct Shared {
    kept: Mutex<Kept>,
    turns: Semaphore,
}

#[derive(Default)]
struct Kept {
    /// By release and name: the bytes, and when they were last asked for.
    files: HashMap<String, (Bytes, u64)>,
    bytes: usize,
    clock: u64,
    /// By release and name, how long a file is, for catalogues: known though the file may be gone.
    sizes: HashMap<String, u64>,
}

impl Default for Files {
    fn default() -> Self {
        Self(Arc::new(Shared { kept: Mutex::default(), turns: Semaphore::new(MADE_AT_ONCE) }))
    }
}

impl Files {
    /// The bytes of a file, made away from the threads that answer requests.
    ///
    /// # Errors
    /// A failure of ours.
    pub async fn of(&self, shelved: &Arc<Shelved>, wanted: &Wanted) -> Result<Bytes, Problem> {
        let key = key(shelved, wanted);
        if let Some(bytes) = self.kept(&key) {
            return Ok(bytes);
        }
        let _turn = self.0.turns.acquire().await.map_err(|e| Problem::failure(&e.to_string()))?;
        // Who waited may find that somebody else had it made.
        if let Some(bytes) = self.kept(&key) {
            return Ok(bytes);
        }
        let (shelved, wanted) = (shelved.clone(), wanted.clone());
        let made = tokio::task::spawn_blocking(move || wanted.encode(&shelved));
        let bytes = made.await.map_err(|e| Problem::failure(&e.to_string()))?;
        let bytes = Bytes::from(bytes.map_err(|e| Problem::failure(&e.to_string()))?);
        self.keep(key, bytes.clone());
        Ok(bytes)
    }

    /// How long a file is; it is made once to know.
    ///
    /// # Errors
    /// A failure of ours.
    pub async fn size_of(&self, shelved: &Arc<Shelved>, wanted: &Wanted) -> Result<u64, Problem> {
        let key = key(shelved, wanted);
        if let Some(size) = self.lock().sizes.get(&key) {
            return Ok(*size);
        }
        let size = self.of(shelved, wanted).await?.len() as u64;
        let mut kept = self.lock();
        if kept.sizes.len() >= SIZES_MAX {
            kept.sizes.clear();
        }
        kept.sizes.insert(key, size);
        Ok(size)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A lock is poisoned by a panic of its holder; at worst a file is counted that is not there.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, key: &str) -> Option<Bytes> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let (bytes, asked) = kept.files.get_mut(key)?;
        *asked = now;
        Some(bytes.clone())
    }

    fn keep(&self, key: String, bytes: Bytes) {
        self.lock().keep(key, bytes, BYTES_MAX);
    }
}

fn key(shelved: &Shelved, wanted: &Wanted) -> String {
    format!("{} {}", shelved.release.id, wanted.file_name())
}

impl Kept {
    /// Keeps a file, and lets those go that nobody has asked for in the longest time.
    fn keep(&mut self, key: String, bytes: Bytes, most: usize) {
        self.clock += 1;
        self.bytes += bytes.len();
        if let Some((before, _)) = self.files.insert(key, (bytes, self.clock)) {
            self.bytes -= before.len();
        }
        while self.bytes > most {
            let oldest = self.files.iter().min_by_key(|(_, (_, asked))| *asked).map(|(key, _)| key.clone());
            let Some((gone, _)) = oldest.and_then(|key| self.files.remove(&key)) else { break };
            self.bytes -= gone.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_is_kept_within_the_bound() {
        let mut kept = Kept::default();
        let file = |size: usize| Bytes::from(vec![0; size]);
        for (key, size, left) in [
            ("a", 4, "a"),
            ("b", 4, "ab"),
            ("c", 2, "abc"),
            ("a", 3, "abc"),
            ("d", 2, "acd"),
            ("e", 11, ""),
            ("f", 10, "f"),
        ] {
            kept.keep(key.to_owned(), file(size), 10);
            let mut keys: Vec<&str> = kept.files.keys().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(keys.concat(), left, "after {key}");
            assert_eq!(kept.bytes, kept.files.values().map(|file| file.0.len()).sum::<usize>());
        }
    }
}
