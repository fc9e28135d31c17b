//! `policyfix.toml`: what a repository wants of the linter and says of its
//! cluster. It is found upwards from the first path; the command line outranks it.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;

use crate::policy::peer::parse_cidr;
use crate::version::CiliumVersion;

/// The name of the file.
pub const FILE_NAME: &str = "policyfix.toml";

/// Everything the file can say. Unknown keys are errors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The Cilium release that runs in the cluster.
    pub cilium_version: Option<String>,
    /// The name of the local cluster.
    pub cluster_name: Option<String>,
    /// The namespace of objects that name none.
    pub default_namespace: Option<String>,
    /// Addresses of the cluster's own pods, Services and nodes, which no CIDR rule can match.
    pub managed_cidrs: Vec<String>,
    /// What the linter does.
    pub lint: Lint,
}

/// The table `[lint]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Lint {
    /// Rules and families to ask; all when empty.
    pub select: Vec<String>,
    /// Rules and families to leave out.
    pub ignore: Vec<String>,
    /// Whether notes are told too.
    pub pedantic: bool,
    /// The baseline, relative to the file.
    pub baseline: Option<PathBuf>,
    /// Paths of files that are not reported on, as prefixes relative to the file.
    pub exclude: Vec<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what its schema demands.
    #[error("{}: {}", path.display(), error.to_string().trim_end())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// It names a release that is not known.
    #[error("{}: {error}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Which ones are known.
        error: crate::version::UnknownVersion,
    },
    /// It holds a text that is no CIDR.
    #[error("{}: managed-cidrs: {text:?} is no CIDR; write an address and a prefix length", path.display())]
    Cidr {
        /// The file.
        path: PathBuf,
        /// The text.
        text: String,
    },
}

impl Config {
    /// The nearest file of this name in a folder or above it.
    pub fn find(folder: &Path) -> Option<PathBuf> {
        let folder = std::fs::canonicalize(folder).ok()?;
        folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or says something that is not possible.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Wrong { path: path.to_owned(), error: Box::new(error) })?;
        config.version().map_err(|error| ConfigError::Version { path: path.to_owned(), error })?;
        if let Some(text) = config.managed_cidrs.iter().find(|text| parse_cidr(text).is_none()) {
            return Err(ConfigError::Cidr { path: path.to_owned(), text: text.clone() });
        }
        Ok(config)
    }

    /// The addresses that the cluster manages.
    pub fn managed(&self) -> Vec<IpNet> {
        self.managed_cidrs.iter().filter_map(|text| parse_cidr(text)).collect()
    }

    /// The release, where one is said.
    ///
    /// # Errors
    /// When it is not known.
    pub fn version(&self) -> Result<Option<CiliumVersion>, crate::version::UnknownVersion> {
        self.cilium_version.as_deref().map(str::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, text).unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(Config::find(&inner), Some(std::fs::canonicalize(&path).unwrap()));
        Config::read(&path)
    }

    #[test]
    fn every_key_is_read() {
        let config = read(
            "cilium-version = '1.18'\ncluster-name = 'a'\nmanaged-cidrs = ['10.0.0.0/8']\n[lint]\nselect = ['shape']\nignore = ['null-section']\npedantic = true\nbaseline = 'b.json'\n",
        )
        .unwrap();
        assert_eq!(config.version().unwrap(), Some(CiliumVersion::V1_18));
        assert_eq!(config.lint.select, ["shape"]);
        assert!(config.lint.pedantic);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_says_where() {
        let error = read("[lint]\nselct = []\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("selct"), "{error}");
        assert!(read("cilium-version = '9'\n").unwrap_err().to_string().contains("1.20"));
    }
}
