"""How well the listener hears pieces whose truth is known: ``dmm bench score-listener``."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Bool, Float
from torch import Tensor

from eval.listening.listener import Listener, load_listener

from .data import HeardClips, heard_clips, truth_of
from .pieces import (
    TEST_SEED,
    Draw,
    base_piece,
    coded_piece,
    held_out_piece,
    recast_piece,
    unseen_piece,
)

TESTS: dict[str, Draw] = {
    "base": base_piece,
    "held-out": held_out_piece,
    "unseen pairs": unseen_piece,
    "recast": recast_piece,
    "through the mel codec": coded_piece,
}
"""Kinds of fresh pieces; each has its own seeds."""
CAPTIONS_AT_ONCE = 32


def score_listener(
    weights: Annotated[
        Path | None, typer.Option(help="Weights; default: the shipped ones.")
    ] = None,
    clips: Annotated[int, typer.Option(help="Fresh pieces of each kind.")] = 1024,
    keep: Annotated[Path, typer.Option(help="Folder for rendered clips.")] = Path("runs/listener"),
) -> None:
    """Score nano-CLAP and the judges on fresh renders; prints a Markdown table.

    Example: dmm bench score-listener --clips 1024
    """
    listener, sha256 = load_listener(weights)
    print(f"listener {sha256[:16]}, {clips} fresh pieces of each kind\n")
    columns = {}
    for number, (name, draw) in enumerate(TESTS.items()):
        first_seed = TEST_SEED + 100_000 * number
        columns[name] = scores(listener, heard_clips(keep / name, draw, first_seed, clips))
    print(f"| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for row in next(iter(columns.values())):
        print(f"| {row} | {' | '.join(f'{column[row]:.3f}' for column in columns.values())} |")


def scores(listener: Listener, heard: HeardClips) -> dict[str, float]:
    """Shares in 0..1, higher is better.

    Instruments are pitched ones and kits together. Exact set: clips in which all that sound are
    heard and no others.
    """
    answers = listener.answer(heard.pictures)
    truth = truth_of(heard, listener.labels)
    kits = answers.drums.shape[1]
    players, heard_players = truth["instruments"] > 0, answers.instruments > 0
    own = torch.cat([players, _kits(truth["drums"], kits)], 1)
    said = torch.cat([heard_players, _kits(answers.drums.argmax(1), kits)], 1)
    mode = answers.key.softmax(1).unflatten(1, (2, 12)).sum(2).argmax(1)
    return {
        **_found("instrument", own, said),
        **_found("pitched", players, heard_players),
        "exact set": _share((own == said).all(1)),
        "drums": _share(answers.drums.argmax(1) == truth["drums"]),
        "tempo class": _share(answers.tempo.argmax(1) == truth["tempo"]),
        "style": _share(answers.style.argmax(1) == truth["style"]),
        "key": _share(answers.key.argmax(1) == truth["key"]),
        "mode": _share(mode == truth["key"] // 12),
        "caption among 32": retrieval(
            listener, answers.embedding, [f["texts"][0] for f in heard.facts]
        ),
        "prompt among 32": retrieval(
            listener, answers.embedding, [f["texts"][-1] for f in heard.facts]
        ),
    }


def retrieval(listener: Listener, sounds: Float[Tensor, "n dim"], texts: list[str]) -> float:
    """Share of clips whose own caption is nearest among those of 32 consecutive clips.

    Where two of the 32 have the same words, either is right.
    """
    with torch.inference_mode():
        words = listener.read(listener.tokenize(texts))
    right = 0
    used = len(texts) // CAPTIONS_AT_ONCE * CAPTIONS_AT_ONCE
    for start in range(0, used, CAPTIONS_AT_ONCE):
        group = slice(start, start + CAPTIONS_AT_ONCE)
        found = (sounds[group] @ words[group].T).argmax(1) + start
        right += sum(texts[i] == texts[own] for own, i in enumerate(found.tolist(), start))
    return right / used


def centre(listener: Listener, heard: HeardClips) -> None:
    """Move each instrument's bias: at probability 0.5 it is heard as often as it sounds."""
    answers = listener.answer(heard.pictures)
    own = truth_of(heard, listener.labels)["instruments"].numpy() > 0
    cuts = [even_cut(x, y) for x, y in zip(answers.instruments.numpy().T, own.T, strict=True)]
    with torch.no_grad():
        listener.instruments.bias.sub_(torch.tensor(cuts, dtype=torch.float32))


def even_cut(logits: Float[np.ndarray, " n"], own: Bool[np.ndarray, " n"]) -> float:
    """The threshold above which as many lie as there should: precision equals recall.

    >>> even_cut(np.array([-3.0, -1.0, 2.0, 4.0]), np.array([False, False, True, True]))
    0.5
    """
    count = int(own.sum())
    if count in (0, len(own)):
        return 0.0
    falling = np.sort(logits)[::-1]
    return float((falling[count - 1] + falling[count]) / 2)


def _found(
    name: str, own: Bool[Tensor, "n labels"], said: Bool[Tensor, "n labels"]
) -> dict[str, float]:
    """Recall: what is heard of all that sounds; precision: what sounds of all that is heard."""
    right = (own & said).sum().item()
    recall, precision = right / max(own.sum().item(), 1), right / max(said.sum().item(), 1)
    f1 = 2 * recall * precision / max(recall + precision, 1e-9)
    return {f"{name} recall": recall, f"{name} precision": precision, f"{name} F1": f1}


def _kits(drums: Tensor, count: int) -> Tensor:
    """1 for the kit that plays; no column for no drums."""
    return torch.nn.functional.one_hot(drums, count)[:, 1:] > 0


def _share(is_right: Tensor) -> float:
    return is_right.float().mean().item()
