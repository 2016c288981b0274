"""The commands ``dmm setup``, ``dmm train`` and ``dmm pretrain``."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DmmError
from .options import MACHINE, DeviceOption

CHECK, CONTINUE, COST = "Check without training", "Continue", "Cost"
NETWORKS = "Training of each network"


def setup() -> None:
    """Clone the training engine sd-scripts at the pinned commit and check it.

    Example: dmm setup
    """
    from ..engine import set_up_engine

    print(set_up_engine())


def train(
    preset: Annotated[
        str | None, typer.Argument(help="Preset, such as sdxl-24gb, nano-cpu or sdxl-24gb+rank-64.")
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="DATASET folder of dmm data build.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="RUN folder to write.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value to change in the preset; repeatable."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the LoRA file.")] = "lora",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue from the newest state in --out.",
            rich_help_panel=CONTINUE,
        ),
    ] = False,
    from_weights: Annotated[
        Path | None,
        typer.Option(help="LoRA to start from, of any rank.", rich_help_panel=CONTINUE),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(min=1, help="Number of GPUs, or CPU processes.", rich_help_panel=MACHINE),
    ] = 1,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Report faults, steps, disk and memory, and do not train.",
            rich_help_panel=CHECK,
        ),
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="With --check: time three real steps.", rich_help_panel=CHECK
        ),
    ] = False,
    vram: Annotated[
        float | None,
        typer.Option(
            help="With --check: GPU memory in GB.",
            show_default="this machine's",
            rich_help_panel=CHECK,
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(
            help="Of energy or of an hour: 0.30/kWh or 0.25/h; for --check and RUN.md.",
            show_default="that of dmm doctor --set",
            rich_help_panel=COST,
        ),
    ] = None,
    watts: Annotated[
        float | None,
        typer.Option(
            help="Drawn by the whole machine while it trains.",
            show_default="those of dmm doctor --set",
            rich_help_panel=COST,
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(help="Explain this setting, and do not train.", rich_help_panel=CHECK),
    ] = None,
) -> None:
    """Train a LoRA on a dataset with sd-scripts; prints the LoRA's path.

    Training needs PRESET, --dataset, --base and --out; --check all but --out; --explain none.

    Example: dmm train sdxl-24gb --dataset data --base sd_xl_base_1.0.safetensors --out runs/one
    """
    if explain:
        from ..training.explain import explain as explanation

        print(explanation(explain))
        return
    if preset is None or dataset is None or base is None:
        raise typer.BadParameter("PRESET, --dataset and --base are needed (or --explain KEY)")
    if check:
        from ..training.check_run import check_run, print_report
        from ..training.cost import tariff_here

        tariff = tariff_here(price, watts)
        report = check_run(preset, dataset, base, out, settings or [], calibrate, vram, tariff)
        print_report(report)
        raise typer.Exit(0 if report.may_start else 1)
    if out is None:
        raise typer.BadParameter("--out RUN is needed: the folder that the run is written to")
    from ..training.runs import newest_state
    from ..training.train import train

    words = settings or []
    try:
        lora = train(
            preset, dataset, base, out, words, name, resume, from_weights, processes, price, watts
        )
        print(lora)
    except KeyboardInterrupt:
        state = newest_state(out)
        saved = (
            f"the state {state.name} is saved, continue with --resume" if state else "no state yet"
        )
        raise DmmError(f"{out}: interrupted; {saved}") from None


def pretrain(
    dataset: Annotated[
        Path, typer.Argument(help="DATASET folder of dmm data build --format nano.")
    ],
    out: Annotated[Path, typer.Option(dir_okay=False, help="Checkpoint to write, .safetensors.")],
    extra: Annotated[
        Path | None,
        typer.Option(help="Second DATASET folder of that format, for the VAE only."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Checkpoint to start from; 0 steps keep its network."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, batches and noise.")] = 0,
    vae_steps: Annotated[
        int, typer.Option(help="Training steps of the VAE.", rich_help_panel=NETWORKS)
    ] = 1000,
    text_steps: Annotated[
        int, typer.Option(help="Training steps of the text encoders.", rich_help_panel=NETWORKS)
    ] = 600,
    unet_steps: Annotated[
        int, typer.Option(help="Training steps of the UNet.", rich_help_panel=NETWORKS)
    ] = 3000,
    batch_size: Annotated[
        int, typer.Option(help="Clips in a UNet step.", min=1, rich_help_panel=NETWORKS)
    ] = 32,
    decoder_only: Annotated[
        bool,
        typer.Option(
            "--decoder-only",
            help="Train only the VAE's decoder, so that latents stay the same.",
            rich_help_panel=NETWORKS,
        ),
    ] = False,
    device: DeviceOption = "auto",
    precision: Annotated[str, typer.Option(help="bf16 or fp32.", rich_help_panel=MACHINE)] = "bf16",
    compile_: Annotated[
        bool,
        typer.Option(
            "--compile", help="Use torch.compile; no gain on a CPU.", rich_help_panel=MACHINE
        ),
    ] = False,
    accumulate: Annotated[
        int,
        typer.Option(help="Micro-batches that a batch is split into.", rich_help_panel=MACHINE),
    ] = 1,
) -> None:
    """Train a small base of SDXL's architecture from scratch, as models/nano was; hours on a CPU.

    Example: dmm pretrain nano-data --out nano.safetensors
    """
    from ..fitting.compute import Compute
    from ..pretraining.nano import pretrain

    compute = Compute(device, precision, compile_, accumulate=accumulate)
    steps = (vae_steps, text_steps, unet_steps)
    print(pretrain(dataset, out, extra, start, *steps, batch_size, decoder_only, seed, compute))
