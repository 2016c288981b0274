"""``dmm setup``, ``dmm train`` and ``dmm pretrain``."""

from pathlib import Path
from typing import Annotated

import typer


def setup() -> None:
    """Clone the training engine sd-scripts at the pinned commit and check it.

    Example: dmm setup
    """
    from ..engine import set_up_engine

    print(set_up_engine())


def train(
    preset: Annotated[str, typer.Argument(help="Preset name or TOML file, e.g. nano, sdxl-24gb.")],
    dataset: Annotated[Path, typer.Option(help="DATASET folder from dmm data build.")],
    base: Annotated[Path, typer.Option(help="SDXL checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="RUN folder to write.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value over the preset; repeatable.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the LoRA file.")] = "lora",
    resume: Annotated[bool, typer.Option(help="Go on from the newest state in the RUN.")] = False,
) -> None:
    """Train a LoRA on a dataset with sd-scripts; prints the LoRA's path.

    Example: dmm train sdxl-24gb --dataset data --base sd_xl_base_1.0.safetensors --out runs/one
    """
    from ..train import train

    print(train(preset, dataset, base, out, settings or [], name, resume))


def pretrain(
    dataset: Annotated[Path, typer.Argument(help="DATASET folder to learn from.")],
    out: Annotated[Path, typer.Option(help="Checkpoint to write, .safetensors.")],
    extra: Annotated[
        Path | None, typer.Option(help="A second DATASET that only the VAE learns from.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Checkpoint to begin from; 0 steps keep a network of it."),
    ] = None,
    vae_steps: Annotated[int, typer.Option(help="Training steps of the VAE.")] = 1000,
    text_steps: Annotated[int, typer.Option(help="Training steps of the text encoders.")] = 600,
    unet_steps: Annotated[int, typer.Option(help="Training steps of the UNet.")] = 3000,
    batch_size: Annotated[int, typer.Option(help="Clips of a UNet step.", min=1)] = 32,
    decoder_only: Annotated[
        bool, typer.Option("--decoder-only", help="Keep the latents: the VAE's decoder learns.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides weights, batches and noise.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="bf16 or fp32.")] = "bf16",
    compile_: Annotated[
        bool, typer.Option("--compile", help="torch.compile; no gain on a CPU.")
    ] = False,
    accumulate: Annotated[int, typer.Option(help="Micro-batches that share a batch.")] = 1,
) -> None:
    """Train a small SDXL-architecture base from scratch, as models/nano was; hours on a CPU.

    Example: dmm pretrain minimidi-data --out nano.safetensors
    """
    from ..distill.compute import Compute
    from ..distill.nano import pretrain

    compute = Compute(device, precision, compile_, accumulate=accumulate)
    steps = (vae_steps, text_steps, unet_steps)
    print(pretrain(dataset, out, extra, start, *steps, batch_size, decoder_only, seed, compute))
