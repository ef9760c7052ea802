//! Pages for people, in French: plain HTML that a screen reader reads and a printer prints, with nothing from elsewhere.

mod drawing;
mod files;

pub use files::{catalogue as catalogue_page, downloads};

use super::catalogue;
use super::ogc::query::{Ask, Format, Wanted, encode, meaning};
use super::ogc::view::{self, Page};
use super::problem::{About, Problem};
use super::state::{OnShelf, Place, Shelved};
use super::tiles::view as tiles;
use crate::steps::publish::{Release, ReleasedZone, Selection};
use crate::steps::tiling::ZOOM_MAX;
use minijinja::{Environment, Value, context};
use std::sync::LazyLock;

/// Media type of pages.
pub const HTML: &str = "text/html; charset=utf-8";

/// Nothing is loaded from anywhere; the style lies in the page.
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    for (name, text) in [
        ("base.html", include_str!("pages/base.html")),
        ("landing.html", include_str!("pages/landing.html")),
        ("conformance.html", include_str!("pages/conformance.html")),
        ("api.html", include_str!("pages/api.html")),
        ("collections.html", include_str!("pages/collections.html")),
        ("collection.html", include_str!("pages/collection.html")),
        ("items.html", include_str!("pages/items.html")),
        ("catalogue.html", include_str!("pages/catalogue.html")),
        ("downloads.html", include_str!("pages/downloads.html")),
        ("item.html", include_str!("pages/item.html")),
        ("form.html", include_str!("pages/form.html")),
        ("map.html", include_str!("pages/map.html")),
        ("tiles.html", include_str!("pages/tiles.html")),
        ("problem.html", include_str!("pages/problem.html")),
    ] {
        pages.add_template(name, text).expect("each of our templates parses, as the tests check");
    }
    pages
});

/// The landing page.
pub fn landing(ask: &Ask, release: &Release, on_shelf: &OnShelf) -> Result<String, Problem> {
    let (licence, licence_has_a_page) = view::licence(ask, release);
    let places = on_shelf.places();
    let zonings: Vec<Value> = places.iter().filter(|p| !p.is_permanent()).map(|place| told(ask, place)).collect();
    render(
        "landing.html",
        context! {
            licence_url => licence_has_a_page.then_some(licence), description => view::DESCRIPTION,
            zonings => zonings, ..frame(ask, Some(release), view::TITLE)
        },
    )
}

/// The conformance classes.
pub fn conformance(ask: &Ask) -> Result<String, Problem> {
    let classes: Vec<&str> = view::CONFORMANCE.to_vec();
    render("conformance.html", context! { classes, ..frame(ask, None, "Conformité") })
}

/// The paths of the contract and their parameters.
pub fn api(ask: &Ask, contract: &serde_json::Value) -> Result<String, Problem> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let resolve = |parameter: &serde_json::Value| match parameter["$ref"].as_str() {
        Some(path) => contract.pointer(path.trim_start_matches('#')).cloned().unwrap_or_default(),
        None => parameter.clone(),
    };
    // The acts of staff need a key, and most of them are no reading.
    let paths = contract["paths"].as_object().into_iter().flatten().filter(|(path, _)| !path.starts_with("/api/v1"));
    let paths: Vec<Value> = paths
        .map(|(path, item)| {
            let parameters: Vec<Value> = [&item["parameters"], &item["get"]["parameters"]]
                .into_iter()
                .filter_map(|list| list.as_array())
                .flatten()
                .map(resolve)
                .map(|p| context! { name => text(&p["name"]), description => marked(&p["description"]) })
                .collect();
            context! {
                path, parameters, summary => text(&item["get"]["summary"]), description => marked(&item["get"]["description"])
            }
        })
        .collect();
    render("api.html", context! { paths, ..frame(ask, None, "L'API") })
}

/// A description of the contract in pieces: words, and what stands between backticks, which is code.
fn marked(description: &serde_json::Value) -> Vec<Value> {
    let pieces = description.as_str().unwrap_or_default().split('`').enumerate();
    pieces.filter(|(_, text)| !text.is_empty()).map(|(i, text)| context! { text, code => i % 2 == 1 }).collect()
}

/// Every zoning: the current release's first, then the earlier ones'.
pub fn collections(ask: &Ask, release: &Release, on_shelf: &OnShelf) -> Result<String, Problem> {
    let (earlier, zonings): (Vec<Place>, Vec<Place>) = on_shelf.places().into_iter().partition(Place::is_permanent);
    let told = |places: &[Place]| places.iter().map(|place| told(ask, place)).collect::<Vec<_>>();
    let withdrawn = on_shelf.withdrawn().iter();
    let withdrawn: Vec<Value> = withdrawn
        .map(|w| context! { release => w.release.as_str(), day => day(&w.at), reason => w.reason.as_str() })
        .collect();
    render(
        "collections.html",
        context! {
            zonings => told(&zonings), earlier => told(&earlier), withdrawn, ..frame(ask, Some(release), "Découpages publiés")
        },
    )
}

/// One zoning.
pub fn collection(ask: &Ask, on_shelf: &OnShelf, place: &Place) -> Result<String, Problem> {
    let release = place.release();
    let vintages: Vec<u16> = release.vintages.keys().copied().collect();
    let versions = on_shelf.versions(&place.zoning().id);
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| context! { current => on_shelf.is_current(version.release()), ..told(ask, version) })
        .collect();
    render(
        "collection.html",
        context! {
            zoning => told(ask, place), vintages, versions, permanent => place.permanent_id(),
            structured => structured(ask, place), ..frame(ask, Some(release), &place.title())
        },
    )
}

/// The zones of a page: a table, a map, and a form to choose the figures.
pub fn items(ask: &Ask, place: &Place, wanted: &Wanted, page: &Page<'_>) -> Result<String, Problem> {
    let (release, zoning) = (place.release(), place.zoning());
    let figures: Vec<Option<(u64, u64)>> = page
        .zones
        .iter()
        .map(|zone| view::figures(release, &zoning.id, zone.code.as_str(), wanted.selection.as_ref()?))
        .collect();
    let rows: Vec<Value> = page
        .zones
        .iter()
        .zip(&figures)
        .map(|(zone, shown)| {
            context! {
                code => zone.code.as_str(), label => zone.label.as_str(), href => item_href(ask, place, zone),
                headcount => shown.map(|s| number(s.0)), establishments => shown.map(|s| number(s.1)),
            }
        })
        .collect();
    let map = (!wanted.skip_geometry && !page.zones.is_empty()).then(|| {
        let drawn: Vec<(&ReleasedZone, Option<u64>)> =
            page.zones.iter().copied().zip(figures.iter().map(|f| f.map(|f| f.0))).collect();
        drawing::draw(&drawn)
    });
    let links = view::page_links(ask, place, wanted, page, Format::Html);
    let href = |rel: &str| links.iter().find(|l| l.rel == rel).map(|l| l.href.clone());
    let first = wanted.offset.min(page.matched) + 1;
    render(
        "items.html",
        context! {
            zoning => told(ask, place), rows, map, form => form_of(ask, place, wanted),
            chosen => chosen(wanted.selection.as_ref()),
            vintage => wanted.selection.as_ref().map(|s| s.vintage),
            matched => number(page.matched as u64), returned => page.zones.len(),
            partial => page.zones.len() < page.matched, first, last => first + page.zones.len() - 1,
            n_secret => figures.iter().filter(|f| f.is_none()).count(),
            structured => structured(ask, place), files => files::of_selection(ask, place, wanted.selection.as_ref()),
            next => href("next"), prev => href("prev"),
            json => ask.in_format(Format::Json), csv => ask.in_format(Format::Csv),
            ..frame(ask, Some(release), &place.title())
        },
    )
}

/// One zone.
pub fn item(ask: &Ask, place: &Place, zone: &ReleasedZone, wanted: &Wanted) -> Result<String, Problem> {
    let (release, zoning) = (place.release(), place.zoning());
    let shown = wanted.selection.as_ref().and_then(|s| view::figures(release, &zoning.id, zone.code.as_str(), s));
    let drawn = (!wanted.skip_geometry).then(|| drawing::draw(&[(zone, shown.map(|s| s.0))]));
    render(
        "item.html",
        context! {
            zoning => told(ask, place), code => zone.code.as_str(), map => drawn,
            headcount => shown.map(|s| number(s.0)), establishments => shown.map(|s| number(s.1)),
            form => form_of(ask, place, wanted), chosen => chosen(wanted.selection.as_ref()),
            vintage => wanted.selection.as_ref().map(|s| s.vintage), json => ask.in_format(Format::Json),
            ..frame(ask, Some(release), &zone.label)
        },
    )
}

/// The tiles of a zoning, for those who make maps.
pub fn tiles(ask: &Ask, place: &Place, selection: Option<&Selection>) -> Result<String, Problem> {
    let properties: Vec<Value> = tiles::tile_schemas(place)
        .into_iter()
        .map(|(name, schema)| context! { name, title => schema["title"].as_str().unwrap_or_default() })
        .collect();
    render(
        "tiles.html",
        context! {
            zoning => told(ask, place), layer => place.zoning().id.as_str(), zoom_max => ZOOM_MAX, properties,
            template => tiles::tile_address(ask, place, ["{tileMatrix}", "{tileRow}", "{tileCol}"]),
            scheme => tiles::set_address(ask), tilejson => tiles::set_in_format(ask, place, tiles::TILEJSON),
            json => ask.in_format(Format::Json), chosen => chosen(selection), vintage => selection.map(|s| s.vintage),
            ..frame(ask, Some(place.release()), "Tuiles vectorielles")
        },
    )
}

/// A refusal or a failure, for a reader with a browser.
pub fn problem(problem: &Problem) -> Result<String, minijinja::Error> {
    let title = match problem.code {
        "unknown_path" | "unknown_collection" | "unknown_release" | "unknown_zone" => "Cette page n'existe pas",
        "crossing_not_published" => "Ce croisement n'est pas publié",
        "still_closed" => "Cette publication s'ouvre, un instant",
        "nothing_published" => "Rien n'est encore publié",
        "withdrawn" => "Ces chiffres ont été retirés",
        "failure" | "too_slow" => "Le service n'a pas pu répondre",
        _ => "Cette demande n'a pas été comprise",
    };
    let about = match &problem.about {
        About::Request { place, found, expected } => context! { place, found, expected },
        About::Incident { number, .. } => context! { number },
    };
    let status = problem.status.as_u16();
    let reason = problem.more.get("reason").and_then(|reason| reason.as_str());
    // A problem is answered without the request at hand: its links are relative to the service.
    PAGES
        .get_template("problem.html")?
        .render(context! { title, about, reason, status, code => problem.code, base => "" })
}

/// What search engines read of a zoning.
fn structured(ask: &Ask, place: &Place) -> String {
    catalogue::script(&catalogue::schema_org(ask, place))
}

/// What every page shows around its subject.
fn frame(ask: &Ask, release: Option<&Release>, title: &str) -> Value {
    let about = release.map(|r| &r.provenance);
    context! {
        title, base => &*ask.base, service => view::TITLE,
        source => about.map(|p| p.source.as_str()), licence => about.map(|p| p.licence.as_str()),
        notice => about.map(|p| p.notice.as_str()).filter(|n| !n.is_empty()),
        updated => about.map(|p| p.updated.as_str()), updated_day => about.map(|p| day(&p.updated)),
        release => release.map(|r| r.id.as_str()),
    }
}

fn render(name: &str, with: Value) -> Result<String, Problem> {
    let page = PAGES.get_template(name).and_then(|template| template.render(with));
    page.map_err(|e| Problem::failure(&format!("template {name}: {e}")))
}

fn told(ask: &Ask, place: &Place) -> Value {
    let zoning = place.zoning();
    context! {
        id => place.id.as_str(), title => place.title(), version => zoning.version.as_str(),
        n_zones => number(zoning.zones.len() as u64), href => ask.href(&place.home(), &[]),
    }
}

/// A zone's own page, for the same figures.
fn item_href(ask: &Ask, place: &Place, zone: &ReleasedZone) -> String {
    let path = format!("{}/items/{}", place.home(), encode(zone.code.as_str(), ""));
    let kept = ["f", "millesime", "naf", "tranche", "source"];
    let params: Vec<(String, String)> =
        ask.params.iter().filter(|p| kept.contains(&p.0.as_str()) && !p.1.is_empty()).cloned().collect();
    ask.href(&path, &params)
}

/// The form of a zoning: what the release crosses it with.
fn form_of(ask: &Ask, place: &Place, wanted: &Wanted) -> Value {
    let (zoning, shelved) = (place.zoning(), &place.shelved);
    let selection = wanted.selection.clone().unwrap_or_default();
    form(ask, shelved, &selection, |name| shelved.menu.crosses(&zoning.id, name))
}

/// The choices of the form: vintage, then the dimensions that are crossed; other parameters of the request go along hidden.
fn form(ask: &Ask, shelved: &Shelved, selection: &Selection, crosses: impl Fn(&str) -> bool) -> Value {
    let select = |name: &str, label: &str, total: &str, chosen: Option<&String>| {
        let options: Vec<Value> = shelved
            .menu
            .codes(name)
            .into_iter()
            .map(|code| {
                let meaning = meaning(name, code);
                let text = match (name, meaning.is_empty()) {
                    ("tranche" | "source", false) => meaning,
                    (_, false) => format!("{code} — {meaning}"),
                    (_, true) => code.to_owned(),
                };
                context! { code, text, selected => chosen.is_some_and(|c| c == code) }
            })
            .collect();
        context! { name, label, total, options }
    };
    let vintages: Vec<Value> = shelved
        .release
        .vintages
        .keys()
        .rev()
        .map(|v| context! { code => v, text => format!("31 décembre {v}"), selected => *v == selection.vintage })
        .collect();
    let mut selects = vec![context! { name => "millesime", label => "Millésime", options => vintages }];
    let others = [
        select("naf", "Activité (NAF)", "Toutes les activités", selection.naf.as_ref()),
        select("tranche", "Taille d'établissement", "Toutes les tailles", selection.tranche.as_ref()),
        select("source", "Source", "Toutes les sources", selection.source.as_ref()),
    ];
    let crossed = |select: &Value| {
        let name = select.get_attr("name").unwrap_or_default();
        name.as_str().is_some_and(&crosses)
    };
    selects.extend(others.into_iter().filter(crossed));
    let set = ["millesime", "naf", "tranche", "source", "f", "offset"];
    let hidden: Vec<Value> = ask
        .params
        .iter()
        .filter(|p| !set.contains(&p.0.as_str()) && !p.1.is_empty())
        .map(|p| context! { name => p.0.as_str(), value => p.1.as_str() })
        .collect();
    context! { selects, hidden }
}

/// What the figures are about, in words.
fn chosen(selection: Option<&Selection>) -> String {
    let Some(selection) = selection else { return "aucun millésime dans cet intervalle".to_owned() };
    let parts = [("naf", &selection.naf), ("tranche", &selection.tranche), ("source", &selection.source)];
    let parts = parts.into_iter().filter_map(|(name, code)| {
        let code = code.as_ref()?;
        let meaning = meaning(name, code);
        Some(if meaning.is_empty() { code.clone() } else { meaning })
    });
    let told: Vec<String> = parts.collect();
    if told.is_empty() { "toutes activités, tailles et sources".to_owned() } else { told.join(" ; ") }
}

/// A number as French writes it: a narrow no-break space between thousands.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut written = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            written.push('\u{202f}');
        }
        written.push(digit);
    }
    written
}

/// The day of a date, as French writes it; the text itself when it is no date.
pub(super) fn day(rfc3339: &str) -> String {
    const MONTHS: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let mut parts = rfc3339.split(['-', 'T']);
    let mut part = || parts.next().and_then(|p| p.parse::<usize>().ok());
    match (part(), part().and_then(|m| MONTHS.get(m.checked_sub(1)?)), part()) {
        (Some(year), Some(month), Some(1)) => format!("1er {month} {year}"),
        (Some(year), Some(month), Some(day)) => format!("{day} {month} {year}"),
        _ => rfc3339.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_days_are_written_as_french_does() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1234567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(number(n), text);
        }
        for (date, text) in [
            ("2026-03-01T00:00:00Z", "1er mars 2026"),
            ("2025-12-31", "31 décembre 2025"),
            ("2025-13-31", "2025-13-31"),
            ("2025-00-31", "2025-00-31"),
            ("hier", "hier"),
        ] {
            assert_eq!(day(date), text);
        }
    }
}
