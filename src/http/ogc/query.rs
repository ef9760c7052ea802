//! What a request asks: its parameters read once and strictly, the format it prefers, the address it was sent to.

use super::systems::{Area, CRS84, System};
use crate::http::App;
use crate::http::filter::Filter;
use crate::http::problem::Problem;
use crate::http::proxies::Base;
use crate::http::state::{Menu, Place};
use crate::http::tiles::topojson::QUANTIZATION;
use crate::model::{Bracket, Naf};
use crate::steps::publish::{Published, Release, ReleasedZoning, Selection};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use std::convert::Infallible;
use std::sync::Arc;

/// Zones in an answer when `limit` is absent. OGC API Features gives 10 as an example; a zoning has tens to hundreds of
/// zones, and most readers want them all at once.
pub const PAGE_ITEMS: usize = 1000;

/// Most zones in one answer: the cap of the example in OGC API Features Part 1, 7.15.2; more is clamped, not refused.
pub const PAGE_ITEMS_MAX: usize = 10_000;

/// Largest tolerance of simplified contours, in metres; a department still has some corners then.
const SIMPLIFY_M_MAX: u32 = 10_000;

/// Parameters that choose the figures.
pub const SELECTORS: [&str; 4] = ["millesime", "naf", "tranche", "source"];

/// Properties of a zone, in the order shown; `notice` only where the release has one.
pub const PROPERTIES: [&str; 14] = [
    "code",
    "libelle",
    "effectif",
    "effectif_statut",
    "etablissements",
    "etablissements_statut",
    "millesime",
    "naf",
    "tranche",
    "source_donnees",
    "source",
    "derniere_mise_a_jour",
    "perimetre",
    "notice",
];

/// A request, read once.
pub struct Ask {
    /// Address of the service, without a final `/`.
    pub base: Arc<str>,
    /// Path of the request, as sent.
    pub path: String,
    /// Query of the request, as sent.
    pub query: String,
    /// Parameters, decoded, in the order sent.
    pub params: Vec<(String, String)>,
    /// Tags of `If-None-Match`.
    pub if_none_match: Vec<String>,
    accept: Vec<(String, f32)>,
}

/// A format of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, GeoJSON where it is about zones.
    Json,
    /// A page for people.
    Html,
    /// One row a zone (RFC 4180).
    Csv,
    /// Zones by the borders they share.
    Topojson,
}

impl Format {
    /// Value of the parameter `f`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Topojson => "topojson",
        }
    }

    /// Parameters of zones that it has no place for: refused beside it, and left out of links that lead to it.
    fn without(self) -> &'static [&'static str] {
        match self {
            Self::Json | Self::Html => &[QUANTIZATION],
            Self::Csv => &["crs", "precision", "simplify", QUANTIZATION],
            Self::Topojson => &["crs"],
        }
    }

    /// Media types by which `Accept` may ask for it.
    fn media(self) -> &'static [&'static str] {
        match self {
            Self::Json => &[
                "application/json",
                "application/geo+json",
                "application/vnd.oai.openapi+json",
                "application/schema+json",
                "application/ld+json",
            ],
            Self::Html => &["text/html", "application/xhtml+xml"],
            Self::Csv => &["text/csv"],
            Self::Topojson => &["application/topo+json"],
        }
    }
}

/// Which zones, and what of them, an answer holds.
pub struct Wanted {
    /// The figures asked for; `None` when `datetime` leaves no vintage, and then no zone answers.
    pub selection: Option<Selection>,
    /// Most zones in the answer.
    pub limit: usize,
    /// Zones passed over.
    pub offset: usize,
    /// Where a zone must be.
    pub area: Option<Area>,
    /// Which of them are kept.
    pub filter: Option<Filter>,
    /// System of the coordinates.
    pub system: System,
    /// Decimals of the coordinates.
    pub decimals: i32,
    /// How far contours may be simplified, in metres; zero leaves them as they are.
    pub simplify_m: u32,
    /// Properties shown, in our order.
    pub properties: Vec<&'static str>,
    /// Whether contours are left out.
    pub skip_geometry: bool,
}

impl FromRequestParts<App> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        // Pairs of texts always deserialise; should they not, no parameter is known.
        let params = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|q| q.0).unwrap_or_default();
        let tags = text(&parts.headers, &header::IF_NONE_MATCH);
        Ok(Self {
            base: parts.extensions.get::<Base>().cloned().unwrap_or_default().0,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            params,
            if_none_match: tags.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect(),
            accept: accept(&parts.headers),
        })
    }
}

impl Ask {
    /// Refuses a query that is no text: what is put in the place of its bytes would be looked for, and never found.
    pub fn readable(&self) -> Result<(), Problem> {
        if std::str::from_utf8(&decoded(&self.query)).is_ok() {
            return Ok(());
        }
        let (found, expected) = ("bytes that are no text", "percent-encoded UTF-8");
        Err(Problem::refused(StatusCode::BAD_REQUEST, "bad_encoding", "query", found, expected))
    }

    /// Refuses a parameter outside this list, and one given twice.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        self.readable()?;
        for (i, (name, _)) in self.params.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Problem::refused(
                    StatusCode::BAD_REQUEST,
                    "unknown_parameter",
                    "query",
                    format!("parameter `{name}`"),
                    if known.is_empty() { "no parameter".to_owned() } else { format!("only {}", known.join(", ")) },
                ));
            }
            if self.params[..i].iter().any(|p| p.0 == *name) {
                return Err(Problem::refused(
                    StatusCode::BAD_REQUEST,
                    "repeated_parameter",
                    format!("parameter `{name}`"),
                    "several values",
                    "one value",
                ));
            }
        }
        Ok(())
    }

    /// The value of a parameter; an empty one, as forms send, counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|p| p.0 == name).map(|p| p.1.as_str()).filter(|v| !v.is_empty())
    }

    /// The format of the answer: `f`, else the best of `Accept`, else the first on offer.
    pub fn format(&self, offered: &[Format]) -> Result<Format, Problem> {
        if let Some((_, f)) = self.params.iter().find(|(name, _)| name == "f") {
            return offered.iter().copied().find(|o| o.name() == f.as_str()).ok_or_else(|| {
                let names: Vec<&str> = offered.iter().map(|o| o.name()).collect();
                Problem::bad_parameter("f", f, format!("one of {}", names.join(", ")))
            });
        }
        let mut best = (offered[0], 0.0);
        for format in offered {
            let quality = quality(&self.accept, *format);
            if quality > best.1 {
                best = (*format, quality);
            }
        }
        Ok(best.0)
    }

    /// An absolute address: a path below the base, then parameters.
    pub fn href(&self, path: &str, params: &[(String, String)]) -> String {
        let query: Vec<String> =
            params.iter().map(|(k, v)| format!("{}={}", encode(k, ""), encode(v, ",:/"))).collect();
        match query.is_empty() {
            true => format!("{}{path}", self.base),
            false => format!("{}{path}?{}", self.base, query.join("&")),
        }
    }

    /// This request's own address with some parameters set and every other one kept.
    pub fn with(&self, set: &[(&str, String)]) -> String {
        self.changed(&[], set)
    }

    /// This request's own address in another format, without what that one has no place for.
    pub fn in_format(&self, format: Format) -> String {
        let mut left_out = format.without().to_vec();
        // Decimals are of the system they were asked for.
        if left_out.contains(&"crs") && self.get("crs").is_some() {
            left_out.push("precision");
        }
        self.changed(&left_out, &[("f", format.name().to_owned())])
    }

    fn changed(&self, left_out: &[&str], set: &[(&str, String)]) -> String {
        let kept = self.params.iter().filter(|p| !p.1.is_empty() && !left_out.contains(&p.0.as_str()));
        let mut params: Vec<(String, String)> = kept.cloned().collect();
        for (name, value) in set {
            match params.iter_mut().find(|p| p.0 == *name) {
                Some(param) => param.1.clone_from(value),
                None => params.push(((*name).to_owned(), value.clone())),
            }
        }
        self.href(&self.path, &params)
    }

    /// Refuses a parameter that the format of the answer has no place for, rather than to leave it aside in silence.
    pub fn fits(&self, format: Format) -> Result<(), Problem> {
        for name in format.without() {
            // The one system that a topology has may be named.
            match self.get(name).filter(|value| format != Format::Topojson || *value != CRS84) {
                None => {}
                Some(value) => {
                    let takes = [Format::Json, Format::Topojson].into_iter().filter(|f| !f.without().contains(name));
                    let takes: Vec<&str> = takes.map(Format::name).collect();
                    return Err(Problem::bad_parameter(name, value, format!("f={} beside it", takes.join(" or f="))));
                }
            }
        }
        Ok(())
    }

    /// What a request for zones asks.
    pub fn wanted(&self, place: &Place) -> Result<Wanted, Problem> {
        let system = self.system("crs")?;
        let area_in = self.system("bbox-crs")?;
        if self.get("bbox-crs").is_some() && self.get("bbox").is_none() {
            return Err(Problem::bad_parameter("bbox-crs", "no `bbox` beside it", "a `bbox` in that system"));
        }
        Ok(Wanted {
            selection: self.selection(place)?,
            limit: self.whole_number("limit", 1)?.map_or(PAGE_ITEMS, |limit| limit.min(PAGE_ITEMS_MAX)),
            offset: self.whole_number("offset", 0)?.unwrap_or(0),
            area: self.get("bbox").map(|text| Area::parse(text, area_in)).transpose()?,
            filter: self.filter(place)?,
            system,
            decimals: self.decimals(system)?,
            simplify_m: self.simplify()?,
            properties: self.properties(place.release())?,
            skip_geometry: match self.get("skipGeometry") {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => return Err(Problem::bad_parameter("skipGeometry", other, "true or false")),
            },
        })
    }

    /// The system that a parameter names; CRS84 when it is absent (OGC API Features, Part 2).
    fn system(&self, name: &str) -> Result<System, Problem> {
        self.get(name).map_or(Ok(System::Crs84), |uri| System::named(name, uri))
    }

    /// Decimals asked for by `precision`, else the most that the system has.
    fn decimals(&self, system: System) -> Result<i32, Problem> {
        let (least, most) = system.decimals();
        let Some(text) = self.get("precision") else { return Ok(most) };
        text.parse().ok().filter(|decimals| (least..=most).contains(decimals)).ok_or_else(|| {
            Problem::bad_parameter("precision", text, format!("{least} to {most} decimals in {}", system.uri()))
        })
    }

    /// The tolerance asked for, in metres.
    fn simplify(&self) -> Result<u32, Problem> {
        let Some(text) = self.get("simplify") else { return Ok(0) };
        text.parse()
            .ok()
            .filter(|metres| *metres <= SIMPLIFY_M_MAX)
            .ok_or_else(|| Problem::bad_parameter("simplify", text, format!("whole metres, 0 to {SIMPLIFY_M_MAX}")))
    }

    /// A number written in digits alone; one too large for a machine word is as large as can be.
    fn whole_number(&self, name: &str, least: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.get(name) else {
            return match self.params.iter().any(|p| p.0 == name) {
                true => Err(Problem::bad_parameter(name, "", format!("a whole number, {least} or more"))),
                false => Ok(None),
            };
        };
        let number = match text.bytes().all(|b| b.is_ascii_digit()) {
            true => Some(text.parse().unwrap_or(usize::MAX)),
            false => None,
        };
        match number.filter(|n| *n >= least) {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::bad_parameter(name, text, format!("a whole number, {least} or more"))),
        }
    }

    /// The vintage of `millesime`, the latest without it.
    pub fn vintage(&self, release: &Release) -> Result<u16, Problem> {
        let vintages = || release.vintages.keys();
        let Some(text) = self.get("millesime") else { return release.latest().ok_or_else(Problem::nothing_published) };
        let known = || vintages().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let asked = text.parse().ok().filter(|asked| vintages().any(|vintage| vintage == asked));
        asked.ok_or_else(|| Problem::bad_parameter("millesime", text, format!("one of {}", known())))
    }

    fn selection(&self, place: &Place) -> Result<Option<Selection>, Problem> {
        let (release, zoning, menu) = (place.release(), place.zoning(), &place.shelved.menu);
        let interval = self.get("datetime").map(Interval::parse).transpose()?;
        let described = |vintage: &u16| interval.as_ref().is_none_or(|i| i.holds((*vintage, 12, 31)));
        let vintage = match self.get("millesime") {
            None => release.vintages.keys().rev().copied().find(described),
            Some(_) => Some(self.vintage(release)?).filter(described),
        };
        let chosen = |name: &str| match self.get(name) {
            None | Some("total") => Ok(None),
            Some(code) if menu.has(name, code) => Ok(Some(code.to_owned())),
            Some(code) => {
                let codes = menu.codes(name);
                let known: Vec<String> =
                    std::iter::once("total".to_owned()).chain(codes.iter().map(ToString::to_string)).collect();
                Err(Problem::bad_parameter(name, code, format!("one of {}", known.join(", "))))
            }
        };
        let (naf, tranche, source) = (chosen("naf")?, chosen("tranche")?, chosen("source")?);
        let Some(vintage) = vintage else { return Ok(None) };
        let selection = Selection { vintage, naf, tranche, source };
        // No zone is named the empty text, so this asks for the crossing and not for a figure.
        if release.figures(&zoning.id, "", &selection) == Published::NotPublished {
            return Err(no_such_crossing(menu, zoning, &selection));
        }
        Ok(Some(selection))
    }

    fn properties(&self, release: &Release) -> Result<Vec<&'static str>, Problem> {
        let has_notice = !release.provenance.notice.is_empty();
        let all = || PROPERTIES.into_iter().filter(|p| has_notice || *p != "notice");
        let Some(list) = self.get("properties") else { return Ok(all().collect()) };
        let asked: Vec<&str> = list.split(',').map(str::trim).collect();
        if let Some(unknown) = asked.iter().find(|a| !PROPERTIES.contains(a)) {
            return Err(Problem::bad_parameter("properties", unknown, format!("some of {}", PROPERTIES.join(", "))));
        }
        // A figure never goes without its status: a reader of `null` must be able to tell that it is withheld.
        let status_of = |p: &str| p.strip_suffix("_statut").is_some_and(|figure| asked.contains(&figure));
        Ok(all().filter(|p| asked.contains(p) || status_of(p)).collect())
    }
}

/// Whether a browser asks: `Accept` names pages, and before JSON.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = accept(headers);
    let named = accept.iter().any(|(media, q)| media == "text/html" && *q > 0.0);
    named && quality(&accept, Format::Html) > quality(&accept, Format::Json)
}

/// A path segment or a parameter, percent-encoded; unreserved characters and those of `keep` stay.
pub fn encode(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ if keep.as_bytes().contains(&byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What percent-encoded bytes stand for; what is not well written stands for itself, as in the parameters.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (mut rest, mut decoded) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let [byte, after @ ..] = rest {
        rest = after;
        let pair = after.first().and_then(digit).zip(after.get(1).and_then(digit));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                decoded.push((16 * high + low) as u8);
                rest = &after[2..];
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

/// What a code means, in French, for people.
pub fn meaning(dimension: &str, code: &str) -> String {
    match dimension {
        "naf" => sentence_case(Naf::label(code).unwrap_or_default()),
        "tranche" => match Bracket::from_code(code).map(Bracket::bounds) {
            Some((0, 0)) => "0 salarié".to_owned(),
            Some((least, _)) if code == "53" => format!("{least} salariés ou plus"),
            Some((least, most)) => format!("{least} à {most} salariés"),
            None => String::new(),
        },
        "source" => match code {
            "urssaf" => "régime général (Urssaf)".to_owned(),
            "msa" => "régime agricole (MSA)".to_owned(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// A label that its nomenclature writes in capitals throughout, as a sentence is written; any other as it is.
fn sentence_case(label: &str) -> String {
    let mut letters = label.chars();
    match letters.next() {
        Some(first) if !label.chars().any(char::is_lowercase) => first.to_string() + &letters.as_str().to_lowercase(),
        _ => label.to_owned(),
    }
}

/// Each of the codes is one of the release, and what they ask for together is not there.
fn no_such_crossing(menu: &Menu, zoning: &ReleasedZoning, selection: &Selection) -> Problem {
    let asked = [("naf", &selection.naf), ("tranche", &selection.tranche), ("source", &selection.source)];
    let asked: Vec<String> =
        asked.into_iter().filter_map(|(name, code)| Some(format!("{name}={}", code.as_deref()?))).collect();
    let crossings = menu.crossings(selection.vintage, &zoning.id);
    Problem::refused(
        StatusCode::NOT_FOUND,
        "crossing_not_published",
        "query",
        format!(
            "{} × {} in {}",
            zoning.id,
            if asked.is_empty() { "total".into() } else { asked.join(" × ") },
            selection.vintage
        ),
        match crossings.is_empty() {
            true => format!("a vintage or a zoning with tables; {} has none in {}", zoning.id, selection.vintage),
            false => format!("one of these crossings, any dimension at its total: {}", crossings.join("; ")),
        },
    )
}

/// Days between which a year-end must lie, both included; `None` is open.
struct Interval {
    from: Option<Day>,
    to: Option<Day>,
}

/// Year, month, day.
type Day = (u16, u8, u8);

impl Interval {
    /// An instant or an interval of RFC 3339 dates; the day as written counts, whatever its hour.
    fn parse(text: &str) -> Result<Self, Problem> {
        let bad = || {
            let expected = "a date such as 2024-12-31, 2024-12-31T00:00:00Z, or an interval such as 2023-01-01/..";
            Problem::bad_parameter("datetime", text, expected)
        };
        let bound = |text: &str| match text {
            "" | ".." => Ok(None),
            _ => day(text).map(Some).ok_or_else(bad),
        };
        let interval = match text.split_once('/') {
            None => {
                let day = day(text).ok_or_else(bad)?;
                Self { from: Some(day), to: Some(day) }
            }
            Some((from, to)) => Self { from: bound(from)?, to: bound(to)? },
        };
        match (interval.from, interval.to) {
            (Some(from), Some(to)) if from > to => Err(bad()),
            _ => Ok(interval),
        }
    }

    fn holds(&self, day: Day) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// The day of an RFC 3339 date or date-time.
fn day(text: &str) -> Option<Day> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let number = |text: &str, digits: usize| -> Option<u16> {
        (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if let Some(time) = time {
        let zone = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at(zone);
        let two = |text: &str, most: u16| number(text, 2).is_some_and(|n| n <= most);
        let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
        let clock: Vec<&str> = clock.split(':').collect();
        let [hour, minute, second] = clock[..] else { return None };
        let fraction_holds = fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
        let zone_holds = match zone.split_at(1) {
            ("Z" | "z", rest) => rest.is_empty(),
            (_, offset) => offset.split_once(':').is_some_and(|(h, m)| two(h, 23) && two(m, 59)),
        };
        // 60 is a leap second.
        if !(two(hour, 23) && two(minute, 59) && two(second, 60) && fraction_holds && zone_holds) {
            return None;
        }
    }
    ((1..=days).contains(&day)).then_some((year, month as u8, day as u8))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect::<Vec<_>>().join(",")
}

/// The media types of `Accept`, lower case, with their quality (RFC 9110, 12.4.2).
fn accept(headers: &HeaderMap) -> Vec<(String, f32)> {
    let read = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().filter(|m| !m.is_empty())?.to_ascii_lowercase();
        let q = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
        Some((media, q.map_or(1.0, |q| q.parse().unwrap_or(0.0))))
    };
    text(headers, &header::ACCEPT).split(',').filter_map(read).collect()
}

/// How much a format is wanted: the most precise range that names it decides.
fn quality(accept: &[(String, f32)], format: Format) -> f32 {
    let named = |names: &dyn Fn(&str) -> bool| {
        accept
            .iter()
            .filter(|a| names(&a.0))
            .map(|a| a.1)
            .fold(None, |best: Option<f32>, q| Some(best.map_or(q, |b| b.max(q))))
    };
    let group = |media: &str| {
        media.strip_suffix("/*").is_some_and(|g| format.media().iter().any(|m| m.split('/').next() == Some(g)))
    };
    named(&|media| format.media().contains(&media))
        .or_else(|| named(&group))
        .or_else(|| named(&|m| m == "*/*"))
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_in_french() {
        for (dimension, code, told) in [
            ("naf", "G", "Commerce ; réparation d'automobiles et de motocycles"),
            ("naf", "47", Naf::label("47").unwrap()),
            ("naf", "??", ""),
            ("tranche", "00", "0 salarié"),
            ("tranche", "11", "10 à 19 salariés"),
            ("tranche", "53", "10000 salariés ou plus"),
            ("tranche", "NN", ""),
            ("source", "msa", "régime agricole (MSA)"),
            ("autre", "x", ""),
        ] {
            assert_eq!(meaning(dimension, code), told, "{dimension} {code}");
        }
    }

    #[test]
    fn percent_encoded_bytes_are_read_as_parameters_are() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("a=%C3%A9+%2b", "a=é++".as_bytes()),
            ("%", b"%"),
            ("%4", b"%4"),
            ("%zz%41", b"%zzA"),
            ("%%41", b"%A"),
            ("%FF", b"\xff"),
        ] {
            assert_eq!(decoded(text), bytes, "{text}");
        }
    }

    #[test]
    fn the_most_precise_range_of_accept_decides() {
        for (ranges, json, html, csv) in [
            ("", 0.0, 0.0, 0.0),
            ("*/*", 1.0, 1.0, 1.0),
            ("text/html, */*;q=0.8", 0.8, 1.0, 0.8),
            ("text/*;q=0.5, text/html;q=0", 0.0, 0.0, 0.5),
            ("application/geo+json; q=0.3, application/json", 1.0, 0.0, 0.0),
            ("text/csv;header=present;q=0.7", 0.0, 0.0, 0.7),
            ("text/html;q=much", 0.0, 0.0, 0.0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, ranges.parse().unwrap());
            let accept = accept(&headers);
            let found = [Format::Json, Format::Html, Format::Csv].map(|format| quality(&accept, format));
            assert_eq!(found, [json, html, csv], "{ranges}");
        }
    }
}
