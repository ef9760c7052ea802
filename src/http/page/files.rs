//! The pages of files to take away and of the catalogue.

use super::{chosen, day, form, frame, number, render};
use crate::http::catalogue::{File, Stock, TITLE, permanent, schema_org, script};
use crate::http::downloads::{self, FileFormat, Listed, SECRECY, Wanted};
use crate::http::ogc::query::{Ask, encode};
use crate::http::problem::Problem;
use crate::http::state::{Place, Shelved};
use crate::steps::publish::Selection;
use minijinja::{Value, context};

/// Every file, for the figures chosen.
pub fn downloads(ask: &Ask, shelved: &Shelved, listed: &Listed) -> Result<String, Problem> {
    let release = &shelved.release;
    let zonings: Vec<Value> = release
        .zonings
        .iter()
        .zip(&listed.zonings)
        .map(|(zoning, files)| {
            context! {
                title => zoning.title.as_str(), version => zoning.version.as_str(), id => zoning.id.as_str(),
                n_zones => number(zoning.zones.len() as u64), files => links(ask, files)
            }
        })
        .collect();
    let tables: Vec<Value> =
        listed.tables.iter().map(|(vintage, files)| context! { vintage, files => links(ask, files) }).collect();
    let crossed = |name: &str| release.zonings.iter().any(|zoning| shelved.menu.crosses(&zoning.id, name));
    render(
        "downloads.html",
        context! {
            zonings, tables, secrecy => SECRECY, form => form(ask, shelved, &listed.selection, crossed),
            chosen => chosen(Some(&listed.selection)), vintage => listed.selection.vintage,
            ..frame(ask, Some(release), downloads::TITLE)
        },
    )
}

/// The files of a zoning with the figures shown.
pub(super) fn of_selection(ask: &Ask, place: &Place, selection: Option<&Selection>) -> Vec<Value> {
    let Some(selection) = selection else { return Vec::new() };
    links(ask, &FileFormat::OF_ZONES.map(|format| (format, Wanted::zones(place, selection.clone(), format))))
}

/// The links of a set of files; CSV has one for Excel beside its own.
fn links(ask: &Ask, files: &[(FileFormat, Wanted)]) -> Vec<Value> {
    let mut links = Vec::new();
    for (format, wanted) in files {
        if *format == FileFormat::Csv {
            let href = wanted.for_excel().href(ask);
            links.push(context! { href, title => "CSV pour Excel", opened_by => "Excel, par un double clic" });
        }
        links.push(context! { href => wanted.href(ask), title => format.title(), opened_by => format.opened_by() });
    }
    links
}

/// The catalogue: datasets with their formats, earlier releases, and those that were taken back.
pub fn catalogue(ask: &Ask, stock: &Stock) -> Result<String, Problem> {
    let current = stock.current.as_ref().map(|current| &current.shelved.release);
    let mut datasets: Vec<Value> = Vec::new();
    if let Some(current) = &stock.current {
        for (zoning, files) in current.shelved.release.zonings.iter().zip(&current.zonings) {
            let files: Vec<Value> = files.iter().map(|file| told(file, file.wanted.lasting_href(ask))).collect();
            datasets.push(context! {
                id => zoning.id.as_str(), title => zoning.title.as_str(), version => zoning.version.as_str(),
                href => ask.href(&format!("/collections/{}", encode(&zoning.id, "")), &[]), files
            });
        }
    }
    let tables: Vec<Value> = stock
        .current
        .iter()
        .flat_map(|current| &current.tables)
        .map(|(vintage, files)| {
            let files: Vec<Value> = files.iter().map(|file| told(file, file.wanted.href(ask))).collect();
            context! { vintage, files }
        })
        .collect();
    let earlier: Vec<Value> = stock
        .shelf
        .earlier()
        .iter()
        .map(|shelved| {
            let places = permanent(shelved);
            let zonings: Vec<Value> = places
                .iter()
                .map(|place| context! { title => place.zoning().title.as_str(), href => ask.href(&place.home(), &[]) })
                .collect();
            context! { id => shelved.release.id.as_str(), title => shelved.title(), zonings }
        })
        .collect();
    let withdrawn: Vec<Value> = stock
        .shelf
        .withdrawn()
        .iter()
        .map(|gone| context! { id => gone.release.as_str(), day => day(&gone.at), at => gone.at.as_str(), reason => gone.reason.as_str() })
        .collect();
    let places = stock.shelf.places();
    let of_all: Vec<_> =
        places.iter().filter(|place| !place.is_permanent()).map(|place| schema_org(ask, place)).collect();
    render(
        "catalogue.html",
        context! {
            datasets, tables, earlier, withdrawn, structured => script(&of_all.into()),
            ..frame(ask, current.map(|release| &**release), TITLE)
        },
    )
}

fn told(file: &File, href: String) -> Value {
    // In thousands of bytes, as people read sizes of files.
    context! { href, title => file.format.title(), kilobytes => file.bytes.map(|bytes| number(bytes.div_ceil(1000))) }
}
