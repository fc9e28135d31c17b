//! The Cilium release whose behaviour is asked for: the minor version, since
//! `semantics.md` 7 knows no differences between patch releases.

use std::fmt;
use std::str::FromStr;

/// A minor release of Cilium 1.x, from 1.14 to 1.20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CiliumVersion {
    minor: u8,
}

impl CiliumVersion {
    /// Cilium 1.14, the oldest release that is known.
    pub const V1_14: Self = Self { minor: 14 };
    /// Cilium 1.15.
    pub const V1_15: Self = Self { minor: 15 };
    /// Cilium 1.16.
    pub const V1_16: Self = Self { minor: 16 };
    /// Cilium 1.17.
    pub const V1_17: Self = Self { minor: 17 };
    /// Cilium 1.18.
    pub const V1_18: Self = Self { minor: 18 };
    /// Cilium 1.19.
    pub const V1_19: Self = Self { minor: 19 };
    /// Cilium 1.20, the newest release that is known.
    pub const V1_20: Self = Self { minor: 20 };

    /// Every release that is known, oldest first.
    pub const ALL: [Self; 7] =
        [Self::V1_14, Self::V1_15, Self::V1_16, Self::V1_17, Self::V1_18, Self::V1_19, Self::V1_20];

    /// The `18` of 1.18.
    pub fn minor(self) -> u8 {
        self.minor
    }
}

impl Default for CiliumVersion {
    /// The newest release that is known (`semantics.md` 7, last line).
    fn default() -> Self {
        Self::V1_20
    }
}

impl fmt::Display for CiliumVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

/// A text that names no release that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no Cilium version that policyfix knows: give one of {}", known())]
pub struct UnknownVersion {
    given: String,
}

fn known() -> String {
    CiliumVersion::ALL.map(|version| version.to_string()).join(", ")
}

impl FromStr for CiliumVersion {
    type Err = UnknownVersion;

    /// Reads `1.18`, `v1.18`, `1.18.3` and `v1.18.3-rc.1` alike.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let release = text.strip_prefix('v').unwrap_or(text);
        let mut parts = release.splitn(3, '.');
        let (major, minor, patch) = (parts.next(), parts.next(), parts.next());
        let patched = patch.is_none_or(|patch| patch.starts_with(|c: char| c.is_ascii_digit()));
        let minor = minor.and_then(|minor| minor.parse::<u8>().ok());
        Self::ALL
            .into_iter()
            .find(|version| major == Some("1") && patched && minor == Some(version.minor))
            .ok_or_else(|| UnknownVersion { given: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_and_without_v_and_patch() {
        for text in ["1.18", "v1.18", "1.18.3", "v1.18.0-rc.1"] {
            assert_eq!(text.parse(), Ok(CiliumVersion::V1_18), "{text}");
        }
        assert_eq!(CiliumVersion::V1_18.to_string(), "1.18");
        assert!(CiliumVersion::V1_14 < CiliumVersion::default());
    }

    #[test]
    fn an_unknown_version_names_those_that_are_known() {
        for text in ["1.13", "1.21", "2.18", "1", "", "1.18.", "v", "1.018x"] {
            let error = text.parse::<CiliumVersion>().unwrap_err().to_string();
            assert!(error.ends_with("1.14, 1.15, 1.16, 1.17, 1.18, 1.19, 1.20"), "{error}");
        }
    }
}
