"""Debian's Chromium, driven through ChromeDriver's own HTTP protocol; axe-core looks at what it shows."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]


# What axe-core finds against its rules, as "rule: what is wrong: the element", one line each.
AXE = """
const done = arguments[0];
axe.run(document).then((found) => done(found.violations.flatMap((one) =>
  one.nodes.map((node) => `${one.id}: ${node.failureSummary}: ${node.html.slice(0, 200)}`))));
"""


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def require_browser() -> None:
    """Skips a test where no browser is installed."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install chromium chromium-driver")


class Browser:
    """One page at a time; `messages` are what the console said, `requests` what the page asked for."""

    def __init__(self, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{port}"
        options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.session = ""
        for _ in range(100):
            try:
                self.session = self._ask("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *exc: object) -> None:
        if self.session:
            self._ask(f"/session/{self.session}", None, method="DELETE")
        self.driver.terminate()
        self.driver.wait()

    def _ask(self, path: str, body: Any, method: str = "POST") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def _command(self, name: str, body: Any) -> Any:
        return self._ask(f"/session/{self.session}/{name}", body)

    def developer(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._command("goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Loads a file in a window of this size, in light or dark."""
        self.developer(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.developer("Emulation.setEmulatedMedia", features=[scheme])
        self._command("url", {"url": path.resolve().as_uri()})

    def enter_frame(self, number: int = 0) -> None:
        """What is run from now on, until a page is opened, is run in this frame."""
        self._command("frame", {"id": number})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body returns in the page."""
        return self._command("execute/sync", {"script": script, "args": list(arguments)})

    def violations(self) -> list[str]:
        """What axe-core, all rules, has against the page."""
        self.run(_axe())
        found: list[str] = self._command("execute/async", {"script": AXE, "args": []})
        return found

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call; `browser` is the console."""
        entries: list[dict[str, Any]] = self._command("se/log", {"type": kind})
        return entries

    def requests(self) -> list[str]:
        """The addresses that the page asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.developer("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
