"""The part of ``RUN.md`` that shows what came out: scores, the curve, and previews to hear."""

from pathlib import Path, PurePosixPath

from ..runs import Run, last, series
from .markdown import code, escape, image, link, table

SCORES = {
    "validation_loss": "validation loss, lower is better",
    "preview/similarity": "previews: similarity to the prompt, higher is better",
    "preview/fad": "previews: FAD, lower is better",
    "preview/diversity": "previews: diversity, higher is more varied",
    "preview/prompt_diversity": "previews: diversity within a prompt",
}
MOST_CLIPS = 12
"""Preview clips on the page; the folder holds the rest."""


def scores(run: Run) -> str:
    """The first and last value of each score, and the curve; empty if nothing was measured."""
    rows = []
    for key, title in SCORES.items():
        steps, values = series(run.lines, key)
        if len(values):
            ends = [f"{values[at]:.4g} (step {steps[at]:.0f})" for at in (0, -1)]
            rows.append([title, *ends])
    picture = [image("curve", PurePosixPath("curve.png"))] * (run.folder / "curve.png").is_file()
    if not rows:
        return "\n\n".join(["## Scores", *picture]) if picture else ""
    lines = ["## Scores", table(["", "first", "last"], rows, right=(1, 2))]
    best, step = run.record.get("best_validation_loss"), run.record.get("best_step")
    if best is not None:
        lines.append(f"Lowest validation loss: {best:.4g}, at step {step}.")
    if embedder := last(run.lines, "preview/embedder"):
        lines.append(
            f"Scores of the previews are by the embedder {code(embedder)} on a few clips; they "
            "compare with those of no other embedder and of no other number of clips."
        )
    return "\n\n".join([*lines, *picture])


def previews(run: Run) -> str:
    """The first and the last previews side by side, each with its sound."""
    folders = sorted(f for f in (run.folder / "previews").glob("step-*") if any(f.glob("*.png")))
    if not folders:
        return ""
    shown = list(dict.fromkeys([folders[0], folders[-1]]))
    clips = sorted({path.stem for folder in shown for path in folder.glob("*.png")})
    rows = [[escape(clip), *(_clip(folder, clip) for folder in shown)] for clip in clips]
    heads = ["prompt and seed", *(_step_words(folder) for folder in shown)]
    parts = ["## Hear it", table(heads, rows[:MOST_CLIPS])]
    if len(rows) > MOST_CLIPS:
        parts.append(f"{len(rows) - MOST_CLIPS} more clips are in the folders.")
    return "\n\n".join(parts)


def _clip(folder: Path, clip: str) -> str:
    """A picture and its sound, with paths as seen from RUN.md."""
    beside = PurePosixPath("previews") / folder.name
    found = [image(clip, beside / f"{clip}.png")] * (folder / f"{clip}.png").is_file()
    found += [link("sound", beside / f"{clip}.flac")] * (folder / f"{clip}.flac").is_file()
    return "<br>".join(found)


def _step_words(folder: Path) -> str:
    """What a folder such as ``step-000200`` is the state of; step 0 is the base alone."""
    number = folder.name.removeprefix("step-")
    if not number.isdigit():
        return escape(folder.name)
    return f"step {int(number)}" if int(number) else "before training"
