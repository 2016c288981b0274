"""Parts shared by our HTML pages: templates, embedded media, and the colour map."""

import base64
import io
from functools import cache
from pathlib import Path

import jinja2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

COLOUR_MAP = (
    (8, 7, 22),
    (54, 16, 92),
    (140, 34, 106),
    (222, 76, 74),
    (252, 163, 88),
    (252, 250, 214),
)
"""Colour map, evenly spaced from quiet to loud: night, violet, plum, coral, amber, cream."""


@cache
def template(path: Path, **filters: object) -> jinja2.Template:
    """A page's Jinja template: inserted values are escaped, and a missing one is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(path.name)


def data_uri(media_type: str, content: bytes) -> str:
    """A data URI that embeds the content."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def coloured_png(image: Image.Image, *, dark_is_loud: bool = False) -> bytes:
    """PNG of an image; grey levels get a colour palette, RGB stays as it is.

    With a palette the file has a third of RGB's size.
    """
    if image.mode == "L":
        palette, image = _palette(), image.copy()
        image.putpalette((palette[::-1] if dark_is_loud else palette).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _palette() -> UInt8[np.ndarray, "256 3"]:
    """``COLOUR_MAP`` interpolated to 256 levels."""
    stops, colours = np.linspace(0, 255, len(COLOUR_MAP)), np.array(COLOUR_MAP)
    mixed = [np.interp(np.arange(256), stops, colours[:, c]) for c in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)
