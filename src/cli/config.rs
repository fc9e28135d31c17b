//! `policyfix.toml`: what a repository says of its cluster and wants of the
//! linter. It is found upwards from the first path; the command line outranks
//! it. `schemas/policyfix.json` describes it to editors.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::engine::Enforcement;
use crate::version::CiliumVersion;

/// The name of the file.
pub(super) const FILE_NAME: &str = "policyfix.toml";

/// Everything the file can say. Unknown keys are errors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Config {
    /// The Cilium release that runs in the cluster.
    pub(super) cilium_version: Option<String>,
    /// `policy-enforcement` of the agents.
    pub(super) enforcement: Option<String>,
    /// The name of the local cluster.
    pub(super) cluster_name: Option<String>,
    /// The namespace of objects that name none.
    pub(super) default_namespace: Option<String>,
    /// Files with the output of `kubectl get`, relative to the file.
    pub(super) inventory: Vec<PathBuf>,
    /// Which of several overlays that cannot share a cluster is judged.
    pub(super) variant: Option<String>,
    /// Addresses of the cluster's own pods, Services and nodes, which no CIDR rule can match.
    pub(super) managed_cidrs: Vec<String>,
    /// What the linter does.
    pub(super) lint: Lint,
}

/// The table `[lint]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Lint {
    /// Rules and families to ask; all when empty.
    pub(super) select: Vec<String>,
    /// Rules and families to leave out.
    pub(super) ignore: Vec<String>,
    /// Whether notes are told too.
    pub(super) pedantic: bool,
    /// The baseline, relative to the file.
    pub(super) baseline: Option<PathBuf>,
    /// Paths of files that are not reported on, as prefixes relative to the file.
    pub(super) exclude: Vec<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
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
    /// It names a mode that there is not.
    #[error("{}: {error}", path.display())]
    Enforcement {
        /// The file.
        path: PathBuf,
        /// Which ones there are.
        error: String,
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
    pub(super) fn find(folder: &Path) -> Option<PathBuf> {
        let folder = std::fs::canonicalize(folder).ok()?;
        folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or says something that is not possible.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Wrong { path: path.to_owned(), error: Box::new(error) })?;
        config.version().map_err(|error| ConfigError::Version { path: path.to_owned(), error })?;
        config.enforcement().map_err(|error| ConfigError::Enforcement { path: path.to_owned(), error })?;
        if let Some(text) = config.managed_cidrs.iter().find(|text| network(text).is_none()) {
            return Err(ConfigError::Cidr { path: path.to_owned(), text: text.clone() });
        }
        Ok(config)
    }

    /// The addresses that the cluster manages.
    pub(super) fn managed(&self) -> Vec<IpNet> {
        self.managed_cidrs.iter().filter_map(|text| network(text)).collect()
    }

    /// The agents' mode, where one is said.
    ///
    /// # Errors
    /// When there is no such mode.
    pub(super) fn enforcement(&self) -> Result<Option<Enforcement>, String> {
        self.enforcement.as_deref().map(str::parse).transpose()
    }

    /// The release, where one is said.
    ///
    /// # Errors
    /// When it is not known.
    pub(super) fn version(&self) -> Result<Option<CiliumVersion>, crate::version::UnknownVersion> {
        self.cilium_version.as_deref().map(str::parse).transpose()
    }
}

/// A CIDR, or an address as the network that holds it alone.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
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

    /// A file that says all there is to say.
    const WHOLE: &str = "cilium-version = '1.18'\nenforcement = 'always'\ncluster-name = 'a'\ndefault-namespace = 'b'\ninventory = ['cluster.json']\nvariant = 'prod'\nmanaged-cidrs = ['10.0.0.0/8']\n[lint]\nselect = ['shape', 'service-port']\nignore = ['null-section']\npedantic = true\nbaseline = 'b.json'\nexclude = ['old']\n";

    fn schema() -> serde_json::Value {
        serde_json::from_str(include_str!("../../schemas/policyfix.json")).unwrap()
    }

    fn keys(object: &serde_json::Value) -> Vec<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_key_is_read() {
        let config = read(WHOLE).unwrap();
        assert_eq!(config.version().unwrap(), Some(CiliumVersion::V1_18));
        assert_eq!(config.enforcement().unwrap(), Some(Enforcement::Always));
        assert_eq!(config.lint.select, ["shape", "service-port"]);
        assert!(config.lint.pedantic);
        let written = serde_json::to_value(&config).unwrap();
        let said = |value: &serde_json::Value| !value.is_null() && *value != serde_json::json!([]);
        assert!(written.as_object().unwrap().values().all(said), "{written}");
        assert!(written["lint"].as_object().unwrap().values().all(said), "{written}");
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read_and_no_others() {
        let (schema, config) = (schema(), serde_json::to_value(Config::default()).unwrap());
        assert_eq!(keys(&schema["properties"]), keys(&config));
        let lint = &schema["properties"]["lint"];
        assert_eq!(keys(&lint["properties"]), keys(&config["lint"]));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(lint["additionalProperties"], false);
        for properties in [&schema["properties"], &lint["properties"]] {
            assert!(properties.as_object().unwrap().values().all(|key| key["description"].is_string()));
        }
    }

    #[test]
    fn the_schema_names_the_releases_and_rules_that_there_are() {
        let schema = schema();
        let words = |list: &serde_json::Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let releases = &schema["properties"]["cilium-version"]["examples"];
        assert_eq!(words(releases), CiliumVersion::ALL.map(|version| version.to_string()));
        let rules = crate::lint::RULES.iter().map(|rule| rule.id.to_owned());
        let families = crate::lint::Family::NAMES.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(words(&schema["$defs"]["rule"]["enum"]), families.chain(rules).collect::<Vec<_>>());
    }

    #[test]
    fn the_schema_and_the_reader_refuse_and_take_the_same() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let by_schema = |text: &str| {
            let value: toml::Value = toml::from_str(text).unwrap();
            validator.is_valid(&serde_json::to_value(value).unwrap())
        };
        let by_reader = |text: &str| {
            let chosen = |config: &Config| {
                crate::lint::Choice::new(&config.lint.select, &config.lint.ignore, false).is_ok()
            };
            read(text).is_ok_and(|config| chosen(&config))
        };
        for right in ["", WHOLE, "cilium-version = 'v1.17.3'\n", "managed-cidrs = ['2001:db8::/32']\n"] {
            assert!(by_schema(right) && by_reader(right), "{right}");
        }
        for wrong in [
            "cilium-version = '2.0'\n",
            "cilium-version = 1.18\n",
            "enforcement = 'on'\n",
            "cluster = 'a'\n",
            "managed-cidrs = ['pods']\n",
            "managed-cidrs = '10.0.0.0/8'\n",
            "inventory = 'cluster.json'\n",
            "[lint]\nselect = ['no-such-rule']\n",
            "[lint]\nignore = 'shape'\n",
            "[lint]\npedantic = 'yes'\n",
            "[lint]\nfix = true\n",
        ] {
            assert!(!by_schema(wrong), "{wrong}");
            assert!(!by_reader(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_says_where() {
        let error = read("[lint]\nselct = []\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("selct"), "{error}");
        assert!(read("cilium-version = '9'\n").unwrap_err().to_string().contains("1.20"));
    }
}
