"""`Synth.render` and `audiogen.render`: scores become audio, whole or block by block."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soxr

pytest.importorskip("audiogen._native")

import audiogen
from audiogen.engine import Synth
from audiogen.engine.render import stream as stream_score
from audiogen.errors import ParameterError, PresetError
from audiogen.notes import Control, Note, Score

from .sounds import NOTE_SEED_STEP, band_limited, padded_sum, played, rms, snr_db

NOTE = [(0.0, 0.2, 60.0, 0.9)]


@pytest.fixture
def synth(make_preset: Callable[..., Path]) -> Synth:
    return Synth(make_preset())


def control(time_s: float, channel: int, message: str) -> Control:
    return Control(time_s, channel, bytes.fromhex(message))


# --- Blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
@pytest.mark.parametrize("block", [1, 77, 1000, 1024])
@pytest.mark.parametrize("stereo", [False, True])
def test_the_stream_is_the_render(synth: Synth, rate: int, block: int, stereo: bool) -> None:
    notes = "C4:0.1 r:0.3 [E4 G4]:0.1"
    options: dict[str, Any] = {"sample_rate": rate, "seed": 4, "stereo": stereo}
    synth.spread = 0.5
    pieces = list(synth.stream(block, notes, **options))
    wanted = synth.render(notes, **options)
    assert wanted.shape[1:] == ((2,) if stereo else ()) and np.abs(wanted).max() > 0.01
    assert np.array_equal(np.concatenate(pieces), wanted)


@pytest.mark.parametrize("sizes", [(1, 7, 333, 64), (511,), (1024, 1)])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_live_events_at_the_same_samples_are_the_render(
    synth: Synth, rate: int, sizes: tuple[int, ...]
) -> None:
    script = [  # sample, pitch, whether it is struck
        (100, 57.0, True),
        (1501, 64.3, True),
        (rate // 4 + 5, 57.0, False),
        (rate // 3, 69.0, True),
        (rate // 2 + 1, 64.3, False),
        (rate // 2 + 77, 69.0, False),
    ]
    live, blocks = Synth(synth.preset, rate, seed=3), []
    for sample, pitch, is_struck in script:
        blocks.append(played(live, sample - live.position, *sizes))
        if is_struck:
            live.note_on(pitch, 0.7)
        else:
            live.note_off(pitch)
    blocks.append(played(live, rate, *sizes))
    notes = [
        Note(start / rate, (end - start) / rate, pitch, 0.7)
        for start, pitch, is_struck in script
        if is_struck
        for end, other, is_start in script
        if other == pitch and not is_start
    ]
    wanted = synth.render(notes, sample_rate=rate, seed=3)
    got = np.concatenate(blocks)[live.latency :]
    n = min(len(got), len(wanted))
    assert n > rate // 2 and np.abs(wanted).max() > 0.01
    assert np.array_equal(got[:n, 0], wanted[:n]) and np.array_equal(got[:, 0], got[:, 1])


def test_bad_blocks_are_refused(synth: Synth) -> None:
    for block in (0, 1025, 1.5):
        with pytest.raises(ParameterError, match=f"block={block} must be a whole number from 1 to"):
            synth.stream(block, NOTE)  # at once, not at the first block
    with pytest.raises(ParameterError, match="are for notes"):
        synth.stream(256, seed=1)


# --- Channels and controls ----------------------------------------------------------------------


def test_controls_move_their_channel_as_they_would_live(synth: Synth) -> None:
    rate = synth.sample_rate
    messages = (0.1, "b06500"), (0.1, "b06400"), (0.1, "b00607"), (0.2, "e07f7f"), (0.3, "b00740")
    controls = [control(time_s, 0, message) for time_s, message in messages]
    low, high = Note(0.0, 0.6, 45), Note(0.05, 0.5, 64, channel=1)
    moved = synth.render(Score([low], controls))
    with Synth(synth.preset, max_block=rate) as live:
        live.note_on(45)
        blocks = [live.process(rate // 5)]
        live.bend = 7
        blocks.append(live.process(rate // 10))
        live.volume = 0.5
        blocks.append(live.process(3 * rate // 10))
        heard = np.concatenate(blocks)[live.latency :, 0]
    assert np.array_equal(moved[: len(heard)], heard)
    # No glide from where the wheel was, and no fade.
    first = synth.render(Score([low], [control(0.0, 0, "e07f7f"), control(0.0, 0, "b00740")]))
    with Synth(synth.preset, max_block=rate) as live:
        live.bend, live.volume = 2, 0.5
        live.process(rate)
        live.note_on(45)
        heard_first = live.process(rate // 2)[live.latency :, 0]
    assert np.array_equal(first[: len(heard_first)], heard_first)
    still = synth.render([high])
    assert not np.array_equal(synth.render([low])[: len(heard)], heard) and len(still) < len(moved)
    both = synth.render(Score([low, high], controls))
    assert np.array_equal(both, padded_sum(moved, still))
    pieces = synth.stream(300, Score([low, high], controls))
    assert np.array_equal(np.concatenate(list(pieces)), both)
    score = Score([replace(low, program=7), high], controls)
    voices = {7: str(synth.preset.folder), None: str(synth.preset.folder)}
    assert np.array_equal(audiogen.render(score, voices, sample_rate=rate), both)


ZONE = [control(0.0, 0, message) for message in ("b06500", "b06406", "b00602")]  # channels 1 to 3


def test_a_zone_of_mpe_sounds_as_it_would_live(synth: Synth) -> None:
    rate = synth.sample_rate
    notes = [Note(0.0, 0.5, 45, 102 / 127, channel=1), Note(0.0, 0.5, 52, 102 / 127, channel=2)]
    moves = [(0.0, 1, "e10050"), (0.1, 2, "d27f"), (0.2, 0, "e07f7f"), (0.3, 1, "b14a00")]
    score = Score(notes, [*ZONE, *(control(*move) for move in moves)])
    rendered = synth.render(score)
    with Synth(synth.preset, max_block=rate) as live:
        live.midi(bytes.fromhex("b06500 b06406 b00602"))
        heard = []
        for move, note_on in zip(moves, ("912d66 923466", "", "", ""), strict=True):
            live.midi(bytes.fromhex(move[2] + note_on))
            heard.append(live.process(rate // 10))
        sound = np.concatenate(heard)[live.latency :, 0]
    assert np.array_equal(rendered[: len(sound)], sound)
    for left_out in moves[:3]:
        others = [control(*move) for move in moves if move is not left_out]
        without = synth.render(Score(notes, [*ZONE, *others]))
        n = min(len(without), len(rendered))
        assert rms(without[:n] - rendered[:n]) > 0.01 * rms(rendered), left_out


def test_notes_of_a_zone_bend_apart(synth: Synth) -> None:
    """Member channels have the range of 48 semitones; without a zone it is 2."""
    notes = [Note(0.0, 0.5, 45, channel=1), Note(0.0, 0.5, 52, channel=2)]
    bend = control(0.0, 1, "e10050")
    apart = synth.render(Score(notes, [*ZONE, bend]))
    with Synth(synth.preset, max_block=synth.sample_rate) as live:
        live.express(1, bend=48.0 * 2048 / 8191)  # before it starts
        live.note_on(45)
        live.note_on(52)
        heard = live.process(synth.sample_rate // 3)[live.latency :, 0]
    assert np.array_equal(apart[: len(heard)], heard)
    plain = synth.render(Score(notes, [bend]))
    assert not np.array_equal(plain[: len(heard)], heard)


def test_key_pressure_raises_one_note(synth: Synth) -> None:
    rate = synth.sample_rate
    notes = [Note(0.0, 0.5, 45, 102 / 127), Note(0.0, 0.5, 52, 102 / 127)]
    rendered = synth.render(Score(notes, [control(0.1, 0, "a0347f")]))  # of the higher one
    with Synth(synth.preset, max_block=rate) as live:
        live.midi(bytes.fromhex("902d66 903466"))
        heard = [live.process(rate // 10)]
        live.midi(bytes.fromhex("a0347f"))
        heard.append(live.process(rate // 10))
        sound = np.concatenate(heard)[live.latency :, 0]
    assert np.array_equal(rendered[: len(sound)], sound)
    assert not np.array_equal(rendered[: len(sound)], synth.render(Score(notes))[: len(sound)])


@pytest.mark.parametrize(
    ("message", "knob", "value"),
    [
        ("b00740", "volume", 0.5),
        ("b00b40", "expression", 0.5),
        ("b0017f", "vibrato", 0.5),
        ("d07f", "vibrato", 0.5),
        ("b0407f", "sustain", 1.0),
        ("b0107f", "morph", 1.0),
        ("e07f7f", "bend", 2.0),
    ],
)
def test_each_control_moves_its_own_channel(
    synth: Synth, message: str, knob: str, value: float
) -> None:
    """A control of channel 1 is the knob of that value, and leaves channel 2 alone."""
    synth.morph_timbre = "guitar"
    notes = [Note(0.0, 0.1, 60.0), Note(0.0, 0.1, 67.0, channel=1)]
    controls = [control(0.0, 0, message)]
    if knob == "sustain":  # and let go again
        controls.append(control(0.5, 0, "b04000"))
    moved = synth.render(Score(notes, controls))
    alone = synth.render(Score(notes[:1], controls))
    assert np.array_equal(moved, padded_sum(alone, synth.render(notes[1:])))
    plain = synth.render(notes[:1])
    if knob == "sustain":
        assert len(alone) > 0.5 * synth.sample_rate > len(plain)
        return
    synth.set(knob, value)
    assert np.array_equal(alone, synth.render(notes[:1]))
    n = min(len(alone), len(plain))
    assert not np.array_equal(alone[:n], plain[:n])


def midi_file(path: Path, pan: int | None) -> Path:
    track = mido.MidiTrack()
    if pan is not None:
        track.append(mido.Message("control_change", channel=2, control=10, value=pan))
    track.append(mido.Message("note_on", channel=2, note=60, velocity=100))
    track.append(mido.Message("note_off", channel=2, note=60, time=200))
    file = mido.MidiFile(tracks=[track])
    file.save(path)
    return path


def test_a_midi_file_that_pans_is_stereo(synth: Synth, tmp_path: Path) -> None:
    left = synth.render(midi_file(tmp_path / "left.mid", 0))
    assert left.shape[1:] == (2,) and rms(left[:, 0]) > 0.005 and not left[:, 1].any()
    right = synth.render(midi_file(tmp_path / "right.mid", 127))
    assert np.array_equal(right[:, 1], left[:, 0]) and not right[:, 0].any()
    for path in (midi_file(tmp_path / "none.mid", None), midi_file(tmp_path / "middle.mid", 64)):
        middle = synth.render(path)
        assert middle.shape == (len(left),) and np.array_equal(middle, left[:, 0])
    mono = synth.render(tmp_path / "left.mid", stereo=False)
    assert np.array_equal(mono, middle)  # pan has no effect in one channel
    wide = synth.render(tmp_path / "none.mid", stereo=True)
    assert np.array_equal(wide, np.stack([middle, middle], axis=1))
    spec = {None: str(synth.preset.folder)}
    assert np.array_equal(audiogen.render(tmp_path / "left.mid", spec), left)
    assert np.array_equal(audiogen.render(tmp_path / "left.mid", spec, stereo=False), mono)
    pieces = stream_score(tmp_path / "left.mid", spec, 100)
    assert np.array_equal(np.concatenate(list(pieces)), left)


def test_knobs_of_the_synth_hold_for_its_renders(synth: Synth) -> None:
    plain = synth.render(NOTE)
    synth.volume = 0.5
    assert np.array_equal(synth.render(NOTE), 0.25 * plain)
    synth.volume, synth.pan = 1.0, -1.0
    panned = synth.render(NOTE)
    assert np.array_equal(panned[:, 0], plain) and not panned[:, 1].any()
    assert np.array_equal(synth.render(NOTE, stereo=False), plain)
    synth.pan, synth.spread = 0.0, 1.0
    wide = synth.render("C4:0.1 E4:0.1")
    assert wide.shape[1:] == (2,) and rms(wide[:, 0] - wide[:, 1]) > 0.1 * rms(wide)
    synth.reset_parameters()
    assert np.array_equal(synth.render(NOTE), plain)
    synth.bend = 2
    live = Synth(synth.preset)
    live.bend = 2
    live.note_on(60, 0.9)
    got = live.process(2000)[:, 0]
    assert np.array_equal(synth.render(NOTE)[:2000], got) and not np.array_equal(got, plain[:2000])


def test_parts_have_the_balance_of_their_recordings(make_preset: Callable[..., Path]) -> None:
    """The loudest part is as loud as alone; one of unknown level is as loud as the mean."""
    timbres = [
        {"name": name, "z": z, "family": "guitar", **level}
        for name, z, level in (
            ("loud", [1.0, 0.0, 0.0], {"level_db": -4.0}),
            ("faint", [0.0, 1.0, 0.0], {"level_db": -10.0}),
            ("other", [0.0, 0.0, 1.0], {}),
        )
    ]
    folder = str(make_preset("levels", timbres=timbres, default_timbre="faint"))
    voices = {program: f"{folder}:{t['name']}" for program, t in enumerate(timbres)} | {3: folder}
    notes = [Note(0.0, 0.3, 60.0 + i, 0.8, program=i) for i in range(4)]
    parts = [audiogen.render(Score((note,)), voices, seed=1) for note in notes]
    for n, gains_db in ((1, [0.0]), (2, [0.0, -6.0]), (3, [0.0, -6.0, -3.0])):
        both = audiogen.render(Score(tuple(notes[:n])), voices, seed=1)
        wanted = np.zeros(len(both))
        for part, gain_db in zip(parts, gains_db, strict=False):
            wanted[: len(part)] += 10.0 ** (gain_db / 20.0) * part
        np.testing.assert_allclose(both, wanted, atol=1e-6)
    # Without a name it is the default timbre's.
    both = audiogen.render(Score((notes[0], notes[3])), voices, seed=1)
    alone = 10.0 ** (-6.0 / 20.0) * parts[3]
    assert np.abs(both[: len(alone)] - alone)[: len(parts[0])].max() > 1e-3
    np.testing.assert_allclose(both, parts[0] + alone, atol=1e-6)


def test_parts_sound_at_the_pitch_of_their_program(make_preset: Callable[..., Path]) -> None:
    """A timbre's transposition is for notes of its family of programs, live as well."""
    timbre = {"name": "harmonics", "z": [1.0, 0.0, 0.0], "family": "guitar", "program": 31}
    timbre |= {"transpose": 48, "semitones_per_key": 0.5}
    folder = str(make_preset("harmonics", timbres=[timbre], default_timbre="harmonics"))
    voices: dict[int | str | None, str] = {None: f"{folder}:harmonics"}

    def sound(pitch: float, program: int) -> np.ndarray:
        return audiogen.render(Score((Note(0.0, 0.3, pitch, 0.8, program=program),)), voices)

    assert np.array_equal(sound(12, 30), sound(84, 0))
    assert np.array_equal(sound(127, 31), sound(117.5, 0))  # 141.5, moved by octaves
    synth = Synth(folder)
    assert np.array_equal(synth.render("C4:0.3"), sound(60, 0))

    def block(*messages: list[int]) -> np.ndarray:
        live = Synth(synth.preset)
        for message in messages:
            live.midi(bytes(message))
        return live.process(1024)

    by_program = block([0xC0, 31], [0x90, 12, 100])
    assert np.array_equal(by_program, block([0x90, 84, 100])) and by_program.any()


def test_key_pressure_names_the_key_of_a_transposed_note(make_preset: Callable[..., Path]) -> None:
    timbre = {"name": "harmonics", "z": [1.0, 0.0, 0.0], "family": "guitar", "program": 31}
    folder = str(
        make_preset("up", timbres=[timbre | {"transpose": 24}], default_timbre="harmonics")
    )
    voices: dict[int | str | None, str] = {None: f"{folder}:harmonics"}

    def sound(program: int, shift: int, *pressed: int) -> np.ndarray:
        notes = [Note(0.0, 0.3, key + shift, 0.5, program=program) for key in (40, 64)]
        pressure = [control(0.1, 0, bytes((0xA0, key + shift, 127)).hex()) for key in pressed]
        return audiogen.render(Score(notes, pressure), voices)

    for key in (40, 64):
        assert np.array_equal(sound(31, 0, key), sound(0, 24, key))
        assert not np.array_equal(sound(31, 0, key), sound(31, 0))


def test_a_score_that_changes_what_was_set_is_warned_of(synth: Synth) -> None:
    synth.volume, synth.morph, synth.morph_timbre = 0.2, 1.0, "guitar"
    note = Note(0.0, 0.1, 60)
    with pytest.warns(
        UserWarning, match=r"volume was set to 0\.2, but the score changes it"
    ) as caught:
        loud = synth.render(Score([note], [control(0.0, 0, "b0077f")]))
    assert len(caught) == 1
    synth.volume = 1.0
    reset = synth.render(Score([note], [control(0.0, 0, "b07900")]))  # leaves the morph alone
    assert np.array_equal(reset, synth.render([note])) and np.array_equal(reset, loud)


def test_a_silent_score_is_silence_of_its_length(synth: Synth) -> None:
    muted = Score([Note(0.0, 0.5, 60)], [control(0.0, 0, "b00700")])
    folder = {None: str(synth.preset.folder)}
    rate = synth.sample_rate
    for stereo, shape in ((False, (rate // 2,)), (True, (rate // 2, 2))):
        for sound in (
            synth.render(muted, stereo=stereo),
            audiogen.render(muted, folder, stereo=stereo, sample_rate=rate),
        ):
            assert sound.shape == shape and not sound.any()
        blocks = list(synth.stream(300, muted, stereo=stereo))
        assert np.concatenate(blocks).shape == shape and max(map(len, blocks)) == 300


# --- Seeds, voices, ranges ----------------------------------------------------------------------


def test_seeds(synth: Synth) -> None:
    first = synth.render("C4:0.3 E4", seed=1)
    assert np.array_equal(first, synth.render("C4:0.3 E4", seed=1))
    other = synth.render("C4:0.3 E4", seed=2)
    assert first.shape == other.shape and not np.array_equal(first, other)
    assert np.array_equal(Synth(synth.preset, seed=2).render("C4:0.3 E4"), other)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_chord_is_the_sum_of_its_notes(synth: Synth, rate: int) -> None:
    notes = [
        Note(0.0, 0.3, 48.0, 0.9),
        Note(0.0, 0.1, 52.0, 0.5),
        Note(0.11, 0.3, 55.3, 0.7),
        Note(0.11, 0.05, 60.0, 1.0),
    ]
    chord = synth.render(notes, sample_rate=rate, seed=3)
    singles = [
        synth.render([note], sample_rate=rate, seed=(3 + NOTE_SEED_STEP * i) % 2**64)
        for i, note in enumerate(notes)
    ]
    assert np.abs(chord).max() > 1e-3
    np.testing.assert_allclose(chord, padded_sum(*singles), rtol=0, atol=1e-5)


def test_offline_no_voice_is_stolen(synth: Synth) -> None:
    many = [Note(0.001 * i, 0.3, 40.0 + i, 0.5) for i in range(40)]
    singles = [synth.render([note], seed=NOTE_SEED_STEP * i % 2**64) for i, note in enumerate(many)]
    np.testing.assert_allclose(synth.render(many), padded_sum(*singles), rtol=0, atol=4e-5)


def test_more_notes_at_once_than_an_engine_has_voices_are_refused(synth: Synth) -> None:
    with pytest.raises(ParameterError, match=r"4097 notes sound at once, .* 4096 voices"):
        synth.render(Score([Note(0.0, 1.0, 60.0, 0.5)] * 4097))


def test_notes_outside_the_range_move_by_octaves(synth: Synth) -> None:
    outside = [(0.0, 0.2, 33.0, 0.8), (0.5, 0.2, 100.0, 0.8)]
    with pytest.warns(UserWarning, match="2 notes lie outside the pitches 36 to 84") as caught:
        low = synth.render(outside)
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(UserWarning, match="1 note lies outside .* it is moved") as caught:
        list(synth.stream(256, outside[:1], stereo=True))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="2 notes lie outside") as caught:
        audiogen.render(outside, {None: str(synth.preset.folder)})
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside = synth.render([(0.0, 0.2, 45.0, 0.8), (0.5, 0.2, 76.0, 0.8)])
    assert np.array_equal(low, inside)


def test_drums_are_left_out_with_a_warning(synth: Synth) -> None:
    tune, drum = Note(0.0, 0.05, 60.0), Note(0.0, 0.3, 38.0, channel=9, is_drum=True)
    wanted = synth.render([tune])
    spec = {None: str(synth.preset.folder)}
    for play in (
        lambda: synth.render([tune, drum]),
        lambda: np.concatenate(list(synth.stream(256, [tune, drum]))),
        lambda: audiogen.render([tune, drum], spec),
    ):
        with pytest.warns(UserWarning, match="1 drum note is left out") as caught:
            assert np.array_equal(play(), wanted)
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="2 drum notes are left out"):
        synth.render([tune, drum, drum])
    with pytest.raises(ParameterError, match="only drum notes"):
        synth.render([drum])


def test_an_empty_score_is_refused(synth: Synth) -> None:
    for nothing in (Score(()), [], ""):
        with pytest.raises(ParameterError, match="no notes"):
            synth.render(nothing)
    with pytest.raises(ParameterError, match="no notes"):
        audiogen.render(Score(()), {None: "nowhere"})


def test_the_sound_starts_and_ends_with_the_notes(synth: Synth) -> None:
    sound = synth.render([Note(0.25, 0.2, 60.0, 0.9)])
    onset = np.flatnonzero(sound)[0]
    assert onset >= 4000 and np.abs(sound[4000:4128]).max() > 1e-4
    assert sound[-1] != 0.0 and 0.45 < len(sound) / 16000 < 1.0
    later = synth.render([Note(0.25, 0.2, 60.0, 0.9)], sample_rate=48000)
    assert abs(len(later) / 48000 - len(sound) / 16000) < 0.01
    # At the same time at every rate: the resampler's delay is taken off.
    wanted = soxr.resample(sound, 16000, 48000, quality="VHQ")
    n = min(len(wanted), len(later))
    assert snr_db(wanted[:n], later[:n]) > 20.0


def test_progress_goes_to_one(synth: Synth) -> None:
    parts: list[float] = []
    synth.render("C4:0.3 r:0.5 C4", progress=parts.append)
    assert parts == sorted(parts) and parts[-1] == 1.0 and 0.0 < parts[0] < 1.0


def test_gain_and_normalize(synth: Synth) -> None:
    plain = synth.render("C4:0.2")
    loud = synth.render("C4:0.2", gain_db=6.0)
    np.testing.assert_allclose(loud, plain * 10.0 ** (6.0 / 20.0), rtol=1e-6)
    full = synth.render("C4:0.2", normalize=True)
    assert np.abs(full).max() == pytest.approx(1.0) and full.dtype == np.float32
    np.testing.assert_allclose(full, plain / np.abs(plain).max(), rtol=1e-5)
    half = synth.render("C4:0.2", normalize=True, gain_db=-6.0206)
    assert np.abs(half).max() == pytest.approx(0.5, rel=1e-4)


def test_velocity_and_timbre_have_an_effect(synth: Synth) -> None:
    plain = synth.render(NOTE)
    assert not np.array_equal(plain, synth.render([(0.0, 0.2, 60.0, 0.3)]))
    guitar = synth.render(NOTE, timbre="guitar")
    assert not np.array_equal(plain, guitar[: len(plain)])
    assert np.array_equal(synth.render(NOTE, timbre="harp"), plain)


def test_the_timbre_of_the_synth_is_that_of_its_renders(synth: Synth) -> None:
    guitar = synth.render(NOTE, timbre="guitar")
    assert synth.timbre == "harp"
    synth.timbre = "guitar"
    assert synth.timbre == "guitar" and np.array_equal(synth.render(NOTE), guitar)
    with pytest.raises(PresetError, match="flut"):
        synth.timbre = "flut"
    assert synth.timbre == "guitar"


# --- Many presets -------------------------------------------------------------------------------


def test_programs_choose_presets_and_timbres(
    make_preset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, other = make_preset("small"), make_preset("other", sample_rate=22050)
    monkeypatch.setenv("AUDIOGEN_PRESETS", str(small.parent))
    notes = (
        Note(0.0, 0.2, 60.0, 0.9, program=0),
        Note(0.1, 0.2, 64.0, 0.9, program=24),
        Note(0.2, 0.2, 67.0, 0.9, program=46),
        Note(0.3, 0.2, 72.0, 0.9, program=0),
    )
    voices = {None: "small", 24: "small:guitar+dream", 46: str(other)}
    parts: list[float] = []
    made = audiogen.render(Score(notes), voices, seed=7, progress=parts.append)
    synths = {"small": Synth("small"), "other": Synth(other)}
    singles = [
        synths["small"].render([notes[0], notes[3]], sample_rate=22050, seed=7),
        synths["small"].render([notes[1]], sample_rate=22050, seed=7, timbre="guitar+dream"),
        synths["other"].render([notes[2]], sample_rate=22050, seed=7),
    ]
    np.testing.assert_allclose(made, padded_sum(*singles), rtol=0, atol=1e-6)
    assert parts == sorted(parts) and parts[-1] == pytest.approx(1.0)
    for block in (77, 1024):
        pieces = stream_score(Score(notes), voices, block, seed=7)
        assert np.array_equal(np.concatenate(list(pieces)), made)
    quiet = audiogen.render(Score(notes), {None: "small"}, seed=7, gain_db=-20, sample_rate=16000)
    plain = synths["small"].render(Score(notes), seed=7)
    np.testing.assert_allclose(quiet, 0.1 * plain, rtol=1e-5, atol=1e-9)
    with pytest.raises(ParameterError, match="voices has nothing for program 24"):
        audiogen.render(Score(notes), {0: "small", 46: "small"})


def test_without_voices_programs_choose_the_nearest_timbre(
    make_preset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_preset("small")
    score = Score([Note(0.0, 0.1, 60.0, program=25)])
    monkeypatch.setattr("audiogen.presets.folders.search_folders", lambda: [folder.parent])
    guitar = Synth(folder).render(score, timbre="guitar")
    assert np.array_equal(audiogen.render(score), guitar)


def test_load_is_a_synth(make_preset: Callable[..., Path]) -> None:
    folder = make_preset()
    synth = audiogen.load(folder, sample_rate=22050, seed=4)
    assert isinstance(synth, audiogen.Synth)
    assert synth.sample_rate == 22050 and synth.seed == 4
    assert synth.timbres == ["harp", "guitar", "dream"]
    made = synth.render("C4:0.2")
    assert np.array_equal(made, Synth(folder).render("C4:0.2", sample_rate=22050, seed=4))


# --- The object ---------------------------------------------------------------------------------


def test_a_pickled_synth_renders_the_same(synth: Synth, write_murmur: Callable[..., Path]) -> None:
    changed = Synth(synth.preset, 22050, seed=5, polyphony=3, margin_ms=7.0)
    changed.timbre = "harp:0.3+dream"
    changed.volume, changed.pan, changed.morph = 0.8, 0.25, 0.5
    changed.morph_timbre = changed.random_latent(2)
    changed.note_on(60)
    changed.process(100)  # sound that goes on is not kept
    wanted = changed.render("C4:0.1 E4")
    for other in (pickle.loads(pickle.dumps(changed)), copy.deepcopy(changed)):
        assert np.array_equal(other.render("C4:0.1 E4"), wanted)
        assert (other.sample_rate, other.seed, other.polyphony) == (22050, 5, 3)
        assert (other.timbre, other.pan, other.position) == ("harp:0.3+dream", 0.25, 0)
        assert not other.process(100).any()
    assert not np.array_equal(synth.render("C4:0.1 E4", sample_rate=22050), wanted[:, 0])
    murmur = write_murmur(synth.preset.folder.parent / "murmur")
    again = pickle.loads(pickle.dumps(Synth(murmur, realtime=True, precision="int8")))
    assert (again.realtime, again.precision) == (True, "int8")


def test_what_a_synth_shows_of_itself(synth: Synth, write_murmur: Callable[..., Path]) -> None:
    assert repr(synth) == "Synth('small', gansynth, 3 timbres, 16000 Hz)"
    shown = synth._repr_html_()
    assert "harp, guitar, dream" in shown and "16000 Hz" in shown and "<audio" not in shown
    assert repr(Synth("plucked", 48000)).endswith("15 timbres, 48000 Hz)")
    assert "<audio controls" in Synth("plucked")._repr_html_()
    murmur = Synth(write_murmur(synth.preset.folder.parent / "murmur", description="a <b> & c"))
    assert repr(murmur) == "Synth('murmur', samplernn, unconditional, 8000 Hz)"
    assert "a &lt;b&gt; &amp; c" in murmur._repr_html_()
    assert {"load", "Synth", "render"} <= set(dir(audiogen))


def test_a_misspelled_attribute_is_refused(synth: Synth) -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'glde'.* did you mean glide"):
        synth.glde = 0.1
    with pytest.raises(AttributeError, match="no attribute 'renderr'"):
        synth.renderr  # noqa: B018
    assert not hasattr(synth, "glde") and synth.glide == 0.0


def test_bad_arguments_are_named(synth: Synth) -> None:
    for rate in (0, -1, 500, 44100.5, 384001):
        with pytest.raises(ParameterError, match=f"sample_rate={rate} must be a whole number from"):
            synth.render("C4", sample_rate=rate)
        with pytest.raises(ParameterError, match=f"sample_rate={rate} must be"):
            Synth(synth.preset, rate)
    for seed in (-1, 1.5, 1 << 64):
        with pytest.raises(ParameterError, match=f"seed={seed} must be a whole number from 0"):
            synth.render("C4", seed=seed)
    with pytest.raises(ParameterError, match="too small a common divisor"):
        synth.render("C4", sample_rate=383987)
    with pytest.raises(ParameterError, match="precision='int8' is not supported by preset 'small'"):
        Synth(synth.preset, precision="int8")
    for name in ("temperature", "top_p"):
        with pytest.raises(ParameterError, match=f"{name} is not supported by preset 'small'"):
            Synth(synth.preset, **{name: 0.5})
        with pytest.raises(ParameterError, match=f"{name} is not supported by preset 'small'"):
            audiogen.render("C4", {None: str(synth.preset.folder)}, **{name: 0.5})
    with pytest.raises(ParameterError, match="generate is not supported by preset 'small'"):
        synth.generate(1.0)


# --- SampleRNN presets that play notes ----------------------------------------------------------


class TestSamplernn:
    @pytest.fixture
    def winds(self, tmp_path: Path, write_murmur: Callable[..., Path]) -> Synth:
        return Synth(write_murmur(tmp_path / "winds", notes=True))

    def test_it_plays_its_timbres(self, winds: Synth) -> None:
        assert winds.timbres == ["flute", "oboe"]
        note = [(0.05, 0.2, 60.0, 0.8)]
        sound = winds.render(note, seed=1)
        assert not sound[:400].any() and np.abs(sound[400:2000]).max() > 0.01
        np.testing.assert_array_equal(sound, winds.render(note, seed=1))
        np.testing.assert_array_equal(sound, winds.render(note, seed=1, timbre="oboe"))
        flute = winds.render(note, seed=1, timbre="flute")
        assert not np.array_equal(sound[400:2000], flute[400:2000])
        assert not np.array_equal(sound[400:2000], winds.render(note, seed=2)[400:2000])
        # Random weights do not grow quiet: the note ends two seconds after its end.
        assert (0.25 + 1.9) * 8000 < len(sound) < (0.25 + 2.1) * 8000

    def test_live_is_the_render(self, winds: Synth) -> None:
        live = Synth(winds.preset, 16000)
        live.note_on(60, 0.5, "flute")
        head = played(live, 1600, 7, 100)
        live.note_off(60)
        got = np.concatenate([head, played(live, 4000, 333)])[live.latency :, 0]
        wanted = winds.render([(0.0, 0.1, 60.0, 0.5)], sample_rate=16000, timbre="flute")
        assert np.abs(got).max() > 0.01 and np.array_equal(got, wanted[: len(got)])

    def test_sampling_is_the_presets_or_the_synths(
        self, winds: Synth, tmp_path: Path, write_murmur: Callable[..., Path]
    ) -> None:
        folder = write_murmur(
            tmp_path / "cold", notes=True, sampling={"temperature": 0.3, "top_p": 0.5}
        )
        cold, note = Synth(folder), [(0.0, 0.1, 60.0, 0.8)]
        assert (winds.temperature, cold.temperature, cold.top_p) == (
            pytest.approx(0.9),
            pytest.approx(0.3),
            pytest.approx(0.5),
        )
        usual, colder = winds.render(note), cold.render(note)
        assert not np.array_equal(usual[:800], colder[:800])
        by_argument = Synth(winds.preset, temperature=0.3, top_p=0.5)
        winds.temperature, winds.top_p = 0.3, 0.5
        for other in (winds, by_argument):
            assert np.array_equal(other.render(note), colder)
        assert np.array_equal(
            audiogen.render(note, {None: str(folder.parent / "winds")}, temperature=0.3, top_p=0.5),
            Synth(winds.preset.folder, temperature=0.3, top_p=0.5).render(note, timbre="oboe"),
        )

    def test_precision_is_the_synths(self, winds: Synth) -> None:
        note = [(0.0, 0.1, 60.0, 0.8)]
        int8 = Synth(winds.preset, precision="int8")
        assert int8.precision == "int8"
        assert not np.array_equal(int8.render(note)[:800], winds.render(note)[:800])

    def test_other_rates_are_the_same_sound(self, winds: Synth) -> None:
        note = [(0.0, 0.2, 60.0, 0.8)]
        own, other = winds.render(note), winds.render(note, sample_rate=16000)
        wanted = soxr.resample(own, 8000, 16000, quality="VHQ")
        n = min(len(wanted), len(other))
        assert abs(len(wanted) - len(other)) < 200
        wanted, other = (band_limited(x[:n], 16000, 3500) for x in (wanted, other))
        assert snr_db(wanted, other) > 60

    def test_notes_outside_the_range_are_reported(self, winds: Synth) -> None:
        with pytest.warns(UserWarning, match="1 note lies outside the pitches 36 to 84"):
            winds.render([(0.0, 0.1, 20.0, 0.8)])

    def test_a_score_mixes_both_kinds(
        self, winds: Synth, make_preset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = make_preset("small")
        monkeypatch.setenv("AUDIOGEN_PRESETS", str(small.parent))
        notes = Note(0.0, 0.1, 60.0, 0.9, program=0), Note(0.0, 0.1, 64.0, 0.9, program=73)
        voices = {None: "small", 73: "winds:flute"}
        made = audiogen.render(Score(notes), voices, seed=7)
        plucked = Synth("small").render([notes[0]], seed=7)
        blown = winds.render([notes[1]], sample_rate=16000, seed=7, timbre="flute")
        np.testing.assert_allclose(made, padded_sum(plucked, blown), rtol=0, atol=1e-6)
        # Sampling is for the SampleRNN alone.
        cold = audiogen.render(Score(notes), voices, seed=7, temperature=0.5)
        cold_blown = Synth("winds", 16000, temperature=0.5).render(
            [notes[1]], seed=7, timbre="flute"
        )
        np.testing.assert_allclose(cold, padded_sum(plucked, cold_blown), rtol=0, atol=1e-6)
