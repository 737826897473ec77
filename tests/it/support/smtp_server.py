"""A mail server for tests, on aiosmtpd: STARTTLS and AUTH as Mailgun offers them, and ways to misbehave.

Prints `PORT <n>` once it listens, then one JSON line per accepted message, parsed back by Python's own mail parser,
and one per attempt that matters to a test. Ends when its standard input closes.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import os
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--client-ca", help="demand a client certificate signed by this authority")
parser.add_argument("--user", default="")
parser.add_argument("--password", default="")
parser.add_argument("--implicit-tls", action="store_true")
parser.add_argument("--no-starttls", action="store_true")
parser.add_argument("--auth-exclude", default="", help="mechanism that is not offered")
parser.add_argument("--greylist", type=int, default=0, help="refuse the first N recipients with 451")
parser.add_argument("--refuse", default="", help="recipient to refuse with 550")
parser.add_argument("--defer", default="", help="recipient to refuse with 451 the first time it is named")
parser.add_argument("--data", default="", help="answer to the message itself instead of 250")
parser.add_argument("--hang", choices=["", "connect", "data"], default="")
args = parser.parse_args()


# What goes wrong on purpose would fill the tests' output; what a test needs to know is told as an event.
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def tell(**event):
    print(json.dumps(event), flush=True)


def part(message, kind):
    body = message.get_body(preferencelist=(kind,))
    return body.get_content() if body else None


class Handler:
    def __init__(self):
        self.greylisted = 0
        self.deferred = False

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.greylisted < args.greylist:
            self.greylisted += 1
            tell(event="greylisted", to=address)
            return "451 4.7.1 Greylisted, come back later"
        if address == args.refuse:
            return "550 5.1.1 No such mailbox"
        if address == args.defer and not self.deferred:
            self.deferred = True
            return "451 4.7.1 Greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if args.hang == "data":
            tell(event="hanging")
            await asyncio.sleep(3600)
        if args.data:
            return args.data
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        tell(
            event="message",
            tls=args.implicit_tls or session.ssl is not None,
            user=(session.auth_data or b"").decode() if session.authenticated else None,
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            headers=[[name, str(value)] for name, value in message.items()],
            type=message.get_content_type(),
            plain=part(message, "plain"),
            html=part(message, "html"),
            size=len(envelope.content),
            defects=[str(defect) for found in message.walk() for defect in found.defects],
        )
        return "250 Great success"


def authenticate(server, session, envelope, mechanism, data):
    tell(event="auth", mechanism=mechanism, tls=session.ssl is not None)
    if data.login.decode() == args.user and data.password.decode() == args.password:
        return AuthResult(success=True, auth_data=data.login)
    return AuthResult(success=False, handled=False)


def context():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(args.cert, args.key)
    if args.client_ca:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(args.client_ca)
    return tls


class Silent(asyncio.Protocol):
    """Takes connections and never says a word."""


async def main():
    handler = Handler()
    tls = context() if args.cert else None

    def protocol():
        tell(event="connected")
        if args.hang == "connect":
            return Silent()
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=None if args.implicit_tls or args.no_starttls else tls,
            require_starttls=not (args.implicit_tls or args.no_starttls),
            authenticator=authenticate,
            auth_required=bool(args.user),
            auth_require_tls=not args.implicit_tls,
            auth_exclude_mechanism=[args.auth_exclude] if args.auth_exclude else None,
            enable_SMTPUTF8=True,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if args.implicit_tls else None)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    # A server that hangs on purpose has work that never ends.
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
