//! What every store promises to the acts of staff.

use super::*;
use crate::model::Stage;

fn key(id: &str, bytes: &[u8]) -> KeyEntry {
    KeyEntry {
        id: id.into(),
        name: "Jeanne Martin".into(),
        role: "gis".into(),
        digest: crate::steps::bytes::sha256_hex(bytes),
        created: stamp(1).at,
        expires: String::new(),
        revoked: String::new(),
    }
}

fn why(day: u32) -> Why {
    Why { by: stamp(day), reason: format!("reason of day {day}") }
}

async fn policy(store: &dyn Desk, text: &'static [u8]) -> String {
    let digest = digest(text).await;
    let entry =
        PolicyEntry { version: "1".into(), digest: digest.clone(), created: stamp(1).at, author: stamp(1).author };
    store.set_policy(&entry, Bytes::from_static(text)).await.unwrap();
    digest
}

/// A draft that waits, of a release whose bytes are its id.
async fn draft(store: &dyn Desk, id: &str, past: &[&str], policy: &str) -> Draft {
    let release = kept_release(store, &format!("release-{id}")).await;
    let draft = Draft {
        id: id.into(),
        title: "Emploi 2024".into(),
        request: "{}".into(),
        created: stamp(2).at,
        author: "sig".into(),
        stage: Stage::Draft,
        updated: stamp(2).at,
        job: "j1".into(),
        report: "{}".into(),
        release: release.id,
        partner_release: String::new(),
        past: past.iter().map(|id| (*id).to_owned()).collect(),
        policy: policy.into(),
    };
    store.insert_draft(&draft).await.unwrap();
    draft
}

async fn acts(store: &dyn Desk) -> Vec<String> {
    store.ledger(0, u32::MAX).await.unwrap().into_iter().map(|line| line.entry.act).collect()
}

fn stands(answer: Result<LedgerLine, StoreError>, words: &str) {
    match answer {
        Err(error @ StoreError::Stands { .. }) => assert!(error.to_string().contains(words), "{error}"),
        other => panic!("{words}: {other:?}"),
    }
}

pub(crate) async fn a_key_is_known_by_its_public_name_until_it_is_revoked<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    let entry = key("k1", b"one");
    store.put_key(&entry, &stamp(1)).await.unwrap();
    let taken = store.put_key(&KeyEntry { digest: "other".into(), ..entry.clone() }, &stamp(1)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { what: "key", .. }), "{taken:?}");
    assert_eq!(store.key("k1").await.unwrap(), Some(entry.clone()));
    assert_eq!(store.key("k2").await.unwrap(), None);
    store.revoke_key("k1", &stamp(3)).await.unwrap();
    stands(store.revoke_key("k1", &stamp(4)).await, "revoked on 2026-04-03");
    let missing = store.revoke_key("k2", &stamp(4)).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { what: "key", .. }), "{missing:?}");
    let revoked = KeyEntry { revoked: stamp(3).at, ..entry };
    assert_eq!(bench.open().await.unwrap().keys().await.unwrap(), [revoked]);
    assert_eq!(acts(&*store).await, ["key.made", "key.revoked"]);
}

pub(crate) async fn what_is_sent_is_kept_with_its_report_and_its_line<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let (zoning, contours) = secteurs("2026", b"contours").await;
    let (register, figures) = register(b"figures").await;
    for put in [Put::New, Put::Already] {
        assert_eq!(store.take_zoning(&zoning, contours.clone(), "{\"zones\":48}").await.unwrap(), put);
        assert_eq!(store.take_register(&register, figures.clone(), "{\"rows\":1}").await.unwrap(), put);
    }
    assert_eq!(store.report("secteurs 2026").await.unwrap().unwrap(), "{\"zones\":48}");
    assert_eq!(store.report(&register.digest).await.unwrap().unwrap(), "{\"rows\":1}");
    assert_eq!(store.report("secteurs 2025").await.unwrap(), None);
    assert_eq!(acts(&*store).await, ["zoning.sent", "register.sent"], "the same again is no act");
    assert_eq!(store.reasons(0, 9).await.unwrap(), [(1, zoning.reason.clone())]);
    let (other, others) = secteurs("2026", b"other contours").await;
    let taken = store.take_zoning(&other, others, "{}").await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { what: "zoning", .. }), "{taken:?}");
}

pub(crate) async fn a_draft_is_published_once_everything_holds<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let store = &*store;
    let required = ["urssaf".to_owned(), "metropole".to_owned()];
    let first_policy = policy(store, b"strict").await;
    let first = draft(store, "d1", &[], &first_policy).await;
    let also = draft(store, "d2", &[], &first_policy).await;
    assert_eq!(store.served().await.unwrap(), Served::Nothing);
    let approval = |draft: &str, partner: &str| Approval {
        draft: draft.into(),
        partner: partner.into(),
        key: "k1".into(),
        by: stamp(3),
    };
    stands(store.publish("d1", &required, &why(3)).await, "no approval of urssaf, metropole");
    assert_eq!(store.approve(&approval("d1", "metropole")).await.unwrap(), Put::New);
    assert_eq!(store.approve(&approval("d1", "metropole")).await.unwrap(), Put::Already);
    stands(store.publish("d1", &required, &why(3)).await, "no approval of urssaf,");
    store.approve(&approval("d1", "urssaf")).await.unwrap();
    assert_eq!(store.approvals("d1").await.unwrap(), [approval("d1", "metropole"), approval("d1", "urssaf")]);
    let line = store.publish("d1", &required, &why(4)).await.unwrap();
    assert_eq!((line.entry.act.as_str(), &line.entry.subject), (ACT_CURRENT, &first.release));
    assert!(store.reasons(0, 9).await.unwrap().contains(&(line.number, why(4).reason)));
    assert_eq!(store.served().await.unwrap(), Served::Release(first.release.clone()));
    stands(store.publish("d1", &required, &why(5)).await, "found published");
    let late = store.approve(&approval("d1", "caf")).await.unwrap_err();
    assert!(matches!(late, StoreError::Stands { .. }), "{late:?}");

    // Made before the first one was published: not protected against it.
    stands(store.publish("d2", &[], &why(5)).await, "another release published since");
    assert_eq!(store.draft("d2").await.unwrap(), Some(also));
    // Made after it, by a policy that was replaced.
    draft(store, "d3", &[&first.release], &first_policy).await;
    policy(store, b"stricter").await;
    stands(store.publish("d3", &[], &why(6)).await, "another policy");
    assert_eq!(
        store.served().await.unwrap(),
        Served::Release(first.release.clone()),
        "what is refused changes nothing"
    );
    policy(store, b"strict").await;
    store.publish("d3", &[], &why(7)).await.unwrap();
    let stages: Vec<(String, Stage)> =
        store.standings().await.unwrap().into_iter().map(|s| (s.entry.id, s.stage)).collect();
    let expected = [("d1", Stage::Superseded), ("d2", Stage::Draft), ("d3", Stage::Published)];
    assert_eq!(stages, expected.map(|(id, stage)| (format!("release-{id}"), stage)));
    let fourth = draft(store, "d4", &[&first.release, "release-d3"], &first_policy).await;
    let partner_release = kept_release(store, "for-partners").await.id;
    let fourth = Draft { partner_release, ..fourth };
    store.update_draft(&fourth, Stage::Draft).await.unwrap();
    let beside = async || {
        let standings = store.standings().await.unwrap().into_iter();
        standings.filter_map(|s| Some((s.entry.id, s.partner_release?))).collect::<Vec<_>>()
    };
    assert!(beside().await.is_empty(), "a draft is nobody's");
    store.publish("d4", &[], &why(8)).await.unwrap();
    store.roll_back(&first.release, &why(9)).await.unwrap();
    store.roll_back(&fourth.release, &why(9)).await.unwrap();
    store.withdraw(&fourth.release, &why(9)).await.unwrap();
    assert_eq!(beside().await, [(fourth.release, fourth.partner_release)], "whatever happens to it");
    let missing = store.publish("d9", &[], &why(7)).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { what: "draft", .. }), "{missing:?}");
    assert!(matches!(store.verify_ledger().await.unwrap(), LedgerCheck::Holds { .. }));
}

pub(crate) async fn what_is_taken_back_is_never_served_again<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    let store = &*store;
    for id in ["r1", "r2", "never"] {
        kept_release(store, id).await;
    }
    store.set_current("r1", &stamp(1)).await.unwrap();
    store.set_current("r2", &stamp(2)).await.unwrap();
    stands(store.withdraw("never", &why(3)).await, "found draft");
    stands(store.roll_back("r2", &why(3)).await, "found published");
    stands(store.roll_back("never", &why(3)).await, "found draft");
    store.withdraw("r2", &why(3)).await.unwrap();
    let taken_back =
        Withdrawal { release: "r2".into(), at: stamp(3).at, author: stamp(3).author, reason: why(3).reason };
    let again = bench.open().await.unwrap();
    assert_eq!(again.served().await.unwrap(), Served::Withdrawn(taken_back.clone()));
    assert_eq!(again.current().await.unwrap(), None, "the release before is not served unless somebody asks");
    stands(store.withdraw("r2", &why(4)).await, "found withdrawn");
    stands(store.set_current("r2", &stamp(4)).await, "found withdrawn");
    stands(store.roll_back("r2", &why(4)).await, "found withdrawn");
    store.roll_back("r1", &why(4)).await.unwrap();
    assert_eq!(store.current().await.unwrap().unwrap().entry.id, "r1");
    let standings = store.standings().await.unwrap();
    let told: Vec<_> = standings.iter().map(|s| (s.stage, s.withdrawal.is_some())).collect();
    assert_eq!(told, [(Stage::Published, false), (Stage::Withdrawn, true), (Stage::Draft, false)]);
    assert_eq!(store.published().await.unwrap(), ["r1", "r2"], "a withdrawn release stays in the past");
    let last = acts(store).await.split_off(2);
    assert_eq!(last, ["release.withdrawn", "release.rolled_back", "release.current"]);
}

pub(crate) async fn a_draft_is_written_from_the_stage_it_was_read_at<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let made = draft(&*store, "d1", &[], "").await;
    let again = Draft { stage: Stage::Preparing, ..made.clone() };
    let error = store.update_draft(&again, Stage::Refused).await.unwrap_err();
    assert!(matches!(error, StoreError::Stands { what: "draft", .. }), "{error:?}");
    store.update_draft(&again, Stage::Draft).await.unwrap();
    assert_eq!(store.drafts(9).await.unwrap(), std::slice::from_ref(&again));
    let taken = store.insert_draft(&made).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { what: "draft", .. }), "{taken:?}");
    let error = store.update_draft(&Draft { id: "d9".into(), ..made }, Stage::Draft).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { what: "draft", .. }), "{error:?}");
}

pub(crate) async fn jobs_that_nobody_works_at_are_marked<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    for (n, state) in JobState::ALL.into_iter().enumerate() {
        store.insert_job(&Job { state, ..job(&format!("j{n}")) }).await.unwrap();
    }
    let mut marked = store.interrupt_jobs("2026-05-01T00:00:00Z").await.unwrap();
    marked.sort();
    assert_eq!(marked, ["j0", "j1"]);
    let states: Vec<_> = store.jobs(9).await.unwrap().into_iter().rev().map(|j| (j.state, j.updated)).collect();
    for (n, (state, updated)) in states.into_iter().enumerate() {
        let was_open = n < 2;
        assert_eq!(state, if was_open { JobState::Interrupted } else { JobState::ALL[n] });
        assert_eq!(updated == "2026-05-01T00:00:00Z", was_open);
    }
    assert!(store.interrupt_jobs("").await.unwrap().is_empty());
}

pub(crate) async fn an_answer_is_given_once_and_again<B: Bench>() {
    let (_bench, store) = fresh::<B>().await;
    let slot = |key: &str, digest: &str| Slot { key: key.into(), name: "n1".into(), digest: digest.into() };
    let begin = async |key: &str, digest: &str| store.begin_answer(&slot(key, digest), "now").await.unwrap();
    assert_eq!(begin("k1", "a").await, Begun::New);
    assert_eq!(begin("k1", "a").await, Begun::UnderWay);
    assert_eq!(begin("k1", "b").await, Begun::Other);
    assert_eq!(begin("k2", "b").await, Begun::New, "names are each key's own");
    let answer = KeptAnswer { status: 201, location: "/there".into(), body: "{}".into() };
    store.end_answer(&slot("k1", "a"), &answer).await.unwrap();
    assert_eq!(begin("k1", "a").await, Begun::Answered(answer.clone()));
    store.drop_answer(&slot("k2", "b")).await.unwrap();
    assert_eq!(begin("k2", "c").await, Begun::New, "nothing was done under it");
    store.drop_unanswered().await.unwrap();
    assert_eq!(begin("k2", "d").await, Begun::New);
    assert_eq!(begin("k1", "a").await, Begun::Answered(answer), "what was answered stays");
}

pub(crate) async fn a_register_is_read_as_was_said_last<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    let (register, figures) = register(b"figures").await;
    let other =
        RegisterEntry { options: "{\"mapping\":\"siret=NUM\"}".into(), author: "sig".into(), ..register.clone() };
    let missing = store.reread_register(&other, "{}").await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { what: "register", .. }), "{missing:?}");
    store.take_register(&register, figures, "{\"rows\":1}").await.unwrap();
    store.reread_register(&other, "{\"rows\":2}").await.unwrap();
    let store = bench.open().await.unwrap();
    let read_as = RegisterEntry { options: other.options.clone(), ..register.clone() };
    assert_eq!(store.registers().await.unwrap(), std::slice::from_ref(&read_as));
    assert_eq!(store.register(&register.digest).await.unwrap().unwrap().entry, read_as);
    assert_eq!(store.report(&register.digest).await.unwrap().unwrap(), "{\"rows\":2}");
    assert_eq!(acts(&*store).await, ["register.sent", "register.read_again"]);

    for mapping in [Some("siret=NUM\n"), Some("siret=N\n"), None] {
        store.put_mapping("Jeanne Martin", mapping).await.unwrap();
        assert_eq!(store.mapping("Jeanne Martin").await.unwrap().as_deref(), mapping);
        assert_eq!(store.mapping("Marc Leroy").await.unwrap(), None);
    }
}

pub(crate) async fn decisions_are_kept_in_order_all_or_none_and_their_lines_name_nobody<B: Bench>() {
    let (bench, store) = fresh::<B>().await;
    let entry = |id: &str, text: &str| DecisionEntry {
        id: id.into(),
        at: stamp(1).at,
        author: "Jeanne Martin".into(),
        salt: "5a".into(),
        digest: DecisionEntry::digest_of("5a", text),
        text: text.into(),
    };
    let (one, two) = (entry("d1", "99000012700011,close"), entry("d2", "99000012700029,close"));
    store.put_decisions(std::slice::from_ref(&one)).await.unwrap();
    let taken = store.put_decisions(&[two.clone(), one.clone()]).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { what: "decision", .. }), "{taken:?}");
    let mislabelled = DecisionEntry { digest: one.digest.clone(), ..two.clone() };
    let refused = store.put_decisions(&[mislabelled]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Mislabelled { .. }), "{refused:?}");
    assert_eq!(store.decisions().await.unwrap(), std::slice::from_ref(&one), "all or none");
    store.put_decisions(std::slice::from_ref(&two)).await.unwrap();
    assert_eq!(bench.open().await.unwrap().decisions().await.unwrap(), [one.clone(), two]);
    let lines = store.ledger(0, 9).await.unwrap();
    let told: Vec<_> = lines.iter().map(|l| (l.entry.act.as_str(), l.entry.subject.as_str())).collect();
    assert_eq!(told, [("decision.taken", "d1"), ("decision.taken", "d2")]);
    assert_eq!(lines[0].entry.digest, one.digest);
    assert_eq!(store.reasons(0, 9).await.unwrap(), [], "a reason may name an establishment");
    bench.spoil(Spoil::DecisionText).await;
    let damaged = store.decisions().await.unwrap_err();
    assert!(matches!(damaged, StoreError::Damaged { what: "decision", .. }), "{damaged:?}");
}
