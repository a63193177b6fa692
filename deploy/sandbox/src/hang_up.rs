//! Closing a connection without an answer, as a network does at the worst moment.
//!
//! A handler answers with [`response`]; the server sees the mark and lets the connection break
//! before a byte of the answer is written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The mark that a handler puts on an answer which must not arrive.
#[derive(Clone, Copy, Debug)]
struct Mark;

/// An answer that never arrives; the caller sees the connection close.
pub fn response(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(Mark);
    response
}

/// Breaks the connection of an answer that is marked.
pub async fn middleware(request: Request, next: Next) -> Response {
    let line = request.extensions().get::<ConnectInfo<Line>>().map(|info| info.0.clone());
    let response = next.run(request).await;
    if let (Some(line), Some(Mark)) = (line, response.extensions().get::<Mark>()) {
        line.cut.store(true, Ordering::Release);
    }
    response
}

/// A connection, as handlers see it.
#[derive(Clone, Debug, Default)]
pub struct Line {
    cut: Arc<AtomicBool>,
}

/// A connection that can be cut.
#[derive(Debug)]
pub struct Cuttable<S> {
    stream: S,
    line: Line,
}

/// A listener whose connections can be cut.
#[derive(Debug)]
pub struct CuttableListener<L>(pub L);

impl<L: Listener> Listener for CuttableListener<L> {
    type Io = Cuttable<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = self.0.accept().await;
        (Cuttable { stream, line: Line::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl<L: Listener> Connected<IncomingStream<'_, CuttableListener<L>>> for Line {
    fn connect_info(stream: IncomingStream<'_, CuttableListener<L>>) -> Self {
        stream.io().line.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cuttable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cuttable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.line.cut.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
