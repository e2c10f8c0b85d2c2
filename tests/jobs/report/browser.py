"""A headless Chromium, asked by its DevTools protocol what a page did there."""

import asyncio
import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_SECONDS = 60
# Waits for every picture, then tells of each, and of what the page's width makes scroll.
_LOOK = """
(async () => {
  if (UNFOLD) for (const part of document.querySelectorAll("details")) part.open = true;
  await Promise.allSettled([...document.images].map(image => image.decode()));
  const root = document.documentElement;
  return {
    images: [...document.images].map(image => ({
      alt: image.alt, width: image.naturalWidth,
      // Pictures with numbers below them scroll, as tables do, in a box of their own.
      shown: (image.closest('.scroll') ?? image).getBoundingClientRect().width})),
    width: root.clientWidth,
    content: root.scrollWidth,
    height: root.scrollHeight,
    back: getComputedStyle(document.body).backgroundColor,
    hiding: [...document.querySelectorAll('body *')].filter(
      element => element.scrollWidth > element.clientWidth + 1
        && !['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
        && getComputedStyle(element).display !== 'inline').map(element => element.tagName),
    text: document.body.innerText,
  };
})()
"""


@dataclass(frozen=True)
class Visit:
    """What a page did: its pictures, sizes in CSS pixels, console, requests and its print.

    ``back`` is the colour behind it.
    """

    images: list[dict[str, Any]]
    width: int
    content: int
    height: int
    back: str
    hiding: list[str]
    text: str
    console: list[str]
    requests: list[str]
    pdf: bytes
    answer: Any


@dataclass(frozen=True)
class Look:
    """How a page is looked at: in a window of ``width`` CSS pixels, a phone's below 600 of them.

    ``ask`` is evaluated in the page at the end.
    """

    width: int
    media: str = "screen"
    scheme: str = "light"
    unfold: bool = False
    ask: str = "null"


def visit(chromium: str, page: Path, profile: Path, look: Look) -> Visit:
    """Opens the page and says what it did."""
    with _browser(chromium, profile) as port:
        return asyncio.run(_visit(port, page, look))


@contextmanager
def _browser(chromium: str, profile: Path) -> Iterator[int]:
    """A new browser and the port that it listens on; it ends with the block."""
    command = [chromium, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        announced = profile / "DevToolsActivePort"
        deadline = time.monotonic() + _SECONDS
        while not (announced.exists() and announced.read_text().count("\n")):
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command} did not start"
            time.sleep(0.05)
        yield int(announced.read_text().split("\n")[0])
    finally:
        process.terminate()
        process.wait(_SECONDS)


class _Tab:
    """One tab: commands with their answers, and the events in between."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self.events: list[dict[str, Any]] = []

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": parameters})
        while True:
            message = await self._receive()
            if message.get("id") == self._sent:
                assert "error" not in message, (method, message)
                result: dict[str, Any] = message["result"]
                return result

    async def until(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            await self._receive()

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self._socket.receive_str(timeout=_SECONDS))
        if "method" in message:
            self.events.append(message)
        return message

    def of(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event["method"] == method]


async def _visit(port: int, page: Path, look: Look) -> Visit:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            targets = await answer.json()
        address = next(each for each in targets if each["type"] == "page")["webSocketDebuggerUrl"]
        async with session.ws_connect(address, max_msg_size=0) as socket:
            tab = _Tab(socket)
            for domain in ("Page", "Network", "Runtime", "Log"):
                await tab.send(f"{domain}.enable")
            scheme = {"name": "prefers-color-scheme", "value": look.scheme}
            await tab.send("Emulation.setEmulatedMedia", media=look.media, features=[scheme])
            await tab.send(
                "Emulation.setDeviceMetricsOverride",
                width=look.width,
                height=844,
                deviceScaleFactor=1,
                mobile=look.width < 600,
            )
            tab.events.clear()
            await tab.send("Page.navigate", url=page.as_uri())
            await tab.until("Page.loadEventFired")
            script = _LOOK.replace("UNFOLD", str(look.unfold).lower())
            seen = await tab.send(
                "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
            )
            asked = await tab.send(
                "Runtime.evaluate", expression=look.ask, awaitPromise=True, returnByValue=True
            )
            printed = await tab.send("Page.printToPDF")
            return Visit(
                **seen["result"]["value"],
                console=[
                    json.dumps(event)
                    for event in (
                        *tab.of("Runtime.consoleAPICalled"),
                        *tab.of("Runtime.exceptionThrown"),
                        *tab.of("Log.entryAdded"),
                    )
                ],
                requests=[event["request"]["url"] for event in tab.of("Network.requestWillBeSent")],
                pdf=base64.b64decode(printed["data"]),
                answer=asked["result"].get("value"),
            )
