//! The demo territory is what its README says.

use crate::command::{demo, text};
use std::collections::{HashMap, HashSet};

#[test]
fn the_register_of_the_demo_has_the_people_it_promises() {
    let register = text(&demo("etablissements.csv.gz"));
    let rows: Vec<Vec<&str>> = register.lines().skip(1).map(|l| l.split(';').collect()).collect();
    let of = |year: &str| rows.iter().filter(|r| r[3] == year).count();
    assert!((21_000..23_000).contains(&of("2023")) && (21_000..23_000).contains(&of("2024")));
    assert!(rows.iter().all(|r| r[0].starts_with("99")), "fictitious enterprises are numbered from 99");
    assert!(
        rows.iter().all(|r| r[0].parse::<arpent::model::Siret>().is_ok() && r[2].parse::<arpent::model::Naf>().is_ok())
    );
    let sources: HashSet<&str> = rows.iter().map(|r| r[4]).collect();
    assert_eq!(sources, HashSet::from(["urssaf", "msa"]));
    assert!(rows.iter().any(|r| r[5].is_empty()), "some have no coordinates");
    assert!(rows.iter().any(|r| r[8] == "33"), "some are random in their commune");
    let mut sites: HashMap<&str, HashSet<&str>> = HashMap::new();
    for row in &rows {
        sites.entry(&row[0][..9]).or_default().insert(row[0]);
    }
    assert!(sites.values().any(|s| s.len() >= 20), "some enterprises have many sites");
}
