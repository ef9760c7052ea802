//! The handlers: each takes a request, asks the office, and shows what it says.

use super::Staff;
use super::delivery::{Asked, Delivery};
use super::once::{Deed, Reply, act, wait};
use crate::http::ogc;
use crate::http::ogc::query::{Ask, encode};
use crate::http::problem::Problem;
use crate::http::state::Shelved;
use crate::model::establishment::Trust;
use crate::model::{Crs, Duty, Source};
use crate::pipeline::office::{
    Checked, GroupReading, RegisterSent, Territory, Who, ZoneReading, ZoningSent, parsed_mapping,
};
use crate::steps::repair::Repair;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

type Told = Result<Json<Value>, Problem>;

/// The media type of tables.
pub const CSV: &str = "text/csv; charset=utf-8";

/// `/api/v1/me`
pub async fn me(who: Who) -> Json<Value> {
    let may: Vec<&str> = Duty::ALL.into_iter().filter(|duty| who.role.may(*duty)).map(Duty::as_str).collect();
    Json(json!({ "key": who.key, "name": who.name, "role": who.role.to_string(), "may": may }))
}

/// `/api/v1/zonings`
pub async fn zonings(State(staff): State<Staff>) -> Told {
    Ok(Json(staff.office.zonings().await?))
}

/// `/api/v1/zonings/{zoning}/versions`
pub async fn versions(State(staff): State<Staff>, Path(zoning): Path<String>) -> Told {
    Ok(Json(staff.office.versions(&zoning).await?))
}

/// `/api/v1/zonings/{zoning}/versions/{version}`
pub async fn version(State(staff): State<Staff>, Path((zoning, version)): Path<(String, String)>) -> Told {
    Ok(Json(staff.office.version(&zoning, &version).await?))
}

/// `/api/v1/zonings/{zoning}/versions/{version}/file`
pub async fn file(
    State(staff): State<Staff>,
    Path((zoning, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (name, bytes) = staff.office.file(&zoning, &version).await?;
    let mut answer = Response::new(Body::from(bytes));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{}", encode(&name, ""))) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

/// `/api/v1/zonings/{zoning}/versions/{version}/items`
pub async fn contours(
    State(staff): State<Staff>,
    Path((zoning, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let contours = staff.office.contours(&zoning, &version).await?;
    Ok(shown(ogc::view::GEOJSON, contours.to_string()))
}

/// `/api/v1/zonings/{zoning}/versions/{version}/compare?with=`
pub async fn compare(State(staff): State<Staff>, Path((zoning, version)): Path<(String, String)>, ask: Ask) -> Told {
    ask.only(&["with"])?;
    let with = ask.get("with").ok_or_else(|| Problem::bad_parameter("with", "", "another version of this zoning"))?;
    Ok(Json(staff.office.compare(&zoning, &version, with).await?))
}

/// `/api/v1/zonings/{zoning}/versions/{version}/what-if`: a summary, or with `f=geojson` the ground that would move, or with
/// `f=csv` the establishments that would, for those who may see them.
pub async fn what_if(
    State(staff): State<Staff>,
    who: Who,
    Path((zoning, version)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let (media, told) = match ask.get("f") {
        None | Some("json") => (ogc::view::JSON, staff.office.what_if(&who, &zoning, &version).await?),
        Some("geojson") => (ogc::view::GEOJSON, staff.office.what_if_map(&zoning, &version).await?),
        Some("csv") if who.role.may(Duty::ReadReview) => {
            return Ok(shown(CSV, staff.office.what_if_moves(&zoning, &version).await?));
        }
        Some("csv") => {
            let (found, expected) = (format!("the role {}", who.role), "a role that may read_review");
            return Err(Problem::refused(StatusCode::FORBIDDEN, "role_may_not", "key", found, expected));
        }
        Some(other) => return Err(Problem::bad_parameter("f", other, "json, geojson or csv")),
    };
    Ok(shown(media, told.to_string()))
}

/// `/api/v1/zonings/{zoning}/versions/{version}/topology`: findings as JSON, or with `f=geojson` to lay over a map.
pub async fn topology(
    State(staff): State<Staff>,
    Path((zoning, version)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.only(&["f", "territory", "territory_version"])?;
    let form = Form::of(ask.get("f"))?;
    let word = |name: &str| ask.get(name).map(str::to_owned);
    let territory = kept_territory(word("territory"), word("territory_version"))?;
    form.show(&staff.office.topology(&zoning, &version, territory).await?)
}

/// The zones of a version that is kept, as a territory.
fn kept_territory(zoning: Option<String>, version: Option<String>) -> Result<Option<Territory>, Problem> {
    match (zoning, version) {
        (Some(zoning), version) => Ok(Some(Territory::Kept { zoning, version })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(not_heeded("`territory_version` alone", "`territory` too, which names the zoning of the territory"))
        }
    }
}

fn not_heeded(found: &str, expected: &str) -> Problem {
    Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, "not_heeded", "request", found, expected)
}

/// How findings are shown.
enum Form {
    Json,
    GeoJson,
}

impl Form {
    fn of(word: Option<&str>) -> Result<Self, Problem> {
        match word {
            None | Some("json") => Ok(Self::Json),
            Some("geojson") => Ok(Self::GeoJson),
            Some(other) => Err(Problem::bad_parameter("f", other, "json or geojson")),
        }
    }

    fn show(&self, checked: &Checked) -> Result<Response, Problem> {
        let (media, text) = match self {
            Self::Json => (ogc::view::JSON, checked.summary.to_string()),
            Self::GeoJson => (ogc::view::GEOJSON, checked.geojson()?),
        };
        Ok(shown(media, text))
    }
}

/// An answer of this type.
pub fn shown(media: &'static str, text: String) -> Response {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    answer
}

/// Fields that say how a zone file is read and judged.
const READING_FIELDS: [&str; 15] = [
    "layer",
    "code_field",
    "label_field",
    "crs",
    "expected",
    "any_count",
    "snap",
    "make_valid",
    "groups_of",
    "groups_version",
    "partial",
    "territory",
    "territory_version",
    "territory_layer",
    "territory_crs",
];

/// Fields of a version on its way in, beside those.
const VERSION_FIELDS: [&str; 5] = ["version", "title", "reason", "valid_from", "valid_to"];

/// What a request says of a zone file.
fn zoning_sent(zoning: &str, delivery: &mut Delivery) -> Result<ZoningSent, Problem> {
    let flag = |delivery: &mut Delivery, name: &str| -> Result<bool, Problem> {
        Ok(delivery.take_as(name, "true or false", |word| word.parse().ok())?.unwrap_or_default())
    };
    let of = delivery.take("groups_of");
    let (version, partial) = (delivery.take("groups_version"), flag(delivery, "partial")?);
    if of.is_none() && (version.is_some() || partial) {
        let expected = "`groups_of` too, which names the zoning whose zones are grouped";
        return Err(not_heeded("`groups_version` or `partial` alone", expected));
    }
    let epsg =
        |delivery: &mut Delivery, name: &str| delivery.take_as(name, "EPSG:2154, or its number alone", Crs::epsg_code);
    let (named, version_named) = (delivery.take("territory"), delivery.take("territory_version"));
    let (layer, crs) = (delivery.take("territory_layer"), epsg(delivery, "territory_crs")?);
    let territory = match delivery.territory.take() {
        None if layer.is_some() || crs.is_some() => {
            let found = "`territory_layer` or `territory_crs` without the file of a territory";
            return Err(not_heeded(found, "`territory` as a file, which they are about"));
        }
        None => kept_territory(named, version_named)?,
        Some(files) if named.is_none() && version_named.is_none() => Some(Territory::Sent { files, layer, crs }),
        Some(_) => return Err(not_heeded("a territory by name beside the file of one", "one of the two")),
    };
    let metres = |text: &str| text.parse().ok().filter(|metres: &f64| metres.is_finite() && *metres > 0.0);
    Ok(ZoningSent {
        zoning: zoning.to_owned(),
        version: delivery.take("version"),
        title: delivery.take("title"),
        reason: delivery.take("reason").unwrap_or_default(),
        valid_from: delivery.take("valid_from"),
        valid_to: delivery.take("valid_to"),
        reading: ZoneReading {
            layer: delivery.take("layer"),
            code_field: delivery.take("code_field"),
            label_field: delivery.take("label_field"),
            crs: epsg(delivery, "crs")?,
            repair: Repair {
                snap_m: delivery.take_as("snap", "metres, such as 0.5", metres)?,
                make_valid: flag(delivery, "make_valid")?,
            },
            groups: of.map(|zoning| GroupReading { zoning, version, partial }),
        },
        expected: delivery.take_as("expected", "a number of zones", |n| n.parse().ok())?,
        any_count: flag(delivery, "any_count")?,
        territory,
    })
}

/// `POST /api/v1/zonings/{zoning}/versions`
pub async fn send_zoning(
    State(staff): State<Staff>,
    who: Who,
    Path(zoning): Path<String>,
    headers: HeaderMap,
    mut delivery: Delivery,
) -> Result<Response, Problem> {
    delivery.nothing_left(&[&VERSION_FIELDS[..], &READING_FIELDS].concat())?;
    let sent = zoning_sent(&zoning, &mut delivery)?;
    let (digest, sending) = (delivery.digest, delivery.sending);
    let (inside, sender, held) = (staff.clone(), who.clone(), headers.clone());
    act(&staff, &who, &headers, digest, async move {
        let started = inside.office.send_zoning(&sender, sent, sending).await?;
        let home = format!("/api/v1/zonings/{}/versions/", encode(&zoning, ""));
        wait(&inside, &held, started, |v| home + &encode(v["version"].as_str().unwrap_or_default(), "")).await
    })
    .await
}

/// `POST /api/v1/zonings/{zoning}/check`: what a file would be told, and nothing of it is kept.
pub async fn check_zoning(
    State(staff): State<Staff>,
    Path(zoning): Path<String>,
    mut delivery: Delivery,
) -> Result<Response, Problem> {
    delivery.nothing_left(&[&READING_FIELDS[..], &["f"]].concat())?;
    let form = Form::of(delivery.take("f").as_deref())?;
    let sent = zoning_sent(&zoning, &mut delivery)?;
    form.show(&staff.office.check_zoning(sent, delivery.sending).await?)
}

/// `POST /api/v1/zonings/{zoning}/versions/{version}/restore`
pub async fn restore(
    State(staff): State<Staff>,
    who: Who,
    Path((zoning, version)): Path<(String, String)>,
    headers: HeaderMap,
    asked: Asked,
) -> Result<Response, Problem> {
    let known = ["reason", "version"];
    let (reason, new) = (asked.text("reason", &known)?, asked.text("version", &known)?);
    let (office, sender) = (staff.office.clone(), who.clone());
    act(&staff, &who, &headers, asked.digest, async move {
        let new = Some(new.as_str()).filter(|new| !new.is_empty());
        let body = office.restore(&sender, &zoning, &version, new, &reason).await?;
        let named = encode(body["version"].as_str().unwrap_or_default(), "");
        let location = format!("/api/v1/zonings/{}/versions/{named}", encode(&zoning, ""));
        Ok(Reply { status: StatusCode::CREATED, location, body })
    })
    .await
}

/// `/api/v1/registers`
pub async fn registers(State(staff): State<Staff>) -> Told {
    Ok(Json(staff.office.registers().await?))
}

/// `/api/v1/registers/{digest}`
pub async fn register(State(staff): State<Staff>, Path(digest): Path<String>) -> Told {
    Ok(Json(staff.office.register(&digest).await?))
}

/// `POST /api/v1/registers`
pub async fn send_register(
    State(staff): State<Staff>,
    who: Who,
    headers: HeaderMap,
    mut delivery: Delivery,
) -> Result<Response, Problem> {
    delivery.nothing_left(&["vintage", "source", "crs", "trust", "map"])?;
    let mapping = delivery.take("map").map(|text| parsed_mapping(&text)).transpose()?;
    let sent = RegisterSent {
        mapping,
        vintage: delivery.take_as("vintage", "a year", |year| year.parse().ok())?,
        source: delivery.take_as("source", "urssaf or msa", Source::from_code)?,
        crs: delivery.take_as("crs", "EPSG:2154, or its number alone", Crs::epsg_code)?,
        trust: delivery.take_as("trust", "street, sure-street or number", Trust::from_code)?,
    };
    let (digest, sending) = (delivery.digest, delivery.sending);
    let (inside, sender, held) = (staff.clone(), who.clone(), headers.clone());
    act(&staff, &who, &headers, digest, async move {
        let started = inside.office.send_register(&sender, sent, sending).await?;
        let at = |r: &Value| format!("/api/v1/registers/{}", r["digest"].as_str().unwrap_or_default());
        wait(&inside, &held, started, at).await
    })
    .await
}

/// `/api/v1/registers/{digest}/rejects`: refused rows as CSV.
pub async fn rejects(State(staff): State<Staff>, Path(digest): Path<String>) -> Result<Response, Problem> {
    Ok(shown(CSV, staff.office.rejects(&digest).await?))
}

/// `/api/v1/mapping`
pub async fn mapping(State(staff): State<Staff>, who: Who) -> Told {
    Ok(Json(staff.office.mapping(&who).await?))
}

/// `POST /api/v1/mapping`
pub async fn remember(deed: Deed) -> Result<Response, Problem> {
    let asked = deed.asked.json.clone();
    deed.once(move |office, who| async move { office.remember(&who, &asked).await }).await
}

/// `/api/v1/jobs`
pub async fn jobs(State(staff): State<Staff>) -> Told {
    Ok(Json(staff.office.jobs().await?))
}

/// `/api/v1/jobs/{id}`
pub async fn job(State(staff): State<Staff>, Path(id): Path<String>) -> Told {
    Ok(Json(staff.office.job(&id).await?))
}

/// `POST /api/v1/jobs/{id}/again`
pub async fn again(
    State(staff): State<Staff>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.text("", &[])?;
    let (inside, sender, held) = (staff.clone(), who.clone(), headers.clone());
    act(&staff, &who, &headers, asked.digest, async move {
        let started = inside.office.again(&sender, &id).await?;
        wait(&inside, &held, started, |d| at_draft(d["id"].as_str().unwrap_or_default())).await
    })
    .await
}

/// `/api/v1/drafts`
pub async fn drafts(State(staff): State<Staff>, who: Who) -> Told {
    Ok(Json(staff.office.drafts(&who).await?))
}

/// `POST /api/v1/drafts`
pub async fn draft(
    State(staff): State<Staff>,
    who: Who,
    headers: HeaderMap,
    asked: Asked,
) -> Result<Response, Problem> {
    let (inside, sender, held) = (staff.clone(), who.clone(), headers.clone());
    act(&staff, &who, &headers, asked.digest, async move {
        let (id, started) = inside.office.draft(&sender, &asked.json).await?;
        let mut reply = wait(&inside, &held, started, |_| at_draft(&id)).await?;
        reply.body["draft"] = id.into();
        Ok(reply)
    })
    .await
}

/// `/api/v1/drafts/{id}`
pub async fn one_draft(State(staff): State<Staff>, who: Who, Path(id): Path<String>) -> Told {
    Ok(Json(staff.office.draft_told(&who, &id).await?))
}

/// `/api/v1/drafts/{id}/collections`
pub async fn preview(State(staff): State<Staff>, Path(id): Path<String>) -> Told {
    let release = staff.office.preview(&id).await?;
    let zonings = release.zonings.iter().map(|z| {
        let items = format!("{}/collections/{}/items", at_draft(&id), encode(&z.id, ""));
        json!({ "id": z.id, "title": z.title, "version": z.version, "zones": z.zones.len(), "items": items })
    });
    let vintages: Vec<u16> = release.vintages.keys().copied().collect();
    Ok(Json(
        json!({ "release": release.id.as_str(), "vintages": vintages, "collections": zonings.collect::<Vec<_>>() }),
    ))
}

/// `/api/v1/drafts/{id}/collections/{zoning}/items`: as the public will see them, by the same encoder.
pub async fn preview_items(
    State(staff): State<Staff>,
    Path((id, zoning)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    let release = staff.office.preview(&id).await?;
    ogc::items_of(&Arc::new(Shelved::of(release)), &zoning, &ask)
}

/// `POST /api/v1/drafts/{id}/approve`
pub async fn approve(Path(id): Path<String>, deed: Deed) -> Result<Response, Problem> {
    deed.asked.text("", &[])?;
    deed.once(move |office, who| async move { office.approve(&who, &id).await }).await
}

/// `POST /api/v1/drafts/{id}/publish`
pub async fn publish(Path(id): Path<String>, deed: Deed) -> Result<Response, Problem> {
    let reason = deed.asked.text("reason", &["reason"])?;
    deed.once(move |office, who| async move { office.publish(&who, &id, &reason).await }).await
}

/// `/api/v1/releases`
pub async fn releases(State(staff): State<Staff>) -> Told {
    Ok(Json(staff.office.releases().await?))
}

/// `/api/v1/releases/{id}`
pub async fn release(State(staff): State<Staff>, Path(id): Path<String>) -> Told {
    Ok(Json(staff.office.release(&id).await?))
}

/// `POST /api/v1/releases/{id}/withdraw`
pub async fn withdraw(Path(id): Path<String>, deed: Deed) -> Result<Response, Problem> {
    let reason = deed.asked.text("reason", &["reason"])?;
    deed.once(move |office, who| async move { office.withdraw(&who, &id, &reason).await }).await
}

/// `POST /api/v1/releases/{id}/rollback`
pub async fn roll_back(Path(id): Path<String>, deed: Deed) -> Result<Response, Problem> {
    let reason = deed.asked.text("reason", &["reason"])?;
    deed.once(move |office, who| async move { office.roll_back(&who, &id, &reason).await }).await
}

/// `/api/v1/history?after=`
pub async fn history(State(staff): State<Staff>, ask: Ask) -> Told {
    ask.only(&["after"])?;
    let after = match ask.get("after") {
        None => 0,
        Some(n) => n.parse().map_err(|_| Problem::bad_parameter("after", n, "the number of a line"))?,
    };
    Ok(Json(staff.office.history(after).await?))
}

fn at_draft(id: &str) -> String {
    format!("/api/v1/drafts/{}", encode(id, ""))
}
