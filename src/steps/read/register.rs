//! A register for the service: one establishment a row, with its headcount, activity, year-end, source and place.

use std::collections::HashMap;

use super::points::{BadCell, Misplaced, PlaceColumns, Places, PointColumns};
use super::table::{Input, Kind, Table, WHOLE_BYTES_MAX, Whole, whole};
use crate::model::crs::Declared;
use crate::model::establishment::Unplaced;
use crate::model::headcount::HEADCOUNT_MAX;
use crate::model::id::BadId;
use crate::model::{Crs, Establishment, Headcount, Naf, Read, Reject, Siret, Source, Unreadable};

const SIRET_NAMES: [&str; 1] = ["siret"];
const HEADCOUNT_NAMES: [&str; 3] = ["effectif", "headcount", "effectifs"];
const NAF_NAMES: [&str; 4] = ["naf", "ape", "activiteprincipaleetablissement", "apet700"];
const VINTAGE_NAMES: [&str; 4] = ["millesime", "annee", "vintage", "year"];
const SOURCE_NAMES: [&str; 1] = ["source"];

/// Years a vintage may name: Sirene was created in 1973 (decree 73-314), and no year-end can be reported from far ahead.
pub const VINTAGES: std::ops::RangeInclusive<u16> = 1973..=2100;

/// What the operator says of a register, for the cells the file leaves out.
#[derive(Debug, Clone, Default)]
pub struct RegisterOptions {
    /// The year whose 31 December the headcounts describe.
    pub vintage: Option<u16>,
    /// Who sent them.
    pub source: Option<Source>,
    /// The system of the coordinates of rows which do not state their own.
    pub crs: Option<Crs>,
}

/// Reads a register. A row is either accepted or rejected, never both; an establishment without a usable place is
/// accepted, since it counts, and says why it has none.
pub fn register(name: &str, input: Input, options: &RegisterOptions) -> Result<Read<Establishment>, Unreadable> {
    let mut table = Table::open(name, input, WHOLE_BYTES_MAX)?;
    let siret = table.require_among("column_missing", &SIRET_NAMES)?;
    let headcount = table.require_among("column_missing", &HEADCOUNT_NAMES)?;
    let naf = table.require_among("column_missing", &NAF_NAMES)?;
    let optional = |names: &[&str], known: bool| match table.column_among(names) {
        Some(at) => Ok(Some(at)),
        None if known => Ok(None),
        None => table.require_among("column_missing", names).map(Some),
    };
    let vintage = optional(&VINTAGE_NAMES, options.vintage.is_some())?;
    let source = optional(&SOURCE_NAMES, options.source.is_some())?;
    let place = PlaceColumns::find(&table, &PointColumns::default(), options.crs.as_ref())?;

    let mut wanted = vec![(siret, Kind::Text), (headcount, Kind::Text), (naf, Kind::Text)];
    wanted.extend(vintage.map(|at| (at, Kind::Text)));
    wanted.extend(source.map(|at| (at, Kind::Text)));
    let first_place = wanted.len();
    wanted.extend(place.wanted());
    table.select(&wanted)?;

    let header = |at: usize| table.headers()[at].clone();
    let fields = Fields {
        siret: header(siret),
        headcount: header(headcount),
        naf: header(naf),
        vintage: vintage.map_or(VINTAGE_NAMES[0].to_owned(), header),
        source: source.map_or(SOURCE_NAMES[0].to_owned(), header),
    };
    let mut read = Read { accepted: Vec::new(), rejected: Vec::new() };
    let mut seen: HashMap<(Siret, u16, Source), usize> = HashMap::new();
    while let Some(mut batch) = table.next_batch()? {
        let places = Places::read(&mut batch, first_place, &place);
        let (sirets, headcounts, nafs) = (batch.take_texts(0), batch.take_texts(1), batch.take_texts(2));
        let vintages = vintage.map(|_| batch.take_texts(3));
        let sources = source.map(|_| batch.take_texts(3 + usize::from(vintage.is_some())));
        let mut broken = std::mem::take(&mut batch.broken).into_iter().peekable();
        for (index, &row) in batch.places.iter().enumerate() {
            if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                read.rejected.push(broken.reject);
                continue;
            }
            let establishment = || -> Result<Establishment, Refusal> {
                let siret = siret_of(&sirets[index]).map_err(|refusal| refusal.of(&fields.siret))?;
                let headcount = headcount_of(&headcounts[index]).map_err(|refusal| refusal.of(&fields.headcount))?;
                let naf = naf_of(&nafs[index]).map_err(|refusal| refusal.of(&fields.naf))?;
                let vintage = vintage_of(vintages.as_ref().map_or("", |v| &v[index]), options.vintage)
                    .map_err(|refusal| refusal.of(&fields.vintage))?;
                let source = source_of(sources.as_ref().map_or("", |s| &s[index]), options.source)
                    .map_err(|refusal| refusal.of(&fields.source))?;
                let place = match places.at(index) {
                    Ok(at) if at.random_in_commune => Err(Unplaced::RandomInCommune),
                    Ok(at) => {
                        let crs = at.epsg.map_or_else(|| place.crs.clone(), Crs::Epsg);
                        Ok(Declared { crs, geometry: (at.x, at.y) })
                    }
                    Err(Misplaced::Unplaced(why)) => Err(why),
                    Err(Misplaced::Bad(cell)) => return Err(Refusal::Cell(cell)),
                };
                Ok(Establishment { siret, headcount, naf, vintage, source, place })
            };
            match establishment() {
                Ok(new) => match seen.entry((new.siret, new.vintage, new.source)) {
                    std::collections::hash_map::Entry::Occupied(first) => {
                        let found = format!("the SIRET, vintage and source of row {}", first.get());
                        let expected = "each SIRET once for a vintage and source";
                        let refusal = Refusal::new("duplicate_siret", found, expected).of(&fields.siret);
                        read.rejected.push(refusal.reject(&table, &place, row));
                    }
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(row);
                        read.accepted.push(new);
                    }
                },
                Err(refusal) => read.rejected.push(refusal.reject(&table, &place, row)),
            }
        }
    }
    Ok(read)
}

/// The names of the columns, for messages.
struct Fields {
    siret: String,
    headcount: String,
    naf: String,
    vintage: String,
    source: String,
}

/// Why a row is refused, before its place is known. Never the value itself: a SIRET or a headcount may stand there.
enum Refusal {
    Field { code: &'static str, field: String, found: String, expected: String },
    Cell(BadCell),
}

impl Refusal {
    fn new(code: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Field { code, field: String::new(), found: found.into(), expected: expected.into() }
    }
    fn of(self, name: &str) -> Self {
        match self {
            Self::Field { code, found, expected, .. } => Self::Field { code, field: name.to_owned(), found, expected },
            Self::Cell(cell) => Self::Cell(cell),
        }
    }
    fn reject(self, table: &Table, place: &PlaceColumns, row: usize) -> Reject {
        match self {
            Self::Field { code, field, found, expected } => {
                Reject { code, file: table.name().to_owned(), row: Some(row), field: Some(field), found, expected }
            }
            Self::Cell(cell) => cell.reject(table.name(), table, place, row),
        }
    }
}

/// A SIRET, possibly printed in groups; what a spreadsheet does to one is named.
fn siret_of(cell: &str) -> Result<Siret, Refusal> {
    let digits: String = cell.chars().filter(|c| !c.is_whitespace()).collect();
    let as_number = "14 digits; a spreadsheet has kept this SIRET as a number and rounded or reworded it: keep the \
                     column as text";
    if digits.bytes().any(|b| b == b'E' || b == b'e') && digits.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(Refusal::new("siret_digits", "a number in scientific notation", as_number));
    }
    if digits.contains(['.', ',']) && digits.replace(',', ".").parse::<f64>().is_ok() {
        return Err(Refusal::new("siret_digits", "a number with decimals", as_number));
    }
    digits.parse().map_err(|error| match error {
        BadId::Length { found: 0, .. } => Refusal::new("siret_length", "nothing", "14 digits"),
        BadId::Length { found: found @ 10..=13, .. } if digits.bytes().all(|b| b.is_ascii_digit()) => Refusal::new(
            "siret_length",
            format!("{found} digits"),
            "14 digits; a spreadsheet drops the leading zeros of a SIRET kept as a number: keep the column as text",
        ),
        BadId::Length { found, .. } => Refusal::new("siret_length", format!("{found} characters"), "14 digits"),
        BadId::NotADigit { position } => {
            let found = format!("a character that is not a digit at position {position}");
            Refusal::new("siret_digits", found, "14 digits")
        }
        BadId::Key => Refusal::new(
            "siret_key",
            "14 digits whose control key fails",
            "a key that holds (Luhn; La Poste has its own)",
        ),
    })
}

fn headcount_of(cell: &str) -> Result<Option<Headcount>, Refusal> {
    const EXPECTED: &str = "a whole number of employees, or nothing";
    let refuse = |code, found| Err(Refusal::new(code, found, EXPECTED));
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

fn headcount_too_large() -> Refusal {
    let expected = format!("{HEADCOUNT_MAX} employees at most in one establishment");
    Refusal::new("headcount_too_large", "a larger number than any establishment has", expected)
}

/// The activity. An unknown code is repeated only when it looks like one: columns may have been swapped.
fn naf_of(cell: &str) -> Result<Naf, Refusal> {
    cell.parse().map_err(|_| {
        let cell = cell.trim();
        let found = match cell.chars().count() {
            0 => "nothing".to_owned(),
            1..=6 if cell.chars().any(|c| c.is_ascii_alphabetic()) && cell.is_ascii() => format!("`{cell}`"),
            n => format!("{n} characters"),
        };
        Refusal::new("naf_unknown", found, "one of the 732 sub-classes of NAF rév. 2, such as 47.11F or 4711F")
    })
}

fn vintage_of(cell: &str, known: Option<u16>) -> Result<u16, Refusal> {
    let expected = format!("a year from {} to {}", VINTAGES.start(), VINTAGES.end());
    let refuse = |found: &str| Err(Refusal::new("vintage_range", found, expected));
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

fn source_of(cell: &str, known: Option<Source>) -> Result<Source, Refusal> {
    let refuse = |found| Err(Refusal::new("source_unknown", found, "`urssaf` or `msa`"));
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
        let options = RegisterOptions { vintage: Some(2022), source: Some(Source::Msa), crs: Some(Crs::Epsg(3947)) };
        let text = b"SIRET;Effectifs;APE;X;Y\r\n73282932000074;3;4711F;1,5;2\r\n".to_vec();
        let establishment = &read(text.clone(), &options).accepted[0];
        assert_eq!((establishment.vintage, establishment.source), (2022, Source::Msa));
        let place = Declared { crs: Crs::Epsg(3947), geometry: (1.5, 2.0) };
        assert_eq!(establishment.place, Ok(place));
        let missing = register("r", text.into(), &RegisterOptions { vintage: None, ..options }).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "r: found the columns `SIRET`, `Effectifs`, `APE`, `X`, `Y`, expected a column `millesime` or `annee` or \
             `vintage` or `year` [column_missing]"
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
