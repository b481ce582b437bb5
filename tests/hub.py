"""A server that takes datasets as the Hugging Face Hub does: what its client asks to put files there, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What was put on it."""

    token: str = "hf_test"
    """The only one that may write."""
    url: str = ""
    repos: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was said when each was made."""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By repository and path."""
    commits: list[str] = field(default_factory=list)
    """The messages of all commits."""
    large: dict[str, bytes] = field(default_factory=dict)
    """Large files, by their SHA-256."""


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve a Hub on this machine."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        self.hub.large[self.path.rsplit("/", 1)[-1]] = self._body()
        self._answer({})

    def do_GET(self) -> None:
        found = re.match(r"/api/datasets/([^/]+/[^/?]+)(/tree/main)?", self.path)
        if found is None or found[1] not in self.hub.files or not self._may():
            self._answer({"error": "Repository not found"}, 404 if self._may() else 401)
        elif found[2] is None:
            self._answer({"id": found[1]})
        else:
            entries = self.hub.files[found[1]].items()
            self._answer([{"type": "file", "path": path, "size": len(content), "oid": "0" * 40} for path, content in entries])

    def do_POST(self) -> None:
        body = self._body()
        if not self._may():
            self._answer({"error": "Invalid username or password."}, 401)
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".parquet") else "regular",
                    "shouldIgnore": False,
                }
                for one in files
            ]
            self._answer({"files": modes})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif found := re.match(r"/api/datasets/([^/]+/[^/]+)/commit/main", self.path):
            self._commit(found[1], [json.loads(line) for line in body.splitlines()])
        else:
            self._answer({"error": f"no such thing: {self.path}"}, 404)

    def _may(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        status = 409 if name in self.hub.repos else 200
        self.hub.repos.setdefault(name, asked)
        self.hub.files.setdefault(name, {})
        self._answer({"url": f"{self.hub.url}/datasets/{name}", "name": name}, status)

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                self.hub.files[repo][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[repo][value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del self.hub.files[repo][value["path"]]
        self._answer({"commitUrl": f"{self.hub.url}/datasets/{repo}/commit/{'a' * 40}", "commitOid": "a" * 40, "success": True})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, content: Any, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
