"""gRPC-Web from a real page: Chromium opens web.html from one origin, and the page calls the binary at another, on every loop.

    web.py BINARY BROWSER

A line each, `ok   LOOP: CASE` or `FAIL LOOP: CASE: why`. The exit code is 0 when every case passed, and every server has drained.
"""

import http.server
import json
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading

# Seconds: what takes milliseconds on an idle machine may take this long.
PATIENCE = 60

LOOPS = ["tokio", "tokio-uring", "glommio"]

PAGE = pathlib.Path(__file__).with_name("web.html").read_bytes()

results = queue.Queue()


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves the page, and takes what it found."""

    def do_GET(self):
        self.answer(200, PAGE) if self.path.startswith("/web.html?") else self.answer(404, b"")

    def do_POST(self):
        results.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(200, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(binary, loop, origin):
    """A server that lets pages of this origin call. Returns the process and where it listens."""
    command = [binary, "serve", "--runtime", loop, "--http2", "hyper", "--workers", "1", "--addr", "127.0.0.1:0"]
    server = subprocess.Popen([*command, "--grpc-web", "--grpc-web-origin", origin], stdout=subprocess.PIPE, text=True)
    address = re.match(r"listening on (\S+)", server.stdout.readline())
    if not address:
        sys.exit(f"web.py: {loop}: it does not listen")
    return server, f"http://{address[1]}"


def open_page(browser, url):
    """What the page found."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        # No name resolves, so that the browser asks nobody else.
        flags.append("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
        chromium = subprocess.Popen([browser, *flags, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return results.get(timeout=PATIENCE)
        except queue.Empty:
            return {"the page": f"it has told nothing in {PATIENCE} s"}
        finally:
            chromium.terminate()
            chromium.wait(PATIENCE)


def main(binary, browser):
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_port}"
    n_failed = 0
    for loop in LOOPS:
        servers = [serve(binary, loop, allowed) for allowed in (origin, "https://app.example.com")]
        (_, server), (_, other) = servers
        found = open_page(browser, f"{origin}/web.html?server={server}&other={other}")
        for process, _ in servers:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(PATIENCE) for process, _ in servers]
        found["both servers drain"] = "ok" if codes == [0, 0] else f"exit codes {codes}"
        for case, verdict in found.items():
            n_failed += verdict != "ok"
            print(f"ok   {loop}: {case}" if verdict == "ok" else f"FAIL {loop}: {case}: {verdict}")
    return n_failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) != 0)
