//! Protected tables as bytes for a store, and back: the second of the two doors by which tables come to be shown.

use super::protect::{Cell, Coordinate, ProtectedTable, ProtectedTables, TableDimension};
use crate::steps::bytes::{Damaged, Opened, Sealer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names the form and its version; a change of the form changes it.
const FORM: &str = "arpent tables 1\n";

/// Writes protected tables as bytes that end with their SHA-256. Equal tables give equal bytes.
///
/// ```
/// # use arpent::steps::secrecy::*;
/// # let text = "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\n[dimensions.z]\nlevels=['z']\n[[tables]]\nname='t'\ndimensions=['z']";
/// # let spec = Spec::parse(text).unwrap();
/// # let micro = Microdata::new((1..4).map(|i| i.to_string()).collect(), &["a", "b", "c"], vec![1, 2, 3],
/// #                            vec![Column::of("z", &["A", "A", "A"].map(Some))]);
/// let (tables, _dossier) = protect(&tabulate(&micro, &spec).unwrap(), &spec.rules, &spec.protection, &[]).unwrap();
/// let mut bytes = store(&tables);
/// assert!(reopen(&bytes).unwrap() == tables);
/// bytes[20] ^= 1;
/// assert!(reopen(&bytes).is_err());
/// ```
pub fn store(tables: &ProtectedTables) -> Vec<u8> {
    let mut out = Sealer::new(FORM);
    out.count(tables.iter().count());
    for table in tables.iter() {
        out.text(&table.name);
        out.count(table.dimensions.len());
        for dimension in &table.dimensions {
            out.text(&dimension.name);
            out.count(dimension.levels.len());
            dimension.levels.iter().for_each(|level| out.text(level));
        }
        let codes: BTreeSet<&str> = table.cells().flat_map(|(at, _)| at.iter().filter_map(code)).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        out.count(codes.len());
        codes.iter().for_each(|code| out.text(code));
        out.count(table.cells().count());
        for (at, cell) in table.cells() {
            for coordinate in at {
                match coordinate {
                    Coordinate::Total => out.number(0),
                    Coordinate::Code { level, code } => {
                        out.number(u64::from(*level) + 1);
                        out.count(codes.binary_search(&&**code).expect("every code is among the codes"));
                    }
                }
            }
            match cell {
                Cell::Suppressed => out.byte(0),
                Cell::Open { establishments, headcount } => {
                    out.byte(1);
                    out.number(establishments);
                    out.number(headcount);
                }
            }
        }
    }
    out.close()
}

/// Reads back what [`store`] wrote.
///
/// # Errors
/// [`Damaged`] when the digest does not hold, or when bytes that hold it are not of this form.
pub fn reopen(bytes: &[u8]) -> Result<ProtectedTables, Damaged> {
    let mut opened = Opened::new(bytes, FORM, "stored tables")?;
    let n_tables = opened.count()?;
    let tables = (0..n_tables).map(|_| table(&mut opened)).collect::<Result<Vec<_>, _>>()?;
    opened.end()?;
    Ok(ProtectedTables::gather(tables))
}

fn table(opened: &mut Opened<'_>) -> Result<ProtectedTable, Damaged> {
    let name = opened.text()?.to_owned();
    let n_dimensions = opened.count()?;
    let mut dimensions = Vec::new();
    for _ in 0..n_dimensions {
        let name = opened.text()?.to_owned();
        let n_levels = opened.count()?;
        let levels = (0..n_levels).map(|_| opened.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        dimensions.push(TableDimension { name, levels });
    }
    let n_codes = opened.count()?;
    let codes = (0..n_codes).map(|_| opened.text().map(Arc::from)).collect::<Result<Vec<Arc<str>>, _>>()?;
    let n_cells = opened.count()?;
    let mut cells = BTreeMap::new();
    for _ in 0..n_cells {
        let at = dimensions
            .iter()
            .map(|dimension| {
                let Some(level) = opened.number()?.checked_sub(1) else { return Ok(Coordinate::Total) };
                let level = u8::try_from(level).ok().filter(|l| usize::from(*l) < dimension.levels.len());
                let level = level.ok_or_else(|| opened.damaged("an unknown level", "a level of the dimension"))?;
                let place = usize::try_from(opened.number()?).unwrap_or(usize::MAX);
                let code = codes.get(place).ok_or_else(|| opened.damaged("an unknown code", "a code of the table"))?;
                Ok(Coordinate::Code { level, code: code.clone() })
            })
            .collect::<Result<Vec<_>, Damaged>>()?;
        let cell = match opened.byte()? {
            0 => Cell::Suppressed,
            1 => Cell::Open { establishments: opened.number()?, headcount: opened.number()? },
            _ => return Err(opened.damaged("an unknown kind of cell", "open or suppressed")),
        };
        if cells.insert(at, cell).is_some() {
            return Err(opened.damaged("a cell twice", "each cell once"));
        }
    }
    Ok(ProtectedTable::gather(name, dimensions, cells))
}

fn code(coordinate: &Coordinate) -> Option<&str> {
    match coordinate {
        Coordinate::Total => None,
        Coordinate::Code { code, .. } => Some(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coordinate() -> impl Strategy<Value = Coordinate> {
        let coded = (0..2_u8, "[A-Cé]{1,2}");
        prop_oneof![
            Just(Coordinate::Total),
            coded.prop_map(|(level, code)| Coordinate::Code { level, code: code.into() })
        ]
    }

    fn cell() -> impl Strategy<Value = Cell> {
        let open = (any::<u64>(), any::<u64>());
        let open = open.prop_map(|(establishments, headcount)| Cell::Open { establishments, headcount });
        prop_oneof![Just(Cell::Suppressed), open]
    }

    fn tables() -> impl Strategy<Value = ProtectedTables> {
        let cells = |n: usize| prop::collection::btree_map(prop::collection::vec(coordinate(), n), cell(), 0..12);
        let table = (1..4_usize).prop_flat_map(move |n| ("[a-z]{1,5}", Just(n), cells(n)));
        prop::collection::vec(table, 0..4).prop_map(|tables| {
            let dimension =
                |d| TableDimension { name: format!("d{d}"), levels: vec!["coarse".to_owned(), "fine".to_owned()] };
            let gathered = |(name, n, cells): (String, usize, BTreeMap<_, _>)| {
                ProtectedTable::gather(name, (0..n).map(dimension).collect(), cells)
            };
            ProtectedTables::gather(tables.into_iter().map(gathered).collect())
        })
    }

    proptest! {
        #[test]
        fn what_is_stored_is_reopened_as_it_was(tables in tables()) {
            let bytes = store(&tables);
            prop_assert!(reopen(&bytes).unwrap() == tables);
            prop_assert_eq!(store(&reopen(&bytes).unwrap()), bytes);
        }

        #[test]
        fn a_changed_byte_anywhere_is_seen(tables in tables(), by in 1..=255_u8) {
            let mut bytes = store(&tables);
            for at in 0..bytes.len() {
                bytes[at] ^= by;
                prop_assert!(reopen(&bytes).is_err(), "byte {}", at);
                bytes[at] ^= by;
            }
            prop_assert!(reopen(&bytes[..bytes.len() - 1]).is_err());
            bytes.push(0);
            prop_assert!(reopen(&bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic_even_with_a_digest_that_holds(
            tables in tables(),
            foreign in prop::collection::vec(any::<u8>(), 0..60),
            at in any::<prop::sample::Index>(),
        ) {
            let _ = reopen(&foreign);
            // Our own bytes, cut anywhere, go on with foreign ones, and the digest is made to hold.
            let ours = store(&tables);
            let content = &ours[..ours.len() - 32];
            let start = at.index(content.len() + 1).max(FORM.len());
            let mut forged = Sealer::new("");
            content[..start].iter().chain(&foreign).for_each(|byte| forged.byte(*byte));
            let _ = reopen(&forged.close());
        }
    }
}
