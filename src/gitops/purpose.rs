//! Signs that a file which no kustomization lists was left out on purpose.

/// Whether a file lies in a folder of which everybody knows that nothing in it
/// is applied.
pub fn is_archived(name: &str) -> bool {
    name.rsplit('/').skip(1).any(|folder| {
        matches!(
            folder.trim_matches(|c| c == '.' || c == '_').to_ascii_lowercase().as_str(),
            "archive" | "archived" | "archives" | "attic" | "deprecated" | "disabled" | "old" | "unused"
        )
    })
}

/// The path of a file as a kustomization in its folder or above names it.
pub fn path_from<'f>(kustomization: &str, file: &'f str) -> Option<&'f str> {
    let folder = kustomization.rsplit_once('/').map_or(0, |(folder, _)| folder.len() + 1);
    file.strip_prefix(kustomization.get(..folder)?)
}

/// Whether a kustomization names a file that it does not list, in a comment or
/// as something else than a resource, or the folder below its own that the file
/// lies in. `path` is that of the file from the kustomization's folder.
pub fn is_mentioned(kustomization: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = path.split_once('/').map(|(folder, _)| folder);
    kustomization.lines().any(|line| {
        let (written, comment) = line.split_once('#').unwrap_or((line, ""));
        let names_it = |word: &str| word == path || word == name;
        let names_folder = |word: &str| Some(word.split('/').next().unwrap_or(word)) == folder;
        words(written).any(names_it) || words(comment).any(|word| names_it(word) || names_folder(word))
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '[' | ']' | ',' | '`');
    text.split(is_between).map(|word| word.trim_start_matches("./")).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_commented_out_or_is_something_else_is_mentioned() {
        assert!(is_mentioned("resources:\n  - a.yaml\n  # - ./policy.yaml\n", "policy.yaml"));
        assert!(is_mentioned("configMapGenerator: [{files: [policy.yaml]}]\n", "policy.yaml"));
        assert!(is_mentioned("resources: []\n#  - ./web/ks.yaml\n", "web/app/policy.yaml"));
        assert!(!is_mentioned("resources:\n  - web/policy.yaml # the web\n", "policy.yaml"));
        assert!(!is_mentioned("resources:\n  - web/ks.yaml\n", "web/policy.yaml"));
    }

    #[test]
    fn paths_count_from_the_folder_of_the_kustomization() {
        assert_eq!(path_from("a/kustomization.yaml", "a/b/x.yaml"), Some("b/x.yaml"));
        assert_eq!(path_from("kustomization.yaml", "a/x.yaml"), Some("a/x.yaml"));
        assert_eq!(path_from("a/kustomization.yaml", "ab/x.yaml"), None);
    }

    #[test]
    fn folders_that_hold_what_is_over_are_archives() {
        assert!(is_archived("apps/_archive/web/policy.yaml") && is_archived("old/x.yaml"));
        assert!(!is_archived("apps/archive.yaml") && !is_archived("golden/x.yaml"));
    }
}
