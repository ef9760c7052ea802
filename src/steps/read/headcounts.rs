//! Headcounts by SIRET at a year-end, as Urssaf and MSA send them: one row an account, without a place.

use std::collections::{HashMap, HashSet};

use super::columns::{self, ColumnReport, Mapping, Role};
use super::register::{Refusal, headcount_of, headcount_too_large, naf_of, siret_of, vintage_of};
use super::table::{Input, Kind, Table, WHOLE_BYTES_MAX};
use crate::model::{Headcount, Naf, Rejects, Siret, Source, Unreadable};

/// The headcounts of one file, each SIRET once for a year-end.
#[derive(Debug, Clone)]
pub struct Headcounts {
    /// What messages call the file.
    pub name: String,
    /// Who sent it.
    pub source: Source,
    /// In the order read.
    pub establishments: Vec<Declared>,
    /// Rows refused, cut when there are too many.
    pub rejected: Rejects,
    /// Which column was taken for what.
    pub columns: ColumnReport,
    /// Rows read, refused ones included.
    pub rows: usize,
}

/// What a file declares of one establishment at one year-end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Its number.
    pub siret: Siret,
    /// The year whose 31 December the headcount describes.
    pub vintage: u16,
    /// The sum of its accounts; `None` when no account says.
    pub headcount: Option<Headcount>,
    /// Its activity, where the file has one.
    pub naf: Option<Naf>,
    /// How many accounts were summed: usually one a SIRET, sometimes two (Urssaf).
    pub accounts: u32,
    /// The line of the first.
    pub row: usize,
}

/// Reads headcounts. An account twice under one SIRET is summed; one and the same account twice is refused.
///
/// # Errors
/// When the file is no table, or lacks a column.
pub fn headcounts(
    name: &str,
    input: Input,
    source: Source,
    vintage: Option<u16>,
    mapping: &Mapping,
) -> Result<Headcounts, Unreadable> {
    let mut table = Table::open(name, input, WHOLE_BYTES_MAX)?;
    let mut report = ColumnReport::default();
    let (mut roles, mut selection) = (Vec::new(), Vec::new());
    for (role, must) in [
        (Role::Siret, true),
        (Role::Headcount, true),
        (Role::Vintage, vintage.is_none()),
        (Role::Naf, false),
        (Role::Account, false),
    ] {
        let at =
            if must { Some(columns::require(&table, mapping, role)?) } else { columns::find(&table, mapping, role)? };
        if let Some(at) = at {
            roles.push(role);
            selection.push((at, Kind::Text));
            report.take(role, &table, at);
        }
    }
    report.leave_the_rest(&table);
    table.select(&selection)?;

    let mut read = Headcounts {
        name: name.to_owned(),
        source,
        establishments: Vec::new(),
        rejected: Rejects::default(),
        columns: report,
        rows: 0,
    };
    let mut places: HashMap<(Siret, u16), usize> = HashMap::new();
    let mut accounts: HashSet<(Siret, u16, String)> = HashSet::new();
    while let Some(mut batch) = table.next_batch()? {
        let mut broken = std::mem::take(&mut batch.broken).into_iter().peekable();
        for (index, &row) in batch.places.iter().enumerate() {
            read.rows += 1;
            if let Some(broken) = broken.next_if(|broken| broken.index == index) {
                read.rejected.push(broken.reject);
                continue;
            }
            let cell = |role| match roles.iter().position(|&taken| taken == role) {
                Some(at) => batch.texts(at)[index].trim(),
                None => "",
            };
            let mut declare = || -> Result<(), Refusal> {
                let siret = siret_of(cell(Role::Siret))?;
                let headcount = headcount_of(cell(Role::Headcount))?;
                let vintage = vintage_of(cell(Role::Vintage), vintage)?;
                let naf = match cell(Role::Naf) {
                    "" => None,
                    code => Some(naf_of(code)?),
                };
                let account = cell(Role::Account);
                if !account.is_empty() && !accounts.insert((siret, vintage, account.to_owned())) {
                    let found = "an account that an earlier row has for the same SIRET and year-end";
                    return Err(Refusal::new(Role::Account, "duplicate_account", found, "each account once"));
                }
                let Some(&at) = places.get(&(siret, vintage)) else {
                    places.insert((siret, vintage), read.establishments.len());
                    read.establishments.push(Declared { siret, vintage, headcount, naf, accounts: 1, row });
                    return Ok(());
                };
                let before = &mut read.establishments[at];
                before.headcount = match (before.headcount, headcount) {
                    (Some(a), Some(b)) => {
                        Some(Headcount::new(a.employees() + b.employees()).ok_or_else(headcount_too_large)?)
                    }
                    (a, b) => a.or(b),
                };
                before.naf = before.naf.or(naf);
                before.accounts += 1;
                Ok(())
            };
            if let Err(refusal) = declare() {
                read.rejected.push(refusal.reject(name, &read.columns, row));
            }
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Headcounts {
        headcounts("h", text.as_bytes().to_vec().into(), Source::Urssaf, Some(2024), &Mapping::default()).unwrap()
    }

    #[test]
    fn accounts_of_one_siret_are_summed_and_the_same_account_twice_is_refused() {
        let rows = [
            "73282932000074;A1;10",
            "73282932000074;A2;5",
            "35600000049837;;",
            "35600000049837;;7",
            "73282932000074;A2;5",
            "73282932000075;A3;1",
            "73282932000074;A4;1000000",
        ];
        let read = read(&format!("SIRET;compte;Effectif\n{}\n", rows.join("\n")));
        let found: Vec<_> =
            read.establishments.iter().map(|d| (d.headcount.map(Headcount::employees), d.accounts, d.row)).collect();
        assert_eq!(found, [(Some(15), 2, 2), (Some(7), 2, 4)]);
        let refused: Vec<_> = read.rejected.kept.iter().map(|r| (r.row, r.code)).collect();
        assert_eq!(refused, [(Some(6), "duplicate_account"), (Some(7), "siret_key"), (Some(8), "headcount_too_large")]);
        assert_eq!(read.rows, 7);
    }

    #[test]
    fn a_year_end_is_a_year_or_its_31_december() {
        for (date, vintage) in [
            ("2023", Ok(2023)),
            ("2023-12-31", Ok(2023)),
            ("31/12/2023", Ok(2023)),
            ("2023-12-31 00:00:00", Ok(2023)),
            ("", Ok(2024)),
            ("30/06/2023", Err("a date that is no 31 December")),
            ("31/12/1901", Err("a number outside these years")),
        ] {
            let read = read(&format!("siret;effectif;date_situation\n73282932000074;1;{date}\n"));
            let found = match read.establishments.first() {
                Some(declared) => Ok(declared.vintage),
                None => Err(read.rejected.kept[0].found.as_str()),
            };
            assert_eq!(found, vintage, "{date}");
        }
    }
}
