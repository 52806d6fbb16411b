"""Debian's Chromium without a display, and the dashboard as somebody in front of it uses it.

Chromium runs with ``--no-sandbox``, as its sandbox cannot be made by root; it opens nothing but the test's
own api. Its proxy is a port of this machine where nobody listens: what is not on loopback cannot be reached.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from api.dashboard import STATIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webelement import WebElement

SCRIPTS = (Path(__file__).parent / "scripts.js").read_text()
ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts" / "dashboard"
LAPTOP = (1366, 641)  # what a browser's own bars leave of 1366 x 768
WAIT_S = 30.0
NOT_YET = (ElementClickInterceptedException, NoSuchElementException, StaleElementReferenceException)
NOBODY = "127.0.0.1:9"
PAGES = tuple(re.findall(r"^  (\w+): \{ title:", (STATIC / "app.js").read_text(), re.MULTILINE))


@contextmanager
def chromium(directory: Path) -> Iterator[Chrome]:
    """A browser with a profile of its own in ``directory``, ended with all its processes."""
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--hide-scrollbars",
        f"--user-data-dir={directory}",
        f"--proxy-server={NOBODY}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options, ChromeService("/usr/bin/chromedriver"))
    try:
        size = dict(zip(("width", "height"), LAPTOP, strict=True))
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 1, "mobile": False}
        )
        yield driver
    finally:
        driver.quit()


class Page:
    """The dashboard at ``base``; what is asked for is waited for."""

    def __init__(self, driver: Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    def open(self, token: str = "", page: str = "overview") -> None:
        """As in a new tab, of a browser that has been there with this token before."""
        self.driver.get(f"{self.base}/#/{page}")
        self.driver.execute_script(
            "sessionStorage.clear(); localStorage.clear();"
            "if (arguments[0]) sessionStorage.setItem('xdpcopy-token', arguments[0])",
            token,
        )
        self.driver.refresh()
        self.one(f"main.{page}" if token else "main.sign-in")

    def wait(self, condition: Callable[[], Any], what: str = "") -> Any:
        """What ``condition`` gives as soon as it is true. What is covered or gone is tried again."""

        def met(_: Chrome) -> Any:
            return condition()

        return WebDriverWait(self.driver, WAIT_S, 0.05, ignored_exceptions=NOT_YET).until(met, what)

    def all(self, css: str) -> list[WebElement]:
        return [found for found in self.driver.find_elements(By.CSS_SELECTOR, css) if found.is_displayed()]

    def one(self, css: str, containing: str = "") -> WebElement:
        found: WebElement = self.wait(
            lambda: next((each for each in self.all(css) if containing in each.text), None),
            f"{css} with '{containing}'",
        )
        return found

    def named(self, name: str) -> WebElement:
        """The control of this name: its own text, its label, or ``aria-label``."""
        found: WebElement = self.wait(
            lambda: self.driver.execute_script(f"{SCRIPTS}; return named(arguments[0])", name),
            f"a control named {name}",
        )
        return found

    def press(self, name: str) -> None:
        self.wait(lambda: self._press(name), f"{name} can be pressed")

    def _press(self, name: str) -> bool:
        found = self.named(name)
        if found.is_enabled():
            found.click()
            return True
        return False

    def type(self, name: str, text: str) -> None:
        """Over what is there."""
        self.named(name).send_keys(Keys.CONTROL + "a" + Keys.NULL + text)

    def upload(self, path: Path) -> None:
        self.driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(path))

    def go(self, page: str) -> None:
        self.driver.execute_script("location.hash = arguments[0]", f"#/{page}")
        self.one(f"main.{page}")

    def says(self, css: str, text: str) -> None:
        self.wait(lambda: any(text in each.text for each in self.all(css)), f"{css} says '{text}'")

    def theme(self, name: str) -> None:
        for _ in range(3):
            if self.driver.execute_script("return document.documentElement.dataset.theme") == name:
                return
            self.driver.find_element(By.CSS_SELECTOR, "[aria-label^='Colours']").click()
        raise AssertionError(f"no theme {name}")

    def photograph(self, name: str) -> None:
        """A picture in each theme, for people to look at."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        for theme in ("light", "dark"):
            self.driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
            self.driver.save_screenshot(str(ARTEFACTS / f"{name}-{theme}.png"))

    def requests(self) -> list[str]:
        """The address of every request since the last call, as the browser's network saw it."""
        sent = self._network("requestWillBeSent")
        return [each["request"]["url"] for each in sent if not each["documentURL"].startswith("chrome:")]

    def cancelled(self) -> int:
        """How many requests the page itself has given up since the last call."""
        return sum(1 for each in self._network("loadingFailed") if each["canceled"])

    def _network(self, event: str) -> list[dict[str, Any]]:
        messages = (json.loads(each["message"])["message"] for each in self.driver.get_log("performance"))
        return [message["params"] for message in messages if message["method"] == f"Network.{event}"]

    def complaints(self) -> list[str]:
        """What the console says since the last call, but for answers that a test provoked."""
        return [
            each["message"]
            for each in self.driver.get_log("browser")
            if "Failed to load resource: the server responded" not in each["message"]
        ]
