//! Fixes into files. A file is replaced whole, by renaming a finished copy over
//! it: whoever reads it, and whatever interrupts us, sees the old text or the new.
//! Nothing is replaced before every file has been checked and every copy is on disk.
//! A run that is killed may leave a copy named `.policyfix-…`, which nothing reads.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::patch::Patch;
use crate::finding::FileChange;

const COPY_PREFIX: &str = ".policyfix-";

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote it.
    #[error("{0}: the file has changed since it was read, so nothing was written; run policyfix again")]
    Changed(String),
    /// A new file is there already.
    #[error("{0}: a file of this name is there already, so nothing was written; move it away first")]
    Exists(String),
    /// It is not meant to be written.
    #[error("{0}: the file is read-only, so nothing was written; make it writable first")]
    ReadOnly(String),
    /// It has other names, which would keep the old text.
    #[error(
        "{0}: the file has {1} hard links and only one would get the new text; replace it with a copy first"
    )]
    HardLinked(String, u64),
    /// It is a link that leads away.
    #[error("{name}: the link leads to {target}, outside of {root}; run policyfix there")]
    Outside {
        /// The file as it is named in a diff.
        name: String,
        /// Where the link leads.
        target: PathBuf,
        /// The folder that must not be left.
        root: PathBuf,
    },
    /// It is a folder, a device or the like.
    #[error("{0}: this is no regular file, so nothing was written")]
    NoFile(String),
    /// The system refused.
    #[error("{name}: cannot {doing}: {error}")]
    Failed {
        /// The file as it is named in a diff.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// Writes the new text of each file. A symbolic link is followed where it leads
/// to a file below `root`.
///
/// # Errors
/// When a file is not as it was read, or cannot be written. Then none has been
/// written, unless a rename itself failed after others had been done.
pub fn write_changes(changes: &[FileChange], root: &Path) -> Result<(), WriteError> {
    let changes = changes.iter().filter(|change| change.file.is_none() || change.before != change.after);
    let copies: Vec<Copy> = changes.map(|change| Copy::new(change, root)).collect::<Result<_, _>>()?;
    copies.into_iter().try_for_each(Copy::put_in_place)
}

/// Saves patches in a folder, which is made if need be; patches of the same name
/// are replaced.
///
/// # Errors
/// When the system refuses.
pub fn save_patches(patches: &[Patch], folder: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(folder).map_err(failed(&folder.display().to_string(), "make the folder"))?;
    for patch in patches {
        let path = folder.join(&patch.name);
        let name = path.display().to_string();
        fs::write(&path, &patch.text).map_err(failed(&name, "write the patch"))?;
    }
    Ok(())
}

/// A finished copy beside the file that it will replace; it is removed when it
/// does not come to that.
struct Copy {
    name: String,
    path: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new(change: &FileChange, root: &Path) -> Result<Self, WriteError> {
        let target = match change.file {
            Some(_) => resolved(change, root)?,
            None => change.path.clone(),
        };
        let old = match change.file {
            Some(_) => Some(checked(change, &target)?),
            None if target.symlink_metadata().is_ok() => return Err(WriteError::Exists(change.name.clone())),
            None => None,
        };
        let folder = folder_of(&target);
        fs::create_dir_all(folder).map_err(failed(&change.name, "make its folder"))?;
        let (path, mut file) = unused_file(folder).map_err(failed(&change.name, "make a copy beside it"))?;
        // From here on the copy is removed when anything fails.
        let copy = Self { name: change.name.clone(), path, target };
        file.write_all(change.after.as_bytes()).map_err(failed(&copy.name, "write a copy beside it"))?;
        if let Some(old) = old {
            keep_owner(&file, &old).map_err(failed(&copy.name, "keep its owner"))?;
            file.set_permissions(old.permissions()).map_err(failed(&copy.name, "keep its mode"))?;
        }
        file.sync_all().map_err(failed(&copy.name, "bring a copy to disk"))?;
        Ok(copy)
    }

    fn put_in_place(self) -> Result<(), WriteError> {
        fs::rename(&self.path, &self.target).map_err(failed(&self.name, "put the new text in its place"))?;
        // The rename is on disk once the folder is; a file system that cannot do so has no say in it.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(name: &str, doing: &'static str) -> impl FnOnce(io::Error) -> WriteError {
    let name = name.to_owned();
    move |error| WriteError::Failed { name, doing, error }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file with a name that no tool takes for a manifest. A run that was
/// killed may have left one behind.
fn unused_file(folder: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0;
    loop {
        let path = folder.join(format!("{COPY_PREFIX}{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            opened => return opened.map(|file| (path, file)),
        }
    }
}

/// The file itself, where the path is a symbolic link.
fn resolved(change: &FileChange, root: &Path) -> Result<PathBuf, WriteError> {
    let is_link = change.path.symlink_metadata().map_err(failed(&change.name, "look at it"))?.is_symlink();
    if !is_link {
        return Ok(change.path.clone());
    }
    let target = change.path.canonicalize().map_err(failed(&change.name, "follow the link"))?;
    let root = root.canonicalize().map_err(failed(&change.name, "find the root of the tree"))?;
    if target.starts_with(&root) {
        return Ok(target);
    }
    Err(WriteError::Outside { name: change.name.clone(), target, root })
}

/// Whether the file is as it was read and may be replaced.
fn checked(change: &FileChange, target: &Path) -> Result<Metadata, WriteError> {
    let metadata = fs::metadata(target).map_err(failed(&change.name, "look at it"))?;
    if !metadata.is_file() {
        return Err(WriteError::NoFile(change.name.clone()));
    }
    if metadata.permissions().readonly() {
        return Err(WriteError::ReadOnly(change.name.clone()));
    }
    let links = hard_links(&metadata);
    if links > 1 {
        return Err(WriteError::HardLinked(change.name.clone(), links));
    }
    let now = fs::read(target).map_err(failed(&change.name, "read it again"))?;
    if now != change.before.as_bytes() {
        return Err(WriteError::Changed(change.name.clone()));
    }
    Ok(metadata)
}

#[cfg(unix)]
fn hard_links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn hard_links(_: &Metadata) -> u64 {
    1
}

/// Gives the copy to the owner of the file, when that is somebody else.
#[cfg(unix)]
fn keep_owner(copy: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let ours = copy.metadata()?;
    if (ours.uid(), ours.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(copy, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::source::FileId;

    fn change(path: &Path, before: &str, after: &str) -> FileChange {
        FileChange {
            file: Some(FileId(0)),
            path: path.to_owned(),
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            before: before.into(),
            after: after.into(),
            edits: Vec::new(),
        }
    }

    fn with_file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    /// What is in a folder, hidden files too.
    fn listing(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_gets_its_new_text_and_keeps_its_mode() {
        let (folder, path) = with_file("old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write_changes(&[change(&path, "old", "new")], folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(listing(folder.path()), ["a.yaml"]);
    }

    #[test]
    fn a_file_that_changed_meanwhile_stops_all_of_them() {
        let (folder, path) = with_file("somebody else's");
        let other = folder.path().join("b.yaml");
        fs::write(&other, "old").unwrap();
        let changes = [change(&other, "old", "new"), change(&path, "old", "new")];
        let error = write_changes(&changes, folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("a.yaml: the file has changed since it was read"), "{error}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "old");
        assert_eq!(listing(folder.path()), ["a.yaml", "b.yaml"]);
    }

    #[test]
    fn a_new_file_is_made_with_its_folders_and_never_replaces_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/a.yaml");
        let new = FileChange { file: None, ..change(&path, "", "new") };
        write_changes(std::slice::from_ref(&new), folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(listing(path.parent().unwrap()), ["a.yaml"]);
        let error = write_changes(&[new], folder.path()).unwrap_err();
        assert!(matches!(error, WriteError::Exists(_)), "{error}");
    }

    #[test]
    fn a_read_only_file_is_left_alone() {
        let (folder, path) = with_file("old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        let error = write_changes(&[change(&path, "old", "new")], folder.path()).unwrap_err();
        assert!(matches!(error, WriteError::ReadOnly(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }

    #[test]
    fn a_hard_linked_file_is_left_alone() {
        let (folder, path) = with_file("old");
        fs::hard_link(&path, folder.path().join("b.yaml")).unwrap();
        let error = write_changes(&[change(&path, "old", "new")], folder.path()).unwrap_err();
        assert!(error.to_string().contains("has 2 hard links"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }

    #[test]
    fn a_link_is_followed_inside_the_tree_only() {
        let (folder, path) = with_file("old");
        let link = folder.path().join("link.yaml");
        symlink(&path, &link).unwrap();
        write_changes(&[change(&link, "old", "new")], folder.path()).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");

        let tree = tempfile::tempdir().unwrap();
        let out = tree.path().join("out.yaml");
        symlink(&path, &out).unwrap();
        let error = write_changes(&[change(&out, "new", "newer")], tree.path()).unwrap_err();
        assert!(matches!(error, WriteError::Outside { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn patches_are_saved_under_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let patch = Patch { name: "0001-a.patch".into(), text: "From 0".into() };
        save_patches(&[patch], &folder.path().join("out")).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("out/0001-a.patch")).unwrap(), "From 0");
    }

    const VICTIM: &str = "POLICYFIX_TEST_FILE_TO_REWRITE";
    const SIZE: usize = 4 << 20;

    /// Not a test of its own: rewrites a file until it is killed by the one below.
    #[test]
    fn victim_of_the_kill() {
        let Some(path) = std::env::var_os(VICTIM).map(PathBuf::from) else { return };
        let (a, b) = ("a".repeat(SIZE), "b".repeat(SIZE));
        let now = fs::read_to_string(&path).unwrap();
        let mut texts = if now == a { [&a, &b] } else { [&b, &a] };
        loop {
            write_changes(&[change(&path, texts[0], texts[1])], path.parent().unwrap()).unwrap();
            texts.reverse();
        }
    }

    #[test]
    fn whenever_it_is_killed_the_file_is_old_or_new() {
        let (a, b) = ("a".repeat(SIZE), "b".repeat(SIZE));
        let (folder, path) = with_file(&a);
        let copies = || listing(folder.path()).into_iter().filter(|name| name.starts_with(COPY_PREFIX));
        for round in 0..25_u64 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "report::write::tests::victim_of_the_kill"])
                .env(VICTIM, &path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while copies().next().is_none() {
                assert!(child.try_wait().unwrap().is_none(), "the victim ended by itself");
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(Duration::from_micros(700 * round));
            child.kill().unwrap();
            child.wait().unwrap();
            let now = fs::read_to_string(&path).unwrap();
            assert!(now == a || now == b, "round {round}: neither old nor new, {} bytes", now.len());
            copies().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
        }
        assert_eq!(listing(folder.path()), ["a.yaml"]);
    }
}
