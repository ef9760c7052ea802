//! The certificate: the witnesses that prove a protection, in a form that can be checked without the protector.
//!
//! Lines of JSON. The first says the format, the columns that tell atoms apart, and how many lines of each kind follow;
//! then one line an atom (its codes), one a witness (a move in whole numbers over atoms, `scale` of them to the unit), one
//! an unsafe cell (which witnesses prove its upper and its lower end). The last are for readers: whoever verifies finds
//! out alone what each witness proves. Only witnesses that are needed are kept.

use super::secondary::Pattern;
use super::secondary::system::System;
use super::secondary::witness::{Need, Pool, Side, Witness};
use super::tabulate::{RawLevel, RawTables};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What the first line says a certificate is.
const FORMAT: &str = "arpent certificate 1";

/// The proof of a protection, for the owner: it names atoms by their codes, and moves between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The columns that tell atoms apart.
    levels: Vec<String>,
    /// The codes of each atom that some witness moves.
    atoms: Vec<Vec<Option<String>>>,
    /// For each witness its scale and its moves.
    witnesses: Vec<(i64, Vec<(usize, i64)>)>,
    /// For each unsafe row its cells, and the witnesses of its upper and of its lower end.
    proved: Vec<(Vec<String>, [Vec<usize>; 2])>,
    insiders: bool,
}

impl Certificate {
    /// Gathers the witnesses a pattern needs; `cells` names the cells of each unsafe row.
    pub(super) fn gather(raw: &RawTables, pattern: &Pattern<'_>, cells: &BTreeMap<u32, Vec<String>>) -> Self {
        let (system, pool) = (&pattern.system, &pattern.pool);
        let mut kept: BTreeSet<u32> = BTreeSet::new();
        let mut proofs: Vec<(u32, [Vec<u32>; 2])> = Vec::new();
        for (&row, _) in cells.iter().filter(|(row, _)| !system.fate[**row as usize].is_shown()) {
            let ends = [Side::Up, Side::Down].map(|side| {
                let need = Need { row, side };
                let ids = cover(system, pool, need, pattern.in_fractions.contains(&need), &kept);
                kept.extend(&ids);
                ids
            });
            proofs.push((row, ends));
        }
        let place: BTreeMap<u32, usize> = kept.iter().enumerate().map(|(i, &id)| (id, i)).collect();
        let chosen: Vec<&Witness> = kept.iter().filter_map(|&id| pool.alive(id)).collect();
        let moved: BTreeSet<u32> = chosen.iter().flat_map(|w| w.moves.iter().map(|m| m.0)).collect();
        let atom: BTreeMap<u32, usize> = moved.iter().enumerate().map(|(i, &a)| (a, i)).collect();
        let codes = |&a: &u32| {
            let code = |level: &RawLevel| Some(level.labels[level.codes[a as usize]? as usize].clone());
            raw.levels.iter().map(code).collect()
        };
        Self {
            levels: raw.levels.iter().map(|level| level.name.clone()).collect(),
            atoms: moved.iter().map(codes).collect(),
            witnesses: (chosen.iter())
                .map(|w| (w.scale, w.moves.iter().map(|&(a, by)| (atom[&a], by)).collect()))
                .collect(),
            proved: (proofs.into_iter())
                .map(|(row, ends)| (cells[&row].clone(), ends.map(|ids| ids.iter().map(|id| place[id]).collect())))
                .collect(),
            insiders: system.insiders,
        }
    }

    /// Names its columns anew; those that come to have one name have one code in each atom, and become one.
    pub(super) fn rename(&mut self, names: &[String]) {
        let kept: Vec<usize> = (0..names.len()).filter(|&i| !names[..i].contains(&names[i])).collect();
        self.levels = kept.iter().map(|&i| names[i].clone()).collect();
        for codes in &mut self.atoms {
            *codes = kept.iter().map(|&i| codes[i].take()).collect();
        }
    }

    /// The columns that tell its atoms apart.
    pub(super) fn levels(&self) -> &[String] {
        &self.levels
    }

    /// The codes of each atom that some witness moves, in the order of the columns.
    pub(super) fn atoms(&self) -> &[Vec<Option<String>>] {
        &self.atoms
    }

    /// For each witness its scale, and how far it moves which of the atoms.
    pub(super) fn moves(&self) -> &[(i64, Vec<(usize, i64)>)] {
        &self.witnesses
    }

    /// How many witnesses it holds.
    pub fn witnesses(&self) -> usize {
        self.witnesses.len()
    }

    /// Its bytes, as `private/certificate.jsonl` holds them; the same certificate has the same bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        let mut line = |value: serde_json::Value| {
            text.push_str(&value.to_string());
            text.push('\n');
        };
        line(json!({
            "format": FORMAT, "insiders": self.insiders, "levels": self.levels, "atoms": self.atoms.len(),
            "witnesses": self.witnesses.len(), "cells": self.proved.len(),
        }));
        for (i, codes) in self.atoms.iter().enumerate() {
            line(json!({ "atom": i, "codes": codes }));
        }
        for (i, (scale, moves)) in self.witnesses.iter().enumerate() {
            line(json!({ "witness": i, "scale": scale, "moves": moves }));
        }
        for (cells, [up, down]) in &self.proved {
            line(json!({ "cells": cells, "up": up, "down": down }));
        }
        text.into_bytes()
    }
}

/// Few witnesses that meet a need: each more contributors cannot exclude, those kept already first. Empty where the need
/// is none. Those that move parts of units only where they may be among them.
fn cover(system: &System<'_>, pool: &Pool, need: Need, in_fractions: bool, kept: &BTreeSet<u32>) -> Vec<u32> {
    let row = &system.raw.rows[need.row as usize];
    let far = need.between(system, (row.least, row.greatest));
    if far == 0 {
        return Vec::new();
    }
    let reach = |by: i64| if need.side == Side::Up { by } else { -by };
    let movers = pool.movers(need.row).filter(|(_, witness, _)| in_fractions || witness.scale == 1);
    let movers: Vec<(u32, &Witness, i64)> = movers.map(|(id, w, by)| (id, w, reach(by))).collect();
    let mut found: Vec<u32> = Vec::new();
    let full = || movers.iter().filter(|m| m.2 >= far);
    let dearness = |m: &&(u32, &Witness, i64)| (!kept.contains(&m.0), m.1.moves.len(), m.0);
    if !system.insiders {
        return full().min_by_key(dearness).map(|m| m.0).into_iter().collect();
    }
    let fewest = |m: &&(u32, &Witness, i64)| (m.1.spoiled_by.len(), !kept.contains(&m.0), m.1.moves.len(), m.0);
    let first = full().filter(|m| kept.contains(&m.0)).min_by_key(fewest).or_else(|| full().min_by_key(fewest));
    let Some(first) = first else { return found };
    found.push(first.0);
    let inside = system.raw.contributions(row);
    let own = |s: u32| inside.binary_search_by_key(&s, |c| c.0).ok();
    let mut spoilers: Vec<u32> = first.1.spoiled_by.clone();
    spoilers.retain(|&s| own(s).is_none() || system.holds_others(need.row, s));
    while !spoilers.is_empty() {
        let left =
            |m: &(u32, &Witness, i64)| spoilers.iter().filter(|s| m.1.spoiled_by.binary_search(s).is_ok()).count();
        let best = |known: bool| {
            let among = full().filter(|m| kept.contains(&m.0) == known);
            among.map(|m| (left(m), m.1.moves.len(), m.0, m.1)).min_by_key(|b| (b.0, b.1, b.2))
        };
        let better = |b: &(usize, usize, u32, &Witness)| b.0 < spoilers.len();
        let Some((_, _, id, witness)) = best(true).filter(better).or_else(|| best(false).filter(better)) else { break };
        found.push(id);
        spoilers.retain(|s| witness.spoiled_by.binary_search(s).is_ok());
    }
    // Whom no full move convinces: a contributor inside the row, who knows its own weight there.
    for s in spoilers {
        let less = if own(s).is_none() { far } else { far.min(need.between(system, system.raw.known_to(row, s))) };
        let serves = |m: &&(u32, &Witness, i64)| m.2 >= less && m.1.spoiled_by.binary_search(&s).is_err();
        if less > 0 && less < far {
            let mut known = movers.iter().filter(|m| found.contains(&m.0) && serves(m));
            if known.next().is_none() {
                found.extend(movers.iter().filter(serves).min_by_key(dearness).map(|m| m.0));
            }
        }
    }
    found.sort_unstable();
    found
}
