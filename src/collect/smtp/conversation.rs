//! The dialogue with a mail server: greeting, EHLO, STARTTLS and EHLO again, AUTH, QUIT (RFC 5321, 3207, 4954).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::time;

use crate::collect::probe::{Route, Stream, Trip, broken, shortened};
use crate::collect::{CollectError, Reason};
use crate::model::Secret;

use super::Seen;
use super::reply::{Offer, Reply};
use super::settings::{Security, Settings};

/// How long a server may take to say goodbye: nothing depends on it.
const FAREWELL: Duration = Duration::from_millis(500);

/// How we name ourselves. RFC 5321 wants an address literal from clients without a name of their own.
const HELLO: &str = "EHLO [127.0.0.1]";

/// Goes as far as a sender goes before the first mail.
pub(super) async fn visit(
    settings: &Settings,
    route: &Route,
    trip: &mut Trip,
    seen: &mut Seen,
) -> Result<(), CollectError> {
    let mut stream = route.open(trip).await?;
    if settings.security == Security::Implicit {
        stream = route.secure(stream, trip).await?;
    }
    let mut session = Session { stream: BufReader::new(stream), seen };
    session.greeting(settings, trip).await?;
    let mut offer = session.hello(trip).await?;
    if settings.security != Security::Implicit {
        session.seen.starttls = Some(offer.starttls);
    }
    if settings.security == Security::StartTls {
        session = session.upgrade(route, &offer, trip).await?;
        offer = session.hello(trip).await?;
    }
    session.seen.max_message = offer.max_message;
    if let Some((user, password)) = &settings.login {
        trip.begin("auth");
        session.seen.authenticated = Some(false);
        session.login(&offer, user, password).await?;
        session.seen.authenticated = Some(true);
    }
    trip.begin("quit");
    session.quit().await;
    Ok(())
}

/// A conversation that is under way.
struct Session<'s> {
    stream: BufReader<Stream>,
    seen: &'s mut Seen,
}

impl<'s> Session<'s> {
    async fn greeting(&mut self, settings: &Settings, trip: &mut Trip) -> Result<(), CollectError> {
        trip.begin("greeting");
        let reply = self.wait().await?;
        check(&reply, "greets")?;
        let Some(wanted) = settings.banner.as_ref().filter(|wanted| !reply.lines.iter().any(|l| wanted.is_match(l)))
        else {
            return Ok(());
        };
        self.seen.regex_failed = true;
        let (got, wanted) = (shortened(&reply.text(), 80), wanted.as_str());
        Err(CollectError::new(Reason::Expectation, format!("the greeting is {got:?}, expected a match of `{wanted}`")))
    }

    async fn hello(&mut self, trip: &mut Trip) -> Result<Offer, CollectError> {
        trip.begin("ehlo");
        let reply = self.ask(HELLO).await?;
        check(&reply, "answers EHLO")?;
        Ok(Offer::read(&reply))
    }

    /// STARTTLS. Nothing that was said before the handshake counts after it.
    async fn upgrade(mut self, route: &Route, offer: &Offer, trip: &mut Trip) -> Result<Session<'s>, CollectError> {
        trip.begin("starttls");
        if !offer.starttls {
            return Err(CollectError::new(Reason::Tls, "the mail server offers no STARTTLS"));
        }
        let reply = self.ask("STARTTLS").await?;
        if reply.code != 220 {
            let said = shortened(&reply.text(), 80);
            return Err(CollectError::new(Reason::Tls, format!("the mail server refuses STARTTLS: {said}")));
        }
        // What comes in plain behind that reply could be anybody's and would be taken for the server's (CVE-2011-0411).
        if !self.stream.buffer().is_empty() {
            return Err(CollectError::new(Reason::Malformed, "there is plain text behind the reply to STARTTLS"));
        }
        let stream = route.secure(self.stream.into_inner(), trip).await?;
        Ok(Session { stream: BufReader::new(stream), seen: self.seen })
    }

    async fn login(&mut self, offer: &Offer, user: &str, password: &Secret) -> Result<(), CollectError> {
        let encoded = |text: String| BASE64_STANDARD.encode(text);
        let reply = if offer.plain {
            self.ask(&format!("AUTH PLAIN {}", encoded(format!("\0{user}\0{}", password.expose())))).await?
        } else if offer.login {
            let mut reply = self.ask("AUTH LOGIN").await?;
            for answer in [user, password.expose()] {
                if reply.code != 334 {
                    break;
                }
                reply = self.ask(&encoded(answer.to_owned())).await?;
            }
            reply
        } else {
            let words = "the mail server offers neither AUTH PLAIN nor AUTH LOGIN on this connection";
            return Err(CollectError::new(Reason::Auth, words));
        };
        judge_login(&reply)
    }

    async fn quit(&mut self) {
        // The code that counts is the one before: a server that just hangs up did nothing wrong to us.
        let code = self.seen.code;
        let _ = time::timeout(FAREWELL, self.ask("QUIT")).await;
        self.seen.code = code;
    }

    async fn ask(&mut self, command: &str) -> Result<Reply, CollectError> {
        let line = format!("{command}\r\n");
        self.stream.write_all(line.as_bytes()).await.map_err(|error| broken(&error))?;
        self.stream.flush().await.map_err(|error| broken(&error))?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<Reply, CollectError> {
        let reply = Reply::read(&mut self.stream).await.map_err(|error| broken(&error))?;
        self.seen.code = Some(reply.code);
        Ok(reply)
    }
}

/// A reply that is not positive ends the visit. 421 is a server that closes: too many clients, or its end.
fn check(reply: &Reply, what: &str) -> Result<(), CollectError> {
    if reply.is_positive() {
        return Ok(());
    }
    let reason = if reply.code == 421 { Reason::Limit } else { Reason::Status };
    Err(CollectError::new(reason, format!("the mail server {what} with {}", shortened(&reply.text(), 80))))
}

/// The text is left out: a server may repeat what it was sent.
fn judge_login(reply: &Reply) -> Result<(), CollectError> {
    let (reason, what) = match reply.code {
        235 => return Ok(()),
        421 => (Reason::Limit, "closes instead of taking a login"),
        400..=499 => (Reason::Status, "cannot check a login now"),
        _ => (Reason::Auth, "refuses the login"),
    };
    Err(CollectError::new(reason, format!("the mail server {what} ({})", reply.code)))
}
