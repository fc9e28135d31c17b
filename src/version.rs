//! The releases of Cilium whose behaviour is known (`semantics.md` 7).

use std::fmt;
use std::str::FromStr;

/// A minor release of Cilium 1.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CiliumVersion {
    minor: u8,
}

impl CiliumVersion {
    /// 1.14, the oldest release whose behaviour is known.
    pub const V1_14: Self = Self { minor: 14 };
    /// 1.15.
    pub const V1_15: Self = Self { minor: 15 };
    /// 1.16: `enableDefaultDeny`, `endPort`, present-but-empty peer lists select nobody.
    pub const V1_16: Self = Self { minor: 16 };
    /// 1.17: `toServices` for Services with selectors.
    pub const V1_17: Self = Self { minor: 17 };
    /// 1.18.
    pub const V1_18: Self = Self { minor: 18 };
    /// 1.19: peers mean the local cluster unless they say otherwise.
    pub const V1_19: Self = Self { minor: 19 };
    /// 1.20, the newest.
    pub const V1_20: Self = Self { minor: 20 };

    /// All known releases, oldest first.
    pub const ALL: [Self; 7] =
        [Self::V1_14, Self::V1_15, Self::V1_16, Self::V1_17, Self::V1_18, Self::V1_19, Self::V1_20];

    /// The newest known release: what is assumed when none is named.
    pub const NEWEST: Self = Self::V1_20;
}

impl Default for CiliumVersion {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for CiliumVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

/// The text names no release whose behaviour is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no known Cilium release: {0:?}; known are 1.14 to 1.20")]
pub struct UnknownVersion(String);

impl FromStr for CiliumVersion {
    type Err = UnknownVersion;

    /// Reads `1.18`, `v1.18` and `1.18.3`; the patch release is not looked at.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let minor = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.").and_then(|rest| {
            let minor = rest.split_once('.').map_or(rest, |(minor, _)| minor);
            minor.parse().ok()
        });
        minor
            .map(|minor| Self { minor })
            .filter(|version| Self::ALL.contains(version))
            .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_the_forms_people_type() {
        for text in ["1.18", "v1.18", "1.18.3", "v1.18.0-rc.1"] {
            assert_eq!(text.parse(), Ok(CiliumVersion::V1_18), "{text}");
        }
        for text in ["", "1", "2.18", "1.13", "1.99", "1.x"] {
            assert!(text.parse::<CiliumVersion>().is_err(), "{text}");
        }
        assert!(CiliumVersion::V1_16 < CiliumVersion::NEWEST);
    }
}
