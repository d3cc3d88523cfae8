"""A mail server (aiosmtpd) with STARTTLS and logins.

Arguments: port, certificate, key, a file with its mood, which may change:
second: it takes each message at the second attempt; take; refuse: with a 451; slow: it takes it, and answers late;
hangup: it takes it, and ends the connection without an answer; any: one of these by chance.
Writes a line of JSON with each attempt that it sees."""
import asyncio, json, random, ssl, sys, threading
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

port, certificate, key, mood_file = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
seen = set()
chance = random.Random(7)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        text = envelope.content.decode()
        message_id = next(line for line in text.splitlines() if line.lower().startswith("message-id:"))
        with open(mood_file) as file:
            mood = file.read().strip()
        if mood == "any":
            mood = chance.choice(["take"] * 5 + ["refuse", "slow", "slow", "hangup", "hangup"])
        taken = message_id in seen if mood == "second" else mood != "refuse"
        seen.add(message_id)
        attempt = {
            "taken": taken, "text": text, "from": envelope.mail_from, "to": envelope.rcpt_tos,
            "tls": session.ssl is not None, "user": (session.auth_data.login.decode() if session.authenticated else None),
        }
        print(json.dumps(attempt), flush=True)
        if mood == "slow":
            await asyncio.sleep(0.4)
        if mood == "hangup":
            server.transport.abort()
        return "250 taken" if taken else "451 4.3.0 come again"


def check(server, session, envelope, mechanism, data):
    good = data.login == b"sidewatch" and data.password == b"s3cret"
    return AuthResult(success=good, auth_data=data) if good else AuthResult(success=False, handled=False)


controller = Controller(
    Handler(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
    authenticator=check, auth_required=True, auth_require_tls=True,
)
controller.start()
print("ready", flush=True)
threading.Event().wait()
