//! What the operator settles, and the policy of the owner: read once, handed down in parts; unknown keys are refused.

mod limits;
mod policy;

pub use limits::{Limits, Network, ProxyHeaders};
pub use policy::{About, Also, Least, Measure, POLICY, Partner, Policy, Profile, Unit};

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Name of the file of settings that is read in the data directory when no other is named, by every command alike.
pub const FILE_NAME: &str = "arpent.toml";

/// Where the service keeps its data and where it listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of the store.
    pub data: PathBuf,
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Address that links must show, when a proxy stands in front.
    pub public_url: Option<String>,
    /// Whether staff may act over HTTP; a public replica says no.
    pub staff: bool,
    /// The partners who must approve a draft before it is published, by name.
    pub approvals: Vec<String>,
    /// By zoning, how many zones its contract names.
    pub expected: BTreeMap<String, usize>,
    /// What drafts say of their data unless they say it themselves.
    pub publication: Publication,
    /// What the service takes from its callers, and for how long it waits for them.
    pub limits: Limits,
    /// How the log is written.
    pub log: LogForm,
}

/// How the log is written, one line an event on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// What a publication says of its data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publication {
    /// The exact source string.
    pub source: Option<String>,
    /// The licence, by name.
    pub licence: Option<String>,
    /// A sentence people must see.
    pub notice: Option<String>,
    /// Whose data they are, for the rules that name owners.
    pub owners: Option<Vec<String>>,
    /// Which dataset they are, for the rules that name one.
    pub dataset: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "var".into(),
            listen: ([127, 0, 0, 1], 8080).into(),
            public_url: None,
            staff: true,
            approvals: Vec::new(),
            expected: BTreeMap::new(),
            publication: Publication::default(),
            limits: Limits::default(),
            log: LogForm::default(),
        }
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// TOML that does not parse, or an unknown key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        for name in &config.approvals {
            format!("partner:{name}").parse::<crate::model::Role>().map_err(|_| {
                format!("`{name}` in `approvals`, which is no partner's name: small letters, digits and hyphens")
            })?;
        }
        Ok(config)
    }

    /// The settings of a file, or those of `arpent.toml` in the data directory, or the usual ones.
    ///
    /// # Errors
    /// One sentence: the file, what was found, what was expected.
    pub fn read(file: Option<&Path>, data: Option<&Path>) -> Result<Self, String> {
        let beside = data.unwrap_or(Path::new("var")).join(FILE_NAME);
        let path = match file {
            Some(path) => path,
            None if beside.is_file() => &beside,
            None => return Ok(Self { data: data.map_or_else(|| "var".into(), Path::to_owned), ..Self::default() }),
        };
        let text = std::fs::read_to_string(path).map_err(|e| {
            format!("{}: found a file that cannot be read ({e}), expected settings in TOML", path.display())
        })?;
        let mut config = Self::parse(&text).map_err(|e| {
            let known =
                "`data`, `listen`, `public_url`, `staff`, `approvals`, `expected`, `publication`, `limits` and `log`";
            format!("{}: found {e}, expected {known}", path.display())
        })?;
        config.data = data.map_or(config.data, Path::to_owned);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Config::parse("listen = '127.0.0.1:1'").is_ok());
        assert!(Config::parse("lisen = '127.0.0.1:1'").is_err());
        assert!(Config::parse("approvals = ['urssaf', 'metropole']\n[publication]\nowners = ['urssaf']").is_ok());
        assert!(Config::parse("approvals = ['Dijon métropole']").is_err());
    }
}
