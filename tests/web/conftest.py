"""What tests of the pages stand on: a real server, real people, a real Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server import scene
from tests.server.scene import Cast, Serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MILLISECONDS = 15_000
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Share one real Chromium; without one the tests are skipped, and fail in CI."""
    program = CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed.")
        pytest.skip("Chromium is not installed.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page must not do, written down as it happens."""

    host: str
    faults: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Listen to everything that this page says, breaks, or asks others for."""
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("console", self._console)
        page.on("request", lambda request: self._request(request.url))

    def _console(self, message: Any) -> None:
        # An answer that is an error is what some tests ask for; the browser says it here too.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != self.host:
            self.faults.append(f"request: {url}")


@dataclass
class Site:
    """A server with people in it, and a browser to look at it with."""

    server: Serving
    cast: Cast
    browser: Browser
    watch: Watch
    open_contexts: contextlib.ExitStack

    @property
    def url(self) -> str:
        """The server's address."""
        return self.server.url

    def open(
        self,
        path: str = "/",
        who: httpx.Client | None = None,
        *,
        size: dict[str, int] | None = None,
        dark: bool = False,
        scripts: bool = True,
    ) -> Page:
        """Open a page as somebody in a browser of their own; nobody without `who`."""
        context = self.browser.new_context(
            base_url=self.url,
            viewport=size or WIDE,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        self.open_contexts.callback(context.close)
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        if who is not None:
            context.add_cookies(
                [
                    {"name": one.name, "value": str(one.value), "url": self.url}
                    for one in who.cookies.jar
                ]
            )
        page = context.new_page()
        self.watch.over(page)
        page.goto(path)
        return page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Share one server among the tests of a module."""
    with scene.serving(tmp_path_factory.mktemp("web") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def cast(server: Serving) -> Iterator[Cast]:
    """Give people of every role on the module's server."""
    people = scene.cast(server)
    yield people
    people.close()


@pytest.fixture
def site(server: Serving, cast: Cast, chromium: Browser) -> Iterator[Site]:
    """Give the module's site; whatever its pages did wrong fails the test at the end."""
    with browsing(server, cast, chromium) as site:
        yield site


@contextlib.contextmanager
def browsing(server: Serving, cast: Cast, browser: Browser) -> Iterator[Site]:
    """Look at a server with a browser; at the end no page may have done anything wrong."""
    watch = Watch(urlsplit(server.url).netloc)
    with contextlib.ExitStack() as contexts:
        yield Site(server, cast, browser, watch, contexts)

    assert [] == watch.faults


@pytest.fixture
def fresh(tmp_path: Path, chromium: Browser) -> Iterator[Callable[[], Site]]:
    """Give a function that starts a server which nobody has set up yet."""
    with contextlib.ExitStack() as stack:

        def start() -> Site:
            server = stack.enter_context(scene.serving(tmp_path / "home"))
            nobody = server.client()
            stack.callback(nobody.close)
            people = Cast(nobody, nobody, nobody, nobody, nobody)
            return stack.enter_context(browsing(server, people, chromium))

        yield start
