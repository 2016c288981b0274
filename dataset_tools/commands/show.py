"""The command ``dmm data show``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmm.terminal import printable

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..inspection.show import ClipRecord


def show(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    id: Annotated[  # noqa: A002 - the argument's name
        str, typer.Argument(help="A clip's id, or a unique beginning of it.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Write the image in colour and the sound to this folder.",
            show_default="not written",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write a page with image and player to this file.",
            show_default="not written",
        ),
    ] = None,
) -> None:
    """Show one clip: its caption and the changes to it, facets, voice, sound and image.

    Example: dmm data show data/mine rain --html clip.html
    """
    from dmm.files import write_text

    from ..dataset import read_dataset
    from ..inspection.show import collect_clip_record
    from ..inspection.show_page import render_page

    opened = read_dataset(dataset)
    details = collect_clip_record(opened, id)
    print("\n".join(map(printable, _clip_lines(opened, details))))
    if html:
        write_text(html, render_page(opened, details))
    if out:
        _write_image_and_sound(opened, details, out)


def _write_image_and_sound(dataset: "Dataset", details: "ClipRecord", out: Path) -> None:
    """Write the clip's image in colour and its sound to the folder ``out``."""
    from dmm.files import whole_file
    from dmm.sound.audio import write_audio

    from ..inspection.show import original_or_decoded_sound, read_coloured_png

    name = details.row["id"]
    with whole_file(out / f"{name}.png") as partial:
        partial.write_bytes(read_coloured_png(dataset.folder / f"{details.relative_stem}.png"))
    write_audio(
        out / f"{name}.flac", original_or_decoded_sound(dataset, details)[0], dataset.fmt.sr
    )


def _clip_lines(dataset: "Dataset", details: "ClipRecord") -> Iterator[str]:
    """Yield the lines that describe a clip."""
    from ..inspection.show import word_changes
    from ..inspection.show_page import UNITS, VOTES
    from ..inspection.stats_page import format_number

    row = details.row
    start_s, end_s = row["start_s"], row["start_s"] + dataset.fmt.clip_duration_s
    yield f"{row['id']}  ({row['split']}, {start_s:.2f} to {end_s:.2f} s of its track)"
    facts = {name: row[name] for name in ("title", "artist", "album", "licence", "url", "parent")}
    yield from (f"  {name:<12}{value}" for name, value in facts.items() if value)
    yield f"caption, as found ({row['caption_origin']})\n  {row['caption_raw']}"
    for change in row["caption_changes"]:
        signs = {"=": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}
        pieces = word_changes(change["before"] or "", change["after"] or "")
        yield f"  {change['rule']}: " + "".join(signs[sign].format(text) for sign, text in pieces)
    yield f"caption, as trained on ({row['tokens']} tokens)\n  {details.prompt}"
    for facet, values in details.facets.items():
        likely = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        words = ", ".join(f"{value} {p:.2f}" for value, p in likely if p >= 0.05)
        yield f"  {facet:<12}{words}"
    yield from _description_lines(details.description)
    if row["vocal_probability"] is not None:
        yield f"voice: {row['vocal_probability']:.2f}"
    yield from (f"  {name:<24}{VOTES[vote]}" for name, vote in details.evidence.items())
    yield "sound"
    for name, value in details.quality.items():
        title, unit = UNITS[name]
        yield f"  {title:<14}{format_number(value)} {unit}".rstrip()
    if details.augmentation is not None:
        yield f"augmentation: {row['augmentation']}"


def _description_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield facts about the sound, and each value's origin; nothing without a description."""
    if not found:
        return
    tempo = "no steady beat" if found["tempo_bpm"] is None else f"{found['tempo_bpm']:.0f} bpm"
    yield f"by its sound: {tempo}, {found['key']}, {found['density']} notes a second"
    for facet, values in found["origins"].items():
        words = ", ".join(f"{value} ({origin})" for value, origin in sorted(values.items()))
        yield f"  {facet:<12}{words}"
