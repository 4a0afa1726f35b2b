"""A loopback HTTP server that behaves as well, or as badly, as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What is served under which path, and how.

    ``ranges``: whether Range is heeded. ``cut``: bytes of a body after which the connection is closed. ``hang``: bytes
    of a body after which nothing comes any more. ``gate``: the first answer waits for it. ``redirects``: path -> where.
    """

    files: Mapping[str, bytes]
    ranges: bool = True
    cut: int | None = None
    hang: int | None = None
    gate: threading.Event | None = None
    redirects: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range)
    sent: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers["Range"]
        self.asked.append((handler.path, asked))
        if self.gate is not None:
            self.gate.wait(30)
        if handler.path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[handler.path])
            handler.end_headers()
        elif handler.path not in self.files:
            handler.send_error(404)
        else:
            self._send(handler, self.files[handler.path], asked if self.ranges else None)

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes, asked: str | None) -> None:
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index] # else the test fails
        if start and start >= len(content):
            handler.send_error(416)
            return
        body = content[start:]
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        part = body[: min(n for n in (self.cut, self.hang, len(body)) if n is not None)]
        handler.wfile.write(part)
        handler.wfile.flush()
        self.sent += len(part)
        if self.hang is not None:
            self.closing.wait(30)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve on a free port of this machine; ``server.url`` is where, ending in "/"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *values: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}/"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            http.shutdown()
            thread.join()
