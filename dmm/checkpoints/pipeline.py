"""Load an SD 1.5 or SDXL checkpoint of any width as a diffusers pipeline.

diffusers' single-file loader reads sizes from configuration files. These are written from the
checkpoint's own header, so that nano, SD 1.5 and SDXL 1.0 load in the same way, without the Hub's.
The UNet, three quarters of SDXL's file, is read here, one tensor at a time.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from .architecture import Shapes, prediction_type, read_architecture
from .custom_tensors import load_custom_tensors
from .networks import build_unet, build_vae
from .sd15_shapes import Sd15Shapes
from .sdxl_layout import unet_tensors
from .tensorfile import open_tensors
from .tokenizers import load_tokenizers

SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
"""The noise schedule of SD 1.5 and SDXL 1.0."""
_SETTINGS = {
    "StableDiffusionPipeline": {"requires_safety_checker": False},
    "StableDiffusionXLPipeline": {"force_zeros_for_empty_prompt": False, "add_watermarker": False},
}


def load_pipeline(checkpoint: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Load a StableDiffusion(XL)Pipeline on the CPU: all networks but the VAE in ``dtype``.

    The VAE is in float32, because SDXL's overflows in half precision. CLIP's tokenisers are fetched
    from the Hub once if they can be. ModelError, in one line, if the file is of another kind or
    lacks a tensor.
    """
    import diffusers

    shapes = read_architecture(checkpoint)
    names = (_tokenizer_name(name) for name in shapes.text_configs())
    tokenizers = dict(zip(names, load_tokenizers(shapes.vocab_size), strict=False))
    with tempfile.TemporaryDirectory() as folder, without_diffusers_messages():
        write_configs(Path(folder), shapes, prediction_type(checkpoint))
        source = {"config": folder, "local_files_only": True}
        networks = {"vae": _load_vae_with_configs(checkpoint, shapes, folder)}
        if shapes.custom.unet:
            networks["unet"] = _load_custom_network("unet", build_unet(shapes), checkpoint).to(
                dtype
            )
        else:
            with suppress(ModelError):  # diffusers reads weights of 8 bits, or says what is missing
                networks["unet"] = _load_unet(checkpoint, shapes, dtype)
        with _one_line_errors(checkpoint, shapes):
            pipeline = getattr(diffusers, shapes.pipeline).from_single_file(
                str(checkpoint), torch_dtype=dtype, **networks, **source, **tokenizers
            )
    for part in ("unet", "vae", *shapes.text_configs()):
        for name, tensor in getattr(pipeline, part).named_parameters():
            if tensor.is_meta:  # not found in the file
                raise ModelError(f"{checkpoint}: {shapes.name}, but without {part}.{name}")
    return pipeline


def load_vae(checkpoint: Path) -> Any:
    """The VAE alone, in full precision on the CPU; ModelError as ``load_pipeline``."""
    shapes = read_architecture(checkpoint)
    with tempfile.TemporaryDirectory() as folder, without_diffusers_messages():
        write_configs(Path(folder), shapes, prediction_type(checkpoint))
        return _load_vae_with_configs(checkpoint, shapes, folder)


def _load_vae_with_configs(checkpoint: Path, shapes: Shapes, configs: str) -> Any:
    if shapes.custom.vae:
        return _load_custom_network("vae", build_vae(shapes), checkpoint)
    from diffusers import AutoencoderKL

    with _one_line_errors(checkpoint, shapes):
        return AutoencoderKL.from_single_file(
            str(checkpoint), config=configs, local_files_only=True, subfolder="vae",
            torch_dtype=torch.float32,
        )  # fmt: skip


def _load_unet(checkpoint: Path, shapes: Shapes, dtype: torch.dtype) -> Any:
    """The UNet, read one tensor at a time: diffusers' loader has the file in memory beside it."""
    with torch.device("meta"):
        unet = build_unet(shapes)
    names = unet_tensors(unet, (0,) if isinstance(shapes, Sd15Shapes) else ())
    with _one_line_errors(checkpoint, shapes), open_tensors(checkpoint) as file:
        own_names = zip(unet.state_dict(), names, strict=True)
        tensors = {key: file.read(name).to(dtype) for key, name in own_names}
        unet.load_state_dict(tensors, assign=True)
    return unet.eval()


def _load_custom_network(part: str, network: Any, checkpoint: Path) -> Any:
    """A network with a layout of its own, which diffusers' single-file loader does not know."""
    load_custom_tensors(part, network, checkpoint)
    return network.eval()


@contextmanager
def _one_line_errors(checkpoint: Path, shapes: Shapes) -> Iterator[None]:
    """Raise the errors of diffusers' loader as ModelError, in one line."""
    try:
        yield
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ModelError(f"{checkpoint}: does not load as {shapes.name} ({reason})") from error


@contextmanager
def without_diffusers_messages() -> Iterator[None]:
    """Run a block without diffusers' progress bars and warnings.

    diffusers warns, for example, about a LoRA without text encoder keys, although that is valid.
    """
    from diffusers.utils import logging

    had_bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()


def write_configs(folder: Path, shapes: Shapes, prediction: str) -> None:
    """Write model_index.json and the config files of a diffusers model.

    Without tokenisers, and without a VAE that diffusers does not know.
    """
    parts = {
        "unet": {"_class_name": "UNet2DConditionModel", **shapes.unet_config()},
        "scheduler": {**SCHEDULER, "prediction_type": prediction},
    }
    if not shapes.custom.vae:
        parts["vae"] = {"_class_name": "AutoencoderKL", **shapes.vae_config()}
    index: dict[str, Any] = {
        part: ["diffusers", config["_class_name"]] for part, config in parts.items()
    }
    for part, config in shapes.text_configs().items():
        parts[part] = {"model_type": "clip_text_model", **config}
        index[part] = ["transformers", config["architectures"][0]]
        index[_tokenizer_name(part)] = ["transformers", "CLIPTokenizer"]
    for part, config in parts.items():
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part).mkdir()
        (folder / part / name).write_text(json.dumps(config))
    settings = {"_class_name": shapes.pipeline, **_SETTINGS[shapes.pipeline]}
    (folder / "model_index.json").write_text(json.dumps(settings | index))


def _tokenizer_name(text_encoder: str) -> str:
    return text_encoder.replace("text_encoder", "tokenizer")
