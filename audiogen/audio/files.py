"""Sound files: any format in, as float samples; WAV, FLAC or Ogg out, complete or not at all."""

from __future__ import annotations

import math
import os
import queue
import shutil
import threading
from pathlib import Path

import numpy as np

from audiogen.core.atomic_write import written_whole
from audiogen.errors import FormatError, ParameterError, ShapeError

# libsndfile's format and subtype by suffix. 24 bits keep the detail of quiet tails.
FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
}
LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CEILING_DB = -0.1  # dBFS; peak of a file that was turned down, below full scale so as not to clip

_BLOCK = 1 << 16  # samples; libsndfile overflows its stack on long Vorbis writes
_SYSTEM_ERROR = 2  # libsndfile's code for a failed system call, whose cause it does not report


def check_sample_rate(sample_rate: float) -> int:
    """Return a sample rate that sound files and players support.

    Raises
    ------
    ParameterError
        If it is not a whole number from 8000 to 192000 Hz.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or int(sample_rate) != sample_rate:
        raise ParameterError(
            f"sample_rate={sample_rate} must be a whole number from {LOWEST_RATE} to "
            f"{HIGHEST_RATE} Hz, such as 44100"
        )
    return int(sample_rate)


def check_output(path: str | os.PathLike[str], suffixes: tuple[str, ...] = tuple(FORMATS)) -> None:
    """Check that a file can be written, before the work that fills it.

    Raises
    ------
    ParameterError
        If the suffix is not one of `suffixes`, or the folder is missing or not writable.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        ending = f"ends in {path.suffix}" if path.suffix else "has no suffix"
        raise ParameterError(f"output {path} {ending}; use {', '.join(suffixes)}")
    if path.is_dir():
        raise ParameterError(f"output {path} is a folder; give a file name")
    if not path.parent.is_dir():
        raise ParameterError(f"output {path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ParameterError(f"output {path} can't be written; no permission")


def read_channels(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Read a sound file with its own channels and sample rate.

    Parameters
    ----------
    path : path
        Any format that libsndfile reads.

    Returns
    -------
    samples : array [n_samples, n_channels], float32
        Full scale is 1.
    sample_rate : int, Hz

    Raises
    ------
    FormatError
        If the file cannot be read, is empty, or holds NaN or infinity.
    """
    import soundfile

    if not os.path.exists(path):
        raise FormatError(f"{path}: isn't there; check the name")
    if os.path.isdir(path):
        raise FormatError(f"{path}: is a folder; give a sound file")
    try:
        open(path, "rb").close()  # libsndfile reports a refused permission as "System error."
        name = os.fsencode(path) if os.name == "posix" else path  # it need not be UTF-8
        samples, rate = soundfile.read(name, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", error)
        raise FormatError(f"{path}: can't be read as sound ({reason})") from error
    if not len(samples):
        raise FormatError(f"{path}: holds no samples; give a recording that has some")
    if not np.isfinite(samples).all():
        raise FormatError(f"{path}: holds NaN or infinity; export it again")
    return samples, rate


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample samples [n_samples] or [n_samples, n_channels] with soxr's highest quality."""
    import soxr

    return samples if from_hz == to_hz else soxr.resample(samples, from_hz, to_hz, quality="VHQ")


def read_audio(path: str | os.PathLike[str], sample_rate: int) -> np.ndarray:
    """Read a sound file as one channel with a given sample rate.

    Parameters
    ----------
    path : path
        Any format that libsndfile reads; the channels are averaged.
    sample_rate : int, Hz
        Sample rate of the result.

    Returns
    -------
    array [n_samples], float32
        Full scale is 1.

    Raises
    ------
    FormatError
        See `read_channels`.
    """
    samples, rate = read_channels(path)
    return resample(samples.mean(axis=1), rate, sample_rate)


def write_audio(
    path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int, comment: str = ""
) -> float:
    """Write samples to a sound file.

    The file format would clip a peak above full scale. Instead the whole file is turned down to a
    peak of -0.1 dBFS; the caller should report it.

    Parameters
    ----------
    path : path
        The suffix selects the format: ``.wav`` and ``.flac`` with 24 bits, ``.ogg`` (Vorbis).
    samples : array [n_samples] or [n_samples, n_channels], float
        Full scale is 1.
    sample_rate : int, Hz
        Sample rate of the file.
    comment : str
        Comment in the file's metadata.

    Returns
    -------
    float, dB
        Gain that was applied: 0 or a negative number.

    Raises
    ------
    ParameterError
        If the suffix, sample rate or path is invalid, or the disk is full.
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
            f"samples has shape {samples.shape} and type {samples.dtype}; it must hold floats "
            "[n_samples] or [n_samples, n_channels]"
        )
    peak = float(np.max(np.abs(samples)))
    if not math.isfinite(peak):
        raise ShapeError("samples holds NaN or infinity; nothing was written")
    gain_db = CEILING_DB - 20 * math.log10(peak) if peak > 1 else 0.0
    gain = np.float32(10 ** (gain_db / 20))
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    with written_whole(path) as temporary:
        try:
            with _open_for_writing(temporary, path, sample_rate, n_channels) as file:
                if comment:
                    file.comment = comment
                for start in range(0, len(samples), _BLOCK):
                    file.write(samples[start : start + _BLOCK].astype(np.float32) * gain)
        except (soundfile.LibsndfileError, AssertionError, ValueError) as error:
            raise ParameterError(
                f"output {path} can't be written: {_write_failure(path, error)}"
            ) from error
    return gain_db


class Recording:
    """Sound file that a separate thread writes while audio is generated.

    Samples above full scale are clipped, as a sound card does, and counted.

    Parameters
    ----------
    path : path
        Argument of `write_audio`. The file appears when the recording is closed.
    sample_rate : int, Hz
        Sample rate of the file.
    n_channels : int
        Number of channels of the file.

    Raises
    ------
    ParameterError
        If the suffix, sample rate or path is invalid; from `close`, if not all samples could be
        written. The samples before the failure are kept; `error` is set when it happens.

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
        self.n_samples = 0  # written, per channel
        self.n_clipped = 0  # over all channels
        self.error: ParameterError | None = None  # reason why writing stopped
        self._n_channels = n_channels
        self._blocks: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._thread.start()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, block: np.ndarray) -> None:
        """Add samples [n_samples, n_channels]; returns at once, from any thread."""
        if self.error is None:
            self._blocks.put(np.array(block, np.float32))

    def close(self) -> None:
        """Finish the file."""
        self._blocks.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _write_all(self) -> None:
        import soundfile

        failures = (soundfile.LibsndfileError, AssertionError, OSError)
        try:
            with (
                written_whole(self.path) as temporary,
                _open_for_writing(temporary, self.path, self.sample_rate, self._n_channels) as file,
            ):
                while (block := self._blocks.get()) is not None:
                    try:
                        file.write(np.clip(block, -1.0, 1.0))
                    except failures as error:
                        seconds = self.n_samples / self.sample_rate
                        self.error = ParameterError(
                            f"output {self.path} ends after {seconds:.1f} s, more can't be "
                            f"written: {_write_failure(self.path, error)}"
                        )
                        break
                    self.n_clipped += int(np.count_nonzero(np.abs(block) > 1.0))
                    self.n_samples += len(block)
        except ParameterError as error:
            self.error = error
        except (*failures, ValueError) as error:
            self.error = ParameterError(
                f"output {self.path} can't be written: {_write_failure(self.path, error)}"
            )


def _open_for_writing(temporary: Path, path: Path, sample_rate: int, n_channels: int):
    import soundfile

    file_format, subtype = FORMATS[path.suffix.lower()]
    return soundfile.SoundFile(temporary, "w", sample_rate, n_channels, subtype, format=file_format)


def _write_failure(path: Path, error: Exception) -> str:
    """Return the reason why samples could not be written.

    libsndfile reports a full disk as "System error." or as fewer samples than it was given, which
    soundfile asserts.
    """
    if getattr(error, "code", None) == _SYSTEM_ERROR or isinstance(error, AssertionError):
        free_mib = shutil.disk_usage(path.parent).free >> 20
        return (
            "its disk is full; free some space"
            if free_mib < 1
            else f"the system refused the data, though {free_mib} MiB are free on its disk; check "
            "quotas and limits of file size"
        )
    return str(getattr(error, "strerror", None) or getattr(error, "error_string", error)).strip(".")
