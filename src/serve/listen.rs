//! Accepts connections: a bounded number, each supervised, none allowed to dawdle over its request or our answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::runtime::supervise::Supervisor;

/// Connections served at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// A client has so long to send its request's head, also on an idle kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that does not take its answer is dropped by the kernel after so long.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until `stop` fires; open connections finish the answer they are at.
pub async fn serve(listener: TcpListener, router: Router, supervisor: Supervisor, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Some(Ok(slot)) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await else { return };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { return };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, router.clone(), slot, stop.clone());
                supervisor.spawn_once(connection);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    slot: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let local = stream.local_addr().ok();
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(READ_TIMEOUT));
    let router = router.layer(axum::Extension(ConnectInfo(peer))).layer(axum::Extension(Local(local)));
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "connection ended early");
    }
    drop(slot);
}

/// The address of ours that a client reached.
#[derive(Debug, Clone, Copy)]
pub struct Local(pub Option<SocketAddr>);

/// Out of file descriptors is no reason to spin.
async fn pause_after(error: &io::Error) {
    warn!(%error, "cannot accept a connection");
    time::sleep(Duration::from_millis(100)).await;
}
