//! How often one client may ask: a bucket of requests that fills at a steady rate.

use crate::config::Limits;
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
}
