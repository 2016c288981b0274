"""``dmm export``."""

import json as json_format
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..bundles.schema import Bundle, Parity

WEIGHTS, USE, CHECK = "Precision and files", "How clips are made", "Comparison with PyTorch"


class PrecisionName(StrEnum):
    """What a part is computed in, or how its weights are kept."""

    fp32 = "fp32"
    fp16 = "fp16"
    mixed = "mixed"
    int8 = "int8"
    int4 = "int4"


def export(
    path: Annotated[Path, typer.Argument(help="Checkpoint; with --verify a BUNDLE.")],
    out: Annotated[Path | None, typer.Option(help="BUNDLE folder to write.")] = None,
    lora: Annotated[
        list[str] | None, typer.Option(help="FILE or FILE:WEIGHT; may be given several times.")
    ] = None,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Only say what half precision would break.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare a BUNDLE with PyTorch again, by its files.")
    ] = False,
    unet: Annotated[
        PrecisionName,
        typer.Option(help="fp32, fp16, mixed, int8 or int4.", rich_help_panel=WEIGHTS),
    ] = PrecisionName.mixed,
    text_encoders: Annotated[
        PrecisionName, typer.Option(help="The same.", rich_help_panel=WEIGHTS)
    ] = PrecisionName.mixed,
    vae: Annotated[
        PrecisionName, typer.Option(help="The same, of the decoder.", rich_help_panel=WEIGHTS)
    ] = PrecisionName.mixed,
    static: Annotated[
        bool,
        typer.Option("--static", help="One row and one width only.", rich_help_panel=WEIGHTS),
    ] = False,
    shard_mb: Annotated[
        int, typer.Option(min=1, max=2000, help="Most of a file, in MiB.", rich_help_panel=WEIGHTS)
    ] = 256,
    sampler: Annotated[
        str | None, typer.Option(help="Default: the checkpoint's.", rich_help_panel=USE)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Default: the checkpoint's.", rich_help_panel=USE)
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Default: the checkpoint's.", rich_help_panel=USE)
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option(help="What to stay away from.", rich_help_panel=USE)
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Prompts that go well, one a line.", rich_help_panel=USE),
    ] = None,
    music_licence: Annotated[
        list[str] | None,
        typer.Option(help="Of the music behind the weights; repeatable.", rich_help_panel=USE),
    ] = None,
    clips: Annotated[
        int,
        typer.Option(min=0, help="Clips to listen to, such as 100.", rich_help_panel=CHECK),
    ] = 0,
    embedder: Annotated[
        str, typer.Option(help="That listens: nano-clap or clap.", rich_help_panel=CHECK)
    ] = "nano-clap",
    weights: Annotated[
        Path | None, typer.Option(help="Folder of its weights.", rich_help_panel=CHECK)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Results as JSON.")] = False,
) -> None:
    """Write a checkpoint as a BUNDLE that a browser, a phone or ONNX Runtime can play.

    It is compared with PyTorch and written only if it passes. mixed is half precision, but for what
    would overflow: the precision doctor runs two clips to find out.

    Example: dmm export models/nano/nano.safetensors --out nano-bundle
    """
    if (doctor and verify) or (out is None) != (doctor or verify):
        raise typer.BadParameter("one of --out BUNDLE, --doctor and --verify")
    if verify:
        _verify(path, _judge(embedder, weights) if clips else None, json)
        return
    order = _order(path, lora, prompts, clips, {
        "sampler": sampler, "steps": steps, "guidance": guidance, "negative_prompt": negative_prompt
    })  # fmt: skip
    if doctor:
        _diagnose(order, json)
        return
    from ..export.export import export as export_bundle
    from ..export.precision import Precisions

    assert out is not None
    order = replace(
        order,
        precisions=Precisions(unet.value, text_encoders.value, vae.value),
        shard_mb=shard_mb,
        static=static,
        music=tuple(music_licence or ()),
    )
    bundle = export_bundle(order, out, _judge(embedder, weights) if clips else None)
    if json:
        print(bundle.model_dump_json(indent=1))
        return
    _report(bundle, out)


def _order(
    model: Path, lora: list[str] | None, file: Path | None, clips: int, stated: dict[str, Any]
) -> Any:
    """The export that is asked for, with the checkpoint's own settings where none is stated."""
    from ..export.export import EXAMINED, GO_WELL, Order
    from ..generation.loading import Lora
    from ..generation.prompts import gather_prompts
    from ..generation.settings import resolve_settings

    loras = tuple(map(Lora.parse, lora or ()))
    settings = resolve_settings(model, loras)
    settings = replace(settings, sampling=settings.sampling.override(**stated))
    grammar = "minimidi" if settings.fmt.name == "nano" else "music"
    count = max(clips, GO_WELL, EXAMINED)
    found = gather_prompts((), file, None if file else grammar, None if file else count, 0)
    if clips:
        found = [found[number % len(found)] for number in range(clips)]
    return Order(model, settings, tuple(found), loras)


def _judge(embedder: str, weights: Path | None) -> Any:
    from ..export.scoring import Judge

    return Judge(embedder, weights)


def _verify(folder: Path, judge: Any, as_json: bool) -> None:
    from ..export.parity import verify

    rows = verify(folder, judge)
    if as_json:
        print(json_format.dumps([row.model_dump() for row in rows], indent=1))
        return
    print(*map(_row, rows), sep="\n")


def _diagnose(order: Any, as_json: bool) -> None:
    from ..export.doctor import summary
    from ..export.export import diagnose_only

    found = diagnose_only(order, Path.cwd())
    if as_json:
        told = {part: [asdict(finding) for finding in of] for part, of in found.items()}
        print(json_format.dumps(told, indent=1))
        return
    for part, findings in found.items():
        print(f"{part}: {len(findings)} nodes are not simply in fp16", *summary(findings), sep="\n")


def _report(bundle: "Bundle", out: Path) -> None:
    """Sizes, memory and parity of each part, then what follows for a page, then the folder."""
    from ..export.memory import MB, advise

    for name, part in bundle.parts.items():
        size = (part.model.bytes + sum(file.bytes for file in part.data)) / MB
        line = f"{name:<15}{part.precision:<6}{size:9,.1f} MB"
        if part.memory:
            peaks = (part.memory.webgpu_peak_bytes, part.memory.wasm_peak_bytes)
            line += "   at most {:,.0f} MB on WebGPU, {:,.0f} MB in wasm".format(
                *(peak / MB for peak in peaks)
            )
        print(line)
    print(*map(_row, bundle.parity), sep="\n")
    for advice in advise(bundle):
        print(f"note: {advice.part} {advice.sentence}")
    print(out)


def _row(row: "Parity") -> str:
    """How far something is from PyTorch, in a line."""
    if row.adherence is not None:
        return (
            f"{row.part:<15}adherence {row.adherence} points (PyTorch {row.adherence_expected}), "
            f"FAD to PyTorch's {row.fad}, {row.clips} clips ({row.against})"
        )
    image = "" if row.psnr_db is None else f", mel image {row.psnr_db} dB"
    return f"{row.part:<15}{row.relative_error:.2g} from {row.against}{image}"
