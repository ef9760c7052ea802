//! What every answer under `/odata` has: the version, once, and errors in the form that OData clients read.

use super::edm::Face;
use crate::http::problem::Problem;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The version spoken.
const VERSION: &str = "4.0";

/// Media type of errors: JSON, whatever was asked for (part 1, 9.4).
const ERROR: &str = "application/json;odata.metadata=minimal;charset=utf-8";

/// Under `/odata`, says the version exactly once and gives every refusal the form of OData; elsewhere does nothing.
pub async fn speak(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/odata" && !path.starts_with("/odata/") {
        return next.run(request).await;
    }
    let mut answer = match version(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = answer.extensions().get::<Problem>().cloned() {
        refuse(&mut answer, &problem);
    }
    answer.headers_mut().insert(HeaderName::from_static("odata-version"), HeaderValue::from_static(VERSION));
    answer
}

/// Refuses a client that reads no version as late as ours (part 1, 8.2.7).
fn version(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(most) = headers.get("odata-maxversion") else { return Ok(()) };
    let most = most.to_str().unwrap_or_default();
    match most.trim().parse::<f32>() {
        Ok(version) if version >= 4.0 => Ok(()),
        _ => {
            let (place, found) = ("header `OData-MaxVersion`", format!("`{most}`"));
            Err(Problem::refused(StatusCode::BAD_REQUEST, "bad_version", place, found, "4.0 or later"))
        }
    }
}

/// The error object of OData JSON 4.0 (part 21), with our problem inside.
fn refuse(answer: &mut Response, problem: &Problem) {
    let error = json!({ "code": problem.code, "message": problem.detail(), "innererror": problem.to_json() });
    *answer.body_mut() = Body::from(json!({ "error": error }).to_string());
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_SECURITY_POLICY);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ERROR));
    if problem.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"arpent\""));
    }
}

/// The values of a key as an address has them after its `(`: one text, or a text for each column by name.
pub fn key(face: &Face, text: &str) -> Result<Vec<String>, Problem> {
    let bad = || {
        let by_name: Vec<String> = face.key.iter().map(|name| format!("{name}='…'")).collect();
        let alone = if face.key.len() == 1 { "('…') or " } else { "" };
        let expected = format!("{}{alone}({})", face.set, by_name.join(","));
        Problem::refused(StatusCode::BAD_REQUEST, "bad_key", "path", format!("`({text}`"), expected)
    };
    let mut rest = text;
    let mut values: Vec<Option<String>> = vec![None; face.key.len()];
    loop {
        let place = match rest.find('\'') {
            Some(0) if face.key.len() == 1 => 0,
            Some(quote) => {
                let name = rest[..quote].strip_suffix('=').ok_or_else(bad)?.trim();
                rest = &rest[quote..];
                face.key.iter().position(|column| *column == name).ok_or_else(bad)?
            }
            None => return Err(bad()),
        };
        let (value, after) = quoted(rest).ok_or_else(bad)?;
        if values[place].replace(value).is_some() {
            return Err(bad());
        }
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if after == ")" => break,
            None => return Err(bad()),
        }
    }
    values.into_iter().collect::<Option<Vec<String>>>().ok_or_else(bad)
}

/// The text between quotes at the start, in which a quote is written twice, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let (piece, after) = rest.split_once('\'')?;
        value.push_str(piece);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}
