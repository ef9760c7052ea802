//! What the acts of staff keep: keys, drafts and their approvals, withdrawals, reports, answers given once.

use super::{Answer, LedgerLine, Put, RegisterEntry, ReleaseEntry, Stamp, Store, ZoningVersion};
use crate::model::Stage;
use bytes::Bytes;

/// The part of the store that staff work at. Each act and its line in the ledger are one transaction.
pub trait Desk: Store {
    /// Keeps a key by the digest of its secret, and writes [`ACT_KEY`]. Errors: [`super::StoreError::Taken`].
    fn put_key<'a>(&'a self, entry: &'a KeyEntry, by: &'a Stamp) -> Answer<'a, LedgerLine>;
    /// The keys, in the order they were made, revoked ones included.
    fn keys(&self) -> Answer<'_, Vec<KeyEntry>>;
    /// A key by its public name.
    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Option<KeyEntry>>;
    /// Revokes a key for good, and writes [`ACT_KEY_REVOKED`].
    /// Errors: [`super::StoreError::Missing`], [`super::StoreError::Stands`] when it is revoked already.
    fn revoke_key<'a>(&'a self, id: &'a str, by: &'a Stamp) -> Answer<'a, LedgerLine>;

    /// Keeps a version of a zoning with the report of its reading, and writes [`ACT_ZONING`] when it is new.
    /// Errors: as [`Store::put_zoning`].
    fn take_zoning<'a>(&'a self, entry: &'a ZoningVersion, bytes: Bytes, report: &'a str) -> Answer<'a, Put>;
    /// Keeps a register with the report of its reading, and writes [`ACT_REGISTER`] when it is new.
    /// Errors: as [`Store::put_register`].
    fn take_register<'a>(&'a self, entry: &'a RegisterEntry, bytes: Bytes, report: &'a str) -> Answer<'a, Put>;
    /// The report kept with a register, by its digest, or with a version of a zoning, by `zoning version`.
    fn report<'a>(&'a self, subject: &'a str) -> Answer<'a, Option<String>>;

    /// Keeps another reading of a register that is there: how it is read from now on, and the report of that. Writes
    /// [`ACT_REGISTER_READ_AGAIN`]. Errors: [`super::StoreError::Missing`], [`super::StoreError::TooLarge`].
    fn reread_register<'a>(&'a self, entry: &'a RegisterEntry, report: &'a str) -> Answer<'a, LedgerLine>;
    /// Keeps how the columns of a sender's registers are named, in place of what was kept; nothing forgets it.
    /// Errors: [`super::StoreError::TooLarge`].
    fn put_mapping<'a>(&'a self, sender: &'a str, mapping: Option<&'a str>) -> Answer<'a, ()>;
    /// How the columns of a sender's registers are named.
    fn mapping<'a>(&'a self, sender: &'a str) -> Answer<'a, Option<String>>;

    /// Keeps decisions about establishments after those there are, all or none, and writes [`ACT_DECISION`] for each.
    /// Errors: [`super::StoreError::Taken`], [`super::StoreError::TooLarge`], [`super::StoreError::Mislabelled`].
    fn put_decisions<'a>(&'a self, entries: &'a [DecisionEntry]) -> Answer<'a, Vec<LedgerLine>>;
    /// The decisions, in the order they were kept. Errors: [`super::StoreError::Damaged`].
    fn decisions(&self) -> Answer<'_, Vec<DecisionEntry>>;

    /// Marks the jobs that nobody works at any more: those queued or under way. Gives their ids.
    fn interrupt_jobs<'a>(&'a self, at: &'a str) -> Answer<'a, Vec<String>>;

    /// Keeps a new draft. Errors: [`super::StoreError::Taken`].
    fn insert_draft<'a>(&'a self, draft: &'a Draft) -> Answer<'a, ()>;
    /// Writes how a draft stands, if it still stands at `from`.
    /// Errors: [`super::StoreError::Missing`], [`super::StoreError::Stands`].
    fn update_draft<'a>(&'a self, draft: &'a Draft, from: Stage) -> Answer<'a, ()>;
    /// A draft by its id.
    fn draft<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Draft>>;
    /// The drafts, the newest first, `limit` at most.
    fn drafts(&self, limit: u32) -> Answer<'_, Vec<Draft>>;
    /// Keeps the approval of a partner, and writes [`ACT_APPROVED`]. A second one of the same partner changes nothing.
    /// Errors: [`super::StoreError::Missing`], [`super::StoreError::Stands`] when it is no draft any more.
    fn approve<'a>(&'a self, approval: &'a Approval) -> Answer<'a, Put>;
    /// The approvals of a draft, in the order they were given.
    fn approvals<'a>(&'a self, draft: &'a str) -> Answer<'a, Vec<Approval>>;

    /// Serves the release of a draft from now on.
    ///
    /// Everything is looked at again in the transaction that moves the pointer: the draft is one, every partner of
    /// `required` approved, the policy is that of the draft, and nothing was published since it was made.
    /// Errors: [`super::StoreError::Missing`], [`super::StoreError::Stands`], [`super::StoreError::Damaged`].
    fn publish<'a>(&'a self, draft: &'a str, required: &'a [String], why: &'a Why) -> Answer<'a, LedgerLine>;
    /// Takes back a release that is or was served, for good, and writes [`ACT_WITHDRAWN`].
    /// Errors: [`super::StoreError::Missing`], [`super::StoreError::Stands`].
    fn withdraw<'a>(&'a self, release: &'a str, why: &'a Why) -> Answer<'a, LedgerLine>;
    /// Serves an earlier release again, and writes [`ACT_ROLLED_BACK`] before [`super::ACT_CURRENT`].
    /// Errors: [`super::StoreError::Missing`], [`super::StoreError::Stands`], [`super::StoreError::Damaged`].
    fn roll_back<'a>(&'a self, release: &'a str, why: &'a Why) -> Answer<'a, LedgerLine>;
    /// Every release kept, in the order they were, and where it stands.
    fn standings(&self) -> Answer<'_, Vec<Standing>>;
    /// The reasons given with lines of the ledger numbered above `after`, by line.
    fn reasons(&self, after: u64, limit: u32) -> Answer<'_, Vec<(u64, String)>>;

    /// Takes the place of an answer to be given once, under the name the asker chose.
    fn begin_answer<'a>(&'a self, slot: &'a Slot, at: &'a str) -> Answer<'a, Begun>;
    /// Keeps the answer, for whoever asks again.
    fn end_answer<'a>(&'a self, slot: &'a Slot, answer: &'a KeptAnswer) -> Answer<'a, ()>;
    /// Gives the place of an answer back: nothing was done.
    fn drop_answer<'a>(&'a self, slot: &'a Slot) -> Answer<'a, ()>;
    /// Gives back every place whose answer never came, since its process ended.
    fn drop_unanswered(&self) -> Answer<'_, ()>;
}

/// The act of a ledger line that says a key was made; its subject is the key's public name and role.
pub const ACT_KEY: &str = "key.made";
/// The act of a ledger line that says a key was revoked.
pub const ACT_KEY_REVOKED: &str = "key.revoked";
/// The act of a ledger line that says a version of a zoning was sent; its subject is the zoning and the version.
pub const ACT_ZONING: &str = "zoning.sent";
/// The act of a ledger line that says a register was sent; its subject is the name of the file.
pub const ACT_REGISTER: &str = "register.sent";
/// The act of a ledger line that says a register is read in another way; its subject is the name of the file.
pub const ACT_REGISTER_READ_AGAIN: &str = "register.read_again";
/// The act of a ledger line that says somebody decided about an establishment; its subject is the name of the decision,
/// which tells nobody whom it is about.
pub const ACT_DECISION: &str = "decision.taken";
/// The act of a ledger line that says a partner approved a draft; its subject is the draft and the partner, its digest
/// that of the release approved.
pub const ACT_APPROVED: &str = "draft.approved";
/// The act of a ledger line that says a release was taken back; its digest is that of the reason.
pub const ACT_WITHDRAWN: &str = "release.withdrawn";
/// The act of a ledger line that says an earlier release is served again; its digest is that of the reason.
pub const ACT_ROLLED_BACK: &str = "release.rolled_back";

/// A key of staff. Its secret is nowhere; the digest of it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its public name.
    pub id: String,
    /// Its holder, as the history names them.
    pub name: String,
    /// What it allows, by its word.
    pub role: String,
    /// SHA-256 of the whole key.
    pub digest: String,
    /// When it was made.
    pub created: String,
    /// When it ends; never when empty.
    pub expires: String,
    /// When it was revoked; empty while it is not.
    pub revoked: String,
}

/// Largest decision, in bytes: a thousand sites of a line each.
pub const DECISION_BYTES_MAX: usize = 1 << 20;

/// A decision about an establishment. It never changes; a later one takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionEntry {
    /// Its name, drawn at random.
    pub id: String,
    /// When it was kept.
    pub at: String,
    /// Who sent it.
    pub author: String,
    /// Drawn at random and kept here alone, so that the digest in the ledger cannot be matched with a guess.
    pub salt: String,
    /// SHA-256 of salt and text.
    pub digest: String,
    /// What was decided, about whom, when and why: it names an establishment, and rests apart from what is served.
    pub text: String,
}

impl DecisionEntry {
    /// The digest that its salt and text have.
    pub fn digest_of(salt: &str, text: &str) -> String {
        crate::steps::bytes::sha256_hex(format!("{salt}\n{text}").as_bytes())
    }
}

/// A publication on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its name.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// What it is made from, as JSON.
    pub request: String,
    /// When it was asked for.
    pub created: String,
    /// Who asked for it.
    pub author: String,
    /// Where it stands: preparing, refused, draft or published; what comes after is said of its release.
    pub stage: Stage,
    /// When it last changed.
    pub updated: String,
    /// The job that made it last.
    pub job: String,
    /// The report of the run, as JSON, without any raw figure.
    pub report: String,
    /// The release it became; empty before.
    pub release: String,
    /// The release for partners beside it; empty when there is none.
    pub partner_release: String,
    /// What had been published when it was made, by id: it is protected against these and no others.
    pub past: Vec<String>,
    /// Digest of the policy it was made by.
    pub policy: String,
}

/// The approval of a draft by a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The draft.
    pub draft: String,
    /// The partner.
    pub partner: String,
    /// Public name of the key.
    pub key: String,
    /// Who, and when.
    pub by: Stamp,
}

/// Who, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Who, and when.
    pub by: Stamp,
    /// In their words.
    pub reason: String,
}

/// A release taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The release.
    pub release: String,
    /// When.
    pub at: String,
    /// Who.
    pub author: String,
    /// Why, in words the public reads.
    pub reason: String,
}

/// A release and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is said of it.
    pub entry: ReleaseEntry,
    /// Where it stands.
    pub stage: Stage,
    /// How it was taken back, when it was.
    pub withdrawal: Option<Withdrawal>,
    /// The release for partners that was published with it.
    pub partner_release: Option<String>,
}

/// The place of an answer to be given once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Public name of the key that asks.
    pub key: String,
    /// The name which the asker chose for the request.
    pub name: String,
    /// SHA-256 of the request.
    pub digest: String,
}

/// An answer, kept to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// Where the thing made is, as a path; empty when nothing was made.
    pub location: String,
    /// Its body, as JSON.
    pub body: String,
}

/// What the store knows of an answer to be given once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: the place is the asker's now.
    New,
    /// The same was asked and answered.
    Answered(KeptAnswer),
    /// The same was asked and is being answered.
    UnderWay,
    /// Something else was asked under this name.
    Other,
}
