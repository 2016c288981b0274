"""Published checkpoints, recognised by their hashes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedBase:
    """A published checkpoint, recognised by its hash."""

    hub_id: str
    licence: str
    """The Hub's name for it."""


PUBLISHED_BASES = {
    "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b": PublishedBase(
        "stabilityai/stable-diffusion-xl-base-1.0", "openrail++"
    ),
    "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa": PublishedBase(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "creativeml-openrail-m"
    ),
}
"""By SHA-256: sd_xl_base_1.0.safetensors and v1-5-pruned-emaonly.safetensors, as published."""
