"""A stand-in for a model hub that speaks its protocol over HTTP, on this machine.

Repositories, checks of a card's metadata, commits as lines of JSON, large files by Git LFS, and
files by revision: what `huggingface_hub` asks of the real one to push and to pull.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

__all__ = ["TOKEN", "StandIn", "running"]

TOKEN = "hf_standin"
LARGE = (".safetensors", ".onnx", ".parquet")
"""What the hub keeps with Git LFS."""

Answer = tuple[int, Any, dict[str, str]]


class StandIn:
    """What the hub holds.

    Attributes:
        private: Whether a repository is, by its name.
        commits: Files of each commit, by repository and hash, oldest first.
        objects: Large files by their SHA-256.
        asked: Method and path of each request.
    """

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""

    def files(self, repo: str, revision: str = "main") -> tuple[str, dict[str, bytes]] | None:
        """Return hash and files of a revision, None if there is none."""
        commits = self.commits.get(repo, {})
        if not commits:
            return None
        sha = list(commits)[-1] if revision == "main" else revision
        return (sha, commits[sha]) if sha in commits else None

    def create(self, body: dict[str, Any]) -> Answer:
        repo = f"{body.get('organization') or 'me'}/{body['name']}"
        place = {"url": f"{self.url}/{repo}", "id": repo, "name": repo}
        if repo in self.private:
            return 409, {"error": "You already created this model repo", **place}, {}
        self.private[repo] = body.get("private", body.get("visibility") == "private")
        self.commits[repo] = {"0" * 40: {}}
        return 200, place, {}

    def validate(self, body: dict[str, Any]) -> Answer:
        match = re.match(r"^---\n(.*?)\n---\n", body["content"], re.DOTALL)
        try:
            assert match, "no metadata"
            metadata = yaml.safe_load(match[1])
            assert isinstance(metadata, dict), "metadata must be a mapping"
        except (yaml.YAMLError, AssertionError) as error:
            return 400, {"errors": [{"message": str(error)}], "warnings": []}, {}
        return 200, {"errors": [], "warnings": []}, {}

    def preupload(self, body: dict[str, Any]) -> Answer:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in body["files"]
        ]
        return 200, {"files": modes}, {}

    def batch(self, body: dict[str, Any]) -> Answer:
        objects = [
            {
                **one,
                "actions": {
                    "upload": {"href": f"{self.url}/objects/{one['oid']}"},
                    "verify": {"href": f"{self.url}/verify"},
                },
            }
            for one in body["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}, {}

    def verify(self, body: dict[str, Any]) -> Answer:
        content = self.objects.get(body["oid"], b"")
        fits = (hashlib.sha256(content).hexdigest(), len(content)) == (body["oid"], body["size"])
        return (200, {}, {}) if fits else (422, {"error": "the object differs"}, {})

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> Answer:
        files = dict(list(self.commits[repo].values())[-1])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
        sha = hashlib.sha1(json.dumps(lines).encode() + bytes(len(self.commits[repo]))).hexdigest()
        self.commits[repo][sha] = files
        url = f"{self.url}/{repo}/commit/{sha}"
        return 200, {"commitUrl": url, "commitOid": sha, "hookOutput": ""}, {}

    def info(self, repo: str, revision: str) -> Answer:
        found = self.files(repo, revision)
        if found is None:
            kind = "RevisionNotFound" if repo in self.commits else "RepoNotFound"
            return 404, {"error": "not found"}, {"X-Error-Code": kind}
        names = [{"rfilename": name} for name in found[1]]
        return 200, {"id": repo, "sha": found[0], "siblings": names, "tags": []}, {}

    def tree(self, repo: str, revision: str) -> Answer:
        found = self.files(repo, revision)
        assert found is not None
        return 200, [_entry(name, content) for name, content in found[1].items()], {}

    def resolve(self, repo: str, revision: str, name: str) -> Answer:
        found = self.files(repo, revision)
        if found is None or name not in found[1]:
            return 404, {"error": "not found"}, {"X-Error-Code": "EntryNotFound"}
        content = found[1][name]
        etag = hashlib.sha256(content).hexdigest()
        return 200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": found[0]}


def _entry(name: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": name, "size": len(content)}
    entry["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if name.endswith(LARGE):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
    return entry


NAME = r"(?P<repo>[\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("POST", "/api/repos/create", lambda hub, body: hub.create(json.loads(body))),
    ("POST", "/api/validate-yaml", lambda hub, body: hub.validate(json.loads(body))),
    (
        "POST",
        f"/api/models/{NAME}/preupload/main",
        lambda hub, body, repo: hub.preupload(json.loads(body)),
    ),
    (
        "POST",
        f"/{NAME}.git/info/lfs/objects/batch",
        lambda hub, body, repo: hub.batch(json.loads(body)),
    ),
    ("POST", "/verify", lambda hub, body: hub.verify(json.loads(body))),
    (
        "POST",
        f"/api/models/{NAME}/commit/main",
        lambda hub, body, repo: hub.commit(repo, [json.loads(line) for line in body.splitlines()]),
    ),
    (
        "GET",
        f"/api/models/{NAME}/revision/(?P<revision>[^/]+)",
        lambda hub, body, repo, revision: hub.info(repo, revision),
    ),
    ("GET", f"/api/models/{NAME}", lambda hub, body, repo: hub.info(repo, "main")),
    (
        "GET",
        f"/api/models/{NAME}/tree/(?P<revision>[^/]+)",
        lambda hub, body, repo, revision: hub.tree(repo, revision),
    ),
    (
        "GET",
        f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<name>.+)",
        lambda hub, body, repo, revision, name: hub.resolve(repo, revision, name),
    ),
]


def _handler(hub: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self._body()
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            status, content, headers = self._answered(path, body)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answered(self, path: str, body: bytes) -> Answer:
            if self.command == "PUT":  # a signed address: it wants no key
                hub.objects[path.rpartition("/")[2]] = body
                return 200, b"", {}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return 401, {"error": "Invalid username or password."}, {}
            wanted = "GET" if self.command == "HEAD" else self.command
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, path)
                if method == wanted and match:
                    return answer(hub, body, **match.groupdict())
            return 404, {"error": f"no {self.command} {path}"}, {}

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  the server's names

    return Handler


@contextmanager
def running() -> Iterator[StandIn]:
    """A hub on a free port of this machine, until the end."""
    hub = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
