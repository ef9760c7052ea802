//! What the operator settles, and the policy of the owner: read once, handed down in parts; unknown keys are refused.

mod policy;

pub use policy::{About, Also, Least, Measure, POLICY, Partner, Policy, Profile, Unit};

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

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
}

impl Default for Config {
    fn default() -> Self {
        Self { data: "var".into(), listen: ([127, 0, 0, 1], 8080).into(), public_url: None }
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// TOML that does not parse, or an unknown key.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Config::parse("listen = '127.0.0.1:1'").is_ok());
        assert!(Config::parse("lisen = '127.0.0.1:1'").is_err());
    }
}
