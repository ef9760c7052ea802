//! Zonings and registers on their way in, and the versions of zonings: listed, read, compared, restored.

use super::{Fault, FaultKind, Office, Started, Who, now, reasoned, words};
use crate::model::{Crs, Reject, Source, Unreadable, Wgs84, Zoning};
use crate::pipeline::inputs::one_file;
use crate::steps::bytes::sha256_hex;
use crate::steps::intake::{Intake, Wanted, take_in};
use crate::steps::read::register::{RegisterOptions, register};
use crate::steps::read::table::Input;
use crate::steps::read::{Files, ZoneOptions};
use crate::steps::reproject;
use crate::store::{Kept, Put, RegisterEntry, ZoningVersion};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::OwnedSemaphorePermit;

/// Longest name of a zoning or of a version, in characters: they stand in addresses and in file names.
const NAME_CHARS_MAX: usize = 64;

/// Names of dimensions that are no zoning.
const TAKEN_NAMES: [&str; 5] = ["naf", "naf_section", "naf_division", "tranche", "source"];

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneReading {
    /// The layer.
    pub layer: Option<String>,
    /// The field of the codes.
    pub code_field: Option<String>,
    /// The field of the names.
    pub label_field: Option<String>,
    /// The system of the coordinates, by its EPSG number.
    pub crs: Option<u32>,
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
        let Self { layer, code_field, label_field, crs } = self;
        json!({ "layer": layer, "code_field": code_field, "label_field": label_field, "crs": crs_json(*crs) })
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
        })
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
            ..RegisterOptions::default()
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "vintage": self.vintage, "source": self.source.map(Source::code), "crs": crs_json(self.crs) })
    }

    pub(super) fn from_json(text: &str) -> Result<Self, Fault> {
        let json: Value = serde_json::from_str(text).map_err(Fault::broken)?;
        Ok(Self {
            vintage: json["vintage"].as_u64().and_then(|year| u16::try_from(year).ok()),
            source: json["source"].as_str().and_then(Source::from_code),
            crs: json["crs"]["epsg"].as_u64().and_then(|crs| u32::try_from(crs).ok()),
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
        let request = json!({ "zoning": sent.zoning, "version": sent.version, "reason": sent.reason });
        let who_sends = who.clone();
        let work = move |office: Office, pen: super::jobs::Pen| async move {
            pen.step("reading").await?;
            let Sending { parts, place: _place } = sending;
            let (file_name, bytes) = whole(&sent.zoning, parts)?;
            let digest = sha256_hex(&bytes);
            let before = office.desk().latest_zoning(&sent.zoning).await?;
            let expected = sent.expected.or(office.0.settings.expected.get(&sent.zoning).copied());
            let counted = expected.filter(|_| !sent.any_count);
            let (name, options) = (file_name.clone(), sent.reading.options());
            let shared = Bytes::from(bytes);
            let held = shared.clone();
            let (zoning, mut report) =
                tokio::task::spawn_blocking(move || read_zoning(&name, held.to_vec(), &options, counted))
                    .await
                    .map_err(Fault::broken)??;
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
            let options = sent.to_json().to_string();
            let known = office.desk().registers().await?.into_iter().find(|known| known.digest == digest);
            if let Some(known) = known
                .filter(|known| RegisterSent::from_json(&known.options).is_ok_and(|k| k.to_json() != sent.to_json()))
            {
                let found = format!("the file sent on {} with other options", known.created);
                return Err(Fault::conflict(
                    "taken",
                    format!("register `{digest}`"),
                    found,
                    "the same options, or another file",
                ));
            }
            let (name, reading, shared) = (file_name.clone(), sent.options(), Bytes::from(bytes));
            let held = shared.clone();
            let report = tokio::task::spawn_blocking(move || read_register(&name, held, &reading))
                .await
                .map_err(Fault::broken)??;
            pen.step("keeping").await?;
            let entry = RegisterEntry { digest, created: now(), author: who_sends.name.clone(), file_name, options };
            let put = office.desk().take_register(&entry, shared, &report.to_string()).await?;
            let mut told = words::register(&entry);
            told["new"] = (put == Put::New).into();
            told["report"] = report;
            Ok(told)
        };
        self.start(who, "register", &request, work).await
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
    async fn zoning_of(&self, zoning: &str, version: &str) -> Result<(Zoning, ZoningVersion), Fault> {
        let Kept { entry, bytes } = self.kept_zoning(zoning, version).await?;
        let (name, options) = (entry.file_name.clone(), ZoneReading::from_json(&entry.options)?.options());
        let read = tokio::task::spawn_blocking(move || read_zoning(&name, bytes.to_vec(), &options, None));
        Ok((read.await.map_err(Fault::broken)??.0, entry))
    }
}

/// A name that may stand in an address.
fn named<'a>(what: &str, name: &'a str, small: bool) -> Result<&'a str, Fault> {
    let letter = |b: u8| match small {
        true => b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-',
        false => b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.',
    };
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(letter) && !name.starts_with('.');
    if fits && !(small && TAKEN_NAMES.contains(&name)) {
        return Ok(name);
    }
    let letters = if small { "small letters, digits, `-` and `_`" } else { "letters, digits, `.`, `-` and `_`" };
    let mut expected = format!("a name of 1 to {NAME_CHARS_MAX} {letters}");
    if small {
        expected += &format!(", and none of {}", TAKEN_NAMES.join(", "));
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

/// Reads and judges a zone file; the report says what was taken, and how the zones lie.
fn read_zoning(
    name: &str,
    bytes: Vec<u8>,
    options: &ZoneOptions,
    expected: Option<usize>,
) -> Result<(Zoning, Value), Fault> {
    let files = Files { name: name.to_owned(), parts: vec![(name.to_owned(), bytes)] };
    let wanted = Wanted { options: options.clone(), expected, ..Wanted::default() };
    let Intake { layer, mut rejected, errors, topology, zoning, .. } = take_in(&files, &wanted).map_err(refused)?;
    let mut report = words::layer(&layer);
    rejected.extend(errors);
    match zoning {
        Some(zoning) if rejected.is_empty() => {
            report["topology"] = words::topology(&topology)?;
            Ok((zoning, report))
        }
        Some(_) | None => Err(zones_refused(name, rejected, report, &topology)),
    }
}

fn zones_refused(
    name: &str,
    rejects: Vec<Reject>,
    mut report: Value,
    topology: &crate::steps::validate::TopologyReport,
) -> Fault {
    match words::topology(topology) {
        Ok(topology) => report["topology"] = topology,
        Err(broken) => return broken,
    }
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
fn read_register(name: &str, bytes: Bytes, options: &RegisterOptions) -> Result<Value, Fault> {
    let read = register(name, Input::from(bytes.to_vec()), options).map_err(refused)?;
    if read.accepted.is_empty() {
        let found = format!("no usable row, {} refused", read.rejected.len());
        let fault = Fault::wrong("register_refused", name, found, "at least one establishment");
        return Err(Fault { rejects: read.rejected, ..fault });
    }
    Ok(words::rows(&read))
}
