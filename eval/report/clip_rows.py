"""A row of report.json for each clip: its words, how near it is to what, and for each prompt."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ..metrics.closeness import cosines_to_reference, nearest
from ..metrics.diversity import embedding_diversity
from ..sample import Sample
from ..sets import ClipSet

Row = dict[str, Any]


def clip_rows(own: ClipSet, sample: Sample, reference: ClipSet) -> list[Row]:
    """Id, prompt, seed; cosine to the own prompt, to all real clips and to the nearest of them."""
    near = nearest(own.rows, reference.rows)
    return [
        {
            "id": clip,
            "prompt": origin.prompt,
            "seed": origin.seed,
            "similarity": similarity,
            "cosine": float(cosine),
            "nearest": reference.ids[index],
            "nearest_cosine": float(nearest_cosine),
        }
        for clip, origin, similarity, cosine, index, nearest_cosine in zip(
            own.ids,
            own.origins,
            own_similarities(sample),
            cosines_to_reference(own.rows, reference.rows),
            near.index,
            near.cosine,
            strict=True,
        )
    ]


def own_similarities(sample: Sample) -> list[float | None]:
    """Each clip's cosine to its own prompt."""
    texts = sample.texts or {}
    return [
        float(row.astype(np.float64) @ texts[prompt]) if prompt and prompt in texts else None
        for row, prompt in zip(sample.rows, sample.prompts, strict=True)
    ]


def prompt_rows(sample: Sample) -> list[Row]:
    """What each prompt's clips are like, in the order the prompts first appear."""
    own = np.array([np.nan if x is None else x for x in own_similarities(sample)])
    kept: dict[str, list[int]] = {}
    for index, prompt in enumerate(sample.prompts):
        if prompt:
            kept.setdefault(prompt, []).append(index)
    best = _hears_own_prompt(sample, list(kept))
    return [
        {
            "number": number,
            "prompt": prompt,
            "n": len(rows),
            "similarity": float(own[rows].mean()) if sample.texts else None,
            "best": None if best is None else float(best[rows].mean()),
            "diversity": embedding_diversity(sample.rows[rows]) if len(rows) > 1 else None,
        }
        for number, (prompt, rows) in enumerate(kept.items(), 1)
    ]


def _hears_own_prompt(sample: Sample, prompts: list[str]) -> Float[np.ndarray, " n"] | None:
    """For each clip 1 if its own prompt fits best of all, else 0; ties count as best."""
    if not sample.texts or len(prompts) < 2:
        return None
    texts = np.stack([sample.texts[prompt] for prompt in prompts]).astype(np.float64)
    cosines = sample.rows.astype(np.float64) @ texts.T
    place = {prompt: index for index, prompt in enumerate(prompts)}
    asked = [place.get(prompt or "", 0) for prompt in sample.prompts]
    return (cosines[np.arange(len(asked)), asked] >= cosines.max(1)).astype(np.float64)


def alike_below(reference: ClipSet) -> float | None:
    """Half of the real clips lie nearer than this to another one; None for fewer than three.

    A prompt whose own clips lie nearer together than that repeats itself.
    """
    if len(reference) < 3:
        return None
    cosines = reference.rows.astype(np.float64) @ reference.rows.astype(np.float64).T
    np.fill_diagonal(cosines, -1)
    return float(np.median(1 - cosines.max(1)))
