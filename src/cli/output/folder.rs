//! Folders which appear whole or not at all.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Drafts, name_on_disk};

/// Who may read what is written, beside root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the account's umask lets.
    Usual,
    /// The account alone: folders of mode 0700, files of mode 0600.
    Owner,
}

impl Readers {
    fn folder(self) -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.mode(if self == Self::Owner { 0o700 } else { 0o777 });
        builder
    }
    fn file_mode(self) -> u32 {
        if self == Self::Owner { 0o600 } else { 0o666 }
    }
}

/// A folder which appears under its name only once it is whole. Dropped before that, or told to stop, it leaves nothing
/// behind.
pub struct WholeFolder {
    target: PathBuf,
    draft: Draft,
    /// The folders in it.
    inner: BTreeSet<PathBuf>,
}

impl WholeFolder {
    /// Makes a draft beside the target.
    pub fn create(target: &Path, readers: Readers) -> io::Result<Self> {
        let draft = Draft::beside(target, readers)?;
        Ok(Self { target: target.to_owned(), draft, inner: BTreeSet::new() })
    }

    /// Writes a file of the folder, with its bytes on the disk; `path` leads from the folder to it.
    pub fn add(&mut self, path: &str, bytes: &[u8], readers: Readers) -> io::Result<()> {
        let path = self.draft.0.join(path);
        let mut file = {
            // While the list is held nobody sweeps, and after a sweep nothing is made any more.
            let _drafts = Drafts::held();
            let above = path.parent().expect("a path inside the draft");
            if above != self.draft.0 && !self.inner.contains(above) {
                readers.folder().recursive(true).create(above)?;
                self.inner.insert(above.to_owned());
            }
            OpenOptions::new().write(true).create_new(true).mode(readers.file_mode()).open(&path)?
        };
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Puts the folder under its name, where nothing stands or an empty folder.
    pub fn commit(self) -> io::Result<()> {
        self.synced()?;
        {
            let _drafts = Drafts::held();
            std::fs::rename(&self.draft.0, &self.target)?;
        }
        name_on_disk(&self.target);
        Ok(())
    }

    /// The same, where a folder that stands there makes way with all it holds.
    pub fn replace(self) -> io::Result<()> {
        // A folder takes the place of an empty one in one step; a full one has to be moved aside first.
        if !std::fs::read_dir(&self.target).is_ok_and(|mut entries| entries.next().is_some()) {
            return self.commit();
        }
        self.synced()?;
        let aside = Draft::beside(&self.target, Readers::Usual)?;
        {
            // Held over both renames: a sweep between them would take the former folder with the drafts.
            let mut drafts = Drafts::held();
            std::fs::rename(&self.target, &aside.0)?;
            if let Err(error) = std::fs::rename(&self.draft.0, &self.target) {
                if std::fs::rename(&aside.0, &self.target).is_err() {
                    // The former folder is worth more than tidiness: it is left where it was moved.
                    drafts.remove(&aside.0);
                    std::mem::forget(aside);
                }
                return Err(error);
            }
        }
        name_on_disk(&self.target);
        Ok(())
    }

    /// Has the names of all files on the disk.
    fn synced(&self) -> io::Result<()> {
        self.inner.iter().chain([&self.draft.0]).try_for_each(|folder| File::open(folder)?.sync_all())
    }
}

/// A folder beside a target that is removed with all it holds when dropped; a renamed one leaves nothing to remove.
struct Draft(PathBuf);

impl Draft {
    fn beside(target: &Path, readers: Readers) -> io::Result<Self> {
        let name = target.file_name().ok_or_else(|| io::Error::other("the name of no folder"))?;
        let (draft, ()) = Drafts::held().beside(target, name, |draft| readers.folder().create(draft))?;
        Ok(Self(draft))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut drafts = Drafts::held();
        let _ = std::fs::remove_dir_all(&self.0);
        drafts.remove(&self.0);
    }
}
