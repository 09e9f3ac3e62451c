"""Real servers on the loopback: a web server with the habits of good and bad ones, and S3."""

from __future__ import annotations

import contextlib
import http.server
import logging
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; special names misbehave.

    `/_status/NNN/...` answers with that status; `/_cut/FILE` declares the full length and hangs up
    after half of it; `/_ranges/FILE` honours range requests; `/_silent/FILE` never answers.
    """

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        _, first, *rest = self.path.split("/")
        if first == "_status":
            self.send_error(int(rest[0]))
        elif first == "_silent":
            assert isinstance(self.server, _Server)
            self.server.released.wait(30)
        elif first in ("_cut", "_ranges"):
            self.path = "/" + "/".join(rest)
            data = Path(self.translate_path(self.path)).read_bytes()
            self._send(data, cut=first == "_cut", body=body)
        elif body:
            super().do_GET()
        else:
            super().do_HEAD()

    def _send(self, data: bytes, *, cut: bool, body: bool) -> None:
        asked = self.headers.get("Range")
        if asked and not cut:
            first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut and body:
            self.wfile.flush()
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler: partial[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up in the middle are part of the tests."""


@contextlib.contextmanager
def http_folder(folder: Path) -> Iterator[str]:
    """Serve a folder; yields the address of its root, without a slash at the end."""
    server = _Server(partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def s3_bucket(name: str = "bucket", *, check_credentials: bool = False) -> Iterator[str]:
    """An S3 server with one empty bucket; yields its URI. Sets the AWS_ environment meanwhile.

    With `check_credentials` it refuses everybody: the environment's are none that it knows.
    """
    import boto3
    import requests
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    environment = {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            client = boto3.client("s3", endpoint_url=endpoint)
            client.create_bucket(Bucket=name)
            if check_credentials:
                requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=10)
            yield f"s3://{name}"
    finally:
        if check_credentials:
            requests.post(f"{endpoint}/moto-api/reset-auth", data=b"inf", timeout=10)
        server.stop()
