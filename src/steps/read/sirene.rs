//! The public files of Sirene as INSEE writes them, read as streams: only the establishments asked for are kept.
//!
//! The stock file has 40 million rows and the geolocation file nearly as many; memory depends on how many are asked for.

use std::collections::HashMap;

use arrow_array::Array;

use super::columns::{self, ColumnReport, Mapping, Role};
use super::points::{Misplaced, PlaceColumns, Places, PointColumns};
use super::register::{Refusal, is_rev2, is_withheld, naf_2025_of, naf_of};
use super::table::{Batch, Column, Input, Kind, STREAM_BYTES_MAX, Table, Whole};
use crate::model::establishment::GeocodeQuality;
use crate::model::{Crs, Naf, Naf2025, Rejects, Siret, Unreadable};

/// The establishments asked for, each with its place in the answer.
#[derive(Debug, Default)]
pub struct Sought {
    /// By the number that the fourteen digits make.
    places: HashMap<u64, u32>,
}

impl Sought {
    /// Numbers the establishments in the order given; one that comes again keeps its first place.
    pub fn new(sirets: impl Iterator<Item = Siret>) -> Self {
        let mut sought = Self::default();
        for siret in sirets {
            let next = sought.places.len() as u32;
            sought.places.entry(key(&siret)).or_insert(next);
        }
        sought
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }
    /// Whether none is asked for.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
    /// The place of one, when it is asked for.
    pub fn place(&self, siret: &Siret) -> Option<usize> {
        self.places.get(&key(siret)).map(|&at| at as usize)
    }
    /// The place of the one a cell names. A cell that is no SIRET names none; so does a number without its leading zeros
    /// in a text, since nobody can tell that from a torn one.
    fn named(&self, cell: &str) -> Option<usize> {
        let cell = cell.trim();
        if cell.len() != 14 || !cell.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = cell.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        self.places.get(&number).map(|&at| at as usize)
    }
}

fn key(siret: &Siret) -> u64 {
    siret.as_str().bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// How a file of Sirene was read.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// What messages call it.
    pub name: String,
    /// What it turned out to be.
    pub format: String,
    /// Rows read.
    pub rows: u64,
    /// Rows of an establishment asked for that an earlier row had: the first is kept.
    pub again: u64,
    /// Rows asked for and refused, cut when there are too many.
    pub rejected: Rejects,
    /// Which column was taken for what.
    pub columns: ColumnReport,
}

/// What the geolocation file says of an establishment.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// Its coordinates and their system; `None` where the file has none.
    pub at: Option<(f64, f64, Crs)>,
    /// How sure they are.
    pub quality: Option<GeocodeQuality>,
    /// The commune it lies in.
    pub commune: String,
    /// The national code of its IRIS, where INSEE knows it.
    pub iris: Option<String>,
}

/// What the stock file says of an establishment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stocked {
    /// Its activity in NAF rév. 2; `None` when it is in another nomenclature or unknown.
    pub naf: Option<Naf>,
    /// Its activity in NAF 2025.
    pub naf_2025: Option<Naf2025>,
    /// Whether it is closed today.
    pub closed: bool,
    /// Whether its enterprise does not show its address.
    pub withheld: bool,
}

/// The national code of an IRIS: that of the commune, and four digits local to it (INSEE, géolocalisation Sirene). `CSZ` (a
/// commune without IRIS) and `HZ` (outside) are none.
pub fn national_iris(commune: &str, local: &str) -> Option<String> {
    let (commune, local) = (commune.trim(), local.trim());
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_commune = commune.len() == 5 && commune.bytes().all(|b| b.is_ascii_alphanumeric()) && digits(&commune[2..]);
    (is_commune && local.len() == 4 && digits(local)).then(|| format!("{commune}{local}"))
}

/// Reads a geolocation file. `progress` is told the share read.
///
/// # Errors
/// When the file is no table, or lacks a column.
pub fn geolocation(
    name: &str,
    input: Input,
    sought: &Sought,
    mapping: &Mapping,
    progress: &mut dyn FnMut(f64),
) -> Result<(Vec<Option<Located>>, Passed), Unreadable> {
    let mut table = Table::open(name, input, STREAM_BYTES_MAX)?;
    let place = PlaceColumns::find(&table, &PointColumns::default(), None)?;
    let mut columns = Columns::find(&table, mapping, &[Role::Commune, Role::LocalIris])?;
    for (role, at) in
        [(Role::X, Some(place.x)), (Role::Y, Some(place.y)), (Role::Epsg, place.epsg), (Role::Quality, place.quality)]
    {
        at.iter().for_each(|&at| columns.report.take(role, &table, at));
    }
    let first_place = columns.selection.len();
    columns.selection.extend(place.wanted());
    let mut passed = columns.passed(&mut table)?;
    let mut found: Vec<Option<Located>> = vec![None; sought.len()];
    while let Some(mut batch) = table.next_batch()? {
        let places = Places::read(&mut batch, first_place, &place);
        for (index, at) in passed.asked(&mut batch, sought) {
            if found[at].is_some() {
                passed.again += 1;
                continue;
            }
            let commune = columns.cell(&batch, Role::Commune, index).to_owned();
            let iris = national_iris(&commune, columns.cell(&batch, Role::LocalIris, index));
            let quality = match places.quality(index) {
                Whole::Value(code) => GeocodeQuality::from_code(code),
                Whole::Empty | Whole::Negative | Whole::Fraction | Whole::TooLarge | Whole::NotANumber => None,
            };
            let position = match places.at(index) {
                Ok(at) => Some((at.x, at.y, at.epsg.map_or_else(|| place.crs.clone(), Crs::Epsg))),
                Err(Misplaced::Unplaced(_)) => None,
                Err(Misplaced::Bad(cell)) => {
                    passed.rejected.push(cell.reject(name, &table, &place, batch.places[index]));
                    None
                }
            };
            found[at] = Some(Located { at: position, quality, commune, iris });
        }
        progress(table.progress());
    }
    Ok((found, passed))
}

/// Reads a stock file. `progress` is told the share read.
///
/// # Errors
/// When the file is no table, or lacks a column.
pub fn stock(
    name: &str,
    input: Input,
    sought: &Sought,
    mapping: &Mapping,
    progress: &mut dyn FnMut(f64),
) -> Result<(Vec<Option<Stocked>>, Passed), Unreadable> {
    const OPTIONAL: [Role; 5] = [Role::Naf, Role::Naf2025, Role::Nomenclature, Role::Diffusion, Role::State];
    let mut table = Table::open(name, input, STREAM_BYTES_MAX)?;
    let columns = Columns::find(&table, mapping, &OPTIONAL)?;
    if columns.report.of(Role::Naf).is_none() {
        return Err(columns::missing(&table, Role::Naf));
    }
    let mut passed = columns.passed(&mut table)?;
    let mut found: Vec<Option<Stocked>> = vec![None; sought.len()];
    while let Some(mut batch) = table.next_batch()? {
        for (index, at) in passed.asked(&mut batch, sought) {
            if found[at].is_some() {
                passed.again += 1;
                continue;
            }
            let cell = |role| columns.cell(&batch, role, index);
            let mut refused = |refusal: Refusal| {
                let reject = refusal.reject(name, &passed.columns, batch.places[index]);
                passed.rejected.push(reject);
            };
            let naf = if !is_rev2(cell(Role::Nomenclature)) {
                let said = "a code of another nomenclature";
                refused(Refusal::new(Role::Nomenclature, "naf_nomenclature", said, "NAF rév. 2 (`NAFRev2`)"));
                None
            } else {
                naf_of(cell(Role::Naf)).map_err(&mut refused).ok()
            };
            let naf_2025 = naf_2025_of(cell(Role::Naf2025)).map_err(&mut refused).ok().flatten();
            let closed = cell(Role::State).eq_ignore_ascii_case("F");
            let withheld = is_withheld(cell(Role::Diffusion));
            found[at] = Some(Stocked { naf, naf_2025, closed, withheld });
        }
        progress(table.progress());
    }
    Ok((found, passed))
}

/// The columns of a file of Sirene: the SIRET first, then those which are there.
struct Columns {
    roles: Vec<Role>,
    selection: Vec<(usize, Kind)>,
    report: ColumnReport,
}

impl Columns {
    fn find(table: &Table, mapping: &Mapping, optional: &[Role]) -> Result<Self, Unreadable> {
        let siret = columns::require(table, mapping, Role::Siret)?;
        // Whole numbers of a Parquet file have no leading zeros to lose.
        let kind = if table.is_whole(siret) { Kind::Whole } else { Kind::Text };
        let mut found =
            Self { roles: vec![Role::Siret], selection: vec![(siret, kind)], report: ColumnReport::default() };
        found.report.take(Role::Siret, table, siret);
        for &role in optional {
            if let Some(at) = columns::find(table, mapping, role)? {
                found.roles.push(role);
                found.selection.push((at, Kind::Text));
                found.report.take(role, table, at);
            }
        }
        Ok(found)
    }

    /// Begins to read.
    fn passed(&self, table: &mut Table) -> Result<Passed, Unreadable> {
        table.select(&self.selection)?;
        let mut columns = self.report.clone();
        columns.leave_the_rest(table);
        let (name, format) = (table.name().to_owned(), table.format().to_string());
        Ok(Passed { name, format, columns, ..Passed::default() })
    }

    /// The cell, trimmed; empty where the file has no such column.
    fn cell<'a>(&self, batch: &'a Batch, role: Role, index: usize) -> &'a str {
        self.roles.iter().position(|&taken| taken == role).map_or("", |at| batch.texts(at)[index].trim())
    }
}

impl Passed {
    /// The rows of a batch that are asked for: their place in the batch, and in the answer. A broken row names nothing that
    /// can be trusted.
    fn asked(&mut self, batch: &mut Batch, sought: &Sought) -> Vec<(usize, usize)> {
        self.rows += batch.len() as u64;
        let mut rows: Vec<(usize, usize)> = match &batch.columns[0] {
            Column::Text(texts) => {
                texts.iter().enumerate().filter_map(|(index, cell)| Some((index, sought.named(cell)?))).collect()
            }
            Column::Whole(numbers) => (0..numbers.len())
                .filter(|&index| !numbers.is_null(index))
                .filter_map(|index| {
                    let number = u64::try_from(numbers.value(index)).ok()?;
                    Some((index, *sought.places.get(&number)? as usize))
                })
                .collect(),
            Column::Number(_) => unreachable!("a SIRET is no measure"),
        };
        for broken in std::mem::take(&mut batch.broken) {
            rows.retain(|&(index, _)| index != broken.index);
            self.rejected.push(broken.reject);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array};

    use super::super::table::samples::{gz, parquet, texts};
    use super::*;

    fn sought(sirets: &[&str]) -> Sought {
        Sought::new(sirets.iter().map(|siret| siret.parse().unwrap()))
    }

    const GEO: &str = "siret;x;y;qualite_xy;epsg;plg_qp24;plg_iris;plg_zus;plg_qp15;plg_qva;plg_code_commune;\
                       distance_precision;qualite_qp24;qualite_iris;qualite_zus;qualite_qp15;qualite_qva;y_latitude;\
                       x_longitude\n";

    #[test]
    fn the_geolocation_file_is_read_as_insee_writes_it_old_or_new() {
        let rows = [
            "73282932000074;652000.5;6862000;11;2154;HZ;0101;HZ;HZ;HZ;75108;;;;;;;48.8;2.3",
            "35600000049837;340000;7650000;33;2975;HZ;CSZ;HZ;HZ;HZ;97411;;;;;;;-21;55",
            "73282932000074;1;1;11;2154;;;;;;75108;;;;;;;48.8;2.3",
            "99999999999999;1;1;11;2154;;;;;;75108;;;;;;;48.8;2.3",
        ];
        let new = format!("{GEO}{}\n", rows.join("\n"));
        let old = "siret,x,y,qualite_xy,epsg,plg_qp,plg_iris,plg_code_commune,qualite_qp\n\
                   73282932000074,652000.5,6862000,11,2154,HZ,0101,75108,\n\
                   35600000049837,340000,7650000,33,2975,HZ,CSZ,97411,\n";
        let numbers = parquet(vec![
            ("siret", Arc::new(Int64Array::from(vec![73282932000074, 35600000049837]))),
            ("x", Arc::new(Float64Array::from(vec![652000.5, 340000.0]))),
            ("y", Arc::new(Float64Array::from(vec![6862000.0, 7650000.0]))),
            ("qualite_xy", texts(&["11", "33"])),
            ("epsg", texts(&["2154", "2975"])),
            ("plg_iris", texts(&["0101", "CSZ"])),
            ("plg_code_commune", texts(&["75108", "97411"])),
        ]);
        let located = |x, y, epsg, quality, commune: &str, iris: Option<&str>| {
            let (commune, iris) = (commune.to_owned(), iris.map(str::to_owned));
            Some(Located { at: Some((x, y, Crs::Epsg(epsg))), quality: Some(quality), commune, iris })
        };
        let expected = vec![
            located(340000.0, 7650000.0, 2975, GeocodeQuality::RandomInCommune, "97411", None),
            located(652000.5, 6862000.0, 2154, GeocodeQuality::SureNumber, "75108", Some("751080101")),
            None,
        ];
        let asked = sought(&["35600000049837", "73282932000074", "35600000000048"]);
        for (bytes, again) in
            [(new.clone().into_bytes(), 1), (gz(new.as_bytes()), 1), (old.as_bytes().to_vec(), 0), (numbers, 0)]
        {
            let read = geolocation("g", bytes.into(), &asked, &Mapping::default(), &mut |_| {});
            let (found, passed) = read.unwrap();
            assert_eq!(found, expected);
            assert_eq!((passed.again, passed.rejected.len()), (again, 0));
        }
    }

    #[test]
    fn the_stock_file_keeps_both_nomenclatures_apart_and_says_who_is_not_shown() {
        let text = "siren,siret,statutDiffusionEtablissement,trancheEffectifsEtablissement,etatAdministratifEtablissement,\
                    activitePrincipaleEtablissement,nomenclatureActivitePrincipaleEtablissement,\
                    activitePrincipaleNAF25Etablissement\n\
                    732829320,73282932000074,O,11,A,47.11F,NAFRev2,47.11Y\n\
                    356000000,35600000049837,P,NN,F,47.11F,NAFRev1,\n\
                    356000000,35600000000048,O,NN,A,99.99Z,NAFRev2,\n";
        let asked = sought(&["73282932000074", "35600000049837", "35600000000048"]);
        let read = stock("s", text.as_bytes().to_vec().into(), &asked, &Mapping::default(), &mut |_| {});
        let (found, passed) = read.unwrap();
        let naf = || "47.11F".parse().ok();
        let naf_2025 = "47.11Y".parse().ok();
        let unknown = Stocked { naf: None, naf_2025: None, closed: false, withheld: false };
        assert_eq!(
            found,
            [
                Some(Stocked { naf: naf(), naf_2025, ..unknown }),
                Some(Stocked { closed: true, withheld: true, ..unknown }),
                Some(unknown)
            ]
        );
        let refused: Vec<_> = passed.rejected.kept.iter().map(|r| (r.row, r.code)).collect();
        assert_eq!(refused, [(Some(3), "naf_nomenclature"), (Some(4), "naf_unknown")]);
        assert!(passed.columns.ignored.contains(&"trancheEffectifsEtablissement".to_owned()));
    }

    #[test]
    fn an_iris_is_national_by_its_commune_or_is_none() {
        for (commune, local, iris) in [
            ("21231", "0101", Some("212310101")),
            ("2A004", "0101", Some("2A0040101")),
            ("21231", "CSZ", None),
            ("21231", "HZ", None),
            ("21231", "", None),
            ("", "0101", None),
            ("ABCDE", "0101", None),
        ] {
            assert_eq!(national_iris(commune, local).as_deref(), iris, "{commune} {local}");
        }
    }
}
