//! Keys offered where none is needed. One of a partner shows what is published for partners; programs that were given
//! another one send it everywhere, and OData tells them when it is wrong.

use super::authorization;
use crate::http::OfPartner;
use crate::http::answer::Public;
use crate::http::problem::Problem;
use crate::pipeline::office::{Fault, Office, Who};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Under `/odata`: lets a request through that offers no key, or one that works. What a key opened is kept nowhere on the
/// way.
pub async fn offered(State(office): State<Office>, request: Request, next: Next) -> Response {
    let Some(place) = place(request.headers(), request.uri()) else { return next.run(request).await };
    match whose(&office, key(request.headers(), request.uri())).await {
        Ok(Some(who)) if who.role.sees_releases_for_partners() => for_partner(request, next).await,
        Ok(Some(_)) => {
            let mut answer = next.run(request).await;
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        Ok(None) => {
            // What was sent may be a key with a slip of the pen: it is never repeated.
            let found = "a key that is not known, was revoked or has ended";
            let expected = "a key that works, or none: what is published is for all";
            Problem::refused(StatusCode::UNAUTHORIZED, "bad_key", place, found, expected).into_response()
        }
        Err(fault) => Problem::of_staff(fault).into_response(),
    }
}

/// Elsewhere: a key of a partner shows what is published for partners, and with any other the request goes its way as if
/// it were nobody's.
pub async fn recognised(State(office): State<Office>, request: Request, next: Next) -> Response {
    if place(request.headers(), request.uri()).is_none() {
        return next.run(request).await;
    }
    match whose(&office, key(request.headers(), request.uri())).await {
        Ok(Some(who)) if who.role.sees_releases_for_partners() => for_partner(request, next).await,
        Ok(_) => next.run(request).await,
        // Whether it is a partner who asks is not known, and less than a partner is given would look like all there is.
        Err(fault) => Problem::of_staff(fault).into_response(),
    }
}

async fn whose(office: &Office, key: Option<String>) -> Result<Option<Who>, Fault> {
    match key {
        Some(key) => office.who(&key).await,
        None => Ok(None),
    }
}

/// Answers from what is published for partners, the same way whether or not that is more than what is public. Nothing of
/// it is kept anywhere, so it needs no tag, and no link in it holds the key.
async fn for_partner(mut request: Request, next: Next) -> Response {
    if let Some(uri) = without_key(request.uri()) {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(header::IF_NONE_MATCH);
    request.extensions_mut().insert(OfPartner);
    let mut answer = next.run(request).await;
    answer.extensions_mut().remove::<Public>();
    answer.extensions_mut().insert(OfPartner);
    let headers = answer.headers_mut();
    headers.remove(header::ETAG);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.append(header::VARY, HeaderValue::from_static("Authorization, X-API-Key"));
    answer
}

/// The address without its parameter `api_key`; `None` when it has none.
fn without_key(uri: &Uri) -> Option<Uri> {
    let pairs = uri.query()?.split('&');
    // A pair by itself is read as it is among others.
    let is_key = |pair: &&str| format!("/?{pair}").parse().is_ok_and(|uri| of_query(&uri).is_some());
    let kept: Vec<&str> = pairs.clone().filter(|pair| !is_key(pair)).collect();
    let address = match &kept[..] {
        kept if kept.len() == pairs.count() => return None,
        [] => uri.path().to_owned(),
        kept => format!("{}?{}", uri.path(), kept.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(address.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Where a key is offered, if one is.
fn place(headers: &HeaderMap, uri: &Uri) -> Option<&'static str> {
    if headers.contains_key("x-api-key") {
        return Some("header `X-API-Key`");
    }
    if headers.contains_key(header::AUTHORIZATION) {
        return Some("header `Authorization`");
    }
    of_query(uri).map(|_| "parameter `api_key`")
}

/// The key: in `X-API-Key`, after `Bearer`, as the password of `Basic` with any name, or as the parameter `api_key`.
fn key(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::to_owned);
    }
    if !headers.contains_key(header::AUTHORIZATION) {
        return of_query(uri);
    }
    let (scheme, credentials) = authorization(headers)?;
    match scheme.as_str() {
        "bearer" => Some(credentials.to_owned()),
        "basic" => {
            let pair = String::from_utf8(base64(credentials)?).ok()?;
            pair.split_once(':').map(|(_, key)| key.to_owned())
        }
        _ => None,
    }
}

fn of_query(uri: &Uri) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.into_iter().find(|(name, _)| name == "api_key").map(|(_, key)| key)
}

/// The bytes of a text in base64 (RFC 4648, 4), its padding left out or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{base64, without_key};
    use crate::http::{Shelf, Site, router_with_staff};
    use crate::model::Role;
    use crate::pipeline::office::{Office, Settings, Who};
    use crate::store::SqliteStore;
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use std::sync::Arc;
    use tower::ServiceExt;

    /// As clients write a name and a password.
    fn basic(name: &str, password: &str) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = |three: &[u8]| {
            let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
            (0..=three.len()).map(|i| char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize])).collect::<String>()
        };
        let text: String = format!("{name}:{password}").as_bytes().chunks(3).map(digits).collect();
        format!("Basic {text}")
    }

    #[tokio::test]
    async fn odata_needs_no_key_and_refuses_a_wrong_one_wherever_it_is_offered() {
        let office = Office::new(Arc::new(SqliteStore::in_memory().await.unwrap()), Settings::default(), |_| ());
        let role: Role = "partner:urssaf".parse().unwrap();
        let told = office.new_key(&Who::operator("test"), "Jeanne Martin", &role, None).await.unwrap();
        let (key, id) = (told["key"].as_str().unwrap().to_owned(), told["id"].as_str().unwrap().to_owned());
        let house = router_with_staff(Shelf::new(), Site::default(), office.clone());
        let get = async |path: String, header: Option<(&str, String)>| {
            let mut request = Request::builder().uri(&path);
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            let answer = house.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let (parts, body) = answer.into_parts();
            (parts, String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap())
        };
        let plain = "/odata/".to_owned();
        assert_eq!(get(plain.clone(), None).await.0.status, StatusCode::OK, "nothing is asked for");
        let wrong = format!("{}0", &key);
        for works in [true, false] {
            let key = if works { &key } else { &wrong };
            for (path, header) in [
                (plain.clone(), Some(("x-api-key", key.clone()))),
                (plain.clone(), Some(("authorization", format!("Bearer {key}")))),
                (plain.clone(), Some(("authorization", basic("n'importe qui", key)))),
                (format!("/odata/?api_key={key}"), None),
                (format!("/odata/?$format=json&api_key={key}"), None),
            ] {
                let (parts, body) = get(path.clone(), header.clone()).await;
                let expected = if works { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                assert_eq!(parts.status, expected, "{path} {header:?}");
                assert_eq!(parts.headers["odata-version"], "4.0");
                assert_eq!(parts.headers["cache-control"], if works { "private, no-store" } else { "no-store" });
                assert!(!body.contains(key.as_str()), "a key is never repeated");
                if !works {
                    assert_eq!(parts.headers["www-authenticate"], "Basic realm=\"arpent\"");
                    assert!(body.contains("\"code\":\"bad_key\""), "{body}");
                }
            }
        }
        for odd in ["Negotiate abc", "Basic", "Basic !", "Basic YQ==", "Bearer"] {
            let (parts, _) = get(plain.clone(), Some(("authorization", odd.to_owned()))).await;
            assert_eq!(parts.status, StatusCode::UNAUTHORIZED, "{odd}");
        }
        office.revoke_key(&Who::operator("test"), &id).await.unwrap();
        let (parts, _) = get(plain, Some(("x-api-key", key))).await;
        assert_eq!(parts.status, StatusCode::UNAUTHORIZED, "revoked");
    }

    #[test]
    fn a_key_is_taken_out_of_an_address_and_nothing_else_is() {
        for (address, left) in [
            ("/a", None),
            ("/a?b=c&api_keys=1", None),
            ("/a?api_key=x", Some("/a")),
            ("/a?b=%26&api_key=x&c=+", Some("/a?b=%26&c=+")),
            ("/a?api%5Fkey=x&b&api_key=", Some("/a?b")),
            ("http://h/a?api_key=x&b=1", Some("http://h/a?b=1")),
        ] {
            let found = without_key(&address.parse().unwrap());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), left, "{address}");
        }
    }

    #[test]
    fn base64_is_read() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vOmJhcg", Some(b"foo:bar")),
            ("+/8=", Some(b"\xfb\xff")),
            ("Zm9v!", None),
        ] {
            assert_eq!(base64(text).as_deref(), bytes, "{text}");
        }
    }
}
