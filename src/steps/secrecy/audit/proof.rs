//! The certificate, verified: no solver, whole numbers alone, and nothing of the protector's but the file it wrote.
//!
//! A witness is a move over atoms, `scale` of its units to one employee. It is true when it leaves every sum shown by
//! every release as it is and each atom within what everybody knows of it (not below zero, and within the public bounds
//! of its establishments): the table moved by it looks the same from outside. A true witness proves the upper (lower) end
//! of an unsafe cell when it moves the cell up (down) by its level, and no further than what everybody knows of the cell.
//!
//! What a contributor knows decides which witnesses it can exclude:
//! - alone in an atom, it knows the atom, and excludes each witness that moves it;
//! - with others in an atom, it knows its own weight, and of the others what everybody knows;
//! - a cell whose other atoms are all zero for everybody to see is its own figure, and no secret from it;
//! - inside a cell, it knows its own weight there: both ends go no further than what it knows of the others lets them;
//! - what releases published before told it by themselves is asked back by nobody.
//!
//! Where the specification asks for it, each end of each unsafe cell needs, for every contributor, some witness that the
//! contributor cannot exclude.

use super::form::Puzzle;
use super::{Fault, FaultKind, NotAuditable, ToldEnds, Verdict};
use serde::Deserialize;
use std::collections::HashMap;

/// What the first line must say.
const FORMAT: &str = "arpent certificate 1";

/// Largest certificate read, in bytes.
pub(super) const BYTES_MAX: usize = 1 << 30;

/// Largest scale: far above any that a protector can need, far below what 128 bits hold.
const SCALE_MAX: i64 = 1_000_000_000;

/// Columns, as a bound on the length of an atom's name.
const LEVELS_MAX: usize = 1_000;

/// A certificate as read: well formed, and not yet believed.
pub(super) struct Proof {
    levels: Vec<String>,
    /// The line of each atom, and its codes.
    atoms: Vec<Vec<Option<String>>>,
    witnesses: Vec<Claim>,
}

/// A witness as read.
struct Claim {
    line: usize,
    scale: i64,
    /// By place among the atoms.
    moves: Vec<(u64, i64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    #[serde(rename = "insiders")]
    _insiders: bool,
    levels: Vec<String>,
    atoms: usize,
    witnesses: usize,
    cells: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtomLine {
    atom: usize,
    codes: Vec<Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessLine {
    witness: usize,
    scale: i64,
    moves: Vec<(u64, i64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellLine {
    #[serde(rename = "cells")]
    _cells: Vec<String>,
    up: Vec<usize>,
    down: Vec<usize>,
}

fn bad(line: usize, found: impl Into<String>, expected: impl Into<String>) -> NotAuditable {
    NotAuditable::BadCertificate { line, found: found.into(), expected: expected.into() }
}

impl Proof {
    /// Reads a certificate; a torn or foreign one is refused with its line.
    pub fn read(bytes: &[u8]) -> Result<Self, NotAuditable> {
        if bytes.len() > BYTES_MAX {
            return Err(bad(1, format!("{} bytes", bytes.len()), format!("{BYTES_MAX} at most")));
        }
        let Some(body) = bytes.strip_suffix(b"\n") else {
            let line = bytes.split(|b| *b == b'\n').count();
            return Err(bad(line, "a file that ends inside a line", "a whole certificate"));
        };
        let end = body.split(|b| *b == b'\n').count() + 1;
        let mut lines = body.split(|b| *b == b'\n').zip(1..);
        let first = lines.next().map(|l| l.0).unwrap_or_default();
        let header: Header = serde_json::from_slice(first)
            .map_err(|_| bad(1, "another first line", format!("the first line of an {FORMAT}")))?;
        if header.format != FORMAT {
            return Err(bad(1, "another format", FORMAT));
        }
        if header.levels.len() > LEVELS_MAX {
            return Err(bad(1, format!("{} levels", header.levels.len()), format!("{LEVELS_MAX} at most")));
        }
        let mut next = |what: &str, i: usize, of: usize| {
            let torn = || bad(end, "the end of the file", format!("{what} {i} of {of}"));
            lines.next().ok_or_else(torn)
        };
        let mut atoms = Vec::new();
        for i in 0..header.atoms {
            let (text, line) = next("atom", i, header.atoms)?;
            let found: AtomLine = serde_json::from_slice(text)
                .map_err(|_| bad(line, "a line that is no atom", format!("atom {i} of {}", header.atoms)))?;
            if found.atom != i {
                return Err(bad(line, format!("atom {}", found.atom), format!("atom {i}")));
            }
            if found.codes.len() != header.levels.len() {
                let expected = format!("{}, one a level", header.levels.len());
                return Err(bad(line, format!("{} codes", found.codes.len()), expected));
            }
            atoms.push(found.codes);
        }
        let mut witnesses = Vec::new();
        for i in 0..header.witnesses {
            let (text, line) = next("witness", i, header.witnesses)?;
            let found: WitnessLine = serde_json::from_slice(text)
                .map_err(|_| bad(line, "a line that is no witness", format!("witness {i} of {}", header.witnesses)))?;
            if found.witness != i {
                return Err(bad(line, format!("witness {}", found.witness), format!("witness {i}")));
            }
            if !(1..=SCALE_MAX).contains(&found.scale) {
                return Err(bad(line, "another scale", format!("a scale from 1 to {SCALE_MAX}")));
            }
            if found.moves.iter().any(|m| m.0 >= atoms.len() as u64) {
                return Err(bad(line, "a move of an atom that is not listed", "atoms of this certificate"));
            }
            witnesses.push(Claim { line, scale: found.scale, moves: found.moves });
        }
        for i in 0..header.cells {
            let (text, line) = next("cell", i, header.cells)?;
            let found: CellLine = serde_json::from_slice(text)
                .map_err(|_| bad(line, "a line that is no cell", format!("cell {i} of {}", header.cells)))?;
            if found.up.iter().chain(&found.down).any(|&w| w >= witnesses.len()) {
                return Err(bad(line, "a witness that is not listed", "witnesses of this certificate"));
            }
        }
        match lines.next() {
            None => Ok(Self { levels: header.levels, atoms, witnesses }),
            Some((_, line)) => Err(bad(line, "one line more", "the end of the certificate")),
        }
    }
}

/// What a certificate proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Certified {
    /// Witnesses in it.
    pub witnesses: u64,
    /// Witnesses that are true.
    pub witnesses_true: u64,
    /// Ends of unsafe cells to be proved.
    pub ends: u64,
    /// Ends that are proved.
    pub ends_proved: u64,
    /// Ends that are proved by witnesses that move whole employees, and so against whoever uses that headcounts are whole.
    pub ends_whole: u64,
}

/// A true witness.
struct Witness {
    scale: i128,
    /// Whether it moves whole employees alone.
    is_whole: bool,
    /// Contributors who can exclude it, ascending.
    excluded_by: Vec<u32>,
}

/// Checks each witness, then each end of each unsafe sum that is withheld; `levels` has the level of each unsafe sum.
pub(super) fn verify(
    puzzle: &Puzzle,
    levels: &[Option<u64>],
    insiders: bool,
    told: &ToldEnds,
    proof: &Proof,
    verdict: &mut Verdict,
) -> Result<(), NotAuditable> {
    let atoms = atoms_of(puzzle, proof)?;
    let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); puzzle.atoms.len()];
    for (r, row) in puzzle.rows.iter().enumerate().filter(|(r, row)| row.shown || levels[*r].is_some()) {
        row.atoms.iter().for_each(|&a| rows_of[a as usize].push(r as u32));
    }
    let mut certified = Certified { witnesses: proof.witnesses.len() as u64, ..Certified::default() };
    let mut witnesses: Vec<Witness> = Vec::new();
    // For each unsafe sum, the witnesses that move it and by how much.
    let mut movers: HashMap<u32, Vec<(u32, i128)>> = HashMap::new();
    for claim in &proof.witnesses {
        match check(puzzle, &rows_of, &atoms, claim) {
            Ok((witness, moved)) => {
                let name = witnesses.len() as u32;
                moved.into_iter().for_each(|(row, by)| movers.entry(row).or_default().push((name, by)));
                witnesses.push(witness);
            }
            Err((kind, row)) => verdict.add(kind, || Fault {
                release: "certificate".to_owned(),
                table: format!("line {}", claim.line),
                cell: match row {
                    Some(row) => puzzle.name(puzzle.place(row)),
                    None => "an atom".to_owned(),
                },
                kind,
            }),
        }
    }
    certified.witnesses_true = witnesses.len() as u64;
    let known_zero = known_zero(puzzle);
    for (r, row) in puzzle.rows.iter().enumerate().filter(|(_, row)| !row.shown) {
        let Some(level) = levels[r] else { continue };
        let movers = movers.get(&(r as u32)).map_or(&[][..], Vec::as_slice);
        let [up, down] = puzzle.far(row, level, None);
        let ends = [(1, up), (-1, down)];
        let mut worst: Option<FaultKind> = None;
        for (sign, far) in ends.into_iter().filter(|end| end.1 > 0) {
            certified.ends += 1;
            let reach = |by: u64, whole: bool| {
                let witnesses = &witnesses;
                let reaches = move |m: &&(u32, i128)| sign * m.1 >= i128::from(by) * witnesses[m.0 as usize].scale;
                let reaching = movers.iter().filter(reaches).map(move |m| &witnesses[m.0 as usize]);
                reaching.filter(move |w| w.is_whole || !whole)
            };
            let missing = |whole: bool| {
                let mut full = reach(far, whole);
                let Some(first) = full.next() else { return Some(FaultKind::Unproven) };
                if !insiders {
                    return None;
                }
                let mut excluding = first.excluded_by.clone();
                full.for_each(|w| excluding.retain(|who| w.excluded_by.binary_search(who).is_ok()));
                let fooled = |who: &u32| {
                    if told.contains(&(r as u32, sign > 0, *who)) {
                        return true;
                    }
                    let is_own = |a: &u32| puzzle.atoms[*a as usize].contributions.iter().any(|c| c.0 == *who);
                    if !row.atoms.iter().any(is_own) {
                        return false;
                    }
                    let of_others = |&a: &u32| {
                        !known_zero[a as usize] && puzzle.atoms[a as usize].contributions.iter().any(|c| c.0 != *who)
                    };
                    if !row.atoms.iter().any(of_others) {
                        return true;
                    }
                    let [up, down] = puzzle.far(row, level, Some(*who));
                    let less = if sign > 0 { up } else { down };
                    less == 0 || (less < far && reach(less, whole).any(|w| w.excluded_by.binary_search(who).is_err()))
                };
                (!excluding.iter().all(fooled)).then_some(FaultKind::UnprovenInsider)
            };
            let kind = missing(false);
            certified.ends_proved += u64::from(kind.is_none());
            certified.ends_whole += u64::from(kind.is_none() && missing(true).is_none());
            worst = match (worst, kind) {
                (Some(FaultKind::Unproven), _) | (_, None) => worst,
                (_, kind) => kind,
            };
        }
        if let Some(kind) = worst {
            verdict.add(kind, || puzzle.fault(puzzle.place(r as u32), kind));
        }
    }
    verdict.certified = Some(certified);
    Ok(())
}

/// The atom of the puzzle that each atom of the certificate names; `None` where no record has these codes.
fn atoms_of(puzzle: &Puzzle, proof: &Proof) -> Result<Vec<Option<u32>>, NotAuditable> {
    let quoted = |names: &mut dyn Iterator<Item = &str>| names.map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let place: Option<Vec<usize>> =
        puzzle.used.iter().map(|(name, _)| proof.levels.iter().position(|level| level == name)).collect();
    let place = place.filter(|p| p.len() == proof.levels.len()).ok_or_else(|| {
        bad(
            1,
            format!("atoms told apart by {}", quoted(&mut proof.levels.iter().map(String::as_str))),
            format!(
                "{}, the columns of the releases named; a release made after others needs them named too, and one set of \
                 records that has the codes of all of them",
                quoted(&mut puzzle.used.iter().map(|u| u.0.as_str()))
            ),
        )
    })?;
    let atom = |codes: &Vec<Option<String>>| {
        let code = |(&at, (_, labels)): (&usize, &(String, Vec<String>))| match &codes[at] {
            None => Some(None),
            Some(code) => labels.binary_search(code).ok().map(|c| Some(c as u32)),
        };
        let codes: Vec<Option<u32>> = place.iter().zip(&puzzle.used).map(code).collect::<Option<_>>()?;
        puzzle.atom_of.get(&codes).copied()
    };
    Ok(proof.atoms.iter().map(atom).collect())
}

/// A true witness and how far it moves each unsafe sum; or what is false, and the sum that it is false about.
type Checked = Result<(Witness, Vec<(u32, i128)>), (FaultKind, Option<u32>)>;

fn check(puzzle: &Puzzle, rows_of: &[Vec<u32>], atoms: &[Option<u32>], claim: &Claim) -> Checked {
    let scale = i128::from(claim.scale);
    let mut moves: HashMap<u32, i128> = HashMap::new();
    for &(at, by) in &claim.moves {
        let atom = atoms[at as usize].ok_or((FaultKind::WitnessUnknownAtom, None))?;
        *moves.entry(atom).or_default() += i128::from(by);
    }
    let mut moves: Vec<(u32, i128)> = moves.into_iter().filter(|m| m.1 != 0).collect();
    moves.sort_unstable();
    let mut sums: HashMap<u32, i128> = HashMap::new();
    let mut excluded_by = Vec::new();
    for &(a, by) in &moves {
        let atom = &puzzle.atoms[a as usize];
        let left = i128::from(atom.value) * scale + by;
        let smallest = || rows_of[a as usize].iter().copied().min_by_key(|&r| (puzzle.rows[r as usize].atoms.len(), r));
        if left < 0 {
            return Err((FaultKind::WitnessBelowZero, smallest()));
        }
        if !atom.public().allow(left, scale) {
            return Err((FaultKind::WitnessOutOfBounds, smallest()));
        }
        // Whoever is alone in an atom knows it, and no other figure is allowed.
        let knowing = atom.contributions.iter().filter(|c| !atom.known_to(c.0).allow(left, scale));
        excluded_by.extend(knowing.map(|c| c.0));
        rows_of[a as usize].iter().for_each(|&r| *sums.entry(r).or_default() += by);
    }
    let mut moved: Vec<(u32, i128)> = sums.into_iter().filter(|s| s.1 != 0).collect();
    moved.sort_unstable();
    if let Some(&(row, _)) = moved.iter().find(|m| puzzle.rows[m.0 as usize].shown) {
        return Err((FaultKind::WitnessChangesShown, Some(row)));
    }
    excluded_by.sort_unstable();
    excluded_by.dedup();
    let is_whole = moves.iter().all(|m| m.1 % scale == 0);
    Ok((Witness { scale, is_whole, excluded_by }, moved))
}

/// The atoms that a sum shown as zero says are zero.
fn known_zero(puzzle: &Puzzle) -> Vec<bool> {
    let mut zero = vec![false; puzzle.atoms.len()];
    for row in puzzle.rows.iter().filter(|row| row.shown && row.value == 0) {
        row.atoms.iter().for_each(|&a| zero[a as usize] = true);
    }
    zero
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{ZONES, found, records, released, zones};
    use super::super::{Checks, NotAuditable, Verdict, examine};
    use super::*;
    use crate::steps::secrecy::{Microdata, Spec, protect, tabulate};

    /// Zones P, Q, R, withheld unless `shown` says otherwise, beside one that is shown always; verified, not attacked.
    fn verified(micro: &str, shown: &str, insiders: bool, certificate: &str) -> Result<Verdict, NotAuditable> {
        let micro = records(&format!("{micro} x:9:Shown y:9:Shown z:9:Shown"));
        let mut spec = Spec::parse(ZONES).unwrap();
        spec.protection.insiders = insiders;
        let rows = released(&micro, |code| code != "Shown" && shown.split(' ').all(|s| s != code));
        let checks = Checks { attack: false, certificate: Some(certificate.as_bytes()), ..Checks::default() };
        examine(&micro, &spec, &[zones(&rows)], &checks)
    }

    /// A certificate over the zones P, Q and R, a witness a word: `scale/move,move,move`.
    pub fn certificate(witnesses: &str) -> String {
        let n = witnesses.split_whitespace().count();
        let mut text = format!(
            "{{\"format\":\"arpent certificate 1\",\"insiders\":true,\"levels\":[\"zone\"],\"atoms\":3,\
             \"witnesses\":{n},\"cells\":0}}\n"
        );
        for (i, zone) in ["P", "Q", "R"].iter().enumerate() {
            text += &format!("{{\"atom\":{i},\"codes\":[\"{zone}\"]}}\n");
        }
        for (i, witness) in witnesses.split_whitespace().enumerate() {
            let (scale, moves) = witness.split_once('/').unwrap();
            let moves: Vec<String> = moves.split(',').enumerate().map(|(a, by)| format!("[{a},{by}]")).collect();
            text += &format!("{{\"witness\":{i},\"scale\":{scale},\"moves\":[{}]}}\n", moves.join(","));
        }
        text
    }

    #[test]
    fn a_witness_counts_when_it_is_true_and_reaches_and_nobody_can_exclude_it() {
        let two = "a:10:P b:20:P c:15:Q d:15:Q e:5:R f:5:R g:5:R";
        let no = Vec::<&str>::new;
        for (micro, shown, insiders, witnesses, expected) in [
            // P and Q, 30 each, are to be three away on both sides; R is safe.
            (two, "R", false, "1/3,-3,0 1/-3,3,0", no()),
            (two, "R", false, "1/3,-3,0", vec!["zone=P unproven", "zone=Q unproven"]),
            (two, "R", false, "1/2,-2,0 1/-3,3,0", vec!["zone=P unproven", "zone=Q unproven"]),
            (two, "R", false, "2/6,-6,0 2/-6,6,0", no()),
            (two, "R", false, "2/5,-5,0 2/-6,6,0", vec!["zone=P unproven", "zone=Q unproven"]),
            // One through a cell that is shown, one that makes employees, one below zero.
            (two, "R", false, "1/3,0,-3 1/3,-3,0 1/-3,3,0", vec!["t: zone=R witness_changes_shown"]),
            (two, "R", false, "1/4,-3,0 1/3,-3,0 1/-3,3,0", vec!["t: zone=TOTAL witness_changes_shown"]),
            (two, "R", false, "1/31,-31,0 1/3,-3,0 1/-3,3,0", vec!["t: zone=Q witness_below_zero"]),
            (two, "R", false, "1/30,-30,0 1/-30,30,0", no()),
            // Two to a cell: each knows that it holds its own at least, and 30 less is too much to tell it.
            (two, "R", true, "1/3,-3,0 1/-3,3,0", no()),
            (two, "R", true, "1/30,-30,0 1/-30,30,0", vec!["zone=P unproven_insider", "zone=Q unproven_insider"]),
            (two, "R", true, "1/15,-15,0 1/-10,10,0", no()),
            (two, "R", true, "1/15,-15,0 1/-11,11,0", vec!["zone=P unproven_insider", "zone=Q unproven_insider"]),
            // Who is alone in a cell knows it: s against R needs a witness that leaves P and Q alone, and there is none.
            ("s:10:P s:10:Q t:10:R u:10:R", "", false, "1/4,0,-4 1/-4,0,4 1/0,4,-4 1/0,-4,4", no()),
            (
                "s:10:P s:10:Q t:10:R u:10:R",
                "",
                true,
                "1/4,0,-4 1/-4,0,4 1/0,4,-4 1/0,-4,4",
                vec!["zone=R unproven_insider"],
            ),
            // Two who are alone, each in its own cell: neither can exclude what the other's cell may be.
            (
                "s:10:P w:10:Q t:10:R u:10:R",
                "",
                true,
                "1/2,-2,0 1/-2,2,0",
                vec!["zone=P unproven_insider", "zone=Q unproven_insider", "zone=R unproven"],
            ),
            ("s:10:P w:10:Q t:10:R u:10:R", "", true, "1/4,0,-4 1/-4,0,4 1/0,4,-4 1/0,-4,4", no()),
        ] {
            let verdict = verified(micro, shown, insiders, &certificate(witnesses)).unwrap();
            assert_eq!(found(&verdict), expected, "{micro} {insiders} {witnesses}");
        }
    }

    #[test]
    fn ends_are_counted_as_whole_where_whole_employees_prove_them() {
        let two = "a:10:P b:20:P c:15:Q d:15:Q e:5:R f:5:R g:5:R";
        for (insiders, witnesses, proved, whole) in [
            (false, "1/3,-3,0 1/-3,3,0", 4, 4),
            (false, "2/6,-6,0 1/-3,3,0", 4, 4),
            (false, "2/7,-7,0 1/-3,3,0", 4, 2),
            (false, "2/7,-7,0 2/-7,7,0", 4, 0),
            (false, "2/7,-7,0 1/4,-4,0 1/-3,3,0", 4, 4),
            (false, "1/2,-2,0 1/-3,3,0", 2, 2),
            // To its contributors a zone is no further than what they know of the others lets it be.
            (true, "1/3,-3,0 1/-3,3,0", 4, 4),
            (true, "2/61,-61,0 1/3,-3,0 1/-3,3,0", 4, 4),
            (true, "1/30,-30,0 2/7,-7,0 1/-3,3,0", 4, 2),
        ] {
            let verdict = verified(two, "R", insiders, &certificate(witnesses)).unwrap();
            let certified = verdict.certified.unwrap();
            assert_eq!((certified.ends_proved, certified.ends_whole), (proved, whole), "{insiders} {witnesses}");
        }
    }

    #[test]
    fn a_torn_or_foreign_certificate_is_refused_with_its_line() {
        let two = "a:10:P b:20:P c:15:Q d:15:Q e:5:R f:5:R g:5:R";
        let good = certificate("1/3,-3,0 1/-3,3,0");
        assert!(verified(two, "R", true, &good).unwrap().is_safe());
        let line = |n: usize| good.lines().nth(n - 1).unwrap().to_owned() + "\n";
        for (torn, at, expected) in [
            (String::new(), 1, "a whole certificate"),
            ("\n".to_owned(), 1, "first line"),
            ("siret,siren\n".to_owned(), 1, "first line"),
            (good.replace("certificate 1", "certificate 2"), 1, "arpent certificate 1"),
            (good.replace("[\"zone\"]", "[\"act\"]"), 1, "`zone`"),
            (good.replace("[\"zone\"]", "[\"zone\",\"act\"]"), 2, "one a level"),
            (good.replace("\"insiders\":true,", ""), 1, "first line"),
            (good.trim_end().to_owned(), 6, "a whole certificate"),
            (good.replace(&line(6), ""), 6, "witness 1 of 2"),
            (good.replace(&line(5), ""), 5, "witness 0"),
            (good.replace(&line(3), ""), 3, "atom 1"),
            (format!("{good}{}", line(6)), 7, "the end of the certificate"),
            (good.replace("\"cells\":0", "\"cells\":1"), 7, "cell 0 of 1"),
            (good.replace("\"scale\":1", "\"scale\":0"), 5, "a scale from 1"),
            (good.replace("\"scale\":1", "\"scale\":-1"), 5, "a scale from 1"),
            (good.replace("[2,0]", "[3,0]"), 5, "atoms of this certificate"),
            (good.replace("[0,3]", "[0,3.5]"), 5, "witness 0 of 2"),
            (good.replace("[0,3]", "[0,9223372036854775808]"), 5, "witness 0 of 2"),
        ] {
            match verified(two, "R", true, &torn) {
                Err(NotAuditable::BadCertificate { line, expected: said, .. }) => {
                    assert_eq!(line, at, "{torn}");
                    assert!(said.contains(expected), "{said}: {torn}");
                }
                other => panic!("{other:?}: {torn}"),
            }
        }
        // Well formed and of other records: an answer, and it is no.
        let other = verified(two, "R", true, &good.replace("\"Q\"", "\"S\"")).unwrap();
        assert_eq!(
            found(&other),
            ["an atom witness_unknown_atom", "an atom witness_unknown_atom", "zone=P unproven", "zone=Q unproven"]
        );
        let large = good.replace("[0,3],[1,-3]", "[0,9223372036854775807],[1,-9223372036854775807]");
        assert_eq!(found(&verified(two, "R", true, &large).unwrap())[0], "t: zone=Q witness_below_zero");
    }

    /// What `protect` writes is true and enough, and has nothing to spare where a unit is altered.
    #[test]
    fn each_altered_move_of_a_certificate_is_noticed() {
        let text: Vec<String> =
            (0..60).map(|i| format!("f{}:{}:z{}:a{}", i % 37, 1 + i * i % 17, i % 5, i % 7)).collect();
        let micro = records(&text.join(" "));
        let spec = Spec::parse(
            "contributor='who'\nweight='heads'\n[rules]\nmin_contributors=3\n[dimensions.zone]\nlevels=['zone']\n\
             [dimensions.act]\nlevels=['act']\n[[tables]]\nname='t'\ndimensions=['zone','act']\n",
        )
        .unwrap();
        let raw = tabulate(&micro, &spec).unwrap();
        let (tables, dossier) = protect(&raw, &spec.rules, &spec.protection, &[]).unwrap();
        let release = super::super::ReleasedTables::of("r", &tables);
        let text = String::from_utf8(dossier.proof.bytes()).unwrap();
        let verdict = |micro: &Microdata, text: &str| {
            let checks = Checks { attack: false, certificate: Some(text.as_bytes()), ..Checks::default() };
            examine(micro, &spec, std::slice::from_ref(&release), &checks).unwrap()
        };
        let good = verdict(&micro, &text);
        let certified = good.certified.unwrap();
        assert_eq!(found(&good), Vec::<String>::new());
        assert!(certified.ends > 0 && certified.ends == certified.ends_proved);
        assert_eq!(certified.witnesses, certified.witnesses_true);
        let lines: Vec<&str> = text.lines().collect();
        let mut left_out = 0;
        for (i, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("{\"witness\"")) {
            let claim: WitnessLine = serde_json::from_str(line).unwrap();
            let with = |moves: &[(u64, i64)]| {
                let mut lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
                lines[i] =
                    serde_json::json!({ "witness": claim.witness, "scale": claim.scale, "moves": moves }).to_string();
                lines.join("\n") + "\n"
            };
            for m in 0..claim.moves.len() {
                let mut moves = claim.moves.clone();
                moves[m].1 += 1;
                // Every atom lies in the total, which is shown.
                let kinds: Vec<FaultKind> = verdict(&micro, &with(&moves)).by_kind.into_keys().collect();
                assert!(kinds.contains(&FaultKind::WitnessChangesShown), "{i} {m} {kinds:?}");
            }
            left_out += usize::from(!verdict(&micro, &with(&[])).is_safe());
        }
        assert!(left_out > 0, "no witness is needed");
    }
}
