//! The store in one SQLite file, `arpent.db`, in the data directory.

mod desk;

use super::{
    ACT_CURRENT, ACT_POLICY, Answer, DOSSIER_BYTES_MAX, DossierEntry, JSON_BYTES_MAX, Job, JobState, Kept, LedgerEntry,
    LedgerLine, Named, POLICY_BYTES_MAX, PolicyEntry, Put, REGISTER_BYTES_MAX, RELEASE_BYTES_MAX, RegisterEntry,
    ReleaseEntry, Served, Stamp, Store, StoreError, Withdrawal, ZONING_BYTES_MAX, ZoningVersion,
};
use bytes::Bytes;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the file in the data directory. SQLite puts `-wal` and `-shm` files beside it, with its permissions.
pub const FILE_NAME: &str = "arpent.db";

/// The files of the store of a data directory, which no output may take the place of.
pub fn files(dir: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| dir.join(format!("{FILE_NAME}{end}")))
}

/// How long a writer waits for another one. The largest register, written twice (log, then file), takes some seconds on
/// a slow disk.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of one handle: readers do not wait for the writer, and there is one writer at a time.
const CONNECTIONS_MAX: u32 = 5;

/// The log is cut back to this size, in bytes, after a large register has passed through it.
const LOG_BYTES_KEPT: &str = "67108864";

/// The schema, one step a version; `PRAGMA user_version` counts the steps taken. Steps are added, never altered.
const MIGRATIONS: &[&str] = &[
    // Content comes last in a row, so that a list does not walk through it.
    // Raw figures rest in a table of their own, which a public replica leaves empty.
    "
    CREATE TABLE zonings (
        number INTEGER PRIMARY KEY,
        zoning TEXT NOT NULL, version TEXT NOT NULL, title TEXT NOT NULL, digest TEXT NOT NULL,
        created TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL, options TEXT NOT NULL,
        file_name TEXT NOT NULL, content BLOB NOT NULL,
        UNIQUE (zoning, version)
    ) STRICT;
    CREATE TABLE registers (
        number INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL, author TEXT NOT NULL, file_name TEXT NOT NULL, options TEXT NOT NULL
    ) STRICT;
    CREATE TABLE register_figures (
        digest TEXT PRIMARY KEY REFERENCES registers (digest),
        content BLOB NOT NULL
    ) STRICT;
    CREATE TABLE releases (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL, digest TEXT NOT NULL, content BLOB NOT NULL
    ) STRICT;
    CREATE TABLE current_release (
        pointer INTEGER PRIMARY KEY CHECK (pointer = 1),
        id TEXT NOT NULL REFERENCES releases (id)
    ) STRICT;
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
        created TEXT NOT NULL, updated TEXT NOT NULL, report TEXT NOT NULL
    ) STRICT;
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,
        at TEXT NOT NULL, author TEXT NOT NULL, act TEXT NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER ledger_keeps_its_lines BEFORE DELETE ON ledger
        BEGIN SELECT RAISE(ABORT, 'lines of the ledger are never removed'); END;
    CREATE TRIGGER ledger_keeps_its_words BEFORE UPDATE ON ledger
        BEGIN SELECT RAISE(ABORT, 'lines of the ledger are never altered'); END;
    ",
    // Dossiers hold raw figures and rest apart, as those of registers do.
    "
    CREATE TABLE dossiers (
        release_id TEXT PRIMARY KEY REFERENCES releases (id),
        digest TEXT NOT NULL, content BLOB NOT NULL
    ) STRICT;
    CREATE TABLE policies (
        number INTEGER PRIMARY KEY,
        version TEXT NOT NULL, digest TEXT NOT NULL, created TEXT NOT NULL, author TEXT NOT NULL,
        content BLOB NOT NULL
    ) STRICT;
    ",
    // What staff work at. SQLite cannot widen a CHECK, so the jobs move to a new table.
    "
    ALTER TABLE zonings ADD COLUMN valid_from TEXT NOT NULL DEFAULT '';
    ALTER TABLE zonings ADD COLUMN valid_to TEXT NOT NULL DEFAULT '';
    CREATE TABLE jobs_with_requests (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'interrupted')),
        created TEXT NOT NULL, updated TEXT NOT NULL, author TEXT NOT NULL, request TEXT NOT NULL, report TEXT NOT NULL
    ) STRICT;
    INSERT INTO jobs_with_requests SELECT number, id, kind, state, created, updated, '', '{}', report FROM jobs;
    DROP TABLE jobs;
    ALTER TABLE jobs_with_requests RENAME TO jobs;
    CREATE TABLE keys (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL, role TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL, expires TEXT NOT NULL, revoked TEXT NOT NULL
    ) STRICT;
    CREATE TABLE reports (
        subject TEXT PRIMARY KEY,
        report TEXT NOT NULL
    ) STRICT;
    CREATE TABLE drafts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL, request TEXT NOT NULL, created TEXT NOT NULL, author TEXT NOT NULL,
        stage TEXT NOT NULL CHECK (stage IN ('preparing', 'refused', 'draft', 'published')),
        updated TEXT NOT NULL, job TEXT NOT NULL, report TEXT NOT NULL,
        release TEXT NOT NULL, partner_release TEXT NOT NULL, past TEXT NOT NULL, policy TEXT NOT NULL
    ) STRICT;
    CREATE TABLE approvals (
        number INTEGER PRIMARY KEY,
        draft TEXT NOT NULL REFERENCES drafts (id),
        partner TEXT NOT NULL, key TEXT NOT NULL, at TEXT NOT NULL, author TEXT NOT NULL,
        UNIQUE (draft, partner)
    ) STRICT;
    CREATE TABLE withdrawals (
        release TEXT PRIMARY KEY REFERENCES releases (id),
        at TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE reasons (
        line INTEGER PRIMARY KEY REFERENCES ledger (number),
        reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE answers (
        key TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, at TEXT NOT NULL,
        status INTEGER, location TEXT, body TEXT,
        PRIMARY KEY (key, name)
    ) STRICT;
    ",
    // What people say of single establishments, and of the columns of their files. A public replica leaves it empty.
    "
    CREATE TABLE decisions (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL, author TEXT NOT NULL, salt TEXT NOT NULL, digest TEXT NOT NULL, content TEXT NOT NULL
    ) STRICT;
    CREATE TABLE readings (
        number INTEGER PRIMARY KEY,
        register TEXT NOT NULL REFERENCES registers (digest),
        at TEXT NOT NULL, author TEXT NOT NULL, options TEXT NOT NULL, report TEXT NOT NULL
    ) STRICT;
    CREATE INDEX readings_of_a_register ON readings (register, number);
    CREATE TABLE mappings (
        sender TEXT PRIMARY KEY,
        mapping TEXT NOT NULL
    ) STRICT;
    ",
];

/// A store in a SQLite file. Several handles, in one process or in several, may be open on one file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// For messages.
    place: String,
}

impl SqliteStore {
    /// Opens the store in this data directory; makes the directory (mode 0700) and the file (mode 0600) when they are
    /// not there, and brings an older schema up to date.
    ///
    /// Errors: [`StoreError::Place`], [`StoreError::Schema`], [`StoreError::Database`] when the file is not a database.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let place = dir.join(FILE_NAME);
        let name = place.display().to_string();
        let door = enter(dir.to_owned()).await.map_err(|source| StoreError::Place { place: name.clone(), source })?;
        let store = Self::connect(SqliteConnectOptions::new().filename(&place), CONNECTIONS_MAX, name).await;
        drop(door);
        store
    }

    /// A store that lives as long as its handle.
    pub async fn in_memory() -> Result<Self, StoreError> {
        // A second connection would see another memory.
        Self::connect(SqliteConnectOptions::new(), 1, ":memory:".to_owned()).await
    }

    async fn connect(options: SqliteConnectOptions, connections: u32, place: String) -> Result<Self, StoreError> {
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("journal_size_limit", LOG_BYTES_KEPT);
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Database { place: place.clone(), doing: "open its database", source })?;
        let store = Self { pool, place };
        store.migrate(MIGRATIONS).await?;
        Ok(store)
    }

    /// Takes the steps the database has not taken yet, all of them or none.
    async fn migrate(&self, steps: &[&'static str]) -> Result<(), StoreError> {
        let failed = self.failed("read its schema version");
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.pool).await.map_err(&failed)?;
        if usize::try_from(found) == Ok(steps.len()) {
            return Ok(());
        }
        let mut writing = self.write().await?;
        // Read again: another process may have taken the steps meanwhile.
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *writing).await.map_err(&failed)?;
        let newest = steps.len() as i64;
        let missing = usize::try_from(found)
            .ok()
            .and_then(|taken| steps.get(taken..))
            .ok_or_else(|| StoreError::Schema { place: self.place.clone(), found, newest })?;
        let failed = self.failed("bring its schema up to date");
        for step in missing {
            sqlx::raw_sql(*step).execute(&mut *writing).await.map_err(&failed)?;
        }
        let version = AssertSqlSafe(format!("PRAGMA user_version = {newest}"));
        sqlx::raw_sql(version).execute(&mut *writing).await.map_err(&failed)?;
        writing.commit().await.map_err(&failed)
    }

    /// A transaction that may write. It takes the writer's place at once: a transaction which reads first and then
    /// finds another writer ahead of it could not go on.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed("begin to write"))
    }

    fn failed(&self, doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError + use<> {
        let place = self.place.clone();
        move |source| StoreError::Database { place: place.clone(), doing, source }
    }

    /// An entry with its bytes, checked against its digest.
    async fn sound<E>(
        &self,
        row: Option<SqliteRow>,
        entry: fn(&SqliteRow) -> Result<E, sqlx::Error>,
        label: fn(&E) -> (Named, &str),
    ) -> Result<Option<Kept<E>>, StoreError> {
        let failed = self.failed("make sense of a row");
        let Some(row) = row else { return Ok(None) };
        let kept = Kept {
            entry: entry(&row).map_err(&failed)?,
            bytes: Bytes::from(row.try_get::<Vec<u8>, _>("content").map_err(&failed)?),
        };
        // The row holds the bytes a second time.
        drop(row);
        let (named, digest) = label(&kept.entry);
        named.sound(digest, &kept.bytes).await?;
        Ok(Some(kept))
    }
}

/// Makes the place ready, and holds its door (a lock on the directory) until the file given back is dropped.
///
/// Opening is done one handle at a time, since making the file, turning to a write-ahead log and migrating do not wait
/// for each other. The file is only ever made here, never opened: closing it would take away the locks SQLite holds on
/// it in this process.
async fn enter(dir: std::path::PathBuf) -> io::Result<File> {
    let made = tokio::task::spawn_blocking(move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let door = File::open(&dir)?;
        door.lock()?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(FILE_NAME)) {
            Ok(_) => Ok(door),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(door),
            Err(error) => Err(error),
        }
    });
    made.await.map_err(io::Error::other)?
}

impl Store for SqliteStore {
    fn put_zoning<'a>(&'a self, entry: &'a ZoningVersion, bytes: Bytes) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep a zoning");
            let named = entry.named();
            named.within(entry.options.len(), JSON_BYTES_MAX)?;
            named.labelled(&entry.digest, &bytes, ZONING_BYTES_MAX).await?;
            let mut writing = self.write().await?;
            let put = insert_zoning(&mut writing, entry, bytes).await.map_err(&failed)?;
            let Some(put) = put else { return Err(named.taken()) };
            writing.commit().await.map_err(&failed)?;
            Ok(put)
        })
    }

    fn zonings(&self) -> Answer<'_, Vec<ZoningVersion>> {
        Box::pin(async move {
            let failed = self.failed("list the zonings");
            let rows = sqlx::query(
                "SELECT zoning, version, title, digest, created, author, reason, options, file_name, valid_from, valid_to FROM zonings \
                 ORDER BY number",
            );
            let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(zoning_version).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn latest_zoning<'a>(&'a self, zoning: &'a str) -> Answer<'a, Option<ZoningVersion>> {
        Box::pin(async move {
            let failed = self.failed("find the latest version of a zoning");
            let row = sqlx::query(
                "SELECT zoning, version, title, digest, created, author, reason, options, file_name, valid_from, valid_to FROM zonings \
                 WHERE zoning = $1 ORDER BY number DESC LIMIT 1",
            );
            let row = row.bind(zoning).fetch_optional(&self.pool).await.map_err(&failed)?;
            row.as_ref().map(zoning_version).transpose().map_err(&failed)
        })
    }

    fn zoning<'a>(&'a self, zoning: &'a str, version: &'a str) -> Answer<'a, Option<Kept<ZoningVersion>>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT * FROM zonings WHERE zoning = $1 AND version = $2")
                .bind(zoning)
                .bind(version)
                .fetch_optional(&self.pool)
                .await
                .map_err(self.failed("read a zoning"))?;
            self.sound(row, zoning_version, |z| (z.named(), &z.digest)).await
        })
    }

    fn put_register<'a>(&'a self, entry: &'a RegisterEntry, bytes: Bytes) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep a register");
            let named = entry.named();
            named.within(entry.options.len(), JSON_BYTES_MAX)?;
            named.labelled(&entry.digest, &bytes, REGISTER_BYTES_MAX).await?;
            let mut writing = self.write().await?;
            let put = insert_register(&mut writing, entry, bytes).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(put)
        })
    }

    fn registers(&self) -> Answer<'_, Vec<RegisterEntry>> {
        Box::pin(async move {
            let failed = self.failed("list the registers");
            let rows = sqlx::query(AssertSqlSafe(format!(
                "SELECT digest, created, author, file_name, {READ_AS} FROM registers AS r ORDER BY number"
            )));
            let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(register_entry).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn register<'a>(&'a self, digest: &'a str) -> Answer<'a, Option<Kept<RegisterEntry>>> {
        Box::pin(async move {
            let row = sqlx::query(AssertSqlSafe(format!(
                "SELECT r.digest AS digest, created, author, file_name, {READ_AS}, content \
                 FROM registers AS r JOIN register_figures AS f ON f.digest = r.digest WHERE r.digest = $1"
            )))
            .bind(digest)
            .fetch_optional(&self.pool)
            .await
            .map_err(self.failed("read a register"))?;
            self.sound(row, register_entry, |r| (r.named(), &r.digest)).await
        })
    }

    fn put_release<'a>(&'a self, entry: &'a ReleaseEntry, bytes: Bytes) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep a release");
            let named = entry.named();
            named.labelled(&entry.digest, &bytes, RELEASE_BYTES_MAX).await?;
            let mut writing = self.write().await?;
            let done = sqlx::query(
                "INSERT INTO releases (id, created, digest, content) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(&entry.id)
            .bind(&entry.created)
            .bind(&entry.digest)
            .bind(Vec::from(bytes))
            .execute(&mut *writing)
            .await
            .map_err(&failed)?;
            if done.rows_affected() == 0 {
                let kept: String = sqlx::query_scalar("SELECT digest FROM releases WHERE id = $1")
                    .bind(&entry.id)
                    .fetch_one(&mut *writing)
                    .await
                    .map_err(&failed)?;
                return if kept == entry.digest { Ok(Put::Already) } else { Err(named.taken()) };
            }
            writing.commit().await.map_err(&failed)?;
            Ok(Put::New)
        })
    }

    fn releases(&self) -> Answer<'_, Vec<ReleaseEntry>> {
        Box::pin(async move {
            let failed = self.failed("list the releases");
            let rows = sqlx::query("SELECT id, created, digest FROM releases ORDER BY number");
            let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(release_entry).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn release<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Kept<ReleaseEntry>>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT * FROM releases WHERE id = $1").bind(id);
            let row = row.fetch_optional(&self.pool).await.map_err(self.failed("read a release"))?;
            self.sound(row, release_entry, |r| (r.named(), &r.digest)).await
        })
    }

    fn current(&self) -> Answer<'_, Option<Kept<ReleaseEntry>>> {
        Box::pin(async move {
            let row = sqlx::query(
                "SELECT * FROM releases WHERE id = (SELECT id FROM current_release) \
                 AND id NOT IN (SELECT release FROM withdrawals)",
            );
            let row = row.fetch_optional(&self.pool).await.map_err(self.failed("read the current release"))?;
            self.sound(row, release_entry, |r| (r.named(), &r.digest)).await
        })
    }

    fn served(&self) -> Answer<'_, Served> {
        Box::pin(async move {
            let failed = self.failed("see what is served");
            let row = sqlx::query(
                "SELECT c.id AS id, w.release AS release, at, author, reason FROM current_release AS c \
                 LEFT JOIN withdrawals AS w ON w.release = c.id",
            );
            let Some(row) = row.fetch_optional(&self.pool).await.map_err(&failed)? else { return Ok(Served::Nothing) };
            let taken_back: Option<String> = row.try_get("release").map_err(&failed)?;
            match taken_back {
                None => Ok(Served::Release(row.try_get("id").map_err(&failed)?)),
                Some(_) => withdrawal(&row).map(Served::Withdrawn).map_err(&failed),
            }
        })
    }

    fn set_current<'a>(&'a self, id: &'a str, by: &'a Stamp) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("change the current release");
            // Releases never change, so this one is looked at before the writer's place is taken.
            let release = self.release(id).await?.ok_or_else(|| Named::new("release", id).missing())?;
            let mut writing = self.write().await?;
            let taken_back: Option<i64> = sqlx::query_scalar("SELECT 1 FROM withdrawals WHERE release = $1")
                .bind(id)
                .fetch_optional(&mut *writing)
                .await
                .map_err(&failed)?;
            if taken_back.is_some() {
                return Err(Named::new("release", id).stands("withdrawn", "a release that nobody took back"));
            }
            let line = move_pointer(&mut writing, &release.entry, by).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn put_dossier<'a>(&'a self, entry: &'a DossierEntry, bytes: Bytes) -> Answer<'a, Put> {
        Box::pin(async move {
            let failed = self.failed("keep a dossier");
            let named = entry.named();
            named.labelled(&entry.digest, &bytes, DOSSIER_BYTES_MAX).await?;
            let mut writing = self.write().await?;
            let release: Option<i64> = sqlx::query_scalar("SELECT 1 FROM releases WHERE id = $1")
                .bind(&entry.release)
                .fetch_optional(&mut *writing)
                .await
                .map_err(&failed)?;
            if release.is_none() {
                return Err(Named::new("release", &entry.release).missing());
            }
            let done = sqlx::query(
                "INSERT INTO dossiers (release_id, digest, content) VALUES ($1, $2, $3) ON CONFLICT (release_id) DO NOTHING",
            )
            .bind(&entry.release)
            .bind(&entry.digest)
            .bind(Vec::from(bytes))
            .execute(&mut *writing)
            .await
            .map_err(&failed)?;
            if done.rows_affected() == 0 {
                let kept: String = sqlx::query_scalar("SELECT digest FROM dossiers WHERE release_id = $1")
                    .bind(&entry.release)
                    .fetch_one(&mut *writing)
                    .await
                    .map_err(&failed)?;
                return if kept == entry.digest { Ok(Put::Already) } else { Err(named.taken()) };
            }
            writing.commit().await.map_err(&failed)?;
            Ok(Put::New)
        })
    }

    fn dossier<'a>(&'a self, release: &'a str) -> Answer<'a, Option<Kept<DossierEntry>>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT * FROM dossiers WHERE release_id = $1").bind(release);
            let row = row.fetch_optional(&self.pool).await.map_err(self.failed("read a dossier"))?;
            self.sound(row, dossier_entry, |d| (d.named(), &d.digest)).await
        })
    }

    fn set_policy<'a>(&'a self, entry: &'a PolicyEntry, text: Bytes) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("put a policy in force");
            entry.named().labelled(&entry.digest, &text, POLICY_BYTES_MAX).await?;
            let act = LedgerEntry {
                at: entry.created.clone(),
                author: entry.author.clone(),
                act: ACT_POLICY.to_owned(),
                subject: entry.version.clone(),
                digest: entry.digest.clone(),
            };
            let mut writing = self.write().await?;
            sqlx::query("INSERT INTO policies (version, digest, created, author, content) VALUES ($1, $2, $3, $4, $5)")
                .bind(&entry.version)
                .bind(&entry.digest)
                .bind(&entry.created)
                .bind(&entry.author)
                .bind(Vec::from(text))
                .execute(&mut *writing)
                .await
                .map_err(&failed)?;
            let line = add_line(&mut writing, &act).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn policy(&self) -> Answer<'_, Option<Kept<PolicyEntry>>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT * FROM policies ORDER BY number DESC LIMIT 1");
            let row = row.fetch_optional(&self.pool).await.map_err(self.failed("read the policy in force"))?;
            self.sound(row, policy_entry, |p| (p.named(), &p.digest)).await
        })
    }

    fn insert_job<'a>(&'a self, job: &'a Job) -> Answer<'a, ()> {
        Box::pin(async move {
            let named = Named::new("job", &job.id);
            named.within(job.report.len().max(job.request.len()), JSON_BYTES_MAX)?;
            let done = sqlx::query(
                "INSERT INTO jobs (id, kind, state, created, updated, author, request, report) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
            )
            .bind(&job.id)
            .bind(&job.kind)
            .bind(job.state.as_str())
            .bind(&job.created)
            .bind(&job.updated)
            .bind(&job.author)
            .bind(&job.request)
            .bind(&job.report)
            .execute(&self.pool)
            .await
            .map_err(self.failed("keep a job"))?;
            if done.rows_affected() == 0 { Err(named.taken()) } else { Ok(()) }
        })
    }

    fn update_job<'a>(&'a self, id: &'a str, state: JobState, updated: &'a str, report: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let named = Named::new("job", id);
            named.within(report.len(), JSON_BYTES_MAX)?;
            let done = sqlx::query("UPDATE jobs SET state = $2, updated = $3, report = $4 WHERE id = $1")
                .bind(id)
                .bind(state.as_str())
                .bind(updated)
                .bind(report)
                .execute(&self.pool)
                .await
                .map_err(self.failed("update a job"))?;
            if done.rows_affected() == 0 { Err(named.missing()) } else { Ok(()) }
        })
    }

    fn job<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Job>> {
        Box::pin(async move {
            let failed = self.failed("read a job");
            let row = sqlx::query("SELECT * FROM jobs WHERE id = $1").bind(id);
            let row = row.fetch_optional(&self.pool).await.map_err(&failed)?;
            row.as_ref().map(job).transpose().map_err(&failed)
        })
    }

    fn jobs(&self, limit: u32) -> Answer<'_, Vec<Job>> {
        Box::pin(async move {
            let failed = self.failed("list the jobs");
            let rows = sqlx::query("SELECT * FROM jobs ORDER BY number DESC LIMIT $1").bind(i64::from(limit));
            let rows = rows.fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(job).collect::<Result<_, _>>().map_err(&failed)
        })
    }

    fn append<'a>(&'a self, entry: &'a LedgerEntry) -> Answer<'a, LedgerLine> {
        Box::pin(async move {
            let failed = self.failed("add to the ledger");
            let mut writing = self.write().await?;
            let line = add_line(&mut writing, entry).await.map_err(&failed)?;
            writing.commit().await.map_err(&failed)?;
            Ok(line)
        })
    }

    fn ledger(&self, after: u64, limit: u32) -> Answer<'_, Vec<LedgerLine>> {
        Box::pin(async move {
            let failed = self.failed("read the ledger");
            // SQLite counts to i64::MAX, and no line is numbered above.
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let rows = sqlx::query("SELECT * FROM ledger WHERE number > $1 ORDER BY number LIMIT $2");
            let rows = rows.bind(after).bind(i64::from(limit)).fetch_all(&self.pool).await.map_err(&failed)?;
            rows.iter().map(ledger_line).collect::<Result<_, _>>().map_err(&failed)
        })
    }
}

/// Keeps a zoning; `None` when its version holds other bytes.
async fn insert_zoning(
    writing: &mut SqliteConnection,
    entry: &ZoningVersion,
    bytes: Bytes,
) -> Result<Option<Put>, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO zonings (zoning, version, title, digest, created, author, reason, options, file_name, content, \
         valid_from, valid_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (zoning, version) DO NOTHING",
    )
    .bind(&entry.zoning)
    .bind(&entry.version)
    .bind(&entry.title)
    .bind(&entry.digest)
    .bind(&entry.created)
    .bind(&entry.author)
    .bind(&entry.reason)
    .bind(&entry.options)
    .bind(&entry.file_name)
    .bind(Vec::from(bytes))
    .bind(&entry.valid_from)
    .bind(&entry.valid_to)
    .execute(&mut *writing)
    .await?;
    if done.rows_affected() > 0 {
        return Ok(Some(Put::New));
    }
    let kept: String = sqlx::query_scalar("SELECT digest FROM zonings WHERE zoning = $1 AND version = $2")
        .bind(&entry.zoning)
        .bind(&entry.version)
        .fetch_one(&mut *writing)
        .await?;
    Ok((kept == entry.digest).then_some(Put::Already))
}

async fn insert_register(
    writing: &mut SqliteConnection,
    entry: &RegisterEntry,
    bytes: Bytes,
) -> Result<Put, sqlx::Error> {
    sqlx::query(
        "INSERT INTO registers (digest, created, author, file_name, options) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(&entry.digest)
    .bind(&entry.created)
    .bind(&entry.author)
    .bind(&entry.file_name)
    .bind(&entry.options)
    .execute(&mut *writing)
    .await?;
    let figures =
        sqlx::query("INSERT INTO register_figures (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING")
            .bind(&entry.digest)
            .bind(Vec::from(bytes))
            .execute(&mut *writing)
            .await?;
    Ok(if figures.rows_affected() == 0 { Put::Already } else { Put::New })
}

/// Serves a release from now on, and says so in the ledger.
async fn move_pointer(
    writing: &mut SqliteConnection,
    release: &ReleaseEntry,
    by: &Stamp,
) -> Result<LedgerLine, sqlx::Error> {
    sqlx::query("INSERT INTO current_release (pointer, id) VALUES (1, $1) ON CONFLICT (pointer) DO UPDATE SET id = $1")
        .bind(&release.id)
        .execute(&mut *writing)
        .await?;
    let entry = LedgerEntry {
        at: by.at.clone(),
        author: by.author.clone(),
        act: ACT_CURRENT.to_owned(),
        subject: release.id.clone(),
        digest: release.digest.clone(),
    };
    add_line(writing, &entry).await
}

/// Chains an entry to the last line. The caller holds the writer's place, so nobody chains to that line meanwhile.
async fn add_line(writing: &mut SqliteConnection, entry: &LedgerEntry) -> Result<LedgerLine, sqlx::Error> {
    let last: Option<(i64, String)> = sqlx::query_as("SELECT number, hash FROM ledger ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut *writing)
        .await?;
    let (last, previous) = last.unwrap_or_default();
    let number = last.saturating_add(1);
    let place = place_of(number)?;
    let hash = entry.hash(place, &previous);
    sqlx::query(
        "INSERT INTO ledger (number, at, author, act, subject, digest, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(number)
    .bind(&entry.at)
    .bind(&entry.author)
    .bind(&entry.act)
    .bind(&entry.subject)
    .bind(&entry.digest)
    .bind(&hash)
    .execute(writing)
    .await?;
    Ok(LedgerLine { number: place, entry: entry.clone(), hash })
}

fn place_of(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|e| sqlx::Error::Decode(e.into()))
}

fn zoning_version(row: &SqliteRow) -> Result<ZoningVersion, sqlx::Error> {
    Ok(ZoningVersion {
        zoning: row.try_get("zoning")?,
        version: row.try_get("version")?,
        title: row.try_get("title")?,
        digest: row.try_get("digest")?,
        created: row.try_get("created")?,
        author: row.try_get("author")?,
        reason: row.try_get("reason")?,
        options: row.try_get("options")?,
        file_name: row.try_get("file_name")?,
        valid_from: row.try_get("valid_from")?,
        valid_to: row.try_get("valid_to")?,
    })
}

/// How a register is read: as was said last.
const READ_AS: &str = "coalesce((SELECT g.options FROM readings AS g WHERE g.register = r.digest \
                       ORDER BY g.number DESC LIMIT 1), r.options) AS options";

fn register_entry(row: &SqliteRow) -> Result<RegisterEntry, sqlx::Error> {
    Ok(RegisterEntry {
        digest: row.try_get("digest")?,
        created: row.try_get("created")?,
        author: row.try_get("author")?,
        file_name: row.try_get("file_name")?,
        options: row.try_get("options")?,
    })
}

fn release_entry(row: &SqliteRow) -> Result<ReleaseEntry, sqlx::Error> {
    Ok(ReleaseEntry { id: row.try_get("id")?, created: row.try_get("created")?, digest: row.try_get("digest")? })
}

fn withdrawal(row: &SqliteRow) -> Result<Withdrawal, sqlx::Error> {
    Ok(Withdrawal {
        release: row.try_get("release")?,
        at: row.try_get("at")?,
        author: row.try_get("author")?,
        reason: row.try_get("reason")?,
    })
}

fn dossier_entry(row: &SqliteRow) -> Result<DossierEntry, sqlx::Error> {
    Ok(DossierEntry { release: row.try_get("release_id")?, digest: row.try_get("digest")? })
}

fn policy_entry(row: &SqliteRow) -> Result<PolicyEntry, sqlx::Error> {
    Ok(PolicyEntry {
        version: row.try_get("version")?,
        digest: row.try_get("digest")?,
        created: row.try_get("created")?,
        author: row.try_get("author")?,
    })
}

fn job(row: &SqliteRow) -> Result<Job, sqlx::Error> {
    let state: &str = row.try_get("state")?;
    Ok(Job {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        state: JobState::ALL
            .into_iter()
            .find(|s| s.as_str() == state)
            .ok_or_else(|| sqlx::Error::Decode("a job in a state which does not exist".into()))?,
        created: row.try_get("created")?,
        updated: row.try_get("updated")?,
        author: row.try_get("author")?,
        request: row.try_get("request")?,
        report: row.try_get("report")?,
    })
}

fn ledger_line(row: &SqliteRow) -> Result<LedgerLine, sqlx::Error> {
    Ok(LedgerLine {
        number: place_of(row.try_get("number")?)?,
        entry: LedgerEntry {
            at: row.try_get("at")?,
            author: row.try_get("author")?,
            act: row.try_get("act")?,
            subject: row.try_get("subject")?,
            digest: row.try_get("digest")?,
        },
        hash: row.try_get("hash")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Bench, Spoil, abandon, act, every_rule, kept_release, stamp};
    use super::super::{Desk, LedgerCheck, digest};
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::sync::Arc;
    use tempfile::TempDir;

    every_rule!(SqliteBench);

    struct SqliteBench(TempDir);

    impl Bench for SqliteBench {
        async fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        async fn open(&self) -> Result<Arc<dyn Desk>, StoreError> {
            Ok(Arc::new(SqliteStore::open(self.0.path()).await?))
        }

        async fn spoil(&self, spoil: Spoil) {
            let pool = raw(self.0.path()).await;
            let sql = match spoil {
                Spoil::ZoningBytes => "UPDATE zonings SET content = substr(content, 2)",
                Spoil::ZoningDigest => "UPDATE zonings SET digest = upper(digest)",
                Spoil::RegisterBytes => "UPDATE register_figures SET content = CAST(content || x'00' AS BLOB)",
                Spoil::RegisterBytesGone => "DELETE FROM register_figures",
                Spoil::ReleaseBytes => "UPDATE releases SET content = zeroblob(length(content))",
                Spoil::ReleaseDigest => "UPDATE releases SET digest = ''",
                Spoil::LedgerLine { number, column, value } => {
                    let sql = format!(
                        "DROP TRIGGER IF EXISTS ledger_keeps_its_words; UPDATE ledger SET {column} = '{value}' WHERE number = \
                         {number}"
                    );
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
                    return;
                }
                Spoil::LedgerLineGone { number } => {
                    let sql = format!(
                        "DROP TRIGGER IF EXISTS ledger_keeps_its_lines; DELETE FROM ledger WHERE number = {number}"
                    );
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
                    return;
                }
                Spoil::DecisionText => "UPDATE decisions SET content = replace(content, 'close', 'undo')",
                Spoil::SchemaNewer => "PRAGMA user_version = 1000",
            };
            sqlx::raw_sql(sql).execute(&pool).await.unwrap();
        }
    }

    /// The file without the store around it.
    async fn raw(dir: &Path) -> SqlitePool {
        SqlitePool::connect_with(SqliteConnectOptions::new().filename(dir.join(FILE_NAME))).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_owner_may_read_the_store() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("deep").join("data");
        let store = SqliteStore::open(&dir).await.unwrap();
        store.append(&act(1)).await.unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        for file in [FILE_NAME, "arpent.db-wal", "arpent.db-shm"] {
            assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
        }
    }

    #[tokio::test]
    async fn every_connection_is_set_up_for_safety() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(home.path()).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut connection = store.pool.acquire().await.unwrap();
            for (pragma, expected) in [
                ("PRAGMA journal_mode", "wal"),
                ("PRAGMA synchronous", "2"), // FULL
                ("PRAGMA foreign_keys", "1"),
                ("PRAGMA busy_timeout", "30000"),
                ("PRAGMA journal_size_limit", "67108864"),
            ] {
                let row = sqlx::query(pragma).fetch_one(&mut *connection).await.unwrap();
                let found = row.try_get_unchecked::<String, _>(0).unwrap();
                assert_eq!(found, expected, "{pragma}");
            }
            held.push(connection);
        }
    }

    #[tokio::test]
    async fn a_place_that_cannot_hold_a_store_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "not a directory").unwrap();
        let error = SqliteStore::open(&file).await.unwrap_err();
        assert!(matches!(error, StoreError::Place { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot open the store at `{}`", file.join(FILE_NAME).display()));

        std::fs::write(home.path().join(FILE_NAME), "no database, though of some length".repeat(100)).unwrap();
        let error = SqliteStore::open(home.path()).await.unwrap_err();
        assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_schema_of_another_number_is_refused_and_left_alone() {
        let newest = MIGRATIONS.len() as i64;
        for (version, opens) in [(-1, false), (newest, true), (newest + 1, false)] {
            let home = tempfile::tempdir().unwrap();
            SqliteStore::open(home.path()).await.unwrap();
            let pool = raw(home.path()).await;
            let set = format!("PRAGMA user_version = {version}");
            sqlx::raw_sql(AssertSqlSafe(set)).execute(&pool).await.unwrap();
            let opened = SqliteStore::open(home.path()).await;
            assert_eq!(opened.is_ok(), opens, "{version}: {opened:?}");
            if let Err(error) = opened {
                assert!(error.to_string().contains(&format!("found schema version {version}, expected 0 to")));
            }
            let after: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await.unwrap();
            assert_eq!(after, version);
        }
    }

    #[tokio::test]
    async fn a_migration_takes_all_its_steps_or_none() {
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "CREATE TABLE a (x)"];
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let store = SqliteStore { pool, place: "here".into() };
        let state = async || {
            let tables: i64 =
                sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&store.pool).await.unwrap();
            let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&store.pool).await.unwrap();
            (tables, version)
        };
        store.migrate(&steps[..1]).await.unwrap();
        assert_eq!(state().await, (1, 1));
        store.migrate(&steps).await.unwrap_err();
        assert_eq!(state().await, (1, 1), "the second step went with the third");
        store.migrate(&steps[..2]).await.unwrap();
        assert_eq!(state().await, (2, 2));
        store.migrate(&steps[..2]).await.unwrap();
        store.migrate(&steps[..1]).await.unwrap_err();
        assert_eq!(state().await, (2, 2));
    }

    #[tokio::test]
    async fn the_ledger_refuses_to_be_altered() {
        let store = SqliteStore::in_memory().await.unwrap();
        store.append(&act(1)).await.unwrap();
        for sql in ["UPDATE ledger SET author = 'b'", "DELETE FROM ledger"] {
            let error = sqlx::raw_sql(sql).execute(&store.pool).await.unwrap_err();
            assert!(error.to_string().contains("never"), "{error}");
        }
        assert!(matches!(store.verify_ledger().await.unwrap(), LedgerCheck::Holds { lines: 1, .. }));
    }

    #[tokio::test]
    async fn a_ledger_of_several_pages_is_verified_to_its_end() {
        let store = SqliteStore::in_memory().await.unwrap();
        for number in 1..=1_001 {
            let head = store.append(&act(number)).await.unwrap().hash;
            if number >= 999 {
                assert_eq!(store.verify_ledger().await.unwrap(), LedgerCheck::Holds { lines: number, head });
            }
        }
        sqlx::raw_sql("DROP TRIGGER ledger_keeps_its_words; UPDATE ledger SET author = 'b' WHERE number = 1001")
            .execute(&store.pool)
            .await
            .unwrap();
        assert_eq!(store.verify_ledger().await.unwrap(), LedgerCheck::Broken { line: 1_001 });
    }

    /// The files as they are at some moment are what a kill at that moment leaves.
    #[tokio::test]
    async fn a_kill_at_any_moment_leaves_the_old_state_or_the_new_one() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(home.path()).await.unwrap();
        let (first, second) = (kept_release(&store, "first").await, kept_release(&store, "second").await);
        let mut before = first.id;
        store.set_current(&before, &stamp(1)).await.unwrap();
        let (mut polls, mut lines) = (0, 1);
        loop {
            let after = if before == second.id { "first" } else { "second" };
            let finished = abandon(store.set_current(after, &stamp(2)), polls).await.is_some();
            let copy = tempfile::tempdir().unwrap();
            for file in [FILE_NAME, "arpent.db-wal"] {
                // Another process copies: opening and closing the file in this one would drop the locks on it.
                let copied = Command::new("cp").arg(home.path().join(file)).arg(copy.path()).status().unwrap();
                assert!(copied.success());
            }
            let copy = SqliteStore::open(copy.path()).await.unwrap();
            let found = copy.current().await.unwrap().unwrap().entry.id;
            let LedgerCheck::Holds { lines: found_lines, .. } = copy.verify_ledger().await.unwrap() else {
                panic!("the ledger does not hold after {polls} polls");
            };
            let moved = found_lines - lines;
            assert!(moved <= 1, "{moved} lines after {polls} polls");
            assert_eq!(found, if moved == 1 { after } else { &before }, "after {polls} polls");
            if finished {
                assert_eq!(moved, 1);
                break;
            }
            // The next writer waits for what is left of this one, so that the next round begins in peace.
            store.append(&act(0)).await.unwrap();
            before = store.current().await.unwrap().unwrap().entry.id;
            lines = store.ledger(0, u32::MAX).await.unwrap().len() as u64;
            polls += 1;
        }
        assert_eq!(digest(b"second").await, second.digest);
    }
}
