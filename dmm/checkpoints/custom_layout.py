"""Networks whose layout is in their checkpoint's metadata, because tensor names do not show it.

A student may leave the layout that sd-scripts trains: fewer groups, one ResNet a level, no middle
block, a VAE of another kind. Such a network's tensors keep diffusers' own names behind the usual
prefix, and the metadata hold its arguments as JSON: ``dmm_unet_config`` those of
UNet2DConditionModel, ``dmm_vae_config`` those of ``TinyVae``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..files import parse_json


@dataclass(frozen=True)
class CustomLayout:
    """The arguments of the networks that are not in the layout of their architecture, as JSON."""

    unet: str | None = None
    """Of UNet2DConditionModel; None where the UNet has the architecture's own layout."""
    vae: str | None = None
    """Of ``TinyVae``; None where the VAE is diffusers' AutoencoderKL."""

    def __bool__(self) -> bool:
        """Whether any network has a layout of its own."""
        return bool(self.unet or self.vae)

    @property
    def unet_config(self) -> dict[str, Any]:
        """The UNet's arguments; only where it has a layout of its own."""
        return parse_json(self.unet or "{}", "dmm_unet_config")

    @property
    def vae_config(self) -> dict[str, Any]:
        """The VAE's arguments; only where it has a layout of its own."""
        return parse_json(self.vae or "{}", "dmm_vae_config")

    @property
    def metadata(self) -> dict[str, str]:
        """These layouts' entries in the checkpoint's metadata."""
        found = {"dmm_unet_config": self.unet, "dmm_vae_config": self.vae}
        return {key: value for key, value in found.items() if value}


STANDARD = CustomLayout()
"""Every network has its architecture's own layout."""


def read_custom_layout(metadata: Mapping[str, str]) -> CustomLayout:
    """The layouts in a checkpoint's metadata; ValueError for one that is damaged."""
    found = [metadata.get(key) or None for key in ("dmm_unet_config", "dmm_vae_config")]
    try:
        for text in filter(None, found):
            parse_json(text, "its own layout")
    except InputError as error:
        raise ValueError(str(error)) from error
    return CustomLayout(*found)


def canonical_json(config: Mapping[str, Any]) -> str:
    """Arguments as the metadata hold them: the same text for the same arguments.

    >>> canonical_json({"b": 1, "a": [2]})
    '{"a": [2], "b": 1}'
    """
    return json.dumps(dict(config), sort_keys=True)
