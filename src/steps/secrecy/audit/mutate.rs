//! The attack, tried: one withheld cell is opened, and the attack must notice where that gives anything away.
//!
//! A cell that a rule makes unsafe must be noticed always. Of the others, each was withheld for some unsafe cell, but not
//! each of them for all: opening one may leave every level met, and then no alarm is the right answer. They are counted.

use super::exact::Random;
use super::form::Puzzle;
use super::{Checks, FaultKind, Microdata, NotAuditable, ReleasedTables, SEED, Spec, Verdict, examine};

/// How the attack fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mutations {
    /// Cells that a rule makes unsafe, opened one at a time.
    pub primary: u64,
    /// Of those, how many the attack noticed: all, or the audit fails.
    pub primary_caught: u64,
    /// Of those, how many gave away others too, as the attack found: that they are shown is a fault by itself.
    pub primary_attacked: u64,
    /// Cells withheld for others' sake, opened one at a time.
    pub secondary: u64,
    /// Of those, how many gave something away, as the attack found.
    pub secondary_caught: u64,
}

/// Opens as many cells as `checks` asks, or all that are withheld where those are fewer, in an order drawn by a fixed
/// seed, each with its true figures.
pub(super) fn mutate(
    micro: &Microdata,
    spec: &Spec,
    releases: &[ReleasedTables],
    puzzle: &Puzzle,
    levels: &[Option<u64>],
    checks: &Checks<'_>,
    verdict: &mut Verdict,
) -> Result<(), NotAuditable> {
    let mut random = Random(SEED);
    let mut withheld = puzzle.withheld.clone();
    let mut mutations = Mutations::default();
    let attack = Checks { attack: true, certificate: None, mutations: 0, ..*checks };
    for _ in 0..checks.mutations {
        if withheld.is_empty() {
            break;
        }
        let (place, [release, table, line]) = withheld.swap_remove(random.below(withheld.len() as u64) as usize);
        let mut opened = releases.to_vec();
        let row = &puzzle.rows[place.row as usize];
        let fields = &mut opened[release].tables[table].rows[line];
        let figures = fields.len() - 3;
        fields[figures..].clone_from_slice(&[
            row.establishments.to_string(),
            row.value.to_string(),
            "published".to_owned(),
        ]);
        let found = examine(micro, spec, &opened, &attack)?;
        let caught = !found.is_safe();
        if levels[place.row as usize].is_some() {
            mutations.primary += 1;
            mutations.primary_caught += u64::from(caught);
            mutations.primary_attacked +=
                u64::from(found.by_kind.keys().any(|kind| *kind != FaultKind::PublishedUnsafe));
            if !caught {
                verdict.add(FaultKind::MutationMissed, || puzzle.fault(&place, FaultKind::MutationMissed));
            }
        } else {
            mutations.secondary += 1;
            mutations.secondary_caught += u64::from(caught);
        }
    }
    verdict.mutations = Some(mutations);
    Ok(())
}
