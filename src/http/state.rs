//! What public handlers are given: the served release, what it holds, and where the service stands.

use super::problem::Problem;
use crate::steps::publish::Release;
use crate::steps::secrecy::{Coordinate, TableDimension};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The shelf of the served release: empty at first, then one release at a time, replaced whole.
///
/// Clones share one shelf, so the pipeline puts and the service takes.
#[derive(Clone, Default)]
pub struct Shelf(Arc<RwLock<OnShelf>>, Arc<AtomicU64>);

/// What lies on the shelf.
#[derive(Default)]
enum OnShelf {
    #[default]
    Nothing,
    Release(Arc<Shelved>),
    TakenBack(TakenBack),
}

/// A release that was served and is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// Its name.
    pub release: String,
    /// When it was withdrawn.
    pub at: String,
    /// Why, in words for the public.
    pub reason: String,
}

/// A release on the shelf, with the list of what it holds, made once.
pub(super) struct Shelved {
    /// The release.
    pub release: Arc<Release>,
    /// What may be asked of it.
    pub menu: Menu,
}

/// What may be asked of a release: the codes and the crossings of its tables. It holds no figure.
#[derive(Debug, Default)]
pub(super) struct Menu {
    /// Codes met in the tables, by dimension.
    codes: BTreeMap<String, BTreeSet<String>>,
    /// For each vintage, the dimensions of each table.
    crossings: BTreeMap<u16, Vec<Vec<TableDimension>>>,
}

/// Where the service is seen from.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Address that people type, without a final `/`; when absent, links follow the request (`Forwarded`,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host`, `Host`).
    pub public_url: Option<String>,
}

impl Shelf {
    /// An empty shelf: `/readyz` answers 503 until a release is put on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves this release from now on; requests under way end with the one they began with.
    pub fn put(&self, release: Release) {
        self.lay(OnShelf::Release(Arc::new(Shelved::of(Arc::new(release)))));
    }

    /// Serves nothing from now on, and says why.
    pub fn take_back(&self, taken_back: TakenBack) {
        self.lay(OnShelf::TakenBack(taken_back));
    }

    /// Whether the last release was taken back.
    pub(super) fn is_taken_back(&self) -> bool {
        matches!(*self.0.read().unwrap_or_else(PoisonError::into_inner), OnShelf::TakenBack(_))
    }

    fn lay(&self, thing: OnShelf) {
        // A lock is poisoned by a panic of its holder, and holders only move one pointer: what is inside is whole.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = thing;
        // After the change: who reads the turn first and the shelf then has never an older shelf than turn.
        self.1.fetch_add(1, Ordering::SeqCst);
    }

    /// How many times the shelf has changed: what was made during an earlier turn is not to be shown any more.
    pub(super) fn turn(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    /// The served release.
    ///
    /// # Errors
    /// A 503 problem while nothing is published; a 410 problem with the reason once it was withdrawn.
    pub fn current(&self) -> Result<Arc<Release>, Problem> {
        Ok(self.shelved()?.release.clone())
    }

    /// The served release with its menu.
    pub(super) fn shelved(&self) -> Result<Arc<Shelved>, Problem> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            OnShelf::Nothing => Err(Problem::nothing_published()),
            OnShelf::Release(shelved) => Ok(shelved.clone()),
            OnShelf::TakenBack(taken_back) => Err(Problem::withdrawn(taken_back)),
        }
    }
}

impl Shelved {
    pub(super) fn of(release: Arc<Release>) -> Self {
        Self { menu: Menu::of(&release), release }
    }
}

impl Menu {
    fn of(release: &Release) -> Self {
        let mut menu = Self::default();
        for (vintage, tables) in &release.vintages {
            for table in tables.iter() {
                menu.crossings.entry(*vintage).or_default().push(table.dimensions.clone());
                for (at, _) in table.cells() {
                    for (dimension, coordinate) in table.dimensions.iter().zip(at) {
                        let Coordinate::Code { code, .. } = coordinate else { continue };
                        let codes = menu.codes.entry(dimension.name.clone()).or_default();
                        if !codes.contains(code.as_ref()) {
                            codes.insert(code.to_string());
                        }
                    }
                }
            }
        }
        menu
    }

    /// The codes of a dimension that the tables hold: short ones (sections) first, then in order.
    pub fn codes(&self, dimension: &str) -> Vec<&str> {
        let mut codes: Vec<&str> = self.codes.get(dimension).into_iter().flatten().map(String::as_str).collect();
        codes.sort_by_key(|code| code.len());
        codes
    }

    /// Whether the tables hold this code.
    pub fn has(&self, dimension: &str, code: &str) -> bool {
        self.codes.get(dimension).is_some_and(|codes| codes.contains(code))
    }

    /// Whether some table, of any vintage, crosses a zoning with a dimension.
    pub fn crosses(&self, zoning: &str, dimension: &str) -> bool {
        let has = |table: &[TableDimension], name: &str| table.iter().any(|d| d.name == name);
        self.crossings.values().flatten().any(|table| has(table, zoning) && has(table, dimension))
    }

    /// The crossings of a zoning in a vintage, in words; any of their dimensions may be left at the total.
    pub fn crossings(&self, vintage: u16, zoning: &str) -> Vec<String> {
        let tables = self.crossings.get(&vintage).into_iter().flatten();
        let mut told: Vec<String> = tables
            .filter(|dimensions| dimensions.iter().any(|d| d.name == zoning))
            .map(|dimensions| {
                let name = |d: &TableDimension| match d.levels.len() {
                    0 | 1 => d.name.clone(),
                    _ => format!("{} ({})", d.name, d.levels.join(", ")),
                };
                dimensions.iter().map(name).collect::<Vec<_>>().join(" × ")
            })
            .collect();
        told.sort();
        told.dedup();
        told
    }
}
