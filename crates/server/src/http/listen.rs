//! Listening: connections are bounded in number and in what their heads may take.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tower::Service;

use crate::config::Config;
use crate::error::{Error, Result};

/// An address that is listened on.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    /// Takes no new connections, and waits for the requests in work.
    pub(crate) async fn stop(self, longest: Duration) {
        self.handle.graceful_shutdown(Some(longest));
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("{}: {error}", self.address),
            Err(error) => tracing::error!("{}: {error}", self.address),
        }
    }
}

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;

/// Listens on an address, with TLS if the settings have a certificate and `with_tls`.
pub(crate) async fn listen(address: SocketAddr, router: Router, config: &Config, with_tls: bool) -> Result<Listening> {
    let fail = |source| Error::Listen {
        address: address.to_string(),
        source,
    };
    let listener = TcpListener::bind(address).map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let handle = Handle::new();
    let head_time = Duration::from_secs(config.limits.header_seconds);
    let mut server: Server<SocketAddr> = axum_server::from_tcp(listener)
        .map_err(fail)?
        .handle(handle.clone())
        .http1_only();
    server
        .http_builder()
        .http1()
        .header_read_timeout(head_time)
        .max_buf_size(HEAD_BYTES);
    let server = server.first_request_timeout(head_time);
    let acceptor = Bounded {
        places: Arc::new(Semaphore::new(config.limits.connections)),
    };
    let service = router.into_make_service();
    let task = match config.tls.as_ref().filter(|_| with_tls) {
        None => tokio::spawn(server.acceptor(acceptor).serve(service)),
        Some(tls) => {
            // Which cryptography is used is decided once a process; that it was decided before is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let tls = RustlsConfig::from_pem_file(&tls.cert, &tls.key)
                .await
                .map_err(|source| Error::Listen {
                    address: format!("{address} with {} and {}", tls.cert.display(), tls.key.display()),
                    source,
                })?;
            let acceptor = RustlsAcceptor::new(tls).handshake_timeout(head_time).acceptor(acceptor);
            tokio::spawn(server.acceptor(acceptor).serve(service))
        }
    };
    Ok(Listening { address, handle, task })
}

/// Closes connections beyond a number at once: held open, they would use up the process's file descriptors.
#[derive(Debug, Clone)]
struct Bounded {
    places: Arc<Semaphore>,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Bounded {
    type Stream = TcpStream;
    type Service = Placed<S>;
    type Future = std::future::Ready<std::io::Result<(TcpStream, Placed<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => stream.set_nodelay(true).map(|()| {
                let place = Arc::new(place);
                (stream, Placed { service, _place: place })
            }),
            Err(_) => Err(std::io::Error::other("too many connections")),
        })
    }
}

/// A connection's service, which holds its place until the connection ends.
#[derive(Debug, Clone)]
struct Placed<S> {
    service: S,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<R, S: Service<R>> Service<R> for Placed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}
