//! What every store promises, as tests that any backend runs: it gives a [`Bench`] and calls [`every_rule!`].

mod desk;

use super::*;
pub(crate) use desk::*;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Runs every rule on a bench, one test a rule.
macro_rules! every_rule {
    ($bench:ty) => {
        $crate::store::rules::every_rule! {
            $bench:
            a_zoning_version_is_given_back_as_it_was_kept,
            a_zoning_version_never_changes,
            the_latest_version_is_the_one_kept_last,
            a_register_is_given_back_as_it_was_kept,
            a_register_can_be_known_without_its_figures,
            a_release_never_changes,
            the_current_release_moves_with_its_line_in_the_ledger,
            only_a_sound_release_becomes_current,
            a_dossier_rests_beside_its_release_and_never_changes,
            the_policy_in_force_is_the_last_one_with_its_line_in_the_ledger,
            what_was_ever_served_is_remembered,
            bytes_are_those_of_their_digest_or_are_not_kept,
            what_is_too_large_is_not_kept,
            damage_is_seen_when_bytes_are_read,
            a_job_is_followed_from_queue_to_end,
            an_altered_ledger_is_found_out_at_its_first_line,
            everything_is_there_after_reopening,
            a_newer_schema_is_refused,
            two_handles_share_one_store,
            handles_may_open_a_new_place_at_once,
            a_write_abandoned_at_any_moment_is_done_whole_or_not_at_all,
            a_key_is_known_by_its_public_name_until_it_is_revoked,
            what_is_sent_is_kept_with_its_report_and_its_line,
            a_draft_is_published_once_everything_holds,
            what_is_taken_back_is_never_served_again,
            a_draft_is_written_from_the_stage_it_was_read_at,
            jobs_that_nobody_works_at_are_marked,
            an_answer_is_given_once_and_again,
            a_register_is_read_as_was_said_last,
            decisions_are_kept_in_order_all_or_none_and_their_lines_name_nobody,
        }
    };
    ($bench:ty: $($rule:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                $crate::store::rules::$rule::<$bench>().await;
            }
        )*
    };
}
pub(crate) use every_rule;

/// A place for a store, and a hand that reaches behind it.
pub(crate) trait Bench: Sized {
    /// An empty place.
    async fn new() -> Self;
    /// A handle on the store in that place.
    async fn open(&self) -> Result<Arc<dyn Desk>, StoreError>;
    /// Alters what is stored, as damage or a hostile hand would.
    async fn spoil(&self, spoil: Spoil);
}

/// What the hand behind the store does.
#[derive(Debug, Clone)]
pub(crate) enum Spoil {
    ZoningBytes,
    ZoningDigest,
    RegisterBytes,
    RegisterBytesGone,
    ReleaseBytes,
    ReleaseDigest,
    LedgerLine { number: u64, column: &'static str, value: String },
    LedgerLineGone { number: u64 },
    DecisionText,
    SchemaNewer,
}

async fn fresh<B: Bench>() -> (B, Arc<dyn Desk>) {
    let bench = B::new().await;
    let store = bench.open().await.unwrap();
    (bench, store)
}

async fn secteurs(version: &str, bytes: &'static [u8]) -> (ZoningVersion, Bytes) {
    let entry = ZoningVersion {
        zoning: "secteurs".into(),
        version: version.into(),
        title: "Secteurs d'emploi".into(),
        digest: digest(bytes).await,
        created: "2026-03-01T09:00:00Z".into(),
        author: "sig".into(),
        reason: "L'avenue est passée d'un secteur à l'autre".into(),
        options: r#"{"zone_id":"CODE"}"#.into(),
        file_name: "secteurs.zip".into(),
        valid_from: "2026-01-01".into(),
        valid_to: String::new(),
    };
    (entry, Bytes::from_static(bytes))
}

async fn register(bytes: &'static [u8]) -> (RegisterEntry, Bytes) {
    let entry = RegisterEntry {
        digest: digest(bytes).await,
        created: "2026-03-02T09:00:00Z".into(),
        author: "observatoire".into(),
        file_name: "etablissements.csv".into(),
        options: "{}".into(),
    };
    (entry, Bytes::from_static(bytes))
}

async fn release(id: &str, bytes: &[u8]) -> (ReleaseEntry, Bytes) {
    let entry = ReleaseEntry { id: id.into(), created: "2026-03-03T09:00:00Z".into(), digest: digest(bytes).await };
    (entry, Bytes::copy_from_slice(bytes))
}

/// Keeps a release whose bytes are its id.
pub(crate) async fn kept_release(store: &dyn Store, id: &str) -> ReleaseEntry {
    let (entry, bytes) = release(id, id.as_bytes()).await;
    store.put_release(&entry, bytes).await.unwrap();
    entry
}

pub(crate) fn stamp(day: u32) -> Stamp {
    Stamp { at: format!("2026-04-{day:02}T09:00:00Z"), author: "direction".into() }
}

pub(crate) fn act(number: u64) -> LedgerEntry {
    LedgerEntry {
        at: "2026-04-01T09:00:00Z".into(),
        author: "direction".into(),
        act: "upload".into(),
        subject: format!("file {number}"),
        digest: String::new(),
    }
}

fn job(id: &str) -> Job {
    Job {
        id: id.into(),
        kind: "publish".into(),
        state: JobState::Queued,
        created: "2026-04-01T09:00:00Z".into(),
        updated: "2026-04-01T09:00:00Z".into(),
        author: "sig".into(),
        request: r#"{"zonings":{}}"#.into(),
        report: "{}".into(),
    }
}

/// Polls a future so many times, then drops it where it stands. Gives its answer if it had one by then.
pub(crate) async fn abandon<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

pub(crate) async fn a_zoning_version_is_given_back_as_it_was_kept<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    assert_eq!(store.zonings().await.unwrap(), []);
    assert_eq!(store.latest_zoning("secteurs").await.unwrap(), None);
    let (entry, bytes) = secteurs("2026", b"contours").await;
    assert_eq!(store.put_zoning(&entry, bytes.clone()).await.unwrap(), Put::New);
    assert_eq!(store.zonings().await.unwrap(), std::slice::from_ref(&entry));
    assert_eq!(store.zoning("secteurs", "2026").await.unwrap(), Some(Kept { entry, bytes }));
    for (zoning, version) in [("secteurs", "2025"), ("iris", "2026"), ("SECTEURS", "2026"), ("", "")] {
        assert_eq!(store.zoning(zoning, version).await.unwrap(), None, "{zoning} {version}");
    }
    let (empty, nothing) = secteurs("empty", b"").await;
    store.put_zoning(&empty, nothing.clone()).await.unwrap();
    assert_eq!(store.zoning("secteurs", "empty").await.unwrap().unwrap().bytes, nothing);
}

pub(crate) async fn a_zoning_version_never_changes<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let (entry, bytes) = secteurs("2026", b"contours").await;
    store.put_zoning(&entry, bytes.clone()).await.unwrap();
    let again = ZoningVersion { title: "Autre titre".into(), ..entry.clone() };
    assert_eq!(store.put_zoning(&again, bytes.clone()).await.unwrap(), Put::Already);
    let (other, others) = secteurs("2026", b"other contours").await;
    let error = store.put_zoning(&other, others.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { what: "zoning", .. }), "{error:?}");
    assert!(error.to_string().starts_with("zoning `secteurs 2026`: found other content"), "{error}");
    assert_eq!(store.zoning("secteurs", "2026").await.unwrap(), Some(Kept { entry, bytes }));
    let elsewhere = ZoningVersion { zoning: "iris".into(), ..other };
    assert_eq!(store.put_zoning(&elsewhere, others).await.unwrap(), Put::New, "the same version of another zoning");
}

pub(crate) async fn the_latest_version_is_the_one_kept_last<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    for version in ["2026", "2025 bis", "10"] {
        let (entry, bytes) = secteurs(version, b"contours").await;
        store.put_zoning(&entry, bytes.clone()).await.unwrap();
        store.put_zoning(&ZoningVersion { zoning: format!("after {version}"), ..entry.clone() }, bytes).await.unwrap();
        assert_eq!(store.latest_zoning("secteurs").await.unwrap(), Some(entry));
    }
    let (first, bytes) = secteurs("2026", b"contours").await;
    store.put_zoning(&first, bytes).await.unwrap();
    assert_eq!(store.latest_zoning("secteurs").await.unwrap().unwrap().version, "10", "nothing was kept anew");
    let order: Vec<String> = store.zonings().await.unwrap().into_iter().map(|z| z.zoning + " " + &z.version).collect();
    let expected = [
        "secteurs 2026",
        "after 2026 2026",
        "secteurs 2025 bis",
        "after 2025 bis 2025 bis",
        "secteurs 10",
        "after 10 10",
    ];
    assert_eq!(order, expected);
}

pub(crate) async fn a_register_is_given_back_as_it_was_kept<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let (entry, bytes) = register(b"siret;effectif").await;
    assert_eq!(store.register(&entry.digest).await.unwrap(), None);
    assert_eq!(store.put_register(&entry, bytes.clone()).await.unwrap(), Put::New);
    let again = RegisterEntry { author: "other".into(), ..entry.clone() };
    assert_eq!(store.put_register(&again, bytes.clone()).await.unwrap(), Put::Already);
    assert_eq!(store.registers().await.unwrap(), std::slice::from_ref(&entry));
    assert_eq!(store.register(&entry.digest).await.unwrap(), Some(Kept { entry: entry.clone(), bytes }));
    let (second, bytes) = register(b"siret;effectif;naf").await;
    assert_eq!(store.put_register(&second, bytes).await.unwrap(), Put::New);
    assert_eq!(store.registers().await.unwrap(), [entry, second]);
}

pub(crate) async fn a_register_can_be_known_without_its_figures<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    let (entry, bytes) = register(b"siret;effectif").await;
    store.put_register(&entry, bytes.clone()).await.unwrap();
    bench.spoil(Spoil::RegisterBytesGone).await;
    assert_eq!(store.registers().await.unwrap(), std::slice::from_ref(&entry));
    assert_eq!(store.register(&entry.digest).await.unwrap(), None);
    assert_eq!(store.put_register(&entry, bytes.clone()).await.unwrap(), Put::New, "the figures were not there");
    assert_eq!(store.register(&entry.digest).await.unwrap(), Some(Kept { entry, bytes }));
}

pub(crate) async fn a_release_never_changes<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let (entry, bytes) = release("r1", b"sealed").await;
    assert_eq!(store.release("r1").await.unwrap(), None);
    assert_eq!(store.put_release(&entry, bytes.clone()).await.unwrap(), Put::New);
    let later = ReleaseEntry { created: "2027-01-01T00:00:00Z".into(), ..entry.clone() };
    assert_eq!(store.put_release(&later, bytes.clone()).await.unwrap(), Put::Already);
    let (other, others) = release("r1", b"sealed otherwise").await;
    let error = store.put_release(&other, others).await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { what: "release", .. }), "{error:?}");
    assert_eq!(store.release("r1").await.unwrap(), Some(Kept { entry: entry.clone(), bytes }));
    assert_eq!(store.releases().await.unwrap(), [entry]);
}

pub(crate) async fn the_current_release_moves_with_its_line_in_the_ledger<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    assert_eq!(store.current().await.unwrap(), None);
    kept_release(&*store, "r1").await;
    kept_release(&*store, "r2").await;
    assert_eq!(store.current().await.unwrap(), None, "a release kept is not yet served");
    // Back to the first: a release is taken back by serving the one before.
    let mut lines = Vec::new();
    for (day, id) in [(1, "r1"), (2, "r2"), (3, "r1")] {
        let line = store.set_current(id, &stamp(day)).await.unwrap();
        let current = store.current().await.unwrap().unwrap();
        assert_eq!((current.entry.id.as_str(), &current.bytes[..]), (id, id.as_bytes()));
        let Stamp { at, author } = stamp(day);
        let (act, subject) = (ACT_CURRENT.to_owned(), id.to_owned());
        assert_eq!(line.entry, LedgerEntry { at, author, act, subject, digest: current.entry.digest });
        assert_eq!(line.number, u64::from(day));
        lines.push(line);
    }
    assert_eq!(store.ledger(0, 10).await.unwrap(), lines);
    assert_eq!(store.ledger(1, 1).await.unwrap(), lines[1..2]);
    assert_eq!(store.ledger(3, 10).await.unwrap(), []);
    assert_eq!(store.ledger(u64::MAX, 10).await.unwrap(), []);
}

pub(crate) async fn only_a_sound_release_becomes_current<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    let error = store.set_current("r1", &stamp(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { what: "release", .. }), "{error:?}");
    kept_release(&*store, "r1").await;
    bench.spoil(Spoil::ReleaseBytes).await;
    kept_release(&*store, "r2").await;
    store.set_current("r2", &stamp(2)).await.unwrap();
    let error = store.set_current("r1", &stamp(3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { what: "release", .. }), "{error:?}");
    assert_eq!(store.current().await.unwrap().unwrap().entry.id, "r2");
    assert_eq!(store.ledger(0, 10).await.unwrap().len(), 1, "what was refused leaves no line");
}

pub(crate) async fn bytes_are_those_of_their_digest_or_are_not_kept<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let wrong = Bytes::from_static(b"cut sho");
    let (zoning, _) = secteurs("2026", b"cut short").await;
    let (register, _) = register(b"cut short").await;
    let (release, _) = release("r1", b"cut short").await;
    for (what, answer) in [
        ("zoning", store.put_zoning(&zoning, wrong.clone()).await),
        ("register", store.put_register(&register, wrong.clone()).await),
        ("release", store.put_release(&release, wrong.clone()).await),
        (
            "release",
            // Digests are in lower case, here as in every comparison.
            store
                .put_release(
                    &ReleaseEntry { digest: digest(&wrong).await.to_uppercase(), ..release.clone() },
                    wrong.clone(),
                )
                .await,
        ),
    ] {
        assert!(matches!(answer, Err(StoreError::Mislabelled { what: w, .. }) if w == what), "{what}: {answer:?}");
    }
    assert_eq!(store.zonings().await.unwrap(), []);
    assert_eq!(store.registers().await.unwrap(), []);
    assert_eq!(store.releases().await.unwrap(), []);
}

pub(crate) async fn what_is_too_large_is_not_kept<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    // Pages of zeros nobody looks at cost no memory.
    let above = |limit: usize| Bytes::from(vec![0; limit + 1]);
    let long = "x".repeat(JSON_BYTES_MAX + 1);
    let at_the_limit = "x".repeat(JSON_BYTES_MAX);
    let (zoning, contours) = secteurs("2026", b"contours").await;
    let (register, figures) = register(b"figures").await;
    let (release, _) = release("r1", b"sealed").await;
    let new_job = Job { report: long.clone(), ..job("j1") };
    let too_large = |answer: Result<(), StoreError>, limit: usize| match answer {
        Err(StoreError::TooLarge { found, limit: told, .. }) => assert_eq!((found, told), (limit + 1, limit)),
        other => panic!("{other:?}"),
    };
    too_large(store.put_zoning(&zoning, above(ZONING_BYTES_MAX)).await.map(drop), ZONING_BYTES_MAX);
    too_large(store.put_register(&register, above(REGISTER_BYTES_MAX)).await.map(drop), REGISTER_BYTES_MAX);
    too_large(store.put_release(&release, above(RELEASE_BYTES_MAX)).await.map(drop), RELEASE_BYTES_MAX);
    too_large(
        store.put_zoning(&ZoningVersion { options: long.clone(), ..zoning }, contours).await.map(drop),
        JSON_BYTES_MAX,
    );
    too_large(
        store.put_register(&RegisterEntry { options: long.clone(), ..register }, figures).await.map(drop),
        JSON_BYTES_MAX,
    );
    too_large(store.insert_job(&new_job).await, JSON_BYTES_MAX);
    assert_eq!(store.zonings().await.unwrap(), []);
    assert_eq!(store.registers().await.unwrap(), []);
    assert_eq!(store.releases().await.unwrap(), []);
    assert_eq!(store.jobs(10).await.unwrap(), []);
    store.insert_job(&Job { report: at_the_limit.clone(), ..new_job }).await.unwrap();
    too_large(store.update_job("j1", JobState::Done, "", &long).await, JSON_BYTES_MAX);
    assert_eq!(store.job("j1").await.unwrap().unwrap().report, at_the_limit);
}

pub(crate) async fn damage_is_seen_when_bytes_are_read<B: Bench>() {
    for (spoil, damaged) in [
        (None, [false, false, false]),
        (Some(Spoil::ZoningBytes), [true, false, false]),
        (Some(Spoil::ZoningDigest), [true, false, false]),
        (Some(Spoil::RegisterBytes), [false, true, false]),
        (Some(Spoil::ReleaseBytes), [false, false, true]),
        (Some(Spoil::ReleaseDigest), [false, false, true]),
    ] {
        let (bench, store) = fresh::<B>().await;
        let (zoning, contours) = secteurs("2026", b"contours").await;
        let (register, figures) = register(b"figures").await;
        store.put_zoning(&zoning, contours).await.unwrap();
        store.put_register(&register, figures).await.unwrap();
        kept_release(&*store, "r1").await;
        store.set_current("r1", &stamp(1)).await.unwrap();
        if let Some(spoil) = spoil.clone() {
            bench.spoil(spoil).await;
        }
        let current = store.current().await.map(drop);
        for (answer, damaged, text) in [
            (store.zoning("secteurs", "2026").await.map(drop), damaged[0], "zoning `secteurs 2026`: found damaged"),
            (store.register(&register.digest).await.map(drop), damaged[1], "register `"),
            (store.release("r1").await.map(drop), damaged[2], "release `r1`: found damaged"),
            (current, damaged[2], "release `r1`: found damaged"),
        ] {
            match answer {
                Ok(()) => assert!(!damaged, "{spoil:?}: {text}"),
                Err(error) => {
                    assert!(damaged && matches!(error, StoreError::Damaged { .. }), "{spoil:?}: {error:?}");
                    assert!(error.to_string().starts_with(text), "{error}");
                }
            }
        }
    }
}

pub(crate) async fn a_job_is_followed_from_queue_to_end<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    assert_eq!(store.job("j1").await.unwrap(), None);
    for id in ["j1", "j0", "j2"] {
        store.insert_job(&job(id)).await.unwrap();
    }
    let error = store.insert_job(&Job { kind: "other".into(), ..job("j1") }).await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { what: "job", .. }), "{error:?}");
    assert_eq!(store.job("j1").await.unwrap(), Some(job("j1")));
    for (n, state) in JobState::ALL.into_iter().enumerate() {
        let (updated, report) = (format!("2026-04-01T10:00:0{n}Z"), format!(r#"{{"rows":{n}}}"#));
        store.update_job("j1", state, &updated, &report).await.unwrap();
        assert_eq!(store.job("j1").await.unwrap(), Some(Job { state, updated, report, ..job("j1") }));
    }
    let error = store.update_job("j9", JobState::Done, "", "{}").await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { what: "job", .. }), "{error:?}");
    for (limit, expected) in [(0, &[][..]), (2, &["j2", "j0"]), (3, &["j2", "j0", "j1"]), (9, &["j2", "j0", "j1"])] {
        let ids: Vec<String> = store.jobs(limit).await.unwrap().into_iter().map(|j| j.id).collect();
        assert_eq!(ids, expected, "{limit}");
    }
}

pub(crate) async fn an_altered_ledger_is_found_out_at_its_first_line<B: Bench>() {
    let line = |number, column, value: &str| Some(Spoil::LedgerLine { number, column, value: value.into() });
    let gone = |number| Some(Spoil::LedgerLineGone { number });
    for (spoil, broken) in [
        (None, None),
        (line(3, "at", "2025-01-01T00:00:00Z"), Some(3)),
        (line(3, "author", "nobody"), Some(3)),
        (line(3, "act", "withdraw"), Some(3)),
        (line(3, "subject", "file 4"), Some(3)),
        (line(3, "digest", "00"), Some(3)),
        (line(3, "hash", "00"), Some(3)),
        (line(1, "author", "nobody"), Some(1)),
        (line(5, "author", "nobody"), Some(5)),
        (line(5, "number", "6"), Some(5)),
        (gone(1), Some(1)),
        (gone(3), Some(3)),
        (gone(5), None), // a chain cannot know how long it was: the hash of its head, kept elsewhere, does
    ] {
        let (bench, store) = fresh::<B>().await;
        assert_eq!(
            store.verify_ledger().await.unwrap(),
            LedgerCheck::Holds { lines: 0, head: String::new() },
            "an empty ledger holds"
        );
        let mut heads = Vec::new();
        for number in 1..=5 {
            heads.push(store.append(&act(number)).await.unwrap().hash);
        }
        if let Some(spoil) = spoil.clone() {
            bench.spoil(spoil).await;
        }
        let expected = match (broken, &spoil) {
            (Some(line), _) => LedgerCheck::Broken { line },
            (None, None) => LedgerCheck::Holds { lines: 5, head: heads[4].clone() },
            (None, Some(_)) => LedgerCheck::Holds { lines: 4, head: heads[3].clone() },
        };
        assert_eq!(store.verify_ledger().await.unwrap(), expected, "{spoil:?}");
    }

    // A hand that also works out the hash of the line it altered is found out at the next one.
    let (bench, store) = fresh::<B>().await;
    for number in 1..=5 {
        store.append(&act(number)).await.unwrap();
    }
    let second = store.ledger(1, 1).await.unwrap().remove(0);
    let forged = LedgerEntry { author: "nobody".into(), ..act(3) };
    let hash = forged.hash(3, &second.hash);
    bench.spoil(Spoil::LedgerLine { number: 3, column: "author", value: "nobody".into() }).await;
    assert_eq!(store.verify_ledger().await.unwrap(), LedgerCheck::Broken { line: 3 });
    bench.spoil(Spoil::LedgerLine { number: 3, column: "hash", value: hash }).await;
    assert_eq!(store.verify_ledger().await.unwrap(), LedgerCheck::Broken { line: 4 }, "the next line knows");
}

pub(crate) async fn everything_is_there_after_reopening<B: Bench>() {
    let bench = B::new().await;
    let (zoning, contours) = secteurs("2026", b"contours").await;
    let (register, figures) = register(b"figures").await;
    let store = bench.open().await.unwrap();
    store.put_zoning(&zoning, contours.clone()).await.unwrap();
    store.put_register(&register, figures.clone()).await.unwrap();
    let release = kept_release(&*store, "r1").await;
    let line = store.set_current("r1", &stamp(1)).await.unwrap();
    store.insert_job(&job("j1")).await.unwrap();
    drop(store);
    let store = bench.open().await.unwrap();
    assert_eq!(store.zoning("secteurs", "2026").await.unwrap(), Some(Kept { entry: zoning, bytes: contours }));
    assert_eq!(store.register(&register.digest).await.unwrap(), Some(Kept { entry: register.clone(), bytes: figures }));
    assert_eq!(store.current().await.unwrap().unwrap().entry, release);
    assert_eq!(store.job("j1").await.unwrap(), Some(job("j1")));
    assert_eq!(store.verify_ledger().await.unwrap(), LedgerCheck::Holds { lines: 1, head: line.hash });
}

pub(crate) async fn a_newer_schema_is_refused<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    drop(store);
    bench.spoil(Spoil::SchemaNewer).await;
    let Err(error) = bench.open().await else { panic!("a newer schema was opened") };
    assert!(matches!(error, StoreError::Schema { .. }), "{error:?}");
}

pub(crate) async fn two_handles_share_one_store<B: Bench>() {
    const LINES_EACH: u64 = 25;
    let (bench, one) = fresh::<B>().await;
    let other = bench.open().await.unwrap();
    kept_release(&*one, "r1").await;
    kept_release(&*other, "r2").await;
    let writer = |store: Arc<dyn Desk>, id: &'static str| {
        tokio::spawn(async move {
            for number in 0..LINES_EACH {
                store.append(&act(number)).await.unwrap();
                store.set_current(id, &stamp(1)).await.unwrap();
                store.current().await.unwrap().unwrap();
            }
        })
    };
    let (a, b) = (writer(one.clone(), "r1"), writer(other.clone(), "r2"));
    a.await.unwrap();
    b.await.unwrap();
    let LedgerCheck::Holds { lines, .. } = one.verify_ledger().await.unwrap() else {
        panic!("two lines took one place")
    };
    assert_eq!(lines, 4 * LINES_EACH);
    assert_eq!(one.current().await.unwrap(), other.current().await.unwrap());

    // Of two files sent for one version at once, one is kept and the other is told.
    let (this, these) = secteurs("2026", b"these contours").await;
    let (that, those) = secteurs("2026", b"those contours").await;
    let (a, b) = tokio::join!(one.put_zoning(&this, these), other.put_zoning(&that, those));
    let winner = match (a, b) {
        (Ok(Put::New), Err(StoreError::Taken { .. })) => this,
        (Err(StoreError::Taken { .. }), Ok(Put::New)) => that,
        both => panic!("{both:?}"),
    };
    assert_eq!(one.zoning("secteurs", "2026").await.unwrap().unwrap().entry, winner);
}

pub(crate) async fn handles_may_open_a_new_place_at_once<B: Bench>() {
    let bench = B::new().await;
    let (a, b, c, d) = tokio::join!(bench.open(), bench.open(), bench.open(), bench.open());
    for store in [a, b, c, d] {
        store.unwrap().append(&act(1)).await.unwrap();
    }
    let check = bench.open().await.unwrap().verify_ledger().await.unwrap();
    assert!(matches!(check, LedgerCheck::Holds { lines: 4, .. }), "{check:?}");
}

pub(crate) async fn a_write_abandoned_at_any_moment_is_done_whole_or_not_at_all<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    kept_release(&*store, "even").await;
    kept_release(&*store, "odd").await;
    store.set_current("odd", &stamp(1)).await.unwrap();
    let mut before = "odd".to_owned();
    for polls in 0.. {
        let after = if before == "odd" { "even" } else { "odd" };
        let lines = store.ledger(0, u32::MAX).await.unwrap().len();
        let answer = abandon(store.set_current(after, &stamp(2)), polls).await;
        // The next writer waits for what is left of the one abandoned.
        store.append(&act(0)).await.unwrap();
        let moved = store.ledger(0, u32::MAX).await.unwrap().len() - lines - 1;
        let current = store.current().await.unwrap().unwrap().entry.id;
        assert!(moved <= 1, "{moved} lines after {polls} polls");
        assert_eq!(current, if moved == 1 { after } else { &before }, "after {polls} polls");
        before = current;
        if let Some(answer) = answer {
            answer.unwrap();
            assert_eq!(moved, 1);
            break;
        }
    }
    assert!(matches!(store.verify_ledger().await.unwrap(), LedgerCheck::Holds { .. }));

    for polls in 0.. {
        let (entry, bytes) = secteurs(&polls.to_string(), b"contours").await;
        let answer = abandon(store.put_zoning(&entry, bytes.clone()), polls).await;
        store.append(&act(0)).await.unwrap();
        let listed = store.zonings().await.unwrap().contains(&entry);
        let kept = store.zoning("secteurs", &entry.version).await.unwrap();
        assert_eq!(kept.is_some(), listed, "after {polls} polls");
        assert!(kept.is_none_or(|k| k.bytes == bytes));
        let expected = if listed { Put::Already } else { Put::New };
        assert_eq!(store.put_zoning(&entry, bytes).await.unwrap(), expected);
        if answer.is_some() {
            assert!(listed);
            break;
        }
    }
}

/// The hash is a promise to ledgers already written; this one was worked out apart from this code.
#[test]
fn the_hash_of_a_line_is_fixed() {
    let entry = LedgerEntry {
        at: "2026-04-01T09:00:00Z".into(),
        author: "direction".into(),
        act: "release.current".into(),
        subject: "été".into(),
        digest: "00ff".into(),
    };
    assert_eq!(entry.hash(1, ""), "032edde4921c5b1ede36406f07dacaa6a72e3f5499c55ef64724099e72be378d");
    assert_eq!(entry.hash(2, &entry.hash(1, "")), "dfd862a7692c8468cfdcd54a93f449b6d36986246a342a51b1a223743d04727d");
    let moved = LedgerEntry { author: "directio".into(), act: "nrelease.current".into(), ..entry.clone() };
    assert_ne!(moved.hash(1, ""), entry.hash(1, ""), "a letter moved to the next field");
}

pub(crate) async fn a_dossier_rests_beside_its_release_and_never_changes<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let entry = |digest: String| DossierEntry { release: "r1".into(), digest };
    let of = |bytes: &'static [u8]| async move { (entry(digest(bytes).await), Bytes::from_static(bytes)) };
    let (first, bytes) = of(b"records").await;
    let missing = store.put_dossier(&first, bytes.clone()).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing:?}");
    kept_release(&*store, "r1").await;
    assert_eq!(store.dossier("r1").await.unwrap(), None);
    assert_eq!(store.put_dossier(&first, bytes.clone()).await.unwrap(), Put::New);
    assert_eq!(store.put_dossier(&first, bytes.clone()).await.unwrap(), Put::Already);
    let (second, others) = of(b"other records").await;
    let taken = store.put_dossier(&second, others.clone()).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken:?}");
    let wrong = store.put_dossier(&first, others).await.unwrap_err();
    assert!(matches!(wrong, StoreError::Mislabelled { .. }), "{wrong:?}");
    assert_eq!(store.dossier("r1").await.unwrap(), Some(Kept { entry: first, bytes }));
}

pub(crate) async fn the_policy_in_force_is_the_last_one_with_its_line_in_the_ledger<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    assert_eq!(store.policy().await.unwrap(), None);
    let mut last = None;
    for (version, text) in [("1", &b"strict"[..]), ("2", b"stricter"), ("1", b"strict")] {
        let entry = PolicyEntry {
            version: version.into(),
            digest: digest(text).await,
            created: stamp(1).at,
            author: stamp(1).author,
        };
        let line = store.set_policy(&entry, Bytes::from_static(text)).await.unwrap();
        assert_eq!((line.entry.act.as_str(), line.entry.subject.as_str()), (ACT_POLICY, version));
        assert_eq!(line.entry.digest, entry.digest);
        last = Some(Kept { entry, bytes: Bytes::from_static(text) });
        assert_eq!(store.policy().await.unwrap(), last);
    }
    assert_eq!(bench.open().await.unwrap().policy().await.unwrap(), last);
    assert!(matches!(store.verify_ledger().await.unwrap(), LedgerCheck::Holds { lines: 3, .. }));
}

pub(crate) async fn what_was_ever_served_is_remembered<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    assert!(store.published().await.unwrap().is_empty());
    for id in ["b", "a", "never"] {
        kept_release(&*store, id).await;
    }
    for (day, id) in ["b", "a", "b"].into_iter().enumerate() {
        store.set_current(id, &stamp(day as u32 + 1)).await.unwrap();
    }
    assert_eq!(store.published().await.unwrap(), ["b", "a"]);
}
