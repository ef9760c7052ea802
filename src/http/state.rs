//! What public handlers are given: the releases on the shelf, what they hold, and where the service stands.

use super::odata::Rows;
use super::ogc::drawings::{Contours, Drawings};
use super::ogc::query::encode;
use super::ogc::systems::System;
use super::page::day;
use super::problem::Problem;
use super::tiles::tilings::Tilings;
use crate::steps::publish::{Release, ReleasedZoning};
use crate::steps::secrecy::{Coordinate, TableDimension};
use axum::http::StatusCode;
use geo::{BoundingRect, MultiPolygon, Rect};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The shelf of what the public is served: the current release, the earlier ones that nobody took back, and a tombstone
/// for each that was.
///
/// Clones share one shelf, so the pipeline puts and the service takes. It is replaced whole: a request sees one state.
/// Behind it lies a second one with what partners are served, which changes at the same moment.
#[derive(Clone, Default)]
pub struct Shelf {
    on_shelf: Arc<RwLock<Both>>,
    /// Whether what is taken from it is taken from the second one.
    to_partners: bool,
    drawings: Drawings,
    tilings: Tilings,
    turn: Arc<AtomicU64>,
}

/// What the public is served, and what partners are.
#[derive(Clone, Default)]
struct Both {
    public: Arc<OnShelf>,
    for_partners: Arc<OnShelf>,
}

/// Everything the public is to be served, and what partners are served in place of it.
#[derive(Clone, Default)]
pub struct Stock {
    /// The release that plain names mean.
    pub current: Option<Arc<Release>>,
    /// Why there is none, when the last one was taken back.
    pub taken_back: Option<TakenBack>,
    /// Releases that were current once and that nobody took back, the newest first.
    pub earlier: Vec<Arc<Release>>,
    /// Names of earlier releases that are not open yet.
    pub closed: Vec<String>,
    /// Every release that was taken back, the last one first.
    pub withdrawn: Vec<TakenBack>,
    /// What partners are served in place of a release above, by the name of that release.
    pub for_partners: BTreeMap<String, ForPartners>,
}

/// What lies on the shelf, as one request sees it.
#[derive(Default)]
pub(super) struct OnShelf {
    current: Option<Arc<Shelved>>,
    taken_back: Option<TakenBack>,
    earlier: Vec<Arc<Shelved>>,
    closed: Vec<String>,
    withdrawn: Vec<TakenBack>,
    /// By the names of public releases, those of the releases that lie here in their place.
    instead: BTreeMap<String, String>,
}

/// What partners are served in place of a release.
#[derive(Clone)]
pub struct ForPartners {
    /// Its name.
    pub release: String,
    /// What it holds; `None` where the public release was taken back, or while it is not open yet.
    pub open: Option<Arc<Release>>,
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
    /// The box around each of its zonings, in degrees; none around a zoning without ground.
    extents: Vec<Option<Rect>>,
    /// Its cells as rows, made when they are first asked for.
    rows: OnceLock<Rows>,
    /// Its contours as they were asked for lately, beside those of the other releases.
    pub drawings: Drawings,
    /// The same, prepared for tiles.
    pub tilings: Tilings,
}

/// A collection: a zoning of a release, under the name it was asked by.
pub(super) struct Place {
    /// `secteurs` in the current release, whichever it is; `secteurs@0123456789abcdef` in that release, for good.
    pub id: String,
    /// The release.
    pub shelved: Arc<Shelved>,
    /// Which of its zonings.
    number: usize,
}

/// Earlier releases whose collections are listed: some years of them, in a list that people still read. Those before
/// are linked from one to the next, and all are read under their names.
const EARLIER_LISTED_MAX: usize = 12;

/// Stands between the name of a zoning and that of a release.
pub(super) const AT: char = '@';

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
    /// Address that people type, without a final `/`; when absent, links follow the request: what the proxies that are
    /// believed say of it ([`Limits::proxy_headers`](crate::config::Limits::proxy_headers)), else its `Host`.
    pub public_url: Option<String>,
}

impl Shelf {
    /// An empty shelf: `/readyz` answers 503 until a release is put on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves this release from now on; the one before it stays under its own name. Requests under way end with what
    /// they began with.
    pub fn put(&self, release: Release) {
        let mut stock = self.stock();
        let id = release.id.clone();
        stock.earlier.splice(0..0, stock.current.take());
        stock.earlier.retain(|earlier| earlier.id != id);
        stock.for_partners.remove(id.as_str());
        stock.withdrawn.retain(|withdrawn| withdrawn.release != id.as_str());
        self.fill(Stock { current: Some(Arc::new(release)), taken_back: None, ..stock });
    }

    /// Serves no current release from now on, and says why.
    pub fn take_back(&self, taken_back: TakenBack) {
        let mut stock = self.stock();
        stock.earlier.retain(|earlier| earlier.id.as_str() != taken_back.release);
        stock.withdrawn.retain(|withdrawn| withdrawn.release != taken_back.release);
        stock.withdrawn.insert(0, taken_back.clone());
        self.fill(Stock { current: None, taken_back: Some(taken_back), ..stock });
    }

    /// Serves exactly this from now on. A release that lies there already is not looked through again.
    pub fn fill(&self, stock: Stock) {
        let before = self.both();
        let mut known: Vec<Arc<Shelved>> =
            before.public.releases().chain(before.for_partners.releases()).cloned().collect();
        let mut shelved = |release: Arc<Release>| {
            if let Some(shelved) = known.iter().find(|shelved| Arc::ptr_eq(&shelved.release, &release)) {
                return shelved.clone();
            }
            let new = Arc::new(Shelved::beside(release, self.drawings.clone(), self.tilings.clone()));
            known.push(new.clone());
            new
        };
        let mut laid = |stock: Stock, instead: BTreeMap<String, String>| {
            Arc::new(OnShelf {
                current: stock.current.map(&mut shelved),
                taken_back: stock.taken_back,
                earlier: stock.earlier.into_iter().map(&mut shelved).collect(),
                closed: stock.closed,
                withdrawn: stock.withdrawn,
                instead,
            })
        };
        let instead = stock.for_partners.iter().map(|(public, other)| (public.clone(), other.release.clone()));
        let for_partners = laid(stock.to_partners(), instead.collect());
        let after = Both { public: laid(stock, BTreeMap::new()), for_partners };
        // A lock is poisoned by a panic of its holder, and holders only move one pointer: what is inside is whole.
        *self.on_shelf.write().unwrap_or_else(PoisonError::into_inner) = after;
        // After the change: who reads the turn first and the shelf then has never an older shelf than turn.
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    /// What lies there now; it stays as it is while a request holds it.
    pub(super) fn look(&self) -> Arc<OnShelf> {
        let both = self.both();
        if self.to_partners { both.for_partners } else { both.public }
    }

    /// The same shelf, from which is taken what partners are served.
    pub(super) fn to_partners(&self) -> Self {
        Self { to_partners: true, ..self.clone() }
    }

    fn both(&self) -> Both {
        self.on_shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was put here.
    fn stock(&self) -> Stock {
        let Both { public, for_partners } = self.both();
        let open = |id: &str| for_partners.releases().find(|s| s.release.id.as_str() == id).map(|s| s.release.clone());
        let instead = for_partners.instead.iter();
        let instead =
            instead.map(|(id, other)| (id.clone(), ForPartners { release: other.clone(), open: open(other) }));
        Stock { for_partners: instead.collect(), ..public.stock() }
    }

    /// Whether the last release was taken back.
    pub(super) fn is_taken_back(&self) -> bool {
        let on_shelf = self.look();
        on_shelf.current.is_none() && on_shelf.taken_back.is_some()
    }

    /// How many times the shelf has changed: what was made during an earlier turn is not to be shown any more.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::SeqCst)
    }

    /// The current release.
    ///
    /// # Errors
    /// A 503 problem while nothing is published; a 410 problem with the reason once it was withdrawn.
    pub fn current(&self) -> Result<Arc<Release>, Problem> {
        Ok(self.shelved()?.release.clone())
    }

    /// The current release with its menu.
    pub(super) fn shelved(&self) -> Result<Arc<Shelved>, Problem> {
        self.look().shelved()
    }
}

impl OnShelf {
    /// The current release with its menu; 503 while nothing is published, 410 once it was withdrawn.
    pub fn shelved(&self) -> Result<Arc<Shelved>, Problem> {
        match (&self.current, &self.taken_back) {
            (Some(shelved), _) => Ok(shelved.clone()),
            (None, Some(taken_back)) => Err(Problem::withdrawn(taken_back)),
            // Where something lies in place of the current release, that one is not open yet.
            (None, None) => match self.closed.first().filter(|id| self.instead.values().any(|other| other == *id)) {
                Some(id) => Err(Problem::still_closed(id)),
                None => Err(Problem::nothing_published()),
            },
        }
    }

    /// Every release that may be read: the current one first, then earlier ones, the newest first.
    pub fn releases(&self) -> impl Iterator<Item = &Arc<Shelved>> {
        self.current.iter().chain(&self.earlier)
    }

    /// Whether plain names mean this release.
    pub fn is_current(&self, release: &Release) -> bool {
        self.current.as_ref().is_some_and(|current| current.release.id == release.id)
    }

    /// Names of earlier releases that are not open yet.
    pub fn closed(&self) -> &[String] {
        &self.closed
    }

    /// Every release that was taken back, the last one first.
    pub fn withdrawn(&self) -> &[TakenBack] {
        &self.withdrawn
    }

    /// Those that were current once and that nobody took back, the newest first.
    pub fn earlier(&self) -> &[Arc<Shelved>] {
        &self.earlier
    }

    /// The release of this name; 410 with the reason when it was withdrawn, 404 when no release bears it, 503 in the
    /// moment after a start when it is not open yet.
    pub fn release(&self, id: &str) -> Result<Arc<Shelved>, Problem> {
        let id = self.instead.get(id).map_or(id, String::as_str);
        if let Some(shelved) = self.releases().find(|shelved| shelved.release.id.as_str() == id) {
            return Ok(shelved.clone());
        }
        if let Some(taken_back) = self.withdrawn.iter().find(|withdrawn| withdrawn.release == id) {
            return Err(Problem::gone(taken_back));
        }
        match self.closed.iter().any(|closed| closed == id) {
            true => Err(Problem::still_closed(id)),
            false => Err(Problem::unknown_release(id, self.releases().map(|shelved| shelved.release.id.as_str()))),
        }
    }

    /// The collection of this name: a zoning of the current release, or of the release named after `@`.
    pub fn place(&self, id: &str) -> Result<Place, Problem> {
        let of_current = self.shelved().and_then(|shelved| Place::of(&shelved, id, id));
        match id.rsplit_once(AT) {
            Some((zoning, release)) if of_current.is_err() => Place::of(&self.release(release)?, zoning, id),
            _ => of_current,
        }
    }

    /// The collections to list: those of the current release under their plain names, then those of the last earlier ones.
    pub fn places(&self) -> Vec<Place> {
        let all = |shelved: &Arc<Shelved>| {
            let shelved = shelved.clone();
            (0..shelved.release.zonings.len()).map(move |number| Place {
                id: shelved.release.zonings[number].id.clone(),
                shelved: shelved.clone(),
                number,
            })
        };
        let earlier = self
            .earlier
            .iter()
            .take(EARLIER_LISTED_MAX)
            .flat_map(all)
            .map(|place| Place { id: place.permanent_id(), ..place });
        self.current.iter().flat_map(all).chain(earlier).collect()
    }

    /// The releases that hold this zoning, as places under their permanent names: the current one first, then the newest.
    pub fn versions(&self, zoning: &str) -> Vec<Place> {
        let versions = self.releases().filter_map(|shelved| Place::of(shelved, zoning, zoning).ok());
        versions.map(|place| Place { id: place.permanent_id(), ..place }).collect()
    }

    /// Names all that lies here, for the entity tags of answers that list it.
    pub fn name(&self) -> String {
        let current = self.current.as_ref().map_or("none", |shelved| shelved.release.id.as_str());
        let releases = self.releases().map(|shelved| shelved.release.id.as_str());
        let closed = self.closed.iter().flat_map(|closed| ["closed", closed]);
        let withdrawn = self.withdrawn.iter().flat_map(|withdrawn| ["-", &withdrawn.release]);
        [current, "of"].into_iter().chain(releases).chain(closed).chain(withdrawn).collect::<Vec<_>>().join(" ")
    }

    fn stock(&self) -> Stock {
        Stock {
            current: self.current.as_ref().map(|shelved| shelved.release.clone()),
            taken_back: self.taken_back.clone(),
            earlier: self.earlier.iter().map(|shelved| shelved.release.clone()).collect(),
            closed: self.closed.clone(),
            withdrawn: self.withdrawn.clone(),
            for_partners: BTreeMap::new(),
        }
    }
}

impl Stock {
    /// The same, as partners are served it: each release gives way to the one for partners, which keeps its place, its
    /// silence while it is not open and its tombstone.
    fn to_partners(&self) -> Self {
        let name = |id: &str| self.for_partners.get(id).map_or(id, |other| other.release.as_str()).to_owned();
        let taken_back = |old: &TakenBack| TakenBack { release: name(&old.release), ..old.clone() };
        let mut closed = Vec::new();
        let mut open = |release: &Arc<Release>| match self.for_partners.get(release.id.as_str()) {
            None => Some(release.clone()),
            Some(ForPartners { open: Some(other), .. }) => Some(other.clone()),
            Some(ForPartners { release, open: None }) => {
                closed.push(release.clone());
                None
            }
        };
        let (current, earlier) =
            (self.current.as_ref().and_then(&mut open), self.earlier.iter().filter_map(&mut open).collect());
        closed.extend(self.closed.iter().map(|id| name(id)));
        Self {
            current,
            taken_back: self.taken_back.as_ref().map(taken_back),
            earlier,
            closed,
            withdrawn: self.withdrawn.iter().map(taken_back).collect(),
            for_partners: BTreeMap::new(),
        }
    }
}

impl Shelved {
    pub(super) fn of(release: Arc<Release>) -> Self {
        Self::beside(release, Drawings::default(), Tilings::default())
    }

    fn beside(release: Arc<Release>, drawings: Drawings, tilings: Tilings) -> Self {
        let extents = release.zonings.iter().map(extent).collect();
        Self { menu: Menu::of(&release), extents, rows: OnceLock::new(), release, drawings, tilings }
    }

    /// Its cells as rows.
    pub fn rows(&self) -> &Rows {
        self.rows.get_or_init(|| Rows::of(&self.release))
    }

    /// Its name for people, by the day of its figures' last update, which it has whatever release is current.
    pub fn title(&self) -> String {
        format!("Publication du {}", day(&self.release.provenance.updated))
    }
}

impl Place {
    /// A zoning of this release, under the name it is asked by; 404 when the release has none of this name.
    pub fn of(shelved: &Arc<Shelved>, zoning: &str, id: &str) -> Result<Self, Problem> {
        let zonings = &shelved.release.zonings;
        let number = zonings.iter().position(|known| known.id == zoning).ok_or_else(|| {
            let known: Vec<&str> = zonings.iter().map(|known| known.id.as_str()).collect();
            let expected = format!("one of {}", known.join(", "));
            let found = format!("collection `{id}`");
            Problem::refused(StatusCode::NOT_FOUND, "unknown_collection", "path", found, expected)
        })?;
        Ok(Self { id: id.to_owned(), shelved: shelved.clone(), number })
    }

    /// The release.
    pub fn release(&self) -> &Release {
        &self.shelved.release
    }

    /// The zoning.
    pub fn zoning(&self) -> &ReleasedZoning {
        &self.shelved.release.zonings[self.number]
    }

    /// The contours of its zones in a system, in their order, simplified within a tolerance in metres.
    pub fn contours(&self, system: System, simplify_m: u32) -> Contours<'_> {
        self.shelved.drawings.of(self.release(), self.zoning(), system, simplify_m)
    }

    /// The box around its zones, in degrees.
    pub fn extent(&self) -> Option<Rect> {
        self.shelved.extents[self.number]
    }

    /// Its address below that of the service.
    pub fn home(&self) -> String {
        format!("/collections/{}", encode(&self.id, "@"))
    }

    /// The name that means this zoning of this release for good.
    pub fn permanent_id(&self) -> String {
        format!("{}{AT}{}", self.zoning().id, self.release().id)
    }

    /// Whether it was asked by the name that means one release for good.
    pub fn is_permanent(&self) -> bool {
        self.id != self.zoning().id
    }

    /// Its name for people; the permanent one is told apart by the day of its release and the perimeter.
    pub fn title(&self) -> String {
        let zoning = self.zoning();
        match self.is_permanent() {
            true => {
                format!("{}, {} (périmètre {})", zoning.title, lower_case_first(&self.shelved.title()), zoning.version)
            }
            false => zoning.title.clone(),
        }
    }
}

/// The box around the zones of a zoning.
fn extent(zoning: &ReleasedZoning) -> Option<Rect> {
    around(zoning.zones.iter().map(|zone| zone.contour.degrees()))
}

/// The box around contours; none around what has no ground.
pub(super) fn around<'c>(contours: impl Iterator<Item = &'c MultiPolygon>) -> Option<Rect> {
    contours.map(BoundingRect::bounding_rect).fold(None, around_both)
}

/// The box around two, where there are two.
pub(super) fn around_both(one: Option<Rect>, other: Option<Rect>) -> Option<Rect> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    let least = (one.min().x.min(other.min().x), one.min().y.min(other.min().y));
    Some(Rect::new(least, (one.max().x.max(other.max().x), one.max().y.max(other.max().y))))
}

/// A title as it goes on after a comma.
fn lower_case_first(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
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
