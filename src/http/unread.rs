//! Requests that cannot be read. The library answers them by itself, before anybody of ours is asked, with a status and
//! nothing else; what it writes is told here as every refusal is.

use super::front::{HEAD_BYTES_MAX, URL_BYTES_MAX};
use super::problem::Problem;
use axum::http::StatusCode;

/// Longest head that the library writes by itself, in bytes: a status line, a length, a date and how the line goes on.
const BARE_BYTES_MAX: usize = 256;

/// Headers of a request that the library reads.
const HEADERS_MAX: usize = 100;

/// The line by which it says that nothing follows.
const NO_BODY: &str = "content-length: 0\r\n";

/// What to write instead of these bytes, with its status; `None` unless they are a whole answer that the library made.
///
/// Who asks hands over what is written while no request is answered; what an answer of ours ends with has another shape.
pub fn told(bare: &[u8]) -> Option<(StatusCode, Vec<u8>)> {
    let bare = Some(bare).filter(|bare| bare.len() <= BARE_BYTES_MAX)?;
    let bare = std::str::from_utf8(bare).ok()?;
    let (first, rest) = bare.strip_suffix("\r\n")?.split_once("\r\n").filter(|(_, rest)| rest.contains(NO_BODY))?;
    let status = first.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let long = |code, place, found, expected: String| Some(Problem::refused(status, code, place, found, expected));
    let problem = match status {
        StatusCode::BAD_REQUEST => {
            let expected = "a request as HTTP/1.1 writes it, with all but ASCII percent-encoded in its address";
            Some(Problem::refused(status, "unreadable_request", "request", "bytes that are no request", expected))
        }
        StatusCode::URI_TOO_LONG => {
            let expected = format!("{URL_BYTES_MAX} bytes at most");
            long("url_too_long", "path and query", "more bytes than this door takes", expected)
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            let expected = format!("{HEADERS_MAX} headers and {HEAD_BYTES_MAX} bytes at most");
            long("head_too_large", "headers", "more headers, or more bytes, than this door takes", expected)
        }
        _ => None,
    };
    let body = problem?.to_json().to_string();
    let kept = rest.split_inclusive("\r\n").filter(|line| *line != NO_BODY).collect::<String>();
    let head = format!(
        "{first}\r\n{kept}content-type: application/problem+json\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\naccess-control-allow-origin: *\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Some((status, (head + &body).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_refuses_is_told_and_nothing_else() {
        let bare = |first: &str| {
            format!("HTTP/1.1 {first}\r\ncontent-length: 0\r\ndate: Mon, 23 Nov 2026 02:20:00 GMT\r\n\r\n")
        };
        for (first, code, expected) in [
            ("400 Bad Request", "unreadable_request", "percent-encoded"),
            ("414 URI Too Long", "url_too_long", "8192 bytes"),
            ("431 Request Header Fields Too Large", "head_too_large", "100 headers and 32768 bytes"),
        ] {
            let (status, told) = told(bare(first).as_bytes()).unwrap();
            assert!(first.starts_with(status.as_str()), "{first}");
            let told = String::from_utf8(told).unwrap();
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {first}\r\ndate: Mon, 23")), "{head}");
            assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{head}");
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!((&json["code"], &json["status"]), (&code.into(), &status.as_u16().into()));
            assert!(json["expected"].as_str().unwrap().contains(expected), "{json}");
        }
        for other in ["200 OK", "404 Not Found", "x"] {
            assert_eq!(told(bare(other).as_bytes()), None, "{other}");
        }
        let whole = bare("400 Bad Request");
        for other in [&whole[..whole.len() - 4], &whole[1..], &(whole.clone() + "{}"), ""] {
            assert_eq!(told(other.as_bytes()), None, "{other}");
        }
    }
}
