//! Enterprises and their establishments at two year-ends.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_pcg::Pcg64;

use crate::activities::{ACTIVITIES, CHAINS, NAF, Setting};
use crate::mesh::{Mesh, Spot, distance};
use crate::names;
use crate::zones::{Cover, IrisKind, SECTORS, Territory, rings};

/// The year-ends of the register.
pub const VINTAGES: [u16; 2] = [2023, 2024];
/// Establishments to have at the first year-end, about.
const ESTABLISHMENTS: usize = 22_000;
const CLOSING: f64 = 0.04;
const OPENING: f64 = 0.05;
/// Enterprises of any activity at all, whether or not it is on our list of frequent ones.
const RARE: f64 = 0.045;
const WITHOUT_COORDINATES: f64 = 0.015;
const RANDOM_IN_COMMUNE: f64 = 0.015;
const BEYOND: f64 = 0.005;
/// Establishments which a year-end knows without an employee on that day.
const WITHOUT_EMPLOYEES: f64 = 0.044;
/// The two natures of enterprises with several sites: a firm with a few, or a chain; the share of the first, among firms.
const FEW_SITES: f64 = 0.030;
/// Establishments known to both schemes in one year.
const IN_BOTH_SOURCES: usize = 9;
/// Establishments put exactly on the middle of a border between sectors, on a bend of one, and on (0, 0).
const ON_MIDPOINTS: usize = 14;
const ON_VERTICES: usize = 14;
const ON_ZERO: usize = 5;

pub struct Establishment {
    pub siret: String,
    pub naf: String,
    pub msa: bool,
    pub both: bool,
    /// `None` for one that the geocoder did not find.
    pub spot: Option<Spot>,
    pub quality: &'static str,
    /// Employees at each year-end; `None` when it did not exist then.
    pub employees: [Option<u32>; 2],
    /// Where it really stands.
    cell: usize,
}

/// What the register is told about one site before it gets a place and a number.
struct Plan {
    naf: String,
    msa: f64,
    setting: Setting,
    employees: u32,
}

pub fn fill(mesh: &Mesh, territory: &Territory, rng: &mut Pcg64) -> Vec<Establishment> {
    let mut town = Town::new(mesh, territory, rng);
    let mut sirens = BTreeSet::new();
    let mut list: Vec<Establishment> = Vec::new();
    for enterprise in enterprises(rng) {
        let siren = loop {
            let siren = with_key(&format!("99{:06}", rng.random_range(0..1_000_000)));
            if sirens.insert(siren.clone()) {
                break siren;
            }
        };
        let head_office = rng.random_range(1..4u32);
        let cooperative = rng.random_bool(enterprise[0].msa);
        for (number, plan) in enterprise.into_iter().enumerate() {
            let siret = with_key(&format!("{siren}{:04}", head_office as usize + number));
            let (cell, spot) = town.settle(plan.setting, plan.employees, rng);
            let employees = live(plan.employees, rng);
            list.push(Establishment {
                siret,
                naf: plan.naf,
                msa: cooperative,
                both: false,
                spot: Some(spot),
                quality: pick_quality(rng),
                employees,
                cell,
            });
        }
    }
    trouble(mesh, territory, &mut list, rng);
    list
}

/// Appends Luhn's key to digits.
fn with_key(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (u32::from(digit - b'0'), place % 2) {
            (digit, 0) if digit > 4 => digit * 2 - 9,
            (digit, 0) => digit * 2,
            (digit, _) => digit,
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// A site of one of the listed activities.
fn site(naf: &str, setting: Setting, employees: u32) -> Plan {
    let known = ACTIVITIES.iter().find(|a| a.naf == naf).expect("an activity of the list");
    Plan { naf: naf.to_owned(), msa: known.msa, setting, employees }
}

/// The sub-classes outside farming, households as producers and embassies, without the dot.
fn rare_activities() -> Vec<String> {
    let codes = NAF.lines().skip(2).filter_map(|line| line.split('\t').next());
    codes.filter(|code| ("05".."97").contains(&&code[..2])).map(|code| code.replace('.', "")).collect()
}

fn enterprises(rng: &mut Pcg64) -> Vec<Vec<Plan>> {
    let mut all: Vec<Vec<Plan>> = Vec::new();
    // A hospital and a university: one enormous site, and others about it.
    for (naf, main, others, size) in [("8610Z", 4_640, 25, 3.6), ("8542Z", 2_380, 13, 3.4), ("4939B", 610, 3, 3.2)] {
        let mut sites = vec![site(naf, Setting::Town, main)];
        sites.extend((0..others).map(|_| site(naf, Setting::Town, headcount(size, rng))));
        all.push(sites);
    }
    // Each commune runs a town hall, schools, crèches, pools.
    for commune in names::COMMUNES {
        let sites = (commune.inhabitants_k / 4.2).clamp(1.6, 38.0) as usize + 1;
        let main = (commune.inhabitants_k * 9.0) as u32 + rng.random_range(3..12);
        let mut plans =
            vec![site("8411Z", if commune.code == "21231" { Setting::Centre } else { Setting::Town }, main)];
        for _ in 1..sites {
            let naf = ["8411Z", "8520Z", "8891A", "9311Z"][rng.random_range(0..4)];
            plans.push(site(naf, Setting::Town, headcount(2.3, rng)));
        }
        all.push(plans);
    }
    for &(naf, setting, size, chains, most) in CHAINS {
        for _ in 0..chains {
            let sites = rng.random_range((most / 3).max(2)..=most);
            all.push((0..sites).map(|_| site(naf, setting, headcount(size, rng))).collect());
        }
    }
    let total: f64 = ACTIVITIES.iter().map(|a| a.weight).sum();
    let others = rare_activities();
    // Openings come on top: of what is ever seen, a part is not there yet at the first year-end.
    let ever = (ESTABLISHMENTS as f64 * (1.0 + OPENING)) as usize;
    let mut count: usize = all.iter().map(Vec::len).sum();
    while count < ever {
        let mut at = rng.random::<f64>() * total;
        let chosen = ACTIVITIES
            .iter()
            .find(|a| {
                at -= a.weight;
                at < 0.0
            })
            .unwrap_or(&ACTIVITIES[0]);
        let sites = match rng.random::<f64>() {
            few if few < FEW_SITES => [2, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6][rng.random_range(0..11)],
            _ => 1,
        };
        let bonus = if sites > 1 { 0.6 } else { 0.0 };
        let rare = rng.random_bool(RARE);
        let naf = if rare { others[rng.random_range(0..others.len())].clone() } else { chosen.naf.to_owned() };
        let setting = if !rare || chosen.setting == Setting::Country { chosen.setting } else { Setting::Zone };
        let (size, msa) = if rare { (0.6, 0.01) } else { (chosen.size, chosen.msa) };
        let plan = |rng: &mut Pcg64| {
            let employees = headcount(size + bonus, rng);
            Plan { naf: naf.clone(), msa, setting, employees }
        };
        all.push((0..sites).map(|_| plan(rng)).collect());
        count += sites;
    }
    all
}

/// Bell-shaped, mean 0, deviation 1 (the sum of twelve draws).
fn bell(rng: &mut Pcg64) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// A heavy-tailed headcount of at least one.
fn headcount(size: f64, rng: &mut Pcg64) -> u32 {
    let tail = if rng.random_bool(0.075) { 1.9 } else { 0.0 };
    (0.45 + size + tail + 1.08 * bell(rng)).exp().round().clamp(1.0, 1_900.0) as u32
}

/// The headcounts at the two year-ends, from a usual one.
fn live(usual: u32, rng: &mut Pcg64) -> [Option<u32>; 2] {
    let moved = |from: u32, rng: &mut Pcg64| {
        // The larger, the steadier.
        let swing = 0.11 / (1.0 + f64::from(from) / 150.0).sqrt();
        let to = f64::from(from) * (0.005 + swing * bell(rng)).exp() + rng.random_range(-0.62..0.62);
        to.round().max(1.0) as u32
    };
    let second = moved(usual, rng);
    let mut employees = [Some(usual), Some(second)];
    // Large ones neither open nor close here: one of them would be most of a year's change.
    match rng.random::<f64>() {
        chance if chance < CLOSING && usual < 250 => employees[1] = None,
        chance if chance > 1.0 - OPENING && usual < 250 => employees[0] = None,
        _ => (),
    }
    let empty = usual < 6 && rng.random_bool(WITHOUT_EMPLOYEES * 1.5);
    for year in &mut employees {
        if year.is_some_and(|n| n < 6) && (empty && rng.random_bool(0.8) || rng.random_bool(0.0045)) {
            *year = Some(0);
        }
    }
    employees
}

fn pick_quality(rng: &mut Pcg64) -> &'static str {
    match rng.random::<f64>() {
        u if u < 0.72 => "11",
        u if u < 0.86 => "12",
        u if u < 0.95 => "21",
        _ => "22",
    }
}

/// How much each setting likes each cell, as running sums.
struct Town<'a> {
    mesh: &'a Mesh,
    contour: Vec<Spot>,
    rim: Vec<bool>,
    sums: BTreeMap<Setting, Vec<f64>>,
    addresses: Vec<Vec<Spot>>,
}

impl<'a> Town<'a> {
    fn new(mesh: &'a Mesh, territory: &Territory, rng: &mut Pcg64) -> Self {
        let n = mesh.sites.len();
        let inside: Vec<usize> = (0..n).filter(|&cell| territory.communes[cell].is_some()).collect();
        let whole: Cover = territory.communes.iter().map(|c| c.map(|_| 0)).collect();
        let zone_of = |cell: usize| territory.iris[cell].expect("a cell of the territory");
        let dijon = (names::COMMUNES[0].x - 250.0, names::COMMUNES[0].y + 150.0);
        let active: Vec<usize> =
            inside.iter().copied().filter(|&c| territory.iris_list[zone_of(c)].kind == IrisKind::Activity).collect();
        let malls: Vec<usize> = (0..5).map(|_| active[rng.random_range(0..active.len())]).collect();
        let pull: Vec<f64> = territory.iris_list.iter().map(|_| rng.random_range(0.35..1.6)).collect();
        let mut areas = vec![0.0; territory.iris_list.len()];
        inside.iter().for_each(|&cell| areas[zone_of(cell)] += mesh.area_m2(cell) / 1e6);
        let bump: Vec<f64> = (0..n).map(|_| (0.6 * bell(rng)).exp()).collect();
        let hill = |place: (f64, f64), top: (f64, f64), width: f64| {
            (-(distance(place, top) / width).powi(2) / 2.0).exp() / (width * width) * 1e6
        };
        let like = |setting: Setting, cell: usize| -> f64 {
            let (place, commune) = (mesh.sites[cell], territory.communes[cell].expect("inside"));
            let kind = territory.iris_list[zone_of(cell)].kind;
            let calm = if kind == IrisKind::Other { 0.05 } else { 1.0 };
            match setting {
                Setting::Centre => (1.5 * hill(place, dijon, 450.0) + 1.1 * hill(place, dijon, 1_500.0)) * calm,
                Setting::Town => {
                    let crowd = names::COMMUNES.iter().map(|c| {
                        let width = if c.code == "21231" { 1_900.0 } else { 340.0 * c.km2.sqrt() };
                        c.inhabitants_k.powf(0.9) * hill(place, (c.x, c.y), width)
                    });
                    crowd.sum::<f64>() * calm
                }
                Setting::Zone if kind == IrisKind::Activity => pull[zone_of(cell)] / areas[zone_of(cell)].powf(0.6),
                Setting::Zone => 0.004,
                Setting::Mall => malls.iter().map(|&mall| hill(place, mesh.sites[mall], 210.0)).sum(),
                Setting::Country if commune == 0 => 0.08,
                Setting::Country => 1.0,
                Setting::Vineyard if ["21166", "21390", "21481", "21263"].contains(&names::COMMUNES[commune].code) => {
                    1.0
                }
                Setting::Vineyard => 0.03,
            }
        };
        let settings =
            [Setting::Centre, Setting::Town, Setting::Zone, Setting::Mall, Setting::Country, Setting::Vineyard];
        let sums = settings.map(|setting| {
            let mut sum = 0.0;
            let running = (0..n).map(|cell| {
                if territory.communes[cell].is_some() {
                    sum += like(setting, cell) * mesh.area_m2(cell) * bump[cell];
                }
                sum
            });
            (setting, running.collect())
        });
        Self {
            mesh,
            contour: rings(mesh, &whole, 0).swap_remove(0),
            rim: (0..n).map(|c| mesh.neighbours[c].iter().any(|&a| territory.communes[a].is_none())).collect(),
            sums: sums.into_iter().collect(),
            addresses: vec![Vec::new(); n],
        }
    }

    /// A cell and a place in it; many establishments share an address with others.
    fn settle(&mut self, likes: Setting, employees: u32, rng: &mut Pcg64) -> (usize, Spot) {
        // One in six is where nobody would look for it.
        let setting = match rng.random::<f64>() {
            u if u < 0.11 => Setting::Town,
            u if u < 0.15 => Setting::Zone,
            u if u < 0.165 => Setting::Country,
            _ => likes,
        };
        let sums = &self.sums[&setting];
        let at = rng.random::<f64>() * sums[sums.len() - 1];
        let cell = sums.partition_point(|&sum| sum <= at).min(sums.len() - 1);
        let shares = if setting == Setting::Mall { 0.5 } else { 0.24 };
        let known = &self.addresses[cell];
        if !known.is_empty() && employees < 250 && rng.random_bool(shares) {
            return (cell, known[rng.random_range(0..known.len())]);
        }
        let spot = loop {
            let spot = self.mesh.place_in(cell, rng);
            if !self.rim[cell] || is_inside(&self.contour, spot) {
                break spot;
            }
        };
        self.addresses[cell].push(spot);
        (cell, spot)
    }
}

/// Whether a place is inside a ring, by counting crossings, in whole numbers.
pub fn is_inside(ring: &[Spot], spot: Spot) -> bool {
    let mut inside = false;
    for (k, &a) in ring.iter().enumerate() {
        let b = ring[(k + 1) % ring.len()];
        if (a.y > spot.y) != (b.y > spot.y) {
            let turn = (b.x - a.x) * (spot.y - a.y) - (b.y - a.y) * (spot.x - a.x);
            inside ^= (turn > 0) == (b.y > a.y);
        }
    }
    inside
}

/// Everything a real register has and a demonstration should not hide.
fn trouble(mesh: &Mesh, territory: &Territory, list: &mut [Establishment], rng: &mut Pcg64) {
    let whole: Cover = territory.communes.iter().map(|c| c.map(|_| 0)).collect();
    let contour = rings(mesh, &whole, 0).swap_remove(0);
    let cells: Vec<usize> = (0..mesh.sites.len()).filter(|&cell| whole[cell].is_some()).collect();
    for establishment in list.iter_mut() {
        match rng.random::<f64>() {
            u if u < WITHOUT_COORDINATES => {
                establishment.spot = None;
                establishment.quality = "";
            }
            u if u < WITHOUT_COORDINATES + RANDOM_IN_COMMUNE => {
                let commune = territory.communes[establishment.cell];
                let cell = loop {
                    let cell = cells[rng.random_range(0..cells.len())];
                    if territory.communes[cell] == commune {
                        break cell;
                    }
                };
                establishment.spot = Some(mesh.place_in(cell, rng));
                establishment.quality = "33";
            }
            u if u < WITHOUT_COORDINATES + RANDOM_IN_COMMUNE + BEYOND => {
                establishment.spot = Some(loop {
                    let (x, y) = mesh.sites[cells[rng.random_range(0..cells.len())]];
                    let spot = Spot::from_metres(x + 2_600.0 * bell(rng), y + 2_600.0 * bell(rng));
                    if !is_inside(&contour, spot) {
                        break spot;
                    }
                });
            }
            _ => (),
        }
    }
    let (midpoints, vertices) = border_places(mesh, territory);
    let mut ordinary: Vec<usize> = (0..list.len())
        .filter(|&k| list[k].spot.is_some() && list[k].quality == "11" && list[k].employees.iter().all(Option::is_some))
        .filter(|&k| list[k].employees.iter().flatten().all(|&n| n < 50))
        .collect();
    let mut take = |rng: &mut Pcg64| ordinary.swap_remove(rng.random_range(0..ordinary.len()));
    for (count, places) in [(ON_MIDPOINTS, &midpoints), (ON_VERTICES, &vertices), (ON_ZERO, &vec![Spot { x: 0, y: 0 }])]
    {
        for k in 0..count {
            let place = places[(k * places.len() / count + places.len() / 7) % places.len()];
            list[take(rng)].spot = Some(place);
        }
    }
    for _ in 0..IN_BOTH_SOURCES {
        list[take(rng)].both = true;
    }
}

/// Places exactly on borders between two sectors: middles of pieces, and bends and corners (three sectors meet at some).
pub fn border_places(mesh: &Mesh, territory: &Territory) -> (Vec<Spot>, Vec<Spot>) {
    let (mut midpoints, mut vertices) = (BTreeSet::new(), BTreeSet::new());
    for cell in 0..mesh.sites.len() {
        let Some(own) = territory.sectors[cell].filter(|&sector| sector < SECTORS) else { continue };
        for (from, to, across) in mesh.sides(cell) {
            if territory.sectors[across].is_none_or(|other| other <= own) {
                continue;
            }
            let line = mesh.line(from, to);
            vertices.extend(line.iter().copied().step_by(2));
            midpoints.extend(line.windows(2).filter_map(|piece| exact_middle(piece[0], piece[1])));
        }
    }
    (midpoints.into_iter().collect(), vertices.into_iter().collect())
}

/// The middle of a piece, when it is a whole number of centimetres and floating-point numbers of metres agree that it
/// lies on the piece, which is checked on exact integers.
fn exact_middle(a: Spot, b: Spot) -> Option<Spot> {
    if (a.x + b.x) % 2 != 0 || (a.y + b.y) % 2 != 0 {
        return None;
    }
    let middle = Spot { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    // Coordinates below 2^23 m have at most 34 binary places here, so these are the floating-point values themselves.
    let exact = |metres: f64| (metres * (1u64 << 34) as f64) as i128;
    let [(ax, ay), (bx, by), (mx, my)] = [a, b, middle].map(|spot| {
        let (x, y) = spot.metres();
        (exact(x), exact(y))
    });
    ((bx - ax) * (my - ay) == (by - ay) * (mx - ax)).then_some(middle)
}
