"""Measures the engine as WebAssembly in headless Chromium: load time, size and voices per core.

    python docs/studies/web_module.py [PRESET]

Needs playwright and chromium. Shares of a core are CPU time of the browser's processes.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from audiogen.presets import load_preset
from audiogen.web.static_site import module_path, write_site

RATE, BLOCK, POLYPHONY, SECONDS = 48000, 256, 16, 6
# In a worker, as on the page: opens the engine, then renders held notes.
WORKER = """
import { Engine } from "%s/static/engine.js";
let player, block, rate;
const steps = {
  async open(options) {
    ({ block, rate } = options);
    const { base, preset } = options;
    const get = async (path) =>
      new Uint8Array(await (await fetch(`${base}/${path}`)).arrayBuffer());
    const times = {};
    let last = performance.now();
    const step = (name) => ([times[name], last] = [performance.now() - last, performance.now()]);
    const bytes = await get("static/audiogen.wasm");
    const toml = await get(`presets/${preset}/preset.toml`);
    const weights = await get(`presets/${preset}/weights.safetensors`);
    step("fetch");
    const module = await WebAssembly.compile(bytes);
    step("compile");
    const engine = await Engine.load(module);
    const opened = engine.open(toml, weights);
    step("open");
    const { polyphony } = options;
    player = engine.player(opened, { sampleRate: rate, maxBlock: block, polyphony });
    step("create");
    return { ...times, memory: engine.exports.memory.buffer.byteLength };
  },
  start({ n }) {
    for (let i = 0; i < n; i++) player.noteOn(i + 1, 48 + (i %% 24) + i / 97, 0.8, 0);
    player.process(block);
  },
  render({ seconds }) {
    for (let at = 0; at < seconds * rate; at += block) player.process(block);
  },
  silence() {
    player.add(3, 0, 0, 0, 1);
    for (let at = 0; at < rate; at += block) player.process(block);
  },
};
self.onmessage = async ({ data }) => self.postMessage((await steps[data.step](data)) ?? null);
"""
OPEN = """(source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.engine = new Worker(url, { type: "module" });
}"""
CALL = """(message) => new Promise((resolve, reject) => {
  engine.onmessage = ({ data }) => resolve(data);
  engine.onerror = (event) => reject(new Error(event.message));
  engine.postMessage(message);
})"""


def cpu_s() -> float:
    """CPU time of this process's descendants: the browser's, without what else runs."""
    parents, times = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        pid = int(stat.parent.name)
        parents[pid] = int(fields[1])
        times[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_ours(pid: int) -> bool:
        while pid > 1:
            pid = parents.get(pid, 0)
            if pid == os.getpid():
                return True
        return False

    return sum(time for pid, time in times.items() if is_ours(pid))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that prints nothing."""

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    preset = sys.argv[1] if len(sys.argv) > 1 else "plucked"
    module = module_path().read_bytes()
    print(f"module: {len(module) / 1e3:.0f} kB, {len(gzip.compress(module)) / 1e3:.0f} kB gzipped")
    weights = load_preset(preset).weights_path.stat().st_size
    print(f"{preset}: weights {weights / 1e6:.2f} MB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        size = write_site([preset], Path(folder) / "site")
        print(f"folder with this preset: {size / 1e6:.1f} MB")
        handler = functools.partial(Quiet, directory=f"{folder}/site")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_context(bypass_csp=True).new_page()
        began = time.perf_counter()
        page.goto(base)
        page.wait_for_function("document.querySelector('#now-name').innerText != ''", timeout=120e3)
        print(f"from the request to a page that can play: {time.perf_counter() - began:.2f} s")
        page.goto(f"{base}/static/icon.svg")  # the page's own engine rests
        page.evaluate(OPEN, WORKER % base)

        def call(step: str, **options: object) -> Any:
            return page.evaluate(CALL, {"step": step, **options})

        times = call("open", base=base, preset=preset, rate=RATE, block=BLOCK, polyphony=POLYPHONY)
        for step in ("fetch", "compile", "open", "create"):
            print(f"{step}: {times[step]:.0f} ms")
        print(f"memory for {POLYPHONY} voices: {times['memory'] / 1e6:.0f} MB")
        for n in (1, 4, 16) if load_preset(preset).kind == "gansynth" else (1,):
            before = cpu_s()
            call("start", n=n)
            start_ms = 1e3 * (cpu_s() - before) / n
            call("render", seconds=2)
            before = cpu_s()
            call("render", seconds=SECONDS)
            share = (cpu_s() - before) / SECONDS
            print(
                f"{n} held notes: {100 * share:.1f} % of a core, {n / share:.1f} voices per core;"
                f" {start_ms:.0f} ms to start a note"
            )
            call("silence")
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
