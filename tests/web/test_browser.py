"""The page in a real headless Chromium: what a click on a key sounds like, to the sample."""

from __future__ import annotations

import base64
import functools
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from audiogen.core import backend

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright isn't installed; pip install playwright"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium isn't installed; apt-get install chromium"
    ),
]

KNOWS_TIMBRE = hasattr(backend.load().MidiReader(), "timbre")
RATE = 48000
LEAD_MS = 1000  # more than a musician would take: the machine may be busy with other things
PATIENCE_MS = 120_000
DESK = {"viewport": {"width": 1366, "height": 768}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

# A second worklet, behind the one that plays: it keeps what it hears.
TAP = """
registerProcessor("tap", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.heard = [];
    this.first = null;
    this.port.onmessage = () => this.port.postMessage({ first: this.first, heard: this.heard });
  }
  process([input], [output]) {
    this.first ??= currentFrame;
    const [left, right] = input.length ? input : [new Float32Array(128), new Float32Array(128)];
    this.heard.push(left.slice(), right.slice());
    return true;
  }
});
"""
ATTACH = """async (source) => {
  const { context, node } = audiogen.stream;
  await context.audioWorklet.addModule(
    URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  window.tap = new AudioWorkletNode(context, "tap", { channelCount: 2,
    channelCountMode: "explicit", outputChannelCount: [2] });
  node.connect(tap).connect(context.destination);
}"""
HEARD = """async () => {
  const answer = new Promise((resolve) => (tap.port.onmessage = ({ data }) => resolve(data)));
  tap.port.postMessage("now");
  const { first, heard } = await answer;
  const bytes = new Uint8Array(heard.length * 128 * 4);
  heard.forEach((part, i) => bytes.set(new Uint8Array(part.buffer), i * 512));
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return { first, heard: btoa(text), starts: audiogen.stream.starts };
}"""
LOG = """() => new Promise((resolve) => {
  audiogen.stream.addEventListener("log", ({ detail }) => resolve(detail), { once: true });
  audiogen.stream.send({ type: "log" });
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address_of(server_process: Callable[..., Any]) -> Callable[[str], str]:
    """A function that gives the address of a server that plays a preset first."""
    return functools.cache(lambda preset: server_process(preset, "--max-clients", "64")[1])


@pytest.fixture
def open_page(browser: Any, address_of: Callable[[str], str]) -> Iterator[Callable[..., Any]]:
    """A function that opens the page of a server; nothing may go wrong on it."""
    contexts, faults = [], []

    def open_(
        preset: str = "plucked",
        start: bool = True,
        address: str = "",
        lead_ms: int = LEAD_MS,
        **options: Any,
    ) -> Any:
        address = address or address_of(preset)
        context = browser.new_context(bypass_csp=True, **{**DESK, **options})
        contexts.append(context)
        context.add_init_script(f"localStorage.setItem('lead_ms', '{lead_ms}')")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: m.type == "error" and faults.append(m.text))
        page.goto(address)
        page.wait_for_function(
            "document.querySelector('#map .timbre[aria-pressed=true], .pad, #gate:not([hidden])')"
        )
        if start:
            page.click("#start")
            page.wait_for_function("audiogen.stream.starts.length > 0")
            page.evaluate(ATTACH, TAP)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


def play_on(page: Any, seconds: float) -> None:
    """Wait until so much more has been played than the server has made."""
    until = page.evaluate(LOG)["position"] + seconds * RATE
    page.wait_for_function(f"audiogen.stream.ring.played > {until}")


def knobs(page: Any) -> dict[str, Any]:
    """What each knob was set to last."""
    play_on(page, 0.0)
    return {e["parameter"]: e["value"] for e in page.evaluate(LOG)["events"] if e["type"] == "set"}


def notes(page: Any) -> list[tuple[str, float]]:
    """All note-ons and note-offs."""
    play_on(page, 0.0)
    return [(e["type"], e["pitch"]) for e in page.evaluate(LOG)["events"] if "pitch" in e]


def timbres_of_notes(events: list[dict[str, Any]]) -> list[str]:
    """Timbre of each note-on."""
    timbres, timbre = [], ""
    for event in events:
        timbre = event["timbre"] if event["type"] == "timbre" else timbre
        if event["type"] == "note_on":
            timbres.append(event["timbre"] or timbre)
    return timbres


def heard_by(page: Any) -> np.ndarray:
    """What the tap heard, [n_samples, 2], from sample 0 of the stream on.

    NaN where it can't be known: before the tap was there, and where the ring had run empty and
    its sound faded in again.
    """
    answer = page.evaluate(HEARD)
    parts = np.frombuffer(base64.b64decode(answer["heard"]), np.float32).reshape(-1, 2, 128)
    sound = parts.transpose(0, 2, 1).reshape(-1, 2)
    starts = answer["starts"]
    end = answer["first"] + len(sound) - starts[-1]["frame"] + starts[-1]["position"]
    out = np.full((end, 2), np.nan, np.float32)
    for i, start in enumerate(starts):
        # It stopped where it went on later.
        stop = starts[i + 1]["position"] if i + 1 < len(starts) else end
        first = start["frame"] - answer["first"]
        played = sound[max(0, first) : first + stop - start["position"]]
        out[stop - len(played) : stop] = played
        if i:
            out[start["position"] : start["position"] + 128] = np.nan
    return out


def assert_heard(heard: np.ndarray, wanted: np.ndarray) -> None:
    """Sample for sample, wherever it's known; and that is nearly everywhere."""
    known = np.isfinite(heard)
    assert known.mean() > 0.8
    np.testing.assert_array_equal(heard[known], wanted[known])


def pitch_hz(sound: np.ndarray) -> float:
    """Of the strongest period in the sound (autocorrelation, 50 Hz to 2 kHz)."""
    spectrum = np.fft.rfft(sound, 2 * len(sound))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(sound)]
    low, high = RATE // 2000, RATE // 50
    at = low + int(correlation[low:high].argmax())
    before, here, after = correlation[at - 1 : at + 2]
    return RATE / (at + 0.5 * (before - after) / (before - 2 * here + after))


def hold_key(page: Any, pitch: int, ms: int, depth: float = 0.8) -> None:
    box = page.locator(f'.key[data-pitch="{pitch}"]').bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * depth)
    page.mouse.down()
    page.wait_for_timeout(ms)
    page.mouse.up()


def typed(page: Any, *, down: str = "", up: str = "") -> None:
    for code in down.split():
        page.keyboard.down(code)
    for code in up.split():
        page.keyboard.up(code)


def test_a_click_on_a_key_sounds_as_render_writes_it(open_page, render_log):
    page = open_page("plucked")
    hold_key(page, 69, 700)
    hold_key(page, 60, 300, depth=0.95)
    play_on(page, 2.5)
    latency = page.evaluate("audiogen.stream.status.latency")
    log = page.evaluate(LOG)
    heard = heard_by(page)[latency:]
    assert log["forgotten"] == 0
    first, second = (event for event in log["events"] if event["type"] == "note_on")
    assert (first["pitch"], second["pitch"]) == (69, 60)
    assert second["velocity"] > first["velocity"]  # nearer to the front of the key

    wanted = render_log(log["events"])
    assert len(heard) > len(wanted)
    assert_heard(heard, np.pad(wanted, ((0, len(heard) - len(wanted)), (0, 0))))
    note = heard[first["at"] + RATE // 10 :][: RATE // 2, 0]
    assert pitch_hz(np.nan_to_num(note)) == pytest.approx(440, rel=3e-3)


def test_the_ring_does_not_run_empty_in_10_s(open_page):
    page = open_page("woodwinds", lead_ms=2000)
    counts = []
    while 0 not in counts and len(counts) < 3:  # whatever else the machine has to do
        before = page.evaluate("audiogen.stream.ring")
        for step in range(10):
            key = "ASDFGHJK"[step % 8]
            page.keyboard.down(f"Key{key}")
            page.wait_for_timeout(900)
            page.keyboard.up(f"Key{key}")
        page.wait_for_function(f"audiogen.stream.ring.played > {before['played'] + 10 * RATE}")
        counts.append(page.evaluate("audiogen.stream.ring.late") - before["late"])
    print("late in 10 s:", counts)
    assert 0 in counts
    page.wait_for_function(f"document.querySelector('#late').textContent == '{sum(counts)}'")


def test_a_starved_ring_is_counted_and_shown(open_page, server_process):
    process, address = server_process("plucked")
    page = open_page(address=address)
    process.send_signal(signal.SIGSTOP)
    page.wait_for_function("audiogen.stream.ring.late == 1")
    process.send_signal(signal.SIGCONT)
    page.wait_for_function("audiogen.stream.starts.length == 2")
    page.wait_for_function("document.querySelector('#late.warn')?.textContent == '1'")


def test_the_recording_is_the_sound(open_page, tmp_path):
    import soundfile

    page = open_page("plucked")
    page.click("#record")
    page.wait_for_timeout(100)
    hold_key(page, 64, 400)
    play_on(page, 0.5)
    with page.expect_download() as download:
        page.click("#record")
    download.value.save_as(tmp_path / "take.wav")
    assert download.value.suggested_filename.startswith("audiogen-plucked-")
    take, rate = soundfile.read(tmp_path / "take.wav", dtype="float32")
    assert soundfile.info(tmp_path / "take.wav").subtype == "FLOAT"
    assert rate == RATE and take.shape[1] == 2
    play_on(page, 0.0)  # until the last of it has been played, too
    heard = heard_by(page)
    onset_heard = np.flatnonzero(np.nan_to_num(heard).any(axis=1))[0]
    onset_take = np.flatnonzero(take.any(axis=1))[0]
    begin = onset_heard - onset_take
    assert begin >= 0 and np.abs(take).max() > 0.01
    assert_heard(heard[begin : begin + len(take)], take)


def test_a_held_computer_key_is_one_note_until_it_comes_up(open_page):
    page = open_page("plucked")
    typed(page, down="KeyA KeyA KeyA KeyD")
    page.wait_for_timeout(300)
    typed(page, up="KeyA")
    page.wait_for_timeout(300)
    assert page.evaluate("[...audiogen.notes.holders.keys()]") == [64]
    page.evaluate("dispatchEvent(new Event('blur'))")  # another window takes the keys
    events = notes(page)
    assert events == [("note_on", 60), ("note_on", 64), ("note_off", 60), ("note_off", 64)]


def test_the_space_bar_is_the_pedal_whatever_was_clicked(open_page):
    page = open_page("plucked")
    hold_key(page, 60, 50)
    typed(page, down="Space")
    assert page.get_attribute("#sustain", "aria-pressed") == "true"
    page.focus('.key[data-pitch="60"]')  # as a screen reader may meanwhile
    typed(page, up="Space")
    assert page.get_attribute("#sustain", "aria-pressed") == "false"
    page.focus("#dials input[type=range]")  # as after a turn of a dial
    typed(page, down="Space")
    assert page.get_attribute("#sustain", "aria-pressed") == "true"
    typed(page, up="Space")
    page.click("#presets li[data-name=brass] .choose")
    page.wait_for_function("document.querySelectorAll('#map .timbre').length == 8")
    typed(page, down="Space")
    assert page.get_attribute("#sustain", "aria-pressed") == "true"
    # A new preset is told that the pedal is down.
    page.click("#presets li[data-name=plucked] .choose")
    page.wait_for_function("document.querySelector('#now-name').innerText == 'plucked'")
    play_on(page, 0.0)
    assert page.evaluate("audiogen.stream.running") and knobs(page)["sustain"] == 1.0
    typed(page, up="Space")
    assert knobs(page)["sustain"] == 0.0


def test_sound_that_is_started_before_the_server_says_its_rate(open_page):
    page = open_page("plucked", start=False)
    page.evaluate("audiogen.stream.sampleRate = null")
    page.evaluate("void document.querySelector('#start').click()")
    page.wait_for_timeout(200)
    assert page.evaluate("audiogen.stream.context") is None
    page.evaluate("audiogen.stream.connect()")  # hello comes again
    # Not page.click: the button is hidden as soon as the first click has its rate.
    page.evaluate("void document.querySelector('#start').click()")
    page.wait_for_function("audiogen.stream.starts.length > 0")


def test_a_start_that_failed_may_be_tried_again(open_page):
    page = open_page("plucked", start=False)
    failing = "class { constructor() { throw Error('no card'); } }"
    page.evaluate(f"void (window.real = AudioContext, window.AudioContext = {failing})")
    page.click("#start")
    page.wait_for_function("document.querySelector('#notice').innerText.includes('no card')")
    page.evaluate("void (window.AudioContext = real)")
    page.click("#start")
    page.wait_for_function("audiogen.stream.starts.length > 0")


def test_two_fingers_are_two_notes_and_slide(open_page):
    page = open_page("plucked", **PHONE)
    middle = {}
    for pitch in (60, 64, 65):
        box = page.locator(f'.key[data-pitch="{pitch}"]').bounding_box()
        middle[pitch] = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * 0.8}
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *pitches: int) -> None:
        points = [{**middle[p], "id": i} for i, p in enumerate(pitches)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(200)

    fingers("touchStart", 60)
    fingers("touchStart", 60, 64)
    assert page.evaluate("[...audiogen.notes.holders.keys()]") == [60, 64]
    fingers("touchMove", 60, 65)
    assert page.evaluate("[...audiogen.notes.holders.keys()]") == [60, 65]
    fingers("touchEnd")
    assert page.evaluate("audiogen.notes.count") == 0
    events = notes(page)
    assert events[:3] == [("note_on", 60), ("note_on", 64), ("note_off", 64)]
    assert sorted(events[3:]) == [("note_off", 60), ("note_off", 65), ("note_on", 65)]


def between(page: Any, first: str, second: str, share: float) -> np.ndarray:
    """A point of the map on the way from one timbre to another."""
    names, places = page.evaluate("[audiogen.map.names, audiogen.map.places]")
    a, b = (np.array(places[names.index(name)]) for name in (first, second))
    return (1 - share) * a + share * b


def click_map(page: Any, place: np.ndarray) -> None:
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"])


def test_a_place_on_the_map_sounds_as_the_morph_between_its_timbres(open_page, replay_log):
    page = open_page("plucked")
    names, places = page.evaluate("[audiogen.map.names, audiogen.map.places]")
    koto = names.index("koto")
    distance = np.hypot(*(np.array(places) - places[koto]).T)
    distance[koto] = np.inf
    second = names[int(distance.argmin())]
    click_map(page, between(page, "koto", second, 0.25))
    assert page.inner_text("#morph") == f"koto, towards {second.replace('-', ' ')}"
    hold_key(page, 62, 400)
    play_on(page, 2.5)
    log = page.evaluate(LOG)["events"]
    sent = {e["parameter"]: e["value"] for e in log if e["type"] == "set"}
    assert not {"morph", "morph_timbre"} & sent.keys()
    assert sent["timbre_map"] == 1.0

    at = np.array([sent["timbre_x"], sent["timbre_y"]])
    from_, to = (np.hypot(*(at - places[names.index(name)])) for name in ("koto", second))
    assert from_ / (from_ + to) == pytest.approx(0.25, abs=0.02)
    morph = {"type": "set", "parameter": "morph", "value": from_ / (from_ + to)}
    other = {"type": "set", "parameter": "morph_timbre", "value": second}
    events: list[dict[str, Any]] = []
    for event in log:
        if event.get("parameter") == "timbre_map":
            events += [{**other, "at": event["at"]}, {**morph, "at": event["at"]}]
        elif event.get("parameter") not in ("timbre_x", "timbre_y"):
            events.append(event)
    heard = heard_by(page)
    known = np.isfinite(heard)
    wanted = replay_log(events, len(heard))
    assert np.abs(heard[known]).max() > 0.01
    np.testing.assert_allclose(heard[known], wanted[known], atol=1e-5)


def test_a_dot_is_its_timbre_and_held_notes_morph_to_it(open_page):
    page = open_page("plucked")
    click_map(page, between(page, "harp", "koto", 0.0))
    typed(page, down="KeyA")
    assert knobs(page).get("timbre_map", 0.0) == 0.0  # MIDI programs choose timbres
    click_map(page, between(page, "harp", "koto", 1.0))
    last = knobs(page)
    assert last["timbre_map"] == 1.0
    assert [last["timbre_x"], last["timbre_y"]] == pytest.approx(between(page, "harp", "koto", 1.0))
    typed(page, up="KeyA")
    click_map(page, between(page, "harp", "koto", 0.0))
    assert knobs(page)["timbre_map"] == 0.0
    typed(page, down="KeyD", up="KeyD")
    play_on(page, 0.0)
    assert timbres_of_notes(page.evaluate(LOG)["events"]) == ["harp", "harp"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [(403, "was restarted"), (200, "connection was closed"), (None, "doesn't answer")],
)
def test_the_page_says_why_the_connection_was_closed(open_page, answer, text):
    page = open_page("plucked", start=False)
    page.evaluate(
        """(answer) => {
          window.fetch = async () => {
            if (!answer) throw new TypeError("refused");
            return { status: answer };
          };
          audiogen.stream.dispatchEvent(new Event("closed"));
        }""",
        answer,
    )
    page.wait_for_function(
        "(text) => document.querySelector('#notice span').textContent.includes(text)", arg=text
    )


def test_dials_turn_by_keys_and_by_hand(open_page):
    page = open_page("plucked")
    page.locator(".dial input[aria-label=volume]").focus()
    page.keyboard.press("Home")
    box = page.locator(".dial:has(input[aria-label=pan]) svg").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] - 20)
    page.mouse.up()
    last = knobs(page)
    assert last["volume"] == 0.0
    assert last["pan"] == pytest.approx(0.5)
    assert page.locator(".dial:has(input[aria-label=pan]) output").inner_text() == "R 50"


def test_a_new_row_of_the_parameter_table_is_a_dial(open_page):
    page = open_page("plucked", start=False)
    page.evaluate("""() => {
      const row = { name: "high_shelf", unit: "dB", lowest: -12, highest: 12, initial: 0, value: -3,
        controller: -1, help: "Gain of the treble." };
      audiogen.stream.receive({ type: "preset", at: 0, preset: "plucked", description: "",
        plays_notes: false, timbres: [], parameters: [row] });
    }""")
    assert page.locator(".dial").count() == 1
    assert page.get_attribute(".dial", "title") == "Gain of the treble."
    assert page.locator(".dial:has(input[aria-label='high shelf']) output").inner_text() == "-3 dB"


def connect_midi(page: Any) -> None:
    """Connect a MIDI keyboard, `port`."""
    page.evaluate("""() => {
      window.port = { id: "1", name: "a keyboard" };
      window.access = { inputs: new Map([["1", port]]) };
      navigator.requestMIDIAccess = async () => access;
    }""")
    page.click("#midi")
    page.wait_for_function("Boolean(window.port.onmidimessage)")
    assert page.inner_text("#midi") == "MIDI: 1"


def page_with_midi(open_page: Any) -> Any:
    """A page with a MIDI keyboard, which keeps the messages to the server in `sent`."""
    page = open_page("plucked", start=False)
    connect_midi(page)
    page.evaluate("""() => {
      window.sent = [];
      audiogen.stream.send = (message) => sent.push(message);
    }""")
    return page


def send_midi(page: Any, *messages: list[int]) -> None:
    for data in messages:
        page.evaluate("(data) => port.onmidimessage({ data: Uint8Array.from(data) })", data)


def test_the_bytes_of_a_midi_keyboard_reach_the_server(open_page):
    page = page_with_midi(open_page)
    send_midi(page, [0x90, 60, 100], [0xF8], [0xFE], [0xE1, 1, 2])
    assert page.evaluate("audiogen.notes.isHeld(60)")
    assert page.get_attribute('.key[data-pitch="60"]', "class") == "key white held"
    send_midi(page, [0x90, 60, 0], [0xF0, *[1] * 600, 0xF7])
    assert not page.evaluate("audiogen.notes.isHeld(60)")
    # The map may be choosing its first timbre at the same time.
    sent = [message["data"] for message in page.evaluate("sent") if message["type"] == "midi"]
    assert sent[:3] == [[0x90, 60, 100], [0xE1, 1, 2], [0x90, 60, 0]]
    assert [len(data) for data in sent[3:]] == [512, 90]


def test_a_midi_keyboard_that_goes_releases_its_keys(open_page):
    page = page_with_midi(open_page)
    send_midi(page, [0x90, 60, 100], [0xB0, 64, 127])
    assert page.evaluate("audiogen.notes.isHeld(60)")
    page.evaluate("() => { port.state = 'disconnected'; access.onstatechange(); }")
    assert not page.evaluate("audiogen.notes.isHeld(60)")
    assert page.inner_text("#midi") == "MIDI: no keyboard"
    sent = page.evaluate("sent")
    assert {"type": "all_off"} in sent
    assert {"type": "set", "parameter": "sustain", "value": 0} in sent


def test_a_kit_has_pads_in_place_of_a_map(open_page):
    page = open_page("drums")
    pads = page.locator("#pads .pad")
    assert pads.count() == 47  # of General MIDI
    assert pads.first.inner_text().split("\n") == ["acoustic bass drum", "B1"]
    assert page.locator("#timbres").is_hidden() and page.locator("#drums").is_visible()
    snare = page.locator(".pad[data-key='38']")
    box = snare.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + box["height"] - 1)
    page.mouse.down()
    assert "held" in snare.get_attribute("class")
    page.mouse.up()
    assert "held" not in snare.get_attribute("class")
    page.keyboard.press("KeyA")
    page.locator(".pad[data-key='42']").focus()
    page.keyboard.press("Enter")
    play_on(page, 0.3)
    struck = [e for e in page.evaluate(LOG)["events"] if e["type"] == "note_on"]
    assert [event["pitch"] for event in struck] == [38, 36, 42]
    assert struck[0]["velocity"] > 0.95 and struck[1]["velocity"] == 0.8
    page.click("#presets li[data-name=plucked] .choose")
    page.wait_for_selector("#map .timbre[aria-pressed=true]")
    assert page.locator("#drums").is_hidden() and page.locator("#timbres").is_visible()


def test_what_midi_changed_is_shown(open_page):
    page = open_page("plucked")
    page.evaluate("""() => audiogen.stream.receive({ type: "changed", values:
      { timbre: "koto", volume: 0.5, pitch_wheel: 0.5, sustain: 1, morph: 0.2 } })""")
    assert page.inner_text("#map .timbre[aria-pressed=true]") == "koto"
    assert page.locator(".dial:has(input[aria-label=volume]) output").inner_text() == "50 %"
    assert page.locator("#pitch_wheel input").input_value() == "0.5"
    assert page.get_attribute("#sustain", "aria-pressed") == "true"
    last = knobs(page)
    assert "volume" not in last and last["morph"] == 0.0  # the cursor is on the koto's dot
    assert "koto" not in [event.get("timbre") for event in page.evaluate(LOG)["events"]]


@pytest.mark.skipif(not KNOWS_TIMBRE, reason="the MIDI reader does not tell its timbre")
def test_a_midi_keyboard_plays(open_page):
    page = open_page("plucked")
    connect_midi(page)
    send_midi(page, [0xB0, 7, 0], [0xC0, 46], [0x90, 60, 127], [0xB0, 7, 127])
    play_on(page, 0.5)
    send_midi(page, [0x80, 60, 0])
    play_on(page, 0.5)
    assert page.inner_text("#map .timbre[aria-pressed=true]") == "harp"
    assert page.locator(".dial:has(input[aria-label=volume]) output").inner_text() == "100 %"
    assert np.abs(np.nan_to_num(heard_by(page))).max() > 0.01


def test_an_unconditional_preset_plays_and_stops(open_page):
    page = open_page("percussion-sketch")
    page.click("#play")
    play_on(page, 1.5)
    page.click("#play")
    play_on(page, 0.5)
    heard = np.nan_to_num(heard_by(page))
    events = {e["type"]: e["at"] for e in page.evaluate(LOG)["events"]}
    assert np.abs(heard[events["note_on"] : events["note_off"]]).max() > 0.01
    assert not heard[events["note_off"] + RATE // 10 :].any()
    names = page.eval_on_selector_all(".dial input", "all => all.map((e) => e.ariaLabel)")
    assert {"volume", "temperature", "top p"} <= set(names)
    assert not {"listen", "monitor", "morph"} & set(names)


def test_another_preset_is_chosen_from_the_list(open_page):
    page = open_page("plucked")
    page.click("#presets li[data-name=speech-sketch] .choose")
    page.wait_for_selector("#play:visible")
    assert page.is_hidden("#keys")
    page.click("#presets li[data-name=brass] .choose")
    page.wait_for_function("document.querySelectorAll('#map .timbre').length == 8")
    assert page.inner_text("#now-name") == "brass"


def test_a_change_of_preset_is_shown_at_once_and_its_map_progressively(open_page):
    page = open_page("plucked", start=False)
    page.route("**/pictures/5", lambda route: (page.wait_for_timeout(1500), route.continue_()))
    shown = page.evaluate("""() => {
      document.querySelector("#presets li[data-name=brass] .choose").click();
      return [document.body.ariaBusy, document.querySelector("#map").ariaBusy,
        document.querySelector("[data-name=brass] .choose").ariaBusy,
        document.querySelector("#now-name").textContent];
    }""")
    assert shown == ["true", "true", "true", "Loading brass …"]
    page.wait_for_function("document.querySelectorAll('#map .timbre').length == 8")
    # Names and dots are there before the pictures.
    assert page.evaluate("audiogen.map.tiles.length") < 8
    assert page.get_attribute("#map", "aria-busy") == "true"
    assert page.evaluate("document.body.ariaBusy") is None
    page.wait_for_selector("#map[aria-busy=false]")
    assert page.evaluate("audiogen.map.tiles.filter(Boolean).length") == 8


def test_a_preset_that_cannot_be_loaded_leaves_the_page_as_it_was(open_page):
    page = open_page("plucked", start=False)
    page.evaluate("""() => {
      const item = document.querySelector("[data-name=struck]");
      const { send } = audiogen.stream;
      audiogen.stream.send = (message) => send.call(audiogen.stream,
        message.type === "preset" ? { ...message, preset: "gone" } : message);
      item.querySelector(".choose").click();
    }""")
    page.wait_for_function("document.querySelector('#notice').innerText.includes(\"'gone'\")")
    assert page.inner_text("#now-name") == "plucked"
    assert page.evaluate("document.body.ariaBusy") is None


def test_search_finds_presets_and_timbres(open_page):
    page = open_page("plucked", start=False)
    page.fill("#search", "vibra")
    shown = page.eval_on_selector_all(
        "#presets li", "all => all.filter((e) => !e.hidden).map((e) => e.dataset.name)"
    )
    assert "struck" in shown and "brass" not in shown
    page.click("#presets li[data-name=struck] .match")
    page.wait_for_function("document.querySelector('#now-name').innerText == 'struck'")
    page.wait_for_selector("#map .timbre[aria-pressed=true]")
    assert "vibra" in page.inner_text("#map .timbre[aria-pressed=true]")
    page.fill("#search", "no such thing")
    assert page.is_visible("#no-match")


def test_places_and_random_timbres_can_be_kept_and_played(open_page, replay_log):
    page = open_page("plucked")
    place = between(page, "harp", "koto", 0.2)
    page.evaluate("(place) => audiogen.map.moveTo(place)", place.tolist())
    page.click("#keep")
    page.fill("#keep-name", "my place")
    page.keyboard.press("Enter")
    page.wait_for_selector("#kept [aria-pressed=true]")
    kept = page.get_attribute("#kept [data-timbre]", "data-timbre")
    assert kept == f"map:{place[0]:.4f},{place[1]:.4f}"
    page.click("#random")
    assert page.get_attribute("#kept [data-timbre]", "aria-pressed") == "false"
    assert page.locator("#map .timbre[aria-pressed=true]").count() == 0
    assert knobs(page)["timbre_map"] == 0.0
    hold_key(page, 60, 400)
    page.click("#kept [data-timbre]")
    last = knobs(page)
    assert (last["timbre_map"], last["timbre_x"], last["timbre_y"]) == pytest.approx(
        (1.0, *place), abs=1e-4
    )
    hold_key(page, 62, 400)
    play_on(page, 1.0)
    events = page.evaluate(LOG)["events"]
    first, _ = timbres_of_notes(events)
    assert first.startswith("random:")
    heard = heard_by(page)
    assert_heard(heard, replay_log(events, len(heard)))
    page.reload()
    page.wait_for_selector("#kept [data-timbre]")
    assert page.inner_text("#kept [data-timbre]") == "my place"
    page.click("#kept .remove")
    assert page.locator("#kept [data-timbre]").count() == 0


def test_a_mix_that_an_earlier_page_has_kept_still_plays(open_page, render_log):
    page = open_page("plucked")
    mix = "harp:0.60+koto:0.40"
    page.evaluate(
        "(mix) => localStorage.setItem('timbres', JSON.stringify({ plucked: { old: mix } }))", mix
    )
    page.reload()
    page.click("#kept [data-timbre]")
    page.click("#start")
    page.wait_for_function("audiogen.stream.starts.length > 0")
    page.evaluate(ATTACH, TAP)
    hold_key(page, 60, 300)
    play_on(page, 2.5)
    latency = page.evaluate("audiogen.stream.status.latency")
    events = page.evaluate(LOG)["events"]
    assert timbres_of_notes(events) == [mix]
    heard, wanted = heard_by(page)[latency:], render_log(events)
    assert_heard(heard, np.pad(wanted, ((0, len(heard) - len(wanted)), (0, 0))))


def test_a_midi_file_is_dropped_and_too_large_a_one_refused(open_page):
    page = open_page("plucked", start=False)
    drop = """(size) => {
      const files = new DataTransfer();
      files.items.add(new File([new Uint8Array(size)], "song.mid"));
      const event = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
      return event.defaultPrevented;
    }"""
    assert page.evaluate(drop, (1 << 20) + 1)
    assert "larger than 1 MiB" in page.inner_text("#notice")
    assert page.evaluate(drop, 100)
    page.wait_for_function("document.querySelector('#notice').innerText.includes('MIDI file')")
    assert page.is_hidden("#file")


@pytest.mark.skipif(not KNOWS_TIMBRE, reason="the MIDI reader does not tell its timbre")
def test_a_midi_file_is_chosen_and_played(open_page):
    from audiogen.presets import search_folders

    page = open_page("plucked")
    song = next(
        folder / "demo.mid" for folder in search_folders() if (folder / "demo.mid").exists()
    )
    page.set_input_files("#file-input", song)
    page.wait_for_function("document.querySelector('#file-name').innerText.includes('257 notes')")
    play_on(page, 1.0)
    page.click("#stop-file")
    assert np.abs(np.nan_to_num(heard_by(page))).max() > 0.01


@pytest.mark.parametrize("preset", ["woodwinds", "speech-sketch"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(open_page, preset, scheme):
    page = open_page(preset, start=False, color_scheme=scheme, **PHONE)
    wide = page.evaluate("""() => [document.documentElement.scrollWidth, ...[
      ...document.querySelectorAll("button, input, select, canvas, .card")
    ].filter((e) => e.checkVisibility()).map((e) => e.getBoundingClientRect().right)]""")
    assert max(wide) <= 390
    small = page.evaluate("""() => [...document.querySelectorAll("button:not(.key, .timbre)")]
      .filter((e) => e.checkVisibility()).map((e) => [e.id || e.className,
        Math.min(e.getBoundingClientRect().width, e.getBoundingClientRect().height)])
      .filter(([, size]) => size < 30)""")
    assert small == []


def test_a_laptop_shows_the_instrument_on_one_screen(open_page):
    page = open_page("plucked", start=False)
    bottom = page.locator("#play-area").bounding_box()
    footer = page.locator("footer").bounding_box()
    assert bottom["y"] + bottom["height"] <= footer["y"]


def test_everything_has_a_name_and_nothing_comes_from_elsewhere(browser, address_of):
    address = address_of("plucked")
    page = browser.new_page()
    asked, blocked = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda m: m.type == "error" and blocked.append(m.text))
    page.goto(address)
    page.wait_for_selector("#map .timbre")
    page.click("#start")
    page.wait_for_selector("#start", state="hidden")
    base = address.split("?")[0]
    assert all(url.startswith((base, base.replace("http", "ws"), "blob:")) for url in asked)
    assert len(asked) > 15
    assert blocked == []  # the page keeps to its own content policy
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, input, select")]
      .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.textContent.trim()
        || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML)""")
    assert nameless == []
    page.close()


# --- The page without a server -------------------------------------------------------------------

STATIC_PRESETS = ("plucked", "woodwinds", "winds-sketch", "percussion-sketch")
# Plays the events of a log in a process whose engine has the module's arithmetic.
REPLAY = """
import json, runpy, sys
replayed = runpy.run_path(sys.argv[1])["replayed"]
log = json.load(sys.stdin)
sys.stdout.buffer.write(replayed(log["events"], log["n"]).astype("<f4").tobytes())
"""


@pytest.fixture(scope="module")
def static_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the page in a folder that a plain file server serves below its root."""
    import http.server
    import threading

    from audiogen.errors import MissingPackageError
    from audiogen.web.static_site import module_path, write_site

    try:
        module_path()
    except MissingPackageError as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("host")
    write_site(STATIC_PRESETS, root / "below" / "page")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/below/page/"
        server.shutdown()


def replayed_by_baseline(log: dict[str, Any], n: int) -> np.ndarray:
    import json
    import os
    import subprocess
    import sys
    from pathlib import Path

    conftest = Path(__file__).with_name("conftest.py")
    run = subprocess.run(
        [sys.executable, "-c", REPLAY, str(conftest)],
        input=json.dumps({"events": log["events"], "n": n}).encode(),
        stdout=subprocess.PIPE,
        env={**os.environ, "AUDIOGEN_ISA": "baseline"},
        check=True,
    )
    return np.frombuffer(run.stdout, "<f4").reshape(-1, 2)


@pytest.mark.skipif(backend.find() is None, reason="audiogen._native is not built")
def test_the_page_without_a_server_makes_the_native_samples(open_page, static_address, replay_log):
    page = open_page(address=static_address)
    hold_key(page, 69, 700)
    hold_key(page, 60, 300, depth=0.95)
    page.click("#map .timbre >> nth=3", force=True)
    page.evaluate("audiogen.stream.send({ type: 'midi', data: [0x90, 64, 100] })")
    page.wait_for_timeout(300)
    page.evaluate("audiogen.stream.send({ type: 'set', parameter: 'bend', value: 1.5 })")
    page.evaluate("audiogen.stream.send({ type: 'midi', data: [0x80, 64, 0] })")
    play_on(page, 2.0)
    log = page.evaluate(LOG)
    heard = heard_by(page)
    events = [event["type"] for event in log["events"]]
    assert events.count("note_on") == 2 and events.count("midi") == 2 and "set" in events

    known = np.isfinite(heard)
    assert known.mean() > 0.8
    wanted = replayed_by_baseline(log, len(heard))
    # To the bit, except that a processor that flushes denormal numbers has zeros in their place.
    assert np.abs(heard[known] - wanted[known]).max() < np.finfo(np.float32).tiny
    widest = replay_log(log["events"], len(heard))
    assert np.abs(widest).max() > 0.05
    # Sums in another order: a bin may be locked to another of two equal peaks for some frames.
    difference = heard[known] - widest[known]
    assert np.square(difference).mean() < 1e-5 * np.square(widest[known]).mean()  # -50 dB
    assert np.abs(difference).max() < 1e-3
    first = next(event for event in log["events"] if event["type"] == "note_on")
    note = heard[first["at"] + RATE // 10 :][: RATE // 2, 0]
    assert pitch_hz(np.nan_to_num(note)) == pytest.approx(440, rel=3e-3)


def test_presets_and_mixes_of_the_page_without_a_server(open_page, static_address):
    page = open_page(address=static_address)
    names = "[...document.querySelectorAll('#presets li')].map((li) => li.dataset.name)"
    assert page.evaluate(names) == list(STATIC_PRESETS)
    hold_key(page, 60, 200)
    page.click("#presets li[data-name=woodwinds] .choose")
    page.wait_for_function("document.querySelector('#now-name').innerText == 'woodwinds'")
    page.click("#random")
    hold_key(page, 62, 200)
    page.evaluate("audiogen.stream.send({ type: 'timbre', timbre: 'clarinet:0.6+oboe:0.4' })")
    hold_key(page, 64, 200)
    page.click("#presets li[data-name=percussion-sketch] .choose")
    page.wait_for_function("document.querySelector('#now-name').innerText == 'percussion-sketch'")
    page.click("#play")
    play_on(page, 1.0)
    log = page.evaluate(LOG)["events"]
    assert [e["preset"] for e in log if e["type"] == "preset"] == [
        "plucked",
        "woodwinds",
        "percussion-sketch",
    ]
    generates_from = next(e["at"] for e in reversed(log) if e["type"] == "note_on")
    assert np.nanmax(np.abs(heard_by(page)[generates_from:])) > 1e-3
    assert page.inner_text("#notice span") == ""
    page.evaluate("audiogen.stream.send({ type: 'timbre', timbre: 'nothing' })")
    page.wait_for_function(
        "document.querySelector('#notice').innerText.includes(\"timbre 'nothing' not found\")"
    )


@pytest.mark.skipif(backend.find() is None, reason="audiogen._native is not built")
def test_a_midi_file_on_the_page_without_a_server(open_page, static_address, tmp_path):
    import mido

    song = mido.MidiFile(ticks_per_beat=480)
    tempo, first, second = song.add_track(), song.add_track(), song.add_track()
    tempo.append(mido.MetaMessage("set_tempo", tempo=500_000))
    tempo.append(mido.MetaMessage("set_tempo", tempo=250_000, time=480))  # after 0.5 s
    for track, channel, pitch in ((first, 0, 57), (second, 9, 40)):
        for i in range(3):
            note = {"channel": channel, "note": pitch + i}
            track.append(mido.Message("note_on", velocity=90, **note))
            track.append(mido.Message("note_off", time=480, **note))
    song.save(tmp_path / "song.mid")

    page = open_page(address=static_address)
    page.set_input_files("#file-input", str(tmp_path / "song.mid"))
    page.wait_for_function(
        "document.querySelector('#file-name').innerText.includes('3 notes, without 3 drum notes')"
    )
    page.wait_for_selector("#file", state="hidden")
    play_on(page, 1.0)
    log = page.evaluate(LOG)
    messages = [event for event in log["events"] if event["type"] == "midi"]
    assert [message["data"][1] for message in messages] == [57, 57, 58, 58, 59, 59]
    at = np.array([message["at"] for message in messages]) - messages[0]["at"]
    assert at.tolist() == [0, 24000, 24000, 36000, 36000, 48000]  # samples
    heard = heard_by(page)
    known = np.isfinite(heard)
    wanted = replayed_by_baseline(log, len(heard))
    assert known.mean() > 0.8 and np.abs(wanted).max() > 0.05
    assert np.abs(heard[known] - wanted[known]).max() < np.finfo(np.float32).tiny

    (tmp_path / "broken.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\4\0\x90")
    page.set_input_files("#file-input", str(tmp_path / "broken.mid"))
    page.wait_for_function("document.querySelector('#notice').innerText.includes('damaged')")


def test_errors_of_the_module_are_the_engines_and_leave_it_usable(open_page, static_address):
    page = open_page(address=static_address, start=False)
    answer = page.evaluate("""async () => {
      const { Engine } = await import("./static/engine.js");
      const get = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
      const module = await WebAssembly.compile(await get("static/audiogen.wasm"));
      const engine = await Engine.load(module);
      const toml = await get("presets/plucked/preset.toml");
      const weights = await get("presets/plucked/weights.safetensors");
      const messages = [];
      const attempt = (work) => {
        try {
          return work();
        } catch (error) {
          messages.push(error.message);
        }
      };
      attempt(() => engine.open(new TextEncoder().encode("format = 1\\n"), weights));
      attempt(() => engine.open(toml, weights.slice(0, 1000)));
      const settings = { sampleRate: 48000, maxBlock: 256, polyphony: 4 };
      const preset = engine.open(toml, weights);
      attempt(() => engine.player(preset, { ...settings, polyphony: 100000 }));
      const player = engine.player(preset, settings);
      attempt(() => player.addTimbre([1, 2]));
      player.noteOn(1, 69, 0.8, 0);
      let peak = 0;
      for (let i = 0; i < 40; i++) peak = Math.max(peak, ...player.process(256)[0]);
      return { messages, peak };
    }""")
    missing, cut, voices, latent = answer["messages"]
    assert missing.startswith("preset/preset.toml: name is missing")
    assert "truncated" in cut  # as it is thrown: no `catch` puts the path before it
    assert "100000" in voices and "2" in latent
    assert answer["peak"] > 0.01
