"""A headless Chromium driven through its DevTools pipe: no port, no network, no driver program."""

import base64
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_ABOVE = 64
"""File descriptors of ours lie above the two, 3 and 4, that Chromium reads and writes."""
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, "Tab": 9, "PageDown": 34}


def chromium_path() -> str | None:
    """Return where a Chromium is installed; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A page in a Chromium of its own; leaving the `with` block ends it.

    Attributes:
        errors: what the console reported as errors, uncaught exceptions and policy violations.
        requests: every address that was asked for, data: pictures apart.
    """

    def __init__(self, profile: Path) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._count = 0
        self._loaded = False
        self._buffer = b""
        self._session: str | None = None
        self._program, self._writer, self._reader = _start(profile)
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self._call("Browser.close")
        os.waitpid(self._program, 0)
        os.close(self._writer)
        os.close(self._reader)

    def open(self, path: Path, *, width: int = 1200, height: int = 900) -> None:
        """Show the file in a window of that size and wait until it is loaded."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", metrics)
        self._loaded = False
        self.call("Page.navigate", {"url": path.resolve().as_uri()})
        while not self._loaded:
            self._receive()

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key of `KEYS`."""
        event = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", {"type": kind, **event})

    def turn_wheel(self, selector: str, by_px: float) -> None:
        """Turn the mouse wheel over the middle of an element."""
        x, y = self._middle(selector)
        event = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by_px}
        self.call("Input.dispatchMouseEvent", event)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", event)

    def drag(self, selector: str, by_px: float) -> None:
        """Press in the middle of an element, move sideways and release."""
        x, y = self._middle(selector)
        for kind, at in (
            ("mousePressed", x),
            ("mouseMoved", x + by_px),
            ("mouseReleased", x + by_px),
        ):
            event = {"type": kind, "x": at, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", event)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select element as a user does: with its change event."""
        self.evaluate(
            f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('change')); }})"
            f"(document.querySelector({json.dumps(selector)}))"
        )

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        asked = {"format": "png", "captureBeyondViewport": True}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", asked)["data"]))

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", {"printBackground": False})["data"])

    def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a DevTools command for the page."""
        return self._call(method, params, session=self._session)

    def _middle(self, selector: str) -> tuple[float, float]:
        x, y = self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2]; }})"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        return x, y

    def _call(
        self, method: str, params: dict[str, Any] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            block = os.read(self._reader, 1 << 16)
            assert block, "Chromium ended"
            self._buffer += block
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded":
            self.errors.append(str(params["entry"]["text"]))
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith("data:"):
                self.requests.append(url)


def _start(profile: Path) -> tuple[int, int, int]:
    """Return a running Chromium's process, where to write to it and where to read from it."""
    path = chromium_path()
    assert path is not None
    theirs_in, ours_out, ours_in, theirs_out = _high_pipes()
    program = os.posix_spawn(
        path,
        [path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, theirs_in, 3),
            (os.POSIX_SPAWN_DUP2, theirs_out, 4),
        ],
    )
    os.close(theirs_in)
    os.close(theirs_out)
    return program, ours_out, ours_in


def _high_pipes() -> Iterator[int]:
    """Give the four ends of two pipes, each the reading end first, numbered `_ABOVE` or more."""
    for _ in range(2):
        for end in os.pipe():
            yield fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
            os.close(end)
