//! Zonings on their way in, and their versions: listed, read, compared, restored.

use super::jobs::apart;
use super::{Fault, FaultKind, Office, Started, Who, now, reasoned, words};
use crate::model::{Crs, Lambert93, Reject, Unreadable, Wgs84, Zoning};
use crate::pipeline::inputs::one_file;
use crate::pipeline::{GroupsUpload, ZoningUpload, findings};
use crate::steps::bytes::sha256_hex;
use crate::steps::intake::{Intake, ground, territory};
use crate::steps::read::{Files, ZoneOptions};
use crate::steps::repair::Repair;
use crate::steps::reproject;
use crate::steps::validate::TopologyReport;
use crate::store::{Kept, Put, ZoningVersion};
use bytes::Bytes;
use geo::MultiPolygon;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Longest name of a zoning or of a version, in characters: they stand in addresses and in file names.
const NAME_CHARS_MAX: usize = 64;

/// Names of dimensions that are no zoning.
const TAKEN_NAMES: [&str; 6] = ["naf", "naf_section", "naf_division", "tranche", "source", "tableaux"];

/// How the names begin that GeoPackage keeps for itself (OGC 12-128r19, 1.1.1.1.1) and SQLite does.
const TAKEN_BEGINNINGS: [&str; 3] = ["gpkg_", "rtree_", "sqlite_"];

/// A file on its way in, with the place it takes in memory.
pub struct Sending {
    /// Name and bytes of each part: one, or a `.shp` with the files beside it.
    pub parts: Vec<(String, Vec<u8>)>,
    /// Given back when the work on it ends; absent on the command line, which sends one.
    pub place: Option<OwnedSemaphorePermit>,
}

/// A version of a zoning on its way in. What is `None` was not told.
#[derive(Debug, Clone, Default)]
pub struct ZoningSent {
    /// Name in paths.
    pub zoning: String,
    /// Name of the version; by the day and the digest when absent.
    pub version: Option<String>,
    /// Name for people; that of the version before when absent.
    pub title: Option<String>,
    /// Why it is sent.
    pub reason: String,
    /// First day on which it holds.
    pub valid_from: Option<String>,
    /// Last day on which it holds.
    pub valid_to: Option<String>,
    /// How to read the file.
    pub reading: ZoneReading,
    /// How many zones there should be; the settings' number when absent.
    pub expected: Option<usize>,
    /// Whether another number is accepted, which the report then says.
    pub any_count: bool,
    /// The ground on which the zones must lie; they are held against it once, when the file is sent.
    pub territory: Option<Territory>,
}

/// The ground on which zones must lie.
#[derive(Debug, Clone)]
pub enum Territory {
    /// That of a file.
    Sent {
        /// The file.
        files: Files,
        /// Its layer, when it holds several.
        layer: Option<String>,
        /// The system of its coordinates, by its EPSG number, above what it says.
        crs: Option<u32>,
    },
    /// That of the zones of a version that is kept.
    Kept {
        /// The zoning.
        zoning: String,
        /// Its version; the latest when absent.
        version: Option<String>,
    },
}

/// A territory, and what it is called in reports.
type Ground = (Lambert93<MultiPolygon>, Value);

/// How a zone file is read, as it is kept with the version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ZoneReading {
    /// The layer.
    pub layer: Option<String>,
    /// The field of the codes.
    pub code_field: Option<String>,
    /// The field of the names.
    pub label_field: Option<String>,
    /// The system of the coordinates, by its EPSG number.
    pub crs: Option<u32>,
    /// What is mended each time the file is read; the file stays as it was sent.
    pub repair: Repair,
    /// Whose zones the file groups, when it is a table of codes.
    pub groups: Option<GroupReading>,
}

/// Whose zones a table of codes groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupReading {
    /// The zoning of the members.
    pub zoning: String,
    /// Its version; the latest when absent, and it is kept by name.
    pub version: Option<String>,
    /// Whether zones that the table does not name are left out.
    pub partial: bool,
}

impl ZoneReading {
    /// How `options` of the readers say it.
    pub(super) fn options(&self) -> ZoneOptions {
        ZoneOptions {
            layer: self.layer.clone(),
            code_field: self.code_field.clone(),
            label_field: self.label_field.clone(),
            crs: self.crs.map(Crs::Epsg),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { layer, code_field, label_field, crs, repair: Repair { snap_m, make_valid }, groups } = self;
        let groups = groups.as_ref();
        json!({
            "layer": layer, "code_field": code_field, "label_field": label_field, "crs": crs_json(*crs),
            "repair": { "snap_m": snap_m, "make_valid": make_valid },
            "groups": groups.map(|g| json!({ "zoning": g.zoning, "version": g.version, "partial": g.partial })),
        })
    }

    /// What [`ZoneReading::to_json`] wrote; what is not there was not told.
    pub(super) fn from_json(text: &str) -> Result<Self, Fault> {
        let json: Value = serde_json::from_str(text).map_err(Fault::broken)?;
        let word = |name: &str| json[name].as_str().map(str::to_owned);
        Ok(Self {
            layer: word("layer"),
            code_field: word("code_field"),
            label_field: word("label_field"),
            crs: json["crs"]["epsg"].as_u64().and_then(|crs| u32::try_from(crs).ok()),
            repair: Repair {
                snap_m: json["repair"]["snap_m"].as_f64(),
                make_valid: json["repair"]["make_valid"].as_bool().unwrap_or_default(),
            },
            groups: json["groups"]["zoning"].as_str().map(|zoning| GroupReading {
                zoning: zoning.to_owned(),
                version: json["groups"]["version"].as_str().map(str::to_owned),
                partial: json["groups"]["partial"].as_bool().unwrap_or_default(),
            }),
        })
    }

    /// Refuses what would not be heeded: a table of codes has no layer, no system and nothing to mend.
    fn heeded(&self) -> Result<(), Fault> {
        let of_contours = [
            ("layer", self.layer.is_some()),
            ("code_field", self.code_field.is_some()),
            ("label_field", self.label_field.is_some()),
            ("crs", self.crs.is_some()),
            ("snap", self.repair.snap_m.is_some()),
            ("make_valid", self.repair.make_valid),
        ];
        match of_contours.into_iter().find(|(_, said)| *said && self.groups.is_some()) {
            Some((field, _)) => {
                let found = format!("`{field}` beside `groups_of`");
                Err(Fault::wrong("not_heeded", "request", found, "it where the contours of the members are sent"))
            }
            None => Ok(()),
        }
    }
}

pub(super) fn crs_json(crs: Option<u32>) -> Value {
    crs.map_or(Value::Null, |code| json!({ "epsg": code }))
}

impl Office {
    /// Reads, judges and keeps a version of a zoning, as a job.
    ///
    /// # Errors
    /// A name or a date that is none, no reason; then, as the job's own, what is wrong with the file.
    pub async fn send_zoning(&self, who: &Who, sent: ZoningSent, sending: Sending) -> Result<Started, Fault> {
        named("zoning", &sent.zoning, true)?;
        if let Some(version) = &sent.version {
            named("version", version, false)?;
        }
        reasoned(&sent.reason)?;
        let valid = |field: &str, day: &Option<String>| day.as_deref().map_or(Ok(String::new()), |d| a_day(field, d));
        let (from, to) = (valid("valid_from", &sent.valid_from)?, valid("valid_to", &sent.valid_to)?);
        if !from.is_empty() && !to.is_empty() && to < from {
            return Err(Fault::wrong("bad_date", "`valid_to`", format!("`{to}`"), format!("a day from {from} on")));
        }
        sent.reading.heeded()?;
        let request = json!({ "zoning": sent.zoning, "version": sent.version, "reason": sent.reason });
        let who_sends = who.clone();
        let work = move |office: Office, pen: super::jobs::Pen| async move {
            pen.step("reading").await?;
            let mut sent = sent;
            let Sending { parts, place } = sending;
            let held = Arc::new(place);
            let id = sent.zoning.clone();
            let (file_name, bytes, digest) = apart(Arc::clone(&held), move || {
                let (file_name, bytes) = packed(&id, parts)?;
                let digest = sha256_hex(&bytes);
                Ok((file_name, bytes, digest))
            })
            .await?;
            let before = office.desk().latest_zoning(&sent.zoning).await?;
            let expected = sent.expected.or(office.0.settings.expected.get(&sent.zoning).copied());
            let counted = expected.filter(|_| !sent.any_count);
            let shared = Bytes::from(bytes);
            sent.reading.groups = office.settled(sent.reading.groups).await?;
            let mut upload = office.upload(&sent.zoning, &file_name, shared.clone(), &sent.reading).await?;
            upload.expected = counted;
            let ground = office.ground(sent.territory.take(), &held).await?;
            let (zoning, mut report) = read_zoning(upload, ground).await?;
            if let Some(expected) = expected.filter(|e| *e != zoning.zones().len()) {
                report["count_accepted"] =
                    json!({ "expected": expected, "found": zoning.zones().len(), "by": who_sends.name });
            }
            if let Some(before) = &before {
                pen.step("comparing with the version before").await?;
                let (against, with) = office.zoning_of(&before.zoning, &before.version).await?;
                let compared = move || Ok(words::comparison(&with.version, &against, &zoning));
                report["since"] = apart(Arc::clone(&held), compared).await?;
            }
            pen.step("keeping").await?;
            let created = now();
            let day = &created[..10];
            let entry = ZoningVersion {
                version: sent.version.unwrap_or_else(|| format!("{day}-{}", &digest[..6])),
                title: sent.title.or(before.map(|b| b.title)).unwrap_or_else(|| sent.zoning.clone()),
                zoning: sent.zoning,
                digest,
                author: who_sends.name.clone(),
                reason: sent.reason.trim().to_owned(),
                options: sent.reading.to_json().to_string(),
                file_name,
                valid_from: from,
                valid_to: to,
                created,
            };
            let put = office.desk().take_zoning(&entry, shared, &report.to_string()).await?;
            let mut told = words::version(&entry);
            told["new"] = (put == Put::New).into();
            told["report"] = report;
            Ok(told)
        };
        self.start(who, "zoning", &request, work).await
    }

    /// Reads and judges a zone file, and keeps nothing of it: what [`Office::send_zoning`] would say, whatever the verdict.
    ///
    /// # Errors
    /// A file, a layer, a system or a field that cannot be used; too many who wait; the store's.
    pub async fn check_zoning(&self, sent: ZoningSent, sending: Sending) -> Result<Checked, Fault> {
        named("zoning", &sent.zoning, true)?;
        sent.reading.heeded()?;
        let turn = self.short_turn().await?;
        let Sending { parts, place } = sending;
        let held = Arc::new((turn, place));
        let id = sent.zoning.clone();
        let (file_name, bytes) = apart(Arc::clone(&held), move || packed(&id, parts)).await?;
        let mut reading = sent.reading;
        reading.groups = self.settled(reading.groups).await?;
        let mut upload = self.upload(&sent.zoning, &file_name, bytes.into(), &reading).await?;
        let expected = sent.expected.or(self.0.settings.expected.get(&sent.zoning).copied());
        upload.expected = expected.filter(|_| !sent.any_count);
        let ground = self.ground(sent.territory, &held).await?;
        apart(held, move || {
            let mut intake = upload.take_in(ground.as_ref().map(|ground| &ground.0)).map_err(refused)?;
            let report = intake_told(&intake, ground.as_ref())?;
            let mut refused = std::mem::take(&mut intake.rejected);
            refused.append(&mut intake.errors);
            let verdict = if refused.is_empty() { "accepted" } else { "refused" };
            let summary = json!({ "verdict": verdict, "rejects": words::rejects(&refused), "report": report });
            Ok(Checked { summary, findings: intake.topology })
        })
        .await
    }

    /// How the zones of a version lie beside each other, and on a territory where one is named.
    ///
    /// # Errors
    /// None of this name; too many who wait; the store's.
    pub async fn topology(&self, zoning: &str, version: &str, territory: Option<Territory>) -> Result<Checked, Fault> {
        let turn = Arc::new(self.short_turn().await?);
        let upload = self.upload_of(zoning, version).await?;
        let ground = self.ground(territory, &turn).await?;
        apart(turn, move || {
            let intake = upload.take_in(ground.as_ref().map(|ground| &ground.0)).map_err(refused)?;
            let mut summary = words::topology(&intake.topology)?;
            summary["territory"] = ground_told(ground.as_ref());
            Ok(Checked { summary, findings: intake.topology })
        })
        .await
    }

    /// The ground of a territory, in metres.
    async fn ground<H: Send + Sync + 'static>(
        &self,
        named: Option<Territory>,
        held: &Arc<H>,
    ) -> Result<Option<Ground>, Fault> {
        match named {
            None => Ok(None),
            Some(Territory::Sent { files, layer, crs }) => {
                let told = json!({ "file": files.name });
                let options = ZoneOptions { layer, crs: crs.map(Crs::Epsg), ..ZoneOptions::default() };
                let united = apart(Arc::clone(held), move || territory(&files, &options).map_err(refused)).await?;
                Ok(Some((united, told)))
            }
            Some(Territory::Kept { zoning, version }) => {
                let entry = self.version_named(&zoning, version.as_deref()).await?;
                let (zones, entry) = self.zoning_of(&zoning, &entry.version).await?;
                let told = json!({ "zoning": entry.zoning, "version": entry.version });
                let united = apart(Arc::clone(held), move || ground(&zoning, &zones).map_err(refused)).await?;
                Ok(Some((united, told)))
            }
        }
    }

    /// A version by its name, or the latest.
    pub(super) async fn version_named(&self, zoning: &str, version: Option<&str>) -> Result<ZoningVersion, Fault> {
        if let Some(version) = version {
            return Ok(self.kept_zoning(zoning, version).await?.entry);
        }
        let latest = self.desk().latest_zoning(zoning).await?;
        latest.ok_or_else(|| Fault::unknown(format!("zoning `{zoning}`"), "one of /api/v1/zonings"))
    }

    /// The zonings and their versions, in the order they were kept.
    ///
    /// # Errors
    /// The store's.
    pub async fn zonings(&self) -> Result<Value, Fault> {
        let mut by_name: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for version in self.desk().zonings().await? {
            by_name.entry(version.zoning.clone()).or_default().push(words::version(&version));
        }
        let zonings = by_name.into_iter().map(|(zoning, versions)| json!({ "zoning": zoning, "versions": versions }));
        Ok(json!({ "zonings": zonings.collect::<Vec<_>>() }))
    }

    /// The versions of one zoning.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn versions(&self, zoning: &str) -> Result<Value, Fault> {
        let all = self.desk().zonings().await?;
        let versions: Vec<Value> = all.iter().filter(|v| v.zoning == zoning).map(words::version).collect();
        match versions.is_empty() {
            true => Err(Fault::unknown(format!("zoning `{zoning}`"), "one of /api/v1/zonings")),
            false => Ok(json!({ "zoning": zoning, "versions": versions })),
        }
    }

    /// A version, with the report of its reading.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn version(&self, zoning: &str, version: &str) -> Result<Value, Fault> {
        let kept = self.kept_zoning(zoning, version).await?;
        let mut told = words::version(&kept.entry);
        if let Some(report) = self.desk().report(&format!("{zoning} {version}")).await? {
            told["report"] = serde_json::from_str(&report).map_err(Fault::broken)?;
        }
        Ok(told)
    }

    /// The file of a version, with its name.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn file(&self, zoning: &str, version: &str) -> Result<(String, Bytes), Fault> {
        let kept = self.kept_zoning(zoning, version).await?;
        Ok((kept.entry.file_name, kept.bytes))
    }

    /// The contours of a version, as GeoJSON in CRS84 with the codes and names of its zones.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn contours(&self, zoning: &str, version: &str) -> Result<Value, Fault> {
        let (zones, entry) = self.zoning_of(zoning, version).await?;
        apart((), move || {
            let contours: Vec<_> = zones.zones().iter().map(|zone| &zone.contour).collect();
            let turned: Vec<Wgs84<_>> = reproject::to_wgs84(&contours).map_err(refused)?;
            Ok(words::contours(&entry, &zones, &turned))
        })
        .await
    }

    /// What differs between two versions: codes that appeared or vanished, names and contours that changed.
    ///
    /// # Errors
    /// None of these names; the store's.
    pub async fn compare(&self, zoning: &str, version: &str, with: &str) -> Result<Value, Fault> {
        let ((after, _), (before, old)) = (self.zoning_of(zoning, version).await?, self.zoning_of(zoning, with).await?);
        let compared = move || Ok(words::comparison(&old.version, &before, &after));
        let mut told = apart((), compared).await?;
        told["zoning"] = zoning.into();
        told["version"] = version.into();
        Ok(told)
    }

    /// A new version with the content of an old one.
    ///
    /// # Errors
    /// None of this name, a new name that is none or is taken, no reason; the store's.
    pub async fn restore(
        &self,
        who: &Who,
        zoning: &str,
        version: &str,
        new: Option<&str>,
        reason: &str,
    ) -> Result<Value, Fault> {
        let reason = reasoned(reason)?;
        let Kept { entry, bytes } = self.kept_zoning(zoning, version).await?;
        let created = now();
        let new = match new {
            Some(new) => named("version", new, false)?.to_owned(),
            None => format!("{}-{}", &created[..10], &super::new_name()[..6]),
        };
        let report = self.desk().report(&format!("{zoning} {version}")).await?.unwrap_or_else(|| "{}".to_owned());
        let mut report: Value = serde_json::from_str(&report).map_err(Fault::broken)?;
        report["restored_from"] = version.into();
        let entry =
            ZoningVersion { version: new, created, author: who.name.clone(), reason: reason.to_owned(), ..entry };
        if self.desk().zoning(zoning, &entry.version).await?.is_some() {
            let place = format!("zoning `{zoning} {}`", entry.version);
            return Err(Fault::conflict("taken", place, "a version of this name", "a name not yet in use"));
        }
        self.desk().take_zoning(&entry, bytes, &report.to_string()).await?;
        self.version(zoning, &entry.version).await
    }

    pub(super) async fn kept_zoning(&self, zoning: &str, version: &str) -> Result<Kept<ZoningVersion>, Fault> {
        let kept = self.desk().zoning(zoning, version).await?;
        kept.ok_or_else(|| Fault::unknown(format!("zoning `{zoning} {version}`"), "one of /api/v1/zonings"))
    }

    /// A version, read again from its file.
    pub(super) async fn zoning_of(&self, zoning: &str, version: &str) -> Result<(Zoning, ZoningVersion), Fault> {
        let Kept { entry, bytes } = self.kept_zoning(zoning, version).await?;
        let reading = ZoneReading::from_json(&entry.options)?;
        let upload = self.upload(zoning, &entry.file_name, bytes, &reading).await?;
        Ok((read_zoning(upload, None).await?.0, entry))
    }

    /// A version as the pipeline takes it.
    pub(super) async fn upload_of(&self, zoning: &str, version: &str) -> Result<ZoningUpload, Fault> {
        let Kept { entry, bytes } = self.kept_zoning(zoning, version).await?;
        let reading = ZoneReading::from_json(&entry.options)?;
        let upload = self.upload(zoning, &entry.file_name, bytes, &reading).await?;
        Ok(ZoningUpload { title: entry.title, version: entry.version, ..upload })
    }

    /// A file as the pipeline takes it; a table of codes brings the contours of its members.
    async fn upload(
        &self,
        zoning: &str,
        file_name: &str,
        bytes: Bytes,
        reading: &ZoneReading,
    ) -> Result<ZoningUpload, Fault> {
        let files =
            |name: &str, bytes: Bytes| Files { name: name.to_owned(), parts: vec![(name.to_owned(), bytes.into())] };
        let upload = |files, reading: &ZoneReading, groups| ZoningUpload {
            id: zoning.to_owned(),
            title: String::new(),
            version: String::new(),
            files,
            options: reading.options(),
            // The number is judged once, when the file is sent.
            expected: None,
            repair: reading.repair,
            groups,
        };
        let Some(groups) = &reading.groups else { return Ok(upload(files(file_name, bytes), reading, None)) };
        let version = groups.version.clone().unwrap_or_default();
        let Kept { entry, bytes: of_members } = self.kept_zoning(&groups.zoning, &version).await?;
        let members = ZoneReading::from_json(&entry.options)?;
        let table = GroupsUpload {
            zoning: groups.zoning.clone(),
            version,
            name: file_name.to_owned(),
            bytes: bytes.into(),
            partial: groups.partial,
        };
        Ok(upload(files(&entry.file_name, of_members), &members, Some(table)))
    }

    /// Whose zones are grouped, with the version by name.
    async fn settled(&self, groups: Option<GroupReading>) -> Result<Option<GroupReading>, Fault> {
        let Some(groups) = groups else { return Ok(None) };
        let place = format!("zoning `{}`", groups.zoning);
        let entry = self.version_named(&groups.zoning, groups.version.as_deref()).await?;
        if ZoneReading::from_json(&entry.options)?.groups.is_some() {
            let expected = "a zoning that has contours of its own";
            return Err(Fault::wrong("groups_of_groups", place, "a zoning that is grouped itself", expected));
        }
        Ok(Some(GroupReading { version: Some(entry.version), ..groups }))
    }
}

/// What was found in a zone file.
pub struct Checked {
    /// Counts, rejects and findings, as JSON.
    pub summary: Value,
    findings: TopologyReport,
}

impl Checked {
    /// The findings as GeoJSON.
    ///
    /// # Errors
    /// PROJ without its tables.
    pub fn geojson(&self) -> Result<String, Fault> {
        findings::geojson(&self.findings).map_err(Fault::broken)
    }
}

/// A name that may stand in an address.
fn named<'a>(what: &str, name: &'a str, small: bool) -> Result<&'a str, Fault> {
    let letter = |b: u8| match small {
        true => b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-',
        false => b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.',
    };
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(letter) && !name.starts_with('.');
    let taken = TAKEN_NAMES.contains(&name) || TAKEN_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    if fits && !(small && taken) {
        return Ok(name);
    }
    let letters = if small { "small letters, digits, `-` and `_`" } else { "letters, digits, `.`, `-` and `_`" };
    let mut expected = format!("a name of 1 to {NAME_CHARS_MAX} {letters}");
    if small {
        expected += &format!(", none of {}, and not begun by {}", TAKEN_NAMES.join(", "), TAKEN_BEGINNINGS.join(", "));
    }
    let found: String = name.chars().take(NAME_CHARS_MAX).collect();
    Err(Fault::wrong("bad_name", format!("`{what}`"), format!("`{found}`"), expected))
}

fn a_day(field: &str, text: &str) -> Result<String, Fault> {
    let day = text.parse::<chrono::NaiveDate>();
    let wrong = |_| Fault::wrong("bad_date", format!("`{field}`"), format!("`{text}`"), "a day, such as 2026-01-01");
    Ok(day.map_err(wrong)?.format("%Y-%m-%d").to_string())
}

/// The one file that is kept: a shapefile given in parts is packed, so that a version is one file and one digest.
///
/// # Errors
/// No byte of a file.
pub fn packed(id: &str, mut parts: Vec<(String, Vec<u8>)>) -> Result<(String, Vec<u8>), Fault> {
    parts.retain(|(_, bytes)| !bytes.is_empty());
    match (parts.len(), parts.pop()) {
        (0, _) | (_, None) => Err(Fault::wrong("empty_file", "body", "0 bytes", "a zone file")),
        (1, Some(one)) => Ok(one),
        (_, Some(last)) => {
            parts.push(last);
            Ok(one_file(id, &parts))
        }
    }
}

/// What is wrong with a file, as a fault of what was sent.
pub(super) fn refused(unreadable: Unreadable) -> Fault {
    let place = unreadable.0.place();
    let Reject { code, found, expected, .. } = unreadable.0.clone();
    let mut fault = Fault::wrong(code, place, found, expected);
    fault.rejects = vec![unreadable.0];
    fault
}

/// Reads and judges a zone file; the report says what was taken, what was mended, and how the zones lie.
async fn read_zoning(upload: ZoningUpload, ground: Option<Ground>) -> Result<(Zoning, Value), Fault> {
    apart((), move || {
        let mut intake = upload.take_in(ground.as_ref().map(|ground| &ground.0)).map_err(refused)?;
        let report = intake_told(&intake, ground.as_ref())?;
        let name = upload.groups.as_ref().map_or(&upload.files.name, |table| &table.name);
        let mut rejected = std::mem::take(&mut intake.rejected);
        rejected.append(&mut intake.errors);
        match intake.zoning {
            Some(zoning) if rejected.is_empty() => Ok((zoning, report)),
            Some(_) | None => Err(zones_refused(name, rejected, report)),
        }
    })
    .await
}

/// All that is to be said of a zone file.
fn intake_told(intake: &Intake, ground: Option<&Ground>) -> Result<Value, Fault> {
    let mut report = words::layer(&intake.layer);
    report["topology"] = words::topology(&intake.topology)?;
    report["changes"] = words::changes(&intake.changes)?;
    report["groups"] = json!(intake.members);
    report["territory"] = ground_told(ground);
    Ok(report)
}

/// What the zones were held against; null when against nothing.
fn ground_told(ground: Option<&Ground>) -> Value {
    ground.map_or(Value::Null, |(_, told)| told.clone())
}

fn zones_refused(name: &str, rejects: Vec<Reject>, report: Value) -> Fault {
    let found = match &rejects[..] {
        [one] => format!("{} [{}]", one.found, one.code),
        several => format!("{} faults", several.len()),
    };
    let expected = match &rejects[..] {
        [one] => one.expected.clone(),
        _ => "zones without a fault".to_owned(),
    };
    let fault = Fault::new(FaultKind::Wrong, "zoning_refused", name, found, expected);
    Fault { rejects, report, ..fault }
}
