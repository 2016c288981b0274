"""Write ``models/nano-clap/domain.safetensors``: where nano-clap's training clips lie in its space.

``python -m bench.listener.domain`` embeds 300 pieces with training seeds. ``eval.domain`` compares
real clips with them.
"""

import numpy as np
from safetensors.numpy import save_file

from dataset_tools.sources.minimidi.render import render
from dmm.files import whole_file
from dmm.registry import load_text_embedder
from eval.domain import DOMAIN, WEIGHTS_KEY
from eval.listening.spectrograms import SR

from .pieces import TRAIN_SEED, training_piece

PIECES = 300


def main() -> None:
    """Render, embed, and write the rows in half precision."""
    embedder = load_text_embedder("nano-clap")
    pieces = (training_piece(TRAIN_SEED + number)[0] for number in range(PIECES))
    rows = [embedder.embed_sounds(render(piece, SR).mean(0)[None], SR)[0] for piece in pieces]
    metadata = {WEIGHTS_KEY: str(embedder.identity.weights_sha256)}
    with whole_file(DOMAIN) as partial:
        save_file({"rows": np.stack(rows).astype(np.float16)}, partial, metadata)


if __name__ == "__main__":
    main()
