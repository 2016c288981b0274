"""The two text encoders of a small model, taught to say which words a caption holds.

A UNet can only obey what the text encoders tell apart. Each encoder learns, through the layer
that the UNet will read, to name the set of words of its caption; then it is frozen.
"""

import re
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ..tokenizers import load_tokenizers
from .loop import Schedule, fit

MIN_COUNT = 5
"""A word enters the target vocabulary when at least this many captions hold it."""


def words_of(caption: str) -> set[str]:
    """Lower-case words and hyphenated words of a caption.

    >>> sorted(words_of("Lo-fi piano, 84 bpm"))
    ['84', 'bpm', 'lo-fi', 'piano']
    """
    return set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", caption.lower()))


def word_targets(captions: list[str]) -> Float[Tensor, "n words"]:
    """1 where a caption holds a word; columns are the words that occur often enough, sorted."""
    counts: dict[str, int] = {}
    for caption in captions:
        for word in words_of(caption):
            counts[word] = counts.get(word, 0) + 1
    column = {w: i for i, w in enumerate(sorted(w for w, n in counts.items() if n >= MIN_COUNT))}
    targets = torch.zeros(len(captions), len(column))
    for row, caption in enumerate(captions):
        targets[row, [column[word] for word in words_of(caption) if word in column]] = 1
    return targets


def tokenize(
    captions: list[str], vocab_size: int
) -> tuple[Int[Tensor, "n 77"], Int[Tensor, "n 77"]]:
    """Token ids for both encoders, padded and cut to 77 as SDXL does."""
    first, second = (
        tokenizer(captions, padding="max_length", truncation=True, max_length=77).input_ids
        for tokenizer in load_tokenizers(vocab_size)
    )
    return torch.tensor(first), torch.tensor(second)


class TextEncoders(nn.Module):
    """Both encoders as SDXL reads them."""

    def __init__(self, te1: Any, te2: Any) -> None:
        super().__init__()
        self.te1, self.te2 = te1, te2

    def forward(
        self, ids1: Int[Tensor, "n 77"], ids2: Int[Tensor, "n 77"]
    ) -> tuple[Float[Tensor, "n 77 context"], Float[Tensor, "n pooled"]]:
        """Penultimate hidden states side by side, and the second encoder's pooled projection."""
        first = self.te1(ids1, output_hidden_states=True)
        second = self.te2(ids2, output_hidden_states=True)
        context = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        return context, second.text_embeds


def train_text_encoders(
    te1: Any, te2: Any, captions: list[str], schedule: Schedule, state: Path, seed: int
) -> TextEncoders:
    """Train both encoders on word sets; returns them averaged and frozen."""
    encoders = TextEncoders(te1, te2)
    targets = word_targets(captions)
    ids1, ids2 = tokenize(captions, te1.config.vocab_size)
    heads = nn.ModuleList(
        nn.Linear(width, targets.shape[1])
        for width in (te1.config.hidden_size, te2.config.hidden_size, te2.config.projection_dim)
    )
    model = nn.ModuleDict({"encoders": encoders, "heads": heads})

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(captions), (schedule.batch_size,), generator=generator)
        context, pooled = encoders(ids1[chosen], ids2[chosen])
        end = ids1[chosen].argmax(-1)  # end-of-text is the largest id
        at_end = context[torch.arange(len(chosen)), end].split(
            [te1.config.hidden_size, te2.config.hidden_size], dim=-1
        )
        return sum(
            (
                F.binary_cross_entropy_with_logits(head(part), targets[chosen])
                for head, part in zip(heads, (*at_end, pooled), strict=True)
            ),
            start=torch.zeros(()),
        )

    trained: Any = fit("text", model, loss, schedule, state, seed)
    return trained["encoders"].requires_grad_(False)
