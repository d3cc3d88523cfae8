//! Peers that never answer.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Takes connections and says nothing: a frozen server.
pub struct Silent(TcpListener);

impl Silent {
    pub fn start() -> Self {
        Self(TcpListener::bind(("127.0.0.1", super::free_port())).expect("a free port"))
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("a bound socket").port()
    }
}

/// Does not even take connections: the packets that ask for one vanish, as behind a dropping firewall.
///
/// A socket whose queue has room for one connection, and that is full.
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let address = SocketAddr::from(([127, 0, 0, 1], super::free_port()));
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(address)?;
            socket.listen(1)?.into_std()
        });
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
        }
        Self { address, _listener: listener.expect("a free port"), _queue: queue }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}
