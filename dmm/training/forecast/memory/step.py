"""The settings that decide a training step's memory, and the record of a counted step."""

from dataclasses import dataclass
from math import prod

from ....checkpoints.architecture import Shapes
from ...facts import Facts
from ...rules.base import value_in_force
from ...rules.network import DEFAULT_RANK, network_args, parse_number
from ...run_settings import RunSettings

PRECISIONS = {"no": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""``mixed_precision`` to the name of torch's dtype."""
FP8 = "float8_e4m3fn"
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, FP8: 1}
CHUNK = 77
"""Tokens per CLIP input, start and end included."""


@dataclass(frozen=True)
class TrainingStep:
    """What decides the memory of a step's forward and backward pass, and of the VAE's passes."""

    shapes: Shapes
    width: int
    """Of the images, in pixels; like ``height``."""
    height: int
    batch: int
    rank: int
    conv_rank: int | None = None
    accumulates: bool = False
    """Whether gradients of an earlier micro-batch are kept."""
    checkpointing: bool = False
    stores_scores: bool = False
    """Whether attention is the plain one, which stores all scores."""
    trains_unet: bool = True
    trains_text: bool = False
    tokens: int = CHUNK
    compute: str = "float32"
    """The dtype of autocast; the other dtypes are those of stored weights."""
    unet_dtype: str = "float32"
    text_dtype: str = "float32"
    lora_dtype: str = "float32"
    vae_dtype: str = "float32"
    vae_batch: int = 1
    """Images per encoding batch."""


@dataclass(frozen=True)
class CountedStep:
    """Parameter counts of a step's networks, and peak bytes of its passes."""

    lora: tuple[tuple[tuple[int, ...], int], ...]
    """Shapes of the LoRA's matrices, each with the number of matrices."""
    lora_modules: int
    unet: int
    """Number of parameters; so are ``text`` and ``vae``."""
    text: int
    vae: int
    step: int
    """Peak bytes of activations and gradients."""
    encoding: int
    """Peak bytes of activations while the VAE encodes ``vae_batch`` images."""
    decoding: int
    """Peak bytes of activations while the VAE decodes one image."""

    @property
    def lora_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(prod(shape) * count for shape, count in self.lora)


def training_step(settings: RunSettings, facts: Facts, shapes: Shapes) -> TrainingStep:
    """The training step of a run; ``facts.dataset`` must be known."""
    width, height = image_size(facts)
    compute = PRECISIONS[settings["mixed_precision"]]
    fp8 = settings["fp8_base"] or settings["fp8_base_unet"]
    pure = settings["full_fp16"] or settings["full_bf16"]
    conv_rank = parse_number(network_args(settings).get("conv_dim"))
    return TrainingStep(
        shapes=shapes,
        width=width,
        height=height,
        batch=value_in_force(settings, facts, "train_batch_size"),
        rank=settings["network_dim"] or DEFAULT_RANK,
        conv_rank=int(conv_rank) if conv_rank else None,
        accumulates=settings["gradient_accumulation_steps"] > 1,
        checkpointing=settings["gradient_checkpointing"],
        stores_scores=not any(settings[key] for key in ("sdpa", "xformers", "mem_eff_attn")),
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
    """Width and height to which the engine resizes images, else those of the largest image.

    ValueError if the facts have neither.
    """
    data = facts.dataset
    if data is not None and data.resolution:
        return data.resolution
    if data is None or not data.sizes:
        raise ValueError("a forecast needs the images' size: facts of a dataset")
    return max(data.sizes, key=lambda size: size[0] * size[1])
