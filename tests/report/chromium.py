"""A headless Chromium, driven through the pipe of its debugging protocol.

`python -m tests.report.chromium PAGE.html PICTURE.png` takes a picture of a page.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)

needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="Chromium is not installed (Debian: apt install chromium)"
)


def artefact(browser, name):
    """Keeps a screenshot where CI collects them, if it does."""
    if wanted := os.environ.get("LANDSLIDE_TF_ARTEFACTS"):
        Path(wanted).mkdir(parents=True, exist_ok=True)
        browser.picture(Path(wanted) / name)


class Chromium:
    """One page in a browser of its own; everything it says and asks for is kept."""

    def __init__(self, page, *, width=1280, height=900, fragment=""):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        # The protocol wants these two numbers; the shell moves ours there.
        moved = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        command = [
            "bash", "-c", moved, "bash", PROGRAM, "--headless=new", "--no-sandbox",
            "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars",
            "--no-first-run", "--disable-dev-shm-usage",
            f"--window-size={width},{height}", f"--user-data-dir={self.folder.name}",
            "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.number, self.buffer, self.session, self.events = 0, b"", None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", **size, mobile=False)
        self.call("Page.navigate", url=Path(page).resolve().as_uri() + fragment)
        self.until("document.readyState == 'complete'")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                part = os.read(self.back, 1 << 16)
                assert part, "Chromium ended"
                self.buffer += part
            text, _, self.buffer = self.buffer.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def value(self, expression):
        """The value of a JavaScript expression in the page."""
        found = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def media(self, kind="", scheme="light"):
        """Shows the page as on another medium, or to a reader of another taste."""
        taste = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=taste)

    def until(self, expression):
        for _ in range(600):
            if self.value(expression):
                return
            time.sleep(0.05)
        raise AssertionError(f"never became true: {expression}")

    def key(self, key, text=""):
        """Presses a key where the focus is, as a keyboard does."""
        codes = {
            "Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "Home": 36,
            "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
        }  # fmt: skip
        text = text or {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = codes.get(key, ord(key[0]))
        how = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **how)
        self.call("Input.dispatchKeyEvent", type="keyUp", **how)

    def mouse(self, kind, x, y, **more):
        held = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1}
        if kind == "mouseWheel":
            held = {}
        place = {"x": x, "y": y}
        self.call(
            "Input.dispatchMouseEvent", type=kind, **place, **held, clickCount=1, **more
        )

    def click(self, x, y):
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def requests(self):
        """Addresses that the page asked for, without what it holds itself."""
        self.value("1")
        found = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in found if not url.startswith("data:")]

    def complaints(self):
        """Errors and warnings of the page: exceptions, console, refused content."""
        self.value("1")
        kinds = (
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
        )
        return [e["params"] for e in self.events if e.get("method") in kinds]

    def picture(self, path):
        found = self.call("Page.captureScreenshot", format="png")
        Path(path).write_bytes(base64.b64decode(found["data"]))

    def close(self):
        os.close(self.to)  # it ends when its pipe does
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.back)
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    with Chromium(sys.argv[1]) as browser:
        time.sleep(0.5)
        browser.picture(sys.argv[2])
        print(browser.requests(), browser.complaints())
