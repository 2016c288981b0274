"""``dmm bench``: evaluate models on music whose instruments, tempo and key are known."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dmm.cli import add_command
from dmm.commands.options import GuidanceOption, StepsOption
from dmm.errors import InputError
from dmm.files import folder_lock, read_json, sha256_file, write_text

from .listener.scores import score_listener
from .listener.train import train_listener
from .vocals.scores import score_vocals
from .vocals.train import train_vocals

RECORD = "bench.json"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Evaluate models on music whose instruments, tempo and key are known.",
)


def minimidi(
    model: Annotated[Path, typer.Option(help="SDXL checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="Folder for the clips and bench.json.")],
    lora: Annotated[
        Path | None, typer.Option(help="Also evaluate the model with this LoRA.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="Prompts of this style alone; default: the base styles.")
    ] = None,
    prompts: Annotated[
        int, typer.Option(min=1, help="Prompts for instrument pairs in the training set.")
    ] = 100,
    unseen: Annotated[
        int,
        typer.Option(
            min=0, help="Prompts for pairs kept out of training; 0 or --style skips them."
        ),
    ] = 25,
    seeds: Annotated[int, typer.Option(min=2, help="Clips per prompt.")] = 4,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips generated at once.")] = 8,
) -> None:
    """Measure adherence to prompts, distance to real clips, and diversity of a model's clips.

    Prompts and real clips come from MiniMIDI pieces that trained neither a generator nor a judge.
    An interrupted run continues from the clips it has. Prints one table for instrument pairs in the
    training set and one for pairs kept out of it.

    Example: dmm bench minimidi --model models/nano/nano.safetensors --out bench-nano
    """
    from dmm.generation.loading import as_loras
    from dmm.generation.settings import default_sampling
    from dmm.registry import load_embedder
    from eval.listening.judges import load_judges

    from .cases import make_cases
    from .minimidi import EvaluatedModel, evaluate_with_baselines
    from .table import markdown_table, rows_as_json

    judges, embedder = load_judges(), load_embedder("nano-clap")
    sampling = default_sampling(model, as_loras(lora or ())).override(
        steps=steps, guidance=guidance
    )
    evaluated = EvaluatedModel(model, lora, sampling, batch_size)
    groups = {"known pairs" if style is None else style: (prompts, False)}
    if unseen and style is None:
        groups["unseen pairs"] = (unseen, True)
    found: dict[str, Any] = {
        "model_sha256": sha256_file(model),
        "lora_sha256": sha256_file(lora) if lora else None,
        "embedder": {"name": embedder.name, "version": embedder.version},
        "judges": judges.version,
        "steps": sampling.steps,
        "guidance": sampling.guidance,
    }
    with folder_lock(out):
        record_model(out, found)
        for title, (count, is_unseen) in groups.items():
            chosen = make_cases(count, seeds, style, is_unseen)
            rows = evaluate_with_baselines(
                evaluated, chosen, judges, embedder, out / title.replace(" ", "-")
            )
            found[title] = {"prompts": len(chosen), "rows": rows_as_json(rows)}
            print(f"\n{title}: {len(chosen)} prompts x {seeds} seeds\n\n{markdown_table(rows)}")
        write_text(out / RECORD, json.dumps(found, indent=2) + "\n")


def record_model(out: Path, found: dict[str, Any]) -> None:
    """Write a run's facts before its first clip; InputError if ``out`` is another model's.

    Clips that went through the VAE are kept by name alone, and real ones are at its sample rate.
    """
    record = out / RECORD
    if not record.is_file():
        write_text(record, json.dumps(found, indent=2) + "\n")
    elif read_json(record).get("model_sha256") != found["model_sha256"]:
        raise InputError(f"{out}: holds the clips of another model; name another folder by --out")


def card(
    out: Annotated[Path, typer.Option(dir_okay=False, help="JSON file to write.")] = Path(
        "card.json"
    ),
    base: Annotated[
        Path | None,
        typer.Option(help="SDXL checkpoint.", show_default="random weights of SDXL 1.0's sizes"),
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", help="Mel format of the clips.")
    ] = "sdxl-512",
    presets: Annotated[
        list[str] | None,
        typer.Option("--preset", help="Preset to train three steps with; repeatable."),
    ] = None,
    student: Annotated[str, typer.Option(help="Preset of presets/distill.")] = "unet-330m",
    minutes: Annotated[
        float, typer.Option(min=0, help="No measurement begins after so many minutes.")
    ] = 10.0,
) -> None:
    """Measure this machine's card: training beside stock sd-scripts, generation, VAE, CLAP.

    Forecasts of memory stand beside what was measured. dmm train --check then forecasts the time of
    a training on this machine.

    Example: dmm bench card --out card.json
    """
    from rich.console import Console

    from .card.measure import MeasurementPlan, measure_card, table
    from .card.trainings import PRESETS

    plan = MeasurementPlan(base, format_name, presets or PRESETS, student, minutes=minutes)
    Console().print(table(measure_card(plan, out)))
    print(out)


for command in (train_listener, score_listener, train_vocals, score_vocals, minimidi, card):
    add_command(app, command)
