//! OData 4.0 for Power BI and its like: figures, zones and publications as sets of rows.
//!
//! What the clients enforce, and why each header is as it is: `docs/powerbi/README.md`.

mod edm;
mod options;
mod protocol;
mod tables;
mod write;

pub use protocol::speak;
pub use tables::Rows;

use super::App;
use super::answer::{aside, document};
use super::ogc::query::{Ask, encode};
use super::problem::Problem;
use super::state::Shelved;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use edm::{AGGREGATES, CONTOURS, FACES, Face, HISTORY, Heading, PUBLICATIONS, Table, ZONES};
use options::Options;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tables::{Aggregates, Contours, Publications, Zones};

/// The one media type of answers, each parameter as the Mashup engine expects it.
const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
/// Media type of `$metadata`.
const XML: &str = "application/xml";
/// Media type of a number of rows.
const PLAIN: &str = "text/plain;charset=utf-8";

/// What is asked of a set.
enum Part {
    /// Its rows, page by page.
    Rows,
    /// The row of a key.
    Row(Vec<String>),
    /// How many rows it has.
    Count,
}

/// `/odata` and `/odata/`: the service document.
pub async fn root(ask: Ask) -> Result<Response, Problem> {
    options::only(&ask, &options::OF_A_DOCUMENT)?;
    options::format(&ask, "json", "application/json")?;
    document(&ask, "", JSON, || {
        let set = |face: &Face| serde_json::json!({ "name": face.set, "kind": "EntitySet", "url": face.set });
        let sets: Vec<_> = FACES.iter().map(set).collect();
        Ok(serde_json::json!({ "@odata.context": context(&ask, ""), "value": sets }).to_string())
    })
}

/// `/odata/$metadata`: the model.
pub async fn metadata(ask: Ask) -> Result<Response, Problem> {
    options::only(&ask, &options::OF_A_DOCUMENT)?;
    options::format(&ask, "xml", "application/xml")?;
    document(&ask, "", XML, || {
        let types = FACES.iter().map(|face| (face, headings_of(face))).collect::<Vec<_>>();
        edm::csdl(&types).map_err(|e| Problem::failure(&e.to_string()))
    })
}

/// `/odata/Aggregats`
pub async fn aggregates(app: App, ask: Ask, headers: HeaderMap) -> Result<Response, Problem> {
    set(app, ask, headers, &AGGREGATES, Part::Rows).await
}

/// `/odata/AggregatsHistorique`
pub async fn history(app: App, ask: Ask, headers: HeaderMap) -> Result<Response, Problem> {
    set(app, ask, headers, &HISTORY, Part::Rows).await
}

/// `/odata/Zones`
pub async fn zones(app: App, ask: Ask, headers: HeaderMap) -> Result<Response, Problem> {
    set(app, ask, headers, &ZONES, Part::Rows).await
}

/// `/odata/Contours`
pub async fn contours(app: App, ask: Ask, headers: HeaderMap) -> Result<Response, Problem> {
    set(app, ask, headers, &CONTOURS, Part::Rows).await
}

/// `/odata/Publications`
pub async fn publications(app: App, ask: Ask, headers: HeaderMap) -> Result<Response, Problem> {
    set(app, ask, headers, &PUBLICATIONS, Part::Rows).await
}

/// `/odata/{resource}`: a row by its key, or any of the above with its name percent-encoded.
pub async fn resource(
    app: App,
    Path(resource): Path<String>,
    ask: Ask,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if resource == "$metadata" {
        return metadata(ask).await;
    }
    let (name, key) = match resource.split_once('(') {
        Some((name, key)) => (name, Some(key)),
        None => (resource.as_str(), None),
    };
    let face = face(name)?;
    let part = match key {
        Some(key) => Part::Row(protocol::key(face, key)?),
        None => Part::Rows,
    };
    set(app, ask, headers, face, part).await
}

/// `/odata/{resource}/$count`: how many rows match.
pub async fn count(
    app: App,
    Path((resource, part)): Path<(String, String)>,
    ask: Ask,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let face = face(&resource)?;
    match part.as_str() {
        "$count" => set(app, ask, headers, face, Part::Count).await,
        _ => {
            let expected = "$count; columns of a row are chosen by $select";
            let found = format!("`{part}`");
            Err(Problem::refused(StatusCode::NOT_FOUND, "not_supported", "path", found, expected))
        }
    }
}

fn face(name: &str) -> Result<&'static Face, Problem> {
    const ALL: &[Face] = &FACES;
    ALL.iter().find(|face| face.set == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|face| face.set).collect();
        let expected = format!("$metadata or one of {}", names.join(", "));
        Problem::refused(StatusCode::NOT_FOUND, "unknown_set", "path", format!("`{name}`"), expected)
    })
}

fn headings_of(face: &Face) -> Vec<Heading> {
    match face.set {
        set if set == ZONES.set => edm::headings::<Zones>(),
        set if set == CONTOURS.set => edm::headings::<Contours>(),
        set if set == PUBLICATIONS.set => edm::headings::<Publications>(),
        _ => edm::headings::<Aggregates>(),
    }
}

/// Answers from a set, away from the threads that take requests.
async fn set(app: App, ask: Ask, headers: HeaderMap, face: &'static Face, part: Part) -> Result<Response, Problem> {
    aside(move || answered(&app, &ask, &headers, face, part)).await
}

/// Finds what a set holds, and answers from it.
fn answered(app: &App, ask: &Ask, headers: &HeaderMap, face: &Face, part: Part) -> Result<Response, Problem> {
    let on_shelf = app.shelf.look();
    let asked = Asked { ask, headers, face, part };
    if face.set == PUBLICATIONS.set {
        return asked.answer(&on_shelf.name(), || Publications::of(&on_shelf));
    }
    if face.set == HISTORY.set {
        // Without one of them the set would be another one, and a refresh would keep it so.
        if let Some(closed) = on_shelf.closed().first() {
            return Err(Problem::still_closed(closed));
        }
        let mut parts: Vec<Arc<Shelved>> = on_shelf.releases().cloned().collect();
        parts.sort_by(|one, other| {
            let age = |shelved: &Shelved| (shelved.release.provenance.updated.clone(), shelved.release.id.to_string());
            age(one).cmp(&age(other))
        });
        return asked.answer(&on_shelf.name(), || Aggregates::of(parts));
    }
    let shelved = asked.shelved(on_shelf.shelved()?, |id| on_shelf.release(id))?;
    let release = shelved.release.clone();
    let id = release.id.to_string();
    match face.set {
        set if set == ZONES.set => asked.answer(&id, || Zones::of(release)),
        set if set == CONTOURS.set => asked.answer(&id, || Contours(Zones::of(release))),
        _ => asked.answer(&id, || Aggregates::of(vec![shelved])),
    }
}

/// A request for a set.
struct Asked<'a> {
    ask: &'a Ask,
    headers: &'a HeaderMap,
    face: &'a Face,
    part: Part,
}

impl Asked<'_> {
    /// The release a request reads: the current one, or that of the pages before while it can be read, so that the
    /// pages of one question never mix two publications.
    fn shelved(
        &self,
        current: Arc<Shelved>,
        release: impl Fn(&str) -> Result<Arc<Shelved>, Problem>,
    ) -> Result<Arc<Shelved>, Problem> {
        let token = self.ask.params.iter().find(|(name, _)| name == "$skiptoken");
        let Some((name, _)) = token.and_then(|(_, token)| token.rsplit_once('-')) else { return Ok(current) };
        if name == digest(current.release.id.as_str()) {
            return Ok(current);
        }
        release(name).map_err(|_| stale())
    }

    /// Answers from a table that is named `content`, and made only when it is needed.
    fn answer<T: Table>(&self, content: &str, table: impl FnOnce() -> T) -> Result<Response, Problem> {
        let Self { ask, headers, face, part } = self;
        let known: &[&str] = match part {
            Part::Rows => &options::OF_A_SET,
            Part::Row(_) => &options::OF_A_ROW,
            Part::Count => &options::OF_A_COUNT,
        };
        options::only(ask, known)?;
        match part {
            Part::Count => options::format(ask, "text", "text/plain")?,
            Part::Rows | Part::Row(_) => options::format(ask, "json", "application/json")?,
        }
        let options = Options::read::<T>(ask)?;
        let columns = options.select.as_deref().map(|select| write::selected(&edm::headings::<T>(), select));
        let chosen = columns.map_or_else(String::new, |columns| format!("({columns})"));
        match part {
            Part::Rows => {
                let preferred = options::preferred_rows(headers, face.page_rows);
                let page_rows = preferred.unwrap_or(face.page_rows);
                let name = digest(content);
                if options.token.as_ref().is_some_and(|(of, _)| *of != name) {
                    return Err(stale());
                }
                let mut reply = document(ask, &format!("{content} {page_rows}"), JSON, || {
                    let table = table();
                    let page = write::page(&table, &options, page_rows);
                    let next = page.given.map(|given| next(ask, &format!("{name}-{given}")));
                    let context = context(ask, &format!("#{}{chosen}", face.set));
                    Ok(write::collection(&table, options.select.as_deref(), &context, &page, next.as_deref()))
                })?;
                reply.headers_mut().append(header::VARY, HeaderValue::from_static("Prefer"));
                if let Some(rows) = preferred
                    && let Ok(applied) = HeaderValue::from_str(&format!("odata.maxpagesize={rows}"))
                {
                    reply.headers_mut().insert(HeaderName::from_static("preference-applied"), applied);
                }
                Ok(reply)
            }
            Part::Row(key) => {
                let table = table();
                let row = write::find(&table, face, key).ok_or_else(|| {
                    let (place, found) = ("path", format!("the key {}", key.join(", ")));
                    let expected = format!("the key of a row of {}", face.set);
                    Problem::refused(StatusCode::NOT_FOUND, "unknown_key", place, found, expected)
                })?;
                document(ask, content, JSON, || {
                    let context = context(ask, &format!("#{}{chosen}/$entity", face.set));
                    Ok(write::entity(&table, options.select.as_deref(), &context, row))
                })
            }
            Part::Count => document(ask, content, PLAIN, || Ok(write::matched(&table(), &options).to_string())),
        }
    }
}

/// The pages before were read from something that cannot be read any more.
fn stale() -> Problem {
    let found = "a page of a publication that is served no more";
    let expected = "a request without it: the first page of what is served now";
    Problem::refused(StatusCode::GONE, "stale_page", "parameter `$skiptoken`", found, expected)
}

/// A name without spaces for what a page was read from; a release stands under its own.
fn digest(content: &str) -> String {
    match content.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => content.to_owned(),
        // 64 bits tell the states of one shelf apart.
        false => Sha256::digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The context of an answer, absolute; brackets and commas as they are written in the standard.
fn context(ask: &Ask, fragment: &str) -> String {
    format!("{}/odata/$metadata{fragment}", ask.base)
}

/// The address of the next page: every option of this one, and where it goes on. A key that was offered is left out.
fn next(ask: &Ask, token: &str) -> String {
    let params = ask.params.iter().filter(|(name, _)| !matches!(name.as_str(), "$skiptoken" | "api_key"));
    let mut query: Vec<String> =
        params.map(|(name, value)| format!("{}={}", encode(name, "$"), encode(value, "(),:'"))).collect();
    query.push(format!("$skiptoken={token}"));
    format!("{}{}?{}", ask.base, ask.path, query.join("&"))
}

#[cfg(test)]
mod tests;
