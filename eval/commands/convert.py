"""``dmm eval convert-clap``: convert a laion-clap checkpoint to a safetensors folder."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[Path, typer.Argument(help="Checkpoint of laion-clap, a .pt file.")],
    out: Annotated[Path, typer.Argument(help="New folder, for --embedder clap --weights.")],
) -> None:
    """Convert a .pt checkpoint of laion-clap to a folder without pickle, for --embedder clap.

    Text needs RoBERTa's tokeniser: it is copied if vocab.json and merges.txt lie beside the file,
    or if roberta-base is in the Hub's cache. Embeddings agree to 1e-6.

    Example: dmm eval convert-clap music_audioset_epoch_15_esc_90.14.pt clap-music
    """
    from ..embedders.convert_clap import convert_clap

    if not convert_clap(file, out):
        print(
            f"no tokeniser found, so {out} embeds audio but no text; put roberta-base's "
            "tokenizer.json there",
            file=sys.stderr,
        )
    print(out)
