"""The editor of the LV2 plug-in in a host's window on an X server without a screen."""

from __future__ import annotations

import ctypes
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from audiogen.core.parameters import PARAMETERS
from audiogen.presets import load_preset, places
from tests.jack_probe import PERIOD, Probe, await_, load_soak, strongest_hz
from tests.plugin.hosts import LV2, OWN_LIBRARIES, ROOT, environment, exported, libraries, needs
from tests.plugin.x11 import Screen, click, n_colours, xdotool

EDITOR = LV2 / "audiogen_editor.so"
pytestmark = [
    needs(LV2, "AUDIOGEN_LV2", "lv2-dev"),
    pytest.mark.skipif(
        not EDITOR.exists(),
        reason="the plug-in was built without its editor (Debian: libcairo2-dev libx11-dev)",
    ),
]

WIDTH, HEIGHT = 1060, 720  # as in csrc/plugin/editor/layout.h
PATCH = "http://lv2plug.in/ns/ext/patch#"
ATOM = "http://lv2plug.in/ns/ext/atom#"
UI = "http://lv2plug.in/ns/extensions/ui#"
# Places in the window, pixels.
MAP = 31, 101, 438, 415  # left, top, width, height
MORPH = 557, 304
TIMBRE_FIELD, PRESET_FIELD = (480, 30), (230, 30)
C4, C4_TOP = (459, 668), (459, 590)


class Feature(ctypes.Structure):
    _fields_ = (("uri", ctypes.c_char_p), ("data", ctypes.c_void_p))


class Option(ctypes.Structure):
    _fields_ = (
        ("context", ctypes.c_int),
        ("subject", ctypes.c_uint32),
        ("key", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("value", ctypes.c_void_p),
    )


MAP_URI = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_char_p)
TOUCH = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_bool)
RESIZE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
IDLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
WRITE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p
)
INSTANTIATE = ctypes.CFUNCTYPE(
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, WRITE, ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.POINTER(Feature)),
)  # fmt: skip
PORT_EVENT = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p
)


class Callbacks(ctypes.Structure):
    """LV2UI_Resize and LV2UI_Touch: a handle and a function."""

    _fields_ = (("handle", ctypes.c_void_p), ("function", ctypes.c_void_p))


class Descriptor(ctypes.Structure):
    _fields_ = (
        ("uri", ctypes.c_char_p),
        ("instantiate", INSTANTIATE),
        ("cleanup", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("port_event", PORT_EVENT),
        ("extension_data", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)),
    )


def ports() -> dict[str, int]:
    """Indices of the ports by their symbols."""
    text = (LV2 / "audiogen.ttl").read_text()
    return {
        symbol: int(index)
        for index, symbol in re.findall(r'lv2:index (\d+) ;\s+lv2:symbol "(\w+)"', text)
    }


class Host:
    """A host of the editor: offers what hosts offer, and keeps what the editor writes."""

    def __init__(
        self, screen: Screen, scale: float | None = None, embed: bool = True, parent: int = 0
    ) -> None:
        self.screen = screen
        self.ports = ports()
        self.symbols = {index: symbol for symbol, index in self.ports.items()}
        self.uris: list[str] = []
        self.writes: list[tuple[str, Any]] = []  # symbol, and value or atom
        self.touches: list[tuple[str, bool]] = []
        self.size = (0, 0)
        library = ctypes.CDLL(str(EDITOR))
        library.lv2ui_descriptor.restype = ctypes.POINTER(Descriptor)
        assert not library.lv2ui_descriptor(1)
        self.descriptor = library.lv2ui_descriptor(0).contents
        assert self.descriptor.uri == b"urn:audiogen:synth#editor"
        map_uri = MAP_URI(lambda _, uri: self.urid(uri.decode()))
        touch = TOUCH(lambda _, port, on: self.touches.append((self.symbols[port], on)))
        resize = RESIZE(self._resized)
        number = ctypes.c_float(scale or 1.0)
        option = Option(
            0, 0, self.urid(UI + "scaleFactor"), 4, self.urid(ATOM + "Float"),
            ctypes.addressof(number),
        )  # fmt: skip
        options = (Option * 2)(option) if scale else None
        structures = {
            "http://lv2plug.in/ns/ext/urid#map": Callbacks(None, address(map_uri)),
            UI + "touch": Callbacks(None, address(touch)),
            UI + "resize": Callbacks(None, address(resize)),
        }
        features = [(uri, ctypes.addressof(data)) for uri, data in structures.items()]
        opened = screen.open_window(WIDTH * 2, HEIGHT * 2) if embed and not parent else 0
        self.parent = parent or opened
        if embed:
            features.append((UI + "parent", self.parent))
        if options:
            features.append(("http://lv2plug.in/ns/ext/options#options", ctypes.addressof(options)))
        array = [ctypes.pointer(Feature(uri.encode(), data)) for uri, data in features]
        self._write = WRITE(self._written)
        self._alive = (map_uri, touch, resize, number, options, structures, array)
        widget = ctypes.c_void_p()
        self.handle = self.descriptor.instantiate(
            None, b"urn:audiogen:synth", f"{LV2}/".encode(), self._write, None,
            ctypes.byref(widget), (ctypes.POINTER(Feature) * (len(array) + 1))(*array),
        )  # fmt: skip
        if not self.handle:
            raise RuntimeError("the editor was not created")
        assert widget.value
        self._idle = self._extension("idleInterface", IDLE)

    def _extension(self, name: str, kind: Any, place: int = 0) -> Any:
        data = self.descriptor.extension_data((UI + name).encode())
        assert data, name
        return kind(ctypes.cast(data, ctypes.POINTER(ctypes.c_void_p))[place])

    def urid(self, uri: str) -> int:
        if uri not in self.uris:
            self.uris.append(uri)
        return self.uris.index(uri) + 1

    def _resized(self, _: Any, width: int, height: int) -> int:
        self.size = width, height
        return 0

    def _written(self, _: Any, port: int, size: int, protocol: int, buffer: int) -> None:
        data = ctypes.string_at(buffer, size)
        if protocol:
            assert protocol == self.urid(ATOM + "eventTransfer")
            self.writes.append((self.symbols[port], self._atom(data)))
        else:
            self.writes.append((self.symbols[port], struct.unpack("f", data)[0]))

    def _atom(self, data: bytes) -> Any:
        """A MIDI message as bytes, or an object as its type and its properties."""
        size, kind = struct.unpack_from("II", data)
        body = data[8 : 8 + size]
        assert len(body) == size
        name = self.uris[kind - 1]
        if name.endswith("#MidiEvent"):
            return body
        if name.endswith("#String"):
            return body.rstrip(b"\0").decode()
        if name.endswith("#URID"):
            return self.uris[struct.unpack("I", body)[0] - 1]
        if name.endswith("#Int"):
            return struct.unpack("i", body)[0]
        assert name.endswith("#Object"), name
        properties, at = {}, 8
        while at < size:
            key, _, value_size, _ = struct.unpack_from("IIII", body, at)
            properties[self.uris[key - 1]] = self._atom(body[at + 8 :])
            at += 16 + (value_size + 7) // 8 * 8
        return self.uris[struct.unpack_from("II", body)[1] - 1], properties

    def show_preset(self, name: str) -> None:
        """Sends the preset's name as the plug-in does."""
        self._show("preset", "String", name.encode() + b"\0")

    def show_missing(self, is_missing: bool) -> None:
        self._show("missing", "Bool", struct.pack("i", is_missing))

    def show_timbre(self, index: int) -> None:
        self._show("playing", "Int", struct.pack("i", index))

    def show_keys(self, *pitches: int) -> None:
        bits = sum(1 << pitch for pitch in pitches)
        words = struct.pack("QQ", bits & 2**64 - 1, bits >> 64)
        head = struct.pack("II", 8, self.urid(ATOM + "Long"))
        self._show("keys", "Vector", head + words)

    def _show(self, name: str, kind: str, value: bytes) -> None:
        def of(key: str, kind: str, body: bytes) -> bytes:
            head = struct.pack("IIII", self.urid(PATCH + key), 0, len(body), self.urid(ATOM + kind))
            return head + body.ljust((len(body) + 7) // 8 * 8, b"\0")

        urid = struct.pack("I", self.urid(f"urn:audiogen:synth#{name}"))
        body = struct.pack("II", 0, self.urid(PATCH + "Set"))
        body += of("property", "URID", urid) + of("value", kind, value)
        atom = struct.pack("II", len(body), self.urid(ATOM + "Object")) + body
        transfer = self.urid(ATOM + "eventTransfer")
        self.descriptor.port_event(self.handle, self.ports["notify"], len(atom), transfer, atom)
        self.idle()

    def show_port(self, symbol: str, value: float) -> None:
        self.descriptor.port_event(self.handle, self.ports[symbol], 4, 0, struct.pack("f", value))

    def idle(self, seconds: float = 0.15) -> int:
        """Calls the editor for a while, as hosts do; its last answer."""
        end = time.monotonic() + seconds
        while True:
            answer = self._idle(self.handle)
            if answer or time.monotonic() > end:
                return int(answer)
            time.sleep(0.01)

    def await_(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.idle(0.0) == 0 and time.monotonic() < end, self.writes
            time.sleep(0.01)

    def take(self) -> list[tuple[str, Any]]:
        self.idle()
        writes, self.writes = self.writes, []
        return writes

    def resize(self, width: int, height: int) -> None:
        self._extension("resize", RESIZE, 1)(self.handle, width, height)
        self.idle()

    def show(self, is_visible: bool) -> None:
        self._extension("showInterface", IDLE, 0 if is_visible else 1)(self.handle)

    def close(self) -> None:
        self.descriptor.cleanup(self.handle)
        if self.parent:
            self.screen.destroy_window(self.parent)


def address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


@pytest.fixture
def host(screen: Screen) -> Iterator[Host]:
    """The editor in a window of its usual size, with the preset `plucked`."""
    host = Host(screen)
    host.show_preset("plucked")
    host.take()
    yield host
    host.close()


def test_only_the_entry_point_is_exported() -> None:
    assert exported(EDITOR) == {"lv2ui_descriptor"}
    assert libraries(EDITOR) <= OWN_LIBRARIES | {"libcairo", "libX11"}
    assert libraries(LV2 / "audiogen.so") <= OWN_LIBRARIES


def test_it_asks_for_the_preset_and_shows_it(screen: Screen) -> None:
    host = Host(screen)
    assert host.size == (WIDTH, HEIGHT)
    get, properties = dict(host.take())["midi_in"]
    assert get == PATCH + "Get"
    assert properties == {PATCH + "property": "urn:audiogen:synth#preset"}
    empty = screen.picture(WIDTH, HEIGHT)
    host.show_preset("plucked")
    plucked = screen.picture(WIDTH, HEIGHT)
    host.show_preset("percussion-sketch")
    without_map = screen.picture(WIDTH, HEIGHT)
    host.close()
    assert n_colours(plucked) > 1000  # the map's
    assert 20 < n_colours(without_map) < n_colours(plucked)
    left, top, width, height = MAP
    inside = np.s_[top : top + height, left : left + width, 0]
    assert empty[inside].std() < 1.0 < 10.0 < plucked[inside].std()
    assert (empty == 0).all(2).mean() < 0.01  # a window that draws nothing is black


def test_a_missing_preset_is_told(host: Host, screen: Screen) -> None:
    before = screen.picture(WIDTH, HEIGHT)
    host.show_missing(True)
    changed = (screen.picture(WIDTH, HEIGHT) != before).any(2)
    assert changed[HEIGHT - 30 :].sum() > 500 and not changed[: HEIGHT - 30].any()
    host.show_missing(False)
    assert (screen.picture(WIDTH, HEIGHT) == before).all()


def test_a_key_plays_a_note(host: Host) -> None:
    xdotool("mousemove", *C4, "mousedown", 1)
    host.await_(lambda: host.writes)
    loud = host.take()
    xdotool("mouseup", 1)
    host.await_(lambda: host.writes)
    assert host.take() == [("midi_in", bytes([0x80, 60, 64]))]
    click(C4_TOP)
    soft = host.take()
    assert [(port, message[:2]) for port, message in loud] == [("midi_in", bytes([0x90, 60]))]
    assert soft[0][1][:2] == bytes([0x90, 60]) and soft[1][1][0] == 0x80
    assert 1 <= soft[0][1][2] < 64 < 110 < loud[0][1][2] <= 127


def test_keys_of_the_host_are_shown(host: Host, screen: Screen) -> None:
    before = screen.picture(WIDTH, HEIGHT)
    host.show_keys(60)
    changed = (screen.picture(WIDTH, HEIGHT) != before).any(2)
    y, x = np.nonzero(changed)
    assert changed[C4[1], C4[0] - 7] and y.min() > 530
    assert x.max() - x.min() < 32  # no other key
    host.show_keys()
    assert (screen.picture(WIDTH, HEIGHT) == before).all()


def test_the_timbre_of_a_program_change_is_shown(host: Host, screen: Screen) -> None:
    def field() -> np.ndarray:
        return screen.picture(WIDTH, HEIGHT)[18:42, 420:620]

    host.show_port("timbre", 1.0)
    host.idle()
    first = field()
    host.show_timbre(5)
    assert (field() != first).any()
    # The port has this value already, so that a message has to choose the timbre.
    click(TIMBRE_FIELD)
    host.idle()
    click((TIMBRE_FIELD[0], 78 + 26))
    (_, (kind, properties)), port = host.take()
    assert (kind, port) == (PATCH + "Set", ("timbre", 1.0))
    assert properties[PATCH + "property"] == "urn:audiogen:synth#playing"
    assert properties[PATCH + "value"] == 1
    assert (field() == first).all()


@pytest.mark.parametrize("way", ["cleanup", "parent", "hidden"])
def test_a_note_that_the_mouse_holds_ends_with_the_window(screen: Screen, way: str) -> None:
    host = Host(screen)
    host.show_preset("plucked")
    host.take()
    xdotool("mousemove", *C4, "mousedown", 1)
    host.await_(lambda: host.writes)
    if way == "cleanup":
        host.close()
    elif way == "parent":
        screen.destroy_window(host.parent)
        host.parent = 0
        assert host.idle() == 1
    else:
        host.show(False)
        host.idle()
    xdotool("mouseup", 1)
    assert [message[:2] for _, message in host.writes] == [bytes([0x90, 60]), bytes([0x80, 60])]
    if way != "cleanup":
        host.close()


def test_a_parent_that_is_gone_gives_no_window(screen: Screen) -> None:
    window = screen.open_window(WIDTH, HEIGHT)
    screen.destroy_window(window)
    with pytest.raises(RuntimeError, match="not created"):
        Host(screen, parent=window)


def test_a_knob_is_dragged_rolled_and_reset(host: Host, screen: Screen) -> None:
    before = screen.picture(WIDTH, HEIGHT)
    xdotool("mousemove", *MORPH, "mousedown", 1)
    for step in range(1, 5):
        xdotool("mousemove", MORPH[0], MORPH[1] - 10 * step)
        host.idle()
    xdotool("mouseup", 1)
    writes = host.take()
    assert {symbol for symbol, _ in writes} == {"morph"}
    values = [value for _, value in writes]
    assert values == sorted(values) and values[-1] == pytest.approx(40 / 160, abs=1e-3)
    assert host.touches == [("morph", True), ("morph", False)]
    assert (screen.picture(WIDTH, HEIGHT) != before).any()
    click(MORPH, button=4)  # the wheel, up
    assert host.take() == [("morph", pytest.approx(0.27, abs=1e-3))]
    click(MORPH, repeat=2)
    assert host.take() == [("morph", 0.0)]


def test_a_knob_follows_the_host(host: Host, screen: Screen) -> None:
    before = screen.picture(WIDTH, HEIGHT)
    for parameter in PARAMETERS:
        host.show_port(parameter.name, parameter.highest)
    host.show_port("level_left", 0.5)
    host.idle(0.05)
    x, y = MORPH
    changed = (screen.picture(WIDTH, HEIGHT) != before).any(2)
    assert changed[y - 25 : y + 25, x - 25 : x + 25].any() and changed[24:34, 870:1000].any()
    assert host.take() == []  # nothing is sent back


def test_the_point_of_the_map_is_dragged(host: Host) -> None:
    left, top, width, height = MAP
    xdotool("mousemove", left + 0.3 * width, top + 0.5 * height, "mousedown", 1)
    host.idle()
    xdotool("mousemove", left + 0.35 * width, top + 0.72 * height)
    host.idle()
    xdotool("mouseup", 1)
    writes = dict(host.take())
    assert writes["timbre_map"] == 1.0
    assert writes["timbre_x"] == pytest.approx(0.35, abs=0.005)
    assert writes["timbre_y"] == pytest.approx(0.72, abs=0.005)
    # A click on a timbre's name is on the timbre.
    preset = load_preset(ROOT / "presets" / "plucked")
    x, y = places(preset)[preset.timbre_names.index("koto")]
    click((left + x * width + 4, top + y * height + 6))
    writes = dict(host.take())
    assert (writes["timbre_x"], writes["timbre_y"]) == pytest.approx((x, y))


def test_presets_and_timbres_are_chosen(host: Host) -> None:
    click(PRESET_FIELD)
    host.idle()
    click((PRESET_FIELD[0], 78))  # the first row
    (_, (kind, properties)), *_, timbre = host.take()
    assert kind == PATCH + "Set" and properties[PATCH + "value"] == "bowed"
    assert timbre == ("timbre", -1.0)
    click(TIMBRE_FIELD)
    host.idle()
    click((TIMBRE_FIELD[0], 78 + 26))
    assert host.take() == [("timbre", 1.0)]


@pytest.mark.parametrize("way", ["option", "resize"])
def test_it_is_scaled(screen: Screen, way: str) -> None:
    host = Host(screen, scale=2.0 if way == "option" else None)
    if way == "resize":
        host.resize(2 * WIDTH, 2 * HEIGHT)
    else:
        assert host.size == (2 * WIDTH, 2 * HEIGHT)
    host.show_preset("plucked")
    host.take()
    picture = screen.picture(2 * WIDTH, 2 * HEIGHT)
    assert n_colours(picture[HEIGHT:, WIDTH:]) > 20
    click((2 * C4[0], 2 * C4[1]))
    assert host.take()[0][1][:2] == bytes([0x90, 60])
    host.close()


def test_the_host_may_close_its_window_first(host: Host, screen: Screen) -> None:
    screen.destroy_window(host.parent)
    host.parent = 0
    assert host.idle() == 1


def test_a_window_of_its_own(screen: Screen) -> None:
    host = Host(screen, embed=False)
    assert n_colours(screen.picture(WIDTH, HEIGHT)) == 1
    host.show(True)
    host.idle(0.4)
    assert n_colours(screen.picture(WIDTH, HEIGHT)) > 20
    host.show(False)
    host.idle()
    host.close()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("jackd"), reason="jackd is not installed (Debian: jackd2)")
@pytest.mark.skipif(
    not shutil.which("jalv.gtk3"), reason="jalv.gtk3 is not installed (Debian: jalv)"
)
def test_in_jalv_a_click_is_heard(screen: Screen) -> None:
    """jalv shows the editor in its own window; a key is heard with its pitch."""
    pytest.importorskip("jack", reason="jack is not installed; pip install 'audiogen-synth[test]'")
    with load_soak().jack_server(PERIOD) as (server, _):
        jalv = subprocess.Popen(
            ["jalv.gtk3", "--no-menu", "-n", "audiogen", "urn:audiogen:synth"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(JACK_DEFAULT_SERVER=server),
        )
        probe = Probe(server)
        try:
            probe.connect()
            await_(lambda: n_colours(screen.picture(WIDTH, HEIGHT)) > 1000)
            assert not probe.hear(0.2).any()
            xdotool("mousemove", *C4, "mousedown", 1)
            await_(lambda: probe.hear(0.1).any())
            ratio = strongest_hz(probe.hear(0.5)) / 261.63
            xdotool("mouseup", 1)
            assert ratio == pytest.approx(max(1, round(ratio)), rel=0.01)
        finally:
            probe.close()
            jalv.kill()
            jalv.wait()
