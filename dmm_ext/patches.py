"""Every function, class and constant of sd-scripts that we replace: where it stands, and why.

Methods that the engine offers as hooks are overridden in ``trainer.py``. Code without a hook is
replaced by the functions below, which refuse names that ``REPLACED`` does not list. A line is that
of the definition in the pinned commit, or of the call for methods that the engine does not define.

Values that are corrected without replacing anything: intervals (``intervals.py``), the number of
steps that are left (``steps.py``), lengths of the learning-rate schedule (``schedules.py``), the
pooled text projection (``trainer.py``), accumulation across epochs (``batches.py``),
hyperparameters of a loaded state (``resume.py``).
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch


class Source(NamedTuple):
    """Place of a replaced name in the engine, and the reason to replace it."""

    file: str
    line: int
    reason: str


UTIL, TRAINER = "library/train_util.py", "train_network.py"
SDXL_UNET, SDXL_LOADER = "library/sdxl_original_unet.py", "library/sdxl_model_util.py"
UNET, LOADER = "library/original_unet.py", "library/model_util.py"
SIZES = "full size is written into the loader; checkpoints may be narrower (any_width*.py)"
MEMORY = "it holds all weights twice, in single precision (light_loading.py)"
ORDER = "a resumed run must see the batches of an uninterrupted one (batches.py)"

REPLACED = {
    "train_util.get_huber_threshold_if_needed": Source(
        UTIL, 6110, "it varies over timesteps only, ours over training too (huber.py)"
    ),
    "train_util.resume_from_local_or_hf_if_specified": Source(
        UTIL, 4772, "it brings old learning rates back and miscounts the steps (resume.py)"
    ),
    "train_util.save_state_on_train_end": Source(
        UTIL, 5986, "the last state is saved with the last step, under its number"
    ),
    "train_util.DreamBoothDataset.process_caption": Source(
        UTIL, 821, "it strips the caption separator only while it shuffles (captions.py)"
    ),
    "train_util.DatasetGroup.__getitem__": Source(UTIL, 2583, ORDER),
    "train_util.DatasetGroup.set_current_epoch": Source(UTIL, 2674, ORDER),
    "train_util.DatasetGroup.set_current_step": Source(UTIL, 2678, ORDER),
    "accelerator.prepare": Source(TRAINER, 896, ORDER),
    "accelerator.print": Source(
        TRAINER, 1402, "after an early stop it announces every epoch that is left"
    ),
    "network.save_weights": Source(
        TRAINER, 1309, "the engine saves neither the average nor the best, under wrong step numbers"
    ),
    "sdxl_original_unet.IN_CHANNELS": Source(SDXL_UNET, 40, SIZES),
    "sdxl_original_unet.OUT_CHANNELS": Source(SDXL_UNET, 41, SIZES),
    "sdxl_original_unet.ADM_IN_CHANNELS": Source(SDXL_UNET, 42, SIZES),
    "sdxl_original_unet.CONTEXT_DIM": Source(SDXL_UNET, 43, SIZES),
    "sdxl_original_unet.MODEL_CHANNELS": Source(SDXL_UNET, 44, SIZES),
    "sdxl_original_unet.TIME_EMBED_DIM": Source(SDXL_UNET, 45, SIZES),
    "sdxl_original_unet.Transformer2DModel": Source(SDXL_UNET, 678, SIZES),
    "sdxl_model_util.CLIPTextConfig": Source(SDXL_LOADER, 6, SIZES),
    "sdxl_model_util.load_file": Source(SDXL_LOADER, 5, MEMORY),
    "sdxl_model_util._load_state_dict_on_device": Source(SDXL_LOADER, 148, MEMORY),
    "original_unet.BLOCK_OUT_CHANNELS": Source(UNET, 123, SIZES),
    "original_unet.TIMESTEP_INPUT_DIM": Source(UNET, 124, SIZES),
    "original_unet.TIME_EMBED_DIM": Source(UNET, 125, SIZES),
    "original_unet.IN_CHANNELS": Source(UNET, 126, SIZES),
    "original_unet.OUT_CHANNELS": Source(UNET, 127, SIZES),
    "model_util.CLIPTextConfig": Source(LOADER, 13, SIZES),
    "model_util.UNET_PARAMS_CONTEXT_DIM": Source(LOADER, 36, SIZES),
    "model_util.VAE_PARAMS_Z_CHANNELS": Source(LOADER, 40, SIZES),
    "model_util.VAE_PARAMS_CH": Source(LOADER, 44, SIZES),
    "model_util.VAE_PARAMS_CH_MULT": Source(LOADER, 45, SIZES),
    "model_util.VAE_PARAMS_NUM_RES_BLOCKS": Source(LOADER, 46, SIZES),
}
"""By name: ``module.name``, ``module.Class.method``, or ``object.method``."""


@contextmanager
def replaced(module: ModuleType, **values: Any) -> Iterator[None]:
    """Within the block, these names in a module of the engine have these values."""
    for name in values:
        _require_listed(f"{_short_name(module.__name__)}.{name}")
    with patch.multiple(module, **values):
        yield


def replace_class(instance: Any, ours: type) -> None:
    """Change an engine object's class, in place, to ``ours``, a subclass of its class."""
    theirs = type(instance)
    for name in (name for name in vars(ours) if callable(getattr(theirs, name, None))):
        _require_listed(f"{_short_name(theirs.__module__)}.{theirs.__name__}.{name}")
    instance.__class__ = ours


def replace_method(name: str, instance: Any, function: Callable[..., Any]) -> None:
    """Replace a method of one object; ``name`` is its entry in ``REPLACED``."""
    _require_listed(name)
    setattr(instance, _short_name(name), function)


@contextmanager
def changed_settings(args: argparse.Namespace, **values: Any) -> Iterator[None]:
    """Within the block, these settings of the run have these values."""
    with patch.multiple(args, **values):
        yield


def _require_listed(name: str) -> None:
    """AssertionError unless ``REPLACED`` lists the name."""
    assert name in REPLACED, f"{name} is replaced; list it in REPLACED with its place and reason"


def _short_name(dotted: str) -> str:
    return dotted.rpartition(".")[2]
