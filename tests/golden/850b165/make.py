"""Make the files of this folder with the code of commit 850b165, whose names it uses.

``git archive 850b165 | tar -x -C OLD; cd OLD; PYTHONPATH=. python make.py FOLDER``
"""

import contextlib
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch

SR = 22050


def tone(hz: float) -> np.ndarray:
    """A quarter of a second of a sine with two overtones, mono."""
    t = np.arange(SR // 4) / SR
    return 0.3 * sum(np.sin(2 * math.pi * k * hz * t) / k for k in (1, 2, 3))


def reference_and_cache(out: Path) -> None:
    """``dmm eval stats`` of eight tones by nano-clap, and what the cache keeps of the first."""
    from dmm.embedders import load_embedder
    from eval.cautions import facts_of
    from eval.reference_file import write_statistics
    from eval.sets import open_reference

    real = out / "real"
    real.mkdir()
    for hz in (220, 247, 262, 294, 330, 349, 392, 440):
        soundfile.write(real / f"{hz}.flac", tone(hz), SR)
    os.environ["DMM_CACHE"] = str(out / "all")
    embedder = load_embedder("nano-clap")
    clips = open_reference(real, embedder)
    write_statistics(out / "reference.safetensors", clips, embedder)
    facts_of(clips.clips.files[0], clips.clips.sha256[0])
    for path in sorted((out / "all").rglob(f"{clips.clips.sha256[0]}.*")):
        kept = out / "cache" / path.relative_to(out / "all")
        kept.parent.mkdir(parents=True)
        path.rename(kept)
    shutil.copy(real / "220.flac", out / "tone.flac")
    for folder in (real, out / "all"):
        shutil.rmtree(folder)


def training_state(out: Path) -> dict[str, object]:
    """A line whose fit was interrupted after three of six steps, and the weights of all six."""
    import dmm.distill.loop as loop
    from dmm.distill.state import fingerprint

    loop.SAVE_EVERY_S = -1  # after every step
    for calls, state in ((3, out / "line.pt"), (6, out / "whole.pt")):
        torch.manual_seed(0)
        line, budget = torch.nn.Linear(3, 1), iter(range(calls))
        start = fingerprint(line, "data")

        def loss(generator: torch.Generator, line=line, budget=budget) -> torch.Tensor:
            if next(budget, None) is None:
                raise KeyboardInterrupt
            inputs = torch.randn(8, 3, generator=generator)
            return (line(inputs) - inputs.sum(1, keepdim=True)).square().mean()

        schedule = loop.Schedule(6, 8, 1e-2, warmup=2, ema_decay=0.9)
        with contextlib.suppress(KeyboardInterrupt):
            whole = loop.fit("line", line, loss, schedule, state, 0, data="tones")
    (out / "whole.pt").unlink()
    return {"fingerprint": start, "weight": whole.weight.tolist()}


def hearing(out: Path) -> dict[str, object]:
    """What the shipped nano-clap gives for the tone and a caption."""
    from eval.embedders.nano_clap import load_nano_clap
    from eval.listening.judges import likeliest, load_judges

    nano = load_nano_clap()
    (heard,) = load_judges().hear([out / "tone.flac"])
    return {
        "version": nano.version,
        "audio": nano.embed([out / "tone.flac"])[0].tolist(),
        "text": nano.embed_text(["piano, slow"])[0].tolist(),
        "key": likeliest(heard.key),
        "instruments": heard.instruments,
    }


def rendered_blocks(out: Path) -> None:
    """Blocks of clips that ``dmm bench train-listener`` and ``train-vocals`` keep."""
    from bench.listener_data import heard_clips
    from bench.listener_pieces import base_piece
    from bench.vocals_data import vocal_windows

    heard_clips(out / "listener", base_piece, 0, 1)
    vocal_windows(out / "vocals", 0, 1)


def main() -> None:
    """Write everything into the folder."""
    out = Path(sys.argv[1])
    reference_and_cache(out)
    expected = {"state": training_state(out), "nano-clap": hearing(out)}
    rendered_blocks(out)
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
