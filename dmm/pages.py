"""What every page of ours needs: its template, sound and pictures inside, one set of colours."""

import base64
import io
from functools import cache
from pathlib import Path

import jinja2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

INK = ((8, 7, 22), (54, 16, 92), (140, 34, 106), (222, 76, 74), (252, 163, 88), (252, 250, 214))
"""Colours of rising level, evenly spaced: night, violet, plum, coral, amber, cream."""


@cache
def template(path: Path, **filters: object) -> jinja2.Template:
    """A page's template: everything put into it is escaped, and a missing value is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(path.name)


def data_uri(kind: str, content: bytes) -> str:
    """Content that lies in the page itself; ``kind`` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def coloured_png(picture: Image.Image, *, dark_is_loud: bool = False) -> bytes:
    """PNG of a picture, its grey levels in colour: a palette costs a third of what RGB would."""
    if picture.mode == "L":
        palette = _palette()
        picture.putpalette((palette[::-1] if dark_is_loud else palette).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _palette() -> UInt8[np.ndarray, "256 3"]:
    stops, colours = np.linspace(0, 255, len(INK)), np.array(INK)
    mixed = [np.interp(np.arange(256), stops, colours[:, c]) for c in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)
