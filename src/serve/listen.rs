//! Accepts connections: a bounded number, each supervised, none allowed to dawdle over its request or our answer.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::runtime::supervise::Supervisor;

/// Connections served at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// Of them, so many for one address, so that no single client keeps the others out.
const MAX_PER_PEER: usize = 128;
/// A client has so long to send its request's head, also on an idle kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// At stop, a connection has so long to finish the answer it is at.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A client that does not take its answer is dropped by the kernel after so long.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until `stop` fires; open connections finish the answer they are at.
pub async fn serve(listener: TcpListener, router: Router, supervisor: Supervisor, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let peers = Peers::default();
    loop {
        let Some(Ok(slot)) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await else { return };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { return };
        match accepted {
            Ok((stream, peer)) => {
                // Dropping the stream closes it: a client that holds so many is not owed an answer.
                let Some(place) = peers.enter(peer.ip().to_canonical()) else { continue };
                let connection = connection(stream, peer, router.clone(), stop.clone());
                supervisor.spawn_once(async move {
                    connection.await;
                    drop((slot, place));
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
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
            time::timeout(STOP_LIMIT, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "connection ended early");
    }
}

/// How many connections each address holds.
#[derive(Debug, Clone, Default)]
struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Peers {
    /// Takes a place for one more, if the address may have it. Dropping it gives it back.
    fn enter(&self, peer: IpAddr) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(peer).or_default();
        if *count >= MAX_PER_PEER {
            return None;
        }
        *count += 1;
        Some(Place { peers: self.clone(), peer })
    }
}

struct Place {
    peers: Peers,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.peer);
            }
        }
    }
}

/// The address of ours that a client reached.
#[derive(Debug, Clone, Copy)]
pub struct Local(pub Option<SocketAddr>);

/// Out of file descriptors is no reason to spin.
async fn pause_after(error: &io::Error) {
    warn!(%error, "cannot accept a connection");
    time::sleep(Duration::from_millis(100)).await;
}
