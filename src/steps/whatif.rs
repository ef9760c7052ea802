//! What another version of a zoning would move: zones, ground and establishments.
//!
//! Ground belongs to zones as points do ([`super::assign`]): where contours overlap, to the zone whose code comes first.
//! A zone goes on under its own code, or under another where its contour is the same. Ground has moved where it leaves the
//! zone that goes on; what is smaller or thinner than two drawings of one border differ by is noise, and is said.

pub mod cells;

use super::assign::Placement;
use super::validate::{OVERLAY_TOLERANCE_M2, RING_AREA_MIN_M2, SLIVER_WIDTH_M};
use crate::model::{Establishment, Headcount, Lambert93, Siret, Source, Zone, ZoneCode, Zoning};
use geo::{Area, BoundingRect, Euclidean, Length, LineString, MultiPolygon, Polygon, Rect};
use std::collections::{BTreeMap, HashMap};

type Contour = Lambert93<MultiPolygon>;

/// What lies between two versions of a zoning.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Each zone of either version once, in the order of codes.
    pub zones: Vec<ZoneChange>,
    /// Ground that changed zone, by pair of codes.
    pub ground: Vec<Ground>,
    /// What was left out as two drawings of one border.
    pub noise: Noise,
}

/// What becomes of a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneChange {
    /// Its code in the new version; in the old one where it vanishes.
    pub code: ZoneCode,
    /// Its name there.
    pub label: String,
    /// Its name before, where that was another.
    pub label_before: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
    /// Ground it gains, in square metres.
    pub gained_m2: f64,
    /// Ground it loses, in square metres.
    pub lost_m2: f64,
}

/// What becomes of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// No zone of the old version goes on in it.
    Appeared,
    /// It goes on in no zone of the new version.
    Vanished,
    /// The same contour under another code.
    Renamed {
        /// The code it had.
        before: ZoneCode,
    },
    /// Its border moves.
    Moved,
    /// Its border stays.
    Unchanged,
}

impl Fate {
    /// The code before, where that was another.
    pub fn code_before(&self) -> Option<&ZoneCode> {
        match self {
            Self::Renamed { before } => Some(before),
            Self::Appeared | Self::Vanished | Self::Moved | Self::Unchanged => None,
        }
    }
    /// A stable word for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Vanished => "vanished",
            Self::Renamed { .. } => "renamed",
            Self::Moved => "moved",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Ground that goes from one zone to another; `None` is ground of no zone.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The zone of the old version.
    pub from: Option<ZoneCode>,
    /// The zone of the new version.
    pub to: Option<ZoneCode>,
    /// The ground itself.
    pub contour: Contour,
    /// Its area, in square metres.
    pub area_m2: f64,
}

/// Differences that are two drawings of one border: below [`OVERLAY_TOLERANCE_M2`], or thinner than [`SLIVER_WIDTH_M`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Noise {
    /// How many there are.
    pub parts: usize,
    /// Their area, in square metres.
    pub area_m2: f64,
}

/// Compares two versions of a zoning; without one before, every zone appears.
pub fn compare(before: Option<&Zoning>, after: &Zoning) -> Changes {
    let (old, new) = (Side::of(before.map_or(&[], Zoning::zones)), Side::of(after.zones()));
    let goes_on = successors(&old, &new);
    let comes_from = inverse(&goes_on, new.zones.len());
    let touched = touched(&old, &new, &goes_on, &comes_from);

    let mut moved: BTreeMap<(Option<usize>, Option<usize>), Contour> = BTreeMap::new();
    let mut noise = Noise::default();
    let mut note = |from, to, ground: Contour| {
        let (real, thin) = ground.parted(|part| !is_noise(part));
        let thin = thin.parted(|part| part.unsigned_area() >= RING_AREA_MIN_M2).0;
        noise.parts += thin.metres().0.len();
        noise.area_m2 += thin.area_m2();
        if !real.metres().0.is_empty() {
            let whole = match moved.remove(&(from, to)) {
                Some(known) => known.with(real),
                None => real,
            };
            moved.insert((from, to), whole);
        }
    };
    for from in (0..old.zones.len()).filter(|&i| touched.0[i]) {
        let own = old.own(from);
        let mut rest = match goes_on[from] {
            Some(to) => own.without([&new.own(to)]),
            None => own,
        };
        for to in new.near(&rest) {
            if goes_on[from] == Some(to) || rest.metres().0.is_empty() {
                continue;
            }
            let there = rest.common([new.contour(to)]);
            if there.metres().0.is_empty() {
                continue;
            }
            rest = rest.without([new.contour(to)]);
            note(Some(from), Some(to), there);
        }
        note(Some(from), None, rest);
    }
    for to in (0..new.zones.len()).filter(|&j| touched.1[j]) {
        let own = new.own(to);
        let near: Vec<&Contour> = old.near(&own).map(|i| old.contour(i)).collect();
        note(None, Some(to), own.without(near));
    }

    let old_code = |i: usize| old.zones[i].code.clone();
    let new_code = |j: usize| new.zones[j].code.clone();
    let ground: Vec<Ground> = moved
        .into_iter()
        .map(|((from, to), contour)| {
            let area_m2 = contour.area_m2();
            Ground { from: from.map(old_code), to: to.map(new_code), contour, area_m2 }
        })
        .collect();
    let sum = |at: &dyn Fn(&Ground) -> bool| ground.iter().filter(|g| at(g)).fold(0.0, |sum, g| sum + g.area_m2);
    let mut zones = Vec::new();
    for (j, zone) in new.zones.iter().enumerate() {
        let was = comes_from[j].map(|i| &old.zones[i]);
        let gained_m2 = sum(&|g| g.to.as_ref() == Some(&zone.code));
        let lost_m2 = was.map_or(0.0, |was| sum(&|g| g.from.as_ref() == Some(&was.code)));
        let fate = match was {
            None => Fate::Appeared,
            Some(was) if was.code != zone.code => Fate::Renamed { before: was.code.clone() },
            Some(_) if gained_m2 > 0.0 || lost_m2 > 0.0 => Fate::Moved,
            Some(_) => Fate::Unchanged,
        };
        let label_before = was.map(|was| was.label.clone()).filter(|label| *label != zone.label);
        zones.push(ZoneChange {
            code: zone.code.clone(),
            label: zone.label.clone(),
            label_before,
            fate,
            gained_m2,
            lost_m2,
        });
    }
    for zone in old.zones.iter().zip(&goes_on).filter(|(_, to)| to.is_none()).map(|(zone, _)| zone) {
        let lost_m2 = sum(&|g| g.from.as_ref() == Some(&zone.code));
        let (code, label) = (zone.code.clone(), zone.label.clone());
        zones.push(ZoneChange { code, label, label_before: None, fate: Fate::Vanished, gained_m2: 0.0, lost_m2 });
    }
    zones.sort_by(|a, b| a.code.cmp(&b.code).then(a.fate.code().cmp(b.fate.code())));
    Changes { zones, ground, noise }
}

impl Changes {
    /// Whether the versions differ in contours or codes.
    pub fn any(&self) -> bool {
        self.zones.iter().any(|zone| zone.fate != Fate::Unchanged)
    }
    /// Zones with this fate, by its word.
    pub fn count(&self, fate: &str) -> usize {
        self.zones.iter().filter(|zone| zone.fate.code() == fate).count()
    }
    /// Ground that changed zone, in square metres.
    pub fn area_m2(&self) -> f64 {
        self.ground.iter().fold(0.0, |sum, g| sum + g.area_m2)
    }
    /// The code under which a zone of the old version goes on.
    pub fn goes_on<'a>(&'a self, old: &'a ZoneCode) -> Option<&'a ZoneCode> {
        let renamed = |zone: &&ZoneChange| zone.fate.code_before() == Some(old);
        let kept = |zone: &&ZoneChange| matches!(zone.fate, Fate::Moved | Fate::Unchanged) && zone.code == *old;
        self.zones.iter().find(|zone| renamed(zone) || kept(zone)).map(|zone| &zone.code)
    }
}

fn is_noise(part: &Polygon) -> bool {
    let area_m2 = part.unsigned_area();
    let rings = std::iter::once(part.exterior()).chain(part.interiors());
    let border_m: f64 = rings.map(|ring: &LineString| Euclidean.length(ring)).sum();
    area_m2 < OVERLAY_TOLERANCE_M2 || 2.0 * area_m2 / border_m < SLIVER_WIDTH_M
}

/// One version, with the box of each zone.
struct Side<'a> {
    zones: &'a [Zone],
    boxes: Vec<Option<Rect>>,
}

impl<'a> Side<'a> {
    fn of(zones: &'a [Zone]) -> Self {
        Self { zones, boxes: zones.iter().map(|zone| zone.contour.metres().bounding_rect()).collect() }
    }
    fn contour(&self, i: usize) -> &'a Contour {
        &self.zones[i].contour
    }
    /// Zones whose box meets that of a contour, in the order of codes.
    fn near(&self, contour: &Contour) -> impl Iterator<Item = usize> + use<'_> {
        let frame = contour.metres().bounding_rect();
        (0..self.zones.len()).filter(move |&i| meet(frame, self.boxes[i]))
    }
    /// The ground of a zone: its contour, less what zones before it claim.
    fn own(&self, i: usize) -> Contour {
        let contour = self.contour(i);
        let before: Vec<&Contour> = self.near(contour).take_while(|&k| k < i).map(|k| self.contour(k)).collect();
        let claimed = contour.common(before.iter().copied());
        // Borders drawn twice are left alone, or each overlay would add a little noise of its own.
        let (claimed, _) = claimed.parted(|part| !is_noise(part));
        if claimed.metres().0.is_empty() { contour.clone() } else { contour.without(before) }
    }
}

fn meet(a: Option<Rect>, b: Option<Rect>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    a.min().x <= b.max().x && b.min().x <= a.max().x && a.min().y <= b.max().y && b.min().y <= a.max().y
}

/// For each zone of the old version, the place in the new one of the zone in which it goes on.
fn successors(old: &Side<'_>, new: &Side<'_>) -> Vec<Option<usize>> {
    let by_code: HashMap<&str, usize> = new.zones.iter().enumerate().map(|(j, z)| (z.code.as_str(), j)).collect();
    let same_code: Vec<Option<usize>> = old.zones.iter().map(|z| by_code.get(z.code.as_str()).copied()).collect();
    // A contour under another code: same rings, or boxes that agree and nothing but noise between.
    let redrawn = |i: usize, j: usize| {
        close(old.boxes[i], new.boxes[j]) && {
            let (a, b) = (old.contour(i), new.contour(j));
            same_rings(a, b) || [a.without([b]), b.without([a])].iter().all(|d| d.metres().0.iter().all(is_noise))
        }
    };
    let mut taken = vec![false; new.zones.len()];
    let mut goes_on = vec![None; old.zones.len()];
    for (i, same) in same_code.iter().enumerate() {
        if let Some(j) = same.filter(|&j| close(old.boxes[i], new.boxes[j])) {
            (goes_on[i], taken[j]) = (Some(j), true);
        }
    }
    for (i, same) in same_code.iter().enumerate() {
        if goes_on[i].is_none()
            && let Some(j) = (0..new.zones.len()).find(|&j| !taken[j] && *same != Some(j) && redrawn(i, j))
        {
            (goes_on[i], taken[j]) = (Some(j), true);
        }
    }
    for (i, same) in same_code.iter().enumerate() {
        if goes_on[i].is_none()
            && let Some(j) = same.filter(|&j| !taken[j])
        {
            (goes_on[i], taken[j]) = (Some(j), true);
        }
    }
    goes_on
}

fn inverse(goes_on: &[Option<usize>], n_new: usize) -> Vec<Option<usize>> {
    let mut comes_from = vec![None; n_new];
    for (i, to) in goes_on.iter().enumerate() {
        if let Some(j) = *to {
            comes_from[j] = Some(i);
        }
    }
    comes_from
}

/// Whether two boxes agree to the width of a border drawn twice.
fn close(a: Option<Rect>, b: Option<Rect>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let near = |p: f64, q: f64| (p - q).abs() <= SLIVER_WIDTH_M;
    near(a.min().x, b.min().x) && near(a.min().y, b.min().y) && near(a.max().x, b.max().x) && near(a.max().y, b.max().y)
}

/// The same rings, wherever they begin.
fn same_rings(a: &Contour, b: &Contour) -> bool {
    let (a, b) = (a.metres(), b.metres());
    if a == b {
        return true;
    }
    let rings = |contour: &MultiPolygon| {
        let rings = contour.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
        let mut rings: Vec<Vec<(f64, f64)>> = rings
            .map(|ring| {
                let mut corners: Vec<(f64, f64)> = ring.0.iter().skip(1).map(|c| c.x_y()).collect();
                let first = (0..corners.len()).min_by(|&p, &q| order(&corners[p], &corners[q])).unwrap_or_default();
                corners.rotate_left(first);
                corners
            })
            .collect();
        rings.sort_by(|p, q| {
            p.len()
                .cmp(&q.len())
                .then_with(|| p.first().zip(q.first()).map_or(std::cmp::Ordering::Equal, |(p, q)| order(p, q)))
        });
        rings
    };
    rings(a) == rings(b)
}

fn order(a: &(f64, f64), b: &(f64, f64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

/// Zones of either version whose ground may change: those that were drawn anew, and those whose box meets one.
fn touched(
    old: &Side<'_>,
    new: &Side<'_>,
    goes_on: &[Option<usize>],
    comes_from: &[Option<usize>],
) -> (Vec<bool>, Vec<bool>) {
    let same = |i: usize, j: usize| same_rings(old.contour(i), new.contour(j));
    let old_anew: Vec<bool> = (0..old.zones.len()).map(|i| !goes_on[i].is_some_and(|j| same(i, j))).collect();
    let new_anew: Vec<bool> = comes_from.iter().map(|i| i.is_none_or(|i| old_anew[i])).collect();
    let anew = |side: &Side<'_>, anew: &[bool]| {
        side.boxes.iter().zip(anew).filter(|(_, anew)| **anew).map(|(frame, _)| *frame).collect::<Vec<_>>()
    };
    let mut frames = anew(old, &old_anew);
    frames.extend(anew(new, &new_anew));
    let reached = |side: &Side<'_>| side.boxes.iter().map(|b| frames.iter().any(|f| meet(*b, *f))).collect();
    (reached(old), reached(new))
}

/// An establishment that changes zone. It is for those alone who may see single establishments.
#[derive(Clone)]
pub struct Mover {
    /// Its number.
    pub siret: Siret,
    /// The year of its headcount.
    pub vintage: u16,
    /// Who sent the headcount.
    pub source: Source,
    /// Its headcount, where it is known.
    pub headcount: Option<Headcount>,
    /// The zone it lies in.
    pub from: Option<ZoneCode>,
    /// The zone it would lie in.
    pub to: Option<ZoneCode>,
}

/// Establishments that go from one zone to another; raw figures.
#[derive(Clone, PartialEq, Eq)]
pub struct Flow {
    /// The year of the headcounts.
    pub vintage: u16,
    /// The zone they lie in.
    pub from: Option<ZoneCode>,
    /// The zone they would lie in.
    pub to: Option<ZoneCode>,
    /// How many they are; one sent by two sources counts once.
    pub establishments: u64,
    /// Their employees.
    pub headcount: u64,
}

/// Establishments that would lie in another zone than the one in which theirs goes on, ordered by vintage, pair and number.
///
/// # Panics
/// When there is not one placement an establishment in each version: a mistake of the caller.
pub fn movers(
    changes: &Changes,
    establishments: &[Establishment],
    before: (&Zoning, &[Placement]),
    after: (&Zoning, &[Placement]),
) -> Vec<Mover> {
    assert!(establishments.len() == before.1.len() && establishments.len() == after.1.len());
    let code = |(zoning, placements): (&Zoning, &[Placement]), i: usize| {
        Some(zoning.zones()[placements[i].zone()? as usize].code.clone())
    };
    let goes_on: HashMap<&ZoneCode, &ZoneCode> =
        before.0.zones().iter().filter_map(|zone| Some((&zone.code, changes.goes_on(&zone.code)?))).collect();
    let mut movers: Vec<Mover> = Vec::new();
    for (i, e) in establishments.iter().enumerate() {
        let (from, to) = (code(before, i), code(after, i));
        let stays = match (&from, &to) {
            (None, None) => true,
            (Some(from), Some(to)) => goes_on.get(from) == Some(&to),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !stays {
            let Establishment { siret, headcount, vintage, source, .. } = *e;
            movers.push(Mover { siret, vintage, source, headcount, from, to });
        }
    }
    movers.sort_by(|a, b| {
        (a.vintage, &a.from, &a.to, a.siret, a.source).cmp(&(b.vintage, &b.from, &b.to, b.siret, b.source))
    });
    movers
}

/// Movers by vintage and pair of zones.
pub fn flows(movers: &[Mover]) -> Vec<Flow> {
    type Key<'a> = (u16, &'a Option<ZoneCode>, &'a Option<ZoneCode>);
    let mut flows: BTreeMap<Key<'_>, (u64, u64)> = BTreeMap::new();
    for mover in movers {
        let flow = flows.entry((mover.vintage, &mover.from, &mover.to)).or_default();
        flow.0 += 1;
        flow.1 += u64::from(mover.headcount.unwrap_or_default().employees());
    }
    let flow = |((vintage, from, to), (establishments, headcount)): (Key<'_>, (u64, u64))| Flow {
        vintage,
        from: from.clone(),
        to: to.clone(),
        establishments,
        headcount,
    };
    flows.into_iter().map(flow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Crs, Declared, ZoneRecord};
    use crate::steps::assign::assign;
    use crate::steps::index::ZoneIndex;
    use crate::steps::{reproject, validate::validate};

    /// Where the grid lies, in Lambert-93.
    const CORNER: (f64, f64) = (600_000.0, 6_600_000.0);
    const STEP_M: f64 = 100.0;

    fn zoning(zones: Vec<(String, MultiPolygon)>) -> Zoning {
        let record = |(i, (code, geometry)): (usize, (String, MultiPolygon))| {
            let contour = Declared { crs: Crs::LAMBERT93, geometry };
            ZoneRecord { record: i + 1, code, label: None, contour }
        };
        let zones = reproject::zones(zones.into_iter().enumerate().map(record).collect()).unwrap().accepted;
        validate("z", zones, None).unwrap().0
    }

    fn square(x: f64, y: f64, width: f64, height: f64) -> MultiPolygon {
        let (x, y) = (CORNER.0 + x, CORNER.1 + y);
        let ring = vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)];
        Polygon::new(LineString::from(ring), vec![]).into()
    }

    /// A grid by its letters, one zone a letter; `.` is no zone.
    fn grid(rows: &[&str]) -> Zoning {
        let mut zones: BTreeMap<char, Contour> = BTreeMap::new();
        for (x, y, letter) in letters(rows).filter(|(_, _, letter)| *letter != '.') {
            let cell = square(x as f64 * STEP_M, y as f64 * STEP_M, STEP_M, STEP_M);
            let cell = reproject::zones(vec![ZoneRecord {
                record: 1,
                code: "c".into(),
                label: None,
                contour: Declared { crs: Crs::LAMBERT93, geometry: cell },
            }]);
            let cell = cell.unwrap().accepted.remove(0).contour;
            let known = zones.remove(&letter);
            zones.insert(letter, known.map_or(cell.clone(), |known| known.with(cell.clone())));
        }
        let joined = |(letter, cells): (char, Contour)| (letter.to_string(), geo::unary_union(cells.metres().iter()));
        zoning(zones.into_iter().map(joined).collect())
    }

    fn letters<'a>(rows: &'a [&'a str]) -> impl Iterator<Item = (usize, usize, char)> + 'a {
        rows.iter().enumerate().flat_map(|(y, row)| row.chars().enumerate().map(move |(x, letter)| (x, y, letter)))
    }

    type Pairs = BTreeMap<(String, String), i64>;

    fn pairs(changes: &Changes) -> Pairs {
        let text = |code: &Option<ZoneCode>| code.as_ref().map_or(".".to_owned(), ToString::to_string);
        changes.ground.iter().map(|g| ((text(&g.from), text(&g.to)), g.area_m2.round() as i64)).collect()
    }

    fn fates(changes: &Changes) -> String {
        let words = changes.zones.iter().filter(|z| z.fate != Fate::Unchanged).map(|z| match &z.fate {
            Fate::Renamed { before } => format!("{before} renamed {}", z.code),
            fate => format!("{} {}", z.code, fate.code()),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn ground_that_moves_is_what_a_grid_of_letters_says() {
        for (before, after, said) in [
            (["AABB", "AABB", "CCDD"], ["AABB", "AABB", "CCDD"], ""),
            (["AABB", "AABB", "CCDD"], ["AAAB", "AABB", "CCDD"], "A moved, B moved"),
            (["AABB", "AABB", "CCDD"], ["AABB", "AABB", "CCCD"], "C moved, D moved"),
            (["AABB", "AABB", "CCDD"], ["AAAA", "AAAA", "CCDD"], "A moved, B vanished"),
            (["AAAA", "AAAA", "CCDD"], ["AABB", "AABB", "CCDD"], "A moved, B appeared"),
            (["AABB", "AABB", "CCDD"], ["AAEE", "AAEE", "CCDD"], "B renamed E"),
            (["AABB", "AABB", "CCDD"], ["BBAA", "BBAA", "CCDD"], "B renamed A, A renamed B"),
            (["AABB", "AABB", "CCDD"], ["AAB.", "AABB", "CCDD"], "B moved"),
            (["A...", "AABB", "CCDD"], ["AAB.", "AABB", "CCDD"], "A moved, B moved"),
            // An island goes to another zone and back, and a zone in two parts.
            (["AAAA", "ABCA", "AAAA"], ["AAAA", "ACBA", "AAAA"], "C renamed B, B renamed C"),
            (["AAAA", "ABBA", "AAAA"], ["AAAA", "AABA", "AAAB"], "A moved, B moved"),
        ] {
            let changes = compare(Some(&grid(&before)), &grid(&after));
            let mut expected: Pairs = BTreeMap::new();
            let renamed = |letter: char| {
                let code: ZoneCode = letter.to_string().parse().ok()?;
                changes.goes_on(&code).map(ToString::to_string)
            };
            for ((_, _, from), (_, _, to)) in letters(&before).zip(letters(&after)) {
                let stays = if from == '.' { to == '.' } else { renamed(from) == Some(to.to_string()) };
                if !stays {
                    *expected.entry((from.to_string(), to.to_string())).or_default() += (STEP_M * STEP_M) as i64;
                }
            }
            assert_eq!(pairs(&changes), expected, "{before:?} {after:?}");
            assert_eq!(fates(&changes), said, "{before:?} {after:?}");
            assert_eq!((changes.noise, changes.any()), (Noise::default(), !said.is_empty()));
        }
    }

    #[test]
    fn what_a_zone_gains_and_loses_is_what_its_area_changes_by_and_the_way_back_is_the_mirror() {
        let mut state = 21_231_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..12 {
            // Two slanted cuts of a square into four, the second with another point in the middle.
            let mut cut = || {
                let (x, y) = (20.0 + next(60) as f64, 20.0 + next(60) as f64);
                let side = |at: u64, next: u64| (at as f64 * 0.31 + next as f64).rem_euclid(40.0) + 30.0;
                let sides: Vec<f64> = (0..4).map(|at| side(at, next(40))).collect();
                let corner = |x: f64, y: f64| (CORNER.0 + x * 10.0, CORNER.1 + y * 10.0);
                let (m, s, e, n, w) = (
                    corner(x, y),
                    corner(sides[0], 0.0),
                    corner(100.0, sides[1]),
                    corner(sides[2], 100.0),
                    corner(0.0, sides[3]),
                );
                let rings = [
                    vec![corner(0.0, 0.0), s, m, w],
                    vec![s, corner(100.0, 0.0), e, m],
                    vec![m, e, corner(100.0, 100.0), n],
                    vec![w, m, n, corner(0.0, 100.0)],
                ];
                let zone = |(i, ring): (usize, Vec<(f64, f64)>)| {
                    (format!("Z{i}"), Polygon::new(LineString::from(ring), vec![]).into())
                };
                zoning(rings.into_iter().enumerate().map(zone).collect())
            };
            let (before, after) = (cut(), cut());
            let (there, back) = (compare(Some(&before), &after), compare(Some(&after), &before));
            for change in &there.zones {
                let area = |zoning: &Zoning| {
                    zoning.zones().iter().find(|z| z.code == change.code).map_or(0.0, |z| z.contour.area_m2())
                };
                let grown = area(&after) - area(&before);
                let off = (change.gained_m2 - change.lost_m2 - grown).abs();
                assert!(off <= there.noise.area_m2 + 0.01, "{}: {off}", change.code);
            }
            let mirror: Pairs = pairs(&back).into_iter().map(|((from, to), area)| ((to, from), area)).collect();
            let there = pairs(&there);
            assert_eq!(there.keys().collect::<Vec<_>>(), mirror.keys().collect::<Vec<_>>());
            assert!(!there.is_empty() && there.iter().all(|(pair, area)| (mirror[pair] - area).abs() <= 1));
            assert!(!compare(Some(&before), &before).any());
        }
    }

    #[test]
    fn two_drawings_of_one_border_are_noise_and_an_overlap_belongs_to_the_first_code() {
        let two = |border: f64, west: &str| {
            let east = square(border, 0.0, 200.0 - border, 100.0);
            zoning(vec![(west.to_owned(), square(0.0, 0.0, border, 100.0)), ("B".to_owned(), east)])
        };
        for (border, west, said, noise) in [
            (100.0, "A", "", 0),
            (100.3, "A", "", 1),
            (99.5, "E", "A renamed E", 1),
            (101.5, "A", "A moved, B moved", 0),
        ] {
            let changes = compare(Some(&two(100.0, "A")), &two(border, west));
            assert_eq!((fates(&changes).as_str(), changes.noise.parts), (said, noise), "{border}");
        }
        // B reaches over A from the beginning, then further: nothing moves. A reaches over B: it gains.
        let overlapping = |a: f64, b: f64| {
            let b = square(b, 0.0, 200.0 - b, 100.0);
            zoning(vec![("A".to_owned(), square(0.0, 0.0, a, 100.0)), ("B".to_owned(), b)])
        };
        let changes = compare(Some(&overlapping(100.0, 90.0)), &overlapping(100.0, 80.0));
        assert_eq!((pairs(&changes), changes.any()), (Pairs::new(), false));
        let changes = compare(Some(&overlapping(100.0, 90.0)), &overlapping(110.0, 90.0));
        assert_eq!(pairs(&changes), BTreeMap::from([(("B".to_owned(), "A".to_owned()), 1_000)]));
    }

    #[test]
    fn establishments_move_where_their_zone_does_not_go_on() {
        let (before, after) = (grid(&["AABB", "CCDD"]), grid(&["AAAE", "C.DD"]));
        let places = [(250.0, 50.0), (350.0, 50.0), (150.0, 150.0), (f64::NAN, f64::NAN)];
        let establishments: Vec<Establishment> = (1..=places.len() as u32)
            .map(|heads| Establishment {
                siret: "73282932000074".parse().unwrap(),
                headcount: Headcount::new(heads),
                naf: "4711F".parse().unwrap(),
                vintage: 2024,
                source: Source::Urssaf,
                place: Err(crate::model::establishment::Unplaced::NoCoordinate),
                naf_2025: None,
                quality: None,
                site: 0,
            })
            .collect();
        let (x, y): (Vec<f64>, Vec<f64>) = places.iter().map(|p| (CORNER.0 + p.0, CORNER.1 + p.1)).unzip();
        let placed = |zoning: &Zoning| assign(&ZoneIndex::new(zoning), &x, &y);
        let changes = compare(Some(&before), &after);
        let movers = movers(&changes, &establishments, (&before, &placed(&before)), (&after, &placed(&after)));
        let text = |code: &Option<ZoneCode>| code.as_ref().map_or(".".to_owned(), ToString::to_string);
        let found: Vec<(String, String, u64, u64)> =
            flows(&movers).iter().map(|f| (text(&f.from), text(&f.to), f.establishments, f.headcount)).collect();
        let flow = |from: &str, to: &str, heads| (from.to_owned(), to.to_owned(), 1, heads);
        assert_eq!(found, [flow("B", "A", 1), flow("B", "E", 2), flow("C", ".", 3)]);
    }
}
