"""The command ``dmm export``."""

import json as json_format
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..bundles.schema import Bundle, Parity
    from ..export.exporter import ExportOptions
    from ..export.scoring import ClipScorer

PRECISION, SAMPLING, COMPARISON = "Precision and files", "Sampling defaults", "Comparison"


class PrecisionName(StrEnum):
    """Precision of a part's weights and arithmetic."""

    fp32 = "fp32"
    fp16 = "fp16"
    mixed = "mixed"
    int8 = "int8"
    int4 = "int4"


def export(
    path: Annotated[Path, typer.Argument(help="Checkpoint; with --verify a BUNDLE.")],
    out: Annotated[Path | None, typer.Option(help="BUNDLE folder to write.")] = None,
    lora: Annotated[
        list[str] | None, typer.Option(help="FILE or FILE:WEIGHT to merge; repeatable.")
    ] = None,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Only report what half precision would break.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare a BUNDLE with PyTorch again from its files.")
    ] = False,
    unet: Annotated[
        PrecisionName,
        typer.Option(help="Precision of the UNet.", rich_help_panel=PRECISION),
    ] = PrecisionName.mixed,
    text_encoders: Annotated[
        PrecisionName, typer.Option(help="Of the text encoders.", rich_help_panel=PRECISION)
    ] = PrecisionName.mixed,
    vae: Annotated[
        PrecisionName, typer.Option(help="Of the VAE decoder.", rich_help_panel=PRECISION)
    ] = PrecisionName.mixed,
    static: Annotated[
        bool,
        typer.Option("--static", help="Fix batch (1) and width.", rich_help_panel=PRECISION),
    ] = False,
    shard_mb: Annotated[
        int,
        typer.Option(min=1, max=2000, help="Largest weight file, MiB.", rich_help_panel=PRECISION),
    ] = 256,
    sampler: Annotated[
        str | None, typer.Option(help="Default: the checkpoint's.", rich_help_panel=SAMPLING)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Default: the checkpoint's.", rich_help_panel=SAMPLING)
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Default: the checkpoint's.", rich_help_panel=SAMPLING)
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option(help="What clips should not contain.", rich_help_panel=SAMPLING)
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="File of prompts to suggest and test with, one a line.", rich_help_panel=SAMPLING
        ),
    ] = None,
    music_licence: Annotated[
        list[str] | None,
        typer.Option(help="Licence of the training music; repeatable.", rich_help_panel=SAMPLING),
    ] = None,
    clips: Annotated[
        int,
        typer.Option(
            min=0,
            help="Clips to score, such as 100; with --verify, score those of the export again.",
            rich_help_panel=COMPARISON,
        ),
    ] = 0,
    embedder: Annotated[
        str, typer.Option(help="Scores them: nano-clap or clap.", rich_help_panel=COMPARISON)
    ] = "nano-clap",
    weights: Annotated[
        Path | None, typer.Option(help="Folder of its weights.", rich_help_panel=COMPARISON)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Results as JSON.")] = False,
) -> None:
    """Write a checkpoint as a BUNDLE that a browser, a phone or ONNX Runtime can play.

    It is compared with PyTorch and written only if it passes. Precisions are fp32, fp16, mixed,
    int8 and int4; mixed is half precision, except where the precision doctor finds overflows when
    it samples two clips.

    Example: dmm export models/nano/nano.safetensors --out nano-bundle
    """
    if (doctor and verify) or (out is None) != (doctor or verify):
        raise typer.BadParameter("give exactly one of --out BUNDLE, --doctor and --verify")
    if clips == 1:
        raise typer.BadParameter("--clips 1: FAD needs 2 clips or more")
    if verify:
        _print_verification(path, _clip_scorer(embedder, weights) if clips else None, json)
        return
    stated = {
        "sampler": sampler, "steps": steps, "guidance": guidance, "negative_prompt": negative_prompt
    }  # fmt: skip
    options = _export_options(path, lora, prompts, clips, stated)
    if doctor:
        _print_diagnosis(options, json)
        return
    from ..export.exporter import export as export_bundle
    from ..export.precision import Precisions

    assert out is not None
    options = replace(
        options,
        precisions=Precisions(unet.value, text_encoders.value, vae.value),
        shard_mb=shard_mb,
        static=static,
        music=tuple(music_licence or ()),
    )
    bundle = export_bundle(options, out, _clip_scorer(embedder, weights) if clips else None)
    if json:
        print(bundle.model_dump_json(indent=1))
        return
    _print_summary(bundle, out)


def _export_options(
    model: Path,
    lora: list[str] | None,
    prompts_file: Path | None,
    clips: int,
    stated: dict[str, Any],
) -> "ExportOptions":
    """Export options: the model's own sampling except for ``stated``, and a prompt per clip."""
    from ..export.exporter import SUGGESTED_PROMPTS, ExportOptions, default_prompts
    from ..generation.loading import Lora
    from ..generation.prompts import gather_prompts
    from ..generation.settings import resolve_settings

    loras = tuple(map(Lora.parse, lora or ()))
    settings = resolve_settings(model, loras)
    settings = replace(settings, sampling=settings.sampling.override(**stated))
    if prompts_file:
        found = gather_prompts((), prompts_file, None, None, 0)
    else:
        found = default_prompts(settings.fmt, max(clips, SUGGESTED_PROMPTS))
    if clips:
        found = [found[number % len(found)] for number in range(clips)]
    return ExportOptions(model, settings, tuple(found), loras)


def _clip_scorer(embedder: str, weights: Path | None) -> "ClipScorer":
    from ..export.scoring import ClipScorer

    return ClipScorer(embedder, weights)


def _print_verification(folder: Path, scorer: "ClipScorer | None", as_json: bool) -> None:
    """Compare a bundle with PyTorch again from its files, and print the comparisons."""
    from ..export.parity import verify

    rows = verify(folder, scorer)
    if as_json:
        print(json_format.dumps([row.model_dump() for row in rows], indent=1))
        return
    print(*map(_parity_line, rows), sep="\n")


def _print_diagnosis(options: "ExportOptions", as_json: bool) -> None:
    """Find the nodes that half precision would break, and print them for each part."""
    from ..export.doctor import finding_lines
    from ..export.exporter import diagnose_only

    found = diagnose_only(options, Path.cwd())
    if as_json:
        parts = {part: [asdict(finding) for finding in of] for part, of in found.items()}
        print(json_format.dumps(parts, indent=1))
        return
    for part, findings in found.items():
        print(
            f"{part}: {len(findings)} nodes need care in fp16", *finding_lines(findings), sep="\n"
        )


def _print_summary(bundle: "Bundle", out: Path) -> None:
    """Print sizes, memory and parity of each part, advice for browsers, then the folder."""
    from ..export.memory import MB, advise

    for name, part in bundle.parts.items():
        size = (part.model.bytes + sum(file.bytes for file in part.data)) / MB
        line = f"{name:<15}{part.precision:<6}{size:9,.1f} MB"
        if part.memory:
            peaks = (part.memory.webgpu_peak_bytes, part.memory.wasm_peak_bytes)
            line += "   memory: {:,.0f} MB on WebGPU, {:,.0f} MB in wasm".format(
                *(peak / MB for peak in peaks)
            )
        print(line)
    print(*map(_parity_line, bundle.parity), sep="\n")
    for advice in advise(bundle):
        print(f"note: {advice.part} {advice.sentence}")
    print(out)


def _parity_line(row: "Parity") -> str:
    """One line of text for one comparison."""
    if row.adherence is not None:
        return (
            f"{row.part:<15}adherence {row.adherence} points (PyTorch {row.adherence_expected}), "
            f"FAD to PyTorch's {row.fad}, {row.clips} clips ({row.against})"
        )
    image = "" if row.psnr_db is None else f", mel image {row.psnr_db} dB"
    error = "not finite" if row.relative_error is None else f"{row.relative_error:.2g}"
    return f"{row.part:<15}{row.precision or '':<6}{error} from {row.against}{image}"
