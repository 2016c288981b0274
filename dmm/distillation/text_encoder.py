"""A text encoder of fewer layers with the teacher's widths, so that the same UNets can use it.

It starts from every n-th layer and learns the hidden states that the UNet attends to and the pooled
vector, optionally also the UNet's prediction (DistillT5, CVPR 2025). Activations are kept within
the range of half precision.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..checkpoints.sdxl_shapes import SdxlShapes
from ..errors import ModelError, PresetError
from ..fitting.loop import fit
from ..fitting.state import fingerprint
from ..generation.conditioning import PromptEmbeddings
from .losses import errors
from .noise_schedule import NoiseSchedule
from .presets import TextPart
from .teacher import Teacher
from .unet_prediction import unet_prediction

MAX_TOKENS = 77
MOST = 20_000.0
"""Activations above this are penalised; half precision ends at 65,504."""
MOST_WEIGHT = 1e-6
"""Weight of the squared excess."""
CHECKED = 64
"""Texts that the trained encoder is checked with."""


def layers_to_keep(part: TextPart, total: int, after: int) -> list[int]:
    """Indices of the teacher's layers that the student starts from, evenly spaced.

    ``after`` layers follow the one that the UNet reads; both it and they are kept. PresetError for
    a number of layers that is impossible.

    >>> layers_to_keep(TextPart(steps=1, batch_size=1, learning_rate=1, ratio=0.25), 32, 1)
    [3, 8, 12, 17, 21, 26, 30, 31]
    """
    count = part.layers or round((part.ratio or 1.0) * total)
    if not after < count <= total:
        raise PresetError(
            f"{count} layers of a text encoder with {total}: name {after + 1} to {total}"
        )
    read, wanted = total - after, count - after
    kept = [round((number + 1) * read / wanted) - 1 for number in range(wanted)]
    return kept + list(range(read, total))


class TextReader:
    """One text encoder of a pipeline: tokens, and the outputs that the UNet uses."""

    def __init__(self, teacher: Teacher, which: int) -> None:
        """PresetError for a second encoder of a model that has only one."""
        parts = list(teacher.shapes.text_configs())
        if not 1 <= which <= len(parts):
            raise PresetError(
                f"--which {which}: {teacher.checkpoint} has {len(parts)} text encoder(s)"
            )
        self.part, self.which = parts[which - 1], which
        self.is_sdxl = isinstance(teacher.shapes, SdxlShapes)
        self.clip_skip = teacher.settings.clip_skip or 1
        self.tokenizer = getattr(teacher.pipeline, self.part.replace("text_encoder", "tokenizer"))
        self.encoder: Any = getattr(teacher.pipeline, self.part)

    @staticmethod
    def count_layers_after(teacher: Teacher) -> int:
        """Number of layers after the one that the UNet reads."""
        is_sdxl = isinstance(teacher.shapes, SdxlShapes)
        return 1 if is_sdxl else (teacher.settings.clip_skip or 1) - 1

    def token_ids(self, texts: Sequence[str]) -> Int[Tensor, "n 77"]:
        """Token ids, padded and truncated as in the pipeline."""
        found = self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=MAX_TOKENS
        )
        return torch.tensor(found.input_ids)

    def hidden_and_pooled(
        self, encoder: Any, ids: Tensor
    ) -> tuple[Float[Tensor, "n 77 width"], Tensor | None]:
        """Hidden states for the UNet, and the pooled vector if it uses this encoder's."""
        found = encoder(ids, output_hidden_states=True)
        if self.is_sdxl:
            return found.hidden_states[-2], found.text_embeds if self.which == 2 else None
        if self.clip_skip == 1:
            return found.last_hidden_state, None
        hidden = found.hidden_states[-self.clip_skip]
        return encoder.text_model.final_layer_norm(hidden), None


def shortened_copy(encoder: Any, kept: Sequence[int]) -> Any:
    """A trainable copy of a text encoder with only these layers."""
    student = copy.deepcopy(encoder).float().requires_grad_(True)
    layers = student.text_model.encoder.layers
    student.text_model.encoder.layers = nn.ModuleList(layers[number] for number in kept)
    student.config.num_hidden_layers = len(kept)
    student.text_model.config.num_hidden_layers = len(kept)
    return student


def train_text_encoder(
    part: TextPart,
    which: int,
    teacher: Teacher,
    texts: Sequence[str],
    latents: Float[Tensor, "n channels rows frames"] | None,
    folder: Path,
    seed: int,
) -> Any:
    """Train a text encoder of fewer layers; returns it with averaged weights.

    ``latents`` are clips for the loss through the UNet; PresetError if that is on and they are
    missing. ModelError if the result is not safe in half precision.
    """
    if part.unet and latents is None:
        raise PresetError("the loss through the UNet needs clips: name a --dataset")
    compute, reader = teacher.compute, TextReader(teacher, which)
    kept = layers_to_keep(
        part, reader.encoder.config.num_hidden_layers, TextReader.count_layers_after(teacher)
    )
    student = shortened_copy(reader.encoder, kept)
    ids = reader.token_ids(texts)
    rows = compute.rows_per_share(part.batch_size)
    through_unet = _loss_through_unet(teacher, reader, texts, latents) if part.unet else None

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(ids), (rows,), generator=generator)
        taken = ids[chosen].to(compute.torch_device)
        with torch.no_grad():
            hidden, pooled = reader.hidden_and_pooled(reader.encoder, taken)
        own, own_pooled = reader.hidden_and_pooled(student, taken)
        total = part.hidden * _relative_error(own, hidden) + MOST_WEIGHT * _squared_excess(own)
        if pooled is not None and own_pooled is not None:
            total = total + part.pooled * _relative_error(own_pooled, pooled)
        if through_unet:
            total = total + part.unet * through_unet(own, own_pooled, chosen, generator)
        return total

    data = fingerprint(teacher.identity, *texts, part.model_dump_json(exclude={"steps"}))
    name, state = f"text encoder {which}", folder / f"text-{which}.pt"
    trained: Any = fit(name, student, loss, part.schedule(), state, seed, compute, data=data)
    check_half_precision(trained, reader, texts[:CHECKED])
    return trained


def _relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error in units of the teacher's variance."""
    return errors(found, wanted).mean() / wanted.float().var().clamp(min=1e-6)


def _squared_excess(hidden: Tensor) -> Tensor:
    return (hidden.abs() - MOST).clamp(min=0).square().mean()


def _loss_through_unet(
    teacher: Teacher, reader: TextReader, texts: Sequence[str], latents: Tensor | None
) -> Callable[[Tensor, Tensor | None, Tensor, torch.Generator], Tensor]:
    """A loss: the change of the UNet's prediction with the student in place of the teacher."""
    assert latents is not None
    noise_schedule, unet = NoiseSchedule.of(teacher.prediction_type), teacher.pipeline.unet

    def change(
        own: Tensor, own_pooled: Tensor | None, chosen: Tensor, generator: torch.Generator
    ) -> Tensor:
        embeddings = teacher.embed([texts[int(number)] for number in chosen])
        clips = torch.randint(len(latents), (len(chosen),), generator=generator)
        clean = latents[clips].float()
        noise = torch.randn(clean.shape, generator=generator)
        at = torch.randint(noise_schedule.timesteps, (len(clean),), generator=generator)
        noisy = noise_schedule.add_noise(clean, noise, at)
        width, first = own.shape[2], reader.which == 1
        parts = (
            [own, embeddings.tokens[..., width:]]
            if first
            else [embeddings.tokens[..., :-width], own]
        )
        pooled = embeddings.pooled if own_pooled is None else own_pooled
        with teacher.compute.autocast():
            found = unet_prediction(unet, noisy, at, PromptEmbeddings(torch.cat(parts, -1), pooled))
            with torch.no_grad():
                wanted = unet_prediction(unet, noisy, at, embeddings)
        return _relative_error(found, wanted)

    return change


@torch.no_grad()
def check_half_precision(encoder: Any, reader: TextReader, texts: Sequence[str]) -> float:
    """The greatest activation, with weights in half precision; ModelError above half its limit."""
    rounded = copy.deepcopy(encoder).half().float()
    greatest = 0.0

    def look(_module: Any, _inputs: Any, output: Any) -> None:
        nonlocal greatest
        if isinstance(output, Tensor):
            greatest = max(greatest, float(output.abs().max()))

    handles = [module.register_forward_hook(look) for module in rounded.modules()]
    device = next(rounded.parameters()).device
    hidden, _ = reader.hidden_and_pooled(rounded, reader.token_ids(texts).to(device))
    for handle in handles:
        handle.remove()
    if not hidden.isfinite().all() or 2 * greatest > torch.finfo(torch.float16).max:
        raise ModelError(
            f"text encoder {reader.which}: activations reach {greatest:.3g}, too close to the "
            "limit of half precision (65,504); lower the learning rate"
        )
    return greatest
