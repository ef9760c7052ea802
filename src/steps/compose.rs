//! Headcounts, the geolocation file and the stock file of Sirene become one register, with where each part comes from.
//!
//! The register is written as a file, so that it enters by the same door as one that somebody sends.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::read::columns::Mapping;
use super::read::headcounts::Headcounts;
use super::read::sirene::{Located, Passed, Sought, Stocked, geolocation, stock};
use super::read::table::Input;
use crate::model::{Crs, Reject, Rejects, Siret, Unreadable};

/// The two public files, and how their columns are called where their names do not say.
pub struct PublicFiles {
    /// Name and bytes of the geolocation file.
    pub geolocation: (String, Input),
    /// Name and bytes of the stock file.
    pub stock: (String, Input),
    /// What the operator says of their columns.
    pub mapping: Mapping,
}

/// A register as a file, and where it comes from.
#[derive(Debug, Clone)]
pub struct Composed {
    /// The register, which [`super::read::register`] reads. Raw figures: for the owner alone.
    pub csv: String,
    /// Where it comes from, in counts.
    pub origin: Origin,
    /// Establishments of the headcounts that are left out, and rows of the public files that are refused.
    pub rejected: Rejects,
    /// Establishments whose accounts were summed, in order. For the owner alone.
    pub summed: Vec<Siret>,
}

/// Where a register comes from, in counts.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The files of headcounts: name, source, rows, establishments.
    pub headcounts: Vec<(String, &'static str, usize, usize)>,
    /// The geolocation file.
    pub geolocation: Passed,
    /// The stock file.
    pub stock: Passed,
    /// Rows of the register.
    pub rows: usize,
    /// Of these, with coordinates.
    pub with_coordinates: usize,
    /// Of these, absent from the geolocation file.
    pub not_located: usize,
    /// Of these, whose enterprise does not show its address: counted, never placed.
    pub withheld: usize,
    /// Of these, closed today.
    pub closed_today: usize,
    /// Of these, whose activity comes from the headcounts, the stock file having none.
    pub activity_of_headcounts: usize,
}

/// Composes the register. Memory grows with the headcounts, never with the public files; `progress` is told which file is
/// being read, and the share of it read.
///
/// # Errors
/// When a public file is no table, or lacks a column.
pub fn compose(
    headcounts: &[Headcounts],
    files: PublicFiles,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Composed, Unreadable> {
    let sought = Sought::new(headcounts.iter().flat_map(|file| file.establishments.iter().map(|e| e.siret)));
    let (name, input) = files.geolocation;
    let (located, geolocated) =
        geolocation(&name, input, &sought, &files.mapping, &mut |share| progress(&name, share))?;
    let (name, input) = files.stock;
    let (stocked, in_stock) = stock(&name, input, &sought, &files.mapping, &mut |share| progress(&name, share))?;

    let mut rejected = Rejects::default();
    [&geolocated.rejected, &in_stock.rejected].into_iter().for_each(|refused| rejected.append(refused));
    let mut origin = Origin { geolocation: geolocated, stock: in_stock, ..Origin::default() };
    let mut summed = BTreeSet::new();
    let mut csv = HEADER.to_owned();
    for file in headcounts {
        origin.headcounts.push((file.name.clone(), file.source.code(), file.rows, file.establishments.len()));
        for declared in &file.establishments {
            let at = sought.place(&declared.siret).expect("every establishment was asked for");
            if declared.accounts > 1 {
                summed.insert(declared.siret);
            }
            let public = stocked[at].as_ref();
            let Some(naf) = public.and_then(|public| public.naf).or(declared.naf) else {
                let (code, found) = match public {
                    Some(_) => ("naf_missing", "no activity in NAF rév. 2"),
                    None => ("not_in_stock", "an establishment that the stock file does not have"),
                };
                rejected.push(Reject {
                    code,
                    file: file.name.clone(),
                    row: Some(declared.row),
                    field: file.columns.of(super::read::columns::Role::Siret).map(str::to_owned),
                    found: found.to_owned(),
                    expected: "an activity, in the stock file or beside the headcount".to_owned(),
                });
                continue;
            };
            origin.activity_of_headcounts += usize::from(public.and_then(|public| public.naf).is_none());
            origin.count(located[at].as_ref(), public);
            let headcount = declared.headcount.map_or(String::new(), |h| h.employees().to_string());
            let source = file.source.code();
            let place = Place(located[at].as_ref(), public);
            let naf_2025 = public.and_then(|public| public.naf_2025).map_or(String::new(), |naf| naf.to_string());
            writeln!(
                csv,
                "{},{headcount},{naf},{naf_2025},{},{source},{place},{}",
                declared.siret, declared.vintage, declared.accounts
            )
            .expect("a String takes all that is written");
        }
    }
    Ok(Composed { csv, origin, rejected, summed: summed.into_iter().collect() })
}

const HEADER: &str =
    "siret,effectif,naf,naf2025,millesime,source,x,y,epsg,qualite_xy,diffusion,commune,iris,nombre_comptes\n";

impl Origin {
    fn count(&mut self, located: Option<&Located>, public: Option<&Stocked>) {
        let withheld = public.is_some_and(|public| public.withheld);
        self.rows += 1;
        self.not_located += usize::from(located.is_none());
        self.withheld += usize::from(withheld);
        self.with_coordinates += usize::from(!withheld && located.is_some_and(|located| located.at.is_some()));
        self.closed_today += usize::from(public.is_some_and(|public| public.closed));
    }
}

/// The columns from `x` to `iris`. Nothing of the place of an enterprise that does not show it is written.
struct Place<'a>(Option<&'a Located>, Option<&'a Stocked>);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.1.is_some_and(|public| public.withheld) {
            return f.write_str(",,,,P,,");
        }
        let Some(located) = self.0 else { return f.write_str(",,,,,,") };
        match &located.at {
            Some((x, y, Crs::Epsg(code))) => write!(f, "{x},{y},{code},")?,
            Some((_, _, Crs::Wkt(_))) | None => f.write_str(",,,")?,
        }
        if let Some(quality) = located.quality {
            write!(f, "{}", quality.code())?;
        }
        let commune = crate::model::reject::csv_cell(&located.commune);
        write!(f, ",,{commune},{}", located.iris.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::establishment::Unplaced;
    use crate::model::{Headcount, Source};
    use crate::steps::read::headcounts::headcounts;
    use crate::steps::read::register::{RegisterOptions, register};

    fn composed() -> Composed {
        let read = |name: &str, source, text: &str| {
            headcounts(name, text.as_bytes().to_vec().into(), source, Some(2024), &Mapping::default()).unwrap()
        };
        let urssaf = "siret;effectif\n73282932000074;10\n73282932000074;2\n35600000049837;4\n35600000000048;9\n";
        let msa = "siret,effectif,naf\n73282932000074,3,0111Z\n99000012700011,1,0111Z\n";
        let geo = "siret,x,y,epsg,qualite_xy,plg_code_commune,plg_iris\n\
                   73282932000074,652000.5,6862000,2154,12,75108,0101\n\
                   35600000049837,652000,6862000,2154,11,75108,0101\n";
        let stock = "siret,activitePrincipaleEtablissement,statutDiffusionEtablissement\n\
                     73282932000074,47.11F,O\n35600000049837,53.10Z,P\n";
        let files = PublicFiles {
            geolocation: ("geo.csv".to_owned(), geo.as_bytes().to_vec().into()),
            stock: ("stock.csv".to_owned(), stock.as_bytes().to_vec().into()),
            mapping: Mapping::default(),
        };
        compose(&[read("u.csv", Source::Urssaf, urssaf), read("m.csv", Source::Msa, msa)], files, &mut |_, _| {})
            .unwrap()
    }

    #[test]
    fn headcounts_and_public_files_become_one_register_that_reads_as_any_other() {
        let composed = composed();
        let read = register("r", composed.csv.clone().into_bytes().into(), &RegisterOptions::default()).unwrap();
        let found: Vec<_> = read
            .accepted
            .iter()
            .map(|e| (e.source.code(), e.headcount.map(Headcount::employees), e.naf.code(), e.place.clone().err()))
            .collect();
        let expected = [
            ("urssaf", Some(12), "47.11F", None),
            ("urssaf", Some(4), "53.10Z", Some(Unplaced::NotDiffused)),
            ("msa", Some(3), "47.11F", None),
            ("msa", Some(1), "01.11Z", Some(Unplaced::NoCoordinate)),
        ];
        assert_eq!(found, expected);
        assert_eq!(read.rejected, []);
        assert_eq!(composed.summed.len(), 1);
        let origin = &composed.origin;
        assert_eq!((origin.rows, origin.with_coordinates, origin.not_located, origin.withheld), (4, 2, 1, 1));
        assert_eq!(origin.activity_of_headcounts, 1);
    }

    #[test]
    fn who_is_left_out_is_named_by_line_and_who_hides_an_address_leaves_no_trace_of_it() {
        let composed = composed();
        let left: Vec<_> = composed.rejected.kept.iter().map(|r| (r.file.as_str(), r.row, r.code)).collect();
        assert_eq!(left, [("u.csv", Some(5), "not_in_stock")]);
        let hidden = composed.csv.lines().find(|line| line.starts_with("35600000049837")).unwrap();
        assert_eq!(hidden, "35600000049837,4,53.10Z,,2024,urssaf,,,,,P,,,1");
        assert!(composed.csv.contains(",652000.5,6862000,2154,12,,75108,751080101,2\n"));
    }
}
