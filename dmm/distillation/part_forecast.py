"""Steps, disk, memory and time of one part of a distillation.

Networks are built on torch's meta device, which holds no weights; memory of a step is measured on
it, as in ``dmm train --check``.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from ..checkpoints.architecture import Shapes
from ..checkpoints.networks import build_networks
from ..training.forecast.memory.network_pass import (
    GpuEmulation,
    inference_peak_bytes,
    training_peak_bytes,
)
from .decoder import layout_with_tiny_vae
from .model_cost import LATENT_SIDE, MAX_TOKENS, empty_unet_inputs, flops_of, unet_flops
from .parts import Sources
from .presets import Preset, part_of
from .student_sizes import student_shapes
from .teacher import HALF_FROM, Teacher
from .text_encoder import TextReader, layers_to_keep

FULL, HALF = 4, 2
"""Bytes of a number."""
TRAINED = {"adamw": 5, "muon": 4}
"""Numbers in memory for each trained weight: itself, gradient, average, optimizer state."""
SAVED = {"adamw": 4, "muon": 3}
"""Numbers in the saved state for each trained weight."""
BACK = 3
"""Work of a training step, in forward passes."""


@dataclass(frozen=True)
class PartForecast:
    """Steps, disk, memory and time of one part."""

    name: str
    steps: int
    clips: int
    """Examples of all steps."""
    weights: int
    """Trained parameters."""
    disk: int
    """Bytes of state, stored outputs and result."""
    memory: int
    """Peak bytes, with the teacher if it is needed at the same time."""
    seconds: float


def part_forecast(
    preset: Preset, name: str, teacher: Teacher, sources: Sources, speed: float
) -> PartForecast:
    """Forecast a part of the preset; ``speed`` is in floating-point operations per second."""
    make = {"unet": _unet_forecast, "steps": _steps_forecast, "decoder": _decoder_forecast}.get(
        name, _text_encoder_forecast
    )
    return make(preset, name, teacher, sources, speed)


def _unet_forecast(
    preset: Preset, name: str, teacher: Teacher, sources: Sources, speed: float
) -> PartForecast:
    part = part_of(preset, "unet")
    shapes = student_shapes(part, teacher.shapes)
    clips, rows = part.steps * part.batch_size, _rows_per_micro_batch(part, sources)
    with torch.device("meta"):
        student, own = build_networks(shapes)["unet"], build_networks(teacher.shapes)
    size = teacher.settings.fmt.n_mels, teacher.settings.fmt.n_frames
    asked = (part.store or clips) + part.clips * teacher.settings.sampling.steps
    work = 2 * asked * unet_flops(own["unet"], teacher.shapes, *size)
    work += BACK * clips * unet_flops(student, shapes, *size)
    teaching = _teacher_bytes(teacher, own)
    weights = _parameter_count(student)
    learning = _training_bytes(weights, part) + _step_activation_bytes(student, shapes, rows, size)
    memory = max(teaching, learning) if part.store else teaching + learning
    latents = teacher.shapes.latent_channels * size[0] * size[1] // LATENT_SIDE**2
    disk = HALF * latents * (part.store + part.clips) + _embedding_table_bytes(
        teacher, part, sources
    )
    disk += _written_bytes(weights, part) + _copied_networks_bytes(own, "unet")
    return PartForecast(name, part.steps, clips, weights, disk, memory, work / speed)


def _steps_forecast(
    preset: Preset, name: str, teacher: Teacher, sources: Sources, speed: float
) -> PartForecast:
    part = part_of(preset, "steps")
    shapes = student_shapes(preset.unet, teacher.shapes) if preset.unet else teacher.shapes
    with torch.device("meta"):
        networks = build_networks(shapes)
    unet, clips = networks["unet"], part.steps * part.batch_size
    size = teacher.settings.fmt.n_mels, teacher.settings.fmt.n_frames
    each = unet_flops(unet, shapes, *size)
    passes = 1 if preset.unet or teacher.settings.sampling.guidance <= 1 else 2
    objective = passes * part.teacher_steps / part.to + part.to / 2
    weights, trained = _parameter_count(unet), 2 if part.method == "dp-dmd" else 1
    rows = _rows_per_micro_batch(part, sources)
    memory = trained * _training_bytes(weights, part) + FULL * weights
    memory += _step_activation_bytes(unet, shapes, rows, size)
    disk = _written_bytes(weights, part) + _copied_networks_bytes(networks, "unet")
    work = clips * (objective + BACK) * each
    return PartForecast(name, part.steps, clips, weights, disk, memory, work / speed)


def _text_encoder_forecast(
    preset: Preset, name: str, teacher: Teacher, sources: Sources, speed: float
) -> PartForecast:
    part, which = part_of(preset, name), int(name[-1])
    config = list(teacher.shapes.text_configs().values())[which - 1]
    after = TextReader.count_layers_after(teacher)
    kept = len(layers_to_keep(part, config["num_hidden_layers"], after))
    with torch.device("meta"):
        own = list(build_networks(teacher.shapes).values())[which]
    layer = _parameter_count(own.text_model.encoder.layers[0])
    weights = _parameter_count(own) - layer * (config["num_hidden_layers"] - kept)
    clips = part.steps * part.batch_size
    work = 2 * MAX_TOKENS * clips * layer * (config["num_hidden_layers"] + BACK * kept)
    kept_numbers = (
        12 * MAX_TOKENS * config["hidden_size"] * kept * _rows_per_micro_batch(part, sources)
    )
    memory = _training_bytes(weights, part) + FULL * (_parameter_count(own) + kept_numbers)
    disk = _written_bytes(weights, part)
    return PartForecast(name, part.steps, clips, weights, disk, memory, work / speed)


def _decoder_forecast(
    preset: Preset, name: str, teacher: Teacher, sources: Sources, speed: float
) -> PartForecast:
    part = part_of(preset, "decoder")
    shapes = replace(
        teacher.shapes, custom=layout_with_tiny_vae(part, teacher, teacher.shapes.custom)
    )
    with torch.device("meta"):
        vae = build_networks(shapes)["vae"]
        rows, side = _rows_per_micro_batch(part, sources), part.crop
        pixels = torch.empty(rows, 3, side, side)
        latents = torch.empty(rows, shapes.latent_channels, side // 8, side // 8)

        def forward() -> torch.Tensor:
            return vae.encoder(pixels).mean() + vae.decoder(latents).mean()

        known = [*vae.parameters(), pixels, latents]
        step = training_peak_bytes(
            forward, GpuEmulation(torch.bfloat16), known, vae.parameters(), False
        )
        work = BACK * part.steps * flops_of(forward)
    weights, clips = _parameter_count(vae), part.steps * part.batch_size
    memory, disk = _training_bytes(weights, part) + step, _written_bytes(weights, part)
    return PartForecast(name, part.steps, clips, weights, disk, memory, work / speed)


def _training_bytes(weights: int, part: Any) -> int:
    """Bytes of trained weights with gradients, averages and optimizer state."""
    return weights * TRAINED[part.optimizer] * FULL


def _written_bytes(weights: int, part: Any) -> int:
    """Bytes of trained weights in the state and in the result."""
    return weights * (SAVED[part.optimizer] * FULL + HALF)


def _step_activation_bytes(unet: Any, shapes: Shapes, rows: int, size: tuple[int, int]) -> int:
    """Bytes of activations and their gradients in a training step."""
    with torch.device("meta"):
        placed, named = empty_unet_inputs(unet, shapes, rows, *size)
        weights = list(unet.parameters())
        peak = training_peak_bytes(
            lambda: unet(*placed, **named).sample,
            GpuEmulation(torch.bfloat16),
            weights,
            weights,
            False,
        )
    return max(0, peak - FULL * _parameter_count(unet))


def _teacher_bytes(teacher: Teacher, networks: dict[str, Any]) -> int:
    """Bytes of the teacher: its networks, and a guided pass for one clip."""
    unet, others = networks["unet"], [n for part, n in networks.items() if part != "unet"]
    is_half = _parameter_count(unet) >= HALF_FROM and teacher.compute.precision == "bf16"
    size = HALF if is_half else FULL
    fmt = teacher.settings.fmt
    with torch.device("meta"):
        placed, named = empty_unet_inputs(unet, teacher.shapes, 2, fmt.n_mels, fmt.n_frames)
        mode, known = GpuEmulation(torch.bfloat16), list(unet.parameters())
        working = inference_peak_bytes(lambda: unet(*placed, **named), mode, known)
    return size * (_parameter_count(unet) + sum(map(_parameter_count, others))) + working


def _embedding_table_bytes(teacher: Teacher, part: Any, sources: Sources) -> int:
    """Bytes of the embedding table."""
    captions = len(list((sources.dataset / "train").glob("*.txt"))) if sources.dataset else 0
    count = captions * part.variants + part.clips
    return HALF * count * MAX_TOKENS * teacher.shapes.context_dim


def _copied_networks_bytes(networks: dict[str, Any], *parts: str) -> int:
    """Bytes of the networks that are copied into the checkpoint unchanged."""
    return HALF * sum(
        _parameter_count(network) for part, network in networks.items() if part not in parts
    )


def _rows_per_micro_batch(part: Any, sources: Sources) -> int:
    return sources.compute.rows_per_share(part.batch_size)


def _parameter_count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
