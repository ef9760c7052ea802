//! Who asks, and by which address, as far as the proxies before us are believed: one place reads it, once a request.
//!
//! A proxy writes one family of headers, `X-Forwarded-*` or `Forwarded` (RFC 7239), and passes the other one on as its
//! client sent it. So one family is believed, [`Limits::proxy_headers`], and the other one is not read.

use super::Site;
use crate::config::{Limits, ProxyHeaders};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use std::net::IpAddr;
use std::sync::Arc;

/// Where links follow the request: its own header that decides them, and those of the proxies before us.
const HOST: &str = "Host";
const OF_X_FORWARDED: &str = "Host, X-Forwarded-Host, X-Forwarded-Proto";
/// Where proxies add to these headers, the one that counts hops decides which of their values is read.
const OF_X_FORWARDED_LISTS: &str = "Host, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-For";
const OF_FORWARDED: &str = "Host, Forwarded";

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Address of the service, without a final `/`: as configured, else as the request and the proxies before us say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(pub Arc<str>);

impl Default for Base {
    fn default() -> Self {
        Self("http://localhost".into())
    }
}

/// What is known of a request's sender.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// Whose request it is; `None` for this machine itself, which is not limited.
    pub client: Option<IpAddr>,
    scheme: Option<String>,
    host: Option<String>,
    read: &'static str,
}

/// What one proxy says of whom it heard. Words are borrowed, since a client may send as many hops as a head holds.
#[derive(Debug, Clone, Copy)]
struct Hop<'h> {
    client: Option<IpAddr>,
    /// Whether it says whom it heard at all, be it by no address.
    names_client: bool,
    scheme: Option<&'h str>,
    host: Option<&'h str>,
}

impl Sender {
    /// The neighbour, or whom the proxies we believe say they speak for. A request without a neighbour comes from within
    /// this process, and is believed.
    ///
    /// Each proxy adds whom it heard at the end: the last one that is no proxy of ours is the client, and the proxy that
    /// heard it knows by which address it asked.
    pub fn of(limits: &Limits, neighbour: Option<IpAddr>, headers: &HeaderMap) -> Self {
        let neighbour = neighbour.map(|address| address.to_canonical());
        if neighbour.is_some_and(|address| !limits.trusts(address)) {
            return Self { client: neighbour, read: HOST, ..Self::default() };
        }
        let itself = neighbour.filter(|address| !address.is_loopback());
        let (hops, read) = match limits.proxy_headers {
            ProxyHeaders::XForwarded => x_forwarded(headers),
            ProxyHeaders::Forwarded => (forwarded(headers), OF_FORWARDED),
        };
        let ours = |hop: &Hop<'_>| hop.client.is_some_and(|address| limits.trusts(address));
        // Where all of them are ours the last one stands: the first is the client's own word.
        let first = hops.iter().rposition(|hop| !ours(hop)).unwrap_or(hops.len().saturating_sub(1));
        match hops.get(first) {
            Some(hop) => Self {
                // A client whom its proxy does not name is one with all those it does not name, and not this machine.
                client: hop.client.or(if hop.names_client { neighbour } else { itself }),
                scheme: hop.scheme.map(str::to_owned),
                host: hop.host.map(str::to_owned),
                read,
            },
            None => Self { client: itself, read, ..Self::default() },
        }
    }

    /// The headers that decide the links of an answer, as `Vary` names them (RFC 9110, 12.5.5), so that no cache before us
    /// gives links that follow one request to another; `None` where links are configured.
    pub fn varies(&self, site: &Site) -> Option<&'static str> {
        site.public_url.is_none().then_some(self.read)
    }

    /// By which address the service was asked. What a request says of itself is written in our answers: a name or an
    /// address with its port, and nothing else.
    pub fn base(self, site: &Site, headers: &HeaderMap, uri: &Uri) -> Base {
        if let Some(url) = &site.public_url {
            return Base(url.trim_end_matches('/').into());
        }
        let asked = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::trim);
        let host = self.host.as_deref().or_else(asked).or_else(|| uri.authority().map(|authority| authority.as_str()));
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
        let plain = |host: &&str| !host.is_empty() && host.bytes().all(letter);
        let secure = self.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        match host.filter(plain) {
            Some(host) => Base([if secure { "https://" } else { "http://" }, host].concat().into()),
            None => Base::default(),
        }
    }
}

/// Hops by `X-Forwarded-For`. The other two headers have a value a hop as well where proxies add to them, and one value
/// in all where they set them: each is counted from the end, and the first one stands for all before it. Beside them the
/// headers that decide host and scheme.
fn x_forwarded(headers: &HeaderMap) -> (Vec<Hop<'_>>, &'static str) {
    // Nothing is made for the many requests without a proxy.
    if ![X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO].iter().any(|name| headers.contains_key(name)) {
        return (Vec::new(), OF_X_FORWARDED);
    }
    let clients = values(headers, &X_FORWARDED_FOR);
    let (hosts, schemes) = (values(headers, &X_FORWARDED_HOST), values(headers, &X_FORWARDED_PROTO));
    let hops = clients.len().max(usize::from(!hosts.is_empty() || !schemes.is_empty()));
    let hop = |hop| Hop {
        client: clients.get(hop).copied().and_then(address),
        names_client: !clients.is_empty(),
        scheme: counted_back(&schemes, hops - hop),
        host: counted_back(&hosts, hops - hop),
    };
    let read = if hosts.len() > 1 || schemes.len() > 1 { OF_X_FORWARDED_LISTS } else { OF_X_FORWARDED };
    ((0..hops).map(hop).collect(), read)
}

/// The value that stands so far from the end of a list, counted from 1; the first one for all before it.
fn counted_back<'h>(list: &[&'h str], back: usize) -> Option<&'h str> {
    list.get(list.len().saturating_sub(back)).copied()
}

/// Hops by `Forwarded` (RFC 7239, section 4).
fn forwarded(headers: &HeaderMap) -> Vec<Hop<'_>> {
    values(headers, &header::FORWARDED)
        .into_iter()
        .map(|element| {
            let said = |key: &str| {
                element.split(';').find_map(|pair| {
                    let (name, value) = pair.split_once('=')?;
                    name.trim().eq_ignore_ascii_case(key).then(|| value.trim().trim_matches('"'))
                })
            };
            let client = said("for");
            Hop {
                client: client.and_then(address),
                names_client: client.is_some(),
                scheme: said("proto"),
                host: said("host"),
            }
        })
        .collect()
}

/// Stands for an element that is no text: no address, scheme or host.
const UNREADABLE: &str = "?";

/// The elements of a header that is a list, those of all its lines.
fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    // What a client sent that is no text stands before what the proxies added on the same line.
    let pieces = headers.get_all(name).into_iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let text = |piece| std::str::from_utf8(piece).map_or(UNREADABLE, str::trim);
    pieces.map(text).filter(|value| !value.is_empty()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn sender(believed: ProxyHeaders, neighbour: &str, said: &[(&'static str, &str)]) -> (Option<String>, String) {
        let limits = Limits { proxy_headers: believed, ..Limits::default() };
        let mut headers = HeaderMap::from_iter([(header::HOST, "inside".parse().unwrap())]);
        for (name, value) in said {
            headers.append(*name, value.parse().unwrap());
        }
        let sender = Sender::of(&limits, Some(neighbour.parse().unwrap()), &headers);
        let client = sender.client.map(|address| address.to_string());
        (client, sender.base(&Site::default(), &headers, &Uri::from_static("/")).0.to_string())
    }

    #[test]
    fn a_client_behind_a_trusted_proxy_is_the_last_whom_the_proxies_did_not_know() {
        use ProxyHeaders::{Forwarded, XForwarded};
        for (believed, neighbour, name, value, expected) in [
            (XForwarded, "127.0.0.1", "x-other", "", None),
            (XForwarded, "::1", "x-other", "", None),
            (XForwarded, "10.1.2.3", "x-other", "", Some("10.1.2.3")),
            (XForwarded, "203.0.113.9", "x-forwarded-for", "198.51.100.1", Some("203.0.113.9")),
            (XForwarded, "127.0.0.1", "x-forwarded-for", "6.6.6.6, 198.51.100.1, 10.0.0.1", Some("198.51.100.1")),
            (XForwarded, "127.0.0.1", "x-forwarded-for", "192.168.1.4", Some("192.168.1.4")),
            (XForwarded, "127.0.0.1", "x-forwarded-for", "6.6.6.6, unknown", Some("127.0.0.1")),
            (XForwarded, "127.0.0.1", "x-forwarded-for", "10.9.9.9, 10.0.0.7", Some("10.0.0.7")),
            (XForwarded, "127.0.0.1", "x-forwarded-host", "public.fr", None),
            (XForwarded, "127.0.0.1", "forwarded", "for=6.6.6.6", None),
            (Forwarded, "127.0.0.1", "x-forwarded-for", "6.6.6.6", None),
            (Forwarded, "127.0.0.1", "forwarded", "for=6.6.6.6, For=\"[2001:db8::7]:4711\"", Some("2001:db8::7")),
            (Forwarded, "127.0.0.1", "forwarded", "for=198.51.100.1:80", Some("198.51.100.1")),
            (Forwarded, "127.0.0.1", "forwarded", "for=unknown", Some("127.0.0.1")),
            (Forwarded, "127.0.0.1", "forwarded", "host=public.fr", None),
            (Forwarded, "10.1.2.3", "forwarded", "for=unknown", Some("10.1.2.3")),
        ] {
            let found = sender(believed, neighbour, &[(name, value)]).0;
            assert_eq!(found.as_deref(), expected, "{believed:?} {neighbour} {name} {value}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nobody() {
        let mut headers = HeaderMap::new();
        let value = [&b"\xff, "[..], b"198.51.100.2"].concat();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(&value).unwrap());
        let sender = Sender::of(&Limits::default(), Some("127.0.0.1".parse().unwrap()), &headers);
        assert_eq!(sender.client, Some("198.51.100.2".parse().unwrap()));
    }

    /// As many hops as a head may hold, beside one long host: the work is that of reading them once.
    #[test]
    fn a_client_that_writes_many_hops_costs_no_more_than_its_head() {
        let hops = format!("{}198.51.100.1", "6.6.6.6,".repeat(20_000));
        let host = format!("{}public.fr", "a".repeat(200_000) + ",");
        let (client, base) =
            sender(ProxyHeaders::XForwarded, "127.0.0.1", &[("x-forwarded-for", &hops), ("x-forwarded-host", &host)]);
        assert_eq!((client.as_deref(), base.as_str()), (Some("198.51.100.1"), "http://public.fr"));
    }

    /// The first of two proxies that add to the headers heard the client; what stands before is the client's own word.
    #[test]
    fn the_address_is_that_by_which_the_client_asked_the_first_of_our_proxies() {
        use ProxyHeaders::{Forwarded, XForwarded};
        const FOR: &str = "x-forwarded-for";
        const HOST: &str = "x-forwarded-host";
        const PROTO: &str = "x-forwarded-proto";
        for (believed, said, expected) in [
            (XForwarded, &[][..], "http://inside"),
            (XForwarded, &[(HOST, "public.fr"), (PROTO, "https")], "https://public.fr"),
            (XForwarded, &[(FOR, "198.51.100.1"), (HOST, "public.fr"), (PROTO, "HTTPS")], "https://public.fr"),
            (XForwarded, &[(FOR, "198.51.100.1"), (HOST, "evil.test, public.fr")], "http://public.fr"),
            (XForwarded, &[(FOR, "198.51.100.1, 10.0.0.2"), (HOST, "public.fr, second")], "http://public.fr"),
            (XForwarded, &[(FOR, "198.51.100.1, 10.0.0.2"), (HOST, "evil, public.fr, second")], "http://public.fr"),
            (XForwarded, &[(FOR, "6.6.6.6, 198.51.100.1, 10.0.0.2"), (HOST, "public.fr")], "http://public.fr"),
            (XForwarded, &[(FOR, "6.6.6.6"), (FOR, "198.51.100.1"), (HOST, "public.fr:8443")], "http://public.fr:8443"),
            (XForwarded, &[("forwarded", "for=198.51.100.1;host=evil.test;proto=https")], "http://inside"),
            (XForwarded, &[(PROTO, "javascript")], "http://inside"),
            (XForwarded, &[(HOST, "x\"><script>")], "http://localhost"),
            (Forwarded, &[(HOST, "evil.test"), (PROTO, "https")], "http://inside"),
            (Forwarded, &[("forwarded", "for=1.2.3.4;Host=\"public.fr:8443\";proto=https")], "https://public.fr:8443"),
            (
                Forwarded,
                &[(
                    "forwarded",
                    "for=6.6.6.6;host=evil.test, for=198.51.100.1;host=public.fr, for=10.0.0.2;host=second",
                )],
                "http://public.fr",
            ),
        ] {
            assert_eq!(sender(believed, "127.0.0.1", said).1, expected, "{believed:?} {said:?}");
            assert_eq!(sender(believed, "203.0.113.9", said).1, "http://inside", "no proxy of ours: {said:?}");
        }
        let configured = Site { public_url: Some("https://emploi.example.fr/".to_owned()) };
        let base = Sender::default().base(&configured, &HeaderMap::new(), &Uri::from_static("/"));
        assert_eq!(&*base.0, "https://emploi.example.fr");
    }
}
