"""`audiogen web` reports bad options before a page connects, and prints and opens its address."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def call(capsys) -> Callable[..., Result]:
    """A function that runs one line of the command line."""

    def run(*words: str) -> Result:
        from audiogen.cli.main import main

        with pytest.raises(SystemExit) as exit_:
            main(["web", *words])
        captured = capsys.readouterr()
        return Result(int(exit_.value.code or 0), captured.out, captured.err)

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "--port 70000"),
        (["--max-clients", "0"], "--max-clients 0"),
        (["--sample-rate", "4000"], "--sample-rate 4000"),
        (["--seed", "-1"], "seed=-1"),
        (["no-such-preset"], "no-such-preset"),
        (["--host", "not a host"], "--host not a host"),
        (["--host", "203.0.113.7", "--port", "0"], "an address of this computer"),
    ],
)
def test_bad_options_are_refused(call, words, said):
    result = call(*words)
    assert result.status == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_port_in_use_is_named(call):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = call("--port", str(port), "--no-open")
    assert result.status == 2
    assert f"--port {port} is in use" in result.err


@pytest.mark.parametrize("package", ["anyio", "starlette", "uvicorn", "websockets"])
def test_a_missing_package_is_named(call, monkeypatch, package):
    for name in list(sys.modules):
        if name.startswith(("audiogen.web", "audiogen.cli.web", package)):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    result = call("--port", "0", "--no-open")
    assert result.status == 2
    assert f"audiogen web needs {package}" in result.err
    assert 'pip install "audiogen-synth[web]"' in result.err


def test_it_prints_its_address_and_stops_quietly(server_process):
    process, address = server_process("struck")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{20,}", address)
    process.send_signal(2)
    assert process.wait(timeout=30) in (0, 130, -2)
    assert "Traceback" not in process.stderr.read()


def test_other_computers_are_shut_out_by_default(server_process):
    _, address = server_process("struck")
    port = int(address.split(":")[2].split("/")[0])
    listening = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.2', {port}))"],
        capture_output=True,
    )
    assert listening.returncode != 0


def test_the_browser_is_given_a_private_file_that_redirects(monkeypatch):
    import stat
    import webbrowser
    from pathlib import Path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    from audiogen.cli.web import opened_in_browser

    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    with opened_in_browser("http://127.0.0.1:8317/?token=secret&x=1"):
        assert "secret" not in opened[0]
        path = Path(url2pathname(urlsplit(opened[0]).path))
        assert 'url=http://127.0.0.1:8317/?token=secret&amp;x=1"' in path.read_text()
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_an_open_address_is_pointed_out(server_process):
    process, address = server_process("struck", "--host", "0.0.0.0")
    assert address.startswith("http://127.0.0.1:")
    assert "Anyone with the address can play" in process.stdout.readline()
