"""``dmm bench train-listener``: train the network of nano-CLAP and the judges.

Rendered clips and the training state are kept beside the weights, so that an interrupted run
resumes.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dataset_tools.sources.minimidi import BASE_STYLES, HELD_OUT_STYLES
from dataset_tools.sources.minimidi.drums import KITS
from dataset_tools.sources.minimidi.harmony import KEYS
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS
from dmm.fitting.loop import Schedule, fit
from eval.listening.judges import NO_DRUMS
from eval.listening.listener import Labels, Listener, save_listener, split_words

from .augment import augment, rotated_in_time, transposed_up
from .data import MOMENTS, LabelledClips, load_or_render_clips, target_tensors
from .pieces import TRAIN_SEED, VALIDATION_SEED, training_piece
from .scores import balance_instrument_biases

BATCH = 64
LEARNING_RATE = 2e-3
VALIDATION_CLIPS = 2000
TEMPOS = ("slow", "medium tempo", "fast")


def train_listener(
    out: Annotated[Path, typer.Option(help="Weights to write, .safetensors.")],
    clips: Annotated[int, typer.Option(min=1, help="Training pieces.")] = 24_000,
    steps: Annotated[int, typer.Option(help="Training steps of 64 clips.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of initial weights, batches and augmentation.")] = 0,
) -> None:
    """Train nano-CLAP and the judges on rendered MiniMIDI pieces; about 40 minutes on one CPU core.

    Example: dmm bench train-listener --out nano-clap.safetensors
    """
    print(train_and_save(out, clips, steps, seed))


def train_and_save(out: Path, clips: int, steps: int, seed: int) -> Path:
    """Render, train, set detection thresholds on validation clips, save; returns ``out``."""
    state = out.with_suffix(".state")
    rendered = load_or_render_clips(state / "train", training_piece, TRAIN_SEED, clips)
    torch.manual_seed(seed)
    listener = Listener(make_labels(rendered))
    loss = ListenerLoss(listener, rendered)
    schedule = Schedule(steps, BATCH, LEARNING_RATE, warmup=100, ema_decay=0.998)
    trained = fit("train listener", listener, loss, schedule, state / "listener.pt", seed)
    assert isinstance(trained, Listener)
    count = min(VALIDATION_CLIPS, clips)
    validation = load_or_render_clips(state / "validation", training_piece, VALIDATION_SEED, count)
    balance_instrument_biases(trained, validation)
    save_listener(out, trained)
    return out


def make_labels(clips: LabelledClips) -> Labels:
    """All labels of MiniMIDI, and the words of the clips' captions."""
    texts = (text for row in clips.descriptions for text in row["texts"])
    return Labels(
        instruments=tuple(INSTRUMENTS),
        drums=(NO_DRUMS, *KITS),
        tempos=TEMPOS,
        keys=tuple(f"{key} {mode}" for mode in ("major", "minor") for key in KEYS),
        styles=(*BASE_STYLES, *HELD_OUT_STYLES),
        words=tuple(sorted({word for text in texts for word in split_words(text)})),
    )


class ListenerLoss:
    """Training loss of the listener on a random, augmented batch of clips."""

    def __init__(self, listener: Listener, clips: LabelledClips):
        labels = listener.labels
        self.listener, self.clips = listener, clips
        self.truth = target_tensors(clips, labels)
        self.timbre = torch.from_numpy(clips.spectrograms.timbre)
        self.pitch = torch.from_numpy(clips.spectrograms.pitch)
        texts = [text for row in clips.descriptions for text in caption_variants(row["texts"])]
        self.tokens = listener.tokenize(texts).unflatten(0, (len(clips), -1))

    def __call__(self, rng: torch.Generator) -> Tensor:
        """Unweighted sum of the attributes' cross-entropies and the contrastive caption loss."""
        chosen = torch.randint(len(self.clips), (BATCH,), generator=rng)
        wording = torch.randint(self.tokens.shape[1], (BATCH,), generator=rng)
        timbre, pitch = (x[chosen].float() / 255 for x in (self.timbre, self.pitch))
        truth = {name: values[chosen] for name, values in self.truth.items()}
        turns = torch.randint(-MOMENTS, MOMENTS, (BATCH,), generator=rng).clamp(min=0)
        truth["moments"] = rotated_in_time(truth["moments"].transpose(1, 2), turns).transpose(1, 2)
        timbre, pitch = augment(rotated_in_time(timbre, turns), rotated_in_time(pitch, turns), rng)
        shift = torch.randint(-6, 6, (BATCH,), generator=rng)
        truth["key"] = truth["key"] // 12 * 12 + (truth["key"] + shift) % 12
        with torch.autocast("cpu", torch.bfloat16):
            predicted = self.listener(timbre, transposed_up(pitch, shift))
            captions = self.listener.embed_tokens(self.tokens[chosen, wording])
        loss = caption_loss(predicted.embedding, captions, self.listener.log_scale.exp())
        for name in ("drums", "tempo", "key", "style"):
            loss = loss + F.cross_entropy(getattr(predicted, name).float(), truth[name])
        for name, count in (("instruments", BATCH), ("moments", BATCH * MOMENTS)):
            entropy = F.binary_cross_entropy_with_logits(
                getattr(predicted, name).float(), truth[name], reduction="sum"
            )
            loss = loss + entropy / count
        return loss


def caption_variants(texts: list[str]) -> list[str]:
    """A clip's captions, and two of them with their parts in reverse order."""
    return [*texts, *(", ".join(reversed(text.split(", "))) for text in texts[:2])]


def caption_loss(
    sounds: Float[Tensor, "n dim"], captions: Float[Tensor, "n dim"], scale: Tensor
) -> Tensor:
    """Symmetric InfoNCE of unit rows; equal captions of other clips are no negatives."""
    logits = scale.clamp(max=50) * sounds @ captions.T
    is_same = captions.detach() @ captions.detach().T > 0.9999
    other = is_same & ~torch.eye(len(sounds), dtype=torch.bool)
    logits = logits.masked_fill(other, -1e4)
    matching = torch.arange(len(sounds))
    return (F.cross_entropy(logits, matching) + F.cross_entropy(logits.T, matching)) / 2
