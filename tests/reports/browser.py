"""A real browser for tests and pictures: Chromium, driven over loopback by its WebDriver."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import urllib.request
from pathlib import Path


class Browser:
    """A headless Chromium: just enough to open a file, inspect it and read its console."""

    def __init__(self, url, profile):
        self._url = url
        options = {
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={profile}",
            ]
        }  # fmt: skip
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._session = ""
        answer = self._post("/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"

    def _post(self, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._url}{self._session}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def command(self, name, **parameters):
        """Send one command of the DevTools protocol."""
        return self._post("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, path, *, scheme="light", width=1400, height=1000):
        """Open the file in this colour scheme."""
        self.command(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._logs("browser"), self._logs("performance")
        self._post("/url", {"url": Path(path).as_uri()})

    def run(self, script):
        """Return the value of a function body that runs in the page."""
        return self._post("/execute/sync", {"script": script, "args": []})

    def _logs(self, kind):
        return self._post("/se/log", {"type": kind})

    def complaints(self):
        """Return every message on the console since the page was opened."""
        return [entry["message"] for entry in self._logs("browser")]

    def requests(self):
        """Return every address requested since the page was opened, except the page itself."""
        messages = [json.loads(entry["message"])["message"] for entry in self._logs("performance")]
        sent = [
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("file:", "data:"))]

    def move(self, x, y, *, click=False):
        """Move the pointer to this place, in pixels from the top left of the window."""
        actions = [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def screenshot(self, path, *, whole=True, until=None):
        """Write a PNG of the page; with `until`, only of the part above the element with that selector."""
        part = {}
        if until:
            width, height = self.run(
                f"const box = document.querySelector({until!r}).getBoundingClientRect();"
                "return [innerWidth, Math.floor(box.top + scrollY)]"
            )
            part = {"clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **part)
        Path(path).write_bytes(base64.b64decode(picture["data"]))

    def quit(self):
        request = urllib.request.Request(f"{self._url}{self._session}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()


@contextlib.contextmanager
def chromium(profile):
    """Yield a `Browser`, and end it and its driver afterwards."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        port = next(
            found[1] for line in driver.stdout if (found := re.search(r"successfully on port (\d+)", line))
        )
        browser = Browser(f"http://127.0.0.1:{port}", profile)
        try:
            yield browser
        finally:
            browser.quit()
    finally:
        driver.terminate()
        driver.wait(10)
        driver.stdout.close()
