"""Load SDXL into sd-scripts one tensor at a time, in the precision that is trained with.

The engine keeps the whole file in memory and builds all networks in single precision beside it:
20.8 GB for SDXL 1.0 in half precision, of which the training then uses 7. Here a tensor of the UNet
is read when it is needed, converted and let go. The weights are the same bits: half precision is
exact in single precision, and the engine converts to the same type before the first step.
"""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_module_tensor_to_device
from library import sdxl_model_util
from library.sdxl_original_unet import SdxlUNet2DConditionModel
from torch import Tensor
from transformers import CLIPPreTrainedModel

from dmm.checkpoints.network_shapes import UNET
from dmm.checkpoints.tensorfile import TensorFile, open_tensors
from dmm.errors import ModelError

from .patches import replaced


@dataclass(frozen=True)
class UnreadTensor:
    """A tensor that is still in its file."""

    file: TensorFile
    name: str

    def read(self) -> Tensor:
        """Read it into new memory."""
        return self.file.read(self.name)


@contextmanager
def light_loading(args: argparse.Namespace, weight_dtype: torch.dtype) -> Iterator[None]:
    """Within the block sd-scripts loads this run's SDXL checkpoint one UNet tensor at a time."""
    dtypes = _network_dtypes(args, weight_dtype)

    def load_state_dict(model: Any, tensors: Any, device: Any, dtype: Any = None) -> str:
        own = next((d for kind, d in dtypes.items() if isinstance(model, kind)), torch.float32)
        return _load_network(model, tensors, device, dtype or own)

    with ExitStack() as opened:
        with suppress(ModelError):  # weights of 8 bits are loaded in the engine's own way
            file = opened.enter_context(open_tensors(Path(args.pretrained_model_name_or_path)))
            ours = {
                "load_file": lambda *_, **__: _tensors_with_unread_unet(file),
                "_load_state_dict_on_device": load_state_dict,
            }
            opened.enter_context(replaced(sdxl_model_util, **ours))
        yield


def _network_dtypes(args: argparse.Namespace, weight_dtype: torch.dtype) -> dict[type, Any]:
    """Type in which each kind of network is kept; None is the file's.

    Weights that the engine changes before its conversion to ``weight_dtype`` stay in float32.
    """
    unet: torch.dtype | None = weight_dtype
    if args.fp8_base or args.fp8_base_unet:
        unet = None  # rounded once, as the engine rounds it
    if args.base_weights:
        unet = torch.float32
    text = torch.float32 if args.base_weights else weight_dtype
    return {SdxlUNet2DConditionModel: unet, CLIPPreTrainedModel: text}


def _tensors_with_unread_unet(file: TensorFile) -> dict[str, Any]:
    """The checkpoint as the engine expects it, with the UNet's tensors unread."""
    return {
        name: UnreadTensor(file, name) if name.startswith(UNET) else file.read(name)
        for name in file.specs
    }


def _load_network(
    model: Any, tensors: dict[str, Any], device: Any, dtype: torch.dtype | None
) -> str:
    """Load a network on the meta device and empty ``tensors``; RuntimeError if names differ."""
    expected = model.state_dict().keys()
    if missing := sorted(expected - tensors.keys()):
        raise RuntimeError(f"{type(model).__name__}: the checkpoint lacks {missing[0]}")
    if unexpected := sorted(tensors.keys() - expected):
        raise RuntimeError(f"{type(model).__name__}: the checkpoint's {unexpected[0]} is unknown")
    for name in list(tensors):
        value = _pop_and_read(tensors, name)
        own = value.dtype if dtype is None or not value.is_floating_point() else dtype
        set_module_tensor_to_device(model, name, device, value=value, dtype=own)
    return "<All keys matched successfully>"


def _pop_and_read(tensors: dict[str, Any], name: str) -> Tensor:
    """Remove a tensor from the dictionary and read it, so that nothing else holds it."""
    value = tensors.pop(name)
    return value.read() if isinstance(value, UnreadTensor) else value


def release_weights(networks: Iterable[Any]) -> None:
    """Free the memory of unused networks that the engine still holds, by moving them to meta."""
    for network in networks:
        network.to("meta")
