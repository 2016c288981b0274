"""A training step as far as its memory goes: the settings that decide it, and what is measured."""

from dataclasses import dataclass
from math import prod

from ....checkpoints.architecture import Shapes
from ...facts import Facts
from ...presets import Resolved
from ...rules.base import in_force
from ...rules.network import ENGINES_RANK, network_args, number

PRECISIONS = {"no": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""``mixed_precision`` to the dtype it computes in, by torch's name."""
FP8 = "float8_e4m3fn"
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, FP8: 1}
CHUNK = 77
"""Tokens that CLIP reads at once, start and end included."""


@dataclass(frozen=True)
class Step:
    """A training step as far as its memory goes."""

    shapes: Shapes
    width: int
    """Of the images, in pixels; so is ``height``."""
    height: int
    batch: int
    rank: int
    conv_rank: int | None = None
    accumulates: bool = False
    """Whether gradients of an earlier micro-batch are kept meanwhile."""
    checkpointing: bool = False
    keeps_scores: bool = False
    """Whether attention is the plain one, which keeps every score."""
    trains_unet: bool = True
    trains_text: bool = False
    tokens: int = CHUNK
    compute: str = "float32"
    """The dtype that autocast computes in; the other dtypes are those of weights at rest."""
    unet_dtype: str = "float32"
    text_dtype: str = "float32"
    lora_dtype: str = "float32"
    vae_dtype: str = "float32"
    vae_batch: int = 1
    """Images that are encoded at once."""


@dataclass(frozen=True)
class Measured:
    """What a step's networks and its way forward and back come to; counts and bytes."""

    lora: tuple[tuple[tuple[int, ...], int], ...]
    """Shapes of the LoRA's matrices, and how many have each."""
    lora_modules: int
    unet: int
    """Parameters."""
    text: int
    vae: int
    step: int
    """Most bytes of activations and gradients at once."""
    encoding: int
    """Most bytes of activations while the VAE encodes ``vae_batch`` images."""
    decoding: int
    """The same while it decodes one."""

    @property
    def lora_parameters(self) -> int:
        """Trained numbers."""
        return sum(prod(shape) * count for shape, count in self.lora)


def step_of(settings: Resolved, facts: Facts, shapes: Shapes) -> Step:
    """The training step that settings and a dataset ask for; ``facts.dataset`` must be known."""
    width, height = image_size(facts)
    compute = PRECISIONS[settings["mixed_precision"]]
    fp8 = settings["fp8_base"] or settings["fp8_base_unet"]
    pure = settings["full_fp16"] or settings["full_bf16"]
    conv_rank = number(network_args(settings).get("conv_dim"))
    return Step(
        shapes=shapes,
        width=width,
        height=height,
        batch=in_force(settings, facts, "train_batch_size"),
        rank=settings["network_dim"] or ENGINES_RANK,
        conv_rank=int(conv_rank) if conv_rank else None,
        accumulates=settings["gradient_accumulation_steps"] > 1,
        checkpointing=settings["gradient_checkpointing"],
        keeps_scores=not any(settings[key] for key in ("sdpa", "xformers", "mem_eff_attn")),
        trains_unet=not settings["network_train_text_encoder_only"],
        trains_text=not settings["network_train_unet_only"],
        tokens=int(settings["max_token_length"] or CHUNK - 2) + 2,
        compute=compute,
        unet_dtype=FP8 if fp8 else compute,
        text_dtype=FP8 if fp8 and not settings["fp8_base_unet"] else compute,
        lora_dtype=compute if pure else "float32",
        vae_dtype="float32" if settings["no_half_vae"] else compute,
        vae_batch=settings["vae_batch_size"] or 1,
    )


def image_size(facts: Facts) -> tuple[int, int]:
    """Width and height that the engine makes of images; the largest if it leaves them as they are.

    ValueError if the facts tell neither.
    """
    data = facts.dataset
    if data is not None and data.resolution:
        return data.resolution
    if data is None or not data.sizes:
        raise ValueError("a forecast needs the images' size: facts of a dataset")
    return max(data.sizes, key=lambda size: size[0] * size[1])
