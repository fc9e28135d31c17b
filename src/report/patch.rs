//! Mailed patches, one a fix, in the order in which `git am` takes them. The
//! message tells what was denied, why, and what the fix opens, so that the commit
//! can be reviewed without policyfix at hand.

use super::Run;
use super::diff::{quoted, unified};
use super::merge::{Conflict, Merge};
use super::notes::{aligned, notes};
use super::visible::visible;
use super::wrap::wrapped;
use crate::finding::{FileChange, Finding, Fix, Note};

/// The width of a commit message.
const MESSAGE_WIDTH: usize = 72;
/// The length of a file name without number and ending, as `git format-patch` has it.
const LONGEST_SLUG: usize = 52;
/// An encoded word of a header may have 75 characters, its frame included.
const LONGEST_ENCODED_WORD: usize = 60;
/// A quoted-printable line may have 76 characters, the soft line break included.
const LONGEST_QUOTED_LINE: usize = 75;

/// One patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Its file name: `0001-ledger.yaml-change-443-to-50051.patch`.
    pub name: String,
    /// The mail.
    pub text: String,
}

/// The patches of all fixes that the run offers, each made for the files with
/// the earlier ones applied, and the fixes that had to be left out.
pub fn patches(findings: &[Finding], run: &Run) -> (Vec<Patch>, Vec<Conflict>) {
    let mut merge = Merge::default();
    let mut steps = Vec::new();
    let mut conflicts = Vec::new();
    for finding in findings {
        let Some(fix) = run.offered(finding) else { continue };
        match merge.add(fix) {
            Ok(files) if files.is_empty() => {}
            Ok(files) => steps.push(Step { finding, subject: subject(fix), files }),
            Err(conflict) => conflicts.push(conflict),
        }
    }
    let total = steps.len();
    let patch = |(index, step): (usize, &Step<'_>)| {
        let number = index + 1;
        let mark = if total == 1 { "[PATCH]".to_owned() } else { format!("[PATCH {number}/{total}]") };
        let name = format!("{number:04}-{}.patch", slug(&step.subject));
        Patch { name, text: mail(step, &mark, run) }
    };
    (steps.iter().enumerate().map(patch).collect(), conflicts)
}

/// What one patch does.
struct Step<'a> {
    finding: &'a Finding,
    subject: String,
    files: Vec<FileChange>,
}

/// `ledger.yaml: change "443" to "50051"`.
fn subject(fix: &Fix) -> String {
    let name = fix.files.first().map_or("", |change| change.name.as_str());
    let name = name.rsplit('/').next().unwrap_or(name);
    wrapped(&visible(&format!("{name}: {}", fix.title)), usize::MAX).join(" ")
}

fn slug(subject: &str) -> String {
    let mut slug = String::new();
    for char in subject.chars() {
        match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => slug.push(char),
            '.' if !slug.ends_with(['.', '-']) && !slug.is_empty() => slug.push('.'),
            _ if !slug.ends_with('-') && !slug.is_empty() => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(LONGEST_SLUG);
    slug.trim_end_matches(['-', '.']).to_owned()
}

fn mail(step: &Step<'_>, mark: &str, run: &Run) -> String {
    let body = format!(
        "{}---\n{}\n{}-- \npolicyfix {}\n\n",
        message(step.finding),
        statistics(&step.files),
        unified(&step.files),
        env!("CARGO_PKG_VERSION")
    );
    // `git am` takes a carriage return at the end of a line for the mail's own, unless it is encoded.
    let is_quoted = body.contains('\r');
    let (encoding, body) =
        if is_quoted { ("quoted-printable", quoted_printable(&body)) } else { ("8bit", body) };
    // The line that git knows its own patches by; the hash is of no commit.
    let mut mail = format!("From {} Mon Sep 17 00:00:00 2001\n", "0".repeat(40));
    mail.push_str("From: policyfix <policyfix@policyfix.invalid>\n");
    if let Some(date) = run.date {
        mail.push_str(&format!("Date: {}\n", date.strftime("%a, %-d %b %Y %H:%M:%S +0000")));
    }
    mail.push_str(&format!("Subject: {mark} {}\n", encoded_words(&step.subject)));
    mail.push_str("MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n");
    mail.push_str(&format!("Content-Transfer-Encoding: {encoding}\n\n{body}"));
    mail
}

/// The commit message below the subject: the title, the notes with their
/// headings in one column, and where to read more.
fn message(finding: &Finding) -> String {
    let mut message = String::new();
    for line in wrapped(&visible(&finding.title.replace('\n', " ")), MESSAGE_WIDTH) {
        // A line that git would read as a header, as the start of the diff or of another mail.
        let is_markup = ["---", "diff -", "Index: ", "From", ">From", "Subject:", "Date:", "[PATCH"]
            .iter()
            .any(|markup| line.starts_with(markup));
        message.push_str(if is_markup { " " } else { "" });
        message.push_str(&line);
        message.push('\n');
    }
    message.push('\n');
    let mut notes = notes(finding);
    notes.push(Note { heading: "more", text: format!("policyfix explain {}", finding.id) });
    for line in aligned(&notes, MESSAGE_WIDTH, str::to_owned) {
        message.push_str(&line);
        message.push('\n');
    }
    message
}

/// The list of files that git prints between message and diff.
fn statistics(files: &[FileChange]) -> String {
    let new: Vec<_> = files.iter().filter(|change| change.file.is_none()).collect();
    let mut statistics: String = files.iter().map(|change| format!(" {}\n", quoted(&change.name))).collect();
    let plural = if files.len() == 1 { "" } else { "s" };
    statistics.push_str(&format!(" {} file{plural} changed\n", files.len()));
    for change in new {
        statistics.push_str(&format!(" create mode 100644 {}\n", quoted(&change.name)));
    }
    statistics
}

/// A header's text: as it is where it is ASCII, otherwise as encoded words (RFC 2047).
fn encoded_words(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for char in text.chars() {
        let mut buffer = [0; 4];
        let encoded: String = match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' => char.to_string(),
            ' ' => "_".to_owned(),
            char => char.encode_utf8(&mut buffer).bytes().map(|byte| format!("={byte:02X}")).collect(),
        };
        if words.last().is_none_or(|word| word.len() + encoded.len() > LONGEST_ENCODED_WORD) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push_str(&encoded);
        }
    }
    let words: Vec<String> = words.into_iter().map(|word| format!("=?UTF-8?q?{word}?=")).collect();
    words.join("\n ")
}

/// Text as quoted-printable (RFC 2045); only line ends stay what they are.
fn quoted_printable(text: &str) -> String {
    let mut encoded = String::new();
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let mut columns = 0;
        for (index, byte) in line.bytes().enumerate() {
            let is_last = index + 1 == line.len();
            let is_plain = matches!(byte, b'!'..=b'~') && byte != b'=' || (byte == b' ' && !is_last);
            let piece = if is_plain { char::from(byte).to_string() } else { format!("={byte:02X}") };
            if columns + piece.len() > LONGEST_QUOTED_LINE {
                encoded.push_str("=\n");
                columns = 0;
            }
            columns += piece.len();
            encoded.push_str(&piece);
        }
        encoded.push_str(end);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::samples::{new_policy, replacement, sample, service_port};
    use crate::report::testing::{git, repository};
    use crate::source::Sources;

    fn run() -> Run {
        Run { date: Some("2026-11-20T09:39:29Z".parse().unwrap()), ..Run::default() }
    }

    /// A repository with the sources in it, committed.
    fn committed(sources: &Sources) -> tempfile::TempDir {
        let root = repository();
        for (_, source) in sources.iter() {
            let path = root.path().join(&source.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &source.text).unwrap();
        }
        git(root.path(), &["add", "."]);
        git(root.path(), &["commit", "--quiet", "--allow-empty", "--message", "before"]);
        root
    }

    /// Saves the patches and lets `git am` take them.
    fn take(root: &Path, findings: &[Finding]) -> Vec<Patch> {
        let (patches, conflicts) = patches(findings, &run());
        assert_eq!(conflicts, []);
        let folder = root.join(".git/patches");
        std::fs::create_dir(&folder).unwrap();
        let mut arguments = vec!["am".to_owned(), "--quiet".to_owned()];
        for patch in &patches {
            std::fs::write(folder.join(&patch.name), &patch.text).unwrap();
            arguments.push(folder.join(&patch.name).to_str().unwrap().to_owned());
        }
        git(root, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        patches
    }

    fn read(root: &Path, name: &str) -> String {
        std::fs::read_to_string(root.join(name)).unwrap()
    }

    #[test]
    fn git_takes_a_patch_with_its_whole_story() {
        let (finding, sources) = service_port();
        let root = committed(&sources);
        let patches = take(root.path(), &[finding]);
        assert_eq!(patches[0].name, "0001-ledger.yaml-change-443-to-50051.patch");
        assert!(read(root.path(), "k8s/payments/ledger.yaml").contains("port: \"50051\""));
        let log = git(
            root.path(),
            &["log", "-1", "--date=format:%Y-%m-%d %H:%M:%S", "--format=%an <%ae>%n%ad%n%B"],
        );
        assert_eq!(
            log.trim_end(),
            "\
policyfix <policyfix@policyfix.invalid>
2026-11-20 09:39:29
ledger.yaml: change \"443\" to \"50051\"

shop/api → payments/ledger TCP 50051 is dropped at ingress

why    443 is the port of Service payments/ledger; policy is enforced at
       the pod, where it is targetPort 50051
       (k8s/payments/service.yaml:9)
seen   37 times, first on 2026-11-19 at 18:02:11, last on 2026-11-20 at
       09:39:29
fix    change \"443\" to \"50051\" (safe): opens payments/ledger TCP 50051
       to shop/api, nothing else
proof  passes egress by shop/api-egress and ingress by payments/ledger;
       212 flows that passed still pass
more   policyfix explain service-port"
        );
    }

    #[test]
    fn patches_of_one_file_are_taken_one_after_another() {
        let (first, sources) = service_port();
        let mut second = first.clone();
        let file = first.primary.as_ref().unwrap().span.file;
        let at = sources[file].text.find("TCP").unwrap();
        let fix = second.fix.as_mut().unwrap();
        fix.title = "change TCP to ANY".into();
        fix.files = vec![replacement(&sources, file, at..at + 3, "ANY")];
        let root = committed(&sources);
        take(root.path(), &[first.clone(), second, first, new_policy()]);
        let text = read(root.path(), "k8s/payments/ledger.yaml");
        assert!(text.ends_with("port: \"50051\"\n              protocol: ANY\n"), "{text}");
        let subjects = git(root.path(), &["log", "--reverse", "--format=%s"]);
        assert_eq!(
            subjects,
            "before\nledger.yaml: change \"443\" to \"50051\"\nledger.yaml: change TCP to ANY\nnew.yaml: add a policy\n"
        );
    }

    #[test]
    fn git_takes_every_text() {
        let text = "a: 1\r\nb: \"= ä\t \"\r\nc: 3";
        let (mut finding, sources) = sample(text, 3..4);
        let file = finding.primary.as_ref().unwrap().span.file;
        let title = "change ä to “ö”, which is more than one header line can hold, so it is folded";
        finding.title = "--- a title\nFrom: nobody".into();
        finding.fix = Some(Fix {
            title: title.into(),
            safety: crate::finding::Safety::Safe,
            files: vec![replacement(&sources, file, 3..4, "\"\u{2028}äöü\r=20 x\"")],
        });
        let root = committed(&sources);
        take(root.path(), &[finding]);
        assert_eq!(read(root.path(), "a.yaml"), text.replace('1', "\"\u{2028}äöü\r=20 x\""));
        let log = git(root.path(), &["log", "-1", "--format=%s%n%b%n%an"]);
        assert!(log.starts_with(&format!("a.yaml: {title}\n --- a title From: nobody\n")), "{log}");
        assert!(log.ends_with("\npolicyfix\n"), "{log}");
    }

    #[test]
    fn a_fix_that_wants_the_same_bytes_is_left_out_and_named() {
        let (first, sources) = service_port();
        let mut second = first.clone();
        let place = first.primary.as_ref().unwrap().span;
        let fix = second.fix.as_mut().unwrap();
        fix.files = vec![replacement(&sources, place.file, place.range(), "\"8443\"")];
        let (patches, conflicts) = patches(&[first, second], &run());
        assert_eq!(patches.len(), 1);
        assert_eq!(conflicts[0].file, "k8s/payments/ledger.yaml");
    }

    #[test]
    fn the_same_findings_make_the_same_patches() {
        let (finding, _) = service_port();
        let findings = [finding, new_policy()];
        assert_eq!(patches(&findings, &run()), patches(&findings, &run()));
        let (undated, _) = patches(&findings, &Run::default());
        assert!(undated.iter().all(|patch| !patch.text.contains("\nDate:")));
    }
}
