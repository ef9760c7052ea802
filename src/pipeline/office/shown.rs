//! What the public is served follows the store: at once for an act of this process, within a second for that of another.

use super::{Fault, Office};
use crate::model::Stage;
use crate::steps::publish::Release;
use crate::steps::seal;
use crate::store::{Served, Standing, StoreError, Withdrawal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often the store is asked what is served: one short row a release, so a second costs nothing that shows.
const POLL: Duration = Duration::from_secs(1);

/// Releases opened at once: the store has a connection for each, and one to spare for those who ask meanwhile.
const OPENED_AT_ONCE: usize = 4;

/// What is to be served: to the public, and to partners what they are given in place of it. Drafts are never here.
#[derive(Clone, Default)]
pub struct Shown {
    /// The current release.
    pub current: Option<Arc<Release>>,
    /// Why there is none, when the last one was taken back.
    pub taken_back: Option<Withdrawn>,
    /// Releases that were current once and that nobody took back, the newest first.
    pub earlier: Vec<Arc<Release>>,
    /// Names of earlier releases that are not open yet.
    pub closed: Vec<String>,
    /// Every release that was taken back, the last one first.
    pub withdrawn: Vec<Withdrawn>,
    /// What was published for partners with a release above, by the name of that release.
    pub for_partners: BTreeMap<String, ForPartners>,
}

/// The release for partners that was published with another one, and that is shown as long as the other is.
#[derive(Clone)]
pub struct ForPartners {
    /// Its name.
    pub release: String,
    /// What it holds; `None` where the public release was taken back, or while it is not open yet.
    pub open: Option<Arc<Release>>,
}

/// A release that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Its name.
    pub release: String,
    /// When it was.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// Who is told, and what they were told last.
pub(super) struct Board {
    show: Box<dyn Fn(Shown) + Send + Sync>,
    /// Held while the store is read, so that an older answer never follows a newer one.
    told: tokio::sync::Mutex<Told>,
}

struct Told {
    served: Served,
    standings: Vec<Standing>,
    /// Releases opened so far that are still shown, by id; `None` for one that could not be opened.
    open: BTreeMap<String, Option<Arc<Release>>>,
}

impl Board {
    pub(super) fn new(show: impl Fn(Shown) + Send + Sync + 'static) -> Self {
        let told = Told { served: Served::Nothing, standings: Vec::new(), open: BTreeMap::new() };
        Self { show: Box::new(show), told: tokio::sync::Mutex::new(told) }
    }
}

impl Office {
    /// Shows what the store says is served, if that changed. The current release is opened; earlier ones that never
    /// were stay closed until [`Office::open_earlier`].
    ///
    /// # Errors
    /// The store's, and then what was shown stays; or a release that cannot be opened, and then what was shown stays but
    /// for what was taken back, and the next call tries again.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let board = &self.0.shown;
        let mut told = board.told.lock().await;
        let (served, standings) = self.stands().await?;
        if told.served == served && told.standings == standings {
            return Ok(());
        }
        let mut stays_closed = None;
        if let Served::Release(id) = &served {
            if !matches!(told.open.get(id), Some(Some(_))) {
                match self.open(id).await {
                    Ok(release) => {
                        told.open.insert(id.clone(), Some(release));
                    }
                    Err(closed) => stays_closed = Some(closed.fault()),
                }
            }
            let beside = standings.iter().find(|s| s.entry.id == *id).and_then(|s| s.partner_release.as_ref());
            if let Some(id) = beside.filter(|id| !told.open.contains_key(*id)) {
                match self.open(id).await {
                    Ok(release) => {
                        told.open.insert(id.clone(), Some(release));
                    }
                    // The public does not wait for it, and partners are not shown less in its place.
                    Err(closed) => told.stays_closed(id, closed),
                }
            }
        }
        told.open.retain(|id, _| is_shown(&standings, id));
        let moved = told.standings != standings;
        told.standings = standings;
        let Some(fault) = stays_closed else {
            told.served = served;
            (board.show)(told.shown());
            return Ok(());
        };
        if moved {
            if matches!(&told.served, Served::Release(id) if !told.open.contains_key(id)) {
                told.served = Served::Nothing;
            }
            (board.show)(told.shown());
        }
        Err(fault)
    }

    /// Opens the releases that are still closed, the newest first, some at once, and shows them. One that is
    /// damaged stays closed, and the log says so once; one that the store did not give is tried again at the next call.
    pub async fn open_earlier(&self) {
        let board = &self.0.shown;
        loop {
            let closed = board.told.lock().await.never_opened();
            let mut opening = JoinSet::new();
            for id in closed {
                let office = self.clone();
                opening.spawn(async move { (office.open(&id).await, id) });
            }
            if opening.is_empty() {
                return;
            }
            let opened = opening.join_all().await;
            let mut told = board.told.lock().await;
            let mut again = false;
            for (release, id) in opened {
                // It may have been taken back meanwhile.
                let is_shown = is_shown(&told.standings, &id);
                match release {
                    Ok(release) if is_shown => {
                        told.open.insert(id, Some(release));
                    }
                    Ok(_) => {}
                    Err(closed) => {
                        again |= matches!(closed, Closed::Unread(_));
                        if is_shown {
                            told.stays_closed(&id, closed);
                        }
                    }
                }
            }
            (board.show)(told.shown());
            if again {
                return;
            }
        }
    }

    /// Follows what other processes publish in the same store, for as long as this one runs.
    pub async fn follow(self) {
        loop {
            self.open_earlier().await;
            tokio::time::sleep(POLL).await;
            if let Err(fault) = self.refresh().await {
                tracing::error!("what is served could not be read again: {fault}");
            }
        }
    }

    /// What is served and where each release stands, as of one moment.
    async fn stands(&self) -> Result<(Served, Vec<Standing>), Fault> {
        loop {
            let (served, standings) = (self.desk().served().await?, self.desk().standings().await?);
            let published = standings.iter().find(|s| s.stage == Stage::Published).map(|s| s.entry.id.as_str());
            let pointed = match &served {
                Served::Release(id) => Some(id.as_str()),
                Served::Nothing | Served::Withdrawn(_) => None,
            };
            // They differ when another process acted between the two.
            if published == pointed {
                return Ok((served, standings));
            }
        }
    }

    async fn open(&self, id: &str) -> Result<Arc<Release>, Closed> {
        let missing = || Closed::Damaged(Fault::broken(format!("release {id} is served and is not in the store")));
        let kept = self.desk().release(id).await.map_err(|e| match e {
            StoreError::Damaged { .. } => Closed::Damaged(e.into()),
            e => Closed::Unread(e.into()),
        })?;
        let bytes = kept.ok_or_else(missing)?.bytes;
        // It is work of some milliseconds, during which the service answers.
        let opened = tokio::task::spawn_blocking(move || seal::unseal(&bytes)).await;
        let opened = opened.map_err(|e| Closed::Unread(Fault::broken(e)))?;
        Ok(Arc::new(opened.map_err(|e| Closed::Damaged(Fault::broken(format!("release {id}: {e}"))))?))
    }
}

/// Why a release could not be opened.
enum Closed {
    /// It never will be.
    Damaged(Fault),
    /// The store did not give it this time.
    Unread(Fault),
}

impl Closed {
    fn fault(self) -> Fault {
        match self {
            Self::Damaged(fault) | Self::Unread(fault) => fault,
        }
    }
}

impl Told {
    /// Says so in the log. One that is damaged is not tried again; one that the store did not give is.
    fn stays_closed(&mut self, id: &str, closed: Closed) {
        match closed {
            Closed::Damaged(fault) => {
                tracing::error!("a release stays closed: {}", fault.found);
                self.open.insert(id.to_owned(), None);
            }
            Closed::Unread(fault) => tracing::error!("a release could not be read: {}", fault.found),
        }
    }

    fn shown(&self) -> Shown {
        let open = |id: &str| self.open.get(id).cloned().flatten();
        let earlier: Vec<&str> = self.earlier().collect();
        let mut withdrawn: Vec<Withdrawn> =
            self.standings.iter().filter_map(|s| s.withdrawal.as_ref()).map(Withdrawn::of).collect();
        withdrawn.sort_by(|one, other| other.at.cmp(&one.at).then_with(|| one.release.cmp(&other.release)));
        let for_partners = self.standings.iter().filter_map(|s| {
            let release = s.partner_release.clone()?;
            let open = if is_public(s) { open(&release) } else { None };
            Some((s.entry.id.clone(), ForPartners { release, open }))
        });
        let (current, taken_back) = match &self.served {
            Served::Nothing => (None, None),
            Served::Release(id) => (open(id), None),
            Served::Withdrawn(withdrawal) => (None, Some(Withdrawn::of(withdrawal))),
        };
        Shown {
            current,
            taken_back,
            earlier: earlier.iter().filter_map(|id| open(id)).collect(),
            closed: earlier.iter().filter(|id| open(id).is_none()).map(|id| (*id).to_owned()).collect(),
            withdrawn,
            for_partners: for_partners.collect(),
        }
    }

    /// Releases that were current once and that nobody took back, the newest first.
    fn earlier(&self) -> impl Iterator<Item = &str> {
        let superseded = self.standings.iter().rev().filter(|s| s.stage == Stage::Superseded);
        // It is current still where the one that follows it could not be opened.
        superseded.map(|s| s.entry.id.as_str()).filter(|id| !matches!(&self.served, Served::Release(now) if now == id))
    }

    /// Some of those that nobody tried to open yet, the newest first: those for all before those for partners.
    fn never_opened(&self) -> Vec<String> {
        let for_partners = self.standings.iter().rev().filter(|s| is_public(s));
        let for_partners = for_partners.filter_map(|s| s.partner_release.as_deref());
        let closed = self.earlier().chain(for_partners).filter(|id| !self.open.contains_key(*id));
        closed.take(OPENED_AT_ONCE).map(str::to_owned).collect()
    }
}

impl Withdrawn {
    fn of(withdrawal: &Withdrawal) -> Self {
        let Withdrawal { release, at, author: _, reason } = withdrawal.clone();
        Self { release, at, reason }
    }
}

/// Whether a release is for the public, or for partners beside one that is.
fn is_shown(standings: &[Standing], id: &str) -> bool {
    standings.iter().any(|s| is_public(s) && (s.entry.id == id || s.partner_release.as_deref() == Some(id)))
}

fn is_public(standing: &Standing) -> bool {
    match standing.stage {
        Stage::Published | Stage::Superseded => true,
        Stage::Preparing | Stage::Refused | Stage::Draft | Stage::Withdrawn => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::model::ReleaseId;
    use crate::steps::publish::Provenance;
    use crate::store::{ACT_PARTNERS, Desk, LedgerEntry, ReleaseEntry, SqliteStore, Stamp, Store, Why, digest};
    use std::sync::Mutex;

    /// Keeps a release of this name, without zones; it is nobody's to see until the store points at it.
    async fn keep(store: &SqliteStore, name: &str) {
        let text = |word: &str| word.to_owned();
        let provenance = Provenance {
            source: text("Urssaf et MSA"),
            updated: text("2026-01-01T00:00:00Z"),
            licence: text("CC0-1.0"),
            notice: text(""),
            policy: text("00"),
            policy_version: text("1"),
            inputs: BTreeMap::new(),
            arpent: text("0.1.0"),
        };
        let id = ReleaseId::from_digest(name);
        let release = Release { id, zonings: Vec::new(), vintages: BTreeMap::new(), provenance };
        let bytes = seal::seal(&release);
        let entry = ReleaseEntry { id: name.to_owned(), created: text("2026"), digest: digest(&bytes).await };
        store.put_release(&entry, bytes.into()).await.unwrap();
    }

    /// What an office shows, in words: current or taken back; earlier ones, closed ones, withdrawn ones.
    fn watched(store: &Arc<SqliteStore>) -> (Office, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let office = Office::new(store.clone(), Settings::default(), move |shown| {
            let current = shown.current.map(|r| r.id.to_string());
            let taken_back = shown.taken_back.map(|w| format!("{} was taken back", w.release));
            let earlier: Vec<String> = shown.earlier.iter().map(|r| r.id.to_string()).collect();
            let withdrawn: Vec<String> = shown.withdrawn.into_iter().map(|w| w.release).collect();
            told.lock().unwrap().push(format!(
                "{}; {}; {}; {}",
                current.or(taken_back).unwrap_or_default(),
                earlier.join(" "),
                shown.closed.join(" "),
                withdrawn.join(" ")
            ));
        });
        (office, seen)
    }

    #[tokio::test]
    async fn the_public_is_shown_what_is_or_was_current_and_nothing_else() {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        for name in ["first", "draft", "second", "third", "partners"] {
            keep(&store, name).await;
        }
        let (office, seen) = watched(&store);
        let by = |at: &str| Stamp { at: at.to_owned(), author: "test".to_owned() };
        let why = |at: &str| Why { by: by(at), reason: "une erreur".to_owned() };
        for (name, shown) in [
            ("first", "first; ; ; "),
            ("second", "second; first; ; "),
            ("third", "third; second first; ; "),
            ("first", "first; third second; ; "),
        ] {
            store.set_current(name, &by("2026-01-01T00:00:00Z")).await.unwrap();
            office.refresh().await.unwrap();
            office.refresh().await.unwrap();
            assert_eq!(seen.lock().unwrap().drain(..).collect::<Vec<_>>(), [shown], "told once");
        }
        // One that starts now opens the current release first, then the others.
        let (cold, seen_cold) = watched(&store);
        cold.refresh().await.unwrap();
        cold.open_earlier().await;
        let opened = ["first; ; third second; ", "first; third second; ; "];
        assert_eq!(*seen_cold.lock().unwrap(), opened);

        for (name, at, shown) in [
            ("second", "2026-02-01T00:00:00Z", "first; third; ; second"),
            ("first", "2026-03-01T00:00:00Z", "first was taken back; third; ; first second"),
            ("third", "2026-04-01T00:00:00Z", "first was taken back; ; ; third first second"),
        ] {
            store.withdraw(name, &why(at)).await.unwrap();
            office.refresh().await.unwrap();
            assert_eq!(seen.lock().unwrap().drain(..).collect::<Vec<_>>(), [shown], "{name} at once");
        }
    }

    #[tokio::test]
    async fn what_is_for_partners_is_shown_as_long_as_the_public_release_beside_it() {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let office = |told: Arc<Mutex<Vec<String>>>| {
            Office::new(store.clone(), Settings::default(), move |shown| {
                let beside = shown.for_partners.into_iter();
                let beside = beside.map(|(public, other)| match other.open {
                    Some(open) => format!("{public}: {} {}", other.release, open.id),
                    None => format!("{public}: {} closed", other.release),
                });
                told.lock().unwrap().push(beside.collect::<Vec<_>>().join(", "));
            })
        };
        let by = Stamp { at: "2026-01-01T00:00:00Z".to_owned(), author: "test".to_owned() };
        for name in ["one", "two", "partners-one", "partners-two"] {
            keep(&store, name).await;
        }
        let running = office(told.clone());
        for name in ["one", "two"] {
            let subject = format!("partners-{name}");
            let Stamp { at, author } = by.clone();
            let act = LedgerEntry { at, author, act: ACT_PARTNERS.to_owned(), subject, digest: String::new() };
            store.append(&act).await.unwrap();
            store.set_current(name, &by).await.unwrap();
            running.refresh().await.unwrap();
        }
        let (one, two) = ("one: partners-one partners-one", "two: partners-two partners-two");
        let take = || seen.lock().unwrap().drain(..).collect::<Vec<_>>();
        assert_eq!(take(), [one.to_owned(), format!("{one}, {two}")], "at once");
        let cold = office(told);
        cold.refresh().await.unwrap();
        cold.open_earlier().await;
        assert_eq!(take(), [format!("one: partners-one closed, {two}"), format!("{one}, {two}")], "after a start");
        store.withdraw("one", &Why { by, reason: "une erreur".to_owned() }).await.unwrap();
        running.refresh().await.unwrap();
        assert_eq!(take(), [format!("one: partners-one closed, {two}")], "and gone with it");
    }

    #[tokio::test]
    async fn what_is_taken_back_goes_though_what_follows_it_cannot_be_opened() {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        keep(&store, "first").await;
        let torn = b"no release".to_vec();
        let entry = ReleaseEntry { id: "torn".to_owned(), created: "2026".to_owned(), digest: digest(&torn).await };
        store.put_release(&entry, torn.into()).await.unwrap();
        let (office, seen) = watched(&store);
        let by = Stamp { at: "2026-01-01T00:00:00Z".to_owned(), author: "test".to_owned() };
        store.set_current("first", &by).await.unwrap();
        office.refresh().await.unwrap();
        store.set_current("torn", &by).await.unwrap();
        assert!(office.refresh().await.is_err());
        store.withdraw("first", &Why { by, reason: "une erreur".to_owned() }).await.unwrap();
        assert!(office.refresh().await.is_err(), "it is tried again");
        let told = ["first; ; ; ", "first; ; ; ", "; ; ; first"];
        assert_eq!(*seen.lock().unwrap(), told, "the one before is served until it is taken back");
    }
}
