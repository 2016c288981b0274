"""The embedder ``laion-clap``: a .pt checkpoint run by the package of CLAP's authors.

Unless prevented, the package downloads three tokenisers and 500 MB of RoBERTa weights that the
checkpoint then replaces, unpickles any file, and changes ``sys.path``. This module prevents all of
it and uses the package's networks.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

import numpy as np
from jaxtyping import Float

from dmm.embedders import EmbedderConfig, Identity, backend
from dmm.errors import InputError, ModelError
from dmm.model_cards import sha256_of

from .clap import CODE_VERSION, Clap
from .clap_checkpoint import ClapSizes, clap_sizes_of, read_checkpoint
from .clap_folder import tokenize
from .roberta import find_and_load_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

RELEASED_FILE = "music_audioset_epoch_15_esc_90.14.pt"
"""Name of the authors' checkpoint for music, for messages."""


def load_laion_clap(weights: Path | None, config: EmbedderConfig) -> Clap:
    """Load a .pt checkpoint as an embedder.

    InputError without one, and for a precision other than fp32. ModelError if the package or the
    file is missing, damaged or unsafe, or if its tensors do not fit.
    """
    from dmm.devices import pick_device

    if weights is None:
        raise InputError(
            f"the laion-clap embedder needs a checkpoint; name one with --weights ({RELEASED_FILE})"
        )
    if config.precision != "fp32":
        raise InputError(
            f"--precision {config.precision}: laion-clap computes its spectrogram inside the "
            "network, which needs fp32; convert the checkpoint (dmm eval convert-clap) and use clap"
        )
    if find_spec("laion_clap") is None:
        raise ModelError(
            "the package laion-clap is not installed; run: uv sync --inexact --extra laion, or "
            "convert the checkpoint (dmm eval convert-clap) and use --embedder clap"
        )
    tensors = read_checkpoint(weights)
    device = pick_device(config.device)
    try:
        model = build_laion_clap(clap_sizes_of(tensors)).model
    except ModelError as error:
        raise ModelError(f"{weights}: {error}") from error
    tensors.pop("text_branch.embeddings.position_ids", None)  # not a weight; older files have it
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"{weights}: does not fit laion-clap's networks ({reason})") from error
    model.eval().requires_grad_(False).to(device)
    packages = backend("laion-clap", "torch", "transformers")
    identity = Identity(
        "laion-clap", sha256_of(weights), packages, config.protocol, config.precision, CODE_VERSION
    )
    encoder = LaionClapEncoder(model, weights, device)
    return Clap(encoder, identity, config, device, weights.absolute())


class LaionClapEncoder:
    """Encoders of windows and texts: the package's networks, and RoBERTa's tokeniser on demand."""

    def __init__(self, model: Any, weights: Path, device: str) -> None:
        self.model, self.weights, self.device = model, weights, device
        self.dim = int(model.joint_embed_shape)
        self.logit_scale = float(model.logit_scale_a.detach().exp())

    def encode_audio(self, batch: Sequence[Float[np.ndarray, "480000"]]) -> "Tensor":
        """Unit rows (windows, dim) of windows of 10 s at 48 kHz."""
        import torch

        return self.model.get_audio_embedding([{"waveform": torch.from_numpy(x)} for x in batch])

    def encode_text(self, texts: list[str]) -> "Tensor":
        """Unit rows (texts, dim); ModelError if the tokeniser's files are not found."""
        tokens = tokenize(self._tokenizer, texts)
        return self.model.get_text_embedding(
            {key: tokens[key].to(self.device) for key in ("input_ids", "attention_mask")}
        )

    @cached_property
    def _tokenizer(self) -> Any:
        return find_and_load_tokenizer(self.weights.parent)


def build_laion_clap(sizes: ClapSizes) -> Any:
    """Build the package's CLAP_Module with untrained weights and no tokeniser.

    ModelError for sizes that the package has no network for.
    """
    import torch

    name = sizes.audio_network_name
    with torch.random.fork_rng(devices=[]), _without_downloads(sizes), catch_warnings():
        simplefilter("ignore")  # its imports of timm and torch warn
        package = import_module("laion_clap")
        return package.CLAP_Module(enable_fusion=False, amodel=name, device="cpu")


@contextmanager
def _without_downloads(sizes: ClapSizes) -> Iterator[None]:
    """Within the block, importing and building the package downloads nothing.

    Tokenisers are replaced by None, RoBERTa by untrained weights; ``sys.path`` is restored.
    """
    import transformers
    from transformers.modeling_utils import no_init_weights

    config = transformers.RobertaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.text_width,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=sizes.text_heads,
        intermediate_size=sizes.text_inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )

    def untrained(*_: object, **__: object) -> Any:
        with no_init_weights():
            return transformers.RobertaModel(config)

    def nothing(*_: object, **__: object) -> None:
        return None

    path = list(sys.path)
    tokenisers = (
        transformers.BertTokenizer,
        transformers.BartTokenizer,
        transformers.RobertaTokenizer,
    )
    patches = [patch.object(x, "from_pretrained", nothing) for x in tokenisers]
    patches.append(patch.object(transformers.RobertaModel, "from_pretrained", untrained))
    try:
        for each in patches:
            each.start()
        yield
    finally:
        for each in patches:
            each.stop()
        sys.path[:] = path
