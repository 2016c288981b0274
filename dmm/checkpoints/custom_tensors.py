"""Tensors of networks with a layout of their own, in a single-file checkpoint."""

from pathlib import Path

from torch import Tensor, nn

from ..errors import ModelError
from .network_shapes import UNET, VAE
from .tensorfile import open_tensors

PREFIXES = {"unet": UNET, "vae": VAE}
"""A network's name in a pipeline to the prefix of its tensors' names."""


def custom_tensors(part: str, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network, ``unet`` or ``vae``, as a file with its own layout names them."""
    return {PREFIXES[part] + key: tensor for key, tensor in network.state_dict().items()}


def load_custom_tensors(part: str, network: nn.Module, checkpoint: Path) -> None:
    """Read a network's tensors from such a file; ModelError, in one line, if one is missing."""
    prefix = PREFIXES[part]
    with open_tensors(checkpoint) as file:
        names = [name for name in file.specs if name.startswith(prefix)]
        state = {name.removeprefix(prefix): file.read(name) for name in names}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{checkpoint}: its {part} is not what its metadata say ({reason})"
        ) from error
