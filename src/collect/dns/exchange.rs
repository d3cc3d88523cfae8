//! One question to one name server: over UDP, and over TCP when the answer does not fit.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::collect::probe::Trip;

/// A question ready to be sent.
pub(super) struct Question {
    message: Message,
    wire: Vec<u8>,
}

impl Question {
    /// A recursive question with a random id.
    pub(super) fn new(name: &Name, kind: RecordType) -> io::Result<Self> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), kind));
        let wire = message.to_vec().map_err(io::Error::other)?;
        Ok(Self { message, wire })
    }

    /// Asks over UDP; with the steps of the socket and of the answer. Datagrams that answer something else (late or forged
    /// ones) are passed over.
    pub(super) async fn over_udp(&self, peer: SocketAddr, trip: &mut Trip) -> io::Result<Message> {
        let any: SocketAddr =
            if peer.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        trip.begin("connect");
        let socket = UdpSocket::bind(any).await?;
        socket.connect(peer).await?;
        trip.begin("request");
        socket.send(&self.wire).await?;
        let mut buffer = vec![0; 4096];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let datagram = &buffer[..length];
            if datagram.get(..2) == self.wire.get(..2) {
                return self.read(datagram);
            }
        }
    }

    /// Asks over TCP; with the steps of the connection and of the answer.
    pub(super) async fn over_tcp(&self, peer: SocketAddr, trip: &mut Trip) -> io::Result<Message> {
        trip.begin("connect");
        let mut stream = TcpStream::connect(peer).await?;
        trip.begin("request");
        let length = u16::try_from(self.wire.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), self.wire.as_slice()].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        self.read(&answer)
    }

    fn read(&self, wire: &[u8]) -> io::Result<Message> {
        let broken = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        let answer = Message::from_vec(wire).map_err(|error| broken(error.to_string()))?;
        let ours = answer.metadata.id == self.message.metadata.id
            && answer.metadata.message_type == MessageType::Response
            && (answer.queries.is_empty() || answer.queries == self.message.queries);
        if ours { Ok(answer) } else { Err(broken("it is not an answer to our question".into())) }
    }
}
