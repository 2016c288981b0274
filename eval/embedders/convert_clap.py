"""``dmm eval convert-clap``: convert a .pt file of laion-clap to a safetensors folder.

Tensors keep their values under transformers' names. Attention's query, key and value are one tensor
in laion-clap and three in transformers. Spectrogram filters and training-only layers are dropped.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmm.errors import ModelError
from dmm.files import whole_file

from .clap_checkpoint import ClapSizes, clap_sizes_of, read_checkpoint
from .roberta import find_roberta_tokenizer, load_tokenizer_from_folder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ClapConfig

LEFT_OUT = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\."  # features, labels
    r"|(audio|text)_transform\.|\.attn_mask$|\.position_ids$"
)
RENAMED = (
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^text_branch\.", "text_model."),
    (r"\.bn0\.", ".batch_norm."),
    (r"_projection\.0\.", "_projection.linear1."),
    (r"_projection\.2\.", "_projection.linear2."),
    (r"(blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
)
"""Patterns and replacements from laion-clap's names to transformers', applied in order."""


def convert_clap(file: Path, out: Path) -> bool:
    """Convert ``file`` into the new folder ``out``; returns whether a tokeniser was found.

    It is looked for beside the file and in the Hub's cache. ModelError if the file holds code, has
    unknown sizes or does not fit, or if ``out`` is not empty.
    """
    from safetensors.torch import save_file
    from transformers import ClapFeatureExtractor

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out}: a file, or a folder that is not empty; name a new folder")
    source = read_checkpoint(file)
    try:
        sizes = clap_sizes_of(source)
        _ = sizes.audio_network_name  # raises for unknown sizes
        config, tensors = transformers_config(sizes), transformers_tensors(source)
        complete_and_check(config, tensors)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    with whole_file(out / "model.safetensors") as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
    ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc").save_pretrained(out)
    tokenizer = find_roberta_tokenizer(file.parent)
    if tokenizer:
        load_tokenizer_from_folder(tokenizer).save_pretrained(out)
    config.save_pretrained(out)  # last, because without it the folder is no checkpoint
    return tokenizer is not None


def transformers_config(sizes: ClapSizes) -> "ClapConfig":
    """Transformers' configuration of the networks, with laion-clap's constants."""
    from transformers import ClapConfig

    audio = {
        "patch_embeds_hidden_size": sizes.width,
        "hidden_size": sizes.width * 2 ** (len(sizes.depths) - 1),
        "depths": list(sizes.depths),
        "num_hidden_layers": len(sizes.depths),
        "num_attention_heads": list(sizes.heads),
        "projection_dim": sizes.joint,
        "projection_hidden_act": "relu",
        "enable_fusion": False,
    }
    text = {
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.text_width,
        "num_hidden_layers": sizes.text_layers,
        "num_attention_heads": sizes.text_heads,
        "intermediate_size": sizes.text_inner,
        "max_position_embeddings": sizes.positions,
        "projection_dim": sizes.joint,
        "projection_hidden_act": "relu",
        "layer_norm_eps": 1e-5,  # RoBERTa's; transformers' default for CLAP differs
    }
    return ClapConfig(
        audio_config=audio,
        text_config=text,
        projection_dim=sizes.joint,
        hidden_size=sizes.text_width,
        projection_hidden_act="relu",
    )


def transformers_tensors(source: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Copies of the tensors under transformers' names; ModelError if two names are equal."""
    found: dict[str, Tensor] = {}
    for name, tensor in source.items():
        if LEFT_OUT.search(name):
            continue
        parts = _split_qkv(_transformers_name(name), tensor)
        if clash := parts.keys() & found.keys():
            raise ModelError(f"two tensors would be called {min(clash)}")
        found |= {key: part.detach().clone() for key, part in parts.items()}
    return found


def complete_and_check(config: "ClapConfig", tensors: dict[str, "Tensor"]) -> None:
    """Add position and token type ids to ``tensors``; then compare them with the model's.

    ModelError names the first tensor that is missing, unknown or of another shape.
    """
    import torch
    from transformers import ClapModel

    with torch.device("meta"):
        wanted = ClapModel(config).state_dict()
    embeddings = "text_model.embeddings."
    positions = config.text_config.max_position_embeddings
    for name, value in (
        ("position_ids", torch.arange(positions)[None]),
        ("token_type_ids", torch.zeros(1, positions, dtype=torch.long)),
    ):
        if embeddings + name in wanted:
            tensors[embeddings + name] = value
    for word, names in (("missing", wanted.keys() - tensors), ("unknown", tensors.keys() - wanted)):
        if names:
            raise ModelError(f"{len(names)} tensors are {word}, the first {min(names)}")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
            raise ModelError(f"{name} is of shape {shapes}")


def _transformers_name(name: str) -> str:
    """Name of a laion-clap tensor in transformers."""
    for pattern, new in RENAMED:
        name = re.sub(pattern, new, name)
    return name


def _split_qkv(name: str, tensor: Any) -> dict[str, Any]:
    """Name to tensor: the given one, or query, key and value if it is a QKV tensor."""
    if ".qkv." not in name:
        return {name: tensor}
    parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
    return {name.replace(".qkv.", f".{part}."): weight for part, weight in parts}
