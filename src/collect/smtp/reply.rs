//! A mail server's replies (RFC 5321, section 4.2) and what it offers (section 4.1.1.1).
//!
//! In: lines. Out: a [`Reply`], an [`Offer`]. No I/O.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The longest reply that is read, all its lines together. RFC 5321 asks for 512 bytes a line.
const MOST_REPLY: u64 = 16 << 10;

/// A reply: its code and its lines without the codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    /// Reads a reply of one or more lines.
    pub(super) async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        let mut stream = stream.take(MOST_REPLY);
        let mut lines = Vec::new();
        loop {
            let mut bytes = Vec::new();
            stream.read_until(b'\n', &mut bytes).await?;
            if !bytes.ends_with(b"\n") {
                return Err(unfinished(&bytes, stream.limit()));
            }
            let line = String::from_utf8_lossy(&bytes);
            let Some((code, last, text)) = split(line.trim_end_matches(['\r', '\n'])) else {
                let words = "this is not a mail server: its reply starts with no three-digit code";
                return Err(io::Error::new(io::ErrorKind::InvalidData, words));
            };
            lines.push(text.to_owned());
            if last {
                return Ok(Self { code, lines });
            }
        }
    }

    /// Whether the server did what it was asked.
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Code and first line.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.first().map_or("", String::as_str))
    }
}

fn unfinished(bytes: &[u8], left: u64) -> io::Error {
    if left == 0 {
        return io::Error::new(io::ErrorKind::FileTooLarge, format!("the reply is longer than {MOST_REPLY} bytes"));
    }
    let words = if bytes.is_empty() { "the server hung up" } else { "the server hung up in the middle of a reply" };
    io::Error::new(io::ErrorKind::UnexpectedEof, words)
}

/// A line's code, whether it is the last one of its reply, and its text.
fn split(line: &str) -> Option<(u16, bool, &str)> {
    let code = line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match line.as_bytes().get(3) {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

/// What a server offers in its answer to EHLO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub starttls: bool,
    pub plain: bool,
    pub login: bool,
    /// In bytes; 0 and no number mean that nothing is said (RFC 1870).
    pub max_message: Option<u64>,
}

impl Offer {
    pub(super) fn read(reply: &Reply) -> Self {
        let mut offer = Self::default();
        // The first line greets, the others name one extension each.
        for line in reply.lines.iter().skip(1) {
            // Some old servers write `AUTH=PLAIN`.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "STARTTLS" => offer.starttls = true,
                "SIZE" => offer.max_message = words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0),
                "AUTH" => {
                    for mechanism in words {
                        offer.plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        offer.login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        offer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Reply, io::ErrorKind> {
        Reply::read(&mut &*bytes).await.map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn a_reply_may_have_many_lines() {
        let reply = read(b"250-mail.test greets\r\n250-SIZE 1000\r\n250 HELP\r\n354 next").await.unwrap();
        assert_eq!(
            (reply.code, reply.lines),
            (250, vec!["mail.test greets".into(), "SIZE 1000".into(), "HELP".into()])
        );
        assert_eq!(read(b"220\r\n").await.unwrap().text(), "220 ");
    }

    #[tokio::test]
    async fn what_is_no_reply_is_told_apart() {
        for (bytes, kind) in [
            (&b"SSH-2.0-OpenSSH\r\n"[..], io::ErrorKind::InvalidData),
            (b"99 x\r\n", io::ErrorKind::InvalidData),
            (b"2200 x\r\n", io::ErrorKind::InvalidData),
            ("2\u{e4}\r\n".as_bytes(), io::ErrorKind::InvalidData),
            (b"", io::ErrorKind::UnexpectedEof),
            (b"220 unfin", io::ErrorKind::UnexpectedEof),
            (&vec![b'2'; 20_000], io::ErrorKind::FileTooLarge),
            ("220-x\r\n".repeat(5000).as_bytes(), io::ErrorKind::FileTooLarge),
        ] {
            assert_eq!(read(bytes).await, Err(kind), "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }

    #[test]
    fn an_offer_is_read_whatever_its_letters() {
        let lines = ["mail.test AUTH PLAIN", "STARTTLS", "size 35882577", "AUTH=LOGIN", "auth CRAM-MD5 plain"];
        let reply = Reply { code: 250, lines: lines.iter().map(ToString::to_string).collect() };
        let all = Offer { starttls: true, plain: true, login: true, max_message: Some(35_882_577) };
        assert_eq!(Offer::read(&reply), all);
        let silent = Reply { code: 250, lines: vec!["mail.test".into(), "SIZE 0".into()] };
        assert_eq!(Offer::read(&silent), Offer::default());
    }
}
