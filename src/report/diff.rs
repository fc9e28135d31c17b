//! Unified diffs as git writes and reads them: what `suggest` prints, and the
//! body of a mailed patch. Lines end at `\n` and nowhere else, so a lone carriage
//! return or a Unicode line separator inside a line cannot break a hunk.

use std::borrow::Cow;
use std::fmt::Write;

use similar::TextDiff;

use crate::finding::FileChange;

/// The lines around a change that git shows, and needs to find the place again.
const CONTEXT_LINES: usize = 3;

/// The diff of all files, in their order; a file without change is left out.
/// Several changes to one file are merged by the caller: git applies each file
/// of a diff once.
pub fn unified(files: &[FileChange]) -> String {
    let mut diff = String::new();
    for file in files.iter().filter(|file| file.file.is_none() || file.before != file.after) {
        // Writing to a `String` cannot fail.
        let _ = write_file(file, &mut diff);
    }
    diff
}

fn write_file(file: &FileChange, diff: &mut String) -> std::fmt::Result {
    let is_new = file.file.is_none();
    let old = quoted(&format!("a/{}", file.name)).into_owned();
    let new = quoted(&format!("b/{}", file.name)).into_owned();
    writeln!(diff, "diff --git {old} {new}")?;
    if is_new {
        writeln!(diff, "new file mode 100644")?;
    }
    if file.before == file.after {
        return Ok(());
    }
    // A name with a space ends with a tab, or `patch` would take the rest for a date.
    let end = if file.name.contains(' ') { "\t" } else { "" };
    if is_new {
        writeln!(diff, "--- /dev/null")?;
    } else {
        writeln!(diff, "--- {old}{end}")?;
    }
    writeln!(diff, "+++ {new}{end}")?;

    let before: Vec<&str> = file.before.split_inclusive('\n').collect();
    let after: Vec<&str> = file.after.split_inclusive('\n').collect();
    let lines = TextDiff::configure().newline_terminated(true).diff_slices(&before, &after);
    write!(diff, "{}", lines.unified_diff().context_radius(CONTEXT_LINES))
}

/// A name as git writes it with `core.quotePath`: in double quotes, C-style, when
/// it holds a control character, a quote, a backslash or anything but ASCII.
pub(crate) fn quoted(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\';
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut quoted = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            byte if is_plain(byte) => quoted.push(byte.into()),
            byte => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::report::testing::{git, git_with_input, repository};
    use crate::source::FileId;

    fn change(name: &str, before: &str, after: &str) -> FileChange {
        FileChange {
            file: Some(FileId(0)),
            path: PathBuf::from(name),
            name: name.into(),
            before: before.into(),
            after: after.into(),
            edits: Vec::new(),
        }
    }

    fn new_file(name: &str, text: &str) -> FileChange {
        FileChange { file: None, ..change(name, "", text) }
    }

    /// Writes the files as they were into a repository, applies their diff with
    /// git in `folder`, and looks whether they are as they should be.
    fn apply_in(folder: &str, files: &[FileChange]) {
        let root = repository();
        let at = |file: &FileChange| root.path().join(&file.name);
        for file in files {
            std::fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            if file.file.is_some() {
                std::fs::write(at(file), &file.before).unwrap();
            }
        }
        let diff = unified(files);
        git_with_input(&root.path().join(folder), &["apply", "--whitespace=error-all"], &diff);
        for file in files {
            assert_eq!(std::fs::read_to_string(at(file)).unwrap(), file.after, "{diff}");
        }
    }

    fn apply(files: &[FileChange]) {
        apply_in("", files);
    }

    #[test]
    fn a_diff_looks_as_git_writes_it() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\nh: 8\n";
        let files =
            [change("k8s/web.yaml", before, &before.replace("e: 5", "e: 50")), new_file("b.yaml", "x: 1")];
        assert_eq!(
            unified(&files),
            "\
diff --git a/k8s/web.yaml b/k8s/web.yaml
--- a/k8s/web.yaml
+++ b/k8s/web.yaml
@@ -2,7 +2,7 @@
 b: 2
 c: 3
 d: 4
-e: 5
+e: 50
 f: 6
 g: 7
 h: 8
diff --git a/b.yaml b/b.yaml
new file mode 100644
--- /dev/null
+++ b/b.yaml
@@ -0,0 +1 @@
+x: 1
\\ No newline at end of file
"
        );
        apply(&files);
    }

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        let names =
            ["with space.yaml", "q\"uote.yaml", "back\\slash.yaml", "zürich/日本.yaml", "t\tab\u{1}\n.yaml"];
        let root = repository();
        for name in names {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a: 1\n").unwrap();
        }
        git(root.path(), &["add", "."]);
        git(root.path(), &["commit", "-qm", "x"]);
        for name in names {
            std::fs::write(root.path().join(name), "a: 2\n").unwrap();
            let theirs = git(root.path(), &["diff", "--", name]);
            let theirs: String =
                theirs.split_inclusive('\n').filter(|line| !line.starts_with("index ")).collect();
            assert_eq!(unified(&[change(name, "a: 1\n", "a: 2\n")]), theirs);
        }
        apply(&names.map(|name| change(name, "a: 1\n", "a: 2\n")));
    }

    #[test]
    fn git_applies_every_kind_of_line_end() {
        apply(&[
            change("gains.yaml", "a: 1", "a: 1\n"),
            change("loses.yaml", "a: 1\n", "a: 1"),
            change("stays.yaml", "a: 1\nb: 2", "a: 2\nb: 2"),
            change("last.yaml", "a: 1\nb: 2", "a: 1\nb: 3"),
            change(
                "lone.yaml",
                "a: \"1\r2\u{2028}3\u{85}4\u{c}\"\nb: 1\n",
                "a: \"1\r2\u{2028}3\u{85}4\u{c}\"\nb: 2\n",
            ),
            change("bom.yaml", "\u{feff}a: 1\n", "\u{feff}a: 2\n"),
            change("empty.yaml", "", "a: 1\n"),
            change("emptied.yaml", "a: 1\n", ""),
            change("dashes.yaml", "--- a\n-- b\n++ c\n", "--- a\n-- d\n++ e\n"),
            new_file("new/file.yaml", "a: 1\n"),
            new_file("new/empty.yaml", ""),
        ]);
    }

    #[test]
    fn git_applies_a_change_to_a_file_with_crlf() {
        let root = repository();
        std::fs::write(root.path().join("crlf.yaml"), "a: 1\r\nb: 2\r\n").unwrap();
        let diff = unified(&[change("crlf.yaml", "a: 1\r\nb: 2\r\n", "a: 1\r\nb: 2\r\nc: 3\r\n")]);
        git_with_input(root.path(), &["apply"], &diff);
        assert_eq!(
            std::fs::read_to_string(root.path().join("crlf.yaml")).unwrap(),
            "a: 1\r\nb: 2\r\nc: 3\r\n"
        );
    }

    #[test]
    fn git_applies_it_in_a_subfolder() {
        apply_in("k8s", &[change("k8s/a.yaml", "a: 1\n", "a: 2\n")]);
    }

    #[test]
    fn a_file_without_change_is_left_out() {
        assert_eq!(unified(&[change("a.yaml", "a: 1\n", "a: 1\n")]), "");
    }
}
