"""Whether training multiplies in bfloat16."""

from __future__ import annotations

from audiogen.core import backend as _native


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 (AVX-512 BF16, AMX), as the compiled module knows.

    Where it can't, torch's products in bfloat16 take 5 to 40 times as long as those in float32.
    Without the module nobody knows, and the answer is no.
    """
    module = _native.find()
    return module is not None and "avx512_bf16" in module.available_isas()
