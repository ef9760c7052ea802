//! What subtraction gives: sums shown less other sums shown, whose rest is no cell and would break a rule if it were one.
//!
//! A *zoning* is one table at one level of each of its dimensions: its cells share no record. For every ordered pair of a
//! zoning F and of a table G with one of its dimensions free (its cells are nested along that dimension), of the same
//! release or not:
//! - each shown cell of F less all shown cells of G that lie in it;
//! - each union of two or three shown cells of F which shown cells of G tie together (a cell of G lies in two or three of
//!   them and in nothing else), less all shown cells of G that lie in the union;
//! - each whole group of cells of F tied together so, of any size, less the same.
//!
//! Known are the sums shown, and with them those that follow from these. What a protection guards (the first kind) is a fault
//! where releases published before did not tell it already; the others are notes.
//!
//! Taking away all that can be taken away is enough: where two disjoint sets of records each pass the rules, so does their
//! union (contributors and counts only grow; the largest shares of a sum of two cells are at most those of the two). So a
//! rest that fails leaves a smaller rest that fails, or is one itself.
//!
//! Unions taken from F as seen from G, and from G as seen from F, are both tried, as diffman does for two zonings of
//! counts (InseeFrLab/diffman), which stops at a size of its own too.

use super::super::policy::Rules;
use super::exact::Random;
use super::form::{Place, Puzzle};
use super::{Fault, FaultKind, SEED, rules};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Most unions of two or three cells tried for one pair; the rest are counted as not tried.
const UNIONS_MAX: usize = 200_000;

/// Cells named in a message before the rest is counted.
const NAMED_MAX: usize = 3;

/// A rest that would break a rule.
pub(super) struct Rest {
    /// Where and of what kind it is.
    pub fault: Fault,
    pub guarded: Guarded,
    /// What is left.
    pub atoms: Vec<u32>,
}

/// Whether a protection guards a rest. One that is left in several ways is guarded where any of them is: the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Guarded {
    /// What is left in no way that follows here.
    Not,
    /// One cell less cells of one table along one dimension: it is, where releases published before have not told.
    UnlessTold,
    /// One cell less another, of releases that do not hold both: `protect --after` guards it.
    Always,
}

/// What was tried, and what was found.
#[derive(Default)]
pub(super) struct Found {
    pub rests: Vec<Rest>,
    /// Differences judged.
    pub tried: u64,
    /// Pairs of which some unions were above the limit.
    pub untried: u64,
}

/// A shown cell: its coordinates and its sum.
struct Shown<'a> {
    place: &'a Place,
    atoms: &'a [u32],
}

/// No cell of F.
const NOWHERE: u32 = u32::MAX;

/// Tries every pair of the sums that are `known`, by row; `extra` are more rests, each with the sum it was left of. What is
/// left is judged by the rules that hold everywhere and by those of the tables (`rules_of` each) that show what it is left
/// of, and of which it was taken.
pub(super) fn differences(
    puzzle: &Puzzle,
    known: &[bool],
    rules_of: &[Vec<&Rules>],
    breaks: &dyn Fn(&rules::Judged, &[&Rules]) -> bool,
    extra: &[(u32, Vec<u32>)],
) -> Found {
    let mut random = Random(SEED);
    let mark: Vec<u128> =
        puzzle.atoms.iter().map(|_| u128::from(random.next()) << 64 | u128::from(random.next())).collect();
    let print = |atoms: &[u32]| atoms.iter().fold(0_u128, |sum, &a| sum.wrapping_add(mark[a as usize]));
    let mut work = Work {
        puzzle,
        rules_of,
        breaks,
        cells: puzzle.rows.iter().map(|row| print(&row.atoms)).collect(),
        safe: HashSet::new(),
        found_at: HashMap::new(),
        mark,
        found: Found::default(),
    };
    let mut tables: Vec<BTreeMap<(&[(u32, u32)], u32), &Place>> = vec![BTreeMap::new(); puzzle.tables() as usize];
    // A sum shown by one cell is known for every cell that is that sum.
    let shown = puzzle.rows.iter().enumerate().filter(|(r, _)| known[*r]);
    let places: Vec<Place> = shown
        .flat_map(|(r, row)| {
            row.cells.iter().map(move |(table, key)| Place { row: r as u32, table: *table, key: key.clone() })
        })
        .collect();
    for place in &places {
        tables[place.table as usize].insert((&place.key, place.row), place);
    }
    let cells = |table: usize| {
        tables[table].values().map(|&place| Shown { place, atoms: &puzzle.rows[place.row as usize].atoms })
    };
    let mut zonings: BTreeMap<(u32, Vec<u32>), Vec<Shown<'_>>> = BTreeMap::new();
    let mut parts: BTreeMap<(u32, usize, Vec<u32>), Vec<Shown<'_>>> = BTreeMap::new();
    for table in 0..tables.len() {
        for cell in cells(table) {
            let shape: Vec<u32> = cell.place.key.iter().map(|k| k.0).collect();
            for free in 0..shape.len() {
                let mut others = shape.clone();
                others[free] = NOWHERE;
                let cell = Shown { place: cell.place, atoms: cell.atoms };
                parts.entry((table as u32, free, others)).or_default().push(cell);
            }
            zonings.entry((table as u32, shape)).or_default().push(cell);
        }
    }
    for parts in parts.values_mut() {
        parts.sort_by_key(|cell| (std::cmp::Reverse(cell.atoms.len()), cell.place.row));
    }
    // A parent and its children first: one rest may be left in several ways, and this is its plainest name.
    for wants_children in [true, false] {
        for ((f_table, shape), f) in &zonings {
            let mut cell_of = vec![NOWHERE; puzzle.atoms.len()];
            for (i, cell) in f.iter().enumerate() {
                cell.atoms.iter().for_each(|&a| cell_of[a as usize] = i as u32);
            }
            for ((g_table, free, others), g) in &parts {
                // One table, and nothing but the free dimension differs.
                let same = shape.iter().enumerate().all(|(d, level)| d == *free || others.get(d) == Some(level));
                let children = f_table == g_table && same;
                if children == wants_children {
                    work.pair(f, &cell_of, g, children);
                }
            }
        }
    }
    for (row, rest) in extra {
        let place = puzzle.place(*row);
        let cell = Shown { place, atoms: &puzzle.rows[*row as usize].atoms };
        work.judge(&[&cell], &[], rest.clone(), false);
    }
    work.found
}

struct Work<'a> {
    puzzle: &'a Puzzle,
    rules_of: &'a [Vec<&'a Rules>],
    breaks: &'a dyn Fn(&rules::Judged, &[&Rules]) -> bool,
    /// Sets of atoms, by a fingerprint: cells; what is safe by the rules of some tables; and where the others are found.
    cells: HashSet<u128>,
    safe: HashSet<(u128, Vec<u32>)>,
    found_at: HashMap<u128, usize>,
    mark: Vec<u128>,
    found: Found,
}

impl<'a> Work<'a> {
    fn pair(&mut self, f: &[Shown<'a>], cell_of: &[u32], g: &[Shown<'a>], children: bool) {
        // For each cell of G that lies in shown cells of F alone: which, at most.
        let mut inside: Vec<Vec<u32>> = vec![Vec::new(); f.len()];
        let mut ties: BTreeMap<Vec<u32>, Vec<u32>> = BTreeMap::new();
        let mut group: Vec<u32> = (0..f.len() as u32).collect();
        for (i, cell) in g.iter().enumerate() {
            let mut held: Vec<u32> = Vec::new();
            let mut last = NOWHERE;
            let within = cell.atoms.iter().all(|&a| {
                let holder = cell_of[a as usize];
                if holder != last && holder != NOWHERE {
                    last = holder;
                    held.push(holder);
                }
                holder != NOWHERE
            });
            held.sort_unstable();
            held.dedup();
            match held[..] {
                _ if !within => {}
                [] => {}
                [only] if cell.place.row == f[only as usize].place.row => {}
                [only] => inside[only as usize].push(i as u32),
                [first, ..] => {
                    for &other in &held[1..] {
                        let (a, b) = (root(&mut group, first), root(&mut group, other));
                        group[a.max(b) as usize] = a.min(b);
                    }
                    ties.entry(held).or_default().push(i as u32);
                }
            }
        }
        for (i, cell) in f.iter().enumerate().filter(|(i, _)| !inside[*i].is_empty()) {
            let away: Vec<&Shown<'_>> = inside[i].iter().map(|&g_cell| &g[g_cell as usize]).collect();
            self.subtract(&[cell], &away, children);
        }
        if ties.is_empty() {
            return;
        }
        let mut unions: BTreeSet<Vec<u32>> = ties.keys().filter(|held| held.len() <= 3).cloned().collect();
        let mut tied_to: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for pair in ties.keys().filter(|held| held.len() == 2) {
            tied_to.entry(pair[0]).or_default().insert(pair[1]);
            tied_to.entry(pair[1]).or_default().insert(pair[0]);
        }
        'all: for (&middle, near) in &tied_to {
            for &a in near {
                for &b in near.range(a + 1..) {
                    if unions.len() >= UNIONS_MAX {
                        self.found.untried += 1;
                        break 'all;
                    }
                    let mut union = vec![a, b, middle];
                    union.sort_unstable();
                    unions.insert(union);
                }
            }
        }
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for i in 0..f.len() as u32 {
            groups.entry(root(&mut group, i)).or_default().push(i);
        }
        unions.extend(groups.into_values().filter(|members| members.len() > 1));
        let tie_list: Vec<(&Vec<u32>, &Vec<u32>)> = ties.iter().collect();
        let mut ties_of: Vec<Vec<u32>> = vec![Vec::new(); f.len()];
        for (t, (held, _)) in tie_list.iter().enumerate() {
            held.iter().for_each(|&i| ties_of[i as usize].push(t as u32));
        }
        for union in unions {
            let mut tied: Vec<u32> = union.iter().flat_map(|&i| ties_of[i as usize].iter().copied()).collect();
            tied.sort_unstable();
            tied.dedup();
            tied.retain(|&t| tie_list[t as usize].0.iter().all(|i| union.binary_search(i).is_ok()));
            let mut away: Vec<u32> = union.iter().flat_map(|&i| inside[i as usize].iter().copied()).collect();
            away.extend(tied.iter().flat_map(|&t| tie_list[t as usize].1));
            // Larger cells first, as G is sorted.
            away.sort_unstable();
            let away: Vec<&Shown<'_>> = away.iter().map(|&g_cell| &g[g_cell as usize]).collect();
            let from: Vec<&Shown<'_>> = union.iter().map(|&i| &f[i as usize]).collect();
            self.subtract(&from, &away, false);
        }
    }

    /// `away` is sorted by size, the largest first, and its cells are nested or disjoint.
    fn subtract(&mut self, from: &[&Shown<'_>], away: &[&Shown<'_>], children: bool) {
        let mut taken: HashSet<u32> = HashSet::new();
        let mut used: Vec<&Shown<'_>> = Vec::new();
        for cell in away {
            if !cell.atoms.iter().any(|a| taken.contains(a)) {
                taken.extend(cell.atoms);
                used.push(cell);
            }
        }
        let mut rest: Vec<u32> = from.iter().flat_map(|cell| cell.atoms.iter().copied()).collect();
        rest.retain(|a| !taken.contains(a));
        rest.sort_unstable();
        self.judge(from, &used, rest, children);
    }

    fn judge(&mut self, from: &[&Shown<'_>], away: &[&Shown<'_>], rest: Vec<u32>, children: bool) {
        self.found.tried += 1;
        let print = rest.iter().fold(0_u128, |sum, &a| sum.wrapping_add(self.mark[a as usize]));
        if rest.is_empty() {
            return;
        }
        let listed = |cell: &Shown<'_>| -> BTreeSet<&str> {
            let tables = self.puzzle.rows[cell.place.row as usize].cells.iter().map(|c| c.0);
            tables.map(|table| self.puzzle.table(table).0).collect()
        };
        let guarded = || match (from, away) {
            ([from], [away]) if listed(from).is_disjoint(&listed(away)) => Guarded::Always,
            ([_], [_, ..]) => Guarded::UnlessTold,
            _ => Guarded::Not,
        };
        if self.cells.contains(&print) {
            return;
        }
        let whole = from.iter().flat_map(|cell| &self.puzzle.rows[cell.place.row as usize].cells).map(|cell| cell.0);
        let mut tables: Vec<u32> = whole.chain(away.iter().map(|cell| cell.place.table)).collect();
        tables.retain(|&table| !self.rules_of[table as usize].is_empty());
        tables.sort_unstable();
        tables.dedup();
        let known = self.found_at.get(&print).copied();
        // Left in another way before, which may be one that nothing guards.
        let guarded = guarded();
        if known.is_some_and(|at| guarded <= self.found.rests[at].guarded)
            || self.safe.contains(&(print, tables.clone()))
        {
            return;
        }
        let establishments = rest.iter().map(|&a| self.puzzle.atoms[a as usize].establishments).sum();
        let more: Vec<&Rules> =
            tables.iter().flat_map(|&table| self.rules_of[table as usize].iter().copied()).collect();
        // What is public beside all tables is no secret of theirs.
        let is_public = || self.puzzle.known(&rest, None).is_point();
        if !(self.breaks)(&self.puzzle.judged(&rest, establishments), &more) || is_public() {
            self.safe.insert((print, tables));
            return;
        }
        let fault = self.fault(from, away, children);
        match known {
            Some(at) => {
                let known = &mut self.found.rests[at];
                (known.guarded, known.fault) = (guarded, fault);
            }
            None => {
                self.found_at.insert(print, self.found.rests.len());
                self.found.rests.push(Rest { fault, guarded, atoms: rest });
            }
        }
    }

    fn fault(&self, from: &[&Shown<'_>], away: &[&Shown<'_>], children: bool) -> Fault {
        let kind = if children { FaultKind::PooledRemainder } else { FaultKind::Difference };
        let (release, table) = self.puzzle.table(from[0].place.table);
        let mut cell = self.names(from);
        if !away.is_empty() {
            cell += " less ";
            cell += &self.names(away);
        } else {
            cell += " less what is shown of it";
        }
        Fault { release: release.to_owned(), table: table.to_owned(), cell, kind }
    }

    fn names(&self, cells: &[&Shown<'_>]) -> String {
        let name = |cell: &&Shown<'_>| format!("({})", self.puzzle.name(cell.place));
        let mut names = cells.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(" + ");
        if cells.len() > NAMED_MAX {
            names += &format!(" + {} more", cells.len() - NAMED_MAX);
        }
        names
    }
}

fn root(group: &mut [u32], of: u32) -> u32 {
    let mut at = of;
    while group[at as usize] != at {
        group[at as usize] = group[group[at as usize] as usize];
        at = group[at as usize];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, records};
    use super::super::{Checks, Noted, ReleasedTable, ReleasedTables, examine};
    use super::*;
    use crate::steps::secrecy::{Column, Microdata, Spec, protect, tabulate};
    use proptest::prelude::*;

    const TWO: &str = "contributor='who'\nweight='heads'\n[rules]\nmin_contributors=3\n[protection]\ninsiders=false\n\
                       [dimensions.zone]\nlevels=['zone']\n[dimensions.act]\nlevels=['act']\n\
                       [[tables]]\nname='zones'\ndimensions=['zone']\n[[tables]]\nname='acts'\ndimensions=['act']\n";

    /// One table by one column, each cell a set of records of weight one; withheld where fewer than three hold it.
    fn table(name: &str, column: &str, cells: &[(String, Vec<usize>)]) -> ReleasedTable {
        let header = [column, &format!("{column}_level"), "establishments", "headcount", "status"].map(str::to_owned);
        let row = |(code, members): &(String, Vec<usize>)| {
            let level = if code == "TOTAL" { "TOTAL" } else { column };
            let n = members.len().to_string();
            let [n, heads, status] = if members.len() < 3 { ["", "", "withheld"] } else { [&n, &n, "published"] };
            [code.as_str(), level, n, heads, status].map(str::to_owned).to_vec()
        };
        ReleasedTable { name: name.into(), header: header.to_vec(), rows: cells.iter().map(row).collect() }
    }

    fn cells(letter: char, codes: &[usize]) -> Vec<(String, Vec<usize>)> {
        let mut cells = vec![("TOTAL".to_owned(), (0..codes.len()).collect::<Vec<_>>())];
        for code in 0..4 {
            let members: Vec<usize> = (0..codes.len()).filter(|&i| codes[i] == code).collect();
            if !members.is_empty() {
                cells.push((format!("{letter}{code}"), members));
            }
        }
        cells
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Every union of shown zones less every choice of shown acts within it, and the other way round, by a plain loop.
        #[test]
        fn each_difference_of_unions_is_found(places in prop::collection::vec((0..4_usize, 0..4_usize), 3..24)) {
            let text: Vec<String> =
                places.iter().enumerate().map(|(i, (z, a))| format!("f{i}:1:z{z}:a{a}")).collect();
            let micro = records(&text.join(" "));
            let zones = cells('z', &places.iter().map(|p| p.0).collect::<Vec<_>>());
            let acts = cells('a', &places.iter().map(|p| p.1).collect::<Vec<_>>());
            let one_release = [ReleasedTables {
                name: "r".into(),
                tables: vec![table("zones", "zone", &zones), table("acts", "act", &acts)],
            }];
            let checks = Checks { remainders_are_faults: true, ..Checks::default() };
            let spec = Spec::parse(TWO).unwrap();
            let verdict = examine(&micro, &spec, &one_release, &checks).unwrap();

            let mut unsafe_rest = None;
            for (f, g) in [(&zones, &acts), (&acts, &zones), (&zones, &zones), (&acts, &acts)] {
                // Without the total, which overlaps the others.
                let shown = |cells: &[(String, Vec<usize>)]| -> Vec<Vec<usize>> {
                    cells[1..].iter().filter(|c| c.1.len() >= 3).map(|c| c.1.clone()).collect()
                };
                let (mut of_f, of_g) = (shown(f), shown(g));
                let singles = of_f.len();
                of_f.push(f[0].1.clone());
                for from in 1..1_u32 << singles {
                    let union: BTreeSet<usize> =
                        (0..singles).filter(|i| from >> i & 1 == 1).flat_map(|i| of_f[i].iter().copied()).collect();
                    let total: BTreeSet<usize> = of_f[singles].iter().copied().collect();
                    for union in [&union, &total] {
                        for away in 1..1_u32 << of_g.len() {
                            let away: BTreeSet<usize> =
                                (0..of_g.len()).filter(|i| away >> i & 1 == 1).flat_map(|i| of_g[i].iter().copied()).collect();
                            let rest = union.difference(&away).count();
                            if away.is_subset(union) && (1..3).contains(&rest) {
                                unsafe_rest = Some((union.clone(), away));
                            }
                        }
                    }
                }
            }
            let kinds = [FaultKind::Difference, FaultKind::PooledRemainder, FaultKind::Exact];
            let told = kinds.iter().any(|k| verdict.by_kind.contains_key(k)) || verdict.unsafe_remainders > 0;
            prop_assert!(unsafe_rest.is_none() || told, "{:?}", unsafe_rest);
            // In one release those that a protection guards are faults, unless nobody asks.
            let notes = examine(&micro, &spec, &one_release, &Checks { remainders_are_faults: false, ..checks }).unwrap();
            let named = |verdict: &super::super::Verdict| {
                [FaultKind::Difference, FaultKind::PooledRemainder].iter().filter_map(|k| verdict.by_kind.get(k)).sum::<u64>()
            };
            prop_assert_eq!((named(&notes), notes.unsafe_remainders), (0, named(&verdict) + verdict.unsafe_remainders));
            prop_assert!(verdict.remainders.iter().all(|note| note.1 == Noted::Several));
        }
    }

    const NESTED: &str = "contributor='who'\nweight='heads'\n[rules]\nmin_contributors=3\n[protection]\ninsiders=false\n\
                          [dimensions.place]\nlevels=['zone','act']\n[[tables]]\nname='t'\ndimensions=['place']\n";

    /// A has three divisions of three, one and one: two firms are left beside the shown one.
    const POOLED: &str = "a:5:A:A1 b:5:A:A1 c:5:A:A1 d:5:A:A2 e:5:A:A3 f:5:B:B1 g:5:B:B1 h:5:B:B1";

    /// What is shown of them, a row a word.
    fn nested(rows: &str) -> ReleasedTables {
        let header = ["place", "place_level", "establishments", "headcount", "status"].map(str::to_owned).to_vec();
        let rows = rows.split_whitespace().map(|row| row.split(',').map(str::to_owned).collect()).collect();
        ReleasedTables { name: "r".into(), tables: vec![ReleasedTable { name: "t".into(), header, rows }] }
    }

    const LEFT: &str = "TOTAL,TOTAL,8,40,published A,zone,5,25,published B,zone,3,15,published A1,act,3,15,published \
                        A2,act,,,withheld A3,act,,,withheld B1,act,3,15,published";

    #[test]
    fn the_rest_of_a_parent_beside_its_shown_children_is_a_pooled_remainder() {
        let (spec, micro, releases) = (Spec::parse(NESTED).unwrap(), records(POOLED), [nested(LEFT)]);
        let faults = Checks { remainders_are_faults: true, ..Checks::default() };
        let verdict = examine(&micro, &spec, &releases, &faults).unwrap();
        assert_eq!(found(&verdict), ["(t: zone=A) less (t: act=A1) pooled_remainder"]);
        let notes = Checks { remainders_are_faults: false, ..faults };
        let verdict = examine(&micro, &spec, &releases, &notes).unwrap();
        assert!(verdict.is_safe() && verdict.unsafe_remainders == 1, "{verdict:?}");
    }

    #[test]
    fn a_rest_that_releases_published_before_give_away_is_a_note() {
        let (spec, micro) = (Spec::parse(NESTED).unwrap(), records(POOLED));
        let closed = LEFT.replace("A1,act,3,15,published", "A1,act,,,withheld");
        for (releases, before, expected) in [
            ([LEFT, LEFT], &[][..], None),
            ([LEFT, LEFT], &[0], Some(Noted::Told)),
            ([LEFT, &closed], &[0], Some(Noted::Told)),
            ([LEFT, &closed], &[1], None),
            ([&closed, LEFT], &[1], Some(Noted::Told)),
        ] {
            let checks = Checks { before, ..Checks::default() };
            let verdict = examine(&micro, &spec, &releases.map(nested), &checks).unwrap();
            let noted: Vec<Noted> = verdict.remainders.iter().map(|note| note.1).collect();
            assert_eq!((verdict.is_safe(), noted), (expected.is_some(), Vec::from_iter(expected)), "{before:?}");
        }
    }

    #[test]
    fn a_rest_of_the_pattern_that_a_correction_keeps_is_a_note() {
        let (spec, micro) = (Spec::parse(NESTED).unwrap(), records(POOLED));
        for (is_correction, expected) in [(true, Some(Noted::Frozen)), (false, None)] {
            let checks = Checks { is_correction, ..Checks::default() };
            let verdict = examine(&micro, &spec, &[nested(LEFT)], &checks).unwrap();
            let noted: Vec<Noted> = verdict.remainders.iter().map(|note| note.1).collect();
            assert_eq!((verdict.is_safe(), noted), (is_correction, Vec::from_iter(expected)));
        }
    }

    #[test]
    fn a_rest_that_is_guarded_in_one_way_is_a_fault_whatever_ways_are_tried_before() {
        // {1} is a + b less c, which nothing guards, and P less c, in whatever order the tables stand.
        let ids = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
        let micro = records(&ids.map(|id| format!("f{id}:5")).join(" "));
        let columns = [
            ("parts", ["a", "a", "a", "a", "b", "b", "b", "b", "o", "o", "o"]),
            ("whole", ["P", "P", "P", "P", "P", "P", "P", "P", "o", "o", "o"]),
            ("across", ["d", "c", "c", "c", "c", "c", "c", "c", "d", "d", "d"]),
        ];
        let columns = columns.map(|(name, codes)| Column::of(name, &codes.map(Some)));
        let micro = Microdata { columns: columns.to_vec(), ..micro };
        let shown = [("parts", "a,4 b,4 o,"), ("whole", "P,8 o,"), ("across", "c,7 d,")];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut text = TWO[..TWO.find("[dimensions").unwrap()].to_owned();
            shown.iter().for_each(|(name, _)| text += &format!("[dimensions.{name}]\nlevels=['{name}']\n"));
            let table = |(name, rows): (&str, &str)| {
                text += &format!("[[tables]]\nname='{name}'\ndimensions=['{name}']\n");
                let row = |row: &str| match row.split_once(',') {
                    Some((code, n)) if !n.is_empty() => {
                        format!("{code},{name},{n},{},published", 5 * n.parse::<u64>().unwrap())
                    }
                    _ => format!("{}{name},,,withheld", row),
                };
                let rows: Vec<String> = rows.split(' ').map(row).collect();
                let mut table = nested(&format!("TOTAL,TOTAL,,,withheld {}", rows.join(" "))).tables.remove(0);
                table.name = name.to_owned();
                (table.header[0], table.header[1]) = (name.to_owned(), format!("{name}_level"));
                table
            };
            let tables = order.map(|t| shown[t]).map(table).to_vec();
            let release = ReleasedTables { name: "r".into(), tables };
            let verdict = examine(&micro, &Spec::parse(&text).unwrap(), &[release], &Checks::default()).unwrap();
            assert_eq!(found(&verdict), ["(whole: whole=P) less (across: across=c) difference"], "{order:?}");
        }
    }

    #[test]
    fn a_safe_cell_that_follows_from_what_is_shown_counts_as_shown() {
        // A1 is withheld, and follows: it and B1 are one set, which is shown, and so is B1.
        let mut micro = records(&format!("{POOLED} i:5:C:C1 j:5:C:C1 k:5:C:C1"));
        let sets = ["1", "1", "1", "2", "2", "1", "1", "1", "2", "2", "2"].map(Some);
        micro.columns.push(Column::of("set", &sets));
        let sets = "[dimensions.set]\nlevels=['set']\n[[tables]]\nname='u'\ndimensions=['set']\n";
        let spec = Spec::parse(&format!("{NESTED}{sets}")).unwrap();
        for (shown, expected) in [
            (
                "1,set,6,30,published 2,set,,,withheld TOTAL,TOTAL,11,55,published",
                vec!["(t: zone=A) less (t: act=A1) pooled_remainder"],
            ),
            ("1,set,,,withheld 2,set,,,withheld TOTAL,TOTAL,11,55,published", vec![]),
        ] {
            let mut release = nested(
                &LEFT
                    .replace("A1,act,3,15,published", "A1,act,,,withheld C,zone,3,15,published C1,act,3,15,published")
                    .replace("8,40", "11,55"),
            );
            let mut of_sets = nested(shown).tables.remove(0);
            of_sets.name = "u".into();
            of_sets.header[0] = "set".into();
            of_sets.header[1] = "set_level".into();
            release.tables.push(of_sets);
            let verdict = examine(&micro, &spec, &[release], &Checks::default()).unwrap();
            let remainders: Vec<String> =
                found(&verdict).into_iter().filter(|fault| fault.ends_with("pooled_remainder")).collect();
            assert_eq!(remainders, expected, "{verdict:?}");
        }
    }

    #[test]
    fn what_protection_withholds_for_a_rest_is_missed_when_it_is_opened() {
        let (spec, micro) = (Spec::parse(NESTED).unwrap(), records(POOLED));
        let raw = tabulate(&micro, &spec).unwrap();
        let (tables, dossier) = protect(&raw, &spec.rules, &spec.protection, &[]).unwrap();
        assert_eq!((dossier.counts.primary, dossier.counts.secondary), (2, 1));
        let proof = dossier.proof.bytes();
        let checks = Checks { certificate: Some(&proof), mutations: 9, ..Checks::default() };
        let verdict = examine(&micro, &spec, &[ReleasedTables::of("r", &tables)], &checks).unwrap();
        assert_eq!(found(&verdict), Vec::<String>::new());
        let mutations = verdict.mutations.unwrap();
        assert_eq!((mutations.secondary, mutations.secondary_caught), (1, 1));
    }
}
