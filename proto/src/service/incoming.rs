//! Connections as they come in: in plain text on loopback, or else after both sides have proven
//! who they are.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::callers::{Caller, Peer};
use crate::tls::identity::Identity;

/// Whoever is slower does not mean to call us.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Handshakes at once; further connections wait to be taken.
const HANDSHAKES_MAX: usize = 256;
/// Connections that wait for the server to take them.
const READY_MAX: usize = 16;
/// The machine has no room for a connection: ask again after a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection whose other end is known.
#[derive(Debug)]
pub(super) struct Connection {
    io: Io,
    peer: Peer,
}

#[derive(Debug)]
enum Io {
    PlainText(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Takes connections until nobody wants them any more.
pub(super) fn connections(
    listener: TcpListener,
    identity: Option<Identity>,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(READY_MAX);
    tokio::spawn(accept(listener, identity, ready));
    ReceiverStream::new(connections)
}

type Ready = mpsc::Sender<io::Result<Connection>>;

async fn accept(listener: TcpListener, identity: Option<Identity>, ready: Ready) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error.cause = %error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // A connection that broke meanwhile says so when it is read.
        tcp.set_nodelay(true).ok();
        let (identity, ready) = (identity.clone(), ready.clone());
        tokio::spawn(async move {
            let connection = match identity {
                None => Some(plain_text(tcp, address)),
                Some(identity) => shake_hands(tcp, address, &identity).await,
            };
            drop(place);
            if let Some(connection) = connection {
                // Fails only when the server is ending.
                ready.send(Ok(connection)).await.ok();
            }
        });
    }
}

fn plain_text(tcp: TcpStream, address: SocketAddr) -> Connection {
    let peer = Peer { address: Some(address), caller: Caller::Unproven };
    Connection { io: Io::PlainText(tcp), peer }
}

async fn shake_hands(
    tcp: TcpStream,
    address: SocketAddr,
    identity: &Identity,
) -> Option<Connection> {
    let configs = identity.configs();
    let accepting = TlsAcceptor::from(Arc::clone(&configs.server)).accept(tcp);
    let problem = match tokio::time::timeout(HANDSHAKE_MAX, accepting).await {
        Ok(Ok(stream)) => {
            let theirs = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let caller = Caller::of(theirs?, &configs.leaf);
            let peer = Peer { address: Some(address), caller };
            return Some(Connection { io: Io::Tls(Box::new(stream)), peer });
        }
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => "no handshake in time".to_owned(),
    };
    metrics::counter!("tls_handshakes_refused_total").increment(1);
    tracing::warn!(peer.ip = %address.ip(), error.cause = problem, "tls: a caller was not let in");
    None
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::PlainText(tcp) => Pin::new(tcp).poll_read(context, into),
            Io::Tls(tls) => Pin::new(tls).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::PlainText(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Io::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::PlainText(tcp) => Pin::new(tcp).poll_write_vectored(context, bytes),
            Io::Tls(tls) => Pin::new(tls).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::PlainText(tcp) => tcp.is_write_vectored(),
            Io::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::PlainText(tcp) => Pin::new(tcp).poll_flush(context),
            Io::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::PlainText(tcp) => Pin::new(tcp).poll_shutdown(context),
            Io::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
