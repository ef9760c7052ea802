//! Between the pipeline and the store: keeps what a publication made, and reads back everything ever published.

use super::inputs::{file_of, listed, register_options, zoning_options};
use super::{Made, Order, Published, sha256_hex};
use crate::config::Policy;
use crate::steps::bytes::{Damaged, Opened, Sealer};
use crate::steps::publish::Release;
use crate::steps::seal;
use crate::steps::secrecy::earlier_of;
pub use crate::store::ACT_PARTNERS;
use crate::store::{
    DossierEntry, LedgerEntry, PolicyEntry, RegisterEntry, ReleaseEntry, Stamp, Store, StoreError, ZoningVersion,
};
use std::collections::BTreeMap;

/// Names the form of a dossier and its version; a change of the form changes it.
const FORM: &str = "arpent dossier 2\n";

/// The form before, which listed no inputs.
const FORM_WITHOUT_INPUTS: &str = "arpent dossier 1\n";

/// Why the past could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NoPast {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes that hold their digest and yet are not what arpent wrote.
    #[error("release {id}: {damaged}")]
    Damaged {
        /// The release.
        id: String,
        /// What is wrong.
        damaged: Damaged,
    },
    /// A release was published and its dossier is not here, so nothing can be protected against it.
    #[error(
        "release {id}: found no dossier in this store, expected the records it was made from; publish where they are kept"
    )]
    NoDossier {
        /// The release.
        id: String,
    },
}

/// What the owner keeps of one release: by vintage the records, and which release they correct.
pub struct Dossier {
    /// Whether partners alone were shown the release.
    pub partners_only: bool,
    /// By vintage, the kept records and the id of the release they correct.
    pub vintages: BTreeMap<u16, (Vec<u8>, Option<String>)>,
}

impl Dossier {
    /// Its bytes, with the list of the inputs it was made from.
    fn bytes(&self, inputs: &str) -> Vec<u8> {
        let mut out = Sealer::new(FORM);
        out.byte(u8::from(self.partners_only));
        out.count(self.vintages.len());
        for (year, (records, revises)) in &self.vintages {
            out.number(u64::from(*year));
            out.text(revises.as_deref().unwrap_or_default());
            out.blob(records);
        }
        out.text(inputs);
        out.close()
    }

    /// Reads it back, with the list of inputs if it has one.
    pub(super) fn open(bytes: &[u8]) -> Result<(Self, Option<String>), Damaged> {
        let (mut opened, lists_inputs) = match Opened::new(bytes, FORM, "dossier") {
            Ok(opened) => (opened, true),
            Err(_) => (Opened::new(bytes, FORM_WITHOUT_INPUTS, "dossier")?, false),
        };
        let partners_only = match opened.byte()? {
            0 => false,
            1 => true,
            _ => return Err(opened.damaged("an unknown profile", "public or partners")),
        };
        let mut vintages = BTreeMap::new();
        for _ in 0..opened.count()? {
            let year = u16::try_from(opened.number()?).map_err(|_| opened.damaged("a year above 65535", "a year"))?;
            let revises = Some(opened.text()?.to_owned()).filter(|id| !id.is_empty());
            vintages.insert(year, (opened.blob()?.to_vec(), revises));
        }
        let inputs = if lists_inputs { Some(opened.text()?.to_owned()) } else { None };
        opened.end()?;
        Ok((Self { partners_only, vintages }, inputs))
    }
}

/// Everything ever published, withdrawn releases included, in the order of its first time; the past of the next
/// publication.
///
/// # Errors
/// [`NoPast`]: then nothing may be published, since it could not be protected against what is missing.
pub async fn past(store: &dyn Store) -> Result<Vec<Published>, NoPast> {
    let mut ids = store.published().await?;
    let mut after = 0;
    loop {
        let page = store.ledger(after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for line in page.into_iter().filter(|line| line.entry.act == ACT_PARTNERS) {
            if !ids.contains(&line.entry.subject) {
                ids.push(line.entry.subject);
            }
        }
    }
    let mut past = Vec::new();
    for id in ids {
        let missing = || NoPast::NoDossier { id: id.clone() };
        let damaged = |damaged| NoPast::Damaged { id: id.clone(), damaged };
        let sealed = store.release(&id).await?.ok_or_else(missing)?;
        let kept = store.dossier(&id).await?.ok_or_else(missing)?;
        let release = seal::unseal(&sealed.bytes).map_err(damaged)?;
        let (dossier, _) = Dossier::open(&kept.bytes).map_err(damaged)?;
        let mut vintages = BTreeMap::new();
        for (year, (records, revises)) in dossier.vintages {
            let tables = release.vintages.get(&year).ok_or_else(missing)?;
            let name = format!("release {id}, {year}");
            vintages.insert(year, (earlier_of(&name, &records, tables).map_err(damaged)?, revises));
        }
        past.push(Published { id, partners_only: dossier.partners_only, vintages });
    }
    Ok(past)
}

/// Keeps inputs, releases and dossiers, then moves the pointer: a stop at any moment leaves the old state served.
///
/// # Errors
/// See [`StoreError`].
pub async fn keep(store: &dyn Store, order: &Order, made: &Made, author: &str, reason: &str) -> Result<(), StoreError> {
    for zoning in &order.zonings {
        let (file_name, bytes) = file_of(zoning);
        let entry = ZoningVersion {
            zoning: zoning.id.clone(),
            version: zoning.version.clone(),
            title: zoning.title.clone(),
            digest: sha256_hex(&bytes),
            created: order.now.clone(),
            author: author.to_owned(),
            reason: reason.to_owned(),
            options: zoning_options(zoning).to_string(),
            file_name,
            valid_from: String::new(),
            valid_to: String::new(),
        };
        store.put_zoning(&entry, bytes.into()).await?;
    }
    for register in &order.registers {
        let entry = RegisterEntry {
            digest: sha256_hex(&register.bytes),
            created: order.now.clone(),
            author: author.to_owned(),
            file_name: register.name.clone(),
            options: register_options(&register.options).to_string(),
        };
        store.put_register(&entry, register.bytes.clone().into()).await?;
    }
    keep_releases(store, order, made).await?;
    if let Some((release, _)) = &made.partner {
        let act = LedgerEntry {
            at: order.now.clone(),
            author: author.to_owned(),
            act: ACT_PARTNERS.to_owned(),
            subject: release.id.to_string(),
            digest: sha256_hex(&seal::seal(release)),
        };
        store.append(&act).await?;
    }
    let stamp = Stamp { at: order.now.clone(), author: author.to_owned() };
    store.set_current(made.release.id.as_str(), &stamp).await?;
    Ok(())
}

/// Keeps releases and dossiers, and shows nobody anything.
///
/// # Errors
/// See [`StoreError`].
pub async fn keep_releases(store: &dyn Store, order: &Order, made: &Made) -> Result<(), StoreError> {
    if let Some((release, dossier)) = &made.partner {
        put(store, order, release, dossier).await?;
    }
    put(store, order, &made.release, &made.dossier).await
}

async fn put(store: &dyn Store, order: &Order, release: &Release, dossier: &Dossier) -> Result<(), StoreError> {
    let (sealed, id) = (seal::seal(release), release.id.to_string());
    let entry = ReleaseEntry { id: id.clone(), created: order.now.clone(), digest: sha256_hex(&sealed) };
    store.put_release(&entry, sealed.into()).await?;
    let bytes = dossier.bytes(&listed(order));
    store.put_dossier(&DossierEntry { release: id, digest: sha256_hex(&bytes) }, bytes.into()).await?;
    Ok(())
}

/// Why a policy was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum NotInForce {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of the two policies cannot be read.
    #[error("policy: {0}")]
    Wrong(String),
    /// It is looser than the one in force, and the owner's key was not given.
    #[error(
        "found a policy looser than version `{version}`, which is in force ({}), expected the owner's key or a policy at \
         least as strict", .looser.join("; ")
    )]
    Looser {
        /// Version of the policy in force.
        version: String,
        /// What it asks and the other does not.
        looser: Vec<String>,
    },
}

/// The policy in force; `None` before the first.
///
/// # Errors
/// See [`NotInForce`].
pub async fn policy_in_force(store: &dyn Store) -> Result<Option<Policy>, NotInForce> {
    let Some(kept) = store.policy().await? else { return Ok(None) };
    let text = std::str::from_utf8(&kept.bytes).map_err(|_| NotInForce::Wrong("not UTF-8".to_owned()))?;
    Policy::parse(text).map(Some).map_err(|e| NotInForce::Wrong(e.to_string()))
}

/// Puts a policy in force. One that is looser than the policy in force needs the owner's key, as that policy knows it.
///
/// # Errors
/// See [`NotInForce`]; then the policy in force stays.
pub async fn put_in_force(store: &dyn Store, text: &str, key: Option<&str>, by: &Stamp) -> Result<Policy, NotInForce> {
    let policy = Policy::parse(text).map_err(|e| NotInForce::Wrong(e.to_string()))?;
    let known = policy_in_force(store).await?;
    policy.check_names(known.as_ref()).map_err(|e| NotInForce::Wrong(e.to_string()))?;
    if let Some(known) = known {
        let looser = policy.looser_than(&known);
        if !looser.is_empty() && !key.is_some_and(|key| known.opens(key)) {
            return Err(NotInForce::Looser { version: known.version, looser });
        }
    }
    let entry = PolicyEntry {
        version: policy.version.clone(),
        digest: sha256_hex(text.as_bytes()),
        created: by.at.clone(),
        author: by.author.clone(),
    };
    store.set_policy(&entry, text.to_owned().into()).await?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dossier_lists_its_inputs_and_one_of_the_form_before_has_no_list() {
        let dossier = Dossier { partners_only: true, vintages: BTreeMap::from([(2024, (vec![1, 2], None))]) };
        let (opened, inputs) = Dossier::open(&dossier.bytes("{}")).unwrap();
        assert_eq!((opened.partners_only, opened.vintages, inputs.as_deref()), (true, dossier.vintages, Some("{}")));
        let mut before = Sealer::new(FORM_WITHOUT_INPUTS);
        before.byte(0);
        before.count(0);
        assert_eq!(Dossier::open(&before.close()).unwrap().1, None);
        assert!(Dossier::open(b"arpent dossier 3\n").is_err());
    }
}
