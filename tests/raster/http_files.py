"""A server of files on this machine that takes ranges, counts bytes and fails."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Served:
    """A folder that is served.

    Attributes:
        folder: The folder.
        port: Port on this machine.
        status: Answer to everything instead of files; None = files.
        cut: Ends each answer after so many bytes of its body; None = does not.
        stalls: Waits before the body of each answer, seconds.
        failures: How many of the next requests are answered with 503.
        bytes: Bytes of bodies sent.
        requests: Paths asked for.
    """

    folder: Path
    port: int = 0
    status: int | None = None
    cut: int | None = None
    stalls: float = 0.0
    failures: int = 0
    bytes: int = 0
    requests: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        """Returns the address of a file."""
        return f"http://127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serves a folder while the block runs."""
    state = Served(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            name = unquote(urlsplit(self.path).path).lstrip("/")
            state.requests.append(name)
            path = folder / name
            status = state.status
            if state.failures:
                state.failures -= 1
                status = 503
            if status is None and not path.is_file():
                status = 404
            if status is not None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = path.read_bytes()
            found = re.fullmatch(
                r"bytes=(\d+)-(\d*)", self.headers.get("Range", "") if body else ""
            )
            start, end = 0, len(content) - 1
            if found:
                start = int(found[1])
                end = min(end, int(found[2])) if found[2] else end
            if start > end:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            part = content[start : end + 1]
            self.send_response(206 if found else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            if found:
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
            self.end_headers()
            if not body:
                return
            time.sleep(state.stalls)
            if state.cut is not None:
                part = part[: state.cut]
                self.close_connection = True
            with contextlib.suppress(ConnectionError):
                self.wfile.write(part)
                state.bytes += len(part)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
