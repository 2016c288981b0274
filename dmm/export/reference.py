"""One clip computed step by step, by PyTorch or by a bundle, to compare the two.

PyTorch's computation, in single precision, is kept in the bundle as ``reference.npz``: embeddings,
some of the UNet's predictions with what they were made from, the final latents, their mel image
and, unrounded, a strip of it. So a bundle can be verified without its checkpoint.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..bundles.denoising import Embeddings, OnStep, denoise, no_step, unet_inputs
from ..bundles.noise import TorchRandom
from ..bundles.player import to_levels
from ..bundles.samplers import make_sampler
from ..bundles.schema import SamplingDefaults
from ..errors import ModelError

FILE = "reference.npz"
Run = Callable[[str, dict[str, np.ndarray]], list[np.ndarray]]
"""A part's name and inputs to its outputs."""
Call = tuple[dict[str, np.ndarray], list[np.ndarray]]
"""A part's inputs and outputs."""
Ids = Callable[[str], Sequence[np.ndarray]]
"""A text to the ids, (77,) int32, that each text encoder reads."""


@dataclass(frozen=True)
class Trial:
    """How the clip is sampled."""

    prompt: str
    sampling: SamplingDefaults
    shape: tuple[int, int, int, int]
    """(1, channels, rows, columns) of its latents."""
    factor: int
    stereo: bool
    strip: int
    """Columns of the latents whose decoding is kept unrounded."""
    is_told: bool = False
    """Whether the UNet takes the guidance scale as an input."""
    seed: int = 0

    @property
    def texts(self) -> list[str]:
        """What the text encoders read: the negative prompt, then the prompt."""
        return [self.sampling.negative_prompt, self.prompt]


@dataclass(frozen=True)
class Clip:
    """All that one computation of a trial gave."""

    trial: Trial
    encoded: list[list[list[np.ndarray]]]
    """For each of the trial's texts, for each text encoder, its outputs."""
    samples: list[np.ndarray]
    """What the UNet was given at each step, a row each."""
    timesteps: list[np.ndarray]
    predictions: list[np.ndarray]
    latents: np.ndarray
    image: np.ndarray
    """Mel image, uint8."""
    strip: np.ndarray
    """The decoder's output for the first columns of the latents, float32."""

    @property
    def conditions(self) -> dict[str, np.ndarray]:
        """The UNet's inputs that are the same at every step."""
        return _conditions(self.trial, self.encoded)

    def calls(self, part: str, ids: Ids) -> Iterator[Call]:
        """A part's inputs and outputs in this computation."""
        if part == "unet":
            fixed = self.conditions
            steps = zip(self.samples, self.timesteps, self.predictions, strict=True)
            for sample, timestep, prediction in steps:
                rows = sample.repeat(len(fixed["context"]), 0)
                yield fixed | {"sample": rows, "timestep": timestep}, [prediction]
        elif part == "vae_decoder":
            yield {"latents": self.latents[..., : self.trial.strip]}, [self.strip]
        else:
            number = int(part == "text_encoder_2")
            for text, found in zip(self.trial.texts, self.encoded, strict=True):
                yield {"input_ids": ids(text)[number][None]}, found[number]

    def save(self, path: Path, **more: np.ndarray) -> None:
        """Write an .npz file, with the first, the middle and the last step alone, and ``more``."""
        steps = sorted({0, len(self.samples) // 2, len(self.samples) - 1})
        arrays = {
            **_flat("encoded", self.encoded),
            **{f"sample.{i}": self.samples[step] for i, step in enumerate(steps)},
            **{f"timestep.{i}": self.timesteps[step] for i, step in enumerate(steps)},
            **{f"prediction.{i}": self.predictions[step] for i, step in enumerate(steps)},
        }
        text = json.dumps(asdict(self.trial) | {"sampling": self.trial.sampling.model_dump()})
        arrays |= {"latents": self.latents, "image": self.image, "strip": self.strip}
        arrays |= {"trial": np.array(text), **more}
        np.savez_compressed(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Clip":
        """Read what ``save`` wrote; ModelError for a file that holds something else."""
        try:
            with np.load(path) as file:
                arrays = dict(file)
            told = json.loads(str(arrays["trial"]))
            told["sampling"] = SamplingDefaults.model_validate(told["sampling"])
            trial = Trial(**told | {"shape": tuple(told["shape"])})
            encoded = [
                [_numbered(arrays, f"encoded.{text}.{encoder}") for encoder in range(2)]
                for text in range(2)
            ]
            return cls(
                trial,
                [list(filter(None, of)) for of in encoded],
                *(_numbered(arrays, name) for name in ("sample", "timestep", "prediction")),
                latents=arrays["latents"],
                image=arrays["image"],
                strip=arrays["strip"],
            )
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise ModelError(f"{path}: no reference ({error}); export the bundle again") from error


def _numbered(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return [arrays[f"{name}.{number}"] for number in range(count)]


def _flat(name: str, encoded: list[list[list[np.ndarray]]]) -> dict[str, np.ndarray]:
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


def _conditions(trial: Trial, encoded: list[list[list[np.ndarray]]]) -> dict[str, np.ndarray]:
    negative, positive = map(_embeddings, encoded)
    guidance, is_told = trial.sampling.guidance, trial.is_told
    unwanted = negative if guidance > 1 and not is_told else None
    told = guidance if is_told else None
    return unet_inputs(positive, unwanted, trial.shape, trial.factor, told)


def compute(run: Run, ids: Ids, trial: Trial, on_step: OnStep = no_step) -> Clip:
    """Compute a trial from its prompt to its mel image with whatever runs the parts."""
    names = ("text_encoder", "text_encoder_2")
    encoded = [
        [run(name, {"input_ids": x[None]}) for name, x in zip(names, ids(text), strict=False)]
        for text in trial.texts
    ]
    sampling, random = trial.sampling, TorchRandom(trial.seed)
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
        random.randn(trial.shape),
        _conditions(trial, encoded),
        sampling.guidance,
        lambda: random.randn(trial.shape),
        on_step,
    )
    picture = run("vae_decoder", {"latents": latents})[0][0]
    image = to_levels(np.nan_to_num(picture), trial.stereo)
    strip = run("vae_decoder", {"latents": latents[..., : trial.strip]})[0]
    return Clip(trial, encoded, samples, timesteps, predictions, latents, image, strip)
