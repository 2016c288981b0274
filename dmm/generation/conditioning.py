"""Prompt embeddings for the UNet, and truncation of prompts that are too long for CLIP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from ..checkpoints.tokenizers import truncate_prompt


@dataclass(frozen=True)
class PromptEmbeddings:
    """Text encoder output, one row a prompt."""

    tokens: Float[torch.Tensor, "n places width"]
    pooled: Float[torch.Tensor, "n pooled_width"] | None
    """SDXL only: one vector for the whole prompt."""

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, numbers: Sequence[int]) -> "PromptEmbeddings":
        """The rows with these indices, in this order; an index may occur twice."""
        pooled = None if self.pooled is None else self.pooled[list(numbers)]
        return PromptEmbeddings(self.tokens[list(numbers)], pooled)

    @classmethod
    def concatenate(cls, parts: "Sequence[PromptEmbeddings]") -> "PromptEmbeddings":
        """The rows of all parts, one part after the other."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return cls(
            torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None
        )

    def interpolate(self, other: "PromptEmbeddings", share: float) -> "PromptEmbeddings":
        """Linear interpolation, row by row, from these embeddings (0) to the others (1)."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = torch.lerp(self.pooled, other.pooled, share)
        return PromptEmbeddings(torch.lerp(self.tokens, other.tokens, share), pooled)

    def interleave(self, other: "PromptEmbeddings") -> "PromptEmbeddings":
        """Rows of both in turn, beginning with these."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = torch.stack([self.pooled, other.pooled], 1).flatten(0, 1)
        return PromptEmbeddings(torch.stack([self.tokens, other.tokens], 1).flatten(0, 1), pooled)


@dataclass(frozen=True)
class Conditioning:
    """Inputs of classifier-free guidance, one row a clip."""

    prompts: PromptEmbeddings
    negative: PromptEmbeddings
    guidance: float
    """Guidance scale; at 1 or less there is no guidance, and ``negative`` is unused."""

    @property
    def is_guided(self) -> bool:
        """Whether the UNet computes two rows for each clip."""
        return self.guidance > 1

    def rows(self, numbers: Sequence[int]) -> "Conditioning":
        """Conditioning of the clips with these indices, in this order."""
        return Conditioning(self.prompts.rows(numbers), self.negative.rows(numbers), self.guidance)


@torch.no_grad()
def embed_prompts(
    pipeline: Any, prompts: Sequence[str], clip_skip: int | None = None
) -> PromptEmbeddings:
    """Embed each prompt on its own, so that its row is the same bits in any company.

    Negative prompts are embedded alike. ``clip_skip`` is the text encoder's layer that SD 1.5
    attends to, counted from the end; None is the last. sd-scripts counts the last layer as 1,
    diffusers as 0. Prompts beyond 75 tokens lose their end (``truncate_prompt``).
    """
    tokens, pooled = [], []
    for prompt in prompts:
        kept, _ = truncate_prompt(prompt, pipeline.tokenizer)
        found = pipeline.encode_prompt(
            kept,
            device=pipeline._execution_device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
            clip_skip=clip_skip - 1 if clip_skip else None,
        )
        tokens.append(found[0])
        pooled += found[2:3]  # SD 1.5 returns two values, SDXL four
    return PromptEmbeddings(torch.cat(tokens), torch.cat(pooled) if pooled else None)
