//! A release as bytes for a store, and back.

use super::bytes::{Opened, Sealer};
use super::publish::{Provenance, Release, ReleasedZone, ReleasedZoning};
use super::secrecy::{reopen, store};
use crate::model::{ReleaseId, Wgs84, ZoneCode};
use geo::{Coord, LineString, MultiPolygon, Polygon};
use std::collections::BTreeMap;

pub use super::bytes::Damaged;

/// Names the form and its version; a change of the form changes it.
const FORM: &str = "arpent release 2\n";

/// Writes a release as bytes that end with their SHA-256. Equal releases give equal bytes; coordinates keep every bit.
pub fn seal(release: &Release) -> Vec<u8> {
    let mut out = Sealer::new(FORM);
    out.text(release.id.as_str());
    out.count(release.zonings.len());
    for zoning in &release.zonings {
        [&zoning.id, &zoning.title, &zoning.version].into_iter().for_each(|text| out.text(text));
        out.count(zoning.zones.len());
        for zone in &zoning.zones {
            out.text(zone.code.as_str());
            out.text(&zone.label);
            let polygons = &zone.contour.degrees().0;
            out.count(polygons.len());
            for polygon in polygons {
                out.count(polygon.interiors().len());
                std::iter::once(polygon.exterior())
                    .chain(polygon.interiors())
                    .for_each(|ring| seal_ring(&mut out, ring));
            }
        }
    }
    out.count(release.vintages.len());
    for (year, tables) in &release.vintages {
        out.number(u64::from(*year));
        out.blob(&store(tables));
    }
    let Provenance { source, updated, licence, notice, policy, policy_version, inputs, arpent } = &release.provenance;
    [source, updated, licence, notice, policy, policy_version, arpent].into_iter().for_each(|text| out.text(text));
    out.count(inputs.len());
    for (name, digest) in inputs {
        out.text(name);
        out.text(digest);
    }
    out.close()
}

/// Reads back what [`seal`] wrote.
///
/// # Errors
/// [`Damaged`] when the digest does not hold, or when bytes that hold it are not of this form.
pub fn unseal(bytes: &[u8]) -> Result<Release, Damaged> {
    let mut opened = Opened::new(bytes, FORM, "sealed release")?;
    let id = ReleaseId::from_digest(opened.text()?);
    let n_zonings = opened.count()?;
    let zonings = (0..n_zonings).map(|_| unseal_zoning(&mut opened)).collect::<Result<_, _>>()?;
    let n_vintages = opened.count()?;
    let mut vintages = BTreeMap::new();
    for _ in 0..n_vintages {
        let year = u16::try_from(opened.number()?).map_err(|_| opened.damaged("a year above 65535", "a year"))?;
        let tables = reopen(opened.blob()?)?;
        if vintages.insert(year, tables).is_some() {
            return Err(opened.damaged("a vintage twice", "each vintage once"));
        }
    }
    let mut text = || opened.text().map(str::to_owned);
    let (source, updated, licence) = (text()?, text()?, text()?);
    let (notice, policy, policy_version, arpent) = (text()?, text()?, text()?, text()?);
    let n_inputs = opened.count()?;
    let mut inputs = BTreeMap::new();
    for _ in 0..n_inputs {
        inputs.insert(opened.text()?.to_owned(), opened.text()?.to_owned());
    }
    opened.end()?;
    let provenance = Provenance { source, updated, licence, notice, policy, policy_version, inputs, arpent };
    Ok(Release { id, zonings, vintages, provenance })
}

fn unseal_zoning(opened: &mut Opened<'_>) -> Result<ReleasedZoning, Damaged> {
    let mut text = || opened.text().map(str::to_owned);
    let (id, title, version) = (text()?, text()?, text()?);
    let n_zones = opened.count()?;
    let zones = (0..n_zones).map(|_| unseal_zone(opened)).collect::<Result<_, _>>()?;
    Ok(ReleasedZoning { id, title, version, zones })
}

fn unseal_zone(opened: &mut Opened<'_>) -> Result<ReleasedZone, Damaged> {
    let code: ZoneCode =
        opened.text()?.parse().map_err(|_| opened.damaged("a code that is no zone's", "the code of a zone"))?;
    let label = opened.text()?.to_owned();
    let n_polygons = opened.count()?;
    let mut polygons = Vec::new();
    for _ in 0..n_polygons {
        let n_holes = opened.count()?;
        let exterior = unseal_ring(opened)?;
        let holes = (0..n_holes).map(|_| unseal_ring(opened)).collect::<Result<_, _>>()?;
        polygons.push(Polygon::new(exterior, holes));
    }
    Ok(ReleasedZone { code, label, contour: Wgs84::vouch(MultiPolygon(polygons)) })
}

fn seal_ring(out: &mut Sealer, ring: &LineString) {
    out.count(ring.0.len());
    for corner in &ring.0 {
        out.float(corner.x);
        out.float(corner.y);
    }
}

fn unseal_ring(opened: &mut Opened<'_>) -> Result<LineString, Damaged> {
    let n = opened.count()?;
    let mut corners = Vec::new();
    for _ in 0..n {
        let corner = Coord { x: opened.float()?, y: opened.float()? };
        if !corner.x.is_finite() || !corner.y.is_finite() {
            return Err(opened.damaged("a coordinate that is no number", "degrees"));
        }
        corners.push(corner);
    }
    if corners.first() != corners.last() {
        return Err(opened.damaged("a ring left open", "a ring that ends where it begins"));
    }
    Ok(LineString(corners))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::secrecy::{Column, Microdata, Spec, protect, tabulate};
    use proptest::prelude::*;

    fn release(corner: f64) -> Release {
        let text = "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\n[dimensions.z]\nlevels=['z']\n\
                    [[tables]]\nname='t'\ndimensions=['z']";
        let spec = Spec::parse(text).unwrap();
        let zones = Column::of("z", &["A", "A", "A", "B", "B", "B", "B"].map(Some));
        let ids = (1..8).map(|i| i.to_string()).collect();
        let micro = Microdata::new(ids, &["a", "b", "c", "d", "e", "f", "g"], vec![1, 2, 3, 4, 5, 6, 7], vec![zones]);
        let (tables, _) = protect(&tabulate(&micro, &spec).unwrap(), &spec.rules, &spec.protection, &[]).unwrap();
        let ring = |s: f64| LineString::from(vec![(2.0, corner), (2.0 + s, corner), (2.0, corner + s), (2.0, corner)]);
        let holed = Polygon::new(ring(0.3), vec![ring(0.1), ring(1.0 / 3.0)]);
        let contour = |polygons| Wgs84::vouch(MultiPolygon(polygons));
        let zone = |code: &str, label: &str, contour| ReleasedZone {
            code: code.parse().unwrap(),
            label: label.to_owned(),
            contour,
        };
        let zones = vec![
            zone("A", "Entrée", contour(vec![holed, Polygon::new(ring(-0.0), vec![])])),
            zone("B", "", contour(vec![])),
        ];
        let zoning = |id: &str, zones| ReleasedZoning { id: id.into(), title: "Z".into(), version: "2".into(), zones };
        Release {
            id: ReleaseId::from_digest("0123456789abcdef"),
            zonings: vec![zoning("secteurs", zones), zoning("iris", vec![])],
            vintages: [(2023, tables.clone()), (2024, tables)].into(),
            provenance: Provenance {
                source: "Urssaf et MSA".into(),
                updated: "2026-01-01T00:00:00Z".into(),
                licence: "Licence Ouverte 2.0".into(),
                notice: "Données fictives".into(),
                policy: "ab".into(),
                policy_version: "1".into(),
                inputs: [("zones".to_owned(), "cd".to_owned()), ("register".to_owned(), "ef".to_owned())].into(),
                arpent: "0.1.0".into(),
            },
        }
    }

    fn assert_same(one: &Release, other: &Release) {
        assert_eq!(one.id, other.id);
        assert!(one.vintages == other.vintages);
        assert_eq!(one.provenance, other.provenance);
        assert_eq!(one.zonings.len(), other.zonings.len());
        for (one, other) in one.zonings.iter().zip(&other.zonings) {
            assert_eq!((&one.id, &one.title, &one.version), (&other.id, &other.title, &other.version));
            assert_eq!(one.zones.len(), other.zones.len());
            for (one, other) in one.zones.iter().zip(&other.zones) {
                assert_eq!((&one.code, &one.label, &one.contour), (&other.code, &other.label, &other.contour));
            }
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_seen() {
        let mut bytes = seal(&release(48.0));
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert!(unseal(&bytes).is_err(), "byte {at}");
            bytes[at] ^= 1;
        }
        assert!(unseal(&bytes).is_ok());
        assert!(unseal(&bytes[1..]).is_err());
    }

    #[test]
    fn stored_tables_are_not_a_release() {
        let tables = &release(48.0).vintages[&2023];
        let error = unseal(&store(tables)).err().unwrap();
        assert_eq!(error.found, "bytes of another form or version");
    }

    proptest! {
        #[test]
        fn a_sealed_release_is_unsealed_to_the_last_bit(corner in -90.0..90.0_f64) {
            let release = release(corner);
            let bytes = seal(&release);
            let back = unseal(&bytes).unwrap();
            assert_same(&back, &release);
            prop_assert_eq!(seal(&back), bytes);
        }

        #[test]
        fn no_bytes_make_it_panic_even_with_a_digest_that_holds(
            foreign in prop::collection::vec(any::<u8>(), 0..60),
            at in any::<prop::sample::Index>(),
        ) {
            let _ = unseal(&foreign);
            let ours = seal(&release(48.0));
            let content = &ours[..ours.len() - 32];
            let mut forged = Sealer::new("");
            let start = at.index(content.len() + 1).max(FORM.len());
            content[..start].iter().chain(&foreign).for_each(|byte| forged.byte(*byte));
            let _ = unseal(&forged.close());
        }
    }
}
