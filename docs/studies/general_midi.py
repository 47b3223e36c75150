"""Compares renders of a MIDI file with FluidSynth's: level, chroma and onsets of each channel.

    python docs/studies/general_midi.py FONT.sf2 [SONG.mid] [--drums PRESET]

renders each channel of SONG alone by `audiogen.render`, with the installed presets, and by
FluidSynth with FONT, without reverb and chorus. Without SONG it writes and plays a band of piano,
bass, strings, trumpet, guitar, flute and drums. Prints, for each channel, the level beside
FluidSynth's (after both renders of the whole song have been brought to the same level), the
correlation of the chromagrams, and the share of the score's onsets that librosa finds within 50 ms
in each render. Needs fluidsynth and the extra `eval`.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import librosa
import mido
import numpy as np
import soundfile

import audiogen
from audiogen.notes import Score, read_midi
from audiogen.notes.general_midi import program_name
from audiogen.presets import assign_programs, presets_to_play

RATE = 32000
NEAR_S = 0.05
DRUMS = 9

# Program and notes (beat, beats, keys) of each channel, for eight bars.
CHORDS = [(57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62)]
KICK, SNARE, HAT, CRASH, TOM = 36, 38, 42, 49, 45


def band() -> mido.MidiFile:
    """Eight bars of a band, at 120 beats per minute."""
    parts: dict[int, tuple[int, list[tuple[float, float, Sequence[int]]]]] = {
        0: (0, []), 1: (33, []), 2: (48, []), 3: (56, []), 4: (24, []), 5: (73, []), DRUMS: (0, [])
    }  # fmt: skip
    for bar in range(8):
        chord, at = CHORDS[bar % 4], 4.0 * bar
        parts[0][1].extend((at + beat, 0.9, chord) for beat in range(4))
        parts[1][1].extend((at + 2 * half, 1.5, [chord[0] - 24 + 7 * half]) for half in range(2))
        parts[2][1].append((at, 3.9, [key + 12 for key in chord]))
        parts[3][1].extend((at + i, 0.8, [chord[i % 3] + 12]) for i in range(0, 4, 2))
        parts[4][1].extend((at + i / 2, 0.45, [chord[i % 3]]) for i in range(8))
        parts[5][1].extend((at + 1 + 2 * i, 0.9, [chord[2 - i] + 24]) for i in range(2))
        beats = [(0, KICK), (1, SNARE), (2, KICK), (2.5, KICK), (3, SNARE)]
        beats += [(i / 2, HAT) for i in range(8)] + ([(0, CRASH)] if bar % 4 == 0 else [])
        beats += [(3.25, TOM), (3.75, TOM)] if bar % 4 == 3 else []
        parts[DRUMS][1].extend((at + beat, 0.2, [key]) for beat, key in beats)
    file = mido.MidiFile(ticks_per_beat=480)
    for channel, (program, notes) in parts.items():
        track = mido.MidiTrack()
        track.append(mido.Message("program_change", channel=channel, program=program))
        events = []
        for beat, beats_long, keys in notes:
            for key in keys:
                on = mido.Message("note_on", channel=channel, note=key, velocity=90)
                events += [(round(480 * beat), on)]
                events += [(round(480 * (beat + beats_long)), on.copy(velocity=0))]
        done = 0
        for tick, message in sorted(events, key=lambda each: each[0]):
            track.append(message.copy(time=tick - done))
            done = tick
        file.tracks.append(track)
    return file


def alone(song: mido.MidiFile, channel: int) -> mido.MidiFile:
    """A copy without the notes of all other channels."""
    copy = mido.MidiFile(ticks_per_beat=song.ticks_per_beat)
    for track in song.tracks:
        kept, waited = mido.MidiTrack(), 0
        for message in track:
            waited += message.time
            if message.is_meta or getattr(message, "channel", channel) == channel:
                kept.append(message.copy(time=waited))
                waited = 0
        copy.tracks.append(kept)
    return copy


def fluidsynth(song: mido.MidiFile, font: Path, folder: Path) -> np.ndarray:
    """FluidSynth's render, mono."""
    song.save(folder / "song.mid")
    command = ["fluidsynth", "-ni", "-R", "0", "-C", "0", "-g", "0.3", "-r", str(RATE), "-F"]
    command += [str(folder / "song.wav"), str(font), str(folder / "song.mid")]
    subprocess.run(command, check=True, capture_output=True)
    return soundfile.read(folder / "song.wav", always_2d=True)[0].sum(axis=1).astype(np.float32)


def ours(song: mido.MidiFile, folder: Path, drums: str | None) -> tuple[np.ndarray, Score]:
    """The render of the installed presets, mono."""
    song.save(folder / "song.mid")
    score = read_midi(folder / "song.mid")
    voices = assign_programs(score.programs, presets_to_play())
    if drums is not None:
        voices["drums"] = drums
    return audiogen.render(score, voices, sample_rate=RATE, stereo=False), score


def level_db(sound: np.ndarray) -> float:
    return float(10.0 * np.log10(np.sum(np.square(sound, dtype=np.float64)) + 1e-12))


def recall(sound: np.ndarray, score: Score) -> float:
    """Share of the score's onsets that are found."""
    found = librosa.onset.onset_detect(y=sound, sr=RATE, units="time", hop_length=256)
    wanted = sorted({round(note.start_s, 3) for note in score.notes})
    return float(np.mean([np.abs(found - time_s).min(initial=9.0) <= NEAR_S for time_s in wanted]))


def chroma(sound: np.ndarray) -> np.ndarray:
    return librosa.feature.chroma_stft(y=sound, sr=RATE, n_fft=8192, hop_length=4096)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("font", type=Path)
    parser.add_argument("song", type=Path, nargs="?")
    parser.add_argument("--drums", help="drum kit; the first installed one without")
    options = parser.parse_args()
    song = band() if options.song is None else mido.MidiFile(options.song)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        whole = fluidsynth(song, options.font, folder)
        made, score = ours(song, folder, options.drums)
        gain_db = level_db(whole) - level_db(made)
        channels = sorted({note.channel for note in score.notes})
        parts = {channel: ours(alone(song, channel), folder, options.drums) for channel in channels}
        # A render balances its parts; these are alone, so their levels in the mix are fitted.
        lengthened = [np.pad(part, (0, len(made)))[: len(made)] for part, _ in parts.values()]
        gains = dict(
            zip(
                channels,
                np.linalg.lstsq(np.stack(lengthened, axis=1), made, rcond=None)[0],
                strict=True,
            )
        )
        print(
            "| channel | instrument | notes | level (dB) | chroma | onsets, FluidSynth | onsets |"
        )
        print("|---|---|---|---|---|---|---|")
        for channel, (sound, notes) in parts.items():
            theirs = fluidsynth(alone(song, channel), options.font, folder)
            mine = gains[channel] * sound
            n = min(len(theirs), len(mine))
            level = level_db(mine) + gain_db - level_db(theirs)
            pitches = (chroma(theirs[:n]), chroma(mine[:n]))
            same = float(np.corrcoef(*(each.ravel() for each in pitches))[0, 1])
            name = "drums" if channel == DRUMS else program_name(notes.notes[0].program)
            print(
                f"| {channel + 1} | {name} | {len(notes.notes)} | {level:+.1f} |"
                f" {'-' if channel == DRUMS else f'{same:.2f}'} | {recall(theirs, notes):.0%} |"
                f" {recall(mine, notes):.0%} |"
            )


if __name__ == "__main__":
    main()
