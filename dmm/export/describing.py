"""What ``bundle.json`` says of a checkpoint: how to generate with it, where it comes from."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..bundles.schema import (
    Bundle,
    Encoder,
    Latent,
    Licences,
    Origin,
    StoredFile,
    Tokenizer,
)
from ..checkpoints.architecture import read_architecture
from ..checkpoints.header import read_metadata
from ..checkpoints.published import PUBLISHED_BASES
from ..files import parse_json, read_json, write_text
from ..generation.loading import Lora
from ..generation.settings import GenerationSettings
from ..model_cards import card_licence, sha256_of
from .source import Source
from .writing import describe_file

UNKNOWN = "unknown"
MERGES, FORMAT = "tokenizer/merges.txt", "mel.json"


def describe_checkpoint(
    folder: Path,
    name: str,
    source: Source,
    prompts: Sequence[str],
    music: Sequence[str] = (),
) -> Bundle:
    """The description of a bundle without its parts; writes merges and mel format there."""
    pipeline, settings = source.pipeline, source.settings
    rows, columns = source.latent_size
    return Bundle(
        version=1,
        name=name,
        architecture=read_architecture(source.model).kind,
        parts={},
        tokenizer=_write_merges(folder, source),
        sampling=source.sampling,
        latent=Latent(
            channels=pipeline.unet.config.in_channels,
            rows=rows,
            columns=columns,
            factor=pipeline.vae_scale_factor,
            scaling_factor=pipeline.vae.config.scaling_factor,
            multiple=2 ** (len(pipeline.unet.config.block_out_channels) - 1),
        ),
        anchor=settings.anchor,
        stereo=settings.stereo,
        clip_skip=settings.clip_skip,
        format=_write_format(folder, settings),
        prompts=list(prompts),
        licences=_licences(source.model, source.loras, music),
        source=_origin(source.model, source.loras),
    )


def _write_merges(folder: Path, source: Source) -> Tokenizer:
    """CLIP's merges, as many as the model's vocabulary has, and each encoder's special ids."""
    ranks = source.tokenizers[0].bpe_ranks
    lines = ["#version: 0.2", *(" ".join(pair) for pair in sorted(ranks, key=ranks.get))]
    write_text(folder / MERGES, "\n".join(lines) + "\n")
    encoders = [
        Encoder(
            vocab_size=len(tokenizer),
            bos=tokenizer.bos_token_id,
            eos=tokenizer.eos_token_id,
            pad=tokenizer.pad_token_id,
            max_length=tokenizer.model_max_length,
        )
        for tokenizer in source.tokenizers
    ]
    return Tokenizer(merges=_stored_file(folder, MERGES), encoders=encoders)


def _write_format(folder: Path, settings: GenerationSettings) -> StoredFile:
    write_text(folder / FORMAT, settings.fmt.model_dump_json(indent=1) + "\n")
    return _stored_file(folder, FORMAT)


def _stored_file(folder: Path, file: str) -> StoredFile:
    return describe_file(folder / file).model_copy(update={"file": file})


def _licences(model: Path, loras: Sequence[Lora], music: Sequence[str]) -> Licences:
    """Licences from metadata, model card and RUN folders, and those in ``music``."""
    own = read_metadata(model)
    learnt = {lora.path: read_metadata(lora.path) for lora in loras}
    origins: dict[str, Any] = parse_json(own.get("dmm_fused") or "{}", f"{model}: dmm_fused")
    fused = [lora["metadata"] for lora in origins.get("loras", [])]
    published = PUBLISHED_BASES.get(sha256_of(model))
    stated = own.get("modelspec.license") or (published and published.licence)
    runs = [licence for path in learnt for licence in _run_licences(path)]
    return Licences(
        base=stated or card_licence(model) or UNKNOWN,
        loras=[found.get("modelspec.license", UNKNOWN) for found in (*fused, *learnt.values())],
        music=list(dict.fromkeys([*music, *runs])),
    )


def _run_licences(lora: Path) -> list[str]:
    """Licences of a LoRA's training music, from the run.json of its RUN folder."""
    path = lora.parent / "run.json"
    if not path.is_file():
        return []
    return list(read_json(path, finite=False).get("licences") or {})


def _origin(model: Path, loras: Sequence[Lora]) -> Origin:
    return Origin(
        checkpoint_sha256=sha256_of(model),
        loras=[
            {"file": lora.path.name, "sha256": sha256_of(lora.path), "weight": lora.weight}
            for lora in loras
        ],
        dmm_version=version("diffusion-minimidi"),
    )
