"""Prompts as the UNet hears them, and what of a long prompt it does not hear."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

USUAL_TOKENS = 75
"""What CLIP reads of a prompt: 77 places, less those of its beginning and end."""


@dataclass(frozen=True)
class Words:
    """What the text encoders make of prompts, a row each."""

    tokens: Float[torch.Tensor, "n places width"]
    pooled: Float[torch.Tensor, "n pooled_width"] | None
    """SDXL alone: the whole prompt in one vector."""

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, numbers: Sequence[int]) -> "Words":
        """Some of the rows, in this order; one may stand twice."""
        pooled = None if self.pooled is None else self.pooled[list(numbers)]
        return Words(self.tokens[list(numbers)], pooled)

    @classmethod
    def joined(cls, parts: "Sequence[Words]") -> "Words":
        """The rows of all, one after the other."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return cls(
            torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None
        )

    def toward(self, other: "Words", amount: float) -> "Words":
        """The straight way from these rows (0) to those (1)."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = torch.lerp(self.pooled, other.pooled, amount)
        return Words(torch.lerp(self.tokens, other.tokens, amount), pooled)

    def beside(self, other: "Words") -> "Words":
        """A row of these, a row of those, in turn."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = torch.stack([self.pooled, other.pooled], 1).flatten(0, 1)
        return Words(torch.stack([self.tokens, other.tokens], 1).flatten(0, 1), pooled)


@dataclass(frozen=True)
class Conditions:
    """What the UNet is asked for, a row a clip, and how strongly."""

    words: Words
    negative: Words
    guidance: float
    """Classifier-free guidance scale; up to 1 there is none, and ``negative`` is not heard."""

    @property
    def guided(self) -> bool:
        """Whether each clip takes two rows of the UNet."""
        return self.guidance > 1

    def clip(self, number: int) -> "Conditions":
        """Those of one clip alone."""
        return Conditions(self.words.rows([number]), self.negative.rows([number]), self.guidance)


@torch.no_grad()
def embed_prompts(pipeline: Any, prompts: Sequence[str], clip_skip: int | None = None) -> Words:
    """Each prompt read alone, so that its row is the same to the bit whatever stands beside it.

    A negative prompt is one like all others. ``clip_skip`` is the text encoder's layer that SD 1.5
    attends to, counted from the end; None is the last. sd-scripts counts the last layer as 1,
    diffusers as 0. A prompt beyond 75 tokens loses its end (``cut_to_fit``).
    """
    tokens, pooled = [], []
    for prompt in prompts:
        kept, _ = cut_to_fit(prompt, pipeline.tokenizer)
        found = pipeline.encode_prompt(
            kept,
            device=pipeline._execution_device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
            clip_skip=clip_skip - 1 if clip_skip else None,
        )
        tokens.append(found[0])
        pooled += found[2:3]  # SD 1.5 gives two things, SDXL four
    return Words(torch.cat(tokens), torch.cat(pooled) if pooled else None)


def cut_to_fit(prompt: str, tokenizer: Any) -> tuple[str, list[str]]:
    """What of the prompt fits, in whole words, and the words that do not."""
    words = prompt.split()
    room = tokenizer.model_max_length - 2

    def fits(count: int) -> bool:
        text = " ".join(words[:count])
        return len(tokenizer(text, add_special_tokens=False, verbose=False).input_ids) <= room

    if fits(len(words)):
        return prompt, []
    low, high = 0, len(words)  # so many fit; so many do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return " ".join(words[:low]), words[low:]
