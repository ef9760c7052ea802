//! What the owner keeps of a publication, as bytes: the records and the shape of the tables, so that later publications
//! can be protected against it. These bytes hold raw figures: they rest in the owner's store and no route serves them.

use super::history::{Earlier, EarlierTable, Leads};
use super::microdata::{Column, Microdata};
use super::policy::{Dimension, Protection, Rules, Spec, Table};
use super::protect::ProtectedTables;
use crate::steps::bytes::{Damaged, Opened, Sealer};
use std::collections::BTreeMap;

/// Names the form and its version; a change of the form changes it.
const FORM: &str = "arpent kept records 2\n";

/// The form before, which kept no witnesses.
const FORM_WITHOUT_LEADS: &str = "arpent kept records 1\n";

/// Writes records and the shape of their tables, rules left out: later publications judge by their own; and the witnesses
/// that the search for them begins with.
pub fn keep(micro: &Microdata, spec: &Spec, leads: &Leads) -> Vec<u8> {
    let mut out = Sealer::new(FORM);
    let texts = |out: &mut Sealer, texts: &[String]| {
        out.count(texts.len());
        texts.iter().for_each(|text| out.text(text));
    };
    texts(&mut out, &micro.ids);
    texts(&mut out, &micro.contributors);
    for (who, weight) in micro.contributor.iter().zip(&micro.weight) {
        out.number(u64::from(*who));
        out.number(*weight);
    }
    out.count(micro.columns.len());
    for column in &micro.columns {
        out.text(&column.name);
        texts(&mut out, &column.labels);
        for code in &column.codes {
            out.number(code.map_or(0, |code| u64::from(code) + 1));
        }
    }
    out.text(&spec.contributor);
    out.text(&spec.weight);
    out.count(spec.dimensions.len());
    for (name, dimension) in &spec.dimensions {
        out.text(name);
        texts(&mut out, &dimension.levels);
        out.count(dimension.bounds.len());
        for (code, ends) in &dimension.bounds {
            out.text(code);
            out.count(ends.len());
            ends.iter().for_each(|end| out.number(*end));
        }
    }
    out.count(spec.tables.len());
    for table in &spec.tables {
        out.text(&table.name);
        texts(&mut out, &table.dimensions);
        out.count(table.depth.len());
        for (dimension, depth) in &table.depth {
            out.text(dimension);
            out.number(*depth as u64);
        }
    }
    leads.write(&mut out);
    out.close()
}

/// Reads back what [`keep`] wrote, beside the tables that were released from it, as an earlier release of this name.
///
/// # Errors
/// [`Damaged`] when the digest does not hold, or when bytes that hold it are not of this form.
pub fn earlier_of(name: &str, bytes: &[u8], tables: &ProtectedTables) -> Result<Earlier, Damaged> {
    let (micro, spec, leads) = reopen(bytes)?;
    Ok(Earlier { name: name.to_owned(), micro, spec, tables: EarlierTable::of_all(tables), leads, for_partners: false })
}

fn reopen(bytes: &[u8]) -> Result<(Microdata, Spec, Leads), Damaged> {
    let (mut opened, has_leads) = match Opened::new(bytes, FORM, "kept records") {
        Ok(opened) => (opened, true),
        Err(_) => (Opened::new(bytes, FORM_WITHOUT_LEADS, "kept records")?, false),
    };
    fn texts(opened: &mut Opened<'_>) -> Result<Vec<String>, Damaged> {
        let n = opened.count()?;
        (0..n).map(|_| opened.text().map(str::to_owned)).collect()
    }
    let ids = texts(&mut opened)?;
    let contributors = texts(&mut opened)?;
    let (mut contributor, mut weight) = (Vec::new(), Vec::new());
    for _ in 0..ids.len() {
        let who = opened.number()?;
        if who >= contributors.len() as u64 {
            return Err(opened.damaged("an unknown contributor", "a contributor of the records"));
        }
        contributor.push(who as u32);
        weight.push(opened.number()?);
    }
    let n_columns = opened.count()?;
    let mut columns = Vec::new();
    for _ in 0..n_columns {
        let name = opened.text()?.to_owned();
        let labels = texts(&mut opened)?;
        let mut codes = Vec::new();
        for _ in 0..ids.len() {
            codes.push(match opened.number()?.checked_sub(1) {
                None => None,
                Some(code) if code < labels.len() as u64 => Some(code as u32),
                Some(_) => return Err(opened.damaged("an unknown code", "a code of the column")),
            });
        }
        columns.push(Column { name, labels, codes });
    }
    let (contributor_name, weight_name) = (opened.text()?.to_owned(), opened.text()?.to_owned());
    let mut dimensions = BTreeMap::new();
    for _ in 0..opened.count()? {
        let name = opened.text()?.to_owned();
        let levels = texts(&mut opened)?;
        let mut bounds = BTreeMap::new();
        for _ in 0..opened.count()? {
            let code = opened.text()?.to_owned();
            let n = opened.count()?;
            bounds.insert(code, (0..n).map(|_| opened.number()).collect::<Result<_, _>>()?);
        }
        dimensions.insert(name, Dimension { levels, bounds });
    }
    let mut tables = Vec::new();
    for _ in 0..opened.count()? {
        let name = opened.text()?.to_owned();
        let of_table = texts(&mut opened)?;
        let mut depth = BTreeMap::new();
        for _ in 0..opened.count()? {
            let dimension = opened.text()?.to_owned();
            depth.insert(dimension, usize::try_from(opened.number()?).unwrap_or(usize::MAX));
        }
        tables.push(Table { name, dimensions: of_table, depth, rules: Vec::new() });
    }
    let leads = if has_leads { Leads::read(&mut opened, ids.len())? } else { Leads::default() };
    let wrong = opened.damaged("a shape of tables that does not hold together", "tables over the dimensions");
    opened.end()?;
    let spec = Spec {
        version: None,
        contributor: contributor_name,
        weight: weight_name,
        rules: Rules::default(),
        protection: Protection::default(),
        population: BTreeMap::new(),
        fallback: BTreeMap::new(),
        history: super::policy::HistoryRules::default(),
        dimensions,
        tables,
        of_earlier: Vec::new(),
    };
    spec.check().map_err(|_| wrong)?;
    Ok((Microdata { ids, contributors, contributor, weight, columns }, spec, leads))
}

#[cfg(test)]
mod tests {
    use super::super::{Past, ProtectedAfter, protect_in};
    use super::*;

    fn made() -> (Microdata, Spec) {
        let text = "contributor='c'\nweight='w'\nrules={ min_contributors = 2 }\n[dimensions.z]\nlevels=['y','z']\n\
                    bounds={ A = [1, 9], B = [2] }\n[[tables]]\nname='t'\ndimensions=['z']\ndepth={ z = 1 }";
        let spec = Spec::parse(text).unwrap();
        let column = |name: &str| Column::of(name, &[Some("A"), Some("B"), None, Some("A")]);
        let columns = vec![column("y"), column("z")];
        let ids = (1..5).map(|i| i.to_string()).collect();
        (Microdata::new(ids, &["a", "b", "c", "a"], vec![1, 2, 3, 4], columns), spec)
    }

    #[test]
    fn what_is_kept_is_read_back_as_it_was() {
        let (micro, spec) = made();
        let ProtectedAfter { tables, leads, .. } = protect_in(&micro, &spec, &Past::default()).unwrap();
        assert_ne!(leads, Leads::default(), "there is a witness to keep");
        let bytes = keep(&micro, &spec, &leads);
        let earlier = earlier_of("first", &bytes, &tables).unwrap();
        assert_eq!(earlier.leads, leads);
        assert_eq!((&earlier.spec.dimensions, &earlier.spec.tables), (&spec.dimensions, &spec.tables));
        assert_eq!((&earlier.micro.ids, &earlier.micro.weight), (&micro.ids, &micro.weight));
        assert_eq!(earlier.micro.columns, micro.columns);
        assert_eq!(earlier.tables[0].cells.len(), tables.get("t").unwrap().cells().count());

        // The form before ended here.
        let without = keep(&micro, &earlier.spec, &Leads::default());
        let records = without[..without.len() - 32].strip_prefix(FORM.as_bytes()).unwrap();
        let mut before = Sealer::new(FORM_WITHOUT_LEADS);
        records.strip_suffix(&[0, 0]).unwrap().iter().for_each(|byte| before.byte(*byte));
        let earlier = earlier_of("first", &before.close(), &tables).unwrap();
        assert_eq!((earlier.micro.ids, earlier.leads), (micro.ids, Leads::default()));
    }

    #[test]
    fn a_changed_byte_anywhere_is_seen_and_no_bytes_make_it_panic() {
        let (micro, spec) = made();
        let made = protect_in(&micro, &spec, &Past::default()).unwrap();
        let good = keep(&micro, &spec, &made.leads);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(reopen(&bytes).is_err(), "byte {at}");
            // Cut short and sealed again: the digest holds, the form does not.
            let mut forged = Sealer::new("");
            good[..at].iter().for_each(|byte| forged.byte(*byte));
            if at < good.len() - 32 {
                assert!(reopen(&forged.close()).is_err(), "cut at {at}");
            }
        }
    }
}
