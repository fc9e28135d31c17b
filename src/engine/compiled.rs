//! What a policy is once it is ready to judge: no version, group or Service is
//! asked for any more.

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::ElementPlace;
use super::identity::Known;
use super::l7;
use super::matcher::Matcher;
use super::truth::Truth;
use crate::policy::peer::Entity;
use crate::policy::{Action, Fault};
use crate::traffic::{IcmpFamily, Transport};

/// A policy ready to judge.
#[derive(Debug)]
pub(super) struct CompiledPolicy {
    pub(super) refusals: Vec<Fault>,
    /// Whether it takes part: it is neither refused nor left out by the tree.
    pub(super) in_force: bool,
    /// The rules in force: none of a refused policy (`semantics.md` 1.2).
    pub(super) rules: Vec<CompiledRule>,
    /// The rules that would be in force if the policy were.
    pub(super) refused: Vec<CompiledRule>,
}

#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) subject: Matcher,
    /// Whether whom it is about is known for certain, where the matcher matches.
    pub(super) certain: Truth,
    /// Per side: is there an element, and does it switch on default deny?
    pub(super) sides: [CompiledSide; 2],
}

#[derive(Debug, Default)]
pub(super) struct CompiledSide {
    pub(super) speaks: bool,
    pub(super) default_deny: bool,
    pub(super) elements: Vec<CompiledElement>,
    /// What the tree allows or denies here is not known: allow, deny.
    pub(super) unsure: [bool; 2],
    /// Selectors that every endpoint peer of the same action must also match (3.9).
    pub(super) requires: Vec<(Action, Matcher)>,
}

impl CompiledRule {
    /// Whether it is about somebody.
    pub(super) fn is_about(&self, known: &Known) -> Truth {
        self.subject.matches(known).and(self.certain)
    }
}

impl CompiledSide {
    /// How certain an element is that is written here.
    pub(super) fn certainty(&self, action: Action) -> Truth {
        if self.unsure[action as usize] { Truth::Maybe } else { Truth::Yes }
    }
}

#[derive(Debug)]
pub(super) struct CompiledElement {
    pub(super) place: ElementPlace,
    pub(super) action: Action,
    pub(super) peers: Peers,
    pub(super) ports: Ports,
    pub(super) l7: Vec<l7::Demand>,
    pub(super) authentication: Option<Box<str>>,
}

#[derive(Debug)]
pub(super) enum Peers {
    Nobody,
    Everybody,
    Listed(Vec<CompiledPeer>),
}

#[derive(Debug)]
pub(super) enum CompiledPeer {
    /// By label; the number is the engine's memory of its matches.
    Endpoints(Matcher, Option<u32>),
    Entity(Entity),
    Addresses(CompiledAddresses),
    Names(Box<[OwnedName]>),
    Service(Vec<Matcher>, Vec<IpNet>),
    /// Depends on something that is not here.
    Unknown,
}

#[derive(Debug)]
pub(super) struct OwnedName {
    pub(super) name: Option<Box<str>>,
    pub(super) pattern: Option<Box<str>>,
}

#[derive(Debug)]
pub(super) struct CompiledAddresses {
    pub(super) range: Range,
    pub(super) except: Box<[IpNet]>,
}

#[derive(Debug)]
pub(super) enum Range {
    Prefix(IpNet),
    /// Everything outside the cluster, whatever the family: a zero-length
    /// prefix where Cilium takes it for `reserved:world` (4.4).
    World,
    /// Everything outside of one family.
    WorldOf(IcmpFamily),
    /// A zero-length prefix in another spelling, up to 1.18: only addresses
    /// that have a CIDR identity.
    CidrIdentities,
    /// The prefixes of one or more groups.
    Prefixes(Box<[IpNet]>),
    /// Every identity: an empty or negative group selector up to 1.19.
    Everyone,
    Nothing,
    /// Depends on something that is not here.
    Unknown,
}

/// Which packets an element is about.
#[derive(Debug)]
pub(super) enum Ports {
    /// Every protocol and port.
    All,
    These {
        ranges: Box<[PortRange]>,
        icmp: Box<[IcmpTypes]>,
        unknown: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct PortRange {
    pub(super) transports: &'static [Transport],
    pub(super) port: PortValue,
    /// Last port for a range from a number or a name.
    pub(super) end: Option<u16>,
    pub(super) redirects: bool,
}

#[derive(Debug, Clone)]
pub(super) enum PortValue {
    All,
    Number(u16),
    Name(Box<str>),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct IcmpTypes {
    pub(super) family: IcmpFamily,
    pub(super) types: crate::policy::icmp::Types,
}

/// Gives each selector of a set of policies a number, equal ones the same.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    numbers: FxHashMap<Matcher, u32>,
    pub(super) list: Vec<Matcher>,
}

impl Selectors {
    pub(super) fn number(&mut self, policy: &mut CompiledPolicy) {
        for rule in &mut policy.rules {
            for element in rule.sides.iter_mut().flat_map(|side| &mut side.elements) {
                let Peers::Listed(peers) = &mut element.peers else { continue };
                for peer in peers {
                    if let CompiledPeer::Endpoints(matcher, number) = peer {
                        *number = Some(*self.numbers.entry(matcher.clone()).or_insert_with(|| {
                            self.list.push(matcher.clone());
                            self.list.len() as u32 - 1
                        }));
                    }
                }
            }
        }
    }
}
