//! A register for the service: one establishment a row, with its headcount, activity, year-end, source and place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::columns::{self, ColumnReport, Mapping, Role};
use super::points::{BadCell, Misplaced, PlaceColumns, Places, PointColumns};
use super::table::{Batch, Input, Kind, Table, Texts, WHOLE_BYTES_MAX, Whole, whole};
use crate::model::crs::Declared;
use crate::model::establishment::{GeocodeQuality, Trust, Unplaced};
use crate::model::headcount::HEADCOUNT_MAX;
use crate::model::id::BadId;
use crate::model::{Crs, Establishment, Headcount, Naf, Naf2025, Read, Reject, Rejects, Siret, Source, Unreadable};

/// Years a vintage may name: Sirene was created in 1973 (decree 73-314), and no year-end can be reported from far ahead.
pub const VINTAGES: std::ops::RangeInclusive<u16> = 1973..=2100;

/// What the operator says of a register, for what the file leaves out or calls by other names.
#[derive(Debug, Clone, Default)]
pub struct RegisterOptions {
    /// The year whose 31 December the headcounts describe.
    pub vintage: Option<u16>,
    /// Who sent them.
    pub source: Option<Source>,
    /// The system of the coordinates of rows which do not state their own.
    pub crs: Option<Crs>,
    /// Which column is what, where its name does not say.
    pub mapping: Mapping,
    /// Which qualities of geocoding are placed.
    pub trust: Trust,
}

/// A register as read: what was accepted beside what was refused, and how the file was understood.
#[derive(Debug, Clone)]
pub struct RegisterRead {
    /// In the order read.
    pub accepted: Vec<Establishment>,
    /// In the order read, cut when there are too many.
    pub rejected: Rejects,
    /// Which column was taken for what.
    pub columns: ColumnReport,
    /// What the file turned out to be.
    pub format: String,
    /// What the rows say, counted.
    pub tally: Tally,
}

/// Counts of a register's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that say themselves that their code is of another nomenclature than NAF rév. 2.
    pub other_nomenclature: usize,
    /// Rows whose code has the shape of one and is none of NAF rév. 2: often one of NAF 2025 in the column of the other.
    pub not_of_rev2: usize,
    /// Accepted rows with a code of NAF 2025 beside that of NAF rév. 2.
    pub with_naf_2025: usize,
    /// Accepted rows closed today, whatever they were at the year-end.
    pub closed_today: usize,
    /// Accepted rows whose enterprise does not show its address: counted, never placed.
    pub not_diffused: usize,
    /// Accepted rows whose `qualite_xy` INSEE does not have; they are placed.
    pub unknown_quality: usize,
}

impl Tally {
    /// Whether the codes of the file follow more than one nomenclature.
    pub fn is_mixed(&self) -> bool {
        self.other_nomenclature + self.not_of_rev2 > 0
    }
}

/// Reads a register, and gives its rows alone: see [`read_register`].
///
/// # Errors
/// As [`read_register`].
pub fn register(name: &str, input: Input, options: &RegisterOptions) -> Result<Read<Establishment>, Unreadable> {
    let read = read_register(name, input, options)?;
    Ok(Read { accepted: read.accepted, rejected: read.rejected.into_list(name) })
}

/// Reads a register. A row is either accepted or rejected, never both; an establishment without a usable place is
/// accepted, since it counts, and says why it has none.
///
/// # Errors
/// When the file is no table, or lacks a column.
pub fn read_register(name: &str, input: Input, options: &RegisterOptions) -> Result<RegisterRead, Unreadable> {
    let mut table = Table::open(name, input, WHOLE_BYTES_MAX)?;
    let (wanted, place, columns) = Wanted::find(&table, options)?;
    let first_place = wanted.selection.len();
    let mut selection = wanted.selection.clone();
    selection.extend(place.wanted());
    table.select(&selection)?;

    let format = table.format().to_string();
    let mut read =
        RegisterRead { accepted: Vec::new(), rejected: Rejects::default(), columns, format, tally: Tally::default() };
    let mut seen: HashMap<(Siret, u16, Source), usize> = HashMap::new();
    while let Some(mut batch) = table.next_batch()? {
        let places = Places::read(&mut batch, first_place, &place);
        let cells = Cells::take(&mut batch, &wanted);
        let mut broken = std::mem::take(&mut batch.broken).into_iter().peekable();
        for (index, &row) in batch.places.iter().enumerate() {
            if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                read.rejected.push(broken.reject);
                continue;
            }
            let accepted = establishment(&cells, &places, &place, options, index, &mut read.tally);
            match accepted {
                Ok(new) => match seen.entry((new.siret, new.vintage, new.source)) {
                    Entry::Occupied(first) => {
                        let found = format!("the SIRET, vintage and source of row {}", first.get());
                        let expected = "each SIRET once for a vintage and source";
                        let refusal = Refusal::new(Role::Siret, "duplicate_siret", found, expected);
                        read.rejected.push(refusal.reject(name, &read.columns, row));
                    }
                    Entry::Vacant(free) => {
                        free.insert(row);
                        read.tally.count(&new, &cells, &places, index);
                        read.accepted.push(new);
                    }
                },
                Err(Refused::Field(refusal)) => read.rejected.push(refusal.reject(name, &read.columns, row)),
                Err(Refused::Cell(cell)) => read.rejected.push(cell.reject(name, &table, &place, row)),
            }
        }
    }
    Ok(read)
}

/// The columns of a register: those every row must have first, and those that may be absent.
struct Wanted {
    selection: Vec<(usize, Kind)>,
    roles: Vec<Role>,
}

impl Wanted {
    fn find(table: &Table, options: &RegisterOptions) -> Result<(Self, PlaceColumns, ColumnReport), Unreadable> {
        let mapping = &options.mapping;
        let mut wanted = Self { selection: Vec::new(), roles: Vec::new() };
        let mut report = ColumnReport::default();
        let must = |role, known: bool| match columns::find(table, mapping, role)? {
            None if !known => Err(columns::missing(table, role)),
            found => Ok(found),
        };
        if columns::find(table, mapping, Role::Naf)?.is_none()
            && let Some(at) = columns::find(table, mapping, Role::Naf2025)?
        {
            let mut only = Unreadable::file(
                "naf_2025_only",
                table.name(),
                "activities in NAF 2025 alone",
                "a column in NAF rév. 2 too: the two are never mapped to each other; or say which: naf=COLUMN",
            );
            only.0.field = Some(table.headers()[at].clone());
            return Err(only);
        }
        for (role, known) in [
            (Role::Siret, false),
            (Role::Headcount, false),
            (Role::Naf, false),
            (Role::Vintage, options.vintage.is_some()),
            (Role::Source, options.source.is_some()),
            (Role::Naf2025, true),
            (Role::Nomenclature, true),
            (Role::Diffusion, true),
            (Role::State, true),
        ] {
            if let Some(at) = must(role, known)? {
                wanted.selection.push((at, Kind::Text));
                wanted.roles.push(role);
                report.take(role, table, at);
            }
        }
        let said = |role| mapping.of(role).filter(|column| !column.is_empty()).map(str::to_owned);
        let named = PointColumns { id: None, x: said(Role::X), y: said(Role::Y) };
        let mut place = PlaceColumns::find(table, &named, options.crs.as_ref())?;
        if mapping.of(Role::Epsg).is_some() {
            place.epsg = columns::find(table, mapping, Role::Epsg)?;
        }
        place.quality = columns::find(table, mapping, Role::Quality)?;
        report.take(Role::X, table, place.x);
        report.take(Role::Y, table, place.y);
        place.epsg.iter().for_each(|&at| report.take(Role::Epsg, table, at));
        place.quality.iter().for_each(|&at| report.take(Role::Quality, table, at));
        report.leave_the_rest(table);
        Ok((wanted, place, report))
    }
}

/// The text columns of a batch, by role.
struct Cells(Vec<(Role, Texts)>);

impl Cells {
    fn take(batch: &mut Batch, wanted: &Wanted) -> Self {
        Self(wanted.roles.iter().enumerate().map(|(at, &role)| (role, batch.take_texts(at))).collect())
    }
    /// The cell, trimmed; empty where the file has no such column.
    fn of(&self, role: Role, index: usize) -> &str {
        self.0.iter().find(|(taken, _)| *taken == role).map_or("", |(_, texts)| texts[index].trim())
    }
}

fn establishment(
    cells: &Cells,
    places: &Places,
    place: &PlaceColumns,
    options: &RegisterOptions,
    index: usize,
    tally: &mut Tally,
) -> Result<Establishment, Refused> {
    let cell = |role| cells.of(role, index);
    let siret = siret_of(cell(Role::Siret))?;
    let headcount = headcount_of(cell(Role::Headcount))?;
    if !is_rev2(cell(Role::Nomenclature)) {
        tally.other_nomenclature += 1;
        let found = "a code of another nomenclature";
        return Err(Refusal::new(Role::Nomenclature, "naf_nomenclature", found, "NAF rév. 2 (`NAFRev2`)").into());
    }
    let naf = naf_of(cell(Role::Naf)).inspect_err(|_| {
        tally.not_of_rev2 += usize::from(cell(Role::Naf).parse::<Naf2025>().is_ok());
    })?;
    let naf_2025 = naf_2025_of(cell(Role::Naf2025))?;
    let vintage = vintage_of(cell(Role::Vintage), options.vintage)?;
    let source = source_of(cell(Role::Source), options.source)?;
    let quality = match places.quality(index) {
        Whole::Value(code) => GeocodeQuality::from_code(code),
        Whole::Empty | Whole::Negative | Whole::Fraction | Whole::TooLarge | Whole::NotANumber => None,
    };
    let at = if is_withheld(cell(Role::Diffusion)) {
        Err(Misplaced::Unplaced(Unplaced::NotDiffused))
    } else {
        places.at(index)
    };
    let place = match at {
        Ok(at) => match quality.and_then(|quality| options.trust.refuses(quality)) {
            Some(why) => Err(why),
            None => {
                let crs = at.epsg.map_or_else(|| place.crs.clone(), Crs::Epsg);
                Ok(Declared { crs, geometry: (at.x, at.y) })
            }
        },
        Err(Misplaced::Unplaced(why)) => Err(why),
        Err(Misplaced::Bad(cell)) => return Err(Refused::Cell(cell)),
    };
    Ok(Establishment { siret, headcount, naf, naf_2025, vintage, source, place, quality, site: 0 })
}

impl Tally {
    fn count(&mut self, new: &Establishment, cells: &Cells, places: &Places, index: usize) {
        self.with_naf_2025 += usize::from(new.naf_2025.is_some());
        self.closed_today += usize::from(cells.of(Role::State, index).eq_ignore_ascii_case("F"));
        self.not_diffused += usize::from(new.place == Err(Unplaced::NotDiffused));
        self.unknown_quality += usize::from(new.quality.is_none() && places.quality(index) != Whole::Empty);
    }
}

/// `statutDiffusion` O (all) or nothing is open; P (partial, INSEE since 2022) and the older N are not.
pub(super) fn is_withheld(status: &str) -> bool {
    status.eq_ignore_ascii_case("P") || status.eq_ignore_ascii_case("N")
}

/// `NAFRev2` as Sirene writes it, in any spelling, or nothing said.
pub(super) fn is_rev2(nomenclature: &str) -> bool {
    let letters: String = nomenclature.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    letters.is_empty() || letters.ends_with("rev2") || letters.ends_with("rv2")
}

/// Why a row is refused.
enum Refused {
    Field(Refusal),
    /// A coordinate or its system.
    Cell(BadCell),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Field(refusal)
    }
}

/// Why a cell is refused, before its place is known. Never the value itself: a SIRET or a headcount may stand there.
pub(super) struct Refusal {
    role: Role,
    code: &'static str,
    found: String,
    expected: String,
}

impl Refusal {
    pub(super) fn new(role: Role, code: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { role, code, found: found.into(), expected: expected.into() }
    }
    pub(super) fn reject(self, file: &str, columns: &ColumnReport, row: usize) -> Reject {
        let field = columns.of(self.role).unwrap_or(self.role.name()).to_owned();
        let Self { code, found, expected, .. } = self;
        Reject { code, file: file.to_owned(), row: Some(row), field: Some(field), found, expected }
    }
}

/// A SIRET, possibly printed in groups. What a spreadsheet does to one is undone where no digit is lost, and named where
/// one may be.
pub(super) fn siret_of(cell: &str) -> Result<Siret, Refusal> {
    let digits: String = cell.chars().filter(|c| !c.is_whitespace()).collect();
    let refuse = |code, found: String, expected: &str| Err(Refusal::new(Role::Siret, code, found, expected));
    let as_number = "14 digits; a spreadsheet has kept this SIRET as a number and rounded or reworded it: keep the \
                     column as text";
    let number = digits.replace(',', ".");
    if let Some((mantissa, exponent)) = number.split_once(['E', 'e'])
        && number.parse::<f64>().is_ok_and(f64::is_finite)
    {
        // 7.3282932000074E13 has all fourteen digits; 7.32829E13 has lost some.
        let all: String = mantissa.chars().filter(|&c| c != '.').collect();
        let whole = all.len() == SIRET_DIGITS && mantissa.find('.') == Some(1) && exponent.parse() == Ok(13);
        return match all.parse() {
            Ok(siret) if whole => Ok(siret),
            _ => refuse("siret_digits", "a number in scientific notation".to_owned(), as_number),
        };
    }
    if number.contains('.') && number.parse::<f64>().is_ok() {
        return refuse("siret_digits", "a number with decimals".to_owned(), as_number);
    }
    digits.parse().or_else(|error| match error {
        BadId::Length { found: 0, .. } => refuse("siret_length", "nothing".to_owned(), "14 digits"),
        BadId::Length { found: found @ 10..=13, .. } if digits.bytes().all(|b| b.is_ascii_digit()) => refuse(
            "siret_length",
            format!("{found} digits"),
            "14 digits; a spreadsheet drops the leading zeros of a SIRET kept as a number: keep the column as text",
        ),
        BadId::Length { found, .. } => refuse("siret_length", format!("{found} characters"), "14 digits"),
        BadId::NotADigit { position } => {
            refuse("siret_digits", format!("a character that is not a digit at position {position}"), "14 digits")
        }
        BadId::Key => refuse(
            "siret_key",
            "14 digits whose control key fails".to_owned(),
            "a key that holds (Luhn; La Poste has its own)",
        ),
    })
}

const SIRET_DIGITS: usize = 14;

pub(super) fn headcount_of(cell: &str) -> Result<Option<Headcount>, Refusal> {
    const EXPECTED: &str = "a whole number of employees, or nothing";
    let refuse = |code, found| Err(Refusal::new(Role::Headcount, code, found, EXPECTED));
    match whole(cell) {
        Whole::Empty => Ok(None),
        Whole::Negative => refuse("headcount_negative", "a number below zero"),
        Whole::Fraction => refuse("headcount_not_a_number", "a number with decimals"),
        Whole::NotANumber => refuse("headcount_not_a_number", "a text which is no whole number"),
        Whole::TooLarge => Err(headcount_too_large()),
        Whole::Value(employees) => {
            u32::try_from(employees).ok().and_then(Headcount::new).map(Some).ok_or_else(headcount_too_large)
        }
    }
}

pub(super) fn headcount_too_large() -> Refusal {
    let expected = format!("{HEADCOUNT_MAX} employees at most in one establishment");
    Refusal::new(Role::Headcount, "headcount_too_large", "a larger number than any establishment has", expected)
}

/// The activity. An unknown code is repeated only when it looks like one: columns may have been swapped.
pub(super) fn naf_of(cell: &str) -> Result<Naf, Refusal> {
    const EXPECTED: &str = "one of the 732 sub-classes of NAF rév. 2, such as 47.11F or 4711F";
    cell.parse().map_err(|_| Refusal::new(Role::Naf, "naf_unknown", shown_code(cell), EXPECTED))
}

/// The activity in NAF 2025, or nothing.
pub(super) fn naf_2025_of(cell: &str) -> Result<Option<Naf2025>, Refusal> {
    const EXPECTED: &str = "a code of NAF 2025, such as 47.11F, or nothing";
    if cell.is_empty() {
        return Ok(None);
    }
    cell.parse().map(Some).map_err(|_| Refusal::new(Role::Naf2025, "naf_2025_unknown", shown_code(cell), EXPECTED))
}

fn shown_code(cell: &str) -> String {
    let cell = cell.trim();
    match cell.chars().count() {
        0 => "nothing".to_owned(),
        1..=6 if cell.chars().any(|c| c.is_ascii_alphabetic()) && cell.is_ascii() => format!("`{cell}`"),
        n => format!("{n} characters"),
    }
}

/// The year, or the year of a 31 December (`2024-12-31`, `31/12/2024`).
pub(super) fn vintage_of(cell: &str, known: Option<u16>) -> Result<u16, Refusal> {
    let refuse = |found: &str| {
        let expected = format!("a year from {} to {}, or its 31 December", VINTAGES.start(), VINTAGES.end());
        Err(Refusal::new(Role::Vintage, "vintage_range", found, expected))
    };
    if let Some(date) = date_of(cell) {
        return match date {
            (year, 12, 31) if VINTAGES.contains(&year) => Ok(year),
            (_, 12, 31) => refuse("a number outside these years"),
            _ => refuse("a date that is no 31 December"),
        };
    }
    match (whole(cell), known) {
        (Whole::Empty, Some(known)) => Ok(known),
        (Whole::Empty, None) => refuse("nothing"),
        (Whole::Value(year), _) => match u16::try_from(year) {
            Ok(year) if VINTAGES.contains(&year) => Ok(year),
            _ => refuse("a number outside these years"),
        },
        (Whole::Negative | Whole::Fraction | Whole::TooLarge | Whole::NotANumber, _) => refuse("no year"),
    }
}

/// Year, month and day of `2024-12-31` or `31/12/2024`, whatever time follows.
fn date_of(cell: &str) -> Option<(u16, u8, u8)> {
    let date = cell.split(['T', ' ']).next().unwrap_or_default();
    if let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] {
        return Some((year.parse().ok()?, month.parse().ok()?, day.parse().ok()?));
    }
    let [day, month, year] = date.split('/').collect::<Vec<_>>()[..] else { return None };
    Some((year.parse().ok()?, month.parse().ok()?, day.parse().ok()?))
}

fn source_of(cell: &str, known: Option<Source>) -> Result<Source, Refusal> {
    let refuse = |found| Err(Refusal::new(Role::Source, "source_unknown", found, "`urssaf` or `msa`"));
    match (cell.trim().is_empty(), known) {
        (true, Some(known)) => Ok(known),
        (true, None) => refuse("nothing"),
        (false, _) => Source::from_code(cell).map_or_else(|| refuse("another text"), Ok),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array};
    use proptest::prelude::*;

    use super::super::spreadsheet::samples::Cell::{self, Date, Nothing, Number, Text};
    use super::super::spreadsheet::samples::{ods, xls, xlsx, zipped};
    use super::super::table::samples::{gz, parquet, texts};
    use super::*;

    const HEADER: &str = "siret,effectif,naf,millesime,source,x,y,epsg,qualite_xy\n";

    fn read(bytes: Vec<u8>, options: &RegisterOptions) -> Read<Establishment> {
        register("r", bytes.into(), options).unwrap()
    }

    #[test]
    fn a_row_is_accepted_or_rejected_under_a_stable_code() {
        let good = "73282932000074,12,47.11F,2024,urssaf,652000,6862000,,11";
        for (row, code, field) in [
            ("35600000049837,0,4711F,2024,MSA,652000,6862000,2154,", None, ""),
            ("732 829 320 00074,,4711F,2023,urssaf,,,,", None, ""),
            ("7328293200007,12,47.11F,2024,urssaf,1,2,,", Some("siret_length"), "siret"),
            ("732829320000744,12,47.11F,2024,urssaf,1,2,,", Some("siret_length"), "siret"),
            (",12,47.11F,2024,urssaf,1,2,,", Some("siret_length"), "siret"),
            ("7.32829E+13,12,47.11F,2024,urssaf,1,2,,", Some("siret_digits"), "siret"),
            ("73282932000074.0,12,47.11F,2024,urssaf,1,2,,", Some("siret_digits"), "siret"),
            ("3.5600000049837E+13,12,47.11F,2024,urssaf,1,2,,", None, ""),
            ("\"3,5600000049837E13\",12,47.11F,2024,urssaf,1,2,,", None, ""),
            ("3.5600000049837E+12,12,47.11F,2024,urssaf,1,2,,", Some("siret_digits"), "siret"),
            ("7328293200007A,12,47.11F,2024,urssaf,1,2,,", Some("siret_digits"), "siret"),
            ("73282932000075,12,47.11F,2024,urssaf,1,2,,", Some("siret_key"), "siret"),
            ("73282932000074,-1,47.11F,2023,urssaf,1,2,,", Some("headcount_negative"), "effectif"),
            ("73282932000074,1.5,47.11F,2023,urssaf,1,2,,", Some("headcount_not_a_number"), "effectif"),
            ("73282932000074,NN,47.11F,2023,urssaf,1,2,,", Some("headcount_not_a_number"), "effectif"),
            ("73282932000074,1000000,47.11F,2023,urssaf,1,2,,", None, ""),
            ("73282932000074,1000001,47.11F,2022,urssaf,1,2,,", Some("headcount_too_large"), "effectif"),
            ("73282932000074,12,47.99Z,2023,urssaf,1,2,,", Some("naf_unknown"), "naf"),
            ("73282932000074,12,47.11F,1973,urssaf,1,2,,", None, ""),
            ("73282932000074,12,47.11F,1972,urssaf,1,2,,", Some("vintage_range"), "millesime"),
            ("73282932000074,12,47.11F,2100,urssaf,1,2,,", None, ""),
            ("73282932000074,12,47.11F,2101,urssaf,1,2,,", Some("vintage_range"), "millesime"),
            ("73282932000074,12,47.11F,,urssaf,1,2,,", Some("vintage_range"), "millesime"),
            ("73282932000074,12,47.11F,2023,insee,1,2,,", Some("source_unknown"), "source"),
            ("73282932000074,13,47.11F,2024,urssaf,1,2,,", Some("duplicate_siret"), "siret"),
            ("73282932000074,13,47.11F,2024,msa,1,2,,", None, ""),
            ("73282932000074,13,47.11F,2021,msa,1,est,,", Some("coordinate_not_a_number"), "y"),
            ("73282932000074,13,47.11F,2021,msa,1,2,-4,", Some("epsg_not_a_code"), "epsg"),
        ] {
            let read = read(format!("{HEADER}{good}\n{row}\n").into_bytes(), &RegisterOptions::default());
            assert_eq!(read.accepted[0].siret.as_str(), "73282932000074", "{row}: the good row is kept");
            match code {
                None => assert_eq!((read.accepted.len(), read.rejected.len()), (2, 0), "{row}"),
                Some(code) => {
                    assert_eq!(read.accepted.len(), 1, "{row}");
                    let reject = &read.rejected[0];
                    assert_eq!(
                        (reject.code, reject.row, reject.field.as_deref()),
                        (code, Some(3), Some(field)),
                        "{row}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_message_repeats_neither_siret_nor_headcount_even_where_columns_are_swapped() {
        let rows = [
            "732829320000755,987654321,47.11F,2024,urssaf,1,2,,",
            "73282932000074,987654321,47.11F,2024,urssaf,1,2,,",
            "73282932000074,12,732829320,2024,urssaf,1,2,,",
            "73282932000074,12,47.11F,987654321,urssaf,1,2,,",
            "73282932000074,12,47.11F,2024,732829320,1,2,,",
            "73282932000074,12,47.11F,2024,urssaf,A732829320,2,,",
        ];
        let read = read(format!("{HEADER}{}\n", rows.join("\n")).into_bytes(), &RegisterOptions::default());
        assert_eq!(read.rejected.len(), rows.len());
        for reject in &read.rejected {
            let message = reject.to_string();
            assert!(!message.contains("732829") && !message.contains("987654"), "{message}");
        }
    }

    #[test]
    fn the_operator_fills_what_the_file_leaves_out() {
        let options = RegisterOptions {
            vintage: Some(2022),
            source: Some(Source::Msa),
            crs: Some(Crs::Epsg(3947)),
            ..RegisterOptions::default()
        };
        let text = b"SIRET;Effectifs;APE;X;Y\r\n73282932000074;3;4711F;1,5;2\r\n".to_vec();
        let establishment = &read(text.clone(), &options).accepted[0];
        assert_eq!((establishment.vintage, establishment.source), (2022, Source::Msa));
        let place = Declared { crs: Crs::Epsg(3947), geometry: (1.5, 2.0) };
        assert_eq!(establishment.place, Ok(place));
        let missing = register("r", text.into(), &RegisterOptions { vintage: None, ..options }).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "r: found the columns `SIRET`, `Effectifs`, `APE`, `X`, `Y`, expected a column `millesime` or `annee` or \
             `vintage` or `year`; or say which: millesime=COLUMN [column_missing]"
        );
    }

    #[test]
    fn an_establishment_without_a_place_still_counts_and_says_why() {
        for (place, expected) in [
            (",,,", Err(Unplaced::NoCoordinate)),
            ("0,0,,", Err(Unplaced::Zero)),
            ("nan,1,,", Err(Unplaced::NotFinite)),
            ("1,2,,33", Err(Unplaced::RandomInCommune)),
            ("1,2,2975,12", Ok(Declared { crs: Crs::Epsg(2975), geometry: (1.0, 2.0) })),
            ("1,2,,", Ok(Declared { crs: Crs::LAMBERT93, geometry: (1.0, 2.0) })),
        ] {
            let text = format!("{HEADER}73282932000074,12,47.11F,2024,urssaf,{place}\n");
            let read = read(text.into_bytes(), &RegisterOptions::default());
            assert_eq!(read.accepted[0].place, expected, "{place}");
        }
    }

    #[test]
    fn one_table_gives_one_register_in_every_format() {
        let rows = [
            vec![
                Text("SIRET"),
                Text("Effectif"),
                Text("Code NAF"),
                Text("Année"),
                Text("Source"),
                Text("x"),
                Text("y"),
            ],
            vec![
                Number(73282932000074.0),
                Number(12.0),
                Text("47.11F"),
                Date(45657, "2024-12-31"),
                Text("urssaf"),
                Number(852582.71),
                Number(6688932.5),
            ],
            vec![Text("35600000049837"), Nothing, Text("5310Z"), Number(2024.0), Text("msa"), Nothing, Nothing],
            vec![Number(7.3e13), Number(1.0), Text("5310Z"), Number(2024.0), Text("msa"), Nothing, Nothing],
        ];
        let text = |delimiter: &str, point: &str| {
            let line = |cells: &Vec<Cell>| {
                let cell = |cell: &Cell| match cell {
                    Text(text) => (*text).to_owned(),
                    Number(number) => number.to_string().replace('.', point),
                    Date(_, date) => (*date).to_owned(),
                    Nothing => String::new(),
                };
                cells.iter().map(cell).collect::<Vec<_>>().join(delimiter) + "\r\n"
            };
            rows.iter().map(line).collect::<String>()
        };
        let latin: Vec<u8> = text(";", ",").chars().map(|c| if c == 'é' { 0xe9 } else { c as u8 }).collect();
        let columns = parquet(vec![
            ("SIRET", texts(&["73282932000074", "35600000049837", "73000000000000"])),
            ("Effectif", Arc::new(Int64Array::from(vec![Some(12), None, Some(1)]))),
            ("Code NAF", texts(&["47.11F", "5310Z", "5310Z"])),
            ("Année", texts(&["2024-12-31", "2024", "2024"])),
            ("Source", texts(&["urssaf", "msa", "msa"])),
            ("x", Arc::new(Float64Array::from(vec![Some(852582.71), None, None]))),
            ("y", Arc::new(Float64Array::from(vec![Some(6688932.5), None, None]))),
        ]);
        let tabs = text("\t", ".");
        let zip = zipped(&[("etablissements.txt", &tabs)]);
        for (bytes, format) in [
            (text(",", ".").into_bytes(), "CSV, UTF-8, delimiter ,"),
            (gz(tabs.as_bytes()), "gzipped CSV, UTF-8, delimiter tab"),
            (format!("\u{feff}{}", text(";", ",")).into_bytes(), "CSV, UTF-8, delimiter ;"),
            (latin, "CSV, Windows-1252, delimiter ;"),
            (zip, "CSV, UTF-8, delimiter tab"),
            (xlsx(&rows), "XLSX"),
            (xls(&rows), "XLS"),
            (ods(&rows), "ODS"),
            (columns, "Parquet"),
        ] {
            let read = read_register("r", bytes.into(), &RegisterOptions::default()).unwrap();
            assert_eq!(read.format, format);
            let said = |e: &Establishment| {
                let place = e.place.clone().map(|place| place.geometry);
                (e.siret.to_string(), e.headcount, e.naf.code(), e.vintage, e.source, place)
            };
            let found: Vec<_> = read.accepted.iter().map(said).collect();
            let expected = [
                ("73282932000074", Headcount::new(12), "47.11F", 2024, Source::Urssaf, Ok((852582.71, 6688932.5))),
                ("35600000049837", None, "53.10Z", 2024, Source::Msa, Err(Unplaced::NoCoordinate)),
            ];
            assert_eq!(found, expected.map(|e| (e.0.to_owned(), e.1, e.2, e.3, e.4, e.5)), "{format}");
            let refused: Vec<_> = read.rejected.kept.iter().map(|r| (r.row, r.code)).collect();
            let line = if format == "Parquet" { 3 } else { 4 };
            assert_eq!(refused, [(Some(line), "siret_key")], "{format}");
            let taken: Vec<&str> = read.columns.taken.iter().map(|(role, _)| role.name()).collect();
            assert_eq!(taken, ["siret", "effectif", "naf", "millesime", "source", "x", "y"], "{format}");
        }
    }

    #[test]
    fn nomenclatures_are_kept_apart_and_a_mixture_is_said() {
        let header = "siret,effectif,activitePrincipaleEtablissement,activitePrincipaleNAF25Etablissement,\
                      nomenclatureActivitePrincipaleEtablissement,statutDiffusionEtablissement,\
                      etatAdministratifEtablissement,qualite_xy,x,y,autre\n";
        let rows = "73282932000074,1,47.11F,47.11Y,NAFRev2,O,A,12,1,2,\n\
                    35600000049837,1,53.10Z,,NAFRev2,P,F,11,1,2,\n\
                    35600000000048,1,64.20Y,,,O,A,11,1,2,\n\
                    99000012700011,1,64.20Z,,NAFRev1,O,A,11,1,2,\n\
                    99000012700029,1,64.20Z,x,,O,A,11,1,2,\n";
        let trust = Trust::Number;
        let options =
            RegisterOptions { vintage: Some(2024), source: Some(Source::Urssaf), trust, ..RegisterOptions::default() };
        let text = format!("{header}{rows}");
        let read = read_register("r", text.into_bytes().into(), &options).unwrap();
        let places: Vec<_> = read.accepted.iter().map(|e| e.place.clone().err()).collect();
        assert_eq!(places, [Some(Unplaced::PoorGeocode), Some(Unplaced::NotDiffused)]);
        assert_eq!(read.accepted[0].naf_2025.map(|naf| naf.to_string()).as_deref(), Some("47.11Y"));
        let codes: Vec<_> = read.rejected.kept.iter().map(|r| r.code).collect();
        assert_eq!(codes, ["naf_unknown", "naf_nomenclature", "naf_2025_unknown"]);
        let tally = Tally {
            other_nomenclature: 1,
            not_of_rev2: 1,
            with_naf_2025: 1,
            closed_today: 1,
            not_diffused: 1,
            unknown_quality: 0,
        };
        assert_eq!(read.tally, tally);
        assert!(read.tally.is_mixed());
        assert_eq!(read.columns.ignored, ["autre"]);
        let only = "siret,effectif,naf25,millesime,source,x,y\n";
        let refused = read_register("r", only.as_bytes().to_vec().into(), &RegisterOptions::default()).unwrap_err();
        assert_eq!(refused.0.code, "naf_2025_only");
    }

    #[test]
    fn a_geocode_is_placed_as_far_as_it_is_trusted_and_33_never() {
        for (trust, placed) in [(Trust::Street, "11 12 21 22"), (Trust::SureStreet, "11 12"), (Trust::Number, "11")] {
            let qualities = [11, 12, 21, 22, 33].map(|code| GeocodeQuality::from_code(code).unwrap());
            let trusted = qualities.iter().filter(|quality| trust.refuses(**quality).is_none());
            let codes: Vec<String> = trusted.map(|quality| quality.code().to_string()).collect();
            assert_eq!(codes.join(" "), placed);
        }
    }

    #[test]
    fn parquet_numbers_are_read_as_the_texts_they_stand_for() {
        let bytes = parquet(vec![
            ("siret", Arc::new(Int64Array::from(vec![Some(73282932000074), Some(1928074200016), None]))),
            ("headcount", Arc::new(Float64Array::from(vec![Some(12.0), Some(1.0), Some(1.0)]))),
            ("ape", texts(&["4711F", "4711F", "4711F"])),
            ("year", Arc::new(Int64Array::from(vec![2024, 2024, 2024]))),
            ("source", texts(&["urssaf", "urssaf", "urssaf"])),
            ("lon", Arc::new(Float64Array::from(vec![5.04, 5.04, 5.04]))),
            ("lat", Arc::new(Float64Array::from(vec![47.3, 47.3, 47.3]))),
        ]);
        let read = read(bytes, &RegisterOptions::default());
        assert_eq!(read.accepted.len(), 1);
        assert_eq!(read.accepted[0].headcount, Headcount::new(12));
        assert_eq!(read.accepted[0].place, Ok(Declared { crs: Crs::WGS84, geometry: (5.04, 47.3) }));
        let found: Vec<_> = read.rejected.iter().map(|r| (r.row, r.code, r.found.as_str())).collect();
        assert_eq!(found, [(Some(2), "siret_length", "13 digits"), (Some(3), "siret_length", "nothing")]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_of_registers_panic(
            lines in prop::collection::vec(any::<Vec<u8>>(), 0..8),
            zipped in any::<bool>(),
        ) {
            let mut bytes = HEADER.as_bytes().to_vec();
            lines.iter().for_each(|line| bytes.extend(line.iter().chain(b"\n")));
            let bytes = if zipped { gz(&bytes) } else { bytes };
            if let Ok(read) = register("r", bytes.into(), &RegisterOptions::default()) {
                prop_assert!(read.accepted.is_empty(), "noise holds no valid SIRET");
            }
        }
    }
}
