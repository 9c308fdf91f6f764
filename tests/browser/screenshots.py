"""`make screenshots`: pictures for the README, taken of a real demonstration."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.test_pages import CHROMIUM
from tests.journey.test_newcomer import ROOT, Site, free_port

IMAGES = ROOT / "docs/images"
SHOTS = {
    "home": ("/", 1280, 800),
    "article-phone": ("/articles/muscle-twitching/", 390, 844),
}


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Site(Path(folder) / "var", free_port())
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (path, width, height) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(site.url + path)
            page.screenshot(path=str(IMAGES / f"{name}.png"))
        browser.close()
        site.stop()


if __name__ == "__main__":
    main()
