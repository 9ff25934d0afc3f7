//! The service as a process: runs until it is told to end.

use std::net::SocketAddr;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::service::Service;

/// Starts a service, tells where it listens, and stops it on SIGTERM or Ctrl-C.
///
/// # Errors
/// Those of [`Service::start`], and [`Error::Start`] if signals cannot be waited for.
pub fn run(config: Config, started: impl FnOnce(SocketAddr)) -> Result<()> {
    let start = |what| move |source| Error::Start { what, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("riptide-http")
        .build()
        .map_err(start("the runtime"))?;
    runtime.block_on(async {
        // Before anything is loaded: a signal that comes then must not end the process half-way.
        let mut ending = Ending::new().map_err(start("waiting for signals"))?;
        let service = tokio::select! {
            service = Service::start(config) => service?,
            () = ending.wait() => return Ok(()),
        };
        started(service.address());
        ending.wait().await;
        tracing::info!("stopping");
        service.stop().await;
        Ok(())
    })
}

#[cfg(unix)]
struct Ending {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Ending {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Ending;

#[cfg(not(unix))]
impl Ending {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        // If Ctrl-C cannot be waited for, the process ends by it all the same.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
