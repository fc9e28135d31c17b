//! Arguments to files: the only code that reads manifests from disk. Folders
//! are walked in a fixed order; what cannot be read is a [`Problem`], and the
//! rest goes on.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rayon::prelude::*;
use walkdir::WalkDir;

use crate::source::{Source, Sources};

/// Manifests above this size are not read: an object of Kubernetes cannot have
/// more than about 1.5 MiB.
const LARGEST_MANIFEST: u64 = 16 << 20;
/// Output of `kubectl get` may be longer.
const LARGEST_INVENTORY: u64 = 512 << 20;

/// Folders that hold no manifests of the repository's own.
const UNRELATED: [&str; 3] = [".git", "node_modules", "target"];
/// More files and folders than this are no repository of manifests.
const MOST_SURROUNDINGS: usize = 200_000;

/// A file or folder that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// As it was given or found.
    pub path: PathBuf,
    /// Why, and what to do.
    pub why: String,
    /// Whether it was named on the command line: then the run cannot be right without it.
    pub named: bool,
}

/// How the names of files in output are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    root: Option<PathBuf>,
    current: PathBuf,
}

impl Naming {
    /// Names relative to the root of the enclosing git work tree, as `git apply`
    /// reads them; without one, or when asked for, relative to the current folder.
    pub fn new(current: &Path, relative: bool) -> Self {
        let current = fs::canonicalize(current).unwrap_or_else(|_| current.to_owned());
        let root = if relative { None } else { git_root(&current) };
        Self { root, current }
    }

    /// The folder that names count from.
    pub fn base(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.current)
    }

    /// The name of a file: relative with `/`, without `./` and `../` where it
    /// lies below the base.
    pub fn name(&self, path: &Path) -> String {
        let absolute = fs::canonicalize(path).unwrap_or_else(|_| self.current.join(path));
        let shown = absolute.strip_prefix(self.base()).unwrap_or(&absolute);
        let parts: Vec<_> = shown
            .components()
            .filter_map(|part| match part {
                Component::CurDir => None,
                part => Some(part.as_os_str().to_string_lossy()),
            })
            .collect();
        parts.join("/").replacen("//", "/", 1)
    }
}

/// The root of the git work tree around a folder.
pub fn git_root(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// Reads all manifests that the paths name, folders with everything below.
pub fn manifests(paths: &[PathBuf], naming: &Naming) -> (Sources, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files, &mut problems);
    }
    let mut named: Vec<(String, PathBuf)> =
        files.into_iter().map(|path| (naming.name(&path), path)).collect();
    named.sort();
    named.dedup_by(|b, a| a.0 == b.0);
    let explicit: Vec<&PathBuf> = paths.iter().collect();
    let read: Vec<_> = named
        .into_par_iter()
        .map(|(name, path)| {
            let text = read_text(&path, LARGEST_MANIFEST);
            (name, path, text)
        })
        .collect();
    let mut sources = Sources::default();
    for (name, path, text) in read {
        match text {
            Ok(text) => drop(sources.add(Source::new(path, name, text))),
            Err(why) => {
                let named = explicit.contains(&&path);
                problems.push(Problem { path, why, named });
            }
        }
    }
    (sources, problems)
}

/// Reads the rest of the git work trees around the paths: what lies there may
/// say what becomes of the manifests in them. What cannot be read is passed
/// over; nothing outside of a work tree is read.
pub fn surroundings(paths: &[PathBuf], naming: &Naming, sources: &mut Sources) {
    let mut roots: Vec<PathBuf> = Vec::new();
    for path in paths {
        let Ok(path) = fs::canonicalize(path) else { continue };
        roots.extend(git_root(&path).filter(|root| *root != path));
    }
    roots.sort();
    roots.dedup();
    let known: Vec<String> = sources.iter().map(|(_, source)| source.name.clone()).collect();
    let is_wanted = |entry: &walkdir::DirEntry| !UNRELATED.iter().any(|name| entry.file_name() == *name);
    let walk = |root: PathBuf| {
        let walk = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(is_wanted);
        walk.take(MOST_SURROUNDINGS).filter_map(Result::ok)
    };
    let files: Vec<(String, PathBuf)> = roots
        .into_iter()
        .flat_map(walk)
        .filter(|entry| entry.file_type().is_file() && is_manifest(entry.path()))
        .map(|entry| (naming.name(entry.path()), entry.into_path()))
        .filter(|(name, _)| known.binary_search(name).is_err())
        .collect();
    let read: Vec<_> = files
        .into_par_iter()
        .filter_map(|(name, path)| {
            let text = read_text(&path, LARGEST_MANIFEST).ok()?;
            Some(Source::new(path, name, text))
        })
        .collect();
    for source in read {
        sources.add(source);
    }
}

/// Reads `kubectl get` output; `-` is standard input.
pub fn inventories(paths: &[PathBuf], sources: &mut Sources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for path in paths {
        let text = if path.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin().lock()).map_err(|error| error.to_string())
        } else {
            read_text(path, LARGEST_INVENTORY)
        };
        match text {
            Ok(text) => drop(sources.add(Source::new(path.clone(), path.display().to_string(), text))),
            Err(why) => problems.push(Problem { path: path.clone(), why, named: true }),
        }
    }
    problems
}

fn collect(path: &Path, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
                _ => error.to_string(),
            };
            return problems.push(Problem { path: path.to_owned(), why, named: true });
        }
    };
    if metadata.is_file() {
        return files.push(path.to_owned());
    }
    if !metadata.is_dir() {
        let why = "this is neither a file nor a folder".to_owned();
        return problems.push(Problem { path: path.to_owned(), why, named: true });
    }
    // A link inside the tree would be read twice, one out of it is none of ours: links are not followed.
    let walk = WalkDir::new(path).sort_by_file_name().into_iter();
    let wanted = |entry: &walkdir::DirEntry| entry.depth() == 0 || entry.file_name() != ".git";
    for entry in walk.filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_manifest(entry.path()) => {
                files.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) => problems.push(Problem {
                path: error.path().unwrap_or(path).to_owned(),
                why: error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
                named: false,
            }),
        }
    }
}

/// Whether a file found in a folder can hold manifests, by its name.
fn is_manifest(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("yaml" | "yml" | "json"))
        || path.file_name().is_some_and(|name| name == "Kustomization")
}

fn read_text(path: &Path, largest: u64) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > largest {
        return Err(format!("the file has {} MiB; more than {} are not read", size >> 20, largest >> 20));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "the file is no UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in
            [("b/x.yaml", "b: 1\n"), ("a.yml", "a: 1\n"), ("b/notes.txt", "no"), (".git/x.yaml", "no: 1")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(sources: &Sources) -> Vec<&str> {
        sources.iter().map(|(_, source)| source.name.as_str()).collect()
    }

    #[test]
    fn folders_are_walked_in_order_and_names_count_from_the_git_root() {
        let folder = tree();
        let naming = Naming::new(&folder.path().join("b"), false);
        let (sources, problems) = manifests(&[folder.path().to_owned()], &naming);
        assert_eq!(names(&sources), ["a.yml", "b/x.yaml"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn the_rest_of_the_work_tree_is_read_and_nothing_beyond() {
        let folder = tree();
        fs::create_dir_all(folder.path().join("b/.git")).unwrap();
        fs::write(folder.path().join("b/y.yaml"), "y: 1").unwrap();
        let naming = Naming::new(folder.path(), true);
        let path = [folder.path().join("b/x.yaml")];
        let (mut sources, _) = manifests(&path, &naming);
        surroundings(&path, &naming, &mut sources);
        assert_eq!(names(&sources), ["b/x.yaml", "b/y.yaml"]);
    }

    #[test]
    fn a_file_named_twice_is_read_once() {
        let folder = tree();
        let naming = Naming::new(folder.path(), true);
        let paths = [folder.path().join("b"), folder.path().join("b/x.yaml")];
        let (sources, _) = manifests(&paths, &naming);
        assert_eq!(names(&sources), ["b/x.yaml"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_the_rest_goes_on() {
        let folder = tree();
        fs::write(folder.path().join("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
        let naming = Naming::new(folder.path(), true);
        let (sources, problems) = manifests(&[folder.path().to_owned(), "gone".into()], &naming);
        assert_eq!(names(&sources), ["a.yml", "b/x.yaml"]);
        let whys: Vec<_> = problems.iter().map(|p| (p.why.as_str(), p.named)).collect();
        assert_eq!(whys, [("there is no such file or folder", true), ("the file is no UTF-8 text", false)]);
    }
}
