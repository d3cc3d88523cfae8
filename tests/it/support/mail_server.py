"""A mail server (aiosmtpd) with STARTTLS and logins, which takes each message at the second attempt.

Arguments: port, certificate, key. Writes a line of JSON with each attempt that it sees."""
import json, ssl, sys, threading
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

port, certificate, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
seen = set()


class Handler:
    async def handle_DATA(self, server, session, envelope):
        text = envelope.content.decode()
        message_id = next(line for line in text.splitlines() if line.lower().startswith("message-id:"))
        taken = message_id in seen
        seen.add(message_id)
        attempt = {
            "taken": taken, "text": text, "from": envelope.mail_from, "to": envelope.rcpt_tos,
            "tls": session.ssl is not None, "user": (session.auth_data.login.decode() if session.authenticated else None),
        }
        print(json.dumps(attempt), flush=True)
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
