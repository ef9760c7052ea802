//! What must hold before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::activities::{ACTIVITIES, CHAINS, NAF};
use crate::files::Feature;
use crate::mesh::{Mesh, Spot, doubled_area};
use crate::register::{Establishment, VINTAGES, border_places};
use crate::zones::{Cover, SECTORS, Territory, is_connected};

/// A layer as it will be written, with the cover it was cut from.
pub struct Layer<'a> {
    pub name: &'static str,
    pub cover: &'a Cover,
    pub features: Vec<Feature>,
    /// The attribute which is unique.
    pub code: usize,
}

/// Panics unless every layer is an exact partition of one and the same territory.
pub fn layers(mesh: &Mesh, layers: &[Layer<'_>]) {
    assert!(mesh.crossed_edges().is_empty(), "edges of the mesh cross");
    let mut rims: Vec<BTreeSet<(Spot, Spot)>> = Vec::new();
    for layer in layers {
        let name = layer.name;
        let codes: BTreeSet<&str> = layer.features.iter().map(|f| f.attributes[layer.code].as_str()).collect();
        assert_eq!(codes.len(), layer.features.len(), "{name}: a code stands twice");
        let mut pieces: BTreeSet<(Spot, Spot)> = BTreeSet::new();
        for (zone, feature) in layer.features.iter().enumerate() {
            assert!(is_connected(mesh, layer.cover, zone), "{name}: zone {zone} is in several parts");
            let outer = feature.rings.iter().filter(|ring| doubled_area(ring) > 0).count();
            assert_eq!(outer, 1, "{name}: zone {zone} has {outer} outer rings");
            let places: BTreeSet<&Spot> = feature.rings.iter().flatten().collect();
            let count: usize = feature.rings.iter().map(Vec::len).sum();
            assert_eq!(places.len(), count, "{name}: zone {zone} touches itself");
            for ring in &feature.rings {
                for (k, &from) in ring.iter().enumerate() {
                    let to = ring[(k + 1) % ring.len()];
                    assert!(from != to, "{name}: zone {zone} repeats a place");
                    assert!(pieces.insert((from, to)), "{name}: two zones overlap along a border");
                }
            }
        }
        // Each piece is met the other way round by a neighbour; those which are not make the rim.
        let rim: BTreeSet<_> = pieces.iter().copied().filter(|&(from, to)| !pieces.contains(&(to, from))).collect();
        rims.push(rim);
    }
    let areas: BTreeSet<i128> = layers
        .iter()
        .map(|layer| layer.features.iter().flat_map(|f| &f.rings).map(|ring| doubled_area(ring)).sum())
        .collect();
    assert_eq!(areas.len(), 1, "the layers have different areas");
    assert!(rims.windows(2).all(|pair| pair[0] == pair[1]), "the layers have different rims");
    let mut next: BTreeMap<Spot, Spot> = rims[0].iter().copied().collect();
    assert_eq!(next.len(), rims[0].len(), "the rim touches itself");
    let (&start, _) = next.first_key_value().expect("a territory has a rim");
    let mut at = start;
    while let Some(to) = next.remove(&at) {
        at = to;
    }
    assert!(at == start && next.is_empty(), "the territory is in several parts or has a hole");
}

/// Panics unless every IRIS lies in one commune, and some sector in neither one IRIS nor one commune.
pub fn nesting(territory: &Territory) {
    let mut crossing = BTreeSet::new();
    for cell in 0..territory.communes.len() {
        let (commune, iris, sector) = (territory.communes[cell], territory.iris[cell], territory.sectors[cell]);
        assert_eq!(iris.map(|iris| territory.iris_list[iris].commune), commune, "an IRIS leaves its commune");
        crossing.insert((sector, commune));
    }
    assert!(crossing.len() > SECTORS * 3 / 2, "sectors follow the communes too closely");
}

/// Panics unless the register is made of sound rows.
pub fn register(mesh: &Mesh, territory: &Territory, list: &[Establishment]) {
    let known: BTreeSet<String> =
        NAF.lines().skip(2).filter_map(|line| line.split('\t').next()).map(|code| code.replace('.', "")).collect();
    let used = ACTIVITIES.iter().map(|a| a.naf).chain(CHAINS.iter().map(|chain| chain.0));
    used.chain(list.iter().map(|one| one.naf.as_str()))
        .for_each(|naf| assert!(known.contains(naf), "{naf} is no sub-class of NAF rév. 2"));
    let sirets: BTreeSet<&str> = list.iter().map(|one| one.siret.as_str()).collect();
    assert_eq!(sirets.len(), list.len(), "a SIRET stands twice");
    for siret in sirets {
        assert!(siret.starts_with("99") && luhn_holds(siret) && luhn_holds(&siret[..9]), "a SIRET fails its key");
    }
    for (year, vintage) in VINTAGES.iter().enumerate() {
        let open = list.iter().filter(|one| one.employees[year].is_some()).count();
        assert!((21_000..=23_000).contains(&open), "{open} establishments in {vintage}");
    }
    let (midpoints, vertices) = border_places(mesh, territory);
    for (places, what) in [(midpoints, "midpoint"), (vertices, "vertex")] {
        let on = list.iter().filter(|one| one.spot.is_some_and(|spot| places.binary_search(&spot).is_ok())).count();
        assert!(on >= 10, "{on} establishments stand on a border {what}");
    }
}

fn luhn_holds(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') << (place % 2);
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}
