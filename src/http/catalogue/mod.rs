//! The catalogue: what is published, how to get it, and what was taken back, for portals that harvest and for people.

mod dcat;
mod schema_org;

pub use schema_org::{dataset as schema_org, script};

use super::App;
use super::answer::document;
use super::downloads::{FileFormat, Files, Wanted};
use super::ogc::json;
use super::ogc::query::{Ask, Format};
use super::ogc::systems::System;
use super::page;
use super::problem::Problem;
use super::state::{OnShelf, Place, Shelved, around};
use crate::steps::publish::{Release, ReleasedZoning};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Media type of JSON-LD.
pub const JSON_LD: &str = "application/ld+json";

/// Name of the catalogue for people.
pub const TITLE: &str = "Catalogue des données publiées";

/// What readers of catalogues look for.
const KEYWORDS: [&str; 7] = [
    "emploi salarié",
    "effectif salarié",
    "établissements",
    "secteurs d'emploi",
    "activité économique",
    "statistique",
    "secret statistique",
];

/// What there is to catalogue, as one request sees it.
pub struct Stock {
    /// The shelf.
    pub shelf: Arc<OnShelf>,
    /// The current release, with the files of each of its zonings and of every cell of each vintage.
    pub current: Option<Current>,
}

/// The current release and its files.
pub struct Current {
    /// The release.
    pub shelved: Arc<Shelved>,
    /// For each zoning, by its place in the release, its files; none where its totals are not published.
    pub zonings: Vec<Vec<File>>,
    /// Every cell, for each vintage.
    pub tables: Vec<(u16, Vec<File>)>,
}

/// A file of the current release.
pub struct File {
    /// Its format.
    pub format: FileFormat,
    /// What it holds.
    pub wanted: Wanted,
    /// How long it is, where that is known.
    pub bytes: Option<u64>,
}

/// `/catalogue`
pub async fn catalogue(State(app): State<App>, ask: Ask) -> Result<Response, Problem> {
    ask.only(&["f"])?;
    let f = ask.params.iter().find(|(name, _)| name == "f");
    let format = match f.map(|(_, f)| f.as_str()) {
        Some("jsonld" | "json") => Format::Json,
        Some("html") => Format::Html,
        Some(other) => return Err(Problem::bad_parameter("f", other, "one of jsonld, json, html")),
        None => ask.format(&[Format::Json, Format::Html])?,
    };
    let shelf = app.shelf.look();
    if shelf.releases().next().is_none() && shelf.withdrawn().is_empty() {
        return Err(Problem::nothing_published());
    }
    let current = match shelf.shelved() {
        Ok(shelved) => Some(Current::of(shelved, &app.files).await?),
        Err(_) => None,
    };
    let stock = Stock { shelf, current };
    document(&ask, &stock.shelf.name(), super::ogc::view::media_of(format, JSON_LD), || match format {
        Format::Html => page::catalogue_page(&ask, &stock),
        Format::Json | Format::Csv | Format::Topojson => json(&dcat::catalogue(&ask, &stock)),
    })
}

impl Current {
    /// The files of a release; they are made once to know how long they are.
    async fn of(shelved: Arc<Shelved>, files: &Files) -> Result<Self, Problem> {
        let release = shelved.release.clone();
        let mut zonings = Vec::new();
        for zoning in &release.zonings {
            let place = Place::of(&shelved, &zoning.id, &zoning.id)?;
            let mut of_zoning = Vec::new();
            for (format, wanted) in
                FileFormat::OF_ZONES.into_iter().filter_map(|f| Some((f, Wanted::totals(&place, f)?)))
            {
                // A file that cannot be made just now has an address all the same; the log has the reason.
                let bytes = files.size_of(&shelved, &wanted).await.ok();
                of_zoning.push(File { format, wanted, bytes });
            }
            zonings.push(of_zoning);
        }
        let mut tables = Vec::new();
        for vintage in release.vintages.keys() {
            let mut of_vintage = Vec::new();
            for format in FileFormat::OF_TABLES {
                let wanted = Wanted::tables(*vintage, format);
                let bytes = files.size_of(&shelved, &wanted).await.ok();
                of_vintage.push(File { format, wanted, bytes });
            }
            tables.push((*vintage, of_vintage));
        }
        Ok(Self { shelved, zonings, tables })
    }
}

/// The zonings of a release under the names that mean that release for good.
pub fn permanent(shelved: &Arc<Shelved>) -> Vec<Place> {
    let of = |id: &str| Place::of(shelved, id, &Place::of(shelved, id, id).ok()?.permanent_id()).ok();
    shelved.release.zonings.iter().filter_map(|zoning| of(&zoning.id)).collect()
}

/// First and last day described: the year-ends of the first and of the last vintage.
fn days(release: &Release) -> Option<(String, String)> {
    let first = release.vintages.keys().next()?;
    Some((format!("{first}-12-31"), format!("{}-12-31", release.latest()?)))
}

/// West, south, east and north of some zonings, in degrees.
fn bounds<'r>(zonings: impl IntoIterator<Item = &'r ReleasedZoning>) -> Option<[f64; 4]> {
    let zones = zonings.into_iter().flat_map(|zoning| &zoning.zones);
    let all = around(zones.map(|zone| zone.contour.degrees()))?;
    Some(
        [all.min().x, all.min().y, all.max().x, all.max().y]
            .map(|degrees| super::ogc::view::round(degrees, System::Crs84.decimals().1)),
    )
}

/// A sentence on a zoning.
fn description(zoning: &ReleasedZoning) -> String {
    format!(
        "{} : effectif salarié et nombre d'établissements de chaque zone au 31 décembre, par activité, taille ou source \
         selon les croisements publiés ; périmètre {}. Les chiffres sont protégés par le secret statistique : une valeur \
         secrète est vide et accompagnée du statut « secret ».",
        zoning.title, zoning.version
    )
}

#[cfg(test)]
mod tests;
