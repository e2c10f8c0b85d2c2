"""A proxy before an S3 service that fails in chosen ways, for tests of what a run then does."""

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["500", "503", "409", "expired", "reset", "lost", "stall", "slow", "careless"]

# Statuses, codes and messages as Amazon's service gives them.
_ANSWERS: dict[Fault, tuple[int, str, str]] = {
    "500": (500, "InternalError", "We encountered an internal error. Please try again."),
    "503": (503, "SlowDown", "Please reduce your request rate."),
    "409": (409, "ConditionalRequestConflict", "The conditional request cannot succeed."),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
}
_STALL_SECONDS = 60.0
_SLOW_PIECES, _SLOW_SECONDS = 30, 0.1


@dataclass(frozen=True)
class Request:
    """What a fault is chosen by."""

    method: str
    path: str


@dataclass
class FaultyProxy:
    """A running proxy: its address, how often each fault was met (None: none), and bytes sent."""

    endpoint: str
    met: "Counter[Fault | None]" = field(default_factory=Counter)
    sent: int = 0


def at_random(
    seed: int, rate: float, faults: tuple[Fault, ...]
) -> Callable[[Request], Fault | None]:
    """A choice that fails a share ``rate`` of the requests, by each fault equally often."""
    draws, lock = random.Random(seed), threading.Lock()

    def choose(request: Request) -> Fault | None:
        del request
        with lock:
            return draws.choice(faults) if draws.random() < rate else None

    return choose


@contextmanager
def faulty_proxy(
    target: str,
    choose: Callable[[Request], Fault | None],
) -> Iterator[FaultyProxy]:
    """A proxy before the service at ``target``: ``choose`` says by request whether it fails.

    ``500``, ``503``, ``409`` and ``expired`` are answers in place of the service's. ``reset``
    breaks the connection before the service has a request that carries a body, and in the middle
    of the answer to any other; ``lost`` breaks it once the service has done what was asked, without
    an answer; ``stall`` stops half way through the answer and keeps the connection open; ``slow``
    takes some seconds over the answer's body; ``careless`` says that a PUT went well, whatever the
    service says.
    """
    closing = threading.Event()
    host = urlsplit(target).netloc

    class Handler(_Handler):
        def handle_request(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            fault = choose(Request(self.command, self.path))
            proxy.met[fault] += 1
            if fault == "reset" and length:
                self.rfile.read(length // 2)
                self.break_connection()
                return
            body = self.rfile.read(length)
            if fault in _ANSWERS:
                self.answer_error(*_ANSWERS[fault])
                return
            status, headers, content = self.forward(host, body)
            if fault == "lost":
                self.break_connection()
                return
            if fault == "careless" and self.command == "PUT":
                status, headers, content = 200, [("Content-Length", "0")], b""
            self.send_answer(status, headers)
            half = len(content) // 2 if fault in ("reset", "stall") else len(content)
            pieces = _SLOW_PIECES if fault == "slow" else 1
            for piece in range(pieces):
                self.wfile.write(content[half * piece // pieces : half * (piece + 1) // pieces])
                self.wfile.flush()
                closing.wait(_SLOW_SECONDS if fault == "slow" else 0)
            proxy.sent += half
            if fault == "stall":
                closing.wait(_STALL_SECONDS)
            if fault in ("reset", "stall"):
                self.break_connection()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = FaultyProxy(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.handle_request()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def forward(self, host: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = answer.getheaders()
        if answer.getheader("Transfer-Encoding") == "chunked":
            headers.append(("Content-Length", str(len(content))))
        return answer.status, headers, content

    def answer_error(self, status: int, code: str, message: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))]
        self.send_answer(status, headers)
        if self.command != "HEAD":
            self.wfile.write(text)

    def send_answer(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()

    def break_connection(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, *arguments: object) -> None:
        """Nothing: the service has a log of its own."""
