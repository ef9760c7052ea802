//! A release for partners and a release for all, made together.
//!
//! A partner sees what the public sees, and more. So there are two attackers, and two puzzles:
//! 1. *the partner* sees every table of both specifications, and every earlier release of either kind; the rules for
//!    partners hold;
//! 2. *the public* sees its own tables and earlier public releases; its own rules hold, and it is shown no cell that the
//!    partner is not.
//!
//! The first is solved over all tables at once. The second shows a part of what the first does, and to show less never
//! weakens a proof: the partner's holds for the two releases together, and the public's by itself.

use super::super::audit::ReleasedTables;
use super::super::microdata::Microdata;
use super::super::policy::{Spec, Table};
use super::super::protect::{Cell, ProtectedTables};
use super::super::tabulate::tabulate;
use super::{Earlier, NotProtected, Past, ProtectedAfter, of_present, protect_in, published_together, withhold};

/// Tables for the public and for partners, protected as one.
pub struct BothProfiles {
    /// What anybody may see.
    pub public: ProtectedAfter,
    /// What partners may see beside it.
    pub partner: ProtectedAfter,
}

/// What the partner's names begin with where both specifications are one.
const PARTNER: &str = "partner/";

/// Protects the tables of two specifications over the same records: `partner` for partners, `public` for all.
///
/// `past` is what the public knows, and `shown_to_partners` what partners know beside it.
///
/// # Errors
/// See [`NotProtected`].
pub fn protect_profiles(
    micro: &Microdata,
    public: &Spec,
    partner: &Spec,
    past: &Past<'_>,
    shown_to_partners: &[&Earlier],
) -> Result<BothProfiles, NotProtected> {
    let joint = joint(public, partner);
    let known_to_partners: Vec<&Earlier> =
        past.earlier.iter().copied().chain(shown_to_partners.iter().copied()).collect();
    let mut seen = protect_in(micro, &joint, &Past { earlier: known_to_partners, last_year: past.last_year })?;

    let n_public = public.tables.len();
    let of_partner = ProtectedTables::gather(
        seen.tables
            .iter()
            .skip(n_public)
            .zip(&partner.tables)
            .map(|(table, spec)| table.renamed(&spec.name, &spec.dimensions))
            .collect(),
    );
    let mut alone = protect_in(micro, public, past)?;
    let raw = tabulate(micro, public)?;
    let shown: Vec<_> = seen.tables.iter().take(n_public).collect();
    alone.tables = withhold(&raw, &alone.tables, &mut alone.dossier, |_, table, at| {
        shown[table].cell(at) == Some(Cell::Suppressed)
    });
    alone.dossier = of_present(&raw, n_public, alone.dossier);

    let n_cells: usize = seen.tables.iter().take(n_public).map(|t| t.cells().count()).sum();
    seen.dossier.reasons.drain(..n_cells);
    for reason in &mut seen.dossier.reasons {
        reason.table = reason.table.trim_start_matches(PARTNER).to_owned();
    }
    let partner_raw = tabulate(micro, partner)?;
    seen.dossier = of_present(&partner_raw, partner.tables.len(), seen.dossier);
    seen.tables = of_partner;
    Ok(BothProfiles { public: alone, partner: seen })
}

/// Whether a specification is one of [`joint`]: no table of another has such a name.
pub(super) fn is_joint(spec: &Spec) -> bool {
    spec.tables.iter().any(|table| table.name.starts_with(PARTNER))
}

/// One specification with the rules for partners: the public's tables first, under their own names.
fn joint(public: &Spec, partner: &Spec) -> Spec {
    let mut joint = Spec { tables: Vec::new(), dimensions: public.dimensions.clone(), ..partner.clone() };
    let own = |name: &String| public.dimensions.get(name).is_some_and(|d| partner.dimensions[name].levels == d.levels);
    let mut renamed = std::collections::BTreeMap::new();
    for (name, dimension) in &partner.dimensions {
        let known = if own(name) { name.clone() } else { format!("{PARTNER}{name}") };
        joint.dimensions.insert(known.clone(), dimension.clone());
        renamed.insert(name, known);
    }
    joint.tables.extend(public.tables.iter().map(|t| Table { rules: Vec::new(), ..t.clone() }));
    joint.tables.extend(partner.tables.iter().map(|t| Table {
        name: format!("{PARTNER}{}", t.name),
        dimensions: t.dimensions.iter().map(|d| renamed[d].clone()).collect(),
        depth: t.depth.iter().map(|(d, depth)| (renamed[d].clone(), *depth)).collect(),
        rules: t.rules.clone(),
    }));
    joint
}

/// Everything that partners see, as one attack on it needs it: [`published_together`] of what both profiles are shown now, as
/// one release by the rules for partners, and of what either was shown before. The proof of [`BothProfiles::partner`]
/// speaks of it.
///
/// # Errors
/// See [`NotProtected`].
pub fn seen_by_partners(
    micro: &Microdata,
    [public, partner]: [&Spec; 2],
    tables: [&ProtectedTables; 2],
    earlier: &[&Earlier],
) -> Result<(Microdata, Spec, Vec<ReleasedTables>), NotProtected> {
    let joint = joint(public, partner);
    let named = tables.into_iter().flat_map(ProtectedTables::iter).zip(&joint.tables);
    let tables = named.map(|(table, spec)| table.renamed(&spec.name, &spec.dimensions)).collect();
    published_together(micro, &joint, &ProtectedTables::gather(tables), earlier)
}

/// Whether partners may see a cell that the public may not, for messages: counts only.
pub fn seen_by_partners_alone(both: &BothProfiles) -> usize {
    let public = &both.public.tables;
    let shown = |cell: Option<Cell>| matches!(cell, Some(Cell::Open { .. }));
    both.partner
        .tables
        .iter()
        .map(|table| {
            let same = public.get(&table.name).filter(|p| p.dimensions == table.dimensions);
            table.cells().filter(|(at, cell)| shown(Some(*cell)) && !shown(same.and_then(|p| p.cell(at)))).count()
        })
        .sum()
}
