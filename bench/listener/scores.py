"""``dmm bench score-listener``: accuracy of nano-CLAP's classifiers and embeddings.

Both are scored on MiniMIDI pieces that it was not trained on.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Bool, Float
from torch import Tensor

from eval.listening.listener import Listener, load_listener

from .data import LabelledClips, load_or_render_clips, target_tensors
from .pieces import (
    TEST_SEED,
    MakePiece,
    base_piece,
    coded_piece,
    held_out_piece,
    swapped_piece,
    unseen_piece,
)

TESTS: dict[str, MakePiece] = {
    "base": base_piece,
    "held-out": held_out_piece,
    "unseen pairs": unseen_piece,
    "recast": swapped_piece,
    "through the mel codec": coded_piece,
}
"""Table column to the function that makes its pieces; no two kinds share seeds."""
CAPTIONS_AT_ONCE = 32


def score_listener(
    weights: Annotated[
        Path | None, typer.Option(help="nano-clap weights; default: the shipped ones.")
    ] = None,
    clips: Annotated[
        int, typer.Option(min=CAPTIONS_AT_ONCE, help="Test pieces of each kind.")
    ] = 1024,
    keep: Annotated[Path, typer.Option(help="Cache of rendered clips.")] = Path("runs/listener"),
) -> None:
    """Score nano-CLAP's classifiers and retrieval on fresh pieces; prints a Markdown table.

    Example: dmm bench score-listener --clips 1024
    """
    listener, sha256 = load_listener(weights)
    print(f"listener {sha256[:16]}, {clips} fresh pieces of each kind\n")
    columns = {}
    for number, (name, make_piece) in enumerate(TESTS.items()):
        first_seed = TEST_SEED + 100_000 * number
        columns[name] = listener_scores(
            listener, load_or_render_clips(keep / name, make_piece, first_seed, clips)
        )
    print(f"| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for row in next(iter(columns.values())):
        print(f"| {row} | {' | '.join(f'{column[row]:.3f}' for column in columns.values())} |")


def listener_scores(listener: Listener, clips: LabelledClips) -> dict[str, float]:
    """Accuracy, precision, recall, F1 and retrieval shares by row name, 0..1; higher is better.

    "instrument" counts pitched instruments and drum kits together. "exact set" is the share of
    clips with all instruments detected and no others.
    """
    predicted = listener.window_logits(clips.spectrograms)
    truth = target_tensors(clips, listener.labels)
    kits = predicted.drums.shape[1]
    pitched, detected_pitched = truth["instruments"] > 0, predicted.instruments > 0
    playing = torch.cat([pitched, _one_hot_kits(truth["drums"], kits)], 1)
    detected = torch.cat([detected_pitched, _one_hot_kits(predicted.drums.argmax(1), kits)], 1)
    mode = predicted.key.softmax(1).unflatten(1, (2, 12)).sum(2).argmax(1)
    texts = [row["texts"] for row in clips.descriptions]
    return {
        **_detection_scores("instrument", playing, detected),
        **_detection_scores("pitched", pitched, detected_pitched),
        "exact set": _share_right((playing == detected).all(1)),
        "drums": _share_right(predicted.drums.argmax(1) == truth["drums"]),
        "tempo class": _share_right(predicted.tempo.argmax(1) == truth["tempo"]),
        "style": _share_right(predicted.style.argmax(1) == truth["style"]),
        "key": _share_right(predicted.key.argmax(1) == truth["key"]),
        "mode": _share_right(mode == truth["key"] // 12),
        "caption among 32": retrieval_share(
            listener, predicted.embedding, [own[0] for own in texts]
        ),
        "prompt among 32": retrieval_share(
            listener, predicted.embedding, [own[-1] for own in texts]
        ),
    }


def retrieval_share(
    listener: Listener, audio_embeddings: Float[Tensor, "n dim"], texts: list[str]
) -> float:
    """Share of clips whose own caption is nearest among those of 32 consecutive clips.

    If captions of the 32 are equal, any of them is right. A remainder below 32 is not scored.
    """
    with torch.inference_mode():
        captions = listener.embed_tokens(listener.tokenize(texts))
    right = 0
    used = len(texts) // CAPTIONS_AT_ONCE * CAPTIONS_AT_ONCE
    for start in range(0, used, CAPTIONS_AT_ONCE):
        group = slice(start, start + CAPTIONS_AT_ONCE)
        best_rows = (audio_embeddings[group] @ captions[group].T).argmax(1) + start
        right += sum(texts[i] == texts[own] for own, i in enumerate(best_rows.tolist(), start))
    return right / used


def balance_instrument_biases(listener: Listener, clips: LabelledClips) -> None:
    """Shift each instrument's bias, in place, so that it is detected as often as it plays."""
    logits = listener.window_logits(clips.spectrograms).instruments.numpy()
    playing = target_tensors(clips, listener.labels)["instruments"].numpy() > 0
    thresholds = [balanced_threshold(x, y) for x, y in zip(logits.T, playing.T, strict=True)]
    with torch.no_grad():
        listener.instruments.bias.sub_(torch.tensor(thresholds, dtype=torch.float32))


def balanced_threshold(logits: Float[np.ndarray, " n"], playing: Bool[np.ndarray, " n"]) -> float:
    """Threshold at which precision equals recall; 0 if all clips are of one class.

    >>> balanced_threshold(np.array([-3.0, -1.0, 2.0, 4.0]), np.array([False, False, True, True]))
    0.5
    """
    count = int(playing.sum())
    if count in (0, len(playing)):
        return 0.0
    falling = np.sort(logits)[::-1]
    return float((falling[count - 1] + falling[count]) / 2)


def _detection_scores(
    name: str, playing: Bool[Tensor, "n labels"], detected: Bool[Tensor, "n labels"]
) -> dict[str, float]:
    """Recall, precision and F1 over all clips and labels together."""
    right = (playing & detected).sum().item()
    recall, precision = right / max(playing.sum().item(), 1), right / max(detected.sum().item(), 1)
    f1 = 2 * recall * precision / max(recall + precision, 1e-9)
    return {f"{name} recall": recall, f"{name} precision": precision, f"{name} F1": f1}


def _one_hot_kits(drums: Tensor, count: int) -> Tensor:
    """One-hot kits, without the column of "no drums"."""
    return torch.nn.functional.one_hot(drums, count)[:, 1:] > 0


def _share_right(is_right: Tensor) -> float:
    return is_right.float().mean().item()
