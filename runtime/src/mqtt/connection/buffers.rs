//! Read and write buffers that belong to a worker thread, not to a connection.
//!
//! A connection has a buffer of its own only while it holds bytes: an incomplete packet, or answers that
//! the peer does not take. What it reads and writes in between goes through its thread's buffers.
//! They are taken and given back without an await in between.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::stream::Stream;

/// Bytes read at a time.
pub(super) const READ_SIZE: usize = 64 * 1024;
/// A longer incomplete packet is completed where it is; a shorter one moves in front of the next read.
const MOVED: usize = 4 * 1024;
/// Capacities of a write buffer that is kept: not a small one of another origin, not one that grew for a large packet.
const KEPT: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;

thread_local! {
    static READ: Cell<BytesMut> = Cell::default();
    static WRITE: Cell<BytesMut> = Cell::default();
}

/// Waits until `stream` has bytes and returns them behind those of `tail`, which is left empty.
/// Nothing but what was in `tail` means that the peer closed its side.
pub(super) fn poll_receive(
    stream: &mut (impl AsyncRead + Unpin),
    tail: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<(BytesMut, usize)>> {
    let own = tail.len() > MOVED;
    let mut buffer = if own {
        let mut buffer = std::mem::take(tail);
        if buffer.len() == buffer.capacity() {
            buffer.reserve(READ_SIZE);
        }
        buffer
    } else {
        let mut buffer = READ.take();
        buffer.clear();
        buffer.reserve(READ_SIZE);
        buffer.extend_from_slice(tail);
        buffer
    };
    let Poll::Ready(received) = pin!(stream.read_buf(&mut buffer)).poll(context) else {
        if own {
            *tail = buffer;
        } else {
            READ.set(buffer);
        }
        return Poll::Pending;
    };
    *tail = BytesMut::new();
    Poll::Ready(received.map(|count| (buffer, count)))
}

/// Gives back a buffer of [`poll_receive`]; what it still holds is the connection's `tail`, of which
/// `needed` bytes in all make the next packet.
pub(super) fn keep_tail(mut buffer: BytesMut, tail: &mut BytesMut, needed: usize) {
    if buffer.is_empty() {
        // The handshake's small buffer is not worth keeping.
        if buffer.capacity() > MOVED {
            READ.set(buffer);
        }
    } else if buffer.len() <= MOVED {
        *tail = BytesMut::from(&buffer[..]);
        buffer.clear();
        READ.set(buffer);
    } else {
        // Grows with what arrives, never ahead on the word of a header.
        let missing = needed.saturating_sub(buffer.len());
        let grow = missing.min(buffer.len().max(READ_SIZE));
        buffer.reserve(grow);
        *tail = buffer;
    }
}

/// The thread's write buffer, unless the connection has unsent bytes in `out` already.
pub(super) fn borrow_write(out: &mut BytesMut) {
    if out.capacity() == 0 {
        *out = WRITE.take();
        out.clear();
        out.reserve(*KEPT.start());
    }
}

/// Gives the write buffer back when everything was sent.
pub(super) fn return_write(out: &mut BytesMut) {
    if out.is_empty() && out.capacity() > 0 {
        let buffer = std::mem::take(out);
        if KEPT.contains(&buffer.capacity()) {
            WRITE.set(buffer);
        }
    }
}

/// Sends as much of `out` as the peer takes now; returns how many bytes.
pub(super) fn send(stream: &mut Stream, out: &mut BytesMut) -> io::Result<usize> {
    let mut sent = 0;
    match stream.try_flush() {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        _ => {}
    }
    while sent < out.len() {
        match stream.try_write(&out[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    if sent == out.len() {
        out.clear();
    } else {
        let _ = out.split_to(sent);
    }
    Ok(sent)
}
