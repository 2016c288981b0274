"""Rows of report.json: prompt and cosines of each clip, and a summary of each prompt."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ..metrics.closeness import cosines_to_reference, nearest_reference_clips
from ..metrics.diversity import mean_cosine_distance
from ..sample import Sample
from ..sets import ClipSet

Row = dict[str, Any]


def clip_rows(clips: ClipSet, sample: Sample, reference: ClipSet) -> list[Row]:
    """Id, prompt, seed; cosine to the own prompt, mean and highest cosine to the real clips."""
    near = nearest_reference_clips(clips.rows, reference.rows)
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
            clips.ids,
            clips.origins,
            own_prompt_cosines(sample),
            cosines_to_reference(clips.rows, reference.rows),
            near.index,
            near.cosine,
            strict=True,
        )
    ]


def own_prompt_cosines(sample: Sample) -> list[float | None]:
    """Cosine of each clip to its own prompt, None if unknown."""
    texts = sample.texts or {}
    return [
        float(row.astype(np.float64) @ texts[prompt]) if prompt and prompt in texts else None
        for row, prompt in zip(sample.rows, sample.prompts, strict=True)
    ]


def prompt_rows(sample: Sample) -> list[Row]:
    """Mean similarity and diversity of each prompt's clips, in order of first appearance."""
    own = np.array([np.nan if x is None else x for x in own_prompt_cosines(sample)])
    kept: dict[str, list[int]] = {}
    for index, prompt in enumerate(sample.prompts):
        if prompt:
            kept.setdefault(prompt, []).append(index)
    best = _own_prompt_is_best(sample, list(kept))
    return [
        {
            "number": number,
            "prompt": prompt,
            "n": len(rows),
            "similarity": float(own[rows].mean()) if sample.texts else None,
            "best": None if best is None else float(best[rows].mean()),
            "diversity": mean_cosine_distance(sample.rows[rows]) if len(rows) > 1 else None,
        }
        for number, (prompt, rows) in enumerate(kept.items(), 1)
    ]


def _own_prompt_is_best(sample: Sample, prompts: list[str]) -> Float[np.ndarray, " n"] | None:
    """1 for each clip whose own prompt has the highest cosine, else 0; None below two prompts."""
    if not sample.texts or len(prompts) < 2:
        return None
    texts = np.stack([sample.texts[prompt] for prompt in prompts]).astype(np.float64)
    cosines = sample.rows.astype(np.float64) @ texts.T
    place = {prompt: index for index, prompt in enumerate(prompts)}
    own = [place.get(prompt or "", 0) for prompt in sample.prompts]
    return (cosines[np.arange(len(own)), own] >= cosines.max(1)).astype(np.float64)


def median_nearest_distance(reference: ClipSet) -> float | None:
    """Median cosine distance of a real clip to its nearest other one; None below three clips.

    Clips of a prompt that are closer than this on average repeat one another.
    """
    if len(reference) < 3:
        return None
    cosines = reference.rows.astype(np.float64) @ reference.rows.astype(np.float64).T
    np.fill_diagonal(cosines, -1)
    return float(np.median(1 - cosines.max(1)))
