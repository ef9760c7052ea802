//! Answers kept as they are sent: by release, address, format and coding, within a bound of bytes.
//!
//! A public answer is decided by its release and its request, so it is made and compressed once. A change on the shelf
//! forgets all of them at once.

use super::front::REQUEST_ID;
use super::health::Route;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What an entry costs beside its body and its name, in bytes: headers and places in two lists, rounded up.
const ENTRY_BYTES: usize = 2048;

/// The share of all room that one answer may take: a file that would push out most others is made each time.
const SHARE: usize = 4;

const CONTENT_CRS: HeaderName = HeaderName::from_static("content-crs");

/// Answers kept.
pub struct Kept {
    most_bytes: usize,
    shelves: RwLock<Shelves>,
}

#[derive(Default)]
struct Shelves {
    /// Which state of the shelf the answers are of.
    turn: u64,
    by_name: HashMap<Arc<str>, Arc<Answer>>,
    /// Names in the order in which they are looked at when room is needed.
    queue: VecDeque<Arc<str>>,
    bytes: usize,
}

/// A public answer of status 200, or what is said of it to those who hold it.
pub struct Answer {
    /// Its headers, the tag included.
    pub headers: HeaderMap,
    /// Those of an answer to who holds the body.
    pub headers_without_body: HeaderMap,
    /// Its entity tag, with quotes and the suffix of its coding.
    pub tag: HeaderValue,
    /// Its body, in its coding; `None` while only those asked who hold it, or where it is too large to be kept.
    pub body: Option<Bytes>,
    /// Where it is counted.
    pub route: Arc<Route>,
    used: AtomicBool,
}

impl Answer {
    /// `None` when the headers have no tag.
    pub fn new(headers: HeaderMap, body: Bytes, route: Arc<Route>) -> Option<Self> {
        Self::of(headers, Some(body), route)
    }

    /// The same of an answer of status 304.
    pub fn bodiless(headers: HeaderMap, route: Arc<Route>) -> Option<Self> {
        Self::of(headers, None, route)
    }

    fn of(mut headers: HeaderMap, body: Option<Bytes>, route: Arc<Route>) -> Option<Self> {
        let tag = headers.get(header::ETAG)?.clone();
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // What each answer is dressed in has its place, so that no copy grows.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REQUEST_ID, HeaderValue::from_static(""));
        let mut headers_without_body = headers.clone();
        leave_to_the_holder(&mut headers_without_body);
        Some(Self { headers, headers_without_body, tag, body, route, used: AtomicBool::new(false) })
    }
}

impl Answer {
    fn without_body(&self) -> Self {
        Self {
            headers: self.headers.clone(),
            headers_without_body: self.headers_without_body.clone(),
            tag: self.tag.clone(),
            body: None,
            route: self.route.clone(),
            used: AtomicBool::new(false),
        }
    }
}

/// Takes away what is said of a body that does not follow, since its holder was told with it (RFC 9110, 15.4.5).
pub fn leave_to_the_holder(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_DISPOSITION,
        CONTENT_CRS,
        header::LINK,
        header::ACCEPT_RANGES,
    ] {
        headers.remove(name);
    }
}

impl Kept {
    pub fn new(most_bytes: usize) -> Self {
        Self { most_bytes, shelves: RwLock::default() }
    }

    /// The answer of this name, if it is of this turn of the shelf.
    pub fn get(&self, turn: u64, name: &str) -> Option<Arc<Answer>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let answer = shelves.by_name.get(name).filter(|_| shelves.turn == turn)?;
        answer.used.store(true, Ordering::Relaxed);
        Some(answer.clone())
    }

    /// Keeps an answer that was made during this turn, and lets those go that nobody asked for since their last look.
    pub fn put(&self, turn: u64, name: String, answer: Arc<Answer>) {
        let size =
            |name: &str, answer: &Answer| ENTRY_BYTES + 2 * name.len() + answer.body.as_ref().map_or(0, Bytes::len);
        let mut answer = answer;
        if size(&name, &answer) > self.most_bytes / SHARE {
            answer = Arc::new(answer.without_body());
        }
        let bytes = size(&name, &answer);
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        if shelves.turn != turn {
            // An answer of an older turn comes too late.
            if shelves.turn > turn {
                return;
            }
            *shelves = Shelves { turn, ..Shelves::default() };
        }
        let there = shelves.by_name.get_key_value(name.as_str());
        let there = there.map(|(name, there)| (name.clone(), size(name, there), there.body.is_some()));
        if there.as_ref().is_some_and(|(_, _, whole)| *whole || answer.body.is_none()) {
            return;
        }
        let known = there.is_some();
        let (name, room) = there.map_or_else(|| (name.into(), 0), |(name, room, _)| (name, room));
        shelves.bytes += bytes - room;
        shelves.by_name.insert(name.clone(), answer);
        while shelves.bytes > self.most_bytes {
            let Some(oldest) = shelves.queue.pop_front() else { break };
            if shelves.by_name.get(&oldest).is_some_and(|answer| answer.used.swap(false, Ordering::Relaxed)) {
                shelves.queue.push_back(oldest);
            } else if let Some(answer) = shelves.by_name.remove(&oldest) {
                shelves.bytes -= size(&oldest, &answer);
            }
        }
        if !known {
            shelves.queue.push_back(name);
        }
    }

    /// How many are kept, and their bytes.
    pub fn filled(&self) -> (usize, usize) {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        (shelves.by_name.len(), shelves.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::health::Metrics;

    fn answer(bytes: usize) -> Arc<Answer> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        Arc::new(Answer::new(headers, vec![0; bytes].into(), Metrics::default().route("/")).unwrap())
    }

    #[test]
    fn what_is_asked_for_stays_and_the_bound_holds() {
        let most = 100 * ENTRY_BYTES;
        let kept = Kept::new(most);
        kept.put(1, "hot".to_owned(), answer(1000));
        for i in 0..1000 {
            assert!(kept.get(1, "hot").is_some(), "{i}");
            kept.put(1, format!("cold {i}"), answer(1000));
            assert!(kept.filled().1 <= most, "{i}");
        }
        assert!(kept.get(1, "cold 0").is_none() && kept.get(1, "cold 999").is_some());
        kept.put(1, "huge".to_owned(), answer(most));
        assert!(kept.get(1, "huge").is_none_or(|huge| huge.body.is_none()) && kept.get(1, "hot").is_some());
    }

    #[test]
    fn an_answer_without_its_body_gives_way_to_the_whole_one_and_never_the_other_way_round() {
        let kept = Kept::new(100 * ENTRY_BYTES);
        for (put, whole) in [(false, false), (true, true), (false, true)] {
            let answer = if put { answer(1000) } else { Arc::new(answer(1000).without_body()) };
            kept.put(1, "name".to_owned(), answer);
            assert_eq!(kept.get(1, "name").unwrap().body.is_some(), whole);
            let bytes = ENTRY_BYTES + 2 * "name".len() + if whole { 1000 } else { 0 };
            assert_eq!(kept.filled(), (1, bytes));
        }
    }

    #[test]
    fn another_release_forgets_all_and_late_answers_of_the_last_one_are_not_kept() {
        let kept = Kept::new(1 << 20);
        kept.put(1, "a".to_owned(), answer(1));
        assert!(kept.get(2, "a").is_none());
        kept.put(2, "b".to_owned(), answer(1));
        kept.put(1, "c".to_owned(), answer(1));
        assert!(kept.get(2, "b").is_some() && kept.get(1, "a").is_none() && kept.get(2, "c").is_none());
        assert_eq!(kept.filled().0, 1);
    }
}
