//! The log on its way to standard error: lines are gathered for a moment and written together, since a write for each
//! request would cost as much as its answer. Warnings and errors are written at once, with all that came before.

use chrono::Utc;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// How long a line may wait: who watches sees no delay.
const WAIT: Duration = Duration::from_millis(20);

/// Lines that wait at most, in bytes; who makes more waits until they are written.
const BYTES_MAX: usize = 256 << 10;

/// Lines that wait to be written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

/// Writes lines until it is dropped, and then those that are left.
pub struct Scribe {
    lines: Lines,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    pub fn of(lines: &Lines) -> Self {
        let (stop, stopped) = mpsc::channel();
        let waiting = lines.clone();
        let work = move || {
            while stopped.recv_timeout(WAIT) == Err(RecvTimeoutError::Timeout) {
                waiting.write_out();
            }
        };
        // Without a thread, lines are written when there are many, and at the end.
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(work).ok();
        Self { lines: lines.clone(), stop: Some(stop), thread }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.lines.write_out();
    }
}

impl Lines {
    fn write_out(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_empty() {
            // A log that cannot be written is no reason to stop serving.
            let _ = io::stderr().write_all(&waiting);
            waiting.clear();
        }
    }
}

/// One line.
pub struct Line<'l> {
    lines: &'l Lines,
    at_once: bool,
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line { lines: self, at_once: true }
    }

    fn make_writer_for(&'l self, meta: &Metadata<'_>) -> Line<'l> {
        Line { lines: self, at_once: *meta.level() <= Level::WARN }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let waiting = {
            let mut waiting = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.extend_from_slice(bytes);
            waiting.len()
        };
        if self.at_once || waiting > BYTES_MAX {
            self.lines.write_out();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.write_out();
        Ok(())
    }
}

/// Lines as the library writes them without colours, at a third of its cost: there is one for each request. Unlike there,
/// the end of a line within a text is written as `\n`, so that no text begins a line of its own.
pub struct Plain;

impl<S, F> FormatEvent<S, F> for Plain
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    F: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, F>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write_now(&mut line)?;
        line.write_str(match *event.metadata().level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        })?;
        let mut within = false;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            line.write_str(span.name())?;
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<F>>().filter(|fields| !fields.is_empty()) {
                write!(line, "{{{fields}}}")?;
            }
            line.write_char(':')?;
            within = true;
        }
        if within {
            line.write_char(' ')?;
        }
        let mut fields = Fields { line, first: true, done: Ok(()) };
        event.record(&mut fields);
        fields.done?;
        fields.line.write_char('\n')
    }
}

thread_local! {
    /// The second of this thread's last line, and how it is written.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// The time in UTC to the microsecond (RFC 3339). Date and second are worked out once for all lines of a second.
fn write_now(line: &mut Writer<'_>) -> fmt::Result {
    let now = Utc::now();
    SECOND.with_borrow_mut(|(second, written)| {
        if *second != now.timestamp() {
            (*second, *written) = (now.timestamp(), now.format("%Y-%m-%dT%H:%M:%S").to_string());
        }
        line.write_str(written)?;
        // A leap second has more than a million of them.
        let mut places = *b"000000";
        write_digits(u64::from(now.timestamp_subsec_micros().min(999_999)), &mut places);
        line.write_char('.')?;
        line.write_str(text(&places))?;
        line.write_char('Z')
    })
}

/// Writes a number at the end of these places, and says where it begins. Of the digits of a line the general way to
/// write numbers would take a third of its time.
fn write_digits(mut n: u64, places: &mut [u8]) -> usize {
    let mut at = places.len();
    while at > 0 {
        at -= 1;
        places[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    at
}

/// Digits are text.
fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Writes fields as `name=value`, and the message as it is.
struct Fields<'w> {
    line: Writer<'w>,
    first: bool,
    done: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Harmless<'_, '_>) -> fmt::Result) {
        // Where in a library a record of the crate `log` was made.
        if field.name().starts_with("log.") {
            return;
        }
        self.done = self.done.and_then(|()| {
            if !std::mem::take(&mut self.first) {
                self.line.write_char(' ')?;
            }
            if field.name() != "message" {
                self.line.write_str(field.name())?;
                self.line.write_char('=')?;
            }
            value(&mut Harmless(&mut self.line))
        });
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |line| write!(line, "{value:?}"));
    }

    /// Names of routes and requests hold nothing that has to be escaped.
    fn record_str(&mut self, field: &Field, value: &str) {
        let plain = value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\');
        match field.name() {
            "message" => self.write(field, |line| line.write_str(value)),
            _ if plain => self.write(field, |line| {
                line.0.write_char('"')?;
                line.0.write_str(value)?;
                line.0.write_char('"')
            }),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |line| {
            let mut places = [0; 20];
            let from = write_digits(value, &mut places);
            line.0.write_str(text(&places[from..]))
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |line| line.0.write_str(if value { "true" } else { "false" }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let thousandths = value * 1e3;
        // Durations are told to the thousandth; so many digits name a number, and no fewer do.
        let is_short =
            value.is_sign_positive() && thousandths < 1e12 && (thousandths.round() / 1e3).to_bits() == value.to_bits();
        if !is_short {
            return self.record_debug(field, &value);
        }
        self.write(field, |line| {
            let n = thousandths.round() as u64;
            let (mut whole, mut places) = ([0; 20], *b"000");
            let from = write_digits(n / 1000, &mut whole);
            write_digits(n % 1000, &mut places);
            let kept = places.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
            line.0.write_str(text(&whole[from..]))?;
            line.0.write_char('.')?;
            line.0.write_str(text(&places[..kept]))
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.write(field, |line| write!(line, "{value}"));
        let mut source = value.source();
        while let Some(error) = source {
            self.done = self.done.and_then(|()| write!(Harmless(&mut self.line), ": {error}"));
            source = error.source();
        }
    }
}

/// Writes control characters, which a terminal or a reader of lines would obey, as escapes.
struct Harmless<'l, 'w>(&'l mut Writer<'w>);

impl fmt::Write for Harmless<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        let obeyed = |c: char| c.is_control() && c != '\t';
        while let Some((at, found)) = text.char_indices().find(|(_, c)| obeyed(*c)) {
            self.0.write_str(&text[..at])?;
            match u32::from(found) {
                0x0a => self.0.write_str("\\n")?,
                0x0d => self.0.write_str("\\r")?,
                code @ ..0x80 => write!(self.0, "\\x{code:02x}")?,
                code => write!(self.0, "\\u{{{code:x}}}")?,
            }
            text = &text[at + found.len_utf8()..];
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log holds after some lines of every kind, without the times.
    fn written(plain: bool) -> String {
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).with_target(false);
        let log = log.with_max_level(Level::INFO);
        let speak = || {
            let _request = tracing::info_span!("request", id = "ab").entered();
            tracing::info!(
                text = "two \"words\"\n",
                number = -3,
                share = 0.25,
                yes = true,
                none = None::<&str>,
                "said"
            );
            let _bare = tracing::info_span!("bare").entered();
            tracing::info!("a message with {} é\nand a second line", "a \u{1b}[31m word\u{7f} and \u{9b}one");
            tracing::info!(code = 7);
            tracing::debug!("not to be heard");
        };
        match plain {
            true => tracing::subscriber::with_default(log.event_format(Plain).finish(), speak),
            false => tracing::subscriber::with_default(log.finish(), speak),
        }
        let bytes = std::mem::take(&mut *lines.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned() + "\n").collect()
    }

    #[test]
    fn lines_are_those_of_the_library_but_for_ends_of_lines() {
        let (plain, library) = (written(true), written(false));
        assert!(plain.contains("number=-3 share=0.25 yes=true"), "{plain}");
        assert!(library.contains("é\na second line"), "{library}");
        assert_eq!(plain, library.replace("é\na second", "é\\nand a second"));
    }

    #[test]
    fn numbers_are_written_as_the_library_writes_them() {
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().with_writer(lines.clone()).event_format(Plain).finish();
        let shares = [0.0, -0.0, 0.001, 0.01, 0.1, 0.25, 1.0, 12.34, 999.999, 1e9, 1e15, 1e16, 0.0005, 1.0 / 3.0, -2.5];
        let wholes = [0, 7, 10, 200, 1_000_000, u64::MAX];
        let mut expected = String::new();
        tracing::subscriber::with_default(log, || {
            for share in shares.into_iter().chain([f64::NAN, f64::INFINITY]) {
                tracing::info!(share);
                expected += &format!(" INFO share={share:?}\n");
            }
            for whole in wholes {
                tracing::info!(whole, no = false);
                expected += &format!(" INFO whole={whole:?} no=false\n");
            }
        });
        let written = String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap();
        let times: Vec<&str> = written.lines().map(|line| line.split_once(' ').unwrap().0).collect();
        let told: String = written.lines().map(|line| line.split_once(' ').unwrap().1.to_owned() + "\n").collect();
        assert_eq!(told, expected);
        for time in times {
            assert_eq!(time.len(), "2026-03-01T00:00:00.000000Z".len(), "{time}");
            assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        }
    }

    #[test]
    fn an_error_is_said_with_its_sources_and_records_without_their_places() {
        #[derive(Debug)]
        struct Torn(std::num::ParseIntError);
        impl fmt::Display for Torn {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("torn\r\n 2026 INFO")
            }
        }
        impl std::error::Error for Torn {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().with_writer(lines.clone()).event_format(Plain).finish();
        tracing::subscriber::with_default(log, || {
            let torn = Torn("x".parse::<u8>().unwrap_err());
            tracing::info!(log.file = "a place", error = &torn as &(dyn std::error::Error + 'static), "failed");
        });
        let line = String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap();
        let (_, said) = line.split_once(' ').unwrap();
        assert_eq!(said, " INFO failed error=torn\\r\\n 2026 INFO: invalid digit found in string\n");
    }
}
