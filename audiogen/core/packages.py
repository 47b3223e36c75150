"""Optional packages: imported when needed, with an error that says how to install them."""

from __future__ import annotations

import importlib
from typing import Any

from audiogen.errors import MissingPackageError

DISTRIBUTION = "audiogen-synth"  # on the package index, where `audiogen` is another project


def install_hint(extra: str) -> str:
    """Return the command that installs an optional dependency.

    Examples
    --------
    >>> install_hint("plot")
    'pip install "audiogen-synth[plot]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def require_package(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Full name, such as ``"librosa"`` or ``"matplotlib.figure"``.
    extra : str
        Optional dependency of this distribution that installs the package.
    purpose : str
        Task that needs the package; the error message begins with it.

    Returns
    -------
    module

    Raises
    ------
    MissingPackageError
        If the module cannot be imported.

    Examples
    --------
    >>> require_package("no_such_package", "plot", "drawing a sound")
    Traceback (most recent call last):
    audiogen.errors.MissingPackageError: drawing a sound needs no_such_package, which isn't \
installed: pip install "audiogen-synth[plot]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name in (package, module)
        reason = "isn't installed" if missing else f"can't be imported ({error})"
        raise MissingPackageError(
            f"{purpose} needs {package}, which {reason}: {install_hint(extra)}"
        ) from error
