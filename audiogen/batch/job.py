"""One job of a batch: what is rendered, with which preset and seed; and the rendering itself."""

from __future__ import annotations

import hashlib
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.notes import Score


@dataclass(frozen=True)
class Job:
    """A render: a score, or a number of seconds of an unconditional preset.

    A job has all that it needs but the presets, so that another process or machine renders the
    same samples.

    Parameters
    ----------
    output : str
        Path of the sound file.
    score : str
        Path of a MIDI file; empty for none.
    notes : str
        Note string in place of a score.
    seconds : float, s
        Length of audio of an unconditional preset, in place of notes.
    preset, timbre : str, optional
        Name or folder of the preset, and its timbre, as of `audiogen render`.
    seed : int
        Seed of the random numbers.
    sample_rate : int, Hz, optional
        Rate of the file; by default the highest of its presets', at most 48000.
    stereo : bool, optional
        Two channels or one; without, two if the score pans.
    temperature, top_p : float, optional
        Sampling of a SampleRNN.
    precision : str
        Precision of the networks' arithmetic.
    device : str
        Device that computes, as of `audiogen render`.
    gain_db : float, dB
        Change of level.
    normalize : bool
        Whether the peak is brought to full scale before the gain.
    music : Score, optional
        Notes of the file ``score``, as `loaded` reads them.
    """

    output: str
    score: str = ""
    notes: str = ""
    seconds: float = 0.0
    preset: str | None = None
    timbre: str | None = None
    seed: int = 0
    sample_rate: int | None = None
    stereo: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    precision: str = "float32"
    device: str = "cpu"
    gain_db: float = 0.0
    normalize: bool = False
    music: Score | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        sources = {"score": self.score, "notes": self.notes, "seconds": self.seconds}
        given = [name for name, value in sources.items() if value]
        if len(given) != 1:
            came = " and ".join(given) or "none"
            raise ParameterError(
                f"job {self.output!r} has {came} of score, notes and seconds; give one of them"
            )
        if self.precision == "auto":
            raise ParameterError(
                f"job {self.output!r} has precision='auto', which depends on the machine; name"
                " 'float32', 'bfloat16' or 'int8', so that all workers make the same samples"
            )
        if self.seconds and self.preset is None:
            raise ParameterError(
                f"job {self.output!r} has seconds and no preset; name an unconditional one"
            )

    @property
    def voice(self) -> tuple[str | None, str | None]:
        """Preset and timbre, which ``preset`` may name, too."""
        from audiogen.presets import split_spec

        preset, named = split_spec(self.preset) if self.preset is not None else (None, None)
        return preset, named if self.timbre is None else self.timbre

    def loaded(self) -> Job:
        """The job with the notes of its file.

        Raises
        ------
        MidiError
            If the file cannot be read.
        """
        from audiogen.notes import read_midi

        if not self.score or self.music is not None:
            return self
        return replace(self, music=read_midi(self.score))

    def digest(self) -> str:
        """SHA-256 of everything that the samples depend on, presets apart; of a loaded job."""
        from audiogen.presets import is_latent_file

        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        # The CPU's samples are those of a version without devices.
        for name in ("output", "score", *(("device",) if self.device == "cpu" else ())):
            parts.pop(name)
        _, timbre = self.voice
        if timbre and is_latent_file(timbre):
            with suppress(OSError):  # rendering says what is wrong with it
                parts["latent"] = Path(timbre).read_bytes()
        return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Rendered:
    """The result of a job.

    Parameters
    ----------
    job : Job
        The job.
    samples : ndarray [n_samples] or [n_samples, n_channels], float32, optional
        The sound; None if the job failed.
    sample_rate : int, Hz
        Rate of the sound.
    took_s : float, s
        Time that the rendering took.
    remarks : tuple of str
        Warnings, such as the number of drum notes that are left out.
    error : str
        Reason why the job failed; empty if it did not.
    """

    job: Job
    samples: np.ndarray | None = None
    sample_rate: int = 0
    took_s: float = 0.0
    remarks: tuple[str, ...] = ()
    error: str = ""


def render_job(job: Job) -> Rendered:
    """Render a loaded job; the samples are those of `audiogen render` with the same options.

    Bad input is returned as `Rendered.error`, so that the other jobs of a batch go on.
    """
    from audiogen.errors import AudiogenError

    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            samples, rate = _generate(job) if job.seconds else _render(job)
        except AudiogenError as error:
            return Rendered(job, error=str(error))
    remarks = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return Rendered(job, samples, rate, time.perf_counter() - began, remarks)


def _render(job: Job) -> tuple[np.ndarray, int]:
    from audiogen.engine import render
    from audiogen.engine.render import default_rate, voices_of
    from audiogen.presets import assign_programs, load_preset, presets_to_play, split_spec

    preset, timbre = job.voice
    score = _score(job)
    programs = score.programs if job.music else ()
    voices = assign_programs(programs, presets_to_play(preset), timbre)
    playing = set(voices_of(score, voices).values())
    rate = job.sample_rate or default_rate(load_preset(split_spec(v)[0]) for v in playing)
    samples = render(
        score,
        voices,
        sample_rate=rate,
        seed=job.seed,
        stereo=job.stereo,
        gain_db=job.gain_db,
        normalize=job.normalize,
        precision=job.precision,
        device=job.device,
        temperature=job.temperature,
        top_p=job.top_p,
    )
    return samples, rate


def _generate(job: Job) -> tuple[np.ndarray, int]:
    from audiogen.engine import load
    from audiogen.engine.offline import change_level
    from audiogen.engine.render import default_rate

    name, timbre = job.voice
    assert name is not None
    synth = load(name, precision=job.precision, device=job.device)
    rate = job.sample_rate or default_rate([synth.preset])
    samples = synth.generate(
        job.seconds,
        seed=job.seed,
        sample_rate=rate,
        stereo=bool(job.stereo),
        timbre=timbre,
        temperature=job.temperature,
        top_p=job.top_p,
    )
    return change_level(samples, job.gain_db, job.normalize), rate


def _score(job: Job) -> Score:
    from audiogen.notes import as_score

    return as_score(job.music or job.notes)
