//! What the service takes from its callers and for how long it waits for them; each number has its reason.

use serde::{Deserialize, Deserializer};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// The table `[limits]` of the settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second of one client, over time; 0 lifts the limit. A map asks for some tens of tiles when it is moved,
    /// a person moves it every few seconds.
    pub requests_per_second: u32,
    /// Requests of one client at once, beyond those of each second: a page with a map opens with a few hundred.
    pub requests_at_once: u32,
    /// Connections open at once; the next ones wait in the queue of the system. Each may hold half a megabyte of a head.
    pub connections: usize,
    /// Connections of one client: browsers open six for a site, and a town hall stands behind one address.
    pub connections_per_client: usize,
    /// How long a client may take to send the head of a request; nginx and Apache give 20 to 60 s, and a head is one packet.
    #[serde(rename = "head_seconds", deserialize_with = "seconds")]
    pub head: Duration,
    /// How long a body on its way in may pause.
    #[serde(rename = "body_pause_seconds", deserialize_with = "seconds")]
    pub body_pause: Duration,
    /// How long a connection is kept between two requests, as nginx does.
    #[serde(rename = "idle_seconds", deserialize_with = "seconds")]
    pub idle: Duration,
    /// How long a reader may take for each [`Limits::STALL_BYTES`] of an answer: 270 bytes a second, a tenth of a bad modem.
    #[serde(rename = "stall_seconds", deserialize_with = "seconds")]
    pub stall: Duration,
    /// How long `/readyz` says 503 before the door is closed, so that a balancer sends nobody any more; 0 without one.
    #[serde(rename = "leave_seconds", deserialize_with = "seconds")]
    pub leave: Duration,
    /// Memory for answers kept as they are sent, in mebibytes: the pages of a release take some tens.
    pub kept_mebibytes: usize,
    /// Proxies whose word of their clients is believed.
    pub proxies: Vec<Network>,
    /// In which headers they say it.
    pub proxy_headers: ProxyHeaders,
}

/// The headers that proxies write themselves. The other family they may pass on as their client sent it, so that it is
/// not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeaders {
    /// `X-Forwarded-For`, `-Host` and `-Proto`: what nginx, Apache, HAProxy and Traefik write.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Limits {
    /// See [`Limits::stall`].
    pub const STALL_BYTES: usize = 16 << 10;

    /// Whether what this neighbour says of its clients is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.holds(address))
    }
}

impl Default for Limits {
    fn default() -> Self {
        // Where proxies stand: on this machine, or in a private network (RFC 1918, RFC 4193).
        let private = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
        Self {
            requests_per_second: 50,
            requests_at_once: 500,
            connections: 1024,
            connections_per_client: 128,
            head: Duration::from_secs(10),
            body_pause: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(60),
            leave: Duration::ZERO,
            kept_mebibytes: 64,
            proxies: private.iter().filter_map(|text| text.parse().ok()).collect(),
            proxy_headers: ProxyHeaders::default(),
        }
    }
}

/// A number of seconds, with decimals or without.
fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(input)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| serde::de::Error::custom(format!("`{seconds}`, which is no number of seconds")))
}

/// The addresses that begin alike: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(other)) => alike(first.to_bits(), other.to_bits(), 32 - self.bits),
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                let shift = 128 - self.bits;
                shift == 128 || first.to_bits() >> shift == other.to_bits() >> shift
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn alike(a: u32, b: u32, shift: u32) -> bool {
    shift == 32 || a >> shift == b >> shift
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}`, which is no network such as `10.0.0.0/8` and no address");
        let (first, bits) = text.split_once('/').map_or((text, None), |(first, bits)| (first, Some(bits)));
        let first: IpAddr = first.parse().map_err(|_| fault())?;
        let whole = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(whole), |bits| bits.parse().map_err(|_| fault()))?;
        if bits > whole { Err(fault()) } else { Ok(Self { first, bits }) }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_alike() {
        for (network, address, held) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let holds = network.parse::<Network>().unwrap().holds(address.parse().unwrap());
            assert_eq!(holds, held, "{network} {address}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "proxy.example.fr"] {
            assert!(text.parse::<Network>().unwrap_err().contains("no network"), "{text}");
        }
    }

    #[test]
    fn limits_are_read_with_their_units() {
        let limits: Limits =
            toml::from_str("head_seconds = 0.5\nrequests_per_second = 0\nproxies = ['192.0.2.0/24']").unwrap();
        assert_eq!((limits.head, limits.requests_per_second), (Duration::from_millis(500), 0));
        assert!(limits.trusts([192, 0, 2, 1].into()) && !limits.trusts([127, 0, 0, 1].into()));
        assert_eq!(limits.proxy_headers, ProxyHeaders::XForwarded);
        let limits: Limits = toml::from_str("proxy_headers = 'forwarded'").unwrap();
        assert_eq!(limits.proxy_headers, ProxyHeaders::Forwarded);
        for wrong in
            ["proxy_headers = 'both'", "head_seconds = -1", "head = 3", "proxies = ['here']", "connections = -1"]
        {
            assert!(toml::from_str::<Limits>(wrong).is_err(), "{wrong}");
        }
    }
}
