"""Sound files: any in, as float samples; wav, flac or ogg out, the whole of it or nothing."""

from __future__ import annotations

import math
import os
import queue
import threading
from pathlib import Path

import numpy as np

from audiogen.core.atomic_write import written_whole
from audiogen.errors import FormatError, ParameterError, ShapeError

# libsndfile's format and subtype by suffix. 24 bits keep a quiet tail's detail; Vorbis decides.
FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
}
LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CEILING_DB = -0.1  # where a too loud peak is put: under full scale, so that players don't clip it

_BLOCK = 1 << 16  # samples; libsndfile overflows its stack on long Vorbis writes


def check_sample_rate(sample_rate: float) -> int:
    """Return a sample rate that sound files and players have use for.

    Raises
    ------
    ParameterError
        If it isn't a whole number from 8000 to 192000 Hz.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or int(sample_rate) != sample_rate:
        raise ParameterError(
            f"sample_rate={sample_rate} isn't usable; give a whole number from {LOWEST_RATE} to "
            f"{HIGHEST_RATE} Hz, such as 44100"
        )
    return int(sample_rate)


def check_output(path: str | os.PathLike[str], suffixes: tuple[str, ...] = tuple(FORMATS)) -> None:
    """Find out whether a file can be written before the work that fills it is done.

    Raises
    ------
    ParameterError
        If the suffix isn't one of `suffixes`, or the folder is missing or can't be written to.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        came = f"ends in {path.suffix}" if path.suffix else "has no suffix"
        raise ParameterError(f"output {path} {came}; use {', '.join(suffixes)}")
    if path.is_dir():
        raise ParameterError(f"output {path} is a folder; give a file name")
    if not path.parent.is_dir():
        raise ParameterError(f"output {path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ParameterError(f"output {path} can't be written; no permission")


def read_channels(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Read a sound file as it is.

    Parameters
    ----------
    path : path
        Anything that libsndfile reads.

    Returns
    -------
    samples : array [n_samples, n_channels], float32
        Full scale is 1.
    sample_rate : int, Hz

    Raises
    ------
    FormatError
        If the file can't be read, is empty, or holds NaN or infinity.
    """
    import soundfile

    if not os.path.exists(path):
        raise FormatError(f"{path}: isn't there; check the name")
    if os.path.isdir(path):
        raise FormatError(f"{path}: is a folder; give a sound file")
    try:
        name = os.fsencode(path) if os.name == "posix" else path  # which need not be UTF-8
        samples, rate = soundfile.read(name, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError, RuntimeError) as error:
        why = getattr(error, "error_string", error)  # the name comes before it
        raise FormatError(f"{path}: can't be read as sound ({why})") from error
    if not len(samples):
        raise FormatError(f"{path}: holds no samples; give a recording that has some")
    if not np.isfinite(samples).all():
        raise FormatError(f"{path}: holds NaN or infinity; export it again")
    return samples, rate


def resampled(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Samples [n_samples] or [n_samples, n_channels] at another rate, by soxr at its best."""
    import soxr

    return samples if from_hz == to_hz else soxr.resample(samples, from_hz, to_hz, quality="VHQ")


def read_audio(path: str | os.PathLike[str], sample_rate: int) -> np.ndarray:
    """Read a sound file as one channel at a given rate.

    Parameters
    ----------
    path : path
        Anything that libsndfile reads; channels are averaged.
    sample_rate : int, Hz

    Returns
    -------
    array [n_samples], float32
        Full scale is 1.

    Raises
    ------
    FormatError
        As `read_channels`.
    """
    import soxr

    samples, rate = read_channels(path)
    mono = samples.mean(axis=1)
    return mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate)


def write_audio(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int) -> float:
    """Write samples to a sound file.

    A peak over full scale would be cut off by the file format and heard as distortion. The whole
    file is turned down instead, to a peak of -0.1 dB; the caller should tell.

    Parameters
    ----------
    path : path
        Its suffix chooses the format: ``.wav`` and ``.flac`` with 24 bits, ``.ogg`` (Vorbis).
    samples : array [n_samples] or [n_samples, n_channels], float
        Full scale is 1.
    sample_rate : int, Hz

    Returns
    -------
    float, dB
        How much it was turned down: 0, or a negative number.

    Raises
    ------
    ParameterError
        If the suffix, rate or path can't be used.
    ShapeError
        If `samples` has another shape, is empty, or holds NaN or infinity.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     round(write_audio(f"{folder}/loud.wav", np.full(100, 2.0), 16000), 1)
    -6.1
    """
    import soundfile

    path = Path(path)
    check_output(path)
    sample_rate = check_sample_rate(sample_rate)
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or not samples.size or samples.dtype.kind != "f":
        raise ShapeError(
            f"samples has shape {samples.shape} and type {samples.dtype}; floats [n_samples] or "
            "[n_samples, n_channels] are wanted"
        )
    peak = float(np.max(np.abs(samples)))
    if not math.isfinite(peak):
        raise ShapeError("samples holds NaN or infinity; nothing was written")
    gain_db = CEILING_DB - 20 * math.log10(peak) if peak > 1 else 0.0
    gain = np.float32(10 ** (gain_db / 20))
    file_format, subtype = FORMATS[path.suffix.lower()]
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    with written_whole(path) as temporary:
        try:
            with soundfile.SoundFile(
                temporary, "w", sample_rate, n_channels, subtype, format=file_format
            ) as file:
                for start in range(0, len(samples), _BLOCK):
                    file.write(samples[start : start + _BLOCK].astype(np.float32) * gain)
        except (soundfile.LibsndfileError, ValueError) as error:
            raise ParameterError(f"output {path} can't be written ({error})") from error
    return gain_db


class Recording:
    """A sound file that grows while sound is made; its thread does the writing.

    What is over full scale is cut off there, as a sound card cuts it off, and counted.

    Parameters
    ----------
    path : path
        As `write_audio`. It appears when the recording is closed.
    sample_rate : int, Hz
    n_channels : int

    Raises
    ------
    ParameterError
        If the suffix, rate or path can't be used; from `close` if not all could be written. What
        was written till then is kept; `error` tells as soon as it happens.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Recording(f"{folder}/take.wav", 16000, n_channels=1) as recording:
    ...         recording.write(np.full((100, 1), 2.0))
    ...     recording.n_samples, recording.n_clipped
    (100, 100)
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int, n_channels: int = 2):
        self.path, self.sample_rate = Path(path), check_sample_rate(sample_rate)
        check_output(self.path)
        self.n_samples = 0  # written
        self.n_clipped = 0  # numbers of them over full scale
        self._n_channels = n_channels
        self._waiting: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self.error: ParameterError | None = None  # what keeps the rest from being written
        self._thread = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._thread.start()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, block: np.ndarray) -> None:
        """Add samples, [n, n_channels]; returns at once, from any thread."""
        if self.error is None:
            self._waiting.put(np.array(block, np.float32))

    def close(self) -> None:
        """Finish the file."""
        self._waiting.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _write_all(self) -> None:
        import soundfile

        file_format, subtype = FORMATS[self.path.suffix.lower()]
        try:
            with (
                written_whole(self.path) as temporary,
                soundfile.SoundFile(
                    temporary, "w", self.sample_rate, self._n_channels, subtype, format=file_format
                ) as file,
            ):
                while (block := self._waiting.get()) is not None:
                    try:
                        file.write(np.clip(block, -1.0, 1.0))
                    except (soundfile.LibsndfileError, OSError) as error:
                        self.error = ParameterError(
                            f"output {self.path} ends after {self.n_samples / self.sample_rate:.1f}"
                            f" s, more can't be written ({error})"
                        )
                        break
                    self.n_clipped += int(np.count_nonzero(np.abs(block) > 1.0))
                    self.n_samples += len(block)
        except ParameterError as error:
            self.error = error
        except (soundfile.LibsndfileError, ValueError) as error:
            self.error = ParameterError(f"output {self.path} can't be written ({error})")
