"""Output streams of PortAudio whose callback is a native function.

The library is the one that `sounddevice` has loaded, called through its declarations. PortAudio
calls the function on its audio thread, which never enters the interpreter. Linking PortAudio to the
compiled module instead would make it a requirement of installations that play nothing.
"""

from __future__ import annotations

from typing import Any


class NativeStream:
    """An output stream of float32 samples, filled by a native callback.

    Parameters
    ----------
    portaudio : module
        The package `sounddevice`.
    output : CardOutput of `audiogen._native`
        Object with the callback; it must not move in memory while the stream is open.
    device : int
        PortAudio's index of the sound card.
    n_channels : int
        Channels of the card.
    sample_rate : int, Hz
        Rate of the stream.
    block : int, samples
        Block size; 0 lets the card choose.

    Raises
    ------
    sounddevice.PortAudioError
        If the card refuses the stream; also raised by `start`.
    """

    def __init__(
        self,
        portaudio: Any,
        output: Any,
        device: int,
        n_channels: int,
        sample_rate: int,
        block: int,
    ):
        self._portaudio, self._output = portaudio, output
        ffi, library = portaudio._ffi, portaudio._lib
        latency = portaudio.query_devices()[device]["default_low_output_latency"]
        parameters = ffi.new(
            "PaStreamParameters *",
            (device, n_channels, library.paFloat32, latency, ffi.NULL),
        )
        place = ffi.new("PaStream **")
        self._check(
            library.Pa_OpenStream(
                place,
                ffi.NULL,
                parameters,
                float(sample_rate),
                block,
                library.paNoFlag,
                ffi.cast("PaStreamCallback *", output.callback),
                ffi.cast("void *", output.user_data),
            )
        )
        self._stream = place[0]
        _OPEN.add(self)
        self.latency = float(library.Pa_GetStreamInfo(self._stream).outputLatency)  # s

    def start(self) -> None:
        """Start the callbacks."""
        self._check(self._portaudio._lib.Pa_StartStream(self._stream))

    def close(self) -> None:
        """Stop the callbacks and close the stream; waits until the last one has returned."""
        self._portaudio._lib.Pa_CloseStream(self._stream)
        _OPEN.discard(self)

    def _check(self, code: int) -> None:
        if code == 0:
            return
        text = self._portaudio._lib.Pa_GetErrorText(code)
        raise self._portaudio.PortAudioError(self._portaudio._ffi.string(text).decode(), code)


# Open streams, with the outputs that PortAudio calls whether or not anybody else holds them.
_OPEN: set[NativeStream] = set()
