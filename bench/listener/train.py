"""Train the listener behind nano-CLAP and the judges: ``dmm bench train-listener``.

Rendered pieces and their captions are made first and kept beside the weights, so a run that was
interrupted goes on where it stopped.
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
from eval.listening.listener import Labels, Listener, save_listener, words_of

from .augment import augment, transposed, turned
from .data import MOMENTS, HeardClips, heard_clips, truth_of
from .pieces import TRAIN_SEED, VALIDATION_SEED, training_piece
from .scores import centre

BATCH = 64
LEARNING_RATE = 2e-3
VALIDATION_CLIPS = 2000
TEMPOS = ("slow", "medium tempo", "fast")


def train_listener(
    out: Annotated[Path, typer.Option(help="Weights to write, .safetensors.")],
    clips: Annotated[int, typer.Option(help="Pieces to learn from.")] = 24_000,
    steps: Annotated[int, typer.Option(help="Training steps of 64 clips.")] = 4000,
    seed: Annotated[int, typer.Option(help="Decides weights, batches and noise.")] = 0,
) -> None:
    """Train nano-CLAP and the judges on fresh MiniMIDI renders; about 40 minutes on one CPU core.

    Example: dmm bench train-listener --out nano-clap.safetensors
    """
    print(train(out, clips, steps, seed))


def train(out: Path, clips: int, steps: int, seed: int) -> Path:
    """Render, train, set the thresholds on validation clips, write; returns ``out``."""
    state = out.with_suffix(".state")
    heard = heard_clips(state / "train", training_piece, TRAIN_SEED, clips)
    torch.manual_seed(seed)
    listener = Listener(labels_of(heard))
    lesson = Lesson(listener, heard)
    schedule = Schedule(steps, BATCH, LEARNING_RATE, warmup=100, ema_decay=0.998)
    trained = fit("train listener", listener, lesson, schedule, state / "listener.pt", seed)
    assert isinstance(trained, Listener)
    known = min(VALIDATION_CLIPS, clips)
    centre(trained, heard_clips(state / "validation", training_piece, VALIDATION_SEED, known))
    save_listener(out, trained)
    return out


def labels_of(heard: HeardClips) -> Labels:
    """All that MiniMIDI can play, and the words that the clips' captions use."""
    texts = (text for fact in heard.facts for text in fact["texts"])
    return Labels(
        instruments=tuple(INSTRUMENTS),
        drums=(NO_DRUMS, *KITS),
        tempos=TEMPOS,
        keys=tuple(f"{key} {mode}" for mode in ("major", "minor") for key in KEYS),
        styles=(*BASE_STYLES, *HELD_OUT_STYLES),
        words=tuple(sorted({word for text in texts for word in words_of(text)})),
    )


class Lesson:
    """The loss of one step: what the listener says of some clips against what is true of them."""

    def __init__(self, listener: Listener, heard: HeardClips):
        labels = listener.labels
        self.listener, self.heard = listener, heard
        self.truth = truth_of(heard, labels)
        self.timbre = torch.from_numpy(heard.pictures.timbre)
        self.pitch = torch.from_numpy(heard.pictures.pitch)
        texts = [wording for fact in heard.facts for wording in wordings(fact["texts"])]
        self.tokens = listener.tokenize(texts).unflatten(0, (len(heard), -1))

    def __call__(self, rng: torch.Generator) -> Tensor:
        """Sum of cross-entropies; each attribute counts alike, and so does the caption."""
        chosen = torch.randint(len(self.heard), (BATCH,), generator=rng)
        wording = torch.randint(self.tokens.shape[1], (BATCH,), generator=rng)
        timbre, pitch = (x[chosen].float() / 255 for x in (self.timbre, self.pitch))
        truth = {name: values[chosen] for name, values in self.truth.items()}
        turns = torch.randint(-MOMENTS, MOMENTS, (BATCH,), generator=rng).clamp(min=0)
        truth["moments"] = turned(truth["moments"].transpose(1, 2), turns).transpose(1, 2)
        timbre, pitch = augment(turned(timbre, turns), turned(pitch, turns), rng)
        shift = torch.randint(-6, 6, (BATCH,), generator=rng)
        truth["key"] = truth["key"] // 12 * 12 + (truth["key"] + shift) % 12
        with torch.autocast("cpu", torch.bfloat16):
            answers = self.listener.hear(timbre, transposed(pitch, shift))
            words = self.listener.read(self.tokens[chosen, wording])
        loss = caption_loss(answers.embedding, words, self.listener.log_scale.exp())
        for name in ("drums", "tempo", "key", "style"):
            loss = loss + F.cross_entropy(getattr(answers, name).float(), truth[name])
        for name, times in (("instruments", BATCH), ("moments", BATCH * MOMENTS)):
            heard = F.binary_cross_entropy_with_logits(
                getattr(answers, name).float(), truth[name], reduction="sum"
            )
            loss = loss + heard / times
        return loss


def wordings(texts: list[str]) -> list[str]:
    """A clip's captions, and the same with their parts in reverse, for any order of words."""
    return [*texts, *(", ".join(reversed(text.split(", "))) for text in texts[:2])]


def caption_loss(
    sounds: Float[Tensor, "n dim"], words: Float[Tensor, "n dim"], scale: Tensor
) -> Tensor:
    """InfoNCE both ways; a caption that two clips share counts against neither."""
    logits = scale.clamp(max=50) * sounds @ words.T
    is_same = words.detach() @ words.detach().T > 0.9999
    other = is_same & ~torch.eye(len(sounds), dtype=torch.bool)
    logits = logits.masked_fill(other, -1e4)
    own = torch.arange(len(sounds))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
