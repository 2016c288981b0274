"""Pretrain the two text encoders of a small model to classify the words of a caption.

A UNet can only follow differences that the text encoders represent. Each encoder is trained to
predict the set of words of a caption from the layer that the UNet reads; then it is frozen.
"""

import re
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints.tokenizers import load_tokenizers
from ..fitting.compute import ON_CPU, Compute
from ..fitting.loop import Schedule, fit
from ..fitting.state import fingerprint

MIN_COUNT = 5
"""Fewest captions with a word for it to be predicted."""
LEAST_SCALE = 0.2
"""Smallest factor for hidden states; with less, LayerNorm's epsilon would change the result."""


def caption_words(caption: str) -> set[str]:
    """Lower-case words of a caption, and musical keys ("c# minor").

    Hyphens and sharps belong to words.

    >>> sorted(caption_words("Lo-fi piano, C# minor"))
    ['c#', 'c# minor', 'lo-fi', 'minor', 'piano']
    """
    text = caption.lower()
    words = set(re.findall(r"[a-z0-9#]+(?:-[a-z0-9#]+)*", text))
    return words | set(re.findall(r"\b[a-g]#? (?:major|minor)\b", text))


def word_targets(captions: list[str]) -> Float[Tensor, "n words"]:
    """Targets: 1 if a caption holds a word; columns are the sorted frequent words."""
    counts: dict[str, int] = {}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = counts.get(word, 0) + 1
    column = {w: i for i, w in enumerate(sorted(w for w, n in counts.items() if n >= MIN_COUNT))}
    targets = torch.zeros(len(captions), len(column))
    for row, caption in enumerate(captions):
        targets[row, [column[word] for word in caption_words(caption) if word in column]] = 1
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
    """Both text encoders, with the outputs that SDXL uses."""

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


class WordClassifier(nn.Module):
    """Both text encoders, and a linear classifier of words on each of their outputs."""

    def __init__(self, encoders: TextEncoders, words: int) -> None:
        super().__init__()
        self.encoders = encoders
        first, second = encoders.te1.config, encoders.te2.config
        self.widths = (first.hidden_size, second.hidden_size)
        self.heads = nn.ModuleList(
            nn.Linear(width, words) for width in (*self.widths, second.projection_dim)
        )

    def forward(
        self, ids1: Int[Tensor, "n 77"], ids2: Int[Tensor, "n 77"]
    ) -> list[Float[Tensor, "n words"]]:
        """Logits of each word, from both hidden states at the end of text and the pooled text."""
        context, pooled = self.encoders(ids1, ids2)
        end = ids1.argmax(-1)  # end-of-text is the largest id
        at_end = context[torch.arange(len(end), device=end.device), end].split(self.widths, dim=-1)
        return [head(part) for head, part in zip(self.heads, (*at_end, pooled), strict=True)]


def train_text_encoders(
    te1: Any,
    te2: Any,
    captions: list[str],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute = ON_CPU,
) -> TextEncoders:
    """Train both encoders on sets of words in float32; returns both averaged and frozen.

    Outputs are scaled down towards a standard deviation of 1, at which a UNet's cross-attention
    learns steadily.
    """
    targets = word_targets(captions)
    ids1, ids2 = tokenize(captions, te1.config.vocab_size)
    classifier = WordClassifier(TextEncoders(te1, te2), targets.shape[1])
    rows = compute.rows_per_share(schedule.batch_size)

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(captions), (rows,), generator=generator)
        inputs = (ids[chosen].to(compute.torch_device) for ids in (ids1, ids2))
        truth = targets[chosen].to(compute.torch_device)
        losses = [F.binary_cross_entropy_with_logits(x, truth) for x in classifier(*inputs)]
        return torch.stack(losses).sum()

    data = fingerprint(targets, ids1, ids2)
    trained: Any = fit("text", classifier, loss, schedule, state, seed, compute, data=data)
    encoders = trained.encoders.requires_grad_(False)
    shrink_outputs(encoders, ids1[:256], ids2[:256])
    return encoders


@torch.no_grad()
def shrink_outputs(
    encoders: TextEncoders, ids1: Int[Tensor, "n 77"], ids2: Int[Tensor, "n 77"]
) -> None:
    """Scale hidden states and pooled text down towards a standard deviation of 1, in place.

    All weights whose outputs are added to an encoder's hidden states are scaled, and its LayerNorms
    undo that. So nothing but the scale of the outputs changes.
    """
    device = next(encoders.parameters()).device
    context, pooled = encoders(ids1.to(device), ids2.to(device))
    both = (encoders.te1, encoders.te2)
    widths = [encoder.config.hidden_size for encoder in both]
    for encoder, hidden in zip(both, context.split(widths, dim=-1), strict=True):
        scale = min(1.0, max(LEAST_SCALE, 1 / float(hidden.std())))
        model = encoder.text_model
        added = [model.embeddings.token_embedding, model.embeddings.position_embedding]
        for layer in model.encoder.layers:
            added += [layer.self_attn.out_proj, layer.mlp.fc2]
        for module in added:
            for parameter in module.parameters():
                parameter.mul_(scale)
    encoders.te2.text_projection.weight.div_(max(1.0, float(pooled.std())))
