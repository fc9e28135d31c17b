//! Corrections in place: one value, key or name of a near miss is put right
//! where nothing that is known uses what stands there (DESIGN 4.5).

use super::candidate::{Candidate, Operator};
use super::manner::{Manner, labels_prefixed};
use super::words::{PeerWords, entity, identifying_labels, name_peer};
use crate::diagnose::{Gap, Miss, NearMiss, Scene, Use, label, peer_requirements};
use crate::engine::IdentityId;
use crate::finding::{Label, Safety};
use crate::label::{CLUSTER, NAMESPACE, NAMESPACE_LABELS};
use crate::policy::name::pattern_matches;
use crate::policy::peer::{Addresses, parse_cidr};
use crate::policy::ports::{Literal, Port};
use crate::policy::selector::{Origin, Requirement};
use crate::policy::{Namespace, Peer, PeerItem, PeerKey, PolicyKind, Selector, injection};
use crate::source::Span;
use crate::spelling::slips;
use crate::traffic::{Packet, Side};
use crate::yaml::{Change, Datum, Editor, Refusal};

/// What a correction is about: a near miss of one gap.
pub struct Case<'c, 'm, 's> {
    /// The scene.
    pub scene: &'c Scene<'m, 's>,
    /// The denied side.
    pub gap: Gap,
    /// The near miss.
    pub near: &'c NearMiss<'m, 's>,
    /// Correct a value that something may use, too: asked for with `--prefer correct`.
    pub even_alive: bool,
}

/// All corrections for a near miss.
pub fn corrections(case: &Case<'_, '_, '_>) -> Vec<Candidate> {
    let found = match &case.near.miss {
        Miss::PolicyNamespace => case.move_policy(),
        Miss::SubjectLabel(requirement) => case.subject_label(requirement),
        Miss::PeerNamespaceMissing(item, selector) => case.add_namespace(item, selector),
        Miss::PeerNamespace(item, selector, requirement) => case.peer_namespace(item, selector, requirement),
        Miss::PeerLabel(item, selector, requirement) => case.peer_label(item, selector, requirement),
        Miss::PeerCluster(item, selector) => case.peer_cluster(item, selector),
        Miss::Peer => case.other_peer(),
        Miss::Ports => case.ports(),
        Miss::Refused => Vec::new(),
    };
    found.into_iter().filter(|_| case.scene.model.is_editable(case.near.policy)).collect()
}

impl<'m, 's> Case<'_, 'm, 's> {
    fn side(&self) -> Side {
        self.gap.side
    }

    fn subject(&self) -> IdentityId {
        self.scene.drops[self.gap.drop].subject(self.gap.side)
    }

    fn peer(&self) -> IdentityId {
        self.scene.drops[self.gap.drop].peer(self.gap.side)
    }

    fn packet(&self) -> Packet {
        self.scene.drops[self.gap.drop].packet()
    }

    /// A correction in the file of the near miss.
    fn candidate(
        &self,
        operator: Operator,
        cause: &'static str,
        change: Result<Change, Refusal>,
        blame: Label,
    ) -> Option<Candidate> {
        Some(Candidate {
            operator,
            cause,
            edits: vec![(self.near.policy.value.tree().file, change.ok()?)],
            new_files: Vec::new(),
            blame,
            related: Vec::new(),
            why: String::new(),
            title: String::new(),
            evidence: None,
            safety: Safety::Safe,
            corrects: true,
            assumption: None,
        })
    }

    /// The selector finds nobody in its own namespace and the subject in another.
    fn move_policy(&self) -> Vec<Candidate> {
        let (policy, rule) = (self.near.policy, self.near.rule);
        let Namespace::Known(from, Some(span)) = &policy.namespace else { return Vec::new() };
        let Some(to) = self.scene.namespace(self.subject()) else { return Vec::new() };
        let crate::policy::Subject::Endpoints(selector) = &rule.subject else { return Vec::new() };
        if self.scene.anybody(&injection::subject(policy, selector)) {
            return Vec::new();
        }
        let Some(value) = policy.value.path(&["metadata", "namespace"]) else { return Vec::new() };
        if value.span() != *span {
            return Vec::new();
        }
        let blame = Label { span: *span, text: format!("selects nobody here; its pods live in {to}") };
        let candidate = self.candidate(
            Operator::MovePolicy,
            "policy-namespace",
            Editor::default().replace(value, to),
            blame,
        );
        candidate
            .map(|candidate| Candidate {
                why: format!("{} lies in namespace {from} and can select pods there only", policy.name.value),
                title: format!("change the namespace {from} to {to}"),
                evidence: Some(format!("no known pod of {from} matches the selector")),
                ..candidate
            })
            .into_iter()
            .collect()
    }

    fn subject_label(&self, requirement: &Requirement<'s>) -> Vec<Candidate> {
        let crate::policy::Subject::Endpoints(selector) = &self.near.rule.subject else { return Vec::new() };
        if self.scene.anybody(&injection::subject(self.near.policy, selector)) {
            return Vec::new();
        }
        let who = self.subject();
        self.put_label_right(requirement, who, "subject-label", "this selector matches no known pod")
            .into_iter()
            .map(|candidate| Candidate {
                why: format!("the policy selects no pod, so it does not apply to {}", self.name(who)),
                evidence: Some("no known pod matches the selector as it is written".to_owned()),
                ..candidate
            })
            .collect()
    }

    fn peer_label(
        &self,
        item: &PeerItem<'s>,
        selector: &Selector<'s>,
        requirement: &Requirement<'s>,
    ) -> Vec<Candidate> {
        let who = self.peer();
        let dead =
            !self.scene.anybody(&peer_requirements(self.scene, self.near.policy, self.near.rule, selector));
        let near = requirement.values.iter().any(|value| self.is_near(&value.value, requirement, who));
        if !dead && !(near && requirement.values.len() > 1) {
            return Vec::new();
        }
        let _ = item;
        self.put_label_right(requirement, who, "peer-label", "this peer matches no known pod")
            .into_iter()
            .map(|candidate| Candidate {
                why: format!("the rule means other labels than {} has", self.name(who)),
                evidence: Some("no known pod matches the peer as it is written".to_owned()),
                ..candidate
            })
            .collect()
    }

    /// One typing slip away, or the observed value with something put on.
    fn is_near(&self, written: &str, requirement: &Requirement<'_>, who: IdentityId) -> bool {
        let Some(observed) = label(self.scene.engine.identity(who), "k8s", &requirement.key) else {
            return false;
        };
        is_near(written, observed)
    }

    /// Corrects the value to the one that the endpoint has, or the key to the
    /// one under which it has the value.
    fn put_label_right(
        &self,
        requirement: &Requirement<'s>,
        who: IdentityId,
        cause: &'static str,
        text: &str,
    ) -> Vec<Candidate> {
        let identity = self.scene.engine.identity(who);
        if let Some(observed) = label(identity, "k8s", &requirement.key) {
            let Some(value) = self.value_to_replace(requirement, observed) else { return Vec::new() };
            let blame = Label { span: value.span(), text: text.to_owned() };
            let written = value.text().unwrap_or_default();
            let title = format!("change {} {written} to {observed}", requirement.key);
            let candidate = self.candidate(
                Operator::CorrectValue,
                cause,
                Editor::default().replace(value, observed),
                blame,
            );
            return candidate.map(|candidate| Candidate { title, ..candidate }).into_iter().collect();
        }
        let Origin::Label(entry) = requirement.origin else {
            return self.expression_key(requirement, who, cause, text);
        };
        let Some(written) = requirement.values.first() else { return Vec::new() };
        let Some(key) = key_with_value(self.scene, who, &written.value) else { return Vec::new() };
        let prefix =
            if requirement.source == "k8s" && self.near.policy.kind != PolicyKind::Knp { "k8s:" } else { "" };
        let blame = Label { span: entry.key.span(), text: text.to_owned() };
        let candidate = self.candidate(
            Operator::CorrectKey,
            cause,
            Editor::default().rename_key(&entry, &format!("{prefix}{key}")),
            blame,
        );
        let title = format!("change the key {} to {prefix}{key}", requirement.key);
        candidate.map(|candidate| Candidate { title, ..candidate }).into_iter().collect()
    }

    fn expression_key(
        &self,
        requirement: &Requirement<'s>,
        who: IdentityId,
        cause: &'static str,
        text: &str,
    ) -> Vec<Candidate> {
        let Origin::Expression(item) = requirement.origin else { return Vec::new() };
        let key = requirement.values.iter().find_map(|value| key_with_value(self.scene, who, &value.value));
        let (Some(key), Some(written)) = (key, item.get("key")) else { return Vec::new() };
        let prefix = if written.text().is_some_and(|own| own.starts_with("k8s:")) { "k8s:" } else { "" };
        let blame = Label { span: written.span(), text: text.to_owned() };
        let change = Editor::default().replace(written, format!("{prefix}{key}"));
        let title = format!("change the key {} to {prefix}{key}", requirement.key);
        self.candidate(Operator::CorrectKey, cause, change, blame)
            .map(|candidate| Candidate { title, ..candidate })
            .into_iter()
            .collect()
    }

    /// The written value that stands where the observed one should: the only
    /// one, or the one nearest that nobody has.
    fn value_to_replace(
        &self,
        requirement: &Requirement<'s>,
        observed: &str,
    ) -> Option<crate::yaml::Value<'s>> {
        match requirement.origin {
            Origin::Label(entry) => Some(entry.value.resolve()),
            Origin::Expression(item) => {
                let values = item.get("values")?;
                let dead = |text: &str| {
                    !self.scene.everybody.iter().any(|&id| {
                        label(self.scene.engine.identity(id), "k8s", &requirement.key) == Some(text)
                    })
                };
                values
                    .items()
                    .map(|item| item.value.resolve())
                    .filter(|value| value.text().is_some_and(|text| dead(&text)))
                    .min_by_key(|value| slips(&value.text().unwrap_or_default(), observed))
            }
            Origin::Injected | Origin::Added => None,
        }
    }

    /// The peer's namespace is not named: nobody in the policy's own fits.
    fn add_namespace(&self, item: &PeerItem<'s>, selector: &Selector<'s>) -> Vec<Candidate> {
        let Some(namespace) = self.scene.namespace(self.peer()) else { return Vec::new() };
        if self.scene.anybody(&peer_requirements(self.scene, self.near.policy, self.near.rule, selector)) {
            return Vec::new();
        }
        let manner =
            Manner::of(self.scene.model, self.near.policy.value.tree().file, labels_prefixed(selector));
        let change = if self.near.policy.kind == PolicyKind::Knp {
            let labels = Datum::map([("kubernetes.io/metadata.name", Datum::from(namespace))]);
            Editor::default().insert_entry(
                item.value,
                0,
                "namespaceSelector",
                Datum::map([("matchLabels", labels)]),
            )
        } else {
            let datum = Datum::from(namespace);
            match selector.value.get("matchLabels") {
                Some(labels) => {
                    let at = if manner.namespace_first { 0 } else { usize::MAX };
                    Editor::default().insert_entry(labels, at, &manner.namespace_key(), datum)
                }
                None => Editor::default().insert_entry(
                    selector.value,
                    0,
                    "matchLabels",
                    Datum::map([(manner.namespace_key(), datum)]),
                ),
            }
        };
        let policy_namespace = self.near.policy.namespace.name().unwrap_or_default();
        let blame = Label {
            span: item.value.span(),
            text: format!("means pods of {policy_namespace}, the policy's own namespace"),
        };
        self.candidate(Operator::AddNamespace, "namespace-missing", change, blame)
            .map(|candidate| Candidate {
                why: format!(
                    "a peer without a namespace means the policy's own; {} lives in {namespace}",
                    self.name(self.peer())
                ),
                title: format!("name the namespace {namespace}"),
                evidence: Some(format!("no known pod of {policy_namespace} matches the peer")),
                ..candidate
            })
            .into_iter()
            .collect()
    }

    fn peer_namespace(
        &self,
        item: &PeerItem<'s>,
        selector: &Selector<'s>,
        requirement: &Requirement<'s>,
    ) -> Vec<Candidate> {
        let Some(namespace) = self.scene.namespace(self.peer()) else { return Vec::new() };
        let in_list = requirement.values.len() > 1;
        if !in_list
            && self.scene.anybody(&peer_requirements(self.scene, self.near.policy, self.near.rule, selector))
        {
            return Vec::new();
        }
        let Some(value) = self.value_to_replace(requirement, namespace) else { return Vec::new() };
        let written = value.text().unwrap_or_default();
        let _ = item;
        if in_list && !is_near(&written, namespace) {
            return Vec::new();
        }
        let blame =
            Label { span: value.span(), text: format!("{} lives in {namespace}", self.name(self.peer())) };
        self.candidate(
            Operator::CorrectValue,
            "wrong-namespace",
            Editor::default().replace(value, namespace),
            blame,
        )
        .map(|candidate| Candidate {
            why: format!(
                "the rule admits such pods of namespace {written}; {} lives in {namespace}",
                self.name(self.peer())
            ),
            title: format!("change the namespace {written} to {namespace}"),
            evidence: Some(format!("no known pod of {written} matches the peer")),
            ..candidate
        })
        .into_iter()
        .collect()
    }

    /// From 1.19 a peer means the local cluster: a second one names the other.
    fn peer_cluster(&self, item: &PeerItem<'s>, selector: &Selector<'s>) -> Vec<Candidate> {
        let Some(cluster) = label(self.scene.engine.identity(self.peer()), "k8s", CLUSTER) else {
            return Vec::new();
        };
        let Some(labels) = selector.value.get("matchLabels") else { return Vec::new() };
        let Some(field) = self.field_of(item) else { return Vec::new() };
        let Ok(Datum::Map(mut entries)) = Datum::of(labels) else { return Vec::new() };
        // Beside the other labels, before the namespace where that comes last.
        let at = match entries.last() {
            Some((key, _)) if key.ends_with(NAMESPACE) => entries.len() - 1,
            _ => entries.len(),
        };
        entries.insert(at, (CLUSTER.to_owned(), Datum::from(cluster)));
        let peer = Datum::map([("matchLabels", Datum::Map(entries))]);
        let change = Editor::default().insert_item(field.entry.value.resolve(), usize::MAX, peer);
        let blame = Label {
            span: item.value.span(),
            text: "means pods of the local cluster (since Cilium 1.19)".to_owned(),
        };
        self.candidate(Operator::AddPeer, "cluster-label", change, blame)
            .map(|candidate| Candidate {
                why: format!(
                    "since Cilium 1.19 a peer means the local cluster only; {} is in cluster {cluster}",
                    self.name(self.peer())
                ),
                title: format!("add the same peer of cluster {cluster}"),
                ..candidate
            })
            .into_iter()
            .collect()
    }

    fn field_of(&self, item: &PeerItem<'s>) -> Option<&'m crate::policy::PeerField<'s>> {
        self.near.element.peers.iter().find(|field| field.items.iter().any(|own| own.value == item.value))
    }

    /// Corrections of peers that are no selectors: entities, names, addresses.
    fn other_peer(&self) -> Vec<Candidate> {
        let peer = self.scene.engine.identity(self.peer());
        let mut found = Vec::new();
        for item in self.near.element.peers.iter().flat_map(|field| &field.items) {
            match &item.peer {
                Peer::Entity(name) => {
                    let dead = self.side() == Side::Ingress && name.value == "host";
                    if let (true, Some(entity)) = (dead, entity(peer)) {
                        let blame = Label {
                            span: name.span,
                            text: "the node reaches its own pods anyway".to_owned(),
                        };
                        let change = Editor::default().replace(item.value, entity);
                        found.extend(self.candidate(Operator::SwapPeer, "wrong-entity", change, blame).map(
                            |c| {
                                Candidate {
                                    why: format!(
                                        "the rule admits entity host; {} is entity {entity}",
                                        self.name(self.peer())
                                    ),
                                    title: format!("change the entity host to {entity}"),
                                    evidence: Some(
                                        "a node reaches its own pods without a rule, so nothing is lost"
                                            .to_owned(),
                                    ),
                                    ..c
                                }
                            },
                        ));
                    }
                }
                Peer::Name(rule) => found.extend(self.name_value(rule)),
                Peer::Addresses(addresses) => found.extend(self.address_value(addresses)),
                _ => {}
            }
        }
        found
    }

    /// A name or pattern in which exactly one label is another, and that nothing used.
    fn name_value(&self, rule: &crate::policy::name::NameRule<'s>) -> Option<Candidate> {
        let written = rule.text()?;
        let observed = &self.scene.engine.identity(self.peer()).names;
        let version = self.scene.engine.options().version;
        let used = self.scene.passed_on(self.subject(), self.side()).any(|passed| {
            self.scene
                .engine
                .identity(passed.peer(self.side()))
                .names
                .iter()
                .any(|name| rule.matches(name, version))
        });
        let spoken = self.scene.passed_on(self.subject(), self.side()).next().is_some();
        let corrected = observed.iter().find_map(|name| one_label_right(&written.value, name))?;
        let near = is_near(&written.value, &corrected);
        if used
            || !(spoken || near)
            || !observed.iter().any(|name| pattern_matches(&corrected, name, version))
        {
            return None;
        }
        let value = rule.value.get(if rule.name.is_some() { "matchName" } else { "matchPattern" })?;
        let blame = Label { span: written.span, text: "does not cover the name that was called".to_owned() };
        let change = Editor::default().replace(value, corrected.as_str());
        let candidate = self.candidate(Operator::CorrectValue, "fqdn-pattern", change, blame)?;
        Some(Candidate {
            why: format!("the rule names {}; what was called is {}", written.value, observed.join(", ")),
            title: format!("change {} to {corrected}", written.value),
            evidence: Some("no flow that was seen used the name as it is written".to_owned()),
            ..candidate
        })
    }

    /// A prefix in which one number is one slip away from the address.
    fn address_value(&self, addresses: &Addresses<'s>) -> Option<Candidate> {
        let written = addresses.cidr.as_ref()?;
        let ip = self.scene.engine.identity(self.peer()).ip?;
        let net = parse_cidr(&written.value)?;
        let used = self.scene.passed_on(self.subject(), self.side()).any(|passed| {
            self.scene.engine.identity(passed.peer(self.side())).ip.is_some_and(|ip| net.contains(&ip))
        });
        let right = ipnet::IpNet::new(ip, net.prefix_len()).ok()?.trunc();
        let (from, to) = (net.addr().to_string(), right.addr().to_string());
        if used || net.contains(&ip) || net.prefix_len() < 8 || slips(&from, &to) != Some(1) {
            return None;
        }
        let value =
            self.near.element.peers.iter().flat_map(|f| &f.items).find_map(|item| match &item.peer {
                Peer::Addresses(own) if own.cidr.as_ref().is_some_and(|cidr| cidr.span == written.span) => {
                    Some(item.value.get("cidr").unwrap_or(item.value))
                }
                _ => None,
            })?;
        let blame = Label { span: written.span, text: format!("does not hold {ip}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "wrong-cidr",
            Editor::default().replace(value, right.to_string()),
            blame,
        )?;
        Some(Candidate {
            why: format!("{} does not hold {ip}", written.value),
            title: format!("change {} to {right}", written.value),
            evidence: Some(
                "the two differ in one slip, and no flow that was seen used it as it is written".to_owned(),
            ),
            ..candidate
        })
    }

    fn name(&self, id: IdentityId) -> String {
        super::identity_name(self.scene, id)
    }

    /// Corrections of ports: protocol, number, name, end of a range.
    fn ports(&self) -> Vec<Candidate> {
        let Packet::Port(..) = self.packet() else { return Vec::new() };
        let lists = self.near.element.to_ports.iter().flat_map(|to_ports| &to_ports.lists);
        lists.flat_map(|list| &list.ports).filter_map(|port| self.port(port)).collect()
    }

    /// The destinations that a port of the element is meant for.
    fn destinations(&self) -> Vec<IdentityId> {
        let drop = &self.scene.drops[self.gap.drop];
        if self.side() == Side::Ingress {
            return vec![drop.destination.identity];
        }
        let mut meant = vec![drop.destination.identity];
        for &id in &self.scene.everybody {
            let matches =
                self.near.element.peers.iter().flat_map(|f| &f.items).any(|item| match &item.peer {
                    Peer::Endpoints(selector) => {
                        let requirements =
                            peer_requirements(self.scene, self.near.policy, self.near.rule, selector);
                        self.scene.engine.failing(&requirements, id).is_empty()
                    }
                    _ => false,
                });
            if matches && !meant.contains(&id) {
                meant.push(id);
            }
        }
        meant
    }

    fn port(&self, port: &Port<'s>) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let transports = port.transports()?;
        let destinations = self.destinations();
        match port.literal() {
            Literal::Number(number) if number == wanted => self.protocol(port, &destinations),
            Literal::Number(number) if !transports.contains(&transport) || number == 0 => None,
            Literal::Number(number) => match port.end.filter(|end| end.value > i64::from(number)) {
                Some(end) => self.range_end(port, number, end.value),
                None => self.number(port, number, &destinations),
            },
            Literal::Name(name) if transports.contains(&transport) => self.port_name(port, &name),
            _ => None,
        }
    }

    fn protocol(&self, port: &Port<'s>, destinations: &[IdentityId]) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let written = port.protocol.as_ref()?;
        let used =
            self.scene.use_of_port(destinations, self.subject(), self.side(), port.transports()?, wanted);
        if used != Use::Dead && !self.even_alive {
            return None;
        }
        let value = port.value.get("protocol")?;
        let blame = Label { span: written.span, text: format!("the drop is {transport}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "wrong-protocol",
            Editor::default().replace(value, transport.as_str()),
            blame,
        )?;
        Some(Candidate {
            why: format!(
                "the rule admits {} on {wanted}, but by {}, and the drop is {transport}",
                self.name(self.peer()),
                written.value
            ),
            title: format!("change {} to {transport}", written.value),
            evidence: Some(format!("nothing that is known uses {} {wanted} here", written.value)),
            ..candidate
        })
    }

    fn range_end(&self, port: &Port<'s>, number: u16, end: i64) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let last = i64::from(self.last_beyond(transport, number).unwrap_or(wanted));
        let length = end - i64::from(number) + 1;
        // Farther away than the range is long, it is another port and not a short range.
        if i64::from(wanted) <= end || last - end > length {
            return None;
        }
        let value = port.value.get("endPort")?;
        let blame = Label { span: value.span(), text: format!("the range ends before {wanted}") };
        let candidate = self.candidate(
            Operator::CorrectValue,
            "port-range-too-short",
            Editor::default().replace(value, Datum::Int(last)),
            blame,
        )?;
        Some(Candidate {
            why: format!("the rule admits {number} to {end}; the drop is on {wanted}"),
            title: format!("end the range at {last} instead of {end}"),
            evidence: None,
            ..candidate
        })
    }

    /// The highest port above a range on which the same two ends were dropped.
    fn last_beyond(&self, transport: crate::traffic::Transport, from: u16) -> Option<u16> {
        let same = |drop: &&crate::diagnose::Observed| {
            drop.subject(self.side()) == self.subject() && drop.peer(self.side()) == self.peer()
        };
        let ports = self.scene.drops.iter().filter(same).filter_map(|drop| match drop.packet() {
            Packet::Port(own, port) if own == transport && port > from => Some(port),
            _ => None,
        });
        ports.max()
    }

    fn number(&self, port: &Port<'s>, number: u16, destinations: &[IdentityId]) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let written = port.port.as_ref()?;
        let destination = self.scene.drops[self.gap.drop].destination.identity;
        let services = self.services_from(number, destination);
        let used =
            self.scene.use_of_port(destinations, self.subject(), self.side(), port.transports()?, number);
        // DNS is looked up by its Service port on some ways: 53 stays.
        let dns = number == 53;
        if dns || (!self.even_alive && (used == Use::Alive || (used == Use::Unknown && services.is_empty())))
        {
            return None;
        }
        let value = port.value.get("port")?;
        let datum = if self.near.policy.kind == PolicyKind::Knp {
            Datum::Int(i64::from(wanted))
        } else {
            Datum::String(wanted.to_string())
        };
        let change = Editor::default().replace(value, datum);
        let cause = if services.is_empty() { "wrong-port" } else { "service-port" };
        let blame = Label {
            span: written.span,
            text: format!("this rule admits {}, but on {number}", self.name(self.peer())),
        };
        let candidate = self.candidate(Operator::CorrectValue, cause, change, blame)?;
        let why = match services.first() {
            Some((service, _)) => format!(
                "{number} is the port of Service {service}; policy is enforced at the pod, where it is {wanted}"
            ),
            None => format!("the rule admits port {number}; the drop is on {transport} {wanted}"),
        };
        Some(Candidate {
            why,
            title: format!("change {number} to {wanted}"),
            evidence: Some(match used {
                Use::Dead => format!(
                    "no container that the rule reaches listens on {number}, and no flow that was seen used it"
                ),
                _ => format!("the Service maps {number} to {wanted}"),
            }),
            related: services
                .into_iter()
                .map(|(name, span)| Label { span, text: format!("Service {name}") })
                .collect(),
            ..candidate
        })
    }

    /// The Services that lead from this port to the port of the drop.
    fn services_from(&self, number: u16, destination: IdentityId) -> Vec<(String, Span)> {
        let Packet::Port(transport, wanted) = self.packet() else { return Vec::new() };
        let Some(namespace) = self.scene.namespace(destination) else { return Vec::new() };
        let labels = &self.scene.engine.identity(destination).labels;
        let found = self.scene.model.inventory.service_ports_to(namespace, labels, transport, wanted);
        found
            .into_iter()
            .filter(|(_, port)| port.port == number)
            .map(|(service, port)| (format!("{namespace}/{}", service.name), port.span))
            .collect()
    }

    /// A port name that the destination does not have: the name it meant, or the number.
    fn port_name(&self, port: &Port<'s>, name: &str) -> Option<Candidate> {
        let Packet::Port(transport, wanted) = self.packet() else { return None };
        let destination = self.scene.drops[self.gap.drop].destination.identity;
        let ports = &self.scene.engine.identity(destination).named_ports;
        if ports.iter().any(|own| &*own.name == name && own.transport == transport) {
            return None;
        }
        let right = ports.iter().find(|own| own.transport == transport && own.port == wanted);
        let meant = right.filter(|own| is_near(name, &own.name)).map(|own| own.name.to_string());
        let value = port.value.get("port")?;
        let datum = match &meant {
            Some(name) => Datum::String(name.clone()),
            None if self.near.policy.kind == PolicyKind::Knp => Datum::Int(i64::from(wanted)),
            None => Datum::String(wanted.to_string()),
        };
        let to = meant.unwrap_or_else(|| wanted.to_string());
        let change = match value.style() {
            // A name without quotes gives way to a number with them.
            Some(crate::yaml::Style::Plain) if to == wanted.to_string() => {
                Editor::default().replace(value, datum)
            }
            _ => Editor::default().replace(value, datum),
        };
        let has = right.map_or_else(String::new, |own| format!("; it calls {wanted} {}", own.name));
        let blame =
            Label { span: value.span(), text: format!("the destination has no port of this name{has}") };
        let candidate = self.candidate(Operator::CorrectValue, "named-port", change, blame)?;
        Some(Candidate {
            why: format!(
                "no container of the destination names a {transport} port {name}, so the rule admits nothing{has}"
            ),
            title: format!("change {name} to {to}"),
            evidence: Some("a name that nobody has means no port at all".to_owned()),
            ..candidate
        })
    }
}

/// One typing slip, a swap, or something put on behind a dash.
pub(super) fn is_near(written: &str, observed: &str) -> bool {
    let put_on = |longer: &str, shorter: &str| {
        longer.strip_prefix(shorter).is_some_and(|rest| rest.starts_with(['-', '.', '_']))
    };
    let slip = slips(written, observed).is_some_and(|slips| slips <= 1.max(observed.len() / 5).min(2));
    slip || put_on(written, observed) || put_on(observed, written)
}

/// The key under which an endpoint has this value, the usual ones first.
fn key_with_value(scene: &Scene<'_, '_>, who: IdentityId, value: &str) -> Option<String> {
    let identifying = identifying_labels(scene, who);
    let first = identifying.into_iter().find(|(_, own)| own == value).map(|(key, _)| key);
    first.or_else(|| {
        let labels = &scene.engine.identity(who).labels;
        let fits = |label: &&crate::label::Label| {
            &*label.source == "k8s"
                && &*label.value == value
                && !label.key.starts_with(NAMESPACE_LABELS)
                && &*label.key != NAMESPACE
        };
        labels.iter().find(fits).map(|label| label.key.to_string())
    })
}

/// The written name or pattern with the one label put right in which it and the
/// observed name differ.
fn one_label_right(written: &str, observed: &str) -> Option<String> {
    let (written, observed): (Vec<&str>, Vec<&str>) =
        (written.split('.').collect(), observed.split('.').collect());
    if written.len() != observed.len() {
        return None;
    }
    let covers = |own: &str, name: &str| {
        own.eq_ignore_ascii_case(name)
            || (own.contains('*') && pattern_matches(own, name, crate::version::CiliumVersion::NEWEST))
    };
    let wrong: Vec<usize> = (0..written.len()).filter(|&i| !covers(written[i], observed[i])).collect();
    let [only] = wrong.as_slice() else { return None };
    if written[*only].contains('*') {
        return None;
    }
    let mut right = written.clone();
    right[*only] = observed[*only];
    Some(right.join("."))
}

/// Where an address of the API server was allowed by CIDR: the entity and the
/// port that was seen, in the place of what cannot match.
pub fn api_server(scene: &Scene<'_, '_>, gap: Gap) -> Vec<Candidate> {
    let drop = &scene.drops[gap.drop];
    let peer = drop.peer(gap.side);
    if entity(scene.engine.identity(peer)) != Some("kube-apiserver") {
        return Vec::new();
    }
    let Packet::Port(transport, wanted) = drop.packet() else { return Vec::new() };
    let mut found = Vec::new();
    for (index, policy) in scene.model.policies.iter().enumerate() {
        if policy.kind == PolicyKind::Knp
            || !scene.model.is_editable(policy)
            || !scene.engine.refusals(index).is_empty()
        {
            continue;
        }
        for (number, rule) in policy.rules.iter().enumerate() {
            if !scene.engine.is_about(index as u32, number as u32, drop.subject(gap.side)) {
                continue;
            }
            let sections = rule
                .sections
                .iter()
                .filter(|s| s.side == gap.side && s.action == crate::policy::Action::Allow);
            for element in sections.flat_map(|section| &section.elements) {
                found.extend(by_entity(
                    policy,
                    element,
                    gap.side,
                    transport,
                    wanted,
                    drop.distinct.flow.destination.ip,
                ));
            }
        }
    }
    found
}

fn by_entity(
    policy: &crate::policy::Policy<'_>,
    element: &crate::policy::Element<'_>,
    side: Side,
    transport: crate::traffic::Transport,
    wanted: u16,
    address: Option<std::net::IpAddr>,
) -> Option<Candidate> {
    let field = element.peers.iter().find(|f| f.key == PeerKey::Cidr || f.key == PeerKey::CidrSet)?;
    let [item] = field.items.as_slice() else { return None };
    let Peer::Addresses(Addresses { cidr: Some(cidr), .. }) = &item.peer else { return None };
    let net = parse_cidr(&cidr.value)?;
    let lists = element.to_ports.as_ref()?;
    let [port] = lists.lists.first()?.ports.as_slice() else { return None };
    let number = match port.literal() {
        Literal::Number(number) if port.transports()?.contains(&transport) => number,
        _ => return None,
    };
    let is_host = net.prefix_len() == net.max_prefix_len();
    let is_service = is_host && [443, 6443].contains(&number) && is_private(net.addr());
    let is_it = is_host && address.is_some_and(|ip| net.contains(&ip));
    if !is_service && !is_it {
        return None;
    }
    let file = policy.value.tree().file;
    let editor = Editor::default();
    let rename = editor.rename_key(&field.entry, PeerKey::Entities.as_str(side)).ok()?;
    let mut edits = vec![(file, rename)];
    let entity = Datum::from("kube-apiserver");
    edits.push((file, editor.replace(item.value, entity).ok()?));
    if number != wanted {
        edits.push((file, editor.replace(port.value.get("port")?, wanted.to_string()).ok()?));
    }
    Some(Candidate {
        operator: Operator::SwapPeer,
        cause: "api-server-entity",
        edits,
        new_files: Vec::new(),
        blame: Label { span: cidr.span, text: "a CIDR never means the API server of the cluster".to_owned() },
        related: Vec::new(),
        why: "the API server runs on nodes: its Service address is translated before policy looks, and CIDRs mean addresses outside the cluster only".to_owned(),
        title: format!("name the entity kube-apiserver on {transport} {wanted} in place of {}", cidr.value),
        evidence: Some(format!("{} can match nothing that Cilium sees", cidr.value)),
        safety: Safety::Safe,
        corrects: true,
        assumption: None,
    })
}

pub(super) fn is_private(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_private() || ip.octets()[0] == 100,
        std::net::IpAddr::V6(ip) => ip.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// How a peer would be named that a policy in this namespace means.
pub fn words_for(
    scene: &Scene<'_, '_>,
    peer: IdentityId,
    policy: &crate::policy::Policy<'_>,
) -> Option<PeerWords> {
    name_peer(scene, peer, policy.namespace.name())
}
