//! The list of files, as JSON and for its page.

use super::{FileFormat, Wanted};
use crate::http::ogc::query::Ask;
use crate::http::problem::Problem;
use crate::http::state::{Place, Shelved};
use crate::steps::publish::{Published, Release, Selection};
use serde::Serialize;
use std::sync::Arc;

/// The files on offer for a selection.
pub struct Listed {
    /// The figures chosen.
    pub selection: Selection,
    /// For each zoning, by its place in the release, its files; none where the selection is not published.
    pub zonings: Vec<Vec<(FileFormat, Wanted)>>,
    /// For each vintage, the latest first, every cell of it.
    pub tables: Vec<(u16, Vec<(FileFormat, Wanted)>)>,
}

impl Listed {
    /// Reads what a request chooses; a choice that no zoning publishes is refused as it is for zones.
    pub fn of(ask: &Ask, shelved: &Arc<Shelved>) -> Result<Self, Problem> {
        let release = &shelved.release;
        let mut refused = Problem::nothing_published();
        let mut selection = None;
        let places = release.zonings.iter().map(|zoning| Place::of(shelved, &zoning.id, &zoning.id));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        for place in &places {
            match ask.wanted(place) {
                Ok(wanted) => selection = selection.or(wanted.selection),
                Err(problem) => refused = problem,
            }
        }
        let selection = selection.ok_or(refused)?;
        let published = |place: &Place| release.figures(&place.zoning().id, "", &selection) != Published::NotPublished;
        let files = |place: &Place| match published(place) {
            true => FileFormat::OF_ZONES.map(|f| (f, Wanted::zones(place, selection.clone(), f))).to_vec(),
            false => Vec::new(),
        };
        let zonings = places.iter().map(files).collect();
        let of_vintage =
            |vintage: &u16| (*vintage, FileFormat::OF_TABLES.map(|f| (f, Wanted::tables(*vintage, f))).to_vec());
        let tables = release.vintages.keys().rev().map(of_vintage).collect();
        Ok(Self { selection, zonings, tables })
    }
}

/// The files of a selection.
#[derive(Serialize)]
pub struct List {
    title: &'static str,
    source: String,
    derniere_mise_a_jour: String,
    millesime: u16,
    licence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    fichiers: Vec<File>,
}

/// One file.
#[derive(Serialize)]
struct File {
    href: String,
    nom: String,
    format: &'static str,
    #[serde(rename = "type")]
    media: &'static str,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
    millesime: u16,
    perimetre: String,
}

/// The list as it goes on the wire.
pub fn list(ask: &Ask, release: &Release, listed: &Listed) -> List {
    let about = &release.provenance;
    let mut files = Vec::new();
    for (zoning, formats) in release.zonings.iter().zip(&listed.zonings) {
        for (format, wanted) in formats {
            files.push(File {
                href: wanted.href(ask),
                nom: wanted.file_name(),
                format: format.extension(),
                media: format.media(),
                title: format!("{}, {}", zoning.title, format.title()),
                collection: Some(zoning.id.clone()),
                millesime: listed.selection.vintage,
                perimetre: zoning.version.clone(),
            });
        }
    }
    for (vintage, formats) in &listed.tables {
        for (format, wanted) in formats {
            files.push(File {
                href: wanted.href(ask),
                nom: wanted.file_name(),
                format: format.extension(),
                media: format.media(),
                title: format!("{}, {}", TABLES_TITLE, format.title()),
                collection: None,
                millesime: *vintage,
                perimetre: release.zonings.iter().map(|z| z.version.as_str()).collect::<Vec<_>>().join(" ; "),
            });
        }
    }
    List {
        title: TITLE,
        source: about.source.clone(),
        derniere_mise_a_jour: about.updated.clone(),
        millesime: listed.selection.vintage,
        licence: about.licence.clone(),
        notice: Some(about.notice.clone()).filter(|notice| !notice.is_empty()),
        fichiers: files,
    }
}

/// Name of the page.
pub const TITLE: &str = "Télécharger les chiffres";
/// Name of the files that hold every cell.
const TABLES_TITLE: &str = "Tous les tableaux publiés";
