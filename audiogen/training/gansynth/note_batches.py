"""Notes as GANSynth trainers read them: in memory or from disk, and crops of them as batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.notes.partials import partials_of
from audiogen.data.notes.splits import Split, split_for_training
from audiogen.data.notes.vibrato import Vibrato, vibrato_of, without_vibrato
from audiogen.data.source_toml import instrument_entries, is_kit, read_source, timbre_names
from audiogen.models.gansynth import GeneratorConfig
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.partials import HARMONIC, TimbrePartials, stack
from audiogen.training.gansynth.variety import note_varieties


@dataclass
class Notes:
    """The notes of a set as arrays in memory.

    Parameters
    ----------
    waveforms : array [n_notes, n_samples], float32
        The sounds.
    pitches : array [n_notes], MIDI numbers
        The pitches; of a drum kit with fractions.
    velocities : array [n_notes], 0..1
        The velocities.
    instruments : array [n_notes], int
        Indices into ``names``.
    names : list of str
        Names of the instruments.
    note_names : list of str
        Names of the notes.
    timbres : list of str
        Name of the timbre that each instrument becomes; those of the instruments by default.
    vibratos : list of Vibrato or None
        Vibrato of each instrument that the sounds no longer have; none by default.
    timbre_partials : list of TimbrePartials
        Partials of each instrument; harmonic ones by default.
    split : Split, optional
        Notes to train on and to hold out; by default single keys are held out, drawn by the seed.
    """

    waveforms: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    instruments: np.ndarray
    names: list[str]
    note_names: list[str] = field(default_factory=list)
    timbres: list[str] = field(default_factory=list)
    vibratos: list[Vibrato | None] = field(default_factory=list)
    timbre_partials: list[TimbrePartials] = field(default_factory=list)
    split: Split | None = None
    # Variety by representation and note-off, measured once for all trainers of a run.
    _varieties: dict[tuple[SpectrogramConfig, int], np.ndarray] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        self.timbres = self.timbres or list(self.names)
        self.vibratos = self.vibratos or [None] * len(self.names)
        self.timbre_partials = self.timbre_partials or [HARMONIC] * len(self.names)

    def partials(self, indices: np.ndarray) -> np.ndarray | None:
        """Partials of notes, [n, n_partials], or None if all of them are harmonic."""
        maps = (self.timbre_partials[instrument] for instrument in self.instruments[indices])
        return stack([one.at(p) for one, p in zip(maps, self.pitches[indices], strict=True)])

    def varieties(self, config: SpectrogramConfig, note_off_frame: int) -> np.ndarray:
        """Variety of each note, [n_notes], float32 (`variety.note_varieties`)."""
        key = config, note_off_frame
        if key not in self._varieties:
            self._varieties[key] = note_varieties(self.waveforms, *key)
        return self._varieties[key]

    @classmethod
    def read(cls, notes: NoteSet, split: Split | None = None) -> Notes:
        """Read a whole set into memory, without the vibrato of its instruments.

        The engine adds a timbre's vibrato to its notes (`Timbre.vibrato`): its phase differs from
        note to note, so a network could only learn its average, no vibrato, or make noise of it.
        """
        names = list(notes.instruments)
        source = read_source(notes.folder)
        entries = instrument_entries(source)
        instruments = np.array([names.index(note.instrument) for note in notes])
        waveforms = notes.waveforms()
        pitches = np.array(
            [entries.get(note.instrument, {}).get("pitch", note.pitch) for note in notes],
            np.float64,
        )
        rate = notes.notes[0].sample_rate
        vibratos: list[Vibrato | None] = []
        timbre_partials: list[TimbrePartials] = []
        # Drums of a kit have one pitch each, at which the network learns their frequencies.
        for index in () if is_kit(source) else range(len(names)):
            own = np.flatnonzero(instruments == index)
            found = vibrato_of(waveforms[own], pitches[own], rate)
            vibratos.append(found)
            for i in own if found else ():
                waveforms[i] = without_vibrato(waveforms[i], pitches[i], rate)
            timbre_partials.append(partials_of(waveforms[own], pitches[own], rate))
        return cls(
            waveforms=waveforms,
            pitches=pitches,
            velocities=np.array([note.velocity for note in notes]) / 127.0,
            instruments=instruments,
            names=names,
            note_names=[note.name for note in notes],
            timbres=timbre_names(names, entries),
            vibratos=vibratos,
            timbre_partials=timbre_partials,
            split=split,
        )


class NotesOnDisk:
    """The notes of a set within a generator's pitches; each is read when it is needed.

    Parameters
    ----------
    notes : NoteSet
        The set.
    generator : GeneratorConfig
        The generator, for its range of pitches.
    n_samples : int
        Length to which sounds are cut, or padded with silence.

    Raises
    ------
    ParameterError
        If no note is within the pitches.
    """

    def __init__(self, notes: NoteSet, generator: GeneratorConfig, n_samples: int):
        lowest = generator.pitch_min
        self._set = notes.filter(pitches=(lowest, lowest + generator.n_pitches - 1))
        self._n_samples = n_samples
        self.pitches = np.array([note.pitch for note in self._set], np.float64)
        self.names = list(self._set.instruments)
        self.note_names = [note.name for note in self._set]

    def waveforms(self, indices: np.ndarray) -> np.ndarray:
        """Sounds [len(indices), n_samples], float32."""
        sounds = np.zeros((len(indices), self._n_samples), np.float32)
        for sound, index in zip(sounds, indices, strict=True):
            samples = self._set.waveform(self._set.notes[index])[: self._n_samples]
            sound[: len(samples)] = samples
        return sounds

    def split(self, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the notes to train on and of those to hold out (`split_for_training`)."""
        return split_for_training(self._set, held_out, seed).indices(self.note_names)


@dataclass
class Batch:
    """Crops of notes with their conditioning.

    Parameters
    ----------
    frames : (start, stop)
        Frames of the crop.
    pitch : Tensor [batch], MIDI number
        Pitch of each note.
    velocity : Tensor [batch], 0..1
        Velocity of each note.
    instruments : Tensor [batch], int64
        Index of the instrument of each note.
    weight : Tensor [batch, n_frames, n_bins]
        Loudness weight (`losses.loudness_weight`).
    image : Tensor [batch, 2, n_frames, n_bins]
        Spectrograms in the generator's units.
    variety : Tensor [batch], 0..1
        Share of partials' repulsion in the energy distance (`variety.note_varieties`).
    waveform : Tensor [batch, n_samples]
        Audio from the start of the first frame to the end of the last.
    partials : array [batch, n_partials], optional
        Partials of the notes; harmonic ones without.
    """

    frames: tuple[int, int]
    pitch: Tensor
    velocity: Tensor
    instruments: Tensor
    weight: Tensor
    image: Tensor
    variety: Tensor
    waveform: Tensor
    partials: np.ndarray | None = None

    def twice(self) -> Batch:
        """The batch with each note twice in a row."""
        double = {
            name: value.repeat_interleave(2, dim=0)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        partials = None if self.partials is None else np.repeat(self.partials, 2, axis=0)
        return Batch(frames=self.frames, partials=partials, **double)
