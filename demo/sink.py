"""A mail server and a Slack that only print: what autoheal would have sent into the world stays here.

The mail side is honest about what a real one demands: STARTTLS before anything else, then a password
(AUTH PLAIN or LOGIN). The Slack side is an incoming webhook, which answers `ok`.

Each message is printed as it arrives and appended to a file, one JSON object per line, for the demo to check.
"""

import argparse
import email
import email.policy
import hmac
import http.server
import json
import logging
import os
import ssl
import sys
import threading
import time
from datetime import datetime

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

# A glance at a message is enough on a screen; the file has all of it.
SHOWN_LINES = 9
SHOWN_WIDTH = 150

lock = threading.Lock()


def deliver(kind, headline, text, record):
    """Prints one message, calmly indented, and keeps it."""
    with lock:
        now = datetime.now().strftime("%H:%M:%S.%f")[:-5]
        lines = [f"{now}  {kind:<12} {headline}"]
        body = [line for line in text.strip().splitlines() if line.strip()]
        shown = body[:SHOWN_LINES]
        if len(body) > len(shown):
            shown.append(f"… and {len(body) - len(shown)} more lines")
        lines += ["            | " + (line if len(line) <= SHOWN_WIDTH else line[: SHOWN_WIDTH - 1] + "…") for line in shown]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        with open(options.messages, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "at": time.time(), "text": text, **record}) + "\n")


class Mail:
    """Takes every mail of the one user who knows the password."""

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = message.get_body(preferencelist=("plain", "html"))
        text = body.get_content() if body else ""
        subject = str(message["subject"])
        deliver(
            "mail",
            f"{subject}   (to {', '.join(envelope.rcpt_tos)})",
            text,
            {"subject": subject, "to": envelope.rcpt_tos, "tls": session.ssl is not None, "user": session.auth_data},
        )
        return "250 Great success"


def authenticate(server, session, envelope, mechanism, data):
    expected = (os.environ["SINK_USERNAME"].encode(), os.environ["SINK_PASSWORD"].encode())
    if not isinstance(data, LoginPassword):
        return AuthResult(success=False, handled=False)
    good = hmac.compare_digest(data.login, expected[0]) and hmac.compare_digest(data.password, expected[1])
    # handled=False lets the server answer the refusal itself (535).
    return AuthResult(success=good, handled=False, auth_data=data.login.decode() if good else None)


def texts(node):
    """Every text of a Slack message in reading order: `text` itself, blocks and attachments."""
    if isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, dict) and isinstance(node.get("value"), str):
        yield f"{node.get('title', '')}: {node['value']}"  # a field of an attachment
    elif isinstance(node, dict):
        for key in ("pretext", "title", "text"):
            value = node.get(key)
            if isinstance(value, str):
                yield value
            elif value is not None:
                yield from texts(value)
        for key in ("blocks", "elements", "fields", "attachments"):
            if key in node:
                yield from texts(node[key])


class Slack(http.server.BaseHTTPRequestHandler):
    """An incoming webhook: one secret path, JSON in, `ok` out."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != os.environ["SINK_SLACK_PATH"]:
            return self.answer(404, "no_service")
        try:
            message = json.loads(body)
            found = list(dict.fromkeys(texts(message)))
        except (ValueError, AttributeError):
            return self.answer(400, "invalid_payload")
        if not found:
            return self.answer(400, "no_text")
        # Slack writes these three as entities; a person sees the characters.
        shown = "\n".join(found).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        headline, _, rest = shown.partition("\n")
        deliver("Slack", headline, rest, {"message": message, "headline": headline})
        return self.answer(200, "ok")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass  # the messages are the log


def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(options.certificate, options.key)
    mail = Controller(
        Mail(),
        hostname="127.0.0.1",
        port=options.smtp_port,
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        auth_require_tls=True,
        authenticator=authenticate,
        ident="demo mail sink",
    )
    mail.start()
    slack = http.server.ThreadingHTTPServer(("127.0.0.1", options.slack_port), Slack)
    slack.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--slack-port", type=int, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--messages", required=True, help="file that gets a line of JSON per message")
    options = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    main()
