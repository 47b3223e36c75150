"""Pictures of the studies, with few colours."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

IMAGES = Path(__file__).parents[1] / "images"


def save(figure: Figure, name: str) -> None:
    """Write a picture of 64 colours into docs/images/."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
