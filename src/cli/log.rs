//! The log on its way to standard error: lines are gathered for a moment and written together, since a write for each
//! request would cost as much as its answer. Warnings and errors are written at once, with all that came before.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
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
        SystemTime.format_time(&mut line)?;
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

/// Writes fields as `name=value`, and the message as it is.
struct Fields<'w> {
    line: Writer<'w>,
    first: bool,
    done: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.done = self.done.and_then(|()| {
            if !std::mem::take(&mut self.first) {
                self.line.write_char(' ')?;
            }
            if field.name() != "message" {
                self.line.write_str(field.name())?;
                self.line.write_char('=')?;
            }
            write!(Harmless(&mut self.line), "{value}")
        });
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Where in a library a record of the crate `log` was made.
        if !field.name().starts_with("log.") {
            self.write(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.write(field, format_args!("{value}"));
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
