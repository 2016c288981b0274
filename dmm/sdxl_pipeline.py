"""An SDXL-architecture checkpoint of any width as a diffusers pipeline, without the Hub.

diffusers' single-file loader takes its sizes from configuration files; they are written from
the checkpoint's own header, so nano and SDXL 1.0 load by the same call.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from .sdxl_shapes import SdxlShapes, read_metadata, read_shapes
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
"""SDXL 1.0's noise schedule."""


def prediction_type(checkpoint: Path) -> str:
    """``v_prediction`` if the file's ModelSpec metadata says so, else ``epsilon``."""
    is_v = read_metadata(checkpoint).get("modelspec.prediction_type") in ("v", "v_prediction")
    return "v_prediction" if is_v else "epsilon"


def load_pipeline(checkpoint: Path, dtype: torch.dtype = torch.float32) -> Any:
    """StableDiffusionXLPipeline on the CPU; ModelError if the file is not an SDXL checkpoint."""
    from diffusers import StableDiffusionXLPipeline

    shapes = read_shapes(checkpoint)
    first, second = load_tokenizers(shapes.te1.vocab_size)
    with tempfile.TemporaryDirectory() as folder:
        write_configs(Path(folder), shapes, prediction_type(checkpoint))
        return StableDiffusionXLPipeline.from_single_file(
            str(checkpoint),
            config=folder,
            tokenizer=first,
            tokenizer_2=second,
            torch_dtype=dtype,
            local_files_only=True,
            add_watermarker=False,
        )


def write_configs(folder: Path, shapes: SdxlShapes, prediction: str) -> None:
    """Write the configuration tree that diffusers expects beside SDXL weights."""
    transformers_class = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"}
    parts = {
        "unet": {"_class_name": "UNet2DConditionModel", **shapes.unet_config()},
        "vae": {"_class_name": "AutoencoderKL", **shapes.vae_config()},
        "text_encoder": {**transformers_class, **shapes.te1.config(hidden_act="quick_gelu")},
        "text_encoder_2": {
            **transformers_class,
            "architectures": ["CLIPTextModelWithProjection"],
            **shapes.te2.config(hidden_act="gelu"),
        },
        "scheduler": {**SCHEDULER, "prediction_type": prediction},
    }
    for part, config in parts.items():
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        (folder / part).mkdir()
        (folder / part / name).write_text(json.dumps(config))
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "force_zeros_for_empty_prompt": False,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
