"""A headless Chromium that opens files: for tests marked `browser`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars", "--force-prefers-reduced-motion", "--force-device-scale-factor=1",
)  # fmt: skip


@contextmanager
def chromium(*, width: int = 1200, height: int = 900) -> Iterator[Any]:
    """A selenium driver; the test is skipped, with the reason, where there is no Chromium."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium with its chromedriver on the PATH (Debian: chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for option in (*OPTIONS, f"--window-size={width},{height}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def open_page(browser: Any, path: str | Path) -> None:
    """Open a local file; what an earlier page complained of is forgotten."""
    browser.get_log("browser")
    browser.get(f"file://{path}")


def complaints(browser: Any) -> list[str]:
    """What the page wrote to the console since it was opened, or the last call."""
    return [f"{entry['level']}: {entry['message']}" for entry in browser.get_log("browser")]


def drag(page: Any, canvas: Any, *corners: tuple[float, float]) -> None:
    """Press at the first corner, pass the others, release; corners as shares of the canvas, from
    its middle."""
    from selenium.webdriver import ActionChains

    width, height = canvas.size["width"], canvas.size["height"]
    points = [(round(width * x), round(height * y)) for x, y in corners]
    chain = ActionChains(page, duration=10).move_to_element_with_offset(canvas, *points[0])
    chain = chain.click_and_hold()
    for x, y in points[1:]:
        chain = chain.move_to_element_with_offset(canvas, x, y)
    chain.release().perform()
