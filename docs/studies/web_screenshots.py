"""Takes the pictures of the web page in docs/images/, with notes playing: run it after a change."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "images"
SHOTS: dict[str, dict[str, Any]] = {
    "web-desktop": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "web-phone": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "device_scale_factor": 1.5,
        "has_touch": True,
        "is_mobile": True,
    },
}
CHORDS = ("KeyA KeyD KeyG", "KeyS KeyF KeyH", "KeyF KeyH KeyK", "KeyA KeyD KeyG KeyK")


def play(page: Any) -> None:
    """Some chords, the last held, the cursor between two timbres."""
    for number, chord in enumerate(CHORDS):
        for code in chord.split():
            page.keyboard.down(code)
            page.wait_for_timeout(110)
        page.wait_for_timeout(900)
        if number + 1 < len(CHORDS):
            for code in chord.split():
                page.keyboard.up(code)
            page.wait_for_timeout(60)
    page.evaluate("""() => {
      const { map } = audiogen;
      const [a, b] = ["flute", "clarinet"].map((name) => map.places[map.names.indexOf(name)]);
      map.moveTo([0, 1].map((k) => 0.65 * a[k] + 0.35 * b[k]));
    }""")
    page.wait_for_timeout(1500)


def take(page: Any) -> Image.Image:
    page.click("#start")
    page.wait_for_timeout(500)
    play(page)
    page.mouse.move(5, 5)
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # 256 colours are enough for it, and a third of the size.
    return taken.quantize(256, kmeans=2, dither=Image.Dither.NONE)


def main(lead_ms: int = 60) -> None:
    command = [sys.executable, "-m", "audiogen.cli.main", "web", "woodwinds"]
    server = subprocess.Popen(
        [*command, "--port", "0", "--no-open"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http\S+", server.stdout.readline())
        assert found is not None
        with sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name, options in SHOTS.items():
                page = browser.new_page(**options)
                page.add_init_script(f"localStorage.setItem('lead_ms', '{lead_ms}')")
                page.goto(found.group())
                page.wait_for_selector("#map[aria-busy=false] .timbre")
                page.wait_for_timeout(500)
                taken = take(page)
                late = page.evaluate("audiogen.stream.ring.late")
                page.close()
                if late:
                    print(f"{name}: sound came late {late} times, so it's not kept; try again")
                else:
                    taken.save(IMAGES / f"{name}.png", optimize=True)
            browser.close()
    finally:
        server.terminate()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
