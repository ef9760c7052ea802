//! What staff work at, in SQLite.

use super::{SqliteStore, add_line, insert_register, insert_zoning, move_pointer, place_of, release_entry, withdrawal};
use crate::model::Stage;
use crate::model::publication::{Act, missing};
use crate::steps::bytes::sha256_hex;
use crate::store::desk::{
    ACT_APPROVED, ACT_DECISION, ACT_KEY, ACT_KEY_REVOKED, ACT_REGISTER, ACT_REGISTER_READ_AGAIN, ACT_ROLLED_BACK,
    ACT_WITHDRAWN, ACT_ZONING, DECISION_BYTES_MAX,
};
use crate::store::{
    ACT_PARTNERS, Answer, Approval, Begun, DecisionEntry, Desk, Draft, JSON_BYTES_MAX, KeptAnswer, KeyEntry,
    LedgerEntry, LedgerLine, Named, Put, REGISTER_BYTES_MAX, RegisterEntry, Slot, Stamp, Standing, Store, Why,
    Withdrawal, ZONING_BYTES_MAX, ZoningVersion,
};
use bytes::Bytes;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::BTreeSet;

impl Desk for SqliteStore {
    fn put_key<'a>(&'a self, entry: &'a KeyEntry, by: &'a Stamp) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("keep a key");
            let mut writing = self.write().await?;
            let done = sqlx::query(
                "INSERT INTO keys (id, name, role, digest, created, expires, revoked) VALUES ($1, $2, $3, $4, $5, $6, '') \
                 ON CONFLICT DO NOTHING",
            )
            .bind(&entry.id)
            .bind(&entry.name)
            .bind(&entry.role)
            .bind(&entry.digest)
            .bind(&entry.created)
            .bind(&entry.expires)
            .execute(&mut *writing)
            .await
            .map_err(&failed)?;
            if done.rows_affected() == 0 {
                return Err(Named::new("key", &entry.id).taken());
            }
            let subject = format!("{} {} {}", entry.id, entry.role, entry.name);
            let line = line(by, ACT_KEY, &subject, &entry.digest);
            let line = add_line(&mut writing, &line).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn keys(&self) -> Answer<'_, Vec<KeyEntry>> {
        Box::pin(async move {
            let failed = self.failed("list the keys");
            let rows = sqlx::query("SELECT * FROM keys ORDER BY number").fetch_all(&self.pool).await;
            rows.map_err(&failed)?.iter().map(key_entry).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Option<KeyEntry>> {
        Box::pin(async move {
            let failed = self.failed("read a key");
            let row = sqlx::query("SELECT * FROM keys WHERE id = $1").bind(id).fetch_optional(&self.pool).await;
            row.map_err(&failed)?.as_ref().map(key_entry).transpose().map_err(&failed)
        })
    }

    fn revoke_key<'a>(&'a self, id: &'a str, by: &'a Stamp) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("revoke a key");
            let mut writing = self.write().await?;
            let revoked: Option<String> = sqlx::query_scalar("SELECT revoked FROM keys WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *writing)
                .await
                .map_err(&failed)?;
            match revoked.as_deref() {
                None => return Err(Named::new("key", id).missing()),
                Some("") => {}
                Some(at) => return Err(Named::new("key", id).stands(format!("revoked on {at}"), "a key that works")),
            }
            let update = sqlx::query("UPDATE keys SET revoked = $2 WHERE id = $1").bind(id).bind(&by.at);
            update.execute(&mut *writing).await.map_err(&failed)?;
            let line = add_line(&mut writing, &line(by, ACT_KEY_REVOKED, id, "")).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn take_zoning<'a>(&'a self, entry: &'a ZoningVersion, bytes: Bytes, report: &'a str) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep a zoning");
            let named = entry.named();
            named.within(entry.options.len().max(report.len()), JSON_BYTES_MAX)?;
            named.labelled(&entry.digest, &bytes, ZONING_BYTES_MAX).await?;
            let mut writing = self.write().await?;
            let put = insert_zoning(&mut writing, entry, bytes).await.map_err(&failed)?;
            let Some(put) = put else { return Err(named.taken()) };
            if put == Put::New {
                let by = Stamp { at: entry.created.clone(), author: entry.author.clone() };
                let subject = format!("{} {}", entry.zoning, entry.version);
                keep_report(&mut writing, &subject, report).await.map_err(&failed)?;
                let line = add_line(&mut writing, &line(&by, ACT_ZONING, &subject, &entry.digest)).await;
                keep_reason(&mut writing, &line.map_err(&failed)?, &entry.reason).await.map_err(&failed)?;
            }
            writing.commit().await.map_err(&failed)?;
            Ok(put)
        })
    }

    fn take_register<'a>(&'a self, entry: &'a RegisterEntry, bytes: Bytes, report: &'a str) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep a register");
            let named = entry.named();
            named.within(entry.options.len().max(report.len()), JSON_BYTES_MAX)?;
            named.labelled(&entry.digest, &bytes, REGISTER_BYTES_MAX).await?;
            let mut writing = self.write().await?;
            let put = insert_register(&mut writing, entry, bytes).await.map_err(&failed)?;
            if put == Put::New {
                keep_report(&mut writing, &entry.digest, report).await.map_err(&failed)?;
                let by = Stamp { at: entry.created.clone(), author: entry.author.clone() };
                let line = line(&by, ACT_REGISTER, &entry.file_name, &entry.digest);
                add_line(&mut writing, &line).await.map_err(&failed)?;
            }
            writing.commit().await.map_err(&failed)?;
            Ok(put)
        })
    }

    fn report<'a>(&'a self, subject: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let report = sqlx::query_scalar(
                "SELECT coalesce((SELECT report FROM readings WHERE register = $1 ORDER BY number DESC LIMIT 1), \
                 (SELECT report FROM reports WHERE subject = $1))",
            )
            .bind(subject);
            report.fetch_one(&self.pool).await.map_err(self.failed("read a report"))
        })
    }

    fn reread_register<'a>(&'a self, entry: &'a RegisterEntry, report: &'a str) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("keep another reading of a register");
            let named = entry.named();
            named.within(entry.options.len().max(report.len()), JSON_BYTES_MAX)?;
            let mut writing = self.write().await?;
            let known: Option<i64> = sqlx::query_scalar("SELECT number FROM registers WHERE digest = $1")
                .bind(&entry.digest)
                .fetch_optional(&mut *writing)
                .await
                .map_err(&failed)?;
            if known.is_none() {
                return Err(named.missing());
            }
            sqlx::query("INSERT INTO readings (register, at, author, options, report) VALUES ($1, $2, $3, $4, $5)")
                .bind(&entry.digest)
                .bind(&entry.created)
                .bind(&entry.author)
                .bind(&entry.options)
                .bind(report)
                .execute(&mut *writing)
                .await
                .map_err(&failed)?;
            let by = Stamp { at: entry.created.clone(), author: entry.author.clone() };
            let line = line(&by, ACT_REGISTER_READ_AGAIN, &entry.file_name, &entry.digest);
            let line = add_line(&mut writing, &line).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn put_mapping<'a>(&'a self, sender: &'a str, mapping: Option<&'a str>) -> Answer<'a, ()> {
        Box::pin(async move {
            let failed = self.failed("keep the columns of a sender");
            Named::new("mapping", sender).within(mapping.map_or(0, str::len), JSON_BYTES_MAX)?;
            let done = match mapping {
                None => sqlx::query("DELETE FROM mappings WHERE sender = $1").bind(sender).execute(&self.pool).await,
                Some(mapping) => {
                    let put = sqlx::query(
                        "INSERT INTO mappings (sender, mapping) VALUES ($1, $2) \
                         ON CONFLICT (sender) DO UPDATE SET mapping = excluded.mapping",
                    );
                    put.bind(sender).bind(mapping).execute(&self.pool).await
                }
            };
            done.map(drop).map_err(failed)
        })
    }

    fn mapping<'a>(&'a self, sender: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let mapping = sqlx::query_scalar("SELECT mapping FROM mappings WHERE sender = $1").bind(sender);
            mapping.fetch_optional(&self.pool).await.map_err(self.failed("read the columns of a sender"))
        })
    }

    fn put_decisions<'a>(&'a self, entries: &'a [DecisionEntry]) -> Answer<'a, Vec<LedgerLine>> {
        Box::pin(async move {
            let failed = self.failed("keep decisions");
            for entry in entries {
                let named = Named::new("decision", &entry.id);
                named.within(entry.text.len(), DECISION_BYTES_MAX)?;
                if DecisionEntry::digest_of(&entry.salt, &entry.text) != entry.digest {
                    return Err(named.mislabelled());
                }
            }
            let mut writing = self.write().await?;
            let mut lines = Vec::with_capacity(entries.len());
            for entry in entries {
                let done = sqlx::query(
                    "INSERT INTO decisions (id, at, author, salt, digest, content) VALUES ($1, $2, $3, $4, $5, $6) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(&entry.id)
                .bind(&entry.at)
                .bind(&entry.author)
                .bind(&entry.salt)
                .bind(&entry.digest)
                .bind(&entry.text)
                .execute(&mut *writing)
                .await
                .map_err(&failed)?;
                if done.rows_affected() == 0 {
                    return Err(Named::new("decision", &entry.id).taken());
                }
                let by = Stamp { at: entry.at.clone(), author: entry.author.clone() };
                let line = line(&by, ACT_DECISION, &entry.id, &entry.digest);
                lines.push(add_line(&mut writing, &line).await.map_err(&failed)?);
            }
            writing.commit().await.map_err(&failed)?;
            Ok(lines)
        })
    }

    fn decisions(&self) -> Answer<'_, Vec<DecisionEntry>> {
        Box::pin(async move {
            let failed = self.failed("read the decisions");
            let rows = sqlx::query("SELECT * FROM decisions ORDER BY number").fetch_all(&self.pool).await;
            let entries = rows.map_err(&failed)?.iter().map(decision).collect::<Result<Vec<_>, _>>();
            let entries = entries.map_err(&failed)?;
            for entry in &entries {
                if DecisionEntry::digest_of(&entry.salt, &entry.text) != entry.digest {
                    return Err(Named::new("decision", &entry.id).damaged());
                }
            }
            Ok(entries)
        })
    }

    fn interrupt_jobs<'a>(&'a self, at: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let ids = sqlx::query_scalar(
                "UPDATE jobs SET state = 'interrupted', updated = $1 WHERE state IN ('queued', 'running') RETURNING id",
            );
            ids.bind(at).fetch_all(&self.pool).await.map_err(self.failed("mark the jobs that were under way"))
        })
    }

    fn insert_draft<'a>(&'a self, draft: &'a Draft) -> Answer<'a, ()> {
        Box::pin(async move {
            let named = Named::new("draft", &draft.id);
            named.within(draft.request.len().max(draft.report.len()), JSON_BYTES_MAX)?;
            let done = sqlx::query(
                "INSERT INTO drafts (id, title, request, created, author, stage, updated, job, report, release, \
                 partner_release, past, policy) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(&draft.id)
            .bind(&draft.title)
            .bind(&draft.request)
            .bind(&draft.created)
            .bind(&draft.author)
            .bind(draft.stage.as_str())
            .bind(&draft.updated)
            .bind(&draft.job)
            .bind(&draft.report)
            .bind(&draft.release)
            .bind(&draft.partner_release)
            .bind(draft.past.join(" "))
            .bind(&draft.policy)
            .execute(&self.pool)
            .await
            .map_err(self.failed("keep a draft"))?;
            if done.rows_affected() == 0 { Err(named.taken()) } else { Ok(()) }
        })
    }

    fn update_draft<'a>(&'a self, draft: &'a Draft, from: Stage) -> Answer<'a, ()> {
        Box::pin(async move {
            let failed = self.failed("update a draft");
            let named = Named::new("draft", &draft.id);
            named.within(draft.report.len(), JSON_BYTES_MAX)?;
            let mut writing = self.write().await?;
            let stage = stage_of(&mut writing, &draft.id).await.map_err(&failed)?;
            match stage {
                None => return Err(named.missing()),
                Some(stage) if stage == from => {}
                Some(stage) => return Err(named.stands(stage.as_str(), "the stage it was read at")),
            }
            sqlx::query(
                "UPDATE drafts SET stage = $2, updated = $3, job = $4, report = $5, release = $6, partner_release = $7, \
                 past = $8, policy = $9 WHERE id = $1",
            )
            .bind(&draft.id)
            .bind(draft.stage.as_str())
            .bind(&draft.updated)
            .bind(&draft.job)
            .bind(&draft.report)
            .bind(&draft.release)
            .bind(&draft.partner_release)
            .bind(draft.past.join(" "))
            .bind(&draft.policy)
            .execute(&mut *writing)
            .await
            .map_err(&failed)?;
            writing.commit().await.map_err(&failed)
        })
    }

    fn draft<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Draft>> {
        Box::pin(async move {
            let failed = self.failed("read a draft");
            let row = sqlx::query("SELECT * FROM drafts WHERE id = $1").bind(id).fetch_optional(&self.pool).await;
            row.map_err(&failed)?.as_ref().map(draft).transpose().map_err(&failed)
        })
    }

    fn drafts(&self, limit: u32) -> Answer<'_, Vec<Draft>> {
        Box::pin(async move {
            let failed = self.failed("list the drafts");
            let rows = sqlx::query("SELECT * FROM drafts ORDER BY number DESC LIMIT $1").bind(i64::from(limit));
            let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(draft).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn approve<'a>(&'a self, approval: &'a Approval) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep an approval");
            let named = Named::new("draft", &approval.draft);
            let mut writing = self.write().await?;
            match stage_of(&mut writing, &approval.draft).await.map_err(&failed)? {
                None => return Err(named.missing()),
                Some(stage) if stage.after(Act::Approve).is_some() => {}
                Some(stage) => return Err(named.stands(stage.as_str(), "a draft that waits")),
            }
            let done = sqlx::query(
                "INSERT INTO approvals (draft, partner, key, at, author) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (draft, partner) DO NOTHING",
            )
            .bind(&approval.draft)
            .bind(&approval.partner)
            .bind(&approval.key)
            .bind(&approval.by.at)
            .bind(&approval.by.author)
            .execute(&mut *writing)
            .await
            .map_err(&failed)?;
            if done.rows_affected() == 0 {
                return Ok(Put::Already);
            }
            let digest: String = sqlx::query_scalar(
                "SELECT r.digest FROM drafts AS d JOIN releases AS r ON r.id = d.release WHERE d.id = $1",
            )
            .bind(&approval.draft)
            .fetch_one(&mut *writing)
            .await
            .map_err(&failed)?;
            let subject = format!("{} {}", approval.draft, approval.partner);
            let line = line(&approval.by, ACT_APPROVED, &subject, &digest);
            add_line(&mut writing, &line).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(Put::New)
        })
    }

    fn approvals<'a>(&'a self, draft: &'a str) -> Answer<'a, Vec<Approval>> {
        Box::pin(async move {
            let failed = self.failed("list the approvals of a draft");
            let rows = sqlx::query("SELECT * FROM approvals WHERE draft = $1 ORDER BY number").bind(draft);
            let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(approval).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn publish<'a>(&'a self, id: &'a str, required: &'a [String], why: &'a Why) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("publish a draft");
            let named = || Named::new("draft", id);
            let draft = self.draft(id).await?.ok_or_else(|| named().missing())?;
            // Releases never change, so this one is looked at before the writer's place is taken.
            let sound = self.release(&draft.release).await?;
            let mut writing = self.write().await?;
            match stage_of(&mut writing, id).await.map_err(&failed)? {
                Some(stage @ Stage::Draft) if stage.after(Act::Publish).is_some() => {}
                stage => {
                    let found = stage.map_or("nothing", Stage::as_str);
                    return Err(named().stands(found, "a draft that waits"));
                }
            }
            let release = sound.ok_or_else(|| Named::new("release", &draft.release).missing())?;
            let given: Vec<String> = sqlx::query_scalar("SELECT partner FROM approvals WHERE draft = $1")
                .bind(id)
                .fetch_all(&mut *writing)
                .await
                .map_err(&failed)?;
            let missing = missing(required, &given.into_iter().collect());
            if !missing.is_empty() {
                let found = format!("no approval of {}", missing.join(", "));
                return Err(named().stands(found, "the approval of every partner required"));
            }
            let policy: Option<String> = sqlx::query_scalar("SELECT digest FROM policies ORDER BY number DESC LIMIT 1")
                .fetch_optional(&mut *writing)
                .await
                .map_err(&failed)?;
            if policy.as_deref() != Some(&draft.policy) {
                let expected = "a draft made by the policy in force: ask for a new one";
                return Err(named().stands("another policy in force since it was made", expected));
            }
            let published: Vec<String> =
                sqlx::query_scalar("SELECT DISTINCT subject FROM ledger WHERE act IN ($1, $2)")
                    .bind(crate::store::ACT_CURRENT)
                    .bind(ACT_PARTNERS)
                    .fetch_all(&mut *writing)
                    .await
                    .map_err(&failed)?;
            if published.iter().collect::<BTreeSet<_>>() != draft.past.iter().collect() {
                let expected = "a draft protected against everything published: ask for a new one";
                return Err(named().stands("another release published since it was made", expected));
            }
            if !draft.partner_release.is_empty() {
                let digest: String = sqlx::query_scalar("SELECT digest FROM releases WHERE id = $1")
                    .bind(&draft.partner_release)
                    .fetch_one(&mut *writing)
                    .await
                    .map_err(&failed)?;
                let line = line(&why.by, ACT_PARTNERS, &draft.partner_release, &digest);
                add_line(&mut writing, &line).await.map_err(&failed)?;
            }
            let line = move_pointer(&mut writing, &release.entry, &why.by).await.map_err(&failed)?;
            keep_reason(&mut writing, &line, &why.reason).await.map_err(&failed)?;
            let update = sqlx::query("UPDATE drafts SET stage = $2, updated = $3 WHERE id = $1");
            let update = update.bind(id).bind(Stage::Published.as_str()).bind(&why.by.at);
            update.execute(&mut *writing).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn withdraw<'a>(&'a self, release: &'a str, why: &'a Why) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("withdraw a release");
            let named = || Named::new("release", release);
            let mut writing = self.write().await?;
            let standing = standings(&mut writing).await.map_err(&failed)?;
            let standing = standing.into_iter().find(|s| s.entry.id == release).ok_or_else(|| named().missing())?;
            if standing.stage.after(Act::Withdraw).is_none() {
                return Err(named().stands(standing.stage.as_str(), "a release that is or was served"));
            }
            let insert = sqlx::query("INSERT INTO withdrawals (release, at, author, reason) VALUES ($1, $2, $3, $4)");
            let insert = insert.bind(release).bind(&why.by.at).bind(&why.by.author).bind(&why.reason);
            insert.execute(&mut *writing).await.map_err(&failed)?;
            let digest = sha256_hex(why.reason.as_bytes());
            let line =
                add_line(&mut writing, &line(&why.by, ACT_WITHDRAWN, release, &digest)).await.map_err(&failed)?;
            keep_reason(&mut writing, &line, &why.reason).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn roll_back<'a>(&'a self, release: &'a str, why: &'a Why) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("go back to a release");
            let named = || Named::new("release", release);
            let sound = self.release(release).await?.ok_or_else(|| named().missing())?;
            let mut writing = self.write().await?;
            let standing = standings(&mut writing).await.map_err(&failed)?;
            let stage = standing.iter().find(|s| s.entry.id == release).map_or(Stage::Draft, |s| s.stage);
            if stage != Stage::Superseded || stage.after(Act::Publish).is_none() {
                return Err(named().stands(stage.as_str(), "a release that was served and that nobody took back"));
            }
            let digest = sha256_hex(why.reason.as_bytes());
            let line =
                add_line(&mut writing, &line(&why.by, ACT_ROLLED_BACK, release, &digest)).await.map_err(&failed)?;
            keep_reason(&mut writing, &line, &why.reason).await.map_err(&failed)?;
            let line = move_pointer(&mut writing, &sound.entry, &why.by).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        Box::pin(async move {
            let failed = self.failed("see how the releases stand");
            let mut connection = self.pool.acquire().await.map_err(&failed)?;
            standings(&mut connection).await.map_err(&failed)
        })
    }

    fn reasons(&self, after: u64, limit: u32) -> Answer<'_, Vec<(u64, String)>> {
        Box::pin(async move {
            let failed = self.failed("read the reasons of the ledger");
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let rows = sqlx::query("SELECT * FROM reasons WHERE line > $1 ORDER BY line LIMIT $2");
            let rows = rows.bind(after).bind(i64::from(limit)).fetch_all(&self.pool).await.map_err(&failed)?;
            let reason = |row: &SqliteRow| Ok((place_of(row.try_get("line")?)?, row.try_get("reason")?));
            rows.iter().map(reason).collect::<Result<_, sqlx::Error>>().map_err(&failed)
        })
    }

    fn begin_answer<'a>(&'a self, slot: &'a Slot, at: &'a str) -> Answer<'a, Begun> {
        Box::pin(async move {
            let failed = self.failed("look for an answer given before");
            let mut writing = self.write().await?;
            let insert = sqlx::query(
                "INSERT INTO answers (key, name, digest, at) VALUES ($1, $2, $3, $4) ON CONFLICT (key, name) DO NOTHING",
            );
            let insert = insert.bind(&slot.key).bind(&slot.name).bind(&slot.digest).bind(at);
            if insert.execute(&mut *writing).await.map_err(&failed)?.rows_affected() > 0 {
                writing.commit().await.map_err(&failed)?;
                return Ok(Begun::New);
            }
            let row =
                sqlx::query("SELECT * FROM answers WHERE key = $1 AND name = $2").bind(&slot.key).bind(&slot.name);
            let row = row.fetch_one(&mut *writing).await.map_err(&failed)?;
            begun(&row, &slot.digest).map_err(&failed)
        })
    }

    fn end_answer<'a>(&'a self, slot: &'a Slot, answer: &'a KeptAnswer) -> Answer<'a, ()> {
        Box::pin(async move {
            Named::new("answer", &slot.name).within(answer.body.len(), JSON_BYTES_MAX)?;
            let update =
                sqlx::query("UPDATE answers SET status = $3, location = $4, body = $5 WHERE key = $1 AND name = $2");
            let update = update.bind(&slot.key).bind(&slot.name).bind(i64::from(answer.status));
            let update = update.bind(&answer.location).bind(&answer.body);
            update.execute(&self.pool).await.map_err(self.failed("keep an answer"))?;
            Ok(())
        })
    }

    fn drop_answer<'a>(&'a self, slot: &'a Slot) -> Answer<'a, ()> {
        Box::pin(async move {
            let delete = sqlx::query("DELETE FROM answers WHERE key = $1 AND name = $2 AND status IS NULL");
            let delete = delete.bind(&slot.key).bind(&slot.name);
            delete.execute(&self.pool).await.map_err(self.failed("give the place of an answer back"))?;
            Ok(())
        })
    }

    fn drop_unanswered(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let delete = sqlx::query("DELETE FROM answers WHERE status IS NULL").execute(&self.pool);
            delete.await.map_err(self.failed("give back the places of answers"))?;
            Ok(())
        })
    }
}

fn line(by: &Stamp, act: &str, subject: &str, digest: &str) -> LedgerEntry {
    LedgerEntry {
        at: by.at.clone(),
        author: by.author.clone(),
        act: act.to_owned(),
        subject: subject.to_owned(),
        digest: digest.to_owned(),
    }
}

async fn keep_report(writing: &mut SqliteConnection, subject: &str, report: &str) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO reports (subject, report) VALUES ($1, $2) ON CONFLICT (subject) DO NOTHING");
    insert.bind(subject).bind(report).execute(writing).await.map(drop)
}

async fn keep_reason(writing: &mut SqliteConnection, line: &LedgerLine, reason: &str) -> Result<(), sqlx::Error> {
    if reason.is_empty() {
        return Ok(());
    }
    let number = i64::try_from(line.number).map_err(|e| sqlx::Error::Encode(e.into()))?;
    let insert = sqlx::query("INSERT INTO reasons (line, reason) VALUES ($1, $2)").bind(number).bind(reason);
    insert.execute(writing).await.map(drop)
}

async fn stage_of(writing: &mut SqliteConnection, draft: &str) -> Result<Option<Stage>, sqlx::Error> {
    let word: Option<String> =
        sqlx::query_scalar("SELECT stage FROM drafts WHERE id = $1").bind(draft).fetch_optional(writing).await?;
    word.map(|word| stage(&word)).transpose()
}

/// A release that was never served and that nobody took back is a draft, or part of one. The release for partners is
/// the one that the line just before says they were given: both lines are written in one act.
async fn standings(connection: &mut SqliteConnection) -> Result<Vec<Standing>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT r.id AS id, r.created AS created, r.digest AS digest, \
         r.id IN (SELECT id FROM current_release) AS served, \
         r.id IN (SELECT subject FROM ledger WHERE act = $1) AS was_served, \
         w.release AS release, w.at AS at, w.author AS author, w.reason AS reason, b.partners AS partners \
         FROM releases AS r LEFT JOIN withdrawals AS w ON w.release = r.id \
         LEFT JOIN (SELECT now.subject AS public, max(given.subject) AS partners FROM ledger AS given \
         JOIN ledger AS now ON now.number = given.number + 1 AND now.act = $1 WHERE given.act = $2 GROUP BY now.subject) \
         AS b ON b.public = r.id ORDER BY r.number",
    );
    let rows = rows.bind(crate::store::ACT_CURRENT).bind(ACT_PARTNERS).fetch_all(connection).await?;
    let standing = |row: &SqliteRow| {
        let taken_back: Option<String> = row.try_get("release")?;
        let withdrawal: Option<Withdrawal> = taken_back.map(|_| withdrawal(row)).transpose()?;
        let stage = match (&withdrawal, row.try_get::<bool, _>("served")?, row.try_get::<bool, _>("was_served")?) {
            (Some(_), ..) => Stage::Withdrawn,
            (None, true, _) => Stage::Published,
            (None, false, true) => Stage::Superseded,
            (None, false, false) => Stage::Draft,
        };
        Ok(Standing { entry: release_entry(row)?, stage, withdrawal, partner_release: row.try_get("partners")? })
    };
    rows.iter().map(standing).collect()
}

fn stage(word: &str) -> Result<Stage, sqlx::Error> {
    Stage::parse(word).ok_or_else(|| sqlx::Error::Decode("a draft at a stage which does not exist".into()))
}

fn key_entry(row: &SqliteRow) -> Result<KeyEntry, sqlx::Error> {
    Ok(KeyEntry {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        digest: row.try_get("digest")?,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
        revoked: row.try_get("revoked")?,
    })
}

fn decision(row: &SqliteRow) -> Result<DecisionEntry, sqlx::Error> {
    Ok(DecisionEntry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        author: row.try_get("author")?,
        salt: row.try_get("salt")?,
        digest: row.try_get("digest")?,
        text: row.try_get("content")?,
    })
}

fn draft(row: &SqliteRow) -> Result<Draft, sqlx::Error> {
    let past: &str = row.try_get("past")?;
    Ok(Draft {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        request: row.try_get("request")?,
        created: row.try_get("created")?,
        author: row.try_get("author")?,
        stage: stage(row.try_get("stage")?)?,
        updated: row.try_get("updated")?,
        job: row.try_get("job")?,
        report: row.try_get("report")?,
        release: row.try_get("release")?,
        partner_release: row.try_get("partner_release")?,
        past: past.split_whitespace().map(str::to_owned).collect(),
        policy: row.try_get("policy")?,
    })
}

fn approval(row: &SqliteRow) -> Result<Approval, sqlx::Error> {
    Ok(Approval {
        draft: row.try_get("draft")?,
        partner: row.try_get("partner")?,
        key: row.try_get("key")?,
        by: Stamp { at: row.try_get("at")?, author: row.try_get("author")? },
    })
}

fn begun(row: &SqliteRow, digest: &str) -> Result<Begun, sqlx::Error> {
    if row.try_get::<&str, _>("digest")? != digest {
        return Ok(Begun::Other);
    }
    let Some(status) = row.try_get::<Option<i64>, _>("status")? else { return Ok(Begun::UnderWay) };
    let status = u16::try_from(status).map_err(|e| sqlx::Error::Decode(e.into()))?;
    Ok(Begun::Answered(KeptAnswer { status, location: row.try_get("location")?, body: row.try_get("body")? }))
}
