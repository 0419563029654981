"""A stand-in for the Hub on the loopback interface: serves folders as repositories, and takes commits.

Point `HF_ENDPOINT` at `Hub(...).url`. It answers what huggingface_hub asks for when it downloads: repository info, the
tree, paths-info, and the files; and when it publishes: validation, creation, preupload, weights by LFS (batch, upload,
verify) and commit. Nothing else, so that a request that a library newly makes shows up as a 404 in a test.
"""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".parquet")  # what the .gitattributes of a repository send to LFS
COMMIT = hashlib.sha1(b"stand-in").hexdigest()


class Hub:
    """Serves `{"models": {"user/name": folder}, "datasets": {...}}` until closed; `requests` lists what was asked."""

    def __init__(self, repositories: dict[str, dict[str, Path]]) -> None:
        self.repositories = repositories
        self.requests: list[str] = []
        # Of each repository that was written to, its commits as {path: content}, and whether it was made private.
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}  # of LFS, by sha256
        self.verified: set[str] = set()
        self.fail: list[int] = []  # statuses that the next commits are answered with
        self.fail_uploads: list[int] = []  # likewise of LFS uploads
        hub = self

        class Handler(_Handler):
            serves = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    serves: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Keeps the requests instead of printing them."""
        self.serves.requests.append(f"{self.command} {self.path}")

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self._answer(self.rfile.read(length))

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        hub, oid = self.serves, self.path.rpartition("/")[2]
        if hub.fail_uploads:
            self._send(hub.fail_uploads.pop(0), {"error": "not now"})
        elif hashlib.sha256(content).hexdigest() != oid:
            self._send(400, {"error": "these bytes have another sha256"})
        else:
            hub.objects[oid] = content
            self._send(200, {})

    def _answer(self, body: bytes = b"") -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if self.command == "POST" and self._written(parts, body):
            return
        if parts[0] == "api":
            kind, name, rest = parts[1], "/".join(parts[2:4]), parts[4:]
        elif parts[0] == "datasets":
            kind, name, rest = "datasets", "/".join(parts[1:3]), parts[3:]
        else:
            kind, name, rest = "models", "/".join(parts[:2]), parts[2:]
        folder = self.serves.repositories.get(kind, {}).get(name)
        if folder is None:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif parts[0] == "api":
            self._api(kind, name, folder, rest, body)
        else:
            self._file(folder, rest)

    def _written(self, parts: list[str], body: bytes) -> bool:
        """Answers what huggingface_hub asks for when it publishes a model; False where this is something else."""
        hub, asked = self.serves, parts[1:]
        if asked == ["validate-yaml"]:
            self._send(200, {"errors": [], "warnings": []})
        elif asked == ["repos", "create"]:
            said = json.loads(body)
            name = f"{said['organization']}/{said['name']}" if said.get("organization") else said["name"]
            hub.private.setdefault(name, said.get("private", said.get("visibility") == "private"))
            self._send(200, {"url": f"{hub.url}/{name}", "id": name})
        elif asked[3:4] == ["preupload"]:
            modes = [
                {**file, "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._send(200, {"files": modes})
        elif parts[2:] == ["info", "lfs", "objects", "batch"]:
            self._send(
                200, {"transfer": "basic", "objects": [self._wanted(one) for one in json.loads(body)["objects"]]}
            )
        elif parts[:1] == ["lfs-verify"]:
            said = json.loads(body)
            has = len(hub.objects.get(said["oid"], b"")) == said["size"]
            hub.verified |= {said["oid"]} if has else set()
            self._send(200 if has else 404, {})
        elif asked[3:4] == ["commit"]:
            if hub.fail:
                self._send(hub.fail.pop(0), {"error": "not now"})
                return True
            name = "/".join(asked[1:3])
            lines = [json.loads(line) for line in body.splitlines()]
            files = [line["value"] for line in lines if line["key"] == "file"]
            content = {one["path"]: base64.b64decode(one["content"]) for one in files}
            for one in (line["value"] for line in lines if line["key"] == "lfsFile"):
                if one["oid"] not in hub.verified:
                    self._send(400, {"error": f"{one['path']} was not uploaded"})
                    return True
                content[one["path"]] = hub.objects[one["oid"]]
            hub.commits.setdefault(name, []).append(content)
            self._send(200, {"commitUrl": f"{hub.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT, "hookOutput": ""})
        else:
            return False
        return True

    def _wanted(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What LFS answers of an object: where to send it, or nothing where it has it."""
        if asked["oid"] in self.serves.verified:
            return asked
        urls = {"upload": f"{self.serves.url}/lfs/{asked['oid']}", "verify": f"{self.serves.url}/lfs-verify"}
        return {**asked, "actions": {name: {"href": url} for name, url in urls.items()}}

    def _api(self, kind: str, name: str, folder: Path, rest: list[str], body: bytes) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if not rest or rest[0] == "revision":
            siblings = [{"rfilename": str(path.relative_to(folder))} for path in files]
            info = {
                "id": name,
                "sha": COMMIT,
                "siblings": siblings,
                "private": False,
                "disabled": False,
                "gated": False,
            }
            self._send(
                200, {**info, "tags": [], "downloads": 0, "likes": 0, "lastModified": "2026-01-01T00:00:00.000Z"}
            )
        elif rest[0] == "tree":
            under = folder.joinpath(*rest[2:])
            inside = sorted(under.rglob("*") if "recursive=true" in self.path else under.glob("*"))
            if not under.is_dir():
                self._send(404, {"error": "no such folder"}, {"X-Error-Code": "EntryNotFound"})
                return
            self._send(200, [_entry(path, folder) for path in inside])
        elif rest[0] == "paths-info":
            asked = json.loads(body).get("paths", [])
            self._send(200, [_entry(folder / path, folder) for path in asked if (folder / path).exists()])
        else:
            self._send(404, {"error": f"the stand-in has no {rest[0]}"})

    def _file(self, folder: Path, rest: list[str]) -> None:
        path = folder.joinpath(*rest[2:])
        if rest[:1] != ["resolve"] or not path.is_file():
            self._send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        content = path.read_bytes()
        status, headers = 200, {"ETag": f'"{_oid(path)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and self.command == "GET":
            first, _, last = asked[6:].partition("-")
            begin, end = int(first), int(last) if last else len(content) - 1
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
            status, content = 206, content[begin : end + 1]
        self._send(status, content, headers)

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if raw is content else "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def _entry(path: Path, folder: Path) -> dict[str, Any]:
    name = str(path.relative_to(folder))
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0}
    return {"type": "file", "path": name, "oid": _oid(path), "size": path.stat().st_size}
