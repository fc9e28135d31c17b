//! `impossible-name`: a name or pattern that no DNS name can match: one that
//! begins with a dot, has an empty or too long part, or is an address
//! (`semantics.md` 4.6).
//!
//! Mend: `*` before the leading dot, which is what is usually meant. Unsafe: it
//! opens the rule to every host of that domain.

use std::net::IpAddr;

use crate::finding::Safety;
use crate::lint::context::{Context, elements};
use crate::lint::found::Findings;
use crate::policy::name::NameRule;
use crate::policy::{Peer, Policy, is_unknown};
use crate::yaml::{Change, Editor, Refusal};

pub(in crate::lint) fn check<'s>(_: &Context<'_, 's>, policy: &Policy<'s>, findings: &mut Findings<'_>) {
    let items = elements(policy).flat_map(|at| &at.element.peers).flat_map(|field| &field.items);
    let peers = items.filter_map(|item| match &item.peer {
        Peer::Name(rule) => Some(rule),
        _ => None,
    });
    let lists = elements(policy).flat_map(|at| &at.element.to_ports).flat_map(|ports| &ports.lists);
    for rule in peers.chain(lists.flat_map(|list| list.l7.dns.iter().flatten())) {
        let Some(text) = rule.text().filter(|text| !is_unknown(&text.value)) else { continue };
        let Some(why) = why_impossible(&text.value) else { continue };
        let found =
            findings.add(text.span, format!("no name matches {}: {why}", text.value), "matches nothing");
        if text.value.starts_with('.') && !text.value.starts_with("..") {
            found.mend(Safety::Unsafe, format!("write *{}", text.value), as_pattern(rule, &text.value));
        } else if text.value.parse::<IpAddr>().is_ok() {
            found.help("name addresses with toCIDR");
        }
    }
}

fn why_impossible(text: &str) -> Option<&'static str> {
    const LONGEST_PART: usize = 63;
    let bare = text.strip_suffix('.').unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() {
        Some("it is an address")
    } else if text.starts_with('.') {
        Some("it begins with a dot")
    } else if bare.split('.').any(str::is_empty) {
        Some("a part between two dots is empty")
    } else if bare.split('.').any(|part| part.bytes().filter(|b| *b != b'*').count() > LONGEST_PART) {
        Some("a part has more than 63 characters")
    } else {
        None
    }
}

fn as_pattern(rule: &NameRule<'_>, text: &str) -> Vec<Result<Change, Refusal>> {
    let editor = Editor::default();
    let pattern = format!("*{text}");
    if let Some(entry) = rule.value.entry("matchPattern") {
        return vec![editor.replace(entry.value, pattern)];
    }
    let entry = rule.value.entry("matchName").into_iter();
    entry
        .flat_map(|entry| {
            [editor.rename_key(&entry, "matchPattern"), editor.replace(entry.value, pattern.as_str())]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::lint::rules::testing::{cnp, fires, mended, silent};

    fn tree(rule: &str) -> String {
        cnp(&format!(
            "endpointSelector: {{}}\n  egress:\n  - toEndpoints: [{{matchLabels: {{k8s-app: kube-dns, k8s:io.kubernetes.pod.namespace: kube-system}}}}]\n    toPorts: [{{ports: [{{port: '53', protocol: ANY}}], rules: {{dns: [{{matchPattern: '*'}}]}}}}]\n  - toFQDNs:\n    - {rule}\n"
        ))
    }

    #[test]
    fn a_leading_dot_is_found_and_gets_its_star() {
        fires("impossible-name", &tree("matchName: .example.com"), &[".example.com"]);
        assert!(
            mended(&tree("matchName: .example.com")).contains("- matchPattern: '*.example.com'\n"),
            "{}",
            mended(&tree("matchName: .example.com"))
        );
    }

    #[test]
    fn an_address_is_no_name() {
        fires("impossible-name", &tree("matchName: 192.0.2.1"), &["192.0.2.1"]);
    }

    #[test]
    fn a_final_dot_is_right_and_so_is_a_pattern_without_star() {
        silent(&tree("matchName: example.com."));
        silent(&tree("matchPattern: example.com"));
    }
}
