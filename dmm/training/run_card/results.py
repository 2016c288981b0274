"""Sections of ``RUN.md`` with the results: scores, the curve, and previews with their sound."""

from pathlib import Path, PurePosixPath

from ..runs import Run, folders_by_step, last_value, series
from .markdown import code, escape, image, link, table

SCORES = {
    "validation_loss": "validation loss, lower is better",
    "preview/similarity": "previews: similarity to the prompt, higher is better",
    "preview/fad": "previews: FAD, lower is better",
    "preview/diversity": "previews: diversity, higher is more varied",
    "preview/prompt_diversity": "previews: diversity within a prompt",
}
MAX_CLIPS = 12
"""Preview clips on the page; the folder has the rest."""


def scores_section(run: Run) -> str:
    """Markdown section: first and last value of each score, and the curve; empty if unmeasured."""
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
    if embedder := last_value(run.lines, "preview/embedder"):
        lines.append(
            f"Scores of the previews are by the embedder {code(embedder)} on a few clips; they "
            "cannot be compared with scores of another embedder or number of clips."
        )
    return "\n\n".join([*lines, *picture])


def previews_section(run: Run) -> str:
    """Markdown section: the first and the last previews side by side, with sound."""
    folders = [f for f in folders_by_step(run.folder / "previews") if any(f.glob("*.png"))]
    if not folders:
        return ""
    shown = list(dict.fromkeys([folders[0], folders[-1]]))
    clips = sorted({path.stem for folder in shown for path in folder.glob("*.png")})
    rows = [[escape(clip), *(_clip_cell(folder, clip) for folder in shown)] for clip in clips]
    heads = ["prompt and seed", *(_step_title(folder) for folder in shown)]
    parts = ["## Hear it", table(heads, rows[:MAX_CLIPS])]
    if len(rows) > MAX_CLIPS:
        parts.append(f"{len(rows) - MAX_CLIPS} more clips are in the folders.")
    return "\n\n".join(parts)


def _clip_cell(folder: Path, clip: str) -> str:
    """Table cell with a clip's image and a link to its sound; empty without both files."""
    beside = PurePosixPath("previews") / folder.name
    found = [image(clip, beside / f"{clip}.png")] * (folder / f"{clip}.png").is_file()
    found += [link("sound", beside / f"{clip}.flac")] * (folder / f"{clip}.flac").is_file()
    return "<br>".join(found)


def _step_title(folder: Path) -> str:
    """Title of a preview folder such as ``step-000200``; step 0 is the base without the LoRA."""
    number = folder.name.removeprefix("step-")
    if not number.isdigit():
        return escape(folder.name)
    return f"step {int(number)}" if int(number) else "before training"
