//! Microdata for tables to protect: one establishment a row, with who must stay hidden, a weight and its codes.
//!
//! Statistics must not drop rows in silence, so here one bad row refuses the file; every bad row is named.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use super::table::{Input, Kind, Table, Texts, WHOLE_BYTES_MAX, Whole, whole};
use crate::model::Reject;

/// Bad rows described one by one; the rest are counted.
pub const REJECTS_LISTED: usize = 100;

/// Largest weight of one row. It leaves room for 10^8 such rows in a sum of 64 bits, and no establishment of France
/// has as many employees, nor as many euros of wages.
pub const WEIGHT_MAX: u64 = 100_000_000_000;

/// Microdata by column, every column as long as the table. `Debug` shows counts only.
pub struct MicroTable {
    /// The column `siret`, or `id`.
    pub ids: Vec<String>,
    /// For each row, its contributor as a position in `contributor_names`.
    pub contributors: Vec<u32>,
    /// The contributors, in the order of their bytes.
    pub contributor_names: Vec<String>,
    /// What is summed.
    pub weights: Vec<u64>,
    /// The wanted columns, in the order wanted.
    pub columns: Vec<CodedColumn>,
}

/// A column of codes. `Debug` shows counts only.
pub struct CodedColumn {
    /// Its name, as wanted.
    pub name: String,
    /// For each row, its code as a position in `labels`.
    pub codes: Vec<u32>,
    /// The codes as the file writes them, in the order of their bytes, so that positions do not depend on the order of
    /// rows.
    pub labels: Vec<String>,
}

impl fmt::Debug for MicroTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows of {} contributors, values withheld; {:?}",
            self.ids.len(),
            self.contributor_names.len(),
            self.columns
        )
    }
}

impl fmt::Debug for CodedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} codes", self.name, self.labels.len())
    }
}

/// Reads microdata: the dimension columns `wanted`, who must stay hidden, and what is summed.
///
/// Identifiers need not hold their key, since synthetic data has none; they must be there, and a `siret` only once.
/// The error lists what refuses the file: one entry for a file that cannot be used, else its bad rows, at most
/// [`REJECTS_LISTED`] of them and then a count of the others.
pub fn microdata(
    name: &str,
    input: Input,
    wanted: &[&str],
    contributor: &str,
    weight: &str,
) -> Result<MicroTable, Vec<Reject>> {
    let whole_file = |unreadable: crate::model::Unreadable| vec![unreadable.0];
    let mut table = Table::open(name, input, WHOLE_BYTES_MAX).map_err(whole_file)?;
    let siret = table.column_among(&["siret", "id"]);
    let missing: Vec<&str> = [contributor, weight]
        .into_iter()
        .chain(wanted.iter().copied())
        .filter(|column| table.column(column).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(missing.iter().filter_map(|column| table.require(column).err()).map(|error| error.0).collect());
    }
    let Some(siret) = siret else {
        return Err(vec![table.header_refused("column_missing", "a column `siret` or `id`").0]);
    };
    let at = |column: &str| table.column(column).expect("missing columns were refused above");
    let mut selection = vec![(at(contributor), Kind::Text), (at(weight), Kind::Text)];
    selection.extend(wanted.iter().map(|column| (at(column), Kind::Text)));
    let first_dimension = 2;
    selection.push((siret, Kind::Text));
    let siret_at = first_dimension + wanted.len();
    table.select(&selection).map_err(whole_file)?;

    let mut refused = Refused::default();
    let mut ids = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut weights = Vec::new();
    let mut contributors = Coder::default();
    let mut dimensions: Vec<Coder> = wanted.iter().map(|_| Coder::default()).collect();
    while let Some(mut batch) = table.next_batch().map_err(whole_file)? {
        let (who, what) = (batch.take_texts(0), batch.take_texts(1));
        let codes: Vec<Texts> = (0..wanted.len()).map(|d| batch.take_texts(first_dimension + d)).collect();
        let sirets = batch.take_texts(siret_at);
        let mut broken = std::mem::take(&mut batch.broken).into_iter().peekable();
        for (index, &row) in batch.places.iter().enumerate() {
            if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                refused.add(|| broken.reject);
                continue;
            }
            let mut refuse = |code, field: &str, found: &str, expected: &str| {
                refused.add(|| Reject {
                    code,
                    file: name.to_owned(),
                    row: Some(row),
                    field: Some(field.to_owned()),
                    found: found.to_owned(),
                    expected: expected.to_owned(),
                });
            };
            match weight_of(&what[index]) {
                Ok(value) => weights.push(value),
                Err((code, found)) => refuse(code, weight, found, "a whole number, zero or more"),
            }
            if !contributors.push(&who[index]) {
                refuse("contributor_empty", contributor, "nothing", "who must stay hidden");
            }
            for ((dimension, codes), column) in dimensions.iter_mut().zip(&codes).zip(wanted) {
                if !dimension.push(&codes[index]) {
                    refuse("code_empty", column, "nothing", "a code");
                }
            }
            let id = sirets[index].trim();
            if id.is_empty() {
                refuse("siret_empty", "siret", "nothing", "an identifier");
                continue;
            }
            match seen.entry(id.to_owned()) {
                Entry::Occupied(first) => {
                    let found = format!("the identifier of row {}", first.get());
                    refuse("duplicate_siret", "siret", &found, "each establishment once");
                }
                Entry::Vacant(free) => {
                    free.insert(row);
                    ids.push(id.to_owned());
                }
            }
        }
    }
    refused.verdict(name)?;
    let (contributors, contributor_names) = contributors.in_byte_order();
    let columns = wanted.iter().zip(dimensions).map(|(name, coder)| {
        let (codes, labels) = coder.in_byte_order();
        CodedColumn { name: (*name).to_owned(), codes, labels }
    });
    Ok(MicroTable { ids, contributors, contributor_names, weights, columns: columns.collect() })
}

fn weight_of(cell: &str) -> Result<u64, (&'static str, &'static str)> {
    match whole(cell) {
        Whole::Value(value) if value <= WEIGHT_MAX => Ok(value),
        Whole::Value(_) | Whole::TooLarge => Err(("weight_too_large", "a larger number than can be summed")),
        Whole::Empty => Err(("weight_missing", "nothing")),
        Whole::Negative => Err(("weight_negative", "a number below zero")),
        Whole::Fraction => Err(("weight_fraction", "a number with decimals")),
        Whole::NotANumber => Err(("weight_not_a_number", "a text which is no whole number")),
    }
}

/// Bad rows: the first ones described, all of them counted.
#[derive(Default)]
struct Refused {
    listed: Vec<Reject>,
    more: usize,
}

impl Refused {
    fn add(&mut self, reject: impl FnOnce() -> Reject) {
        if self.listed.len() < REJECTS_LISTED {
            self.listed.push(reject());
        } else {
            self.more += 1;
        }
    }

    fn verdict(mut self, name: &str) -> Result<(), Vec<Reject>> {
        if self.listed.is_empty() {
            return Ok(());
        }
        if self.more > 0 {
            self.listed.push(Reject {
                code: "more_rejects",
                file: name.to_owned(),
                row: None,
                field: None,
                found: format!("{} more faults", self.more),
                expected: "none".to_owned(),
            });
        }
        Err(self.listed)
    }
}

/// Gives each distinct text a number, in the order first seen.
#[derive(Default)]
struct Coder {
    numbers: HashMap<String, u32>,
    codes: Vec<u32>,
}

impl Coder {
    /// Adds a text, blanks around it aside; false when nothing is left of it.
    fn push(&mut self, text: &str) -> bool {
        let text = text.trim();
        if text.is_empty() {
            return false;
        }
        let next = self.numbers.len() as u32;
        let code = match self.numbers.get(text) {
            Some(&code) => code,
            None => *self.numbers.entry(text.to_owned()).or_insert(next),
        };
        self.codes.push(code);
        true
    }

    /// The codes renumbered by the byte order of their texts, and the texts in that order.
    fn in_byte_order(self) -> (Vec<u32>, Vec<String>) {
        let mut labels: Vec<(String, u32)> = self.numbers.into_iter().collect();
        labels.sort_unstable();
        let mut renumbered = vec![0; labels.len()];
        for (new, (_, old)) in labels.iter().enumerate() {
            renumbered[*old as usize] = new as u32;
        }
        let codes = self.codes.into_iter().map(|old| renumbered[old as usize]).collect();
        (codes, labels.into_iter().map(|(label, _)| label).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;
    use proptest::prelude::*;

    use super::super::table::samples::{gz, parquet, texts};
    use super::*;

    fn read(bytes: Vec<u8>) -> Result<MicroTable, Vec<Reject>> {
        microdata("m", bytes.into(), &["sector", "naf"], "siren", "headcount")
    }

    /// The rows as texts, whatever the positions of codes.
    fn rows(table: &MicroTable) -> Vec<(String, String, u64, Vec<String>)> {
        let row = |at: usize| {
            let who = &table.contributor_names[table.contributors[at] as usize];
            let codes = table.columns.iter().map(|c| c.labels[c.codes[at] as usize].clone()).collect();
            (table.ids[at].clone(), who.clone(), table.weights[at], codes)
        };
        (0..table.ids.len()).map(row).collect()
    }

    #[test]
    fn every_format_gives_the_same_microdata() {
        let text = "siret,siren,headcount,sector,naf,note\nA1,A,3,S2,G,\nB1,B,0,S1,G,x\nA2,A,12.0,S1,C,y\n";
        let columns = parquet(vec![
            ("naf", texts(&["G", "G", "C"])),
            ("sector", texts(&["S2", "S1", "S1"])),
            ("headcount", Arc::new(Int64Array::from(vec![3, 0, 12]))),
            ("siren", texts(&["A", "B", "A"])),
            ("siret", texts(&["A1", "B1", "A2"])),
        ]);
        let expected = vec![
            ("A1".to_owned(), "A".to_owned(), 3, vec!["S2".to_owned(), "G".to_owned()]),
            ("B1".to_owned(), "B".to_owned(), 0, vec!["S1".to_owned(), "G".to_owned()]),
            ("A2".to_owned(), "A".to_owned(), 12, vec!["S1".to_owned(), "C".to_owned()]),
        ];
        let semicolon = text.replace(',', ";");
        for bytes in [text.as_bytes().to_vec(), semicolon.into_bytes(), gz(text.as_bytes()), columns] {
            let table = read(bytes).unwrap();
            assert_eq!(rows(&table), expected);
            assert_eq!(table.columns[0].labels, ["S1", "S2"]);
            assert_eq!(table.columns[0].codes, [1, 0, 0]);
        }
        let by_id = read(b"id,siren,headcount,sector,naf\nx,A,3,S,G\ny,B,4,S,G\n".to_vec()).unwrap();
        assert_eq!(by_id.ids, ["x", "y"]);
        let nameless = read(b"sirett,siren,headcount,sector,naf\nx,A,3,S,G\n".to_vec()).unwrap_err();
        assert_eq!(nameless[0].code, "column_missing");
    }

    #[test]
    fn one_bad_row_refuses_the_file_and_every_bad_row_is_named() {
        let header = "siret,siren,headcount,sector,naf\n";
        for (row, codes) in [
            ("A1,A,-3,S,G", vec!["weight_negative"]),
            ("A1,A,1.5,S,G", vec!["weight_fraction"]),
            ("A1,A,,S,G", vec!["weight_missing"]),
            ("A1,A,many,S,G", vec!["weight_not_a_number"]),
            ("A1,A,100000000000,S,G", vec![]),
            ("A1,A,100000000001,S,G", vec!["weight_too_large"]),
            ("A1,A,3, ,", vec!["code_empty", "code_empty"]),
            ("A1,,3,S,G", vec!["contributor_empty"]),
            (",A,3,S,G", vec!["siret_empty"]),
            ("Z9,A,3,S,G", vec!["duplicate_siret"]),
            ("A1,A,3,S", vec!["row_ragged"]),
            ("A1,A,3,S,G", vec![]),
        ] {
            let found = read(format!("{header}Z9,Z,1,S,G\n{row}\n").into_bytes());
            let found: Vec<_> = found.err().unwrap_or_default().iter().map(|r| (r.row, r.code)).collect();
            let expected: Vec<_> = codes.into_iter().map(|code| (Some(3), code)).collect();
            assert_eq!(found, expected, "{row}");
        }
    }

    #[test]
    fn missing_columns_are_all_named() {
        let refused = read(b"siret,siren,effectif,naf\nA1,A,3,G\n".to_vec()).unwrap_err();
        let found: Vec<String> = refused.iter().map(Reject::to_string).collect();
        let columns = "m: found the columns `siret`, `siren`, `effectif`, `naf`";
        assert_eq!(
            found,
            [
                format!("{columns}, expected a column `headcount` [column_missing]"),
                format!("{columns}, expected a column `sector` [column_missing]")
            ]
        );
    }

    #[test]
    fn a_hundred_faults_are_described_and_the_rest_counted() {
        for (faults, listed, last) in [(100, 100, "weight_missing"), (101, 101, "more_rejects")] {
            let rows: String = (0..faults).map(|i| format!("{i},A,,S,G\n")).collect();
            let text = "siret,siren,headcount,sector,naf\n".to_owned() + &rows;
            let refused = read(text.into_bytes()).unwrap_err();
            assert_eq!((refused.len(), refused.last().unwrap().code), (listed, last));
        }
    }

    #[test]
    fn debug_shows_counts_only() {
        let table = read(b"siret,siren,headcount,sector,naf\n77,88,99,S,G\n".to_vec()).unwrap();
        assert_eq!(format!("{table:?}"), "1 rows of 1 contributors, values withheld; [sector: 1 codes, naf: 1 codes]");
    }

    proptest! {
        #[test]
        fn codes_do_not_depend_on_the_order_of_rows(
            drawn in prop::collection::vec(("[A-E]", 0..50_u64, "[S-Zé]", "[a-c]{1,2}"), 1..30),
            seed in any::<u64>(),
        ) {
            let lines: Vec<String> =
                drawn.iter().enumerate().map(|(i, (who, n, s, naf))| format!("{i:03},{who},{n},{s},{naf}\n")).collect();
            let mut shuffled = lines.clone();
            shuffled.sort_by_key(|line| line.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)));
            let table = |lines: &[String]| {
                read(("siret,siren,headcount,sector,naf\n".to_owned() + &lines.concat()).into_bytes()).unwrap()
            };
            let (one, other) = (table(&lines), table(&shuffled));
            prop_assert_eq!(&one.contributor_names, &other.contributor_names);
            prop_assert_eq!(&one.columns[0].labels, &other.columns[0].labels);
            let (mut left, mut right) = (rows(&one), rows(&other));
            left.sort();
            right.sort();
            prop_assert_eq!(left, right);
        }

        #[test]
        fn no_bytes_make_the_reader_of_microdata_panic(bytes in any::<Vec<u8>>(), zipped in any::<bool>()) {
            let mut text = b"siret,siren,headcount,sector,naf\n".to_vec();
            text.extend(&bytes);
            let _ = read(if zipped { gz(&text) } else { text });
            let _ = read(bytes);
        }
    }
}
