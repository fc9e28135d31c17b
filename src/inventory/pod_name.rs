//! What the name of a pod tells of its owner: controllers make names in known ways.

/// Who may have made a pod of this name, the most telling pattern first.
pub(super) fn possible_owners(pod: &str) -> Vec<(&str, &'static [&'static str])> {
    let mut owners: Vec<(&str, &'static [&'static str])> = Vec::new();
    let Some((owner, last)) = pod.rsplit_once('-') else { return owners };
    if is_random(last) && last.len() == 5 {
        if let Some((base, middle)) = owner.rsplit_once('-') {
            if is_random(middle) && middle.len() <= 10 {
                owners.push((base, &["Deployment", "Rollout"]));
            }
            if is_number(middle) {
                owners.push((base, &["CronJob", "Job"]));
            }
        }
        owners.push((owner, &["DaemonSet", "ReplicaSet", "ReplicationController", "Job"]));
    }
    if is_number(last) {
        owners.push((owner, &["StatefulSet"]));
    }
    owners
}

/// Kubernetes makes names from these characters only: no vowels, nothing that
/// looks like one.
fn is_random(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
