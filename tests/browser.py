"""A real browser for the tests of pages: Debian's chromium, without a window."""

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips where playwright or chromium is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'tunesmith[dev]'")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """The address of a server on this machine, as long as it is needed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a word on the terminal."""

    def log_message(self, *words: object) -> None:
        pass


def files(folder: Path, handler: type[SimpleHTTPRequestHandler] = Quiet) -> Any:
    """What `serving` serves for a folder."""
    return functools.partial(handler, directory=str(folder))
