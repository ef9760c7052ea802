//! Connections: how many at once, and how long each may keep us waiting.
//!
//! A slow head, a slow reader and an idle connection each have their limit; while a handler works, its connection may
//! be silent as long as the handler takes.

use super::health::Metrics;
use super::unread;
use crate::config::Limits;
use axum::serve::Listener;
use std::collections::HashMap;
use std::future::{Future, pending};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep};

/// Limits are looked at this many times within the shortest of them, so that none is passed by more than a quarter.
const LOOKS: u32 = 4;

/// Keeps connections few, and deals them to lanes.
pub struct Door {
    listener: TcpListener,
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
    callers: Arc<Callers>,
    metrics: Metrics,
}

/// Who calls, and on which line.
#[derive(Clone)]
pub struct Caller {
    /// Address at the other end: the client's, or that of a proxy.
    pub peer: SocketAddr,
    line: Arc<Line>,
}

/// What a connection and its requests tell each other.
#[derive(Debug, Default)]
struct Line {
    /// Requests being answered.
    at_work: AtomicUsize,
    /// Requests so far.
    begun: AtomicUsize,
}

/// A request being answered; its connection may be silent until this is dropped.
pub struct AtWork(Arc<Line>);

impl Caller {
    /// Tells the connection that a request came whole.
    pub fn begin(&self) -> AtWork {
        self.line.begun.fetch_add(1, Ordering::Relaxed);
        self.line.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(self.line.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    pub fn new(listener: TcpListener, limits: Arc<Limits>, metrics: Metrics) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self { listener, limits, places, callers: Arc::default(), metrics }
    }

    /// Lets connections in for as long as somebody waits for it, and deals them to the lanes in turn.
    pub async fn deal(mut self, lanes: Vec<mpsc::UnboundedSender<Arrival>>) {
        for lane in (0..lanes.len()).cycle() {
            let arrival = self.arrival().await;
            // A lane that has ended takes nobody any more; its caller finds the line closed.
            let _ = lanes[lane].send(arrival);
        }
    }

    /// The next one who comes in, once there is a place.
    pub async fn arrival(&mut self) -> Arrival {
        loop {
            // A place first: who comes when there is none waits in the queue of the system.
            let Ok(place) = self.places.clone().acquire_owned().await else { pending().await };
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            let address = peer.ip();
            let most = if self.limits.trusts(address) { usize::MAX } else { self.limits.connections_per_client };
            let Some(seat) = self.callers.seat(address, most) else {
                self.metrics.turned_away();
                continue;
            };
            // An answer goes out whole: nothing is gained by waiting for more.
            let _ = stream.set_nodelay(true);
            let Ok(stream) = stream.into_std() else { continue };
            self.metrics.opened();
            return Arrival { stream, peer, held: Held { _place: place, _seat: seat, metrics: self.metrics.clone() } };
        }
    }
}

/// A connection on its way from the door to its lane.
pub struct Arrival {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    held: Held,
}

/// Connections that one thread serves, as a listener: who answers them wakes no other thread.
pub struct Lane {
    address: SocketAddr,
    limits: Arc<Limits>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    /// Told once nobody waits and nobody can come any more.
    last: Option<oneshot::Sender<()>>,
}

impl Lane {
    /// A lane behind the door at this address, with its entrance, and word of when the entrance is closed and all who
    /// came by it are in. As many wait there as the door has places, at most.
    pub fn new(
        address: SocketAddr,
        limits: Arc<Limits>,
    ) -> (mpsc::UnboundedSender<Arrival>, Self, oneshot::Receiver<()>) {
        let (entrance, arrivals) = mpsc::unbounded_channel();
        let (last, all_in) = oneshot::channel();
        (entrance, Self { address, limits, arrivals, last: Some(last) }, all_in)
    }
}

impl Listener for Lane {
    type Io = Watched<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Some(Arrival { stream, peer, held }) = self.arrivals.recv().await else {
                if let Some(last) = self.last.take() {
                    let _ = last.send(());
                }
                pending().await
            };
            // A line that this thread cannot watch is closed, and its place is free again.
            if let Ok(stream) = TcpStream::from_std(stream) {
                return (Watched::new(stream, &self.limits, Some(held)), peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Connections by address.
#[derive(Default)]
struct Callers(Mutex<HashMap<IpAddr, usize>>);

struct Seat(Arc<Callers>, IpAddr);

impl Callers {
    fn seat(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Seat> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.entry(address).or_default();
        if *taken >= most {
            return None;
        }
        *taken += 1;
        Some(Seat(self.clone(), address))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = open.get_mut(&self.1) {
            *taken -= 1;
            if *taken == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// What a connection gives back when it ends.
struct Held {
    _place: OwnedSemaphorePermit,
    _seat: Seat,
    metrics: Metrics,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.closed();
    }
}

/// A stream that ends with an error when the other side keeps it waiting too long.
pub struct Watched<S> {
    io: S,
    line: Arc<Line>,
    /// One alarm, rung now and then: setting it anew at each request would cost more than the look.
    alarm: Pin<Box<Sleep>>,
    every: Duration,
    head: Duration,
    idle: Duration,
    stall: Duration,
    /// When a byte last moved.
    moved: Instant,
    /// When the first byte came of what is no request yet.
    asking_since: Option<Instant>,
    stalled: Option<Stalled>,
    /// Which request of the line was answered last, or is.
    answered: usize,
    instead: Option<Instead>,
    held: Option<Held>,
}

/// What is written instead of some bytes that the library made.
struct Instead {
    bytes: Vec<u8>,
    taken: usize,
}

/// An answer that the reader does not take.
struct Stalled {
    since: Instant,
    /// Bytes it took since.
    taken: usize,
    /// Which request of the line is answered.
    request: usize,
}

impl<S> Watched<S> {
    fn new(io: S, limits: &Limits, held: Option<Held>) -> Self {
        let shortest = limits.head.min(limits.idle).min(limits.stall);
        let every = (shortest / LOOKS).max(Duration::from_millis(1));
        Self {
            io,
            line: Arc::default(),
            alarm: Box::pin(sleep(every)),
            every,
            head: limits.head,
            idle: limits.idle,
            stall: limits.stall,
            moved: Instant::now(),
            asking_since: None,
            stalled: None,
            answered: 0,
            instead: None,
            held,
        }
    }

    /// Who is at the other end.
    pub fn caller(&self, peer: SocketAddr) -> Caller {
        Caller { peer, line: self.line.clone() }
    }

    /// Whether the other side is too slow; asked whenever there is nothing to do but wait.
    fn too_slow(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.late(now) {
                if let Some(held) = &self.held {
                    held.metrics.too_slow();
                }
                return Poll::Ready(ErrorKind::TimedOut.into());
            }
            self.alarm.as_mut().reset(now + self.every);
        }
        Poll::Pending
    }

    fn late(&self, now: Instant) -> bool {
        if let Some(stalled) = &self.stalled {
            return now - stalled.since >= self.stall;
        }
        if self.line.at_work.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let first = self.line.begun.load(Ordering::Relaxed) == 0;
        match self.asking_since {
            Some(since) => now - since >= self.head,
            None => now - self.moved >= if first { self.head } else { self.idle },
        }
    }

    /// Looks at what is written while no request is answered: that the library could not read one.
    fn look(&mut self, bytes: &[u8]) {
        let begun = self.line.begun.load(Ordering::Relaxed);
        if begun != self.answered {
            self.answered = begun;
        } else if self.instead.is_none()
            && let Some((status, bytes)) = unread::told(bytes)
        {
            if let Some(held) = &self.held {
                held.metrics.route("refused").count(status, Duration::ZERO, bytes.len() as u64);
            }
            tracing::info!(route = "refused", status = status.as_u16(), bytes = bytes.len(), "answered");
            self.instead = Some(Instead { bytes, taken: 0 });
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.moved = Instant::now();
        self.asking_since = None;
        if let Some(stalled) = &mut self.stalled {
            stalled.taken += bytes;
            if stalled.taken >= Limits::STALL_BYTES || stalled.request != self.line.begun.load(Ordering::Relaxed) {
                self.stalled = None;
            }
        }
    }

    fn after_write(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(bytes)) => {
                self.wrote(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
            Poll::Pending => {
                let request = self.line.begun.load(Ordering::Relaxed);
                if self.stalled.as_ref().is_none_or(|stalled| stalled.request != request) {
                    self.stalled = Some(Stalled { since: Instant::now(), taken: 0, request });
                }
                self.too_slow(cx).map(Err)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before {
                    self.moved = Instant::now();
                    if self.line.at_work.load(Ordering::Relaxed) == 0 && self.asking_since.is_none() {
                        self.asking_since = Some(self.moved);
                    }
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
            Poll::Pending => self.too_slow(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look(bytes);
        while let Some(Instead { bytes: other, taken }) = &mut this.instead {
            if *taken == other.len() {
                this.instead = None;
                return Poll::Ready(Ok(bytes.len()));
            }
            let wrote = Pin::new(&mut this.io).poll_write(cx, &other[*taken..]);
            if let Poll::Ready(Ok(more)) = &wrote {
                *taken += more;
            }
            match this.after_write(cx, wrote) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(_)) => {}
                halted => return halted,
            }
        }
        let wrote = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.after_write(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head without a body, a 304 for example, costs less as one piece.
        if let [bytes] = slices {
            return self.poll_write(cx, bytes);
        }
        self.answered = self.line.begun.load(Ordering::Relaxed);
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.after_write(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn swift() -> Limits {
        let short = Duration::from_millis(20);
        Limits { head: short, idle: short, stall: short, ..Limits::default() }
    }

    #[tokio::test]
    async fn a_line_that_keeps_us_waiting_is_cut() {
        // Nothing is ever sent; a head is begun; a request was answered and no other follows.
        for (sent, served) in [(&b""[..], false), (b"GET / HT", false), (b"", true)] {
            let (mut far, near) = duplex(64);
            let mut near = Watched::new(near, &swift(), None);
            if served {
                drop(near.caller(([127, 0, 0, 1], 1).into()).begin());
            }
            far.write_all(sent).await.unwrap();
            let mut read = Vec::new();
            let fault = near.read_to_end(&mut read).await.unwrap_err();
            assert_eq!((fault.kind(), &read[..]), (ErrorKind::TimedOut, sent));
        }
        // An answer that nobody takes.
        let (_far, near) = duplex(64);
        let mut near = Watched::new(near, &swift(), None);
        assert_eq!(near.write_all(&[0; 1000]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_line_may_be_silent_while_its_request_is_answered() {
        let (mut far, near) = duplex(64);
        let mut near = Watched::new(near, &swift(), None);
        let at_work = near.caller(([127, 0, 0, 1], 1).into()).begin();
        let mut byte = [0];
        for _ in 0..3 {
            // Another silent line, which has no request, is cut meanwhile.
            let (_far, other) = duplex(64);
            let mut other = Watched::new(other, &swift(), None);
            let mut late = [0];
            tokio::select! {
                biased;
                read = near.read(&mut byte) => panic!("{read:?}"),
                read = other.read(&mut late) => assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut),
            }
        }
        far.write_all(b"x").await.unwrap();
        assert_eq!(near.read(&mut byte).await.unwrap(), 1);
        drop(at_work);
    }

    #[test]
    fn a_client_has_so_many_connections_and_gets_them_back() {
        let callers = Arc::new(Callers::default());
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let seats: Vec<_> = (0..2).map(|_| callers.seat(one, 2).unwrap()).collect();
        assert!(callers.seat(one, 2).is_none() && callers.seat(other, 2).is_some());
        drop(seats);
        assert!(callers.seat(one, 1).is_some());
    }
}
