//! Zonings and registers on their way in, and the versions of zonings: listed, read, compared, restored.

use super::{Fault, FaultKind, Office, Started, Who, now, reasoned, words};
use crate::model::{Crs, Reject, Source, Unreadable, Wgs84, Zoning};
use crate::pipeline::inputs::one_file;
use crate::pipeline::{GroupsUpload, ZoningUpload, findings};
use crate::steps::bytes::sha256_hex;
use crate::steps::intake::Intake;
use crate::steps::read::columns::{BadMapping, Mapping, Role};
use crate::steps::read::register::{RegisterOptions, read_register};
use crate::steps::read::table::Input;
use crate::steps::read::{Files, ZoneOptions};
use crate::steps::repair::Repair;
use crate::steps::reproject;
use crate::steps::validate::TopologyReport;
use crate::store::{Kept, Put, RegisterEntry, ZoningVersion};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
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
}

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

/// A register on its way in.
#[derive(Debug, Clone, Default)]
pub struct RegisterSent {
    /// The year whose 31 December it describes, where the file does not say.
    pub vintage: Option<u16>,
    /// Who sent the headcounts, where the file does not say.
    pub source: Option<Source>,
    /// The system of the coordinates, by its EPSG number, where the file does not say.
    pub crs: Option<u32>,
    /// Which column is what, one `role=column` a line; what is remembered of the sender when absent.
    pub mapping: Option<Mapping>,
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

fn crs_json(crs: Option<u32>) -> Value {
    crs.map_or(Value::Null, |code| json!({ "epsg": code }))
}

impl RegisterSent {
    pub(super) fn options(&self) -> RegisterOptions {
        RegisterOptions {
            vintage: self.vintage,
            source: self.source,
            crs: self.crs.map(Crs::Epsg),
            mapping: self.mapping.clone().unwrap_or_default(),
            ..RegisterOptions::default()
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mapping = self.mapping.as_ref().map(Mapping::to_string).unwrap_or_default();
        json!({
            "vintage": self.vintage, "source": self.source.map(Source::code), "crs": crs_json(self.crs),
            "mapping": mapping,
        })
    }

    pub(super) fn from_json(text: &str) -> Result<Self, Fault> {
        let json: Value = serde_json::from_str(text).map_err(Fault::broken)?;
        Ok(Self {
            vintage: json["vintage"].as_u64().and_then(|year| u16::try_from(year).ok()),
            source: json["source"].as_str().and_then(Source::from_code),
            crs: json["crs"]["epsg"].as_u64().and_then(|crs| u32::try_from(crs).ok()),
            mapping: Some(Mapping::parse(json["mapping"].as_str().unwrap_or_default()).map_err(Fault::broken)?),
        })
    }
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
            let Sending { parts, place: _place } = sending;
            let (file_name, bytes) = whole(&sent.zoning, parts)?;
            let digest = sha256_hex(&bytes);
            let before = office.desk().latest_zoning(&sent.zoning).await?;
            let expected = sent.expected.or(office.0.settings.expected.get(&sent.zoning).copied());
            let counted = expected.filter(|_| !sent.any_count);
            let shared = Bytes::from(bytes);
            sent.reading.groups = office.settled(sent.reading.groups).await?;
            let mut upload = office.upload(&sent.zoning, &file_name, shared.clone(), &sent.reading).await?;
            upload.expected = counted;
            let (zoning, mut report) = read_zoning(upload).await?;
            if let Some(expected) = expected.filter(|e| *e != zoning.zones().len()) {
                report["count_accepted"] =
                    json!({ "expected": expected, "found": zoning.zones().len(), "by": who_sends.name });
            }
            if let Some(before) = &before {
                pen.step("comparing with the version before").await?;
                let (against, _) = office.zoning_of(&before.zoning, &before.version).await?;
                report["since"] = words::comparison(&before.version, &against, &zoning);
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
        let (file_name, bytes) = whole(&sent.zoning, parts)?;
        let mut reading = sent.reading;
        reading.groups = self.settled(reading.groups).await?;
        let mut upload = self.upload(&sent.zoning, &file_name, bytes.into(), &reading).await?;
        let expected = sent.expected.or(self.0.settings.expected.get(&sent.zoning).copied());
        upload.expected = expected.filter(|_| !sent.any_count);
        let checked = tokio::task::spawn_blocking(move || {
            let _kept = (turn, place);
            let mut intake = upload.take_in().map_err(refused)?;
            let report = intake_told(&intake)?;
            let mut refused = std::mem::take(&mut intake.rejected);
            refused.append(&mut intake.errors);
            let verdict = if refused.is_empty() { "accepted" } else { "refused" };
            let summary = json!({ "verdict": verdict, "rejects": words::rejects(&refused), "report": report });
            Ok(Checked { summary, findings: intake.topology })
        });
        checked.await.map_err(Fault::broken)?
    }

    /// How the zones of a version lie beside each other, as GeoJSON to lay over a map.
    ///
    /// # Errors
    /// None of this name; too many who wait; the store's.
    pub async fn topology(&self, zoning: &str, version: &str) -> Result<Checked, Fault> {
        let turn = self.short_turn().await?;
        let upload = self.upload_of(zoning, version).await?;
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let intake = upload.take_in().map_err(refused)?;
            Ok(Checked { summary: words::topology(&intake.topology)?, findings: intake.topology })
        });
        checked.await.map_err(Fault::broken)?
    }

    /// Reads and keeps a register, as a job.
    ///
    /// # Errors
    /// As the job's own, what is wrong with the file; rows refused are in the report and stop nothing.
    pub async fn send_register(&self, who: &Who, sent: RegisterSent, sending: Sending) -> Result<Started, Fault> {
        let file_name = sending.parts.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let request = json!({ "file": file_name });
        let who_sends = who.clone();
        let work = move |office: Office, pen: super::jobs::Pen| async move {
            pen.step("reading").await?;
            let Sending { parts, place: _place } = sending;
            let Some((file_name, bytes)) = parts.into_iter().next().filter(|(_, bytes)| !bytes.is_empty()) else {
                return Err(Fault::wrong("empty_file", "body", "0 bytes", "a register"));
            };
            let digest = sha256_hex(&bytes);
            let mut sent = sent;
            let told_mapping = sent.mapping.is_some();
            if !told_mapping && let Some(text) = office.desk().mapping(&who_sends.name).await? {
                sent.mapping = Some(Mapping::parse(&text).map_err(Fault::broken)?);
            }
            let from = match (&sent.mapping, told_mapping) {
                (_, true) => "request",
                (Some(_), false) => "remembered",
                (None, false) => "names",
            };
            let options = sent.to_json().to_string();
            let known = office.desk().registers().await?.into_iter().find(|known| known.digest == digest);
            let (name, reading, shared) = (file_name.clone(), sent.options(), Bytes::from(bytes));
            let held = shared.clone();
            let read = tokio::task::spawn_blocking(move || register_told(&name, held, &reading));
            let mut report = read.await.map_err(Fault::broken)?.map_err(|fault| remembered(fault, from))?;
            report["mapping"] = json!({ "from": from, "said": mapping_json(sent.mapping.as_ref()) });
            pen.step("keeping").await?;
            let entry = RegisterEntry { digest, created: now(), author: who_sends.name.clone(), file_name, options };
            let read_otherwise = |known: &RegisterEntry| {
                RegisterSent::from_json(&known.options).map(|known| known.to_json() != sent.to_json())
            };
            let told = match known {
                Some(known) if read_otherwise(&known)? => {
                    office.desk().reread_register(&entry, &report.to_string()).await?;
                    json!({ "new": false, "read_again": true })
                }
                Some(_) | None => {
                    let put = office.desk().take_register(&entry, shared, &report.to_string()).await?;
                    json!({ "new": put == Put::New, "read_again": false })
                }
            };
            if let Some(mapping) = sent.mapping.as_ref().filter(|_| told_mapping) {
                let text = Some(mapping.to_string()).filter(|text| !text.is_empty());
                office.desk().put_mapping(&who_sends.name, text.as_deref()).await?;
            }
            let mut answer = words::register(&entry);
            answer["new"] = told["new"].clone();
            answer["read_again"] = told["read_again"].clone();
            answer["report"] = report;
            Ok(answer)
        };
        self.start(who, "register", &request, work).await
    }

    /// The refused rows of a register, as CSV to be sent back to who sent it.
    ///
    /// # Errors
    /// None of this name, or its figures are not held here; too many who wait; the store's.
    pub async fn rejects(&self, digest: &str) -> Result<String, Fault> {
        let unknown = || Fault::unknown(format!("register `{digest}`"), "one whose figures are held here");
        let turn = self.short_turn().await?;
        let Kept { entry, bytes } = self.desk().register(digest).await?.ok_or_else(unknown)?;
        let options = RegisterSent::from_json(&entry.options)?.options();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let read = read_register(&entry.file_name, Input::from(Vec::from(bytes)), &options).map_err(refused)?;
            Ok(read.rejected.csv())
        });
        read.await.map_err(Fault::broken)?
    }

    /// How the columns of this sender's registers are named.
    ///
    /// # Errors
    /// The store's.
    pub async fn mapping(&self, who: &Who) -> Result<Value, Fault> {
        let text = self.desk().mapping(&who.name).await?;
        let mapping = text.map(|text| Mapping::parse(&text)).transpose().map_err(Fault::broken)?;
        Ok(json!({ "sender": who.name, "mapping": mapping_json(mapping.as_ref()) }))
    }

    /// Remembers how the columns of this sender's registers are named: by role, the name of its column. None forgets.
    ///
    /// # Errors
    /// A role that is none; the store's.
    pub async fn remember(&self, who: &Who, asked: &Value) -> Result<Value, Fault> {
        let wrong = |found: &str| {
            Fault::wrong("bad_mapping", "body", found, "an object of roles, each with the name of its column")
        };
        let asked = asked.as_object().ok_or_else(|| wrong("no object"))?;
        let mut lines = String::new();
        for (role, column) in asked {
            let column = column.as_str().filter(|column| !column.contains(['\n', '\r']));
            lines += &format!("{role}={}\n", column.ok_or_else(|| wrong("a column that is no text of one line"))?);
        }
        let mapping = parsed_mapping(&lines)?;
        let text = Some(mapping.to_string()).filter(|text| !text.is_empty());
        self.desk().put_mapping(&who.name, text.as_deref()).await?;
        self.mapping(who).await
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
        tokio::task::spawn_blocking(move || {
            let contours: Vec<_> = zones.zones().iter().map(|zone| &zone.contour).collect();
            let turned: Vec<Wgs84<_>> = reproject::to_wgs84(&contours).map_err(refused)?;
            Ok(words::contours(&entry, &zones, &turned))
        })
        .await
        .map_err(Fault::broken)?
    }

    /// What differs between two versions: codes that appeared or vanished, names and contours that changed.
    ///
    /// # Errors
    /// None of these names; the store's.
    pub async fn compare(&self, zoning: &str, version: &str, with: &str) -> Result<Value, Fault> {
        let ((after, _), (before, _)) = (self.zoning_of(zoning, version).await?, self.zoning_of(zoning, with).await?);
        let mut told = words::comparison(with, &before, &after);
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

    /// The registers, without a figure.
    ///
    /// # Errors
    /// The store's.
    pub async fn registers(&self) -> Result<Value, Fault> {
        let registers = self.desk().registers().await?;
        Ok(json!({ "registers": registers.iter().map(words::register).collect::<Vec<_>>() }))
    }

    /// What is said of a register, with the report of its reading.
    ///
    /// # Errors
    /// None of this name; the store's.
    pub async fn register(&self, digest: &str) -> Result<Value, Fault> {
        let registers = self.desk().registers().await?;
        let entry = registers.iter().find(|r| r.digest == digest);
        let entry = entry.ok_or_else(|| Fault::unknown(format!("register `{digest}`"), "one of /api/v1/registers"))?;
        let mut told = words::register(entry);
        if let Some(report) = self.desk().report(digest).await? {
            told["report"] = serde_json::from_str(&report).map_err(Fault::broken)?;
        }
        Ok(told)
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
        Ok((read_zoning(upload).await?.0, entry))
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
        let entry = match &groups.version {
            Some(version) => Some(self.kept_zoning(&groups.zoning, version).await?.entry),
            None => self.desk().latest_zoning(&groups.zoning).await?,
        };
        let entry = entry.ok_or_else(|| Fault::unknown(&place, "one of /api/v1/zonings"))?;
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

/// The columns of a mapping, by role; null when there is none.
fn mapping_json(mapping: Option<&Mapping>) -> Value {
    let column = |(role, column): (Role, &str)| (role.name().to_owned(), Value::from(column));
    mapping.map_or(Value::Null, |mapping| Value::Object(mapping.iter().map(column).collect()))
}

/// A mapping as a request says it.
///
/// # Errors
/// The first line that is none.
pub fn parsed_mapping(text: &str) -> Result<Mapping, Fault> {
    let wrong = |bad: BadMapping| {
        let BadMapping { line, found, expected } = bad;
        Fault::wrong("bad_mapping", format!("mapping, line {line}"), found, expected)
    };
    Mapping::parse(text).map_err(wrong)
}

/// Says where a mapping came from that does not fit the file.
fn remembered(fault: Fault, from: &str) -> Fault {
    match (fault.code, from) {
        ("column_missing", "remembered") => Fault {
            expected: format!(
                "{}; columns are named as remembered of this sender: send `map` with the file, or see /api/v1/mapping",
                fault.expected
            ),
            ..fault
        },
        _ => fault,
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
fn whole(id: &str, mut parts: Vec<(String, Vec<u8>)>) -> Result<(String, Vec<u8>), Fault> {
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
    let Reject { code, file, found, expected, .. } = unreadable.0.clone();
    let mut fault = Fault::wrong(code, file, found, expected);
    fault.rejects = vec![unreadable.0];
    fault
}

/// Reads and judges a zone file; the report says what was taken, what was mended, and how the zones lie.
async fn read_zoning(upload: ZoningUpload) -> Result<(Zoning, Value), Fault> {
    let read = tokio::task::spawn_blocking(move || {
        let mut intake = upload.take_in().map_err(refused)?;
        let report = intake_told(&intake)?;
        let name = upload.groups.as_ref().map_or(&upload.files.name, |table| &table.name);
        let mut rejected = std::mem::take(&mut intake.rejected);
        rejected.append(&mut intake.errors);
        match intake.zoning {
            Some(zoning) if rejected.is_empty() => Ok((zoning, report)),
            Some(_) | None => Err(zones_refused(name, rejected, report)),
        }
    });
    read.await.map_err(Fault::broken)?
}

/// All that is to be said of a zone file.
fn intake_told(intake: &Intake) -> Result<Value, Fault> {
    let mut report = words::layer(&intake.layer);
    report["topology"] = words::topology(&intake.topology)?;
    report["changes"] = words::changes(&intake.changes)?;
    report["groups"] = json!(intake.members);
    Ok(report)
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

/// Reads a register to say what it holds; it is kept as it came.
fn register_told(name: &str, bytes: Bytes, options: &RegisterOptions) -> Result<Value, Fault> {
    let read = read_register(name, Input::from(Vec::from(bytes)), options).map_err(refused)?;
    if read.accepted.is_empty() {
        let found = format!("no usable row, {} refused", read.rejected.len());
        let fault = Fault::wrong("register_refused", name, found, "at least one establishment");
        let report = json!({ "columns": words::columns(&read.columns) });
        return Err(Fault { rejects: read.rejected.into_list(name), report, ..fault });
    }
    Ok(words::rows(name, read))
}
