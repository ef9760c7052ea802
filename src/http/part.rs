//! Parts of an answer: one range of bytes (RFC 9110, section 14). Several ranges at once are answered whole, which the
//! RFC leaves to the server.

use axum::http::HeaderValue;
use std::ops::Range;

/// What of the bytes is wished.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// These, at least one.
    Bytes(Range<usize>),
    /// None that there are.
    Outside,
}

/// What `Range` asks of so many bytes that have this tag; `If-Range` must name the same tag, or all is sent again.
pub fn wanted(range: &HeaderValue, if_range: Option<&HeaderValue>, tag: &HeaderValue, whole: usize) -> Part {
    // A date in `If-Range` names no bytes of ours, and a weak tag none for sure.
    if if_range.is_some_and(|named| named != tag) {
        return Part::Whole;
    }
    let Some((unit, set)) = range.to_str().ok().and_then(|range| range.split_once('=')) else { return Part::Whole };
    let Some((from, to)) = set.trim().split_once('-') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Part::Whole;
    }
    // A number too large for a machine word lies after every end.
    let number = |text: &str| match !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Some(text.parse().unwrap_or(usize::MAX)),
        false => None,
    };
    match (number(from), number(to)) {
        (Some(from), None) if to.is_empty() && from < whole => Part::Bytes(from..whole),
        (Some(_), None) if to.is_empty() => Part::Outside,
        (Some(from), Some(to)) if from > to => Part::Whole,
        (Some(from), Some(to)) if from < whole => Part::Bytes(from..to.saturating_add(1).min(whole)),
        (Some(_), Some(_)) => Part::Outside,
        (None, Some(last)) if from.is_empty() && last > 0 && whole > 0 => Part::Bytes(whole - last.min(whole)..whole),
        (None, Some(_)) if from.is_empty() => Part::Outside,
        (None | Some(_), None | Some(_)) => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_and_anything_else_is_sent_whole_or_refused() {
        let tag = HeaderValue::from_static("\"a\"");
        for (range, if_range, expected) in [
            ("bytes=0-0", None, Part::Bytes(0..1)),
            ("bytes=2-4", None, Part::Bytes(2..5)),
            ("Bytes= 2-", None, Part::Bytes(2..10)),
            ("bytes=9-99", None, Part::Bytes(9..10)),
            ("bytes=0-99999999999999999999999", None, Part::Bytes(0..10)),
            ("bytes=-3", None, Part::Bytes(7..10)),
            ("bytes=-30", None, Part::Bytes(0..10)),
            ("bytes=10-", None, Part::Outside),
            ("bytes=99999999999999999999999-", None, Part::Outside),
            ("bytes=10-12", None, Part::Outside),
            ("bytes=-0", None, Part::Outside),
            ("bytes=4-2", None, Part::Whole),
            ("bytes=-", None, Part::Whole),
            ("bytes=a-b", None, Part::Whole),
            ("bytes=0-1,4-5", None, Part::Whole),
            ("rows=0-1", None, Part::Whole),
            ("bytes", None, Part::Whole),
            ("bytes=2-4", Some("\"a\""), Part::Bytes(2..5)),
            ("bytes=2-4", Some("\"b\""), Part::Whole),
            ("bytes=2-4", Some("W/\"a\""), Part::Whole),
            ("bytes=2-4", Some("Sun, 22 Nov 2026 12:00:00 GMT"), Part::Whole),
        ] {
            let (header, named) = (range.parse().unwrap(), if_range.map(|tag| tag.parse().unwrap()));
            assert_eq!(wanted(&header, named.as_ref(), &tag, 10), expected, "{range} {if_range:?}");
        }
        assert_eq!(wanted(&HeaderValue::from_static("bytes=0-"), None, &tag, 0), Part::Outside);
        assert_eq!(wanted(&HeaderValue::from_static("bytes=-1"), None, &tag, 0), Part::Outside);
    }
}
