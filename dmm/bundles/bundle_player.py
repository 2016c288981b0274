"""A bundle that is loaded once, part by part when first needed, and generates without torch."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ..codec.mel import MelFormat
from ..errors import ModelError
from ..files import read_json
from .denoising import Embeddings, OnStep, denoise, ignore_step, unet_inputs
from .folder import open_bundle
from .noise import TorchRandom
from .samplers import Latents, make_sampler
from .schema import Bundle
from .sessions import open_session, pick_session_device, run_session, session_settings
from .tokenizer import Tokenizer


class BundlePlayer:
    """A bundle's networks in ONNX Runtime."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        """Checks every file's size and hash; ModelError, in one line, names the first at fault."""
        self.folder, self.device = folder, pick_session_device(device)
        self.bundle: Bundle = open_bundle(folder)
        self._sessions: dict[str, Any] = {}
        self._embedded: dict[str, Embeddings] = {}

    @cached_property
    def format(self) -> MelFormat:
        """The mel format of its images."""
        path = self.folder / self.bundle.format.file
        return read_json(path, MelFormat)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokeniser of its text encoders."""
        return Tokenizer(self.folder / self.bundle.tokenizer.merges.file)

    def run(self, part: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Outputs of a network, named as in ``bundle.json``; it is loaded at its first run."""
        if part not in self._sessions:
            stored = self.bundle.parts[part]
            settings = session_settings(stored, self.device)
            path = self.folder / stored.model.file
            self._sessions[part] = open_session(path, self.device, **settings)
        return run_session(self._sessions[part], inputs)

    def embed(self, texts: Sequence[str]) -> list[Embeddings]:
        """Embeddings of each text alone, kept for later calls; frees the text encoders."""
        for text in dict.fromkeys(texts):
            if text not in self._embedded:
                self._embedded[text] = self._embed(text)
        for name in ("text_encoder", "text_encoder_2"):
            self._sessions.pop(name, None)
        return [self._embedded[text] for text in texts]

    def _embed(self, text: str) -> Embeddings:
        hidden, pooled = [], None
        names = [name for name in ("text_encoder", "text_encoder_2") if name in self.bundle.parts]
        for name, encoder in zip(names, self.bundle.tokenizer.encoders, strict=True):
            kept, _ = self.tokenizer.cut_to_fit(text, encoder)
            ids = self.tokenizer.encode(kept, encoder)
            found = self.run(name, {"input_ids": ids[None]})
            hidden.append(found[0])
            pooled = found[1] if len(found) > 1 else pooled
        return Embeddings(np.concatenate(hidden, -1), pooled)

    def latent_shape(self, columns: int | None = None) -> tuple[int, int, int, int]:
        """Shape of one clip's latents, or of a longer piece's with this number of columns."""
        latent = self.bundle.latent
        return 1, latent.channels, latent.rows, columns or latent.columns

    def sample(
        self,
        noise: Latents,
        random: TorchRandom,
        embeddings: Embeddings,
        sampler: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        negative_prompt: str | None = None,
        on_step: OnStep = ignore_step,
    ) -> Latents:
        """Sample one clip's latents from ``noise``; None stands for the bundle's own setting.

        ``random`` generates the noise that the sampler adds between steps. ModelError if the
        latents are not finite.
        """
        usual = self.bundle.sampling
        guidance = usual.guidance if guidance is None else guidance
        unwanted = usual.negative_prompt if negative_prompt is None else negative_prompt
        run = make_sampler(
            sampler or usual.sampler, usual.schedule, usual.prediction_type, steps or usual.steps
        )
        takes_guidance = "guidance" in self.bundle.parts["unet"].inputs
        negative = self.embed([unwanted])[0] if guidance > 1 and not takes_guidance else None
        found = denoise(
            lambda inputs: self.run("unet", inputs)[0],
            run,
            noise,
            unet_inputs(
                embeddings,
                negative,
                noise.shape,
                self.bundle.latent.factor,
                guidance if takes_guidance else None,
            ),
            guidance,
            lambda: random.randn(noise.shape),
            on_step,
        )
        if not np.isfinite(found).all():
            raise ModelError(
                f"{self.folder}: the UNet's {self.bundle.parts['unet'].precision} overflowed; "
                "export it again with --unet mixed or fp32"
            )
        return found

    def decode(
        self, latents: Latents, stereo: bool | None = None
    ) -> UInt8[np.ndarray, "image_rows image_columns *colour"]:
        """The mel image of one clip's latents; ModelError if it is not finite."""
        decoded = self.run("vae_decoder", {"latents": latents})[0][0]
        if not np.isfinite(decoded).all():
            raise ModelError(
                f"{self.folder}: the decoder overflowed; export it again with --vae mixed or fp32"
            )
        return to_mel_image(decoded, self.bundle.stereo if stereo is None else stereo)


def to_mel_image(
    decoded: Float[np.ndarray, "channels rows columns"], stereo: bool
) -> UInt8[np.ndarray, "rows columns *colour"]:
    """A decoded image in -1..1 as bytes: the mean of its channels, or all three with ``stereo``."""
    shares = (decoded / 2 + 0.5).clip(0, 1).transpose(1, 2, 0)
    return np.rint((shares if stereo else shares.mean(-1)) * 255).astype(np.uint8)
