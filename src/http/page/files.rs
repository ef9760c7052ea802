//! The page of files to take away.

use super::{chosen, form, frame, number, render};
use crate::http::downloads::{FileFormat, Listed, SECRECY, TITLE, Wanted};
use crate::http::ogc::query::Ask;
use crate::http::problem::Problem;
use crate::http::state::Shelved;
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
            ..frame(ask, Some(release), TITLE)
        },
    )
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
