"""Make clips from prompts: diffusers draws mel images, the codec turns them into sound.

Every clip has a seed of its own, so it depends on the batch it is drawn in by rounding alone. CLIPS
contract: ``ID.png``, ``ID.flac`` and ``ID.json`` for each; a clip that is there already with the
same settings is not made again, so an interrupted run goes on where it stopped.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from .architecture import read_architecture
from .audio import write_audio
from .decode import decode
from .errors import ModelError, PresetError
from .files import sha256_file, write_text
from .header import read_metadata
from .lora import check_lora, clip_skip
from .mel import MelFormat, load_format
from .melimage import write_image
from .pipeline import load_pipeline
from .progress import progress_bar

SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
}


@dataclass(frozen=True)
class Sampling:
    """How the pictures are drawn."""

    sampler: str = "dpmsolver++"
    steps: int = 25
    guidance: float = 5.0
    """Classifier-free guidance scale; 1 is none."""
    negative_prompt: str = ""
    lora_scale: float = 1.0


@dataclass(frozen=True)
class Request:
    """One clip to make."""

    prompt: str
    seed: int

    @property
    def clip_id(self) -> str:
        """Words of the prompt and the seed, fit for a file name.

        >>> Request("Piano, slow!", 7).clip_id
        'piano-slow-7'
        """
        words = "".join(c if c.isalnum() else " " for c in self.prompt.lower()).split()
        return f"{'-'.join(words)[:60] or 'clip'}-{self.seed}"


def requests(prompts: Sequence[str], count: int, seed: int) -> list[Request]:
    """``count`` clips for every prompt, seeds counting up from ``seed`` over all of them."""
    if count < 1:
        raise ValueError(f"count is 1 or more; got {count}")
    return [
        Request(prompt, seed + len(prompts) * repeat + number)
        for repeat in range(count)
        for number, prompt in enumerate(prompts)
    ]


def generate(
    prompts: Sequence[str],
    model: Path,
    out: Path,
    lora: Path | None = None,
    count: int = 1,
    seed: int = 0,
    format_name: str | None = None,
    sampling: Sampling | None = None,
    anchor: str | None = None,
    batch_size: int = 4,
    device: str = "auto",
) -> list[Path]:
    """Make ``count`` clips of every prompt; returns the FLAC files, those made before included.

    ``anchor`` goes in front of every prompt; None takes the one that the LoRA was trained with,
    or that was fused into the model. The format is the one that the LoRA was trained with, else
    the model's own, where their metadata names one, else ``sdxl-512``.
    Deterministic by seed on one device. ModelError for a checkpoint that is neither SD 1.5 nor
    SDXL, and for a LoRA of another base.
    """
    sampling = sampling or Sampling()
    learnt = read_metadata(model) | (read_metadata(lora) if lora else {})
    fmt = load_format(format_name or learnt.get("dmm_format", "sdxl-512"))
    if anchor is None:
        anchor = learnt.get("dmm_anchor", "")
    layer = clip_skip(learnt, read_architecture(model))
    shared = {
        **asdict(sampling),
        "anchor": anchor,
        "model_sha256": sha256_file(model),
        "lora_sha256": sha256_file(lora) if lora else None,
        "format": fmt.name,
        **({"clip_skip": layer} if layer else {}),
    }
    wanted = requests(prompts, count, seed)
    missing = [request for request in wanted if not _is_made(out, request, shared)]
    if missing:
        pipeline = _pipeline(model, lora, sampling, device)
        with progress_bar("generate", len(missing)) as advance:
            for start in range(0, len(missing), batch_size):
                batch = missing[start : start + batch_size]
                images = draw(pipeline, batch, fmt, sampling, anchor, layer)
                for request, image in zip(batch, images, strict=True):
                    _write(out, request, image, fmt, shared)
                    advance()
    return [out / f"{request.clip_id}.flac" for request in wanted]


def draw(
    pipeline: Any,
    batch: Sequence[Request],
    fmt: MelFormat,
    sampling: Sampling,
    anchor: str,
    layer: int | None = None,
) -> Iterator[UInt8[np.ndarray, "rows frames"]]:
    """Grey mel images, one a request, each from its own seed.

    ``layer`` is the text encoder's that SD 1.5 attends to, counted from the end; None is the last.
    """
    generators = [torch.Generator().manual_seed(request.seed) for request in batch]
    prompts = [", ".join(filter(None, (anchor, request.prompt))) for request in batch]
    negative = [sampling.negative_prompt] * len(batch)
    text: dict[str, Any] = {"prompt": prompts, "negative_prompt": negative}
    if layer:  # diffusers' own clip_skip leaves the negative prompt at the last layer
        text = {
            "prompt_embeds": embed_at(pipeline, prompts, layer),
            "negative_prompt_embeds": embed_at(pipeline, negative, layer),
        }
    pictures = pipeline(
        **text,
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        generator=generators,
        height=fmt.n_mels,
        width=fmt.n_frames,
        output_type="np",
    ).images  # (batch, rows, frames, 3) in 0..1
    for picture in pictures:
        yield np.rint(picture.mean(-1) * 255).astype(np.uint8)


@torch.no_grad()
def embed_at(pipeline: Any, prompts: Sequence[str], layer: int) -> torch.Tensor:
    """SD 1.5's text embeddings (n, 77, width) at a layer counted from the end, as in training.

    sd-scripts counts the last layer as 1, diffusers as 0.
    """
    embedded, _ = pipeline.encode_prompt(
        list(prompts), pipeline.device, 1, do_classifier_free_guidance=False, clip_skip=layer - 1
    )
    return embedded


def _pipeline(model: Path, lora: Path | None, sampling: Sampling, device: str) -> Any:
    import diffusers

    if sampling.sampler not in SAMPLERS:
        raise PresetError(f"no sampler {sampling.sampler!r}; known: {', '.join(SAMPLERS)}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if lora:
        check_lora(lora, model)
    pipeline = load_pipeline(model, torch.float32 if device == "cpu" else torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    name, settings = SAMPLERS[sampling.sampler]
    scheduler = getattr(diffusers, name)
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **settings)
    if lora:
        _load_lora(pipeline, lora, sampling.lora_scale)
    return pipeline.to(device)


def _load_lora(pipeline: Any, lora: Path, scale: float) -> None:
    try:
        pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name, local_files_only=True)
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ModelError(f"{lora}: does not load as a LoRA for this model ({reason})") from error
    pipeline.set_adapters(pipeline.get_active_adapters(), [scale])


def _facts(request: Request, shared: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": request.prompt, "seed": request.seed, **shared}


def _is_made(out: Path, request: Request, shared: dict[str, Any]) -> bool:
    """The JSON is written last, so where it stands the picture and the sound do too."""
    path = out / f"{request.clip_id}.json"
    return path.is_file() and json.loads(path.read_text()) == _facts(request, shared)


def _write(
    out: Path, request: Request, image: np.ndarray, fmt: MelFormat, shared: dict[str, Any]
) -> None:
    (out / f"{request.clip_id}.json").unlink(missing_ok=True)
    write_image(out / f"{request.clip_id}.png", image, fmt)
    write_audio(out / f"{request.clip_id}.flac", decode(image, fmt), fmt.sr)
    facts = json.dumps(_facts(request, shared), indent=2)
    write_text(out / f"{request.clip_id}.json", facts + "\n")
