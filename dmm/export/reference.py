"""The reference clip: each part's inputs and outputs while one clip is sampled.

The bundle stores PyTorch's, in fp32, as ``reference.npz``: embeddings, the UNet's predictions at
the first, middle and last step with their inputs, the final latents, their mel image, and the
decoder's output for a strip of them. So a bundle can be verified without its checkpoint.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..bundles.bundle_player import to_mel_image
from ..bundles.denoising import Embeddings, OnStep, denoise, ignore_step, unet_inputs
from ..bundles.noise import TorchRandom
from ..bundles.samplers import make_sampler
from ..bundles.schema import SamplingDefaults
from ..errors import ModelError
from ..files import parse_json

FILE = "reference.npz"
RunPart = Callable[[str, dict[str, np.ndarray]], list[np.ndarray]]
"""A part's name and inputs to its outputs."""
Call = tuple[dict[str, np.ndarray], list[np.ndarray]]
"""A part's inputs and outputs."""
TokenIds = Callable[[str], Sequence[np.ndarray]]
"""A text to the token ids for each text encoder, (77,) int32 each."""


@dataclass(frozen=True)
class SamplingRun:
    """Settings of one clip."""

    prompt: str
    sampling: SamplingDefaults
    shape: tuple[int, int, int, int]
    """(1, channels, rows, columns) of its latents."""
    factor: int
    stereo: bool
    strip: int
    """Columns of the latents whose decoded image is stored unrounded."""
    takes_guidance: bool = False
    """Whether the UNet takes the guidance scale as an input."""
    seed: int = 0

    @property
    def texts(self) -> list[str]:
        """The negative prompt, then the prompt."""
        return [self.sampling.negative_prompt, self.prompt]


@dataclass(frozen=True)
class RecordedClip:
    """Inputs and outputs of every part in one sampling run."""

    sampling_run: SamplingRun
    encoded: list[list[list[np.ndarray]]]
    """For each of the trial's texts, for each text encoder, its outputs."""
    samples: list[np.ndarray]
    """The UNet's scaled latents at each step, one row each."""
    timesteps: list[np.ndarray]
    predictions: list[np.ndarray]
    latents: np.ndarray
    image: np.ndarray
    """Mel image, uint8."""
    strip: np.ndarray
    """The decoder's output for the first columns of the latents, float32."""

    @property
    def conditions(self) -> dict[str, np.ndarray]:
        """The UNet's inputs that stay the same over all steps."""
        return _conditions(self.sampling_run, self.encoded)

    def calls(self, part: str, ids: TokenIds) -> Iterator[Call]:
        """Each call of a part in this run."""
        if part == "unet":
            fixed = self.conditions
            steps = zip(self.samples, self.timesteps, self.predictions, strict=True)
            for sample, timestep, prediction in steps:
                rows = sample.repeat(len(fixed["context"]), 0)
                yield fixed | {"sample": rows, "timestep": timestep}, [prediction]
        elif part == "vae_decoder":
            yield {"latents": self.latents[..., : self.sampling_run.strip]}, [self.strip]
        else:
            number = int(part == "text_encoder_2")
            for text, found in zip(self.sampling_run.texts, self.encoded, strict=True):
                yield {"input_ids": ids(text)[number][None]}, found[number]

    def call_count(self, part: str) -> int:
        """Number of calls of a part in this run."""
        counts = {"unet": len(self.samples), "vae_decoder": 1}
        return counts.get(part, len(self.sampling_run.texts))

    def save(self, path: Path, **more: np.ndarray) -> None:
        """Write an .npz file with the first, middle and last step, and the arrays ``more``."""
        steps = sorted({0, len(self.samples) // 2, len(self.samples) - 1})
        arrays = {
            **_flattened("encoded", self.encoded),
            **{f"sample.{i}": self.samples[step] for i, step in enumerate(steps)},
            **{f"timestep.{i}": self.timesteps[step] for i, step in enumerate(steps)},
            **{f"prediction.{i}": self.predictions[step] for i, step in enumerate(steps)},
        }
        text = json.dumps(
            asdict(self.sampling_run) | {"sampling": self.sampling_run.sampling.model_dump()}
        )
        arrays |= {"latents": self.latents, "image": self.image, "strip": self.strip}
        arrays |= {"trial": np.array(text), **more}
        np.savez_compressed(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "RecordedClip":
        """Read a file written by ``save``; ModelError for any other file."""
        try:
            with np.load(path) as file:
                arrays = dict(file)
            fields: Any = parse_json(str(arrays["trial"]), path)
            fields["sampling"] = SamplingDefaults.model_validate(fields["sampling"])
            sampling_run = SamplingRun(**fields | {"shape": tuple(fields["shape"])})
            encoded = [
                [_numbered_arrays(arrays, f"encoded.{text}.{encoder}") for encoder in range(2)]
                for text in range(2)
            ]
            return cls(
                sampling_run,
                [list(filter(None, of)) for of in encoded],
                *(_numbered_arrays(arrays, name) for name in ("sample", "timestep", "prediction")),
                latents=arrays["latents"],
                image=arrays["image"],
                strip=arrays["strip"],
            )
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise ModelError(
                f"{path}: holds no reference ({error}); export the bundle again"
            ) from error


def _numbered_arrays(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return [arrays[f"{name}.{number}"] for number in range(count)]


def _flattened(name: str, encoded: list[list[list[np.ndarray]]]) -> dict[str, np.ndarray]:
    return {
        f"{name}.{text}.{encoder}.{output}": array
        for text, of_text in enumerate(encoded)
        for encoder, outputs in enumerate(of_text)
        for output, array in enumerate(outputs)
    }


def _embeddings(outputs: list[list[np.ndarray]]) -> Embeddings:
    """One text's, from the outputs of its text encoders."""
    pooled = outputs[-1][1] if len(outputs[-1]) > 1 else None
    return Embeddings(np.concatenate([found[0] for found in outputs], -1), pooled)


def _conditions(
    sampling_run: SamplingRun, encoded: list[list[list[np.ndarray]]]
) -> dict[str, np.ndarray]:
    negative, positive = map(_embeddings, encoded)
    guidance = sampling_run.sampling.guidance
    if sampling_run.takes_guidance:
        return unet_inputs(positive, None, sampling_run.shape, sampling_run.factor, guidance)
    return unet_inputs(
        positive, negative if guidance > 1 else None, sampling_run.shape, sampling_run.factor
    )


def sample_clip(
    run: RunPart, ids: TokenIds, sampling_run: SamplingRun, on_step: OnStep = ignore_step
) -> RecordedClip:
    """Sample one clip, from its prompt to its mel image, with ``run`` as the runtime."""
    names = ("text_encoder", "text_encoder_2")
    encoded = [
        [run(name, {"input_ids": x[None]}) for name, x in zip(names, ids(text), strict=False)]
        for text in sampling_run.texts
    ]
    sampling, random = sampling_run.sampling, TorchRandom(sampling_run.seed)
    sampler = make_sampler(
        sampling.sampler, sampling.schedule, sampling.prediction_type, sampling.steps
    )
    samples, timesteps, predictions = [], [], []

    def predict(inputs: dict[str, np.ndarray]) -> np.ndarray:
        samples.append(inputs["sample"][:1])
        timesteps.append(inputs["timestep"])
        predictions.append(run("unet", inputs)[0])
        return predictions[-1]

    latents = denoise(
        predict,
        sampler,
        random.randn(sampling_run.shape),
        _conditions(sampling_run, encoded),
        sampling.guidance,
        lambda: random.randn(sampling_run.shape),
        on_step,
    )
    picture = run("vae_decoder", {"latents": latents})[0][0]
    image = to_mel_image(np.nan_to_num(picture), sampling_run.stereo)
    strip = run("vae_decoder", {"latents": latents[..., : sampling_run.strip]})[0]
    return RecordedClip(
        sampling_run, encoded, samples, timesteps, predictions, latents, image, strip
    )
