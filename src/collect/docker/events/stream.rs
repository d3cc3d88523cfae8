//! An answer of the engine that does not end: its lines, and when it began.
//!
//! Invariant: no line is longer than its bound; one that is costs itself and no other.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::DATE;

use crate::collect::error::chain;
use crate::model::Millis;

use super::super::{CollectError, Reason};

/// A longer line is skipped: the engine would repeat it after each break, and nothing behind it would ever be read.
const MAX_LINE: usize = 1 << 20;

/// When an answer was sent, by the engine's clock, in whole seconds.
pub(super) fn date(response: &Response<Incoming>) -> Option<Millis> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Millis(at.timestamp().as_millisecond()))
}

/// The lines of an answer that does not end.
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// How far the buffer is known to hold no line end.
    searched: usize,
    /// Whether the rest of a line that is too long is still to come.
    skipping: bool,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// A line without its end.
    Line(Bytes),
    /// A line that was longer than a line may be.
    TooLong,
    /// The answer ended.
    End,
}

impl Lines {
    pub(super) fn of(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), buffer: BytesMut::new(), searched: 0, skipping: false }
    }

    /// The next line. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Next, CollectError> {
        loop {
            if let Some(line) = self.take_line() {
                let too_long = std::mem::take(&mut self.skipping) || line.len() > MAX_LINE;
                return Ok(if too_long { Next::TooLong } else { Next::Line(line) });
            }
            if self.buffer.len() > MAX_LINE {
                self.buffer.clear();
                (self.searched, self.skipping) = (0, true);
            }
            match self.body.frame().await {
                None => return Ok(Next::End),
                Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| self.buffer.extend_from_slice(data)),
                Some(Err(error)) => {
                    let why = format!("the stream of the engine's events broke: {}", chain(&error));
                    return Err(CollectError::new(Reason::Unreachable, why));
                }
            }
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + end).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }
}
