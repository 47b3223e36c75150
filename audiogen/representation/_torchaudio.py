"""torchaudio's Python part, also where its compiled part doesn't load beside the torch installed.

torchaudio is built against one torch and refuses, with an OSError at import, to be used with
another; `functional` and `transforms` are plain Python on torch and need nothing of that part.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

from audiogen.errors import MissingPackageError


@lru_cache(maxsize=1)
def find() -> Any:
    """The module ``torchaudio``, with ``functional`` and ``transforms``.

    Raises
    ------
    MissingPackageError
        If torchaudio isn't installed.

    Examples
    --------
    >>> find().functional.gain([1.0], 0.0)
    [1.0]
    """
    try:
        try:
            import torchaudio
        except OSError:
            sys.modules["torchaudio._extension"] = _without_compiled_part()
            import torchaudio
    except ImportError as error:
        raise MissingPackageError(
            f"torchaudio can't be imported ({error}); training's reports need it:"
            " pip install torchaudio"
        ) from error
    return torchaudio


def _without_compiled_part() -> ModuleType:
    """What torchaudio's own `_extension` is where it was built without compiled parts."""
    module = ModuleType("torchaudio._extension")
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
    )
    return module
