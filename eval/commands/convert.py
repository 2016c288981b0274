"""``dmm eval convert-clap``."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[Path, typer.Argument(help="A .pt checkpoint of laion-clap.")],
    out: Annotated[Path, typer.Argument(help="New folder for --embedder clap --weights.")],
) -> None:
    """Turn a .pt checkpoint of laion-clap into a folder that needs neither pickle nor package.

    Words need RoBERTa's tokeniser: it is taken along if vocab.json and merges.txt lie beside the
    file, or if roberta-base is in the Hub's cache. The embeddings are equal to 1e-6.

    Example: dmm eval convert-clap music_audioset_epoch_15_esc_90.14.pt clap-music
    """
    from ..embedders.convert_clap import convert_clap

    if not convert_clap(file, out):
        print(
            f"no tokeniser found, so {out} hears but does not read; put roberta-base's "
            "tokenizer.json there",
            file=sys.stderr,
        )
    print(out)
