//! What a release was made from: kept beside its records, so that it can be made again, or asked what would be otherwise.

use super::ledger::{Dossier, NoPast};
use super::{GroupsUpload, Order, RegisterUpload, ZoningUpload, sha256_hex};
use crate::config::{About, Policy};
use crate::model::establishment::Trust;
use crate::model::{Crs, Source};
use crate::steps::publish::Release;
use crate::steps::read::columns::Mapping;
use crate::steps::read::register::RegisterOptions;
use crate::steps::read::{Files, ZoneOptions};
use crate::steps::reconcile::BothSources;
use crate::steps::repair::Repair;
use crate::steps::review::decisions::Decisions;
use crate::store::{Store, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};

/// Why the inputs of a release could not be read back. No text holds a raw figure.
#[derive(Debug, thiserror::Error)]
pub enum NoInputs {
    /// The store, or its dossier.
    #[error(transparent)]
    Past(#[from] NoPast),
    /// The release was kept before inputs were listed with it.
    #[error("release {release}: found no list of its inputs, expected one; publish once more, and it will have one")]
    NotListed {
        /// The release.
        release: String,
    },
    /// The list is there and is not what arpent wrote.
    #[error("release {release}: found a list of inputs that cannot be read ({why}), expected one that arpent wrote")]
    Unknown {
        /// The release.
        release: String,
        /// What stands against it.
        why: String,
    },
    /// An input is not held here.
    #[error("release {release}: found no {what} in this store, expected the file it was made from")]
    Missing {
        /// The release.
        release: String,
        /// The input.
        what: String,
    },
}

impl From<StoreError> for NoInputs {
    fn from(error: StoreError) -> Self {
        Self::Past(error.into())
    }
}

/// The inputs of an order, as JSON: names in the store, what their files do not say, and what the data are about.
pub(super) fn listed(order: &Order) -> String {
    let zoning = |upload: &ZoningUpload| json!({ "id": upload.id, "title": upload.title, "version": upload.version, "options": zoning_options(upload) });
    let register = |upload: &RegisterUpload| json!({ "digest": sha256_hex(&upload.bytes), "name": upload.name, "options": register_options(&upload.options) });
    let About { owners, dataset, inhabitants, groups } = &order.about;
    json!({
        "zonings": order.zonings.iter().map(zoning).collect::<Vec<_>>(),
        "registers": order.registers.iter().map(register).collect::<Vec<_>>(),
        "vintages": order.vintages,
        "keep": order.keep.kept().code(),
        "decisions": order.decisions.csv(),
        "about": { "owners": owners, "dataset": dataset, "inhabitants": inhabitants, "groups": groups },
    })
    .to_string()
}

/// How the file of a zoning is to be read.
pub(super) fn zoning_options(upload: &ZoningUpload) -> Value {
    let ZoneOptions { layer, code_field, label_field, crs } = &upload.options;
    let crs = crs.as_ref().map(crs_json);
    let Repair { snap_m, make_valid } = upload.repair;
    let groups = upload.groups.as_ref();
    json!({
        "layer": layer, "code_field": code_field, "label_field": label_field, "crs": crs, "expected": upload.expected,
        "repair": { "snap_m": snap_m, "make_valid": make_valid },
        "groups": groups.map(|g| json!({ "zoning": g.zoning, "version": g.version, "partial": g.partial })),
    })
}

/// The file that a store keeps of a zoning: that of its zones, or the table that makes it of another.
pub(super) fn file_of(upload: &ZoningUpload) -> (String, Vec<u8>) {
    match &upload.groups {
        Some(table) => (table.name.clone(), table.bytes.clone()),
        None => one_file(&upload.id, &upload.files.parts),
    }
}

/// How the file of a register is to be read.
pub(super) fn register_options(options: &RegisterOptions) -> Value {
    let RegisterOptions { vintage, source, crs, mapping, trust } = options;
    json!({
        "vintage": vintage, "source": source.map(Source::code), "crs": crs.as_ref().map(crs_json), "mapping": mapping.to_string(),
        "trust": { "random_on_street": trust.random_on_street(), "probable_street": trust.probable_street() },
    })
}

fn crs_json(crs: &Crs) -> Value {
    match crs {
        Crs::Epsg(code) => json!({ "epsg": code }),
        Crs::Wkt(text) => json!({ "wkt": text }),
    }
}

/// One file for a store: the file of an upload, or a zip of its files, which is read as they are.
pub(super) fn one_file(id: &str, parts: &[(String, Vec<u8>)]) -> (String, Vec<u8>) {
    if let [(name, bytes)] = parts {
        return (name.clone(), bytes.clone());
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // Times are left at the zip format's first day, so that equal files give equal bytes.
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    for (name, bytes) in parts {
        zip.start_file(name.as_str(), options).and_then(|()| Ok(zip.write_all(bytes)?)).expect("memory takes a file");
    }
    (format!("{id}.zip"), zip.finish().expect("memory takes a file").into_inner())
}

#[derive(Deserialize)]
struct Listed {
    zonings: Vec<ListedZoning>,
    registers: Vec<ListedRegister>,
    #[serde(default)]
    vintages: BTreeSet<u16>,
    /// Lists of before did not say, and Urssaf was kept.
    keep: Option<String>,
    decisions: String,
    about: ListedAbout,
}

#[derive(Deserialize)]
struct ListedZoning {
    id: String,
    title: String,
    version: String,
    options: ListedZoneOptions,
}

#[derive(Deserialize)]
struct ListedZoneOptions {
    layer: Option<String>,
    code_field: Option<String>,
    label_field: Option<String>,
    crs: Option<ListedCrs>,
    expected: Option<usize>,
    #[serde(default)]
    repair: ListedRepair,
    groups: Option<ListedGroups>,
}

/// Lists of before said nothing of it, and nothing was mended.
#[derive(Default, Deserialize)]
struct ListedRepair {
    snap_m: Option<f64>,
    make_valid: bool,
}

#[derive(Deserialize)]
struct ListedGroups {
    zoning: String,
    version: String,
    partial: bool,
}

#[derive(Deserialize)]
struct ListedRegister {
    digest: String,
    name: String,
    options: ListedRegisterOptions,
}

#[derive(Deserialize)]
struct ListedRegisterOptions {
    vintage: Option<u16>,
    source: Option<String>,
    crs: Option<ListedCrs>,
    mapping: String,
    trust: ListedTrust,
}

#[derive(Deserialize)]
struct ListedTrust {
    random_on_street: bool,
    probable_street: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ListedCrs {
    Epsg(u32),
    Wkt(String),
}

#[derive(Deserialize)]
struct ListedAbout {
    owners: Vec<String>,
    dataset: String,
    inhabitants: BTreeMap<String, BTreeMap<String, u64>>,
    groups: BTreeMap<String, String>,
}

impl From<ListedCrs> for Crs {
    fn from(listed: ListedCrs) -> Self {
        match listed {
            ListedCrs::Epsg(code) => Self::Epsg(code),
            ListedCrs::Wkt(text) => Self::Wkt(text),
        }
    }
}

/// The order that makes a kept release again, with its inputs read back: under this policy, at this time.
///
/// # Errors
/// See [`NoInputs`].
pub async fn order_of(store: &dyn Store, release: &Release, policy: Policy, now: String) -> Result<Order, NoInputs> {
    let id = release.id.to_string();
    let missing = |what: String| NoInputs::Missing { release: id.clone(), what };
    let kept = store.dossier(&id).await?.ok_or_else(|| NoPast::NoDossier { id: id.clone() })?;
    let (_, listed) = Dossier::open(&kept.bytes).map_err(|damaged| NoPast::Damaged { id: id.clone(), damaged })?;
    let listed = listed.ok_or_else(|| NoInputs::NotListed { release: id.clone() })?;
    let unknown = |why: String| NoInputs::Unknown { release: id.clone(), why };
    let Listed { zonings, registers, vintages, keep, decisions, about } =
        serde_json::from_str(&listed).map_err(|e| unknown(e.to_string()))?;
    let decisions = Decisions::read("decisions.csv", decisions.into_bytes().into())
        .map_err(|rejects| unknown(rejects.first().map_or_else(String::new, ToString::to_string)))?;

    let source = |code: Option<String>| match code {
        None => Ok(None),
        Some(code) => Source::from_code(&code).map(Some).ok_or_else(|| unknown("a source of no name".to_owned())),
    };
    let mut order = Order {
        zonings: Vec::new(),
        registers: Vec::new(),
        vintages,
        keep: source(keep)?.map(BothSources::keeping).unwrap_or_default(),
        decisions,
        policy,
        about: About {
            owners: about.owners,
            dataset: about.dataset,
            inhabitants: about.inhabitants,
            groups: about.groups,
        },
        source: release.provenance.source.clone(),
        licence: release.provenance.licence.clone(),
        notice: release.provenance.notice.clone(),
        now,
    };
    for ListedZoning { id, title, version, options } in zonings {
        let held = async |zoning: &str, version: &str| {
            let kept = store.zoning(zoning, version).await?;
            let kept = kept.ok_or_else(|| missing(format!("zoning `{zoning}` of version `{version}`")))?;
            Ok::<_, NoInputs>((kept.entry.file_name, kept.bytes.to_vec()))
        };
        let (mut name, mut bytes) = held(&id, &version).await?;
        let ListedZoneOptions { layer, code_field, label_field, crs, expected, repair, groups } = options;
        let groups = match groups {
            None => None,
            Some(ListedGroups { zoning, version, partial }) => {
                let members = held(&zoning, &version).await?;
                let table = std::mem::replace(&mut name, members.0);
                let bytes = std::mem::replace(&mut bytes, members.1);
                Some(GroupsUpload { zoning, version, name: table, bytes, partial })
            }
        };
        let files = Files { name: name.clone(), parts: vec![(name, bytes)] };
        let options = ZoneOptions { layer, code_field, label_field, crs: crs.map(Crs::from) };
        let repair = Repair { snap_m: repair.snap_m, make_valid: repair.make_valid };
        order.zonings.push(ZoningUpload { id, title, version, files, options, expected, repair, groups });
    }
    for ListedRegister { digest, name, options } in registers {
        let kept = store.register(&digest).await?.ok_or_else(|| missing(format!("register `{name}`")))?;
        let ListedRegisterOptions { vintage, source: sender, crs, mapping, trust } = options;
        let mapping = Mapping::parse(&mapping).map_err(|e| unknown(e.to_string()))?;
        let ListedTrust { random_on_street, probable_street } = trust;
        let as_listed = |t: &Trust| (t.random_on_street(), t.probable_street()) == (random_on_street, probable_street);
        let trust = Trust::ALL.into_iter().find(as_listed);
        let trust = trust.ok_or_else(|| unknown("a trust of no name".to_owned()))?;
        let options = RegisterOptions { vintage, source: source(sender)?, crs: crs.map(Crs::from), mapping, trust };
        order.registers.push(RegisterUpload { name, bytes: kept.bytes.to_vec(), options });
    }
    Ok(order)
}

/// Today's order with the registers of older ones beside its own, so that their year-ends are cut on today's perimeter.
/// A register that both have comes once.
pub fn recomputed(mut today: Order, older: impl IntoIterator<Item = Order>) -> Order {
    for register in older.into_iter().flat_map(|order| order.registers) {
        if today.registers.iter().all(|known| known.bytes != register.bytes) {
            today.registers.push(register);
        }
    }
    today
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::read::zones;
    use std::io::Read as _;

    #[test]
    fn a_zoning_given_as_several_files_is_kept_as_one_that_reads_the_same() {
        let bytes = include_bytes!("../../data/demo/secteurs.zip");
        let mut zip = zip::ZipArchive::new(Cursor::new(&bytes[..])).unwrap();
        let mut parts = Vec::new();
        for i in 0..zip.len() {
            let mut file = zip.by_index(i).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            parts.push((file.name().unwrap().into_owned(), content));
        }
        assert!(parts.len() > 3);
        let options = ZoneOptions { code_field: Some("CODE".to_owned()), ..ZoneOptions::default() };
        let text = |name: &str| name.to_owned();
        let upload = ZoningUpload {
            id: text("secteurs"),
            title: text("Secteurs"),
            version: text("1"),
            files: Files { name: text("secteurs.shp"), parts },
            options: options.clone(),
            expected: None,
            repair: Repair::default(),
            groups: None,
        };
        let (name, kept) = one_file(&upload.id, &upload.files.parts);
        assert_eq!(one_file(&upload.id, &upload.files.parts).1, kept);
        let files = Files { name: name.clone(), parts: vec![(name, kept)] };
        let read = |files: &Files| zones(files, &options).unwrap().records.accepted;
        let geometries = |files: &Files| read(files).into_iter().map(|r| (r.code, r.contour)).collect::<Vec<_>>();
        assert_eq!(geometries(&files), geometries(&upload.files));
    }
}
