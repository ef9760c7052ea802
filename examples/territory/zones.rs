//! The three layers: communes, IRIS within communes, and sectors which follow neither.
//!
//! A layer gives each cell of the mesh to one zone, and a zone is always one connected group of cells.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::RngExt;
use rand_pcg::Pcg64;

use crate::mesh::{Mesh, Spot, distance, doubled_area};
use crate::names::{self, Commune};

/// Which zone each cell belongs to; `None` outside the territory, in every layer alike.
pub type Cover = Vec<Option<usize>>;

/// What an IRIS is, after INSEE's own four types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IrisKind {
    /// `H`: where people live.
    Housing,
    /// `A`: where they work.
    Activity,
    /// `D`: parks, lakes, woods.
    Other,
    /// `Z`: a commune which is not divided.
    Whole,
}

impl IrisKind {
    pub fn code(self) -> &'static str {
        match self {
            Self::Housing => "H",
            Self::Activity => "A",
            Self::Other => "D",
            Self::Whole => "Z",
        }
    }
}

pub struct Iris {
    pub commune: usize,
    pub number: String,
    pub name: String,
    pub kind: IrisKind,
}

pub struct Territory {
    pub communes: Cover,
    pub iris: Cover,
    pub iris_list: Vec<Iris>,
    pub sectors: Cover,
}

pub const SECTORS: usize = 48;
/// How far a commune reaches, in times the radius of a disc of its area.
const REACH: f64 = 1.22;

pub fn draw(mesh: &Mesh, rng: &mut Pcg64) -> Territory {
    let communes = draw_communes(mesh, rng);
    let (iris, iris_list) = draw_iris(mesh, &communes, rng);
    let sectors = draw_sectors(mesh, &communes, rng);
    Territory { communes, iris, iris_list, sectors }
}

/// The contour of a zone: rings with the zone on their left, the outer one first. The first place is not repeated.
pub fn rings(mesh: &Mesh, cover: &Cover, zone: usize) -> Vec<Vec<Spot>> {
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for cell in (0..cover.len()).filter(|&cell| cover[cell] == Some(zone)) {
        for (from, to, across) in mesh.sides(cell) {
            if cover[across] != Some(zone) {
                let twice = next.insert(from, to);
                assert!(twice.is_none(), "a contour touches itself at a corner");
            }
        }
    }
    let mut rings = Vec::new();
    while let Some((&start, _)) = next.first_key_value() {
        let (mut ring, mut at) = (Vec::new(), start);
        while let Some(to) = next.remove(&at) {
            let mut line = mesh.line(at, to);
            line.pop();
            ring.extend(line);
            at = to;
        }
        assert_eq!(at, start, "a contour does not close");
        rings.push(ring);
    }
    rings.sort_by_key(|ring| Reverse(doubled_area(ring)));
    rings
}

/// Cells which pass from a sector to its neighbour in the second cut: as many streets as a revision of perimeters moves.
const CELLS_MOVED: usize = 12;

/// A second cut of the sectors, as a revision would draw it: some cells at borders pass to the sector across.
pub fn second_cut(mesh: &Mesh, sectors: &Cover) -> Cover {
    let mut cover = sectors.clone();
    let mut moved: Vec<usize> = Vec::new();
    // Spread over the territory: cells in the order of their numbers lie side by side.
    for cell in (0..cover.len()).step_by(7) {
        let (Some(from), true) = (cover[cell], moved.len() < CELLS_MOVED) else { continue };
        let across: Vec<Option<usize>> = mesh.neighbours[cell].iter().map(|&other| cover[other]).collect();
        let Some(to) = across.iter().flatten().copied().find(|&zone| zone != from) else { continue };
        // Neither at the rim, nor where three sectors meet, nor beside a sector already changed.
        let between_two = across.iter().all(|&zone| zone == Some(from) || zone == Some(to));
        let fresh =
            moved.iter().all(|&other| ![cover[other], sectors[other]].iter().flatten().any(|&z| z == from || z == to));
        if !between_two || !fresh {
            continue;
        }
        cover[cell] = Some(to);
        match is_connected(mesh, &cover, from) && is_connected(mesh, &cover, to) {
            true => moved.push(cell),
            false => cover[cell] = Some(from),
        }
    }
    assert_eq!(moved.len(), CELLS_MOVED, "the second cut moves too little");
    cover
}

/// Whether the cells of a zone hang together.
pub fn is_connected(mesh: &Mesh, cover: &Cover, zone: usize) -> bool {
    let cells: Vec<usize> = (0..cover.len()).filter(|&cell| cover[cell] == Some(zone)).collect();
    let Some(&first) = cells.first() else { return false };
    let (mut seen, mut open) = (vec![false; cover.len()], vec![first]);
    seen[first] = true;
    let mut count = 0;
    while let Some(cell) = open.pop() {
        count += 1;
        for &across in &mesh.neighbours[cell] {
            if cover[across] == Some(zone) && !seen[across] {
                seen[across] = true;
                open.push(across);
            }
        }
    }
    count == cells.len()
}

struct Seed {
    cell: usize,
    speed: f64,
}

/// Grows every seed over the allowed cells until all meet or the time is up: who comes first takes the cell.
/// A zone reaches a cell through its own cells only, so it is connected.
fn grow(mesh: &Mesh, allowed: &[bool], seeds: &[Seed], cost: &dyn Fn(usize, usize) -> f64, time: f64) -> Cover {
    // Times are compared as whole billionths, so that the order of arrival is total.
    let tick = |time: f64| (time * 1e9) as u64;
    let mut cover: Cover = vec![None; allowed.len()];
    let mut queue: BinaryHeap<Reverse<(u64, usize, usize)>> =
        seeds.iter().enumerate().map(|(zone, seed)| Reverse((0, seed.cell, zone))).collect();
    while let Some(Reverse((now, cell, zone))) = queue.pop() {
        if cover[cell].is_some() || now > tick(time) {
            continue;
        }
        cover[cell] = Some(zone);
        for &across in &mesh.neighbours[cell] {
            if allowed[across] && cover[across].is_none() {
                queue.push(Reverse((now + tick(cost(cell, across) / seeds[zone].speed), across, zone)));
            }
        }
    }
    cover
}

fn bumps(mesh: &Mesh, spread: f64, rng: &mut Pcg64) -> Vec<f64> {
    mesh.sites.iter().map(|_| (spread * rng.random_range(-1.0..1.0f64)).exp()).collect()
}

fn nearest_cell(mesh: &Mesh, allowed: &[bool], place: (f64, f64)) -> usize {
    (0..allowed.len())
        .filter(|&cell| allowed[cell])
        .min_by(|&a, &b| distance(mesh.sites[a], place).total_cmp(&distance(mesh.sites[b], place)))
        .expect("the mesh has cells")
}

fn draw_communes(mesh: &Mesh, rng: &mut Pcg64) -> Cover {
    let allowed: Vec<bool> = mesh.cells.iter().map(|corners| !corners.is_empty()).collect();
    let bump = bumps(mesh, 0.45, rng);
    let cost = |a: usize, b: usize| mesh.distance_m(a, b) * (bump[a] + bump[b]) / 2.0;
    let radius = |commune: &Commune| (commune.km2 * 1e6 / std::f64::consts::PI).sqrt();
    let mut seeds: Vec<Seed> = names::COMMUNES
        .iter()
        .map(|commune| Seed { cell: nearest_cell(mesh, &allowed, (commune.x, commune.y)), speed: radius(commune) })
        .collect();
    let mut cover = grow(mesh, &allowed, &seeds, &cost, REACH);
    for _ in 0..14 {
        let mut areas = vec![0.0; seeds.len()];
        (0..cover.len()).for_each(|cell| {
            if let Some(zone) = cover[cell] {
                areas[zone] += mesh.area_m2(cell) / 1e6;
            }
        });
        for (zone, seed) in seeds.iter_mut().enumerate() {
            let ratio = names::COMMUNES[zone].km2 / areas[zone];
            let most = radius(&names::COMMUNES[zone]) * 1.5;
            seed.speed = (seed.speed * ratio.powf(0.3)).min(most);
        }
        cover = grow(mesh, &allowed, &seeds, &cost, REACH);
    }
    fill_gaps(mesh, &allowed, &mut cover);
    cover
}

/// Gives cells enclosed by the territory, and notches of its rim, to the commune most of their neighbours are in.
fn fill_gaps(mesh: &Mesh, allowed: &[bool], cover: &mut Cover) {
    let mut outside = vec![false; cover.len()];
    let mut open: Vec<usize> = (0..cover.len()).filter(|&cell| !allowed[cell]).collect();
    let mut beyond = 0;
    while let Some(cell) = open.pop() {
        beyond += 1;
        for &across in mesh.neighbours[cell].iter() {
            if cover[across].is_none() && !outside[across] && allowed[across] {
                outside[across] = true;
                open.push(across);
            }
        }
        // The rim has no list of neighbours; its cells are found from the inside.
        if !allowed[cell] {
            for inner in 0..cover.len() {
                if cover[inner].is_none() && !outside[inner] && mesh.neighbours[inner].contains(&cell) {
                    outside[inner] = true;
                    open.push(inner);
                }
            }
        }
    }
    assert!(beyond > 0, "the territory fills the whole frame");
    loop {
        let gap = (0..cover.len()).find(|&cell| {
            let inside = mesh.neighbours[cell].iter().filter(|&&across| cover[across].is_some()).count();
            let needed = if outside[cell] { mesh.neighbours[cell].len().saturating_sub(2).max(4) } else { 1 };
            allowed[cell] && cover[cell].is_none() && inside >= needed
        });
        let Some(cell) = gap else { break };
        let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
        for &across in &mesh.neighbours[cell] {
            if let Some(zone) = cover[across] {
                *votes.entry(zone).or_default() += 1;
            }
        }
        cover[cell] = votes.into_iter().max_by_key(|&(zone, n)| (n, Reverse(zone))).map(|(zone, _)| zone);
    }
}

/// How zones of one layer differ in size.
struct Grain {
    /// Zones follow the size of cells with this power: 0 alike everywhere, larger ones smaller in the middle.
    power: f64,
    /// How much faster or slower than the mean a zone may grow.
    uneven: f64,
    /// How much faster the zone in the middle of Dijon grows.
    heart: f64,
}

/// Seeds far from each other by number of cells, then moved to the middle of what they take.
fn divide(mesh: &Mesh, allowed: &[bool], parts: usize, grain: Grain, rng: &mut Pcg64) -> Cover {
    let bump = bumps(mesh, 0.55, rng);
    let reach = |a: usize| mesh.area_m2(a).powf(grain.power);
    // A step costs less than the distance it covers where cells are large, so zones are larger there.
    let cost = |a: usize, b: usize| mesh.distance_m(a, b) / (reach(a) + reach(b)) * (bump[a] + bump[b]);
    let cells: Vec<usize> = (0..allowed.len()).filter(|&cell| allowed[cell]).collect();
    let mut seeds = vec![Seed { cell: cells[rng.random_range(0..cells.len())], speed: 1.0 }];
    while seeds.len() < parts {
        let gap =
            |cell: usize| seeds.iter().map(|s| mesh.distance_m(s.cell, cell) / reach(cell)).fold(f64::MAX, f64::min);
        let farthest = (0..24)
            .map(|_| cells[rng.random_range(0..cells.len())])
            .max_by(|&a, &b| gap(a).total_cmp(&gap(b)))
            .expect("some tries");
        seeds.push(Seed { cell: farthest, speed: rng.random_range(1.0 - grain.uneven..1.0 + grain.uneven) });
    }
    let centre = (names::COMMUNES[0].x, names::COMMUNES[0].y);
    let from_centre = |seed: &Seed| distance(mesh.sites[seed.cell], centre);
    let heart = seeds.iter_mut().min_by(|a, b| from_centre(a).total_cmp(&from_centre(b))).expect("some seeds");
    heart.speed *= grain.heart;
    let mut cover = grow(mesh, allowed, &seeds, &cost, f64::MAX / 1e12);
    for _ in 0..4 {
        for (zone, seed) in seeds.iter_mut().enumerate() {
            let own: Vec<usize> = cells.iter().copied().filter(|&cell| cover[cell] == Some(zone)).collect();
            let mean = own.iter().fold((0.0, 0.0), |sum, &cell| {
                let (x, y) = mesh.sites[cell];
                (sum.0 + x / own.len() as f64, sum.1 + y / own.len() as f64)
            });
            seed.cell = own
                .into_iter()
                .min_by(|&a, &b| distance(mesh.sites[a], mean).total_cmp(&distance(mesh.sites[b], mean)))
                .expect("a zone keeps its seed");
        }
        cover = grow(mesh, allowed, &seeds, &cost, f64::MAX / 1e12);
    }
    cover
}

/// The middle of a group of cells.
fn middle(mesh: &Mesh, cells: &[usize]) -> (f64, f64) {
    let n = cells.len() as f64;
    cells.iter().fold((0.0, 0.0), |sum, &cell| (sum.0 + mesh.sites[cell].0 / n, sum.1 + mesh.sites[cell].1 / n))
}

fn draw_iris(mesh: &Mesh, communes: &Cover, rng: &mut Pcg64) -> (Cover, Vec<Iris>) {
    let mut cover: Cover = vec![None; communes.len()];
    let mut list: Vec<Iris> = Vec::new();
    for (number, commune) in names::COMMUNES.iter().enumerate() {
        let allowed: Vec<bool> = communes.iter().map(|&c| c == Some(number)).collect();
        if commune.iris == 1 {
            allowed.iter().enumerate().filter(|(_, own)| **own).for_each(|(cell, _)| cover[cell] = Some(list.len()));
            let name = format!("{} (commune non irisée)", commune.name);
            list.push(Iris { commune: number, number: "0000".into(), name, kind: IrisKind::Whole });
            continue;
        }
        let parts = divide(mesh, &allowed, commune.iris, Grain { power: 0.35, uneven: 0.2, heart: 1.0 }, rng);
        let groups: Vec<Vec<usize>> =
            (0..commune.iris).map(|p| (0..parts.len()).filter(|&c| parts[c] == Some(p)).collect()).collect();
        // Far from the middle of Dijon come activity zones and woods; the rest is housing, numbered from the middle out.
        let centre = (names::COMMUNES[0].x, names::COMMUNES[0].y);
        let away = |p: usize| distance(middle(mesh, &groups[p]), centre);
        let mut order: Vec<usize> = (0..commune.iris).collect();
        order.sort_by(|&a, &b| away(a).total_cmp(&away(b)));
        let n_housing = commune.iris - commune.activity - commune.other;
        let (mut activity, mut other) = (0, 0);
        for (rank, &part) in order.iter().enumerate() {
            let (kind, code, name) = if rank < n_housing {
                let (quarter, place) = (rank / 4, rank % 4);
                let pool = if number == 0 { names::DIJON_QUARTERS } else { names::QUARTERS };
                let at = if number == 0 { quarter } else { (number * 3 + quarter) % pool.len() };
                let code = format!("{:02}{:02}", quarter + 1, place + 1);
                (IrisKind::Housing, code, format!("{} {}", pool[at], place + 1))
            } else if (rank - n_housing).is_multiple_of(2) && other < commune.other {
                other += 1;
                (IrisKind::Other, format!("90{other:02}"), names::WOODS[(number + other) % names::WOODS.len()].into())
            } else if activity < commune.activity {
                activity += 1;
                let name = names::ACTIVITY[(number * 2 + activity) % names::ACTIVITY.len()];
                (IrisKind::Activity, format!("80{activity:02}"), name.into())
            } else {
                other += 1;
                (IrisKind::Other, format!("90{other:02}"), names::WOODS[(number + other) % names::WOODS.len()].into())
            };
            groups[part].iter().for_each(|&cell| cover[cell] = Some(list.len()));
            list.push(Iris { commune: number, number: code, name, kind });
        }
    }
    (cover, list)
}

/// Sectors, numbered from north to south; the last one drawn lies wholly inside another.
fn draw_sectors(mesh: &Mesh, communes: &Cover, rng: &mut Pcg64) -> Cover {
    let allowed: Vec<bool> = communes.iter().map(Option::is_some).collect();
    let mut cover = divide(mesh, &allowed, SECTORS - 1, Grain { power: 0.62, uneven: 0.4, heart: 1.75 }, rng);
    let alone = |cell: usize, rounds: usize| {
        let mut around = vec![cell];
        for _ in 0..rounds {
            around = around.iter().flat_map(|&c| mesh.neighbours[c].iter().copied()).collect();
        }
        around.iter().all(|&c| cover[c] == cover[cell])
    };
    let centre = (names::COMMUNES[0].x, names::COMMUNES[0].y);
    let heart = (0..cover.len())
        .filter(|&cell| allowed[cell] && distance(mesh.sites[cell], centre) > 1_500.0 && alone(cell, 3))
        .min_by(|&a, &b| distance(mesh.sites[a], centre).total_cmp(&distance(mesh.sites[b], centre)))
        .expect("some sector is large enough to hold another");
    let enclave: Vec<usize> = mesh.neighbours[heart].iter().copied().chain([heart]).collect();
    enclave.into_iter().for_each(|cell| cover[cell] = Some(SECTORS - 1));

    let groups: Vec<Vec<usize>> =
        (0..SECTORS).map(|zone| (0..cover.len()).filter(|&c| cover[c] == Some(zone)).collect()).collect();
    let mut order: Vec<usize> = (0..SECTORS).collect();
    order.sort_by(|&a, &b| middle(mesh, &groups[b]).1.total_cmp(&middle(mesh, &groups[a]).1));
    let mut rank = [0; SECTORS];
    order.iter().enumerate().for_each(|(place, &zone)| rank[zone] = place);
    cover.into_iter().map(|zone| zone.map(|zone| rank[zone])).collect()
}
