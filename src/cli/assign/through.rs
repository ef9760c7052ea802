//! Batches of points on their way: read side by side, placed side by side, taken in the order read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::report::{Clock, Words};
use crate::model::establishment::Unplaced;
use crate::model::{Crs, Reject, Unreadable};
use crate::steps::assign::place as place_points;
use crate::steps::index::ZoneIndex;
use crate::steps::read::points::{PointBatch, Points};
use crate::steps::reproject::{Mistaken, Reprojector};

/// Batches that wait between two stages: one in the making and one at hand keep both sides busy.
const BATCHES_AHEAD: usize = 2;
/// Batches that later parts of a file may have read before an earlier one is taken: some 25 MiB.
const BATCHES_HELD: usize = 8;
/// Systems that are kept open; France and its overseas territories use about twenty.
const ROW_SYSTEMS_KEPT: usize = 512;

/// What each thread needs to place a batch.
pub(super) struct Work<'a> {
    pub(super) index: &'a ZoneIndex,
    pub(super) crs: &'a Crs,
    pub(super) distance: bool,
    /// Whether who takes a batch asks where its points are.
    pub(super) coordinates: bool,
}

/// A batch, placed.
pub(super) struct Done {
    /// With coordinates in EPSG:2154 metres, where they are asked for; NaN where there is none.
    pub(super) points: PointBatch,
    pub(super) words: Words,
    pub(super) distance_m: Option<Vec<f64>>,
    pub(super) rejected: Vec<Reject>,
    /// Systems that rows name and that cannot be had: the code and the first such row.
    pub(super) unknown: BTreeMap<u32, usize>,
    pub(super) mistaken: Vec<Mistaken>,
    pub(super) clock: Clock,
}

/// Reads, places and gives back batches in the order read; this thread takes what is done. Where the file has as many parts
/// as there are cores, small enough that those who read later ones need not wait, a thread for each core reads a part and
/// places it, batch by batch, while it is in its cache; else some read and as many as there are cores place. No more than a
/// few batches are in memory.
pub(super) fn through(
    points: Points,
    work: &Work<'_>,
    mut take: impl FnMut(Done, f64) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let turn = Turn::default();
    let (n_parts, batches) = points.table().parts_and_batches();
    let none_waits = batches.is_some_and(|batches| batches.saturating_mul(threads - 1) <= BATCHES_HELD);
    let parts = Mutex::new(points.parts().enumerate());
    std::thread::scope(|scope| {
        let _leaving = Leaving(&turn);
        let (parts, turn) = (&parts, &turn);
        let (send_placed, placed) = mpsc::sync_channel(BATCHES_AHEAD);
        if n_parts >= threads && none_waits {
            for _ in 0..threads {
                let send_placed = send_placed.clone();
                scope.spawn(move || {
                    let mut placer = Placer::new(work);
                    reading(parts, turn, |read| send_placed.send(placer.place(read)).is_ok());
                });
            }
        } else {
            let (send_read, read) = mpsc::sync_channel(BATCHES_AHEAD);
            for _ in 0..n_parts.clamp(1, threads) {
                let send_read = send_read.clone();
                scope.spawn(move || reading(parts, turn, |read| send_read.send(read).is_ok()));
            }
            drop(send_read);
            let read = Arc::new(Mutex::new(read));
            for _ in 0..threads {
                let (read, send_placed) = (Arc::clone(&read), send_placed.clone());
                scope.spawn(move || placing(work, turn, &read, &send_placed));
            }
        }
        drop(send_placed);
        let mut waiting = BTreeMap::new();
        let mut next = (0, 0);
        for (place, done, share) in placed {
            waiting.insert(place, (done, share));
            while let Some((done, share)) = waiting.remove(&next) {
                let ends = done.is_none();
                if let Some(done) = done {
                    take(done?, share)?;
                }
                next = if ends { (next.0 + 1, 0) } else { (next.0, next.1 + 1) };
                turn.taken(ends);
            }
        }
        Ok(())
    })
}

/// The number of a part of the file, and of a batch in it.
type BatchPlace = (usize, usize);
/// A batch, or the end of its part; the share of the file read so far; and how long that took.
type ReadBatch = (BatchPlace, Option<Result<PointBatch, Unreadable>>, f64, Duration);
type PlacedBatch = (BatchPlace, Option<Result<Done, Unreadable>>, f64);

/// Keeps those who read later parts from running ahead of what is taken: rows stay in order, and memory small.
#[derive(Default)]
struct Turn {
    /// The part that is being taken, and batches read but not taken yet.
    now: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Turn {
    /// Waits until a batch of the part may be read. The part that is being taken never waits here.
    fn wait(&self, part: usize) {
        let may_not = |now: &mut (usize, usize)| part > now.0 && now.1 >= BATCHES_HELD;
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = self.changed.wait_while(now, may_not).unwrap_or_else(PoisonError::into_inner);
        now.1 += 1;
    }
    fn taken(&self, ends: bool) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 += usize::from(ends);
        now.1 = now.1.saturating_sub(1);
        self.changed.notify_all();
    }
}

/// Once nobody takes any more, whoever waits goes on, and finds that out.
struct Leaving<'a>(&'a Turn);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).0 = usize::MAX;
        self.0.changed.notify_all();
    }
}

/// Where a thread fails, nobody waits for what it held, so that the failure is told.
struct Failing<'a>(&'a Turn);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(Leaving(self.0));
        }
    }
}

/// Reads parts to their ends, one after the other, and gives each batch on; until nobody takes any.
fn reading(parts: &Mutex<impl Iterator<Item = (usize, Points)>>, turn: &Turn, mut give: impl FnMut(ReadBatch) -> bool) {
    let _failing = Failing(turn);
    let next = || parts.lock().ok().and_then(|mut parts| parts.next());
    while let Some((part, mut points)) = next() {
        for number in 0.. {
            turn.wait(part);
            let begun = Instant::now();
            let batch = points.next_batch().transpose();
            let (ends, torn) = (batch.is_none(), matches!(batch, Some(Err(_))));
            // A receiver that is gone has met an error and says so itself.
            if !give(((part, number), batch, points.table().progress(), begun.elapsed())) || torn {
                return;
            }
            if ends {
                break;
            }
        }
    }
}

fn placing(
    work: &Work<'_>,
    turn: &Turn,
    read: &Mutex<mpsc::Receiver<ReadBatch>>,
    send: &mpsc::SyncSender<PlacedBatch>,
) {
    let _failing = Failing(turn);
    let mut placer = Placer::new(work);
    loop {
        let received = read.lock().map(|read| read.recv());
        let Ok(Ok(read)) = received else { break };
        if send.send(placer.place(read)).is_err() {
            break;
        }
    }
}

/// Places batches, one thread.
struct Placer<'a> {
    work: &'a Work<'a>,
    systems: Result<Systems, Unreadable>,
}

impl<'a> Placer<'a> {
    fn new(work: &'a Work<'a>) -> Self {
        Self { work, systems: Systems::new(work.crs) }
    }

    fn place(&mut self, (place, batch, share, reading): ReadBatch) -> PlacedBatch {
        let done = batch.map(|batch| {
            let systems = self.systems.as_mut().map_err(|unreadable| unreadable.clone())?;
            let mut done = self.work.done(systems, batch?);
            done.clock.stages.push(("read", reading));
            Ok(done)
        });
        (place, done, share)
    }
}

impl Work<'_> {
    fn done(&self, systems: &mut Systems, mut batch: PointBatch) -> Done {
        let mut clock = Clock::default();
        let begun = Instant::now();
        let rejected = std::mem::take(&mut batch.rejected);
        let (mut points, unknown, mistaken) = systems.reproject(batch);
        clock.spent("reproject", begun);
        let begun = Instant::now();
        let placements = place_points(self.index, &points.x, &points.y, 1);
        clock.spent("assign", begun);
        let begun = Instant::now();
        let words = Words::of(self.index, &points, placements);
        clock.spent("count", begun);
        let begun = Instant::now();
        let distance_m = self.distance.then(|| {
            let distance = |(&x, &y)| self.index.distance_m(x, y);
            let finite = |d: f64| if d.is_finite() { d } else { f64::NAN };
            points.x.iter().zip(&points.y).map(distance).map(finite).collect()
        });
        if self.distance {
            clock.spent("distance", begun);
        }
        if !self.coordinates {
            (points.x, points.y) = (Vec::new(), Vec::new());
        }
        Done { points, words, distance_m, rejected, unknown, mistaken, clock }
    }
}

/// The systems of the points, each opened once a thread.
struct Systems {
    usual: Reprojector,
    by_row: HashMap<u32, Option<Reprojector>>,
}

impl Systems {
    fn new(usual: &Crs) -> Result<Self, Unreadable> {
        Ok(Self { usual: Reprojector::new(usual)?, by_row: HashMap::new() })
    }

    /// Turns the coordinates of a batch into EPSG:2154 metres; points outside the area of use of their system become
    /// unplaced. Tells which systems cannot be had, and how the coordinates of unplaced points look mistaken.
    fn reproject(&mut self, mut batch: PointBatch) -> (PointBatch, BTreeMap<u32, usize>, Vec<Mistaken>) {
        let (mut unknown, mut mistaken) = (BTreeMap::new(), Vec::new());
        if !batch.epsg.iter().any(Option::is_some) {
            let unplaced = &mut batch.unplaced;
            self.usual.points(&mut batch.x, &mut batch.y, |row, look| refuse(&mut unplaced[row], look, &mut mistaken));
            return (batch, unknown, mistaken);
        }
        let mut rows_of: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
        for (row, epsg) in batch.epsg.iter().enumerate().filter(|(row, _)| batch.unplaced[*row].is_none()) {
            rows_of.entry(*epsg).or_default().push(row);
        }
        for (epsg, rows) in rows_of {
            let reprojector = match epsg {
                None => Some(&mut self.usual),
                Some(code) => {
                    let system = self.of_row(code);
                    if system.is_none() {
                        unknown.insert(code, batch.places[rows[0]]);
                    }
                    system
                }
            };
            let mut x: Vec<f64> = rows.iter().map(|&row| batch.x[row]).collect();
            let mut y: Vec<f64> = rows.iter().map(|&row| batch.y[row]).collect();
            let unplaced = &mut batch.unplaced;
            match reprojector {
                Some(reprojector) => {
                    reprojector.points(&mut x, &mut y, |at, look| refuse(&mut unplaced[rows[at]], look, &mut mistaken))
                }
                None => {
                    x.fill(f64::NAN);
                    y.fill(f64::NAN);
                    rows.iter().for_each(|&row| refuse(&mut unplaced[row], None, &mut mistaken));
                }
            }
            for (at, &row) in rows.iter().enumerate() {
                (batch.x[row], batch.y[row]) = (x[at], y[at]);
            }
        }
        (batch, unknown, mistaken)
    }

    fn of_row(&mut self, code: u32) -> Option<&mut Reprojector> {
        if !self.by_row.contains_key(&code) {
            if self.by_row.len() >= ROW_SYSTEMS_KEPT {
                self.by_row.clear();
            }
            self.by_row.insert(code, Reprojector::new(&Crs::Epsg(code)).ok());
        }
        self.by_row.get_mut(&code).and_then(Option::as_mut)
    }
}

/// Takes a point as outside its system, unless it is unplaced for another reason.
fn refuse(unplaced: &mut Option<Unplaced>, look: Option<Mistaken>, mistaken: &mut Vec<Mistaken>) {
    if unplaced.is_none() {
        *unplaced = Some(Unplaced::OutsideCrs);
        mistaken.extend(look);
    }
}
