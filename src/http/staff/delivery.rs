//! Bodies on their way in: a file with its fields in parts, or raw with its fields in the query.

use super::Staff;
use super::spool::Spool;
use crate::http::problem::Problem;
use crate::pipeline::office::{Fault, Sending, packed};
use crate::steps::read::Files;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::{StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

/// Largest field beside a file, in bytes: a reason of some pages.
const FIELD_BYTES_MAX: usize = 64 << 10;

/// Fields and files of one request: a shapefile has five parts, and this leaves room.
const PARTS_MAX: usize = 40;

/// Largest JSON body, in bytes: a draft of fifty inputs has some thousand.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Longest silence in a body, in seconds: a line that is slow still brings something, and one that is dead is let go.
const SILENCE: Duration = Duration::from_secs(30);

/// The part that holds the territory beside a zone file; a field of this name names one that is kept.
const TERRITORY: &str = "territory";

/// The field that may be said several times: a line of a mapping each.
const SAID_AGAIN: &str = "map";

/// A file with what is said of it.
pub struct Delivery {
    fields: BTreeMap<String, String>,
    /// The file, with its place in memory.
    pub sending: Sending,
    /// The file of a territory beside it.
    pub territory: Option<Files>,
    /// SHA-256 of all that was sent.
    pub digest: String,
}

impl Delivery {
    /// Takes a field; an empty one, as forms send, was not told.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.fields.remove(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Takes a field that is a number, a source or another word.
    pub fn take_as<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| wrong(&format!("field `{name}`"), &format!("`{text}`"), expected))
    }

    /// Refuses the fields that nobody took.
    pub fn nothing_left(&self, known: &[&str]) -> Result<(), Problem> {
        let beside = self.territory.as_ref().map(|_| TERRITORY);
        match self.fields.keys().map(String::as_str).chain(beside).find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(unknown) => Err(wrong("body", &format!("field `{unknown}`"), &format!("only {}", known.join(", ")))),
        }
    }
}

impl FromRequest<Staff> for Delivery {
    type Rejection = Problem;

    async fn from_request(request: Request, staff: &Staff) -> Result<Self, Problem> {
        // Who sends slowly takes a place among those who send, and none of those at which files are held and read.
        let arriving = staff.office.place_to_send()?;
        let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let query = query.map_err(|_| wrong("query", "text that cannot be read", "percent-encoded UTF-8"))?.0;
        let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let path = request.uri().path().to_owned();
        let mut fields = BTreeMap::new();
        query.into_iter().try_for_each(|(name, value)| say(&mut fields, name, value))?;
        let (mut spooled, mut beside) = (Vec::new(), Vec::new());
        if media == "multipart/form-data" {
            let multipart = Multipart::from_request(request, &())
                .await
                .map_err(|_| wrong("header `Content-Type`", "no boundary", "multipart/form-data with its boundary"))?;
            in_parts(multipart, staff, &mut fields, &mut spooled, &mut beside).await?;
        } else {
            let file = match fields.remove("file_name") {
                Some(name) => base_name(&name),
                None => format!("upload.{}", extension(&media)),
            };
            spooled.push((file, whole_body(request.into_body(), staff).await?));
        }
        if spooled.iter().all(|(_, spool)| spool.len() == 0) {
            let expected = "a file: raw, or as a part of multipart/form-data with its `filename`";
            return Err(wrong("body", "no byte of a file", expected));
        }
        let place = staff.office.place_for_upload().await?;
        let (parts, beside) = (in_memory(spooled).await?, in_memory(beside).await?);
        drop(arriving);
        // Half a gigabyte takes a second to be digested, and its place is held until then also when the sender has left.
        let taken = tokio::task::spawn_blocking(move || {
            let digest = digest(&path, &fields, &parts, &beside);
            let territory = match beside.iter().all(|(_, bytes)| bytes.is_empty()) {
                // As forms send what was not chosen.
                true => None,
                false => {
                    let (name, bytes) = packed(TERRITORY, beside)?;
                    Some(Files { name: name.clone(), parts: vec![(name, bytes)] })
                }
            };
            Ok::<_, Fault>(Self { fields, sending: Sending { parts, place: Some(place) }, territory, digest })
        });
        Ok(taken.await.map_err(|panic| Problem::failure(&panic.to_string()))??)
    }
}

async fn in_memory(spooled: Vec<(String, Spool)>) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let mut parts = Vec::new();
    for (name, spool) in spooled {
        parts.push((name, spool.into_bytes().await?));
    }
    Ok(parts)
}

/// Takes a field that was said; one that is said again is refused, unless its lines add up.
fn say(fields: &mut BTreeMap<String, String>, name: String, value: String) -> Result<(), Problem> {
    match fields.get_mut(&name) {
        None => {
            fields.insert(name, value);
        }
        Some(said) if name == SAID_AGAIN && said.len() + value.len() < FIELD_BYTES_MAX => {
            said.push('\n');
            said.push_str(&value);
        }
        Some(_) => return Err(wrong(&format!("field `{name}`"), "it again", "each field once")),
    }
    Ok(())
}

/// Takes the parts of a form: fields, files, and those of a territory beside them.
async fn in_parts(
    mut multipart: Multipart,
    staff: &Staff,
    fields: &mut BTreeMap<String, String>,
    files: &mut Vec<(String, Spool)>,
    beside: &mut Vec<(String, Spool)>,
) -> Result<(), Problem> {
    let cut = |_| wrong("body", "parts that cannot be read", "multipart/form-data (RFC 7578)");
    let mut told = 0;
    while let Some(mut field) = heard(multipart.next_field()).await?.map_err(cut)? {
        told += 1;
        if told > PARTS_MAX {
            return Err(wrong("body", "more parts", &format!("{PARTS_MAX} parts at most")));
        }
        let (name, file) = (field.name().unwrap_or_default().to_owned(), field.file_name().map(base_name));
        let mut spool = Spool::new(staff.office.spool());
        while let Some(chunk) = heard(field.chunk()).await?.map_err(cut)? {
            spool.push(&chunk).await?;
            if file.is_none() && spool.len() > FIELD_BYTES_MAX {
                let expected = format!("{FIELD_BYTES_MAX} bytes at most");
                return Err(wrong(&format!("field `{name}`"), "a longer text", &expected));
            }
        }
        match file {
            Some(file) if name == TERRITORY => beside.push((file, spool)),
            Some(file) => files.push((file, spool)),
            None => {
                let text = String::from_utf8(spool.into_bytes().await?)
                    .map_err(|_| wrong(&format!("field `{name}`"), "bytes that are no text", "UTF-8"))?;
                say(fields, name, text)?;
            }
        }
    }
    Ok(())
}

/// Takes a body that is one file; the layer around the routes ends one that is too long.
async fn whole_body(body: Body, staff: &Staff) -> Result<Spool, Problem> {
    let mut spool = Spool::new(staff.office.spool());
    let mut body = std::pin::pin!(body);
    while let Some(frame) = heard(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx))).await? {
        if let Ok(data) = frame.map_err(|_| cut_short())?.into_data() {
            spool.push(&data).await?;
        }
    }
    Ok(spool)
}

/// Waits for the next bytes, though not for ever.
async fn heard<T>(next: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(SILENCE, next).await.map_err(|_| {
        let found = format!("nothing for {} s", SILENCE.as_secs());
        Problem::refused(StatusCode::REQUEST_TIMEOUT, "body_silent", "body", found, "the rest of it")
    })
}

/// A JSON body, an empty one counting as an empty object, and the digest of the request.
pub struct Asked {
    /// What was asked.
    pub json: Value,
    /// SHA-256 of path and body.
    pub digest: String,
}

impl Asked {
    /// A text of the object; another key than these is refused.
    pub fn text(&self, name: &str, known: &[&str]) -> Result<String, Problem> {
        let object = self.json.as_object().ok_or_else(|| wrong("body", "no object", "a JSON object"))?;
        if let Some(unknown) = object.keys().find(|key| !known.contains(&key.as_str())) {
            let expected =
                if known.is_empty() { "an empty object".to_owned() } else { format!("only {}", known.join(", ")) };
            return Err(wrong("body", &format!("`{unknown}`"), &expected));
        }
        match object.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(wrong(&format!("`{name}`"), "another value", "a text")),
        }
    }
}

impl FromRequest<Staff> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Staff) -> Result<Self, Problem> {
        let path = request.uri().path().to_owned();
        let bytes = small_body(request).await?;
        let json = match bytes.trim_ascii() {
            b"" => Value::Object(serde_json::Map::new()),
            text => serde_json::from_slice(text).map_err(|e| {
                wrong("body", &format!("text that is no JSON, at line {} column {}", e.line(), e.column()), "JSON")
            })?,
        };
        let digest = digest(&path, &BTreeMap::new(), &[(String::new(), bytes.clone())], &[]);
        Ok(Self { json, digest })
    }
}

/// A small body: JSON as [`Asked`] has it, or a file of text with its name.
pub enum Told {
    /// JSON.
    Json(Asked),
    /// A table, by its media type.
    Table {
        /// Its bytes.
        bytes: Vec<u8>,
        /// SHA-256 of path and body.
        digest: String,
    },
}

impl FromRequest<Staff> for Told {
    type Rejection = Problem;

    async fn from_request(request: Request, staff: &Staff) -> Result<Self, Problem> {
        let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let is_table = media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/csv");
        if !is_table {
            return Ok(Self::Json(Asked::from_request(request, staff).await?));
        }
        let path = request.uri().path().to_owned();
        let bytes = small_body(request).await?;
        let digest = digest(&path, &BTreeMap::new(), &[("csv".to_owned(), bytes.clone())], &[]);
        Ok(Self::Table { bytes, digest })
    }
}

async fn small_body(request: Request) -> Result<Vec<u8>, Problem> {
    let bytes = heard(to_bytes(request.into_body(), JSON_BYTES_MAX)).await?.map_err(|_| {
        let (place, found) = ("body", "more bytes, or a body cut short");
        let expected = format!("{JSON_BYTES_MAX} bytes at most");
        Problem::refused(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", place, found, expected)
    })?;
    Ok(bytes.into())
}

fn wrong(place: &str, found: &str, expected: &str) -> Problem {
    Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, "bad_request", place, found, expected)
}

fn cut_short() -> Problem {
    let expected = format!("a whole body of {} bytes at most", super::BODY_BYTES_MAX);
    Problem::refused(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "body",
        "more bytes, or a body cut short",
        expected,
    )
}

/// The name of a file without the folders some browsers send with it.
fn base_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = name.chars().filter(|c| !c.is_control()).take(120).collect();
    if plain.is_empty() { "upload".to_owned() } else { plain }
}

/// The usual ending of a raw body's type; readers look at the bytes and not at it.
fn extension(media: &str) -> &'static str {
    match media {
        "application/zip" | "application/x-zip-compressed" => "zip",
        "application/geo+json" | "application/json" => "geojson",
        "application/geopackage+sqlite3" => "gpkg",
        "text/csv" | "text/plain" => "csv",
        "application/gzip" => "csv.gz",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.oasis.opendocument.spreadsheet" => "ods",
        "application/vnd.apache.parquet" => "parquet",
        _ => "bin",
    }
}

/// Names a request by all that decides its answer; the boundary between parts, which changes each time, does not.
fn digest(
    path: &str,
    fields: &BTreeMap<String, String>,
    parts: &[(String, Vec<u8>)],
    beside: &[(String, Vec<u8>)],
) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(path.as_bytes());
    fields.iter().for_each(|(name, value)| [name, value].into_iter().for_each(|text| add(text.as_bytes())));
    // No name of a part holds a slash, so that no file of a territory is taken for one of zones.
    let beside = beside.iter().map(|(name, bytes)| (format!("{TERRITORY}/{name}"), bytes));
    for (name, bytes) in parts.iter().map(|(name, bytes)| (name.clone(), bytes)).chain(beside) {
        add(name.as_bytes());
        add(crate::pipeline::sha256_hex(bytes).as_bytes());
    }
    format!("{:x}", hash.finalize())
}
