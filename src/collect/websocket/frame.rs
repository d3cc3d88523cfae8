//! Frames of a WebSocket (RFC 6455, section 5), as a client without extensions writes and reads them.

use std::io;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest frame, and the longest message of several frames, that is read.
pub(super) const MOST_READ: usize = 64 << 10;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const ALL: [(u8, Self); 6] = [
        (0x0, Self::Continuation),
        (0x1, Self::Text),
        (0x2, Self::Binary),
        (0x8, Self::Close),
        (0x9, Self::Ping),
        (0xa, Self::Pong),
    ];

    fn of(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == code).map(|(_, opcode)| *opcode)
    }

    fn code(self) -> u8 {
        Self::ALL.iter().find(|(_, opcode)| *opcode == self).map_or(0, |(code, _)| *code)
    }

    /// Whether it may stand between the frames of a message, and is then short and whole.
    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub opcode: Opcode,
    /// Whether the message ends with it.
    pub last: bool,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A message or a control frame of our own.
    pub(super) fn new(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self { opcode, last: true, payload: payload.into() }
    }

    /// Sends it masked, as every client must.
    pub(super) async fn write(self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_all(&self.masked(random()?)).await?;
        stream.flush().await
    }

    fn masked(self, mask: [u8; 4]) -> Vec<u8> {
        let length = self.payload.len();
        let mut bytes = Vec::with_capacity(length + 14);
        bytes.push(u8::from(self.last) << 7 | self.opcode.code());
        // Lengths that do not fit seven bits follow in two or eight bytes.
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => bytes.push(0x80 | short),
            (_, Ok(medium)) => {
                bytes.push(0x80 | 0x7e);
                bytes.extend(medium.to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// Reads a server's frame.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let [first, second] = [stream.read_u8().await?, stream.read_u8().await?];
        if first & 0x70 != 0 {
            return Err(invalid("a frame uses an extension that was not agreed upon"));
        }
        let opcode = Opcode::of(first & 0x0f).ok_or_else(|| invalid("a frame has an unknown opcode"))?;
        let last = first & 0x80 != 0;
        if second & 0x80 != 0 {
            return Err(invalid("a frame of the server is masked"));
        }
        let length = match second {
            126 => u64::from(stream.read_u16().await?),
            127 => stream.read_u64().await?,
            short => u64::from(short),
        };
        if opcode.is_control() && (length > 125 || !last) {
            return Err(invalid("a control frame is long or in pieces"));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= MOST_READ).ok_or_else(too_long)?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        Ok(Self { opcode, last, payload })
    }
}

/// Bytes that nobody can foresee, so that nobody can make us send a text of their choice (RFC 6455, section 10.3).
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes)
}

pub(super) fn invalid(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

pub(super) fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("a message is longer than {MOST_READ} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Frame> {
        Frame::read(&mut &*bytes).await
    }

    #[tokio::test]
    async fn frames_of_every_length_are_read() {
        for (head, length) in
            [(vec![0x81, 5], 5), (vec![0x82, 126, 1, 0], 256), (vec![0x01, 127, 0, 0, 0, 0, 0, 0, 0x80, 0], 32_768)]
        {
            let frame = read(&[head.clone(), vec![b'x'; length]].concat()).await.unwrap();
            assert_eq!((frame.payload.len(), frame.last), (length, head[0] & 0x80 != 0));
        }
        // The example of RFC 6455, section 5.7.
        let hello = read(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]).await.unwrap();
        assert_eq!(hello, Frame::new(Opcode::Text, "Hello"));
    }

    #[test]
    fn our_frames_are_masked() {
        // The other example there.
        let masked = Frame::new(Opcode::Text, "Hello").masked([0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(masked, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(Frame::new(Opcode::Binary, vec![0; 200]).masked([0; 4])[..4], [0x82, 0xfe, 0, 200]);
        assert_eq!(Frame::new(Opcode::Binary, vec![0; 70_000]).masked([0; 4])[..3], [0x82, 0xff, 0]);
    }

    #[tokio::test]
    async fn what_no_server_may_send_is_refused() {
        for (bytes, kind) in [
            (&[0xc1, 0][..], io::ErrorKind::InvalidData),
            (&[0x83, 0], io::ErrorKind::InvalidData),
            (&[0x81, 0x80, 0, 0, 0, 0], io::ErrorKind::InvalidData),
            (&[0x89, 126, 0, 200], io::ErrorKind::InvalidData),
            (&[0x09, 0], io::ErrorKind::InvalidData),
            (&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], io::ErrorKind::FileTooLarge),
            (&[0x81, 5, b'x'], io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(read(bytes).await.unwrap_err().kind(), kind, "{bytes:x?}");
        }
    }
}
