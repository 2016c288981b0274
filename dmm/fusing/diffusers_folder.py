"""Write a single-file checkpoint as a folder for ``DiffusionPipeline.from_pretrained``."""

import json
from pathlib import Path

from safetensors import SafetensorError

from ..checkpoints.header import read_metadata
from ..checkpoints.pipeline import load_pipeline
from ..checkpoints.tensorfile import main_dtype, open_tensors
from ..errors import DmmError
from ..files import output_lock, refuse_non_empty, whole_folder, write_text

METADATA = "dmm.json"
"""File for the checkpoint's metadata, which diffusers does not store."""


def write_diffusers_folder(checkpoint: Path, folder: Path) -> None:
    """Write networks, tokenisers and settings in the checkpoint's precision, all or nothing.

    The whole model is in memory. InputError if the folder is not empty or another command
    writes it, DmmError if it cannot be written.
    """
    with output_lock(folder):
        refuse_non_empty(folder)
        with open_tensors(checkpoint) as file:
            dtype = main_dtype(file)
        pipeline = load_pipeline(checkpoint, dtype).to(dtype)
        with whole_folder(folder) as part:
            try:
                pipeline.save_pretrained(part)
            except SafetensorError as error:
                raise DmmError(
                    f"{folder}: cannot be written ({error}); is the disk full?"
                ) from error
            write_text(part / METADATA, json.dumps(read_metadata(checkpoint), indent=2) + "\n")
