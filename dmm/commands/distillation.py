"""``dmm distill``: make small, fast students of a model, part by part or all at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..choices import Offload
from ..cli import add_command
from ..shared_options import with_options
from .options import MACHINE, DeviceOption, OffloadOption

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Small, fast students of a model: its UNet, its steps, its text encoders, its decoder.",
)

Teacher = Annotated[Path, typer.Option(help="SD 1.5 or SDXL checkpoint to learn from.")]
Lora = Annotated[list[str] | None, typer.Option(help="FILE or FILE:WEIGHT on it; repeatable.")]
Dataset = Annotated[Path | None, typer.Option(help="DATASET folder: images and captions.")]
Prompts = Annotated[
    str | None, typer.Option(help="A grammar of presets/prompts, or a file with one prompt a line.")
]
Out = Annotated[Path, typer.Option(dir_okay=False, help="Checkpoint to write, .safetensors.")]
PresetName = Annotated[str, typer.Option(help="Preset of presets/distill, or a TOML file.")]
Check = Annotated[
    bool, typer.Option("--check", help="Only forecast steps, hours, disk and memory.")
]


@dataclass(frozen=True)
class Machine:
    """Seed and machine of a distillation."""

    seed: int
    compute: Any
    offload: Offload

    def sources(self, dataset: Path | None, prompts: str | None = None) -> Any:
        """Training data and prompts, with this seed and machine."""
        from ..distillation.parts import Sources

        return Sources(dataset, prompts, self.seed, self.compute, self.offload)


def machine_options(
    seed: Annotated[int, typer.Option(help="Seed of weights, batches and noise.")] = 0,
    device: DeviceOption = "auto",
    precision: Annotated[str, typer.Option(help="bf16 or fp32.", rich_help_panel=MACHINE)] = "bf16",
    accumulate: Annotated[
        int,
        typer.Option(min=1, help="Micro-batches that share a batch.", rich_help_panel=MACHINE),
    ] = 1,
    offload: OffloadOption = "none",
) -> Machine:
    """Seed and machine, from options that every command here has."""
    from ..fitting.compute import Compute

    return Machine(seed, Compute(device, precision, accumulate=accumulate), offload)


with_machine = with_options("machine", machine_options)
"""Decorates a command: adds these options, and passes them as ``machine``."""


@with_machine
def unet(
    teacher: Teacher,
    student: PresetName,
    out: Out,
    machine: Machine,
    dataset: Dataset = None,
    prompts: Prompts = None,
    lora: Lora = None,
    check: Check = False,
) -> None:
    """A smaller UNet that predicts in one pass what the teacher predicts with guidance in two.

    Example: dmm distill unet --teacher mine.safetensors --student unet-330m --dataset data
    --out small.safetensors
    """
    from ..distillation.parts import distil_unet
    from ..distillation.presets import load_preset

    preset = load_preset(student)
    sources = machine.sources(dataset, prompts)
    if check:
        return _print_forecast_and_exit(
            preset, ("unet",), teacher, _parse_loras(lora), sources, out
        )
    print(distil_unet(teacher, _parse_loras(lora), preset, sources, out))


@with_machine
def steps(
    model: Annotated[Path, typer.Option(help="Checkpoint to distil to fewer steps.")],
    out: Out,
    machine: Machine,
    to: Annotated[int | None, typer.Option(min=1, help="UNet passes a clip.")] = None,
    method: Annotated[str | None, typer.Option(help="progressive, dp-dmd or consistency.")] = None,
    rank: Annotated[
        int | None, typer.Option(min=0, help="Write a LoRA of this rank; 0: all weights.")
    ] = None,
    preset: PresetName = "base",
    dataset: Dataset = None,
    prompts: Prompts = None,
    lora: Lora = None,
    check: Check = False,
) -> None:
    """Sampling in a few steps, as a checkpoint or a LoRA; dmm generate then uses them by default.

    Example: dmm distill steps --model small.safetensors --to 4 --prompts music
    --out fast.safetensors
    """
    from ..distillation.few_steps.training import distil_steps
    from ..distillation.presets import load_preset, override_part

    found = override_part(load_preset(preset), "steps", to=to, method=method, rank=rank)
    sources = machine.sources(dataset, prompts)
    if check:
        return _print_forecast_and_exit(found, ("steps",), model, _parse_loras(lora), sources, out)
    print(distil_steps(model, _parse_loras(lora), found, sources, out))


@with_machine
def text_encoder(
    teacher: Teacher,
    out: Out,
    which: Annotated[int, typer.Option(min=1, max=2, help="First or second text encoder.")],
    machine: Machine,
    layers: Annotated[int | None, typer.Option(min=2, help="Number of layers to keep.")] = None,
    ratio: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Number of layers as a share.")
    ] = None,
    preset: PresetName = "base",
    dataset: Dataset = None,
    prompts: Prompts = None,
    lora: Lora = None,
    check: Check = False,
) -> None:
    """A text encoder of fewer layers that the teacher's UNet, and its students', can read.

    Example: dmm distill text-encoder --teacher mine.safetensors --which 2 --ratio 0.25
    --prompts music --out short.safetensors
    """
    from ..distillation.parts import distil_text_encoder
    from ..distillation.presets import load_preset, override_part

    part = f"text_encoder_{which}"
    found = override_part(load_preset(preset), part, layers=layers, ratio=ratio)
    sources = machine.sources(dataset, prompts)
    if check:
        return _print_forecast_and_exit(found, (part,), teacher, _parse_loras(lora), sources, out)
    print(distil_text_encoder(teacher, _parse_loras(lora), which, found, sources, out))


@with_machine
def decoder(
    teacher: Teacher,
    dataset: Annotated[Path, typer.Option(help="DATASET folder with training images.")],
    out: Out,
    machine: Machine,
    preset: PresetName = "base",
    check: Check = False,
) -> None:
    """A tiny VAE for the teacher's latents, for half precision and little memory.

    Example: dmm distill decoder --teacher mine.safetensors --dataset data --out light.safetensors
    """
    from ..distillation.parts import distil_decoder
    from ..distillation.presets import load_preset

    found = load_preset(preset)
    sources = machine.sources(dataset)
    if check:
        return _print_forecast_and_exit(found, ("decoder",), teacher, (), sources, out)
    print(distil_decoder(teacher, (), found, sources, out))


@with_machine
def everything(
    preset: Annotated[str, typer.Argument(help="Preset of presets/distill, or a TOML file.")],
    teacher: Teacher,
    dataset: Annotated[Path, typer.Option(help="DATASET folder: images and captions.")],
    out: Annotated[Path, typer.Option(help="Folder for the student and the report.")],
    machine: Machine,
    prompts: Prompts = None,
    lora: Lora = None,
    check: Check = False,
    embedder: Annotated[str | None, typer.Option(help="Embedder for the report's scores.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights of the embedder.")] = None,
    clips: Annotated[int, typer.Option(min=2, help="Prompts of the report.")] = 16,
) -> None:
    """UNet, steps, text encoders and decoder in this order, one checkpoint and one report.

    Repeat an interrupted command to continue it.

    Example: dmm distill all unet-330m --teacher mine.safetensors --dataset data --out student
    """
    from ..distillation.all_parts import PARTS, distil_all, refuse_lora_of_steps
    from ..distillation.presets import load_preset
    from ..distillation.report import ReportOptions

    found = load_preset(preset)
    sources = machine.sources(dataset, prompts)
    if check:
        refuse_lora_of_steps(found)
        return _print_forecast_and_exit(found, PARTS, teacher, _parse_loras(lora), sources, out)
    options = ReportOptions(embedder, weights, clips)
    print(*distil_all(teacher, _parse_loras(lora), found, sources, out, options), sep="\n")


def _parse_loras(texts: list[str] | None) -> Any:
    from ..generation.loading import Lora

    return tuple(Lora.parse(text) for text in texts or ())


def _print_forecast_and_exit(
    preset: Any, parts: tuple[str, ...], model: Path, loras: Any, sources: Any, out: Path
) -> None:
    """Print the forecast of a distillation; exit code 0 if it fits this machine, else 1."""
    from ..distillation.forecast import forecast
    from ..distillation.forecast_table import print_forecast

    found = forecast(preset, parts, model, loras, sources, out)
    print_forecast(found)
    raise typer.Exit(0 if found.fits else 1)


for command, name in (
    (unet, "unet"),
    (steps, "steps"),
    (text_encoder, "text-encoder"),
    (decoder, "decoder"),
    (everything, "all"),
):
    add_command(app, command, name)
