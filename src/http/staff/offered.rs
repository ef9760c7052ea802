//! Keys offered where none is needed: programs that were given one send it everywhere, and are told when it is wrong.

use crate::http::problem::Problem;
use crate::pipeline::office::Office;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets a request through that offers no key, or one that works. What a key opened is kept nowhere on the way.
pub async fn offered(State(office): State<Office>, request: Request, next: Next) -> Response {
    let Some(place) = place(request.headers(), request.uri()) else { return next.run(request).await };
    let known = match key(request.headers(), request.uri()) {
        Some(key) => office.who(&key).await,
        None => Ok(None),
    };
    match known {
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
    let Some(authorization) = headers.get(header::AUTHORIZATION) else { return of_query(uri).map(str::to_owned) };
    let (scheme, credentials) = authorization.to_str().ok()?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(credentials.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(base64(credentials.trim())?).ok()?;
            pair.split_once(':').map(|(_, key)| key.to_owned())
        }
        _ => None,
    }
}

/// Keys are of letters, digits and `_`, which nobody percent-encodes.
fn of_query(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("api_key="))
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
    use super::base64;

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
