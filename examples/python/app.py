"""A backend for httpPlatform in Python's standard library alone.

The port comes by argument from web.config, the pairing token from the host's
environment, SIGTERM ends it after what has begun.
"""

import argparse
import hmac
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = os.environ.get("HTTP_PLATFORM_TOKEN", "").encode()


class Requests:
    """Counts the requests in progress, so that a stop can wait for them."""

    def __init__(self):
        self.count = 0
        self.changed = threading.Condition()

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *_):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait(self):
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0)


REQUESTS = Requests()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        with REQUESTS:
            self.answer()

    def answer(self):
        given = self.headers.get_all("MS-ASPNETCORE-TOKEN") or []
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), TOKEN):
            self.close_connection = True
            self.text(400, "this request did not come through the gate lodge\n")
        elif self.path == "/events":
            self.events()
        else:
            count = sum(len(piece) for piece in self.body())
            if self.path == "/upload":
                self.text(200, f"{count} bytes\n")
            else:
                shown = [(n, v) for n, v in self.headers.items() if n.lower() != "ms-aspnetcore-token"]
                version = sys.version.split()[0]
                self.text(200, f"hello from python {version}\n{self.command} {self.path}\n{json.dumps(shown, indent=2)}\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def body(self):
        """Yields the body's pieces, by length or by chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(1024).split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline(1024)
            while self.rfile.readline(1024) not in (b"\r\n", b""):
                pass
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)
            yield piece

    def text(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(1, 4):
            event = f"data: event {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            time.sleep(0.1)
        self.wfile.write(b"0\r\n\r\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    if not TOKEN:
        sys.exit("HTTP_PLATFORM_TOKEN is missing: start me through `gatelodge run`")
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    # shutdown() waits for serve_forever(), which runs in this very thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on 127.0.0.1:{port}")
    server.serve_forever()
    REQUESTS.wait()
    print("SIGTERM: stopped")


if __name__ == "__main__":
    main()
