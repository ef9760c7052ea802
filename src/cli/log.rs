//! The log on its way to standard error: lines are gathered for a moment and written together, since a write for each
//! request would cost as much as its answer. Warnings and errors are written at once, with all that came before.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

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
