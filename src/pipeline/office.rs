//! The acts of staff over the store: keys, versions sent and restored, drafts, approvals, publishing, going back.
//!
//! Two thin doors stand before it, the command line and `/api/v1`. It answers in JSON, which both show as it is and
//! which holds counts, names and codes, never a raw figure.

mod drafts;
mod intake;
mod jobs;
mod keys;
mod registers;
mod review;
mod shown;
mod whatif;
mod words;

pub use intake::{Checked, GroupReading, Sending, Territory, ZoneReading, ZoningSent, packed};
pub use jobs::{Started, UnderWay};
pub use registers::{RegisterSent, parsed_mapping};
pub use review::{LINES_MAX, NEAR_M_MAX, ReviewAsked, Reviewed, TOP_MAX};
pub use shown::{ForPartners, Shown, Withdrawn};

use crate::config::Publication;
use crate::model::reject::parted;
use crate::model::{Reject, Role};
use crate::store::{Begun, Desk, Stamp, StoreError, Why};
pub use crate::store::{KeptAnswer, REGISTER_BYTES_MAX, Slot};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the operator settles of publications.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The partners who must approve a draft.
    pub approvals: Vec<String>,
    /// By zoning, how many zones its contract names.
    pub expected: BTreeMap<String, usize>,
    /// What drafts say of their data unless they say it themselves.
    pub publication: Publication,
    /// Where files lie while they come in: registers are among them, so a place for the owner's account alone is best.
    pub spool: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        let (approvals, expected, publication) = Default::default();
        Self { approvals, expected, publication, spool: std::env::temp_dir() }
    }
}

/// The office: every act of staff, over one store. Clones share it.
#[derive(Clone)]
pub struct Office(Arc<Inside>);

struct Inside {
    desk: Arc<dyn Desk>,
    settings: Settings,
    shown: shown::Board,
    jobs: jobs::Jobs,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Public name of the key; empty for the operator of this machine.
    pub key: String,
    /// As the history names them.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// Why an act was not done: place, found, expected. No text holds a raw figure.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What sort of no it is.
    pub kind: FaultKind,
    /// A stable code, for programs.
    pub code: &'static str,
    /// What is meant.
    pub place: String,
    /// What was found there.
    pub found: String,
    /// What would have been accepted.
    pub expected: String,
    /// What was refused, row by row.
    pub rejects: Vec<Reject>,
    /// What else there is to read, as a report; null when there is nothing.
    pub report: Value,
}

/// Sorts of no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing bears this name.
    Unknown,
    /// What was sent is wrong.
    Wrong,
    /// Things stand otherwise than the act asks.
    Conflict,
    /// Too much is under way.
    Busy,
    /// A failure of ours; `found` holds the cause, which goes to the log alone.
    Broken,
}

impl Fault {
    /// What it says beside place, found and expected, for reports.
    pub fn more(&self) -> Map<String, Value> {
        words::more(self)
    }

    fn new(
        kind: FaultKind,
        code: &'static str,
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (place, found, expected) = (place.into(), found.into(), expected.into());
        Self { kind, code, place, found, expected, rejects: Vec::new(), report: Value::Null }
    }

    fn unknown(place: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(FaultKind::Unknown, "unknown", place, "nothing under this name", expected)
    }

    fn wrong<P: Into<String>, F: Into<String>, E: Into<String>>(
        code: &'static str,
        place: P,
        found: F,
        expected: E,
    ) -> Self {
        Self::new(FaultKind::Wrong, code, place, found, expected)
    }

    fn conflict<P: Into<String>, F: Into<String>, E: Into<String>>(
        code: &'static str,
        place: P,
        found: F,
        expected: E,
    ) -> Self {
        Self::new(FaultKind::Conflict, code, place, found, expected)
    }

    /// What a sentence says, which may say itself what was found where, and what was expected.
    fn said(kind: FaultKind, code: &'static str, place: &str, sentence: &str, expected: &str) -> Self {
        let Some((of, found, expected)) = parted(sentence) else {
            return Self::new(kind, code, place, sentence, expected);
        };
        let place = match of {
            "" => place.to_owned(),
            of if of.starts_with(place) => of.to_owned(),
            of => format!("{place}, {of}"),
        };
        Self::new(kind, code, place, found, expected)
    }

    fn broken(cause: impl std::fmt::Display) -> Self {
        Self::new(FaultKind::Broken, "failure", "service", cause.to_string(), "none")
    }
}

/// One sentence, then a line for each thing refused.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: found {}, expected {}", self.place, self.found, self.expected)?;
        self.rejects.iter().try_for_each(|reject| write!(f, "\n  {reject}"))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { what, name } => Self::unknown(format!("{what} `{name}`"), "one that is in the store"),
            StoreError::Taken { what, name } => {
                let expected = "a name not yet in use; what it names never changes";
                Self::conflict("taken", format!("{what} `{name}`"), "other content under this name", expected)
            }
            StoreError::Stands { what, name, found, expected } => {
                Self::conflict("stands_otherwise", format!("{what} `{name}`"), found, expected)
            }
            StoreError::TooLarge { what, name, found, limit } => {
                let place = format!("{what} `{name}`");
                Self::wrong("too_large", place, format!("{found} bytes"), format!("{limit} bytes at most"))
            }
            broken @ (StoreError::Place { .. }
            | StoreError::Schema { .. }
            | StoreError::Database { .. }
            | StoreError::Mislabelled { .. }
            | StoreError::Damaged { .. }) => {
                let source = std::error::Error::source(&broken).map(ToString::to_string).unwrap_or_default();
                Self::broken(format!("{broken} {source}"))
            }
        }
    }
}

impl Who {
    /// The operator of this machine, who holds the data directory: the owner, under this name.
    pub fn operator(name: &str) -> Self {
        Self { key: String::new(), name: name.to_owned(), role: Role::Owner }
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: now(), author: self.name.clone() }
    }
}

impl Office {
    /// An office over a store. `show` is told what the public is to be served, each time that changes.
    pub fn new(desk: Arc<dyn Desk>, settings: Settings, show: impl Fn(Shown) + Send + Sync + 'static) -> Self {
        let (shown, jobs) = (shown::Board::new(show), jobs::Jobs::default());
        Self(Arc::new(Inside { desk, settings, shown, jobs }))
    }

    /// An office over the store of a data directory, for one act of the command line.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub async fn of_directory(data: &Path, settings: Settings) -> Result<Self, Fault> {
        let store = crate::store::SqliteStore::open(data).await?;
        Ok(Self::new(Arc::new(store), settings, |_| ()))
    }

    fn desk(&self) -> &dyn Desk {
        &*self.0.desk
    }

    /// What a process that begins to serve owes to the one before it: jobs under way then are marked as interrupted, and
    /// answers that never came may be asked for again.
    ///
    /// # Errors
    /// The store's.
    pub async fn take_over(&self) -> Result<(), Fault> {
        let interrupted = self.desk().interrupt_jobs(&now()).await?;
        if !interrupted.is_empty() {
            tracing::warn!(
                "{} jobs were under way when the service ended last; they can be asked again",
                interrupted.len()
            );
        }
        Ok(self.desk().drop_unanswered().await?)
    }

    /// Every release kept, where it stands, and how it was taken back.
    ///
    /// # Errors
    /// The store's.
    pub async fn releases(&self) -> Result<Value, Fault> {
        let standings = self.desk().standings().await?;
        Ok(json!({ "releases": standings.iter().map(words::release).collect::<Vec<_>>() }))
    }

    /// One release.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn release(&self, id: &str) -> Result<Value, Fault> {
        let standings = self.desk().standings().await?;
        let found = standings.iter().find(|s| s.entry.id == id);
        found.map(words::release).ok_or_else(|| Fault::unknown(format!("release `{id}`"), "one of /api/v1/releases"))
    }

    /// Takes a release back, for good; the public is then told why, and nothing is served in its place.
    ///
    /// # Errors
    /// No reason; a release that was never served, or is withdrawn already; the store's.
    pub async fn withdraw(&self, who: &Who, release: &str, reason: &str) -> Result<Value, Fault> {
        self.desk().withdraw(release, &why(who, reason)?).await?;
        self.refresh().await?;
        self.release(release).await
    }

    /// Serves an earlier release again.
    ///
    /// # Errors
    /// No reason; a release that is served, was never served or is withdrawn; the store's.
    pub async fn roll_back(&self, who: &Who, release: &str, reason: &str) -> Result<Value, Fault> {
        self.desk().roll_back(release, &why(who, reason)?).await?;
        self.refresh().await?;
        self.release(release).await
    }

    /// The history of acts, from the line after this one.
    ///
    /// # Errors
    /// The store's.
    pub async fn history(&self, after: u64) -> Result<Value, Fault> {
        let lines = self.desk().ledger(after, HISTORY_LINES).await?;
        let last = lines.last().map_or(after, |line| line.number);
        let reasons: BTreeMap<u64, String> =
            self.desk().reasons(after, HISTORY_LINES).await?.into_iter().filter(|(line, _)| *line <= last).collect();
        Ok(json!({ "lines": lines.iter().map(|l| words::line(l, reasons.get(&l.number))).collect::<Vec<_>>() }))
    }

    /// Looks whether a request of this name was answered before, and takes its place when not.
    ///
    /// # Errors
    /// Another request was sent under this name, or the same one is under way; the store's.
    pub async fn once(&self, who: &Who, name: &str, request: &str) -> Result<Once, Fault> {
        let slot = Slot { key: who.key.clone(), name: name.to_owned(), digest: request.to_owned() };
        let place = "header `Idempotency-Key`";
        match self.desk().begin_answer(&slot, &now()).await? {
            Begun::New => Ok(Once::New(slot)),
            Begun::Answered(answer) => Ok(Once::Again(answer)),
            Begun::UnderWay => {
                let found = "a request under way with this key";
                Err(Fault::conflict("under_way", place, found, "its answer; ask again in a moment"))
            }
            Begun::Other => {
                let found = "the key of another request";
                Err(Fault::wrong("idempotency_key_reused", place, found, "a key of its own for each request"))
            }
        }
    }

    /// Keeps an answer for whoever asks the same again; `None` gives its place back, since nothing was done.
    ///
    /// # Errors
    /// The store's.
    pub async fn answered(&self, slot: &Slot, answer: Option<&KeptAnswer>) -> Result<(), Fault> {
        match answer {
            Some(answer) => Ok(self.desk().end_answer(slot, answer).await?),
            None => Ok(self.desk().drop_answer(slot).await?),
        }
    }
}

/// Whether a request was answered before.
pub enum Once {
    /// It was not; its place is taken.
    New(Slot),
    /// It was, so.
    Again(KeptAnswer),
}

/// Lines of the history given at once; a page of some hundred kilobytes.
const HISTORY_LINES: u32 = 1_000;

/// Longest reason, in characters: some sentences, which the public may read.
const REASON_CHARS_MAX: usize = 2_000;

fn why(who: &Who, reason: &str) -> Result<Why, Fault> {
    Ok(Why { by: who.stamp(), reason: reasoned(reason)?.to_owned() })
}

/// A reason that says something.
fn reasoned(reason: &str) -> Result<&str, Fault> {
    match reason.trim() {
        "" => Err(Fault::wrong("reason_missing", "`reason`", "no word", "why this is done, for the history")),
        reason if reason.chars().count() > REASON_CHARS_MAX => {
            let found = format!("{} characters", reason.chars().count());
            Err(Fault::wrong("reason_too_long", "`reason`", found, format!("{REASON_CHARS_MAX} at most")))
        }
        reason => Ok(reason),
    }
}

/// The time of an act.
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A new name: 64 bits drawn at random, so that two never meet.
fn new_name() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind};

    #[test]
    fn a_sentence_that_says_place_found_and_expected_is_no_part_of_another() {
        for (sentence, place, found, expected) in [
            ("it is late", "release", "it is late", "none"),
            ("release 7: found no list, expected one", "release 7", "no list", "one"),
            ("vintage 2024: found a cell, expected none", "release, vintage 2024", "a cell", "none"),
            ("found a cell, expected another cut", "release", "a cell", "another cut"),
        ] {
            let fault = Fault::said(FaultKind::Conflict, "code", "release", sentence, "none");
            assert_eq!((&*fault.place, &*fault.found, &*fault.expected), (place, found, expected));
        }
    }
}
