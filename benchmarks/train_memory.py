"""Memory of real training steps compared with the forecast: ``python benchmarks/train_memory.py``.

A real step runs the engine's own UNet and LoRA with random weights on a CPU in full precision:
forward, loss, backward, update. Its memory is read from torch's allocator by the profiler,
independently of the forecast's method. The models are nano and an SDXL of two fifths of the width.
Prints the table's header and one Markdown row each: date, commit, machine, model, pixels, batch,
checkpointing, MiB of activations and gradients (forecast, measured, ratio), MiB that stay allocated
(forecast, measured), and seconds of a new forecast.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from provenance import provenance
from torch.profiler import ProfilerActivity, profile

from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.sdxl_shapes import SIZE_EMBEDDING, SdxlShapes
from dmm.engine import find_engine
from dmm.pretraining.nano import NANO
from dmm.training.forecast.memory.count_step import count_step
from dmm.training.forecast.memory.optimizer import optimizer_bytes
from dmm.training.forecast.memory.step import TrainingStep

MIB = 2**20
TE = TextEncoderShapes(vocab_size=1024, hidden_size=256, intermediate_size=1024, num_layers=2)
NARROW = SdxlShapes(
    latent_channels=4,
    model_channels=128,
    time_embed_dim=512,
    adm_channels=TE.hidden_size + SIZE_EMBEDDING,
    context_dim=2 * TE.hidden_size,
    depths=(2, 4),
    te1=TE,
    te2=TE,
    vae_channels=(32, 32, 64, 64),
    vae_layers=1,
)
CASES = [
    (name, TrainingStep(shapes, size, size, batch, 16, 8, checkpointing=checkpointing))
    for name, shapes, size, batches in (
        ("nano", NANO, 256, (1, 2, 4)),
        ("narrow SDXL", NARROW, 512, (1, 2)),
    )
    for batch in batches
    for checkpointing in (False, True)
]
HEADER = (
    "| date | commit | machine | model | pixels | batch | checkpointing | step forecast MiB"
    " | step measured MiB | ratio | resting forecast MiB | resting measured MiB | seconds |\n|"
    + "---|"
    * 13
)


class RealStep:
    """The engine's UNet with a LoRA, and a batch."""

    def __init__(self, step: TrainingStep) -> None:
        from library import sdxl_original_unet
        from networks import lora

        from dmm_ext.any_width import use_checkpoint_sizes

        with use_checkpoint_sizes(step.shapes):
            self.unet = sdxl_original_unet.SdxlUNet2DConditionModel()
        self.unet.requires_grad_(False)
        self.unet.set_use_sdpa(True)
        conv = {"conv_dim": str(step.conv_rank), "conv_alpha": "1"}
        self.network = lora.create_network(1.0, step.rank, 1.0, None, [], self.unet, **conv)
        self.network.apply_to([], self.unet, False, True)
        if step.checkpointing:
            self.unet.enable_gradient_checkpointing()
        self.unet.train(step.checkpointing)
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        shapes, edge = step.shapes, step.width // 8
        latents = torch.randn(step.batch, shapes.latent_channels, edge, edge)
        self.batch = (
            latents.requires_grad_(),
            torch.randint(0, 1000, (step.batch,)),
            torch.randn(step.batch, 77, shapes.context_dim),
            torch.randn(step.batch, shapes.adm_channels),
        )

    def run(self) -> None:
        """Forward and backward pass, which contain the peak."""
        found = self.unet(*self.batch)
        (found.float() - torch.randn_like(found)).square().mean().backward()

    def update(self) -> None:
        """Optimizer step at the end of a training step."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.batch[0].grad = None

    def resting_bytes(self) -> int:
        """Bytes of UNet, LoRA and optimizer state."""
        states = [v for state in self.optimizer.state.values() for v in state.values()]
        tensors = [*self.unet.parameters(), *self.network.parameters(), *states]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peak_bytes(call: Callable[[], object]) -> int:
    """Peak bytes of torch's allocator during a call, relative to before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    results: Any = profiler.profiler
    events = [e for e in results.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@contextmanager
def engine_modules() -> Iterator[None]:
    """Make sd-scripts importable in a block, without its log messages."""
    sys.path.insert(0, str(find_engine()))
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        sys.path.pop(0)


def row(name: str, step: TrainingStep) -> str:
    """The Markdown row of one case."""
    began = time.monotonic()
    forecast = count_step(step)
    seconds = time.monotonic() - began
    state = optimizer_bytes("adamw", forecast.lora, 4) or 0
    resting = 4 * (forecast.unet + forecast.lora_parameters) + state
    real = RealStep(step)
    real.run()
    real.update()  # allocates the optimizer's state
    measured = peak_bytes(real.run)
    real.update()
    cells = (
        *provenance("1 thread"),
        name,
        str(step.width),
        str(step.batch),
        "yes" if step.checkpointing else "no",
        f"{forecast.step / MIB:.1f}",
        f"{measured / MIB:.1f}",
        f"{forecast.step / measured:.3f}",
        f"{resting / MIB:.1f}",
        f"{real.resting_bytes() / MIB:.1f}",
        f"{seconds:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure every case."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(HEADER)
    with engine_modules():
        for name, step in CASES:
            print(row(name, step), flush=True)


if __name__ == "__main__":
    main()
