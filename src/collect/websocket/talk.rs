//! What is said over an open WebSocket: a message and its answer, a ping, the close.

use std::time::Duration;

use tokio::time;

use crate::collect::probe::{Trip, broken, shortened};
use crate::collect::{CollectError, Reason};

use super::frame::{Frame, MOST_READ, Opcode, invalid, random, too_long};
use super::handshake::Socket;
use super::{Seen, Settings};

/// How long a server may take to close: nothing depends on it.
const FAREWELL: Duration = Duration::from_millis(500);
/// "Normal closure".
const NORMAL: u16 = 1000;
/// "Try again later".
const LATER: u16 = 1013;

/// Says what is to be said, waits for what must come, and closes.
pub(super) async fn talk(
    settings: &Settings,
    socket: &mut Socket,
    trip: &mut Trip,
    seen: &mut Seen,
) -> Result<(), CollectError> {
    if settings.send.is_some() || settings.message.is_some() {
        trip.begin("message");
        exchange(settings, socket, seen).await?;
    }
    trip.begin("ping");
    ping(socket).await?;
    trip.begin("close");
    seen.rude_end = close(socket).await.err();
    Ok(())
}

/// Sends the message, then reads until one matches.
async fn exchange(settings: &Settings, socket: &mut Socket, seen: &mut Seen) -> Result<(), CollectError> {
    if let Some(text) = &settings.send {
        send(socket, Frame::new(Opcode::Text, text.as_bytes())).await?;
    }
    let Some(wanted) = &settings.message else {
        return Ok(());
    };
    loop {
        let message = read_message(socket).await?;
        let text = String::from_utf8_lossy(&message);
        if wanted.is_match(&text) {
            return Ok(());
        }
        seen.other_message = Some(shortened(&text, 80));
    }
}

/// The next message, put together from its frames.
async fn read_message(socket: &mut Socket) -> Result<Vec<u8>, CollectError> {
    let mut message: Option<Vec<u8>> = None;
    loop {
        let frame = read_data(socket).await?;
        let payload = match (&mut message, frame.opcode) {
            (None, Opcode::Text | Opcode::Binary) => message.insert(frame.payload),
            (Some(begun), Opcode::Continuation) => {
                begun.extend(frame.payload);
                begun
            }
            _ => return Err(broken(&invalid("the frames of a message are out of order"))),
        };
        if payload.len() > MOST_READ {
            return Err(broken(&too_long()));
        }
        if frame.last {
            return Ok(message.unwrap_or_default());
        }
    }
}

/// The next frame that carries data. Pings on the way are answered.
async fn read_data(socket: &mut Socket) -> Result<Frame, CollectError> {
    loop {
        let frame = read(socket).await?;
        match frame.opcode {
            Opcode::Pong => {}
            _ => return Ok(frame),
        }
    }
}

/// The next frame but a ping, which is answered, or a close, which is an error.
async fn read(socket: &mut Socket) -> Result<Frame, CollectError> {
    loop {
        let frame = Frame::read(socket).await.map_err(|error| broken(&error))?;
        match frame.opcode {
            Opcode::Ping => send(socket, Frame::new(Opcode::Pong, frame.payload)).await?,
            Opcode::Close => return Err(closed(&frame.payload)),
            _ => return Ok(frame),
        }
    }
}

/// Pings, and waits for the pong to that ping. Whatever else comes in between is the server's own business.
async fn ping(socket: &mut Socket) -> Result<(), CollectError> {
    let payload = random::<8>().map_err(|error| broken(&error))?;
    send(socket, Frame::new(Opcode::Ping, payload)).await?;
    loop {
        let frame = read(socket).await?;
        if frame.opcode == Opcode::Pong && frame.payload == payload {
            return Ok(());
        }
    }
}

/// Closes, and waits a moment for the server to do so.
async fn close(socket: &mut Socket) -> Result<(), CollectError> {
    send(socket, Frame::new(Opcode::Close, NORMAL.to_be_bytes())).await?;
    let answer = async {
        loop {
            let frame = Frame::read(socket).await.map_err(|error| broken(&error))?;
            if frame.opcode == Opcode::Close {
                return Ok(());
            }
        }
    };
    let late = |_| Err(CollectError::new(Reason::Timeout, "the server does not answer the close"));
    time::timeout(FAREWELL, answer).await.unwrap_or_else(late)
}

async fn send(socket: &mut Socket, frame: Frame) -> Result<(), CollectError> {
    frame.write(socket).await.map_err(|error| broken(&error))
}

/// What a server closes with before we do: a code and perhaps a reason (section 7.1.5).
fn closed(payload: &[u8]) -> CollectError {
    let Some((code, text)) = payload.split_first_chunk::<2>() else {
        return CollectError::new(Reason::Unreachable, "the server closed the WebSocket without saying why");
    };
    let code = u16::from_be_bytes(*code);
    let reason = if code == LATER { Reason::Limit } else { Reason::Status };
    let text = shortened(&String::from_utf8_lossy(text), 80);
    CollectError::new(reason, format!("the server closed the WebSocket with {code} {text}").trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_says_why() {
        assert_eq!(closed(b"\x03\xf0go away").to_string(), "status: the server closed the WebSocket with 1008 go away");
        assert_eq!(closed(b"\x03\xf5").to_string(), "limit: the server closed the WebSocket with 1013");
        assert_eq!(closed(b"").reason(), Reason::Unreachable);
    }
}
