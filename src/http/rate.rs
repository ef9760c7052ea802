//! How often one client may ask: a bucket of requests that fills at a steady rate.

use crate::config::Limits;
use axum::http::{HeaderMap, HeaderName, header};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Clients remembered at once; a full bucket need not be remembered, so only those who ask right now count.
const CLIENTS_MAX: usize = 65_536;

/// The first half of an IPv6 address names a household or a company; the other half they choose themselves.
const SITE_BITS: u32 = 64;

/// Requests that each client may still make.
pub struct Rate {
    per_second: f64,
    at_once: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rate {
    /// `None` when the limit is lifted.
    pub fn new(limits: &Limits) -> Option<Self> {
        let (per_second, at_once) = (limits.requests_per_second, limits.requests_at_once.max(1));
        (per_second > 0).then(|| Self {
            per_second: f64::from(per_second),
            at_once: f64::from(at_once),
            buckets: Mutex::default(),
        })
    }

    /// Takes one request of a client.
    ///
    /// # Errors
    /// The seconds after which there will be one again.
    pub fn take(&self, client: IpAddr, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = |bucket: &Bucket| {
            let seconds = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + seconds * self.per_second).min(self.at_once)
        };
        let site = site(client);
        if buckets.len() >= CLIENTS_MAX && !buckets.contains_key(&site) {
            buckets.retain(|_, bucket| filled(bucket) < self.at_once);
            // That many clients in the middle of a burst: memory comes before fairness.
            if buckets.len() >= CLIENTS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(site).or_insert(Bucket { left: self.at_once, at: now });
        *bucket = Bucket { left: filled(bucket), at: now };
        if bucket.left < 1.0 {
            return Err(((1.0 - bucket.left) / self.per_second).ceil().max(1.0) as u64);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// Whose request it is: the neighbour, or whom a trusted proxy says it speaks for. `None` for this machine itself, which
/// is not limited.
pub fn client(limits: &Limits, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !limits.trusts(peer) {
        return Some(peer);
    }
    // Each proxy adds whom it heard at the end: the last one that is no proxy of ours is the client.
    let said = said(headers);
    let client = said.iter().rev().find(|address| !limits.trusts(**address)).or(said.first()).copied();
    client.or(if peer.is_loopback() { None } else { Some(peer) })
}

/// The clients that proxies name, in their order.
fn said(headers: &HeaderMap) -> Vec<IpAddr> {
    let texts = |name: &HeaderName| {
        let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
        values.flat_map(|v| v.split(',').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let forwarded: Vec<IpAddr> = texts(&header::FORWARDED)
        .iter()
        .filter_map(|hop| {
            let pairs = hop.split(';').filter_map(|pair| pair.split_once('='));
            let named =
                pairs.map(|(name, value)| (name.trim(), value)).find(|(name, _)| name.eq_ignore_ascii_case("for"));
            address(named?.1)
        })
        .collect();
    match forwarded.is_empty() {
        false => forwarded,
        true => texts(&HeaderName::from_static("x-forwarded-for")).iter().filter_map(|text| address(text)).collect(),
    }
}

/// An address with or without quotes, brackets and a port (RFC 7239, section 6).
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> SITE_BITS << SITE_BITS).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_client_that_asks_too_often_waits_and_others_do_not() {
        let limits = Limits { requests_per_second: 2, requests_at_once: 3, ..Limits::default() };
        let rate = Rate::new(&limits).unwrap();
        let start = Instant::now();
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::ffff".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        for (client, after_ms, expected) in [
            (one, 0, Ok(())),
            (same, 0, Ok(())),
            (one, 0, Ok(())),
            (one, 0, Err(1)),
            (same, 0, Err(1)),
            (other, 0, Ok(())),
            (one, 499, Err(1)),
            (one, 500, Ok(())),
            (one, 500, Err(1)),
            (one, 60_000, Ok(())),
        ] {
            assert_eq!(rate.take(client, start + Duration::from_millis(after_ms)), expected, "{client} {after_ms}");
        }
        assert!(Rate::new(&Limits { requests_per_second: 0, ..limits }).is_none());
    }

    #[test]
    fn clients_beyond_counting_do_not_fill_the_memory() {
        let rate = Rate::new(&Limits::default()).unwrap();
        let now = Instant::now();
        for i in 0..(CLIENTS_MAX as u32 + 10) {
            rate.take(IpAddr::V4(i.into()), now).unwrap();
        }
        assert!(rate.buckets.lock().unwrap().len() <= CLIENTS_MAX);
    }

    #[test]
    fn a_client_behind_a_trusted_proxy_is_the_last_whom_the_proxies_did_not_know() {
        let limits = Limits::default();
        let told = |peer: &str, name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            client(&limits, peer.parse().unwrap(), &headers).map(|address| address.to_string())
        };
        for (peer, name, value, expected) in [
            ("127.0.0.1", "x-other", "", None),
            ("::1", "x-other", "", None),
            ("10.1.2.3", "x-other", "", Some("10.1.2.3")),
            ("203.0.113.9", "x-forwarded-for", "198.51.100.1", Some("203.0.113.9")),
            ("127.0.0.1", "x-forwarded-for", "6.6.6.6, 198.51.100.1, 10.0.0.1", Some("198.51.100.1")),
            ("127.0.0.1", "x-forwarded-for", "192.168.1.4", Some("192.168.1.4")),
            ("127.0.0.1", "forwarded", "for=6.6.6.6, For=\"[2001:db8::7]:4711\";proto=https", Some("2001:db8::7")),
            ("127.0.0.1", "forwarded", "for=198.51.100.1:80", Some("198.51.100.1")),
            ("127.0.0.1", "forwarded", "for=unknown", None),
        ] {
            assert_eq!(told(peer, name, value).as_deref(), expected, "{peer} {name} {value}");
        }
    }
}
