//! The store: the one port behind which versions, registers, releases, jobs and the ledger rest.
//!
//! It keeps bytes and what is said of them, and knows nothing of tables or geometry.
//! Immutable things are written once and read whole; the `current` pointer moves in one transaction with its line in
//! the ledger. Digests are SHA-256 in lower-case hexadecimal, and bytes are checked against theirs at every reading.
//! A store has no clock: times are RFC 3339 in UTC and come from the caller.

pub mod desk;
pub mod sqlite;

pub use desk::{Approval, Begun, DecisionEntry, Desk, Draft, KeptAnswer, KeyEntry, Slot, Standing, Why, Withdrawal};
pub use sqlite::SqliteStore;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::pin::Pin;

/// What a [`Store`] gives back: a future that may cross threads, so that the store can be an `Arc<dyn Store>`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A place where things are kept, whichever database is behind it.
///
/// Every write is one transaction: after a kill at any moment the store holds the old state or the new one whole.
pub trait Store: Send + Sync {
    /// Keeps a version of a zoning with the file it was read from.
    ///
    /// The same name, version and digest again is [`Put::Already`], and what was said the first time stands.
    /// Errors: [`StoreError::Taken`] when the version holds other bytes, [`StoreError::TooLarge`],
    /// [`StoreError::Mislabelled`].
    fn put_zoning<'a>(&'a self, entry: &'a ZoningVersion, bytes: Bytes) -> Answer<'a, Put>;
    /// The versions of every zoning, in the order they were kept.
    fn zonings(&self) -> Answer<'_, Vec<ZoningVersion>>;
    /// The version of this zoning kept last.
    fn latest_zoning<'a>(&'a self, zoning: &'a str) -> Answer<'a, Option<ZoningVersion>>;
    /// A version of a zoning with its file. Errors: [`StoreError::Damaged`].
    fn zoning<'a>(&'a self, zoning: &'a str, version: &'a str) -> Answer<'a, Option<Kept<ZoningVersion>>>;

    /// Keeps a register, named by its digest. The same file again is [`Put::Already`], and what was said the first
    /// time stands. Errors: [`StoreError::TooLarge`], [`StoreError::Mislabelled`].
    fn put_register<'a>(&'a self, entry: &'a RegisterEntry, bytes: Bytes) -> Answer<'a, Put>;
    /// The registers, in the order they were kept.
    fn registers(&self) -> Answer<'_, Vec<RegisterEntry>>;
    /// A register with its raw figures; `None` when it is unknown, or when its figures are not held here, as in a
    /// replica that only serves releases. Errors: [`StoreError::Damaged`].
    fn register<'a>(&'a self, digest: &'a str) -> Answer<'a, Option<Kept<RegisterEntry>>>;

    /// Keeps a sealed release. The same id and digest again is [`Put::Already`].
    /// Errors: [`StoreError::Taken`] when the id holds other bytes, [`StoreError::TooLarge`],
    /// [`StoreError::Mislabelled`].
    fn put_release<'a>(&'a self, entry: &'a ReleaseEntry, bytes: Bytes) -> Answer<'a, Put>;
    /// The releases, in the order they were kept.
    fn releases(&self) -> Answer<'_, Vec<ReleaseEntry>>;
    /// A release with its sealed bytes. Errors: [`StoreError::Damaged`].
    fn release<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Kept<ReleaseEntry>>>;
    /// The release being served; `None` before the first, and while the last one is withdrawn.
    /// Errors: [`StoreError::Damaged`].
    fn current(&self) -> Answer<'_, Option<Kept<ReleaseEntry>>>;
    /// What is being served, by name: one short row, cheap enough to be asked every second.
    fn served(&self) -> Answer<'_, Served>;
    /// Serves this release from now on, and writes [`ACT_CURRENT`] in the ledger in the same transaction.
    /// Errors: [`StoreError::Missing`]; [`StoreError::Stands`] when it is withdrawn; [`StoreError::Damaged`], so that the
    /// pointer never leaves a sound release for a damaged one.
    fn set_current<'a>(&'a self, id: &'a str, by: &'a Stamp) -> Answer<'a, LedgerLine>;

    /// Keeps what the owner needs of a kept release to protect later ones against it: raw figures, which rest apart and
    /// are never served. The same bytes again are [`Put::Already`].
    /// Errors: [`StoreError::Missing`] without the release, [`StoreError::Taken`] when it has others,
    /// [`StoreError::TooLarge`], [`StoreError::Mislabelled`].
    fn put_dossier<'a>(&'a self, entry: &'a DossierEntry, bytes: Bytes) -> Answer<'a, Put>;
    /// The dossier of a release; `None` when it is not held here. Errors: [`StoreError::Damaged`].
    fn dossier<'a>(&'a self, release: &'a str) -> Answer<'a, Option<Kept<DossierEntry>>>;

    /// Puts a policy in force, and writes [`ACT_POLICY`] in the ledger in the same transaction.
    /// Errors: [`StoreError::TooLarge`], [`StoreError::Mislabelled`].
    fn set_policy<'a>(&'a self, entry: &'a PolicyEntry, text: Bytes) -> Answer<'a, LedgerLine>;
    /// The policy in force; `None` before the first. Errors: [`StoreError::Damaged`].
    fn policy(&self) -> Answer<'_, Option<Kept<PolicyEntry>>>;

    /// Keeps a new job. Errors: [`StoreError::Taken`] when its id is known, [`StoreError::TooLarge`].
    fn insert_job<'a>(&'a self, job: &'a Job) -> Answer<'a, ()>;
    /// Says how a job stands. Errors: [`StoreError::Missing`], [`StoreError::TooLarge`].
    fn update_job<'a>(&'a self, id: &'a str, state: JobState, updated: &'a str, report: &'a str) -> Answer<'a, ()>;
    /// A job by its id.
    fn job<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Job>>;
    /// The jobs, the newest first, `limit` at most.
    fn jobs(&self, limit: u32) -> Answer<'_, Vec<Job>>;

    /// Adds a line to the ledger.
    fn append<'a>(&'a self, entry: &'a LedgerEntry) -> Answer<'a, LedgerLine>;
    /// The lines numbered above `after` (0 for all), in order, `limit` at most.
    fn ledger(&self, after: u64, limit: u32) -> Answer<'_, Vec<LedgerLine>>;
    /// Every release that was ever served, withdrawn or not, by id, in the order of its first time.
    fn published(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let (mut after, mut ids) = (0, Vec::new());
            loop {
                let page = self.ledger(after, LEDGER_PAGE_LINES).await?;
                let Some(last) = page.last() else { return Ok(ids) };
                after = last.number;
                for line in page.into_iter().filter(|line| line.entry.act == ACT_CURRENT) {
                    if !ids.contains(&line.entry.subject) {
                        ids.push(line.entry.subject);
                    }
                }
            }
        })
    }
    /// Works every hash of the ledger out again.
    fn verify_ledger(&self) -> Answer<'_, LedgerCheck> {
        Box::pin(async move {
            let (mut lines, mut head) = (0, String::new());
            loop {
                let page = self.ledger(lines, LEDGER_PAGE_LINES).await?;
                if page.is_empty() {
                    return Ok(LedgerCheck::Holds { lines, head });
                }
                for line in page {
                    lines += 1;
                    if line.number != lines || line.hash != line.entry.hash(lines, &head) {
                        return Ok(LedgerCheck::Broken { line: lines });
                    }
                    head = line.hash;
                }
            }
        })
    }
}

/// Largest zone file, in bytes. The IRIS of a region are some tens of megabytes; four times that leaves room.
pub const ZONING_BYTES_MAX: usize = 256 << 20;

/// Largest register, in bytes. A file rests in one value and SQLite's stop at 1 000 000 000 bytes; half of it also
/// bounds the memory of an upload, which holds the file twice. A metropolis has some megabytes.
pub const REGISTER_BYTES_MAX: usize = 512 << 20;

/// Largest sealed release, in bytes. Served releases live in memory, several at once, and hold aggregates only.
pub const RELEASE_BYTES_MAX: usize = 256 << 20;

/// Largest JSON text, in bytes, of options or of a report: a hundred thousand rejects of 160 bytes.
pub const JSON_BYTES_MAX: usize = 16 << 20;

/// Lines of the ledger read at once when it is verified: a fraction of a megabyte.
const LEDGER_PAGE_LINES: u32 = 1_000;

/// The act of a ledger line written by [`Store::set_current`]; its subject is the id of the release.
pub const ACT_CURRENT: &str = "release.current";

/// The act of a ledger line that says partners were given a release; its subject is the release's id.
pub const ACT_PARTNERS: &str = "release.partners";

/// The act of a ledger line written by [`Store::set_policy`]; its subject is the version of the policy.
pub const ACT_POLICY: &str = "policy.in_force";

/// Largest dossier, in bytes: the records of some years of a metropolis take some tens of megabytes.
pub const DOSSIER_BYTES_MAX: usize = 512 << 20;

/// Largest policy, in bytes; a real one has a few thousand.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// What is said of a dossier, apart from its raw figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DossierEntry {
    /// The release it belongs to.
    pub release: String,
    /// SHA-256 of its bytes.
    pub digest: String,
}

/// What is said of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    /// Its version, by name.
    pub version: String,
    /// SHA-256 of its text.
    pub digest: String,
    /// When it was put in force.
    pub created: String,
    /// Who did it.
    pub author: String,
}

/// A version of a zoning. It never changes once kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoningVersion {
    /// Name in paths: `secteurs`.
    pub zoning: String,
    /// Version of the perimeter.
    pub version: String,
    /// Name for people, in French.
    pub title: String,
    /// SHA-256 of the uploaded file.
    pub digest: String,
    /// When it was uploaded.
    pub created: String,
    /// Who uploaded it.
    pub author: String,
    /// Why, in the author's words.
    pub reason: String,
    /// How the file is to be read, as JSON.
    pub options: String,
    /// Name of the uploaded file.
    pub file_name: String,
    /// First day on which the perimeter holds (`2026-01-01`); empty when it is not told.
    pub valid_from: String,
    /// Last day on which it holds; empty while it has no end.
    pub valid_to: String,
}

/// What is said of a register, apart from its raw figures. It never changes once kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterEntry {
    /// SHA-256 of the uploaded file, which names the register.
    pub digest: String,
    /// When it was uploaded.
    pub created: String,
    /// Who uploaded it.
    pub author: String,
    /// Name of the uploaded file.
    pub file_name: String,
    /// How the file is to be read, as JSON.
    pub options: String,
}

/// What is said of a release. It never changes once kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseEntry {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub created: String,
    /// SHA-256 of the sealed bytes.
    pub digest: String,
}

/// What the public is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// Nothing yet.
    Nothing,
    /// The release of this id.
    Release(String),
    /// Nothing any more: the release that was served last was taken back.
    Withdrawn(Withdrawal),
}

/// An entry with its bytes, whose digest held when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<E> {
    /// What is said of the bytes.
    pub entry: E,
    /// The bytes as they were given.
    pub bytes: Bytes,
}

/// What became of something put into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was not there.
    New,
    /// The same bytes were there under the same name; nothing changed.
    Already,
}

/// A piece of work and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name, given by the caller.
    pub id: String,
    /// What it does, as a stable code.
    pub kind: String,
    /// How it stands.
    pub state: JobState,
    /// When it was asked for.
    pub created: String,
    /// When it last changed.
    pub updated: String,
    /// Who asked for it.
    pub author: String,
    /// What was asked, as JSON, so that it can be asked again.
    pub request: String,
    /// What there is to say of it, as JSON, without any raw figure.
    pub report: String,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Nobody has begun.
    Queued,
    /// Somebody is at it.
    Running,
    /// It ended well.
    Done,
    /// It ended badly; the report says why.
    Failed,
    /// Its process ended before it did.
    Interrupted,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Interrupted];

    /// The stable code of this state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Who acts, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: String,
    /// Who.
    pub author: String,
}

/// An act worth remembering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// When.
    pub at: String,
    /// Who.
    pub author: String,
    /// What was done, as a stable code.
    pub act: String,
    /// What it was done to.
    pub subject: String,
    /// SHA-256 of the thing; empty when it has none.
    pub digest: String,
}

impl LedgerEntry {
    /// The hash of this entry as line `number`, chained to the hash of the line before (empty for the first).
    ///
    /// SHA-256 over each field after its length (eight bytes, the most significant first), so that no letter can move
    /// from a field to its neighbour.
    pub fn hash(&self, number: u64, previous: &str) -> String {
        let mut hasher = Sha256::new();
        let number = number.to_string();
        for field in [&number, previous, &self.at, &self.author, &self.act, &self.subject, &self.digest] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        format!("{:x}", hasher.finalize())
    }
}

/// A line of the ledger. Lines are only ever added, and each seals those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// Its place, from 1.
    pub number: u64,
    /// The act.
    pub entry: LedgerEntry,
    /// Its [`LedgerEntry::hash`].
    pub hash: String,
}

/// What a ledger's hashes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerCheck {
    /// Every line holds.
    Holds {
        /// How many lines there are.
        lines: u64,
        /// Hash of the last one, empty without lines. Lines cut from the end leave a chain that holds: only a copy of
        /// this hash kept elsewhere shows the cut.
        head: String,
    },
    /// A line was altered, lost or slipped in.
    Broken {
        /// The first place that does not hold, from 1.
        line: u64,
    },
}

/// Why the store did not do what was asked. No text holds a raw figure.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The place of the store cannot be entered or made.
    #[error("cannot open the store at `{place}`")]
    Place {
        /// The directory.
        place: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The store was written by a newer arpent, or by something else; it was left as it is.
    #[error(
        "store at `{place}`: found schema version {found}, expected 0 to {newest}; open it with the arpent that wrote it"
    )]
    Schema {
        /// The database.
        place: String,
        /// Version found.
        found: i64,
        /// The newest version this arpent knows.
        newest: i64,
    },
    /// The database did not do its work.
    #[error("the store at `{place}` could not {doing}")]
    Database {
        /// The database.
        place: String,
        /// What it was doing.
        doing: &'static str,
        /// The cause.
        source: sqlx::Error,
    },
    /// The name is in use, and what it names never changes.
    #[error("{what} `{name}`: found other content under this name, expected a name not yet in use")]
    Taken {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Nothing bears this name.
    #[error("{what} `{name}`: found nothing under this name, expected one that is in the store")]
    Missing {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It stands elsewhere than the act asks; nothing was done.
    #[error("{what} `{name}`: found {found}, expected {expected}")]
    Stands {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// How it stands.
        found: String,
        /// How it should stand.
        expected: &'static str,
    },
    /// The bytes given are not those of the digest given; nothing was kept.
    #[error("{what} `{name}`: found bytes of another digest, expected the digest given with them")]
    Mislabelled {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The bytes in the store are no longer those which were kept.
    #[error("{what} `{name}`: found damaged bytes in the store, expected those of its digest; restore a backup")]
    Damaged {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// More bytes than the store takes; nothing was kept.
    #[error("{what} `{name}`: found {found} bytes, expected {limit} at most")]
    TooLarge {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// Bytes found.
        found: usize,
        /// Bytes at most.
        limit: usize,
    },
}

/// The SHA-256 of these bytes, in lower-case hexadecimal. It lets other tasks run between two pieces of a large file.
pub async fn digest(bytes: &[u8]) -> String {
    /// A millisecond or two of work.
    const PIECE_BYTES: usize = 1 << 20;
    let mut hasher = Sha256::new();
    for piece in bytes.chunks(PIECE_BYTES) {
        hasher.update(piece);
        tokio::task::yield_now().await;
    }
    format!("{:x}", hasher.finalize())
}

/// A kind of thing and its name, for the checks every backend makes.
struct Named {
    what: &'static str,
    name: String,
}

impl Named {
    fn new(what: &'static str, name: &str) -> Self {
        Self { what, name: name.to_owned() }
    }

    fn within(&self, found: usize, limit: usize) -> Result<(), StoreError> {
        if found > limit {
            return Err(StoreError::TooLarge { what: self.what, name: self.name.clone(), found, limit });
        }
        Ok(())
    }

    /// Bytes on their way in.
    async fn labelled(&self, expected: &str, bytes: &[u8], limit: usize) -> Result<(), StoreError> {
        self.within(bytes.len(), limit)?;
        if digest(bytes).await != expected {
            return Err(self.mislabelled());
        }
        Ok(())
    }

    fn mislabelled(&self) -> StoreError {
        StoreError::Mislabelled { what: self.what, name: self.name.clone() }
    }

    /// Bytes on their way out.
    async fn sound(self, expected: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if digest(bytes).await != expected {
            return Err(self.damaged());
        }
        Ok(())
    }

    fn damaged(self) -> StoreError {
        StoreError::Damaged { what: self.what, name: self.name }
    }

    fn taken(self) -> StoreError {
        StoreError::Taken { what: self.what, name: self.name }
    }

    fn missing(self) -> StoreError {
        StoreError::Missing { what: self.what, name: self.name }
    }

    fn stands(self, found: impl Into<String>, expected: &'static str) -> StoreError {
        StoreError::Stands { what: self.what, name: self.name, found: found.into(), expected }
    }
}

impl ZoningVersion {
    fn named(&self) -> Named {
        Named { what: "zoning", name: format!("{} {}", self.zoning, self.version) }
    }
}

impl RegisterEntry {
    fn named(&self) -> Named {
        Named::new("register", &self.digest)
    }
}

impl DossierEntry {
    fn named(&self) -> Named {
        Named::new("dossier", &self.release)
    }
}

impl PolicyEntry {
    fn named(&self) -> Named {
        Named::new("policy", &self.version)
    }
}

impl ReleaseEntry {
    fn named(&self) -> Named {
        Named::new("release", &self.id)
    }
}

#[cfg(test)]
pub(crate) mod rules;
