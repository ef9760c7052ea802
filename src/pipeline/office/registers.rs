//! Registers on their way in: read, kept, read anew by another mapping or trust.

use super::intake::{crs_json, refused};
use super::jobs::apart;
use super::{Fault, Office, Sending, Started, Who, now, words};
use crate::model::establishment::Trust;
use crate::model::{Crs, Source};
use crate::steps::bytes::sha256_hex;
use crate::steps::read::columns::{BadMapping, Mapping, Role};
use crate::steps::read::register::{RegisterOptions, read_register};
use crate::steps::read::table::Input;
use crate::store::{Kept, Put, RegisterEntry};
use bytes::Bytes;
use serde_json::{Value, json};

/// A register on its way in. What is `None` was not told: it stays as it was said of the same file before.
#[derive(Debug, Clone, Default)]
pub struct RegisterSent {
    /// The year whose 31 December it describes, where the file does not say.
    pub vintage: Option<u16>,
    /// Who sent the headcounts, where the file does not say.
    pub source: Option<Source>,
    /// The system of the coordinates, by its EPSG number, where the file does not say.
    pub crs: Option<u32>,
    /// Which qualities of geocoding are placed; the usual ones when nobody ever said.
    pub trust: Option<Trust>,
    /// Which column is what, one `role=column` a line. When absent, what is remembered of the sender, then what was said of
    /// the same file before.
    pub mapping: Option<Mapping>,
}

impl RegisterSent {
    pub(super) fn options(&self) -> RegisterOptions {
        RegisterOptions {
            vintage: self.vintage,
            source: self.source,
            crs: self.crs.map(Crs::Epsg),
            mapping: self.mapping.clone().unwrap_or_default(),
            trust: self.trust.unwrap_or_default(),
        }
    }

    /// What was not told now, as it was told of the same file before.
    fn beside(self, before: Self) -> Self {
        Self {
            vintage: self.vintage.or(before.vintage),
            source: self.source.or(before.source),
            crs: self.crs.or(before.crs),
            trust: self.trust.or(before.trust),
            mapping: self.mapping.or(before.mapping),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mapping = self.mapping.as_ref().map(Mapping::to_string).unwrap_or_default();
        json!({
            "vintage": self.vintage, "source": self.source.map(Source::code), "crs": crs_json(self.crs),
            "trust": self.trust.unwrap_or_default().code(), "mapping": mapping,
        })
    }

    pub(super) fn from_json(text: &str) -> Result<Self, Fault> {
        let json: Value = serde_json::from_str(text).map_err(Fault::broken)?;
        Ok(Self {
            vintage: json["vintage"].as_u64().and_then(|year| u16::try_from(year).ok()),
            source: json["source"].as_str().and_then(Source::from_code),
            crs: json["crs"]["epsg"].as_u64().and_then(|crs| u32::try_from(crs).ok()),
            trust: json["trust"].as_str().and_then(Trust::from_code),
            mapping: match json["mapping"].as_str() {
                None | Some("") => None,
                Some(lines) => Some(Mapping::parse(lines).map_err(Fault::broken)?),
            },
        })
    }
}

impl Office {
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
            let (digest, bytes) = apart((), move || Ok((sha256_hex(&bytes), bytes))).await?;
            let mut sent = sent;
            let told_mapping = sent.mapping.is_some();
            let mut from = "request";
            if !told_mapping && let Some(text) = office.desk().mapping(&who_sends.name).await? {
                from = "remembered";
                sent.mapping = Some(Mapping::parse(&text).map_err(Fault::broken)?);
            }
            let known = office.desk().registers().await?.into_iter().find(|known| known.digest == digest);
            let before = known.as_ref().map(|known| RegisterSent::from_json(&known.options)).transpose()?;
            if sent.mapping.is_none() {
                let is_kept = before.as_ref().is_some_and(|before| before.mapping.is_some());
                from = if is_kept { "kept" } else { "names" };
            }
            let sent = sent.beside(before.clone().unwrap_or_default());
            let options = sent.to_json().to_string();
            let (name, reading, shared) = (file_name.clone(), sent.options(), Bytes::from(bytes));
            let held = shared.clone();
            let read = apart((), move || register_told(&name, held, &reading)).await;
            let mut report = read.map_err(|fault| remembered(fault, from))?;
            report["mapping"] = json!({ "from": from, "said": mapping_json(sent.mapping.as_ref()) });
            pen.step("keeping").await?;
            let entry = RegisterEntry { digest, created: now(), author: who_sends.name.clone(), file_name, options };
            let told = match before {
                Some(before) if before.to_json() != sent.to_json() => {
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
        apart(turn, move || {
            let read = read_register(&entry.file_name, Input::from(Vec::from(bytes)), &options).map_err(refused)?;
            Ok(read.rejected.csv())
        })
        .await
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
