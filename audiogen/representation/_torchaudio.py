"""Imports torchaudio's Python part, also where its compiled part cannot be loaded.

torchaudio is built for one version of torch and raises OSError when it is imported beside another.
`functional` and `transforms` are plain Python on torch and do not need the compiled part.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

from audiogen.errors import MissingPackageError


@lru_cache(maxsize=1)
def find() -> Any:
    """Return the module ``torchaudio``, with ``functional`` and ``transforms``.

    Raises
    ------
    MissingPackageError
        If torchaudio is not installed.

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
    """Make the `_extension` module of a torchaudio that was built without compiled parts."""
    module = ModuleType("torchaudio._extension")
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
    )
    return module
