"""A bundle that generates mel images in ONNX Runtime; imports no torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ..bundles.bundle_player import BundlePlayer
from ..bundles.denoising import Embeddings
from ..bundles.folder import read_description
from ..bundles.noise import TorchRandom, first_noise, slerp
from ..bundles.schema import FILE, Bundle
from ..bundles.sessions import pick_session_device
from ..codec.mel import MelFormat, load_format
from ..errors import PresetError
from ..model_cards import sha256_of
from .callbacks import OnStep, ignore_step
from .image_model import GeneratedImage
from .requests import ClipRequest
from .sampling import Sampling
from .settings import GenerationSettings


@dataclass(frozen=True)
class BundleModel:
    """A BUNDLE folder on one device; its networks load at first use, and pickling omits them."""

    path: Path
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or dml."""

    def __post_init__(self) -> None:
        """PresetError for an unavailable device, ModelError for a folder that is no bundle."""
        if self.device != "auto":
            pick_session_device(self.device)
        assert self.description

    def __reduce__(self) -> tuple[Any, ...]:
        return BundleModel, (self.path, self.device)

    @cached_property
    def description(self) -> Bundle:
        """``bundle.json``."""
        return read_description(self.path)

    @cached_property
    def player(self) -> BundlePlayer:
        """The networks; ModelError names a damaged file."""
        return BundlePlayer(self.path, self.device)

    @property
    def precision(self) -> str:
        """Precision of the UNet."""
        return self.description.parts["unet"].precision

    def identify(self) -> dict[str, Any]:
        """The model's part of a clip's JSON file."""
        return {"bundle_sha256": sha256_of(self.path / FILE), "precision": self.precision}

    @property
    def lora_names(self) -> list[str]:
        """Always empty: LoRAs are part of a bundle's weights."""
        return []

    def other_format_note(self, fmt: MelFormat) -> str | None:
        """None: a bundle refuses other formats than its own."""
        return None

    def settings(
        self,
        sampling: Sampling | None = None,
        format_name: str | None = None,
        anchor: str | None = None,
        stereo: bool | None = None,
    ) -> GenerationSettings:
        """Settings from the arguments, else the bundle's.

        PresetError for another mel format than the bundle's, and for channels that it lacks.
        """
        bundle, fmt = self.player.bundle, self.player.format
        if format_name and load_format(format_name) != fmt:
            raise PresetError(f"--format {format_name}: {self.path} is for {fmt.name}")
        stereo = bundle.stereo if stereo is None else stereo
        channels = bundle.parts["vae_decoder"].outputs["image"].shape[1]
        if stereo and channels == 1:
            raise PresetError(f"--stereo: the decoder of {self.path} makes grey images")
        usual = {field.name: getattr(bundle.sampling, field.name) for field in fields(Sampling)}
        return GenerationSettings(
            fmt,
            sampling or Sampling(**usual),
            bundle.anchor if anchor is None else anchor,
            bundle.clip_skip,
            stereo,
        )

    def generate_images(
        self,
        batch: Sequence[ClipRequest],
        settings: GenerationSettings,
        on_step: OnStep = ignore_step,
    ) -> list[GeneratedImage]:
        """One image a request, each computed alone, so the same bits in any batch.

        ModelError if half precision overflows.
        """
        count = len(batch)

        def after(number: int) -> OnStep:
            return lambda done, total: on_step(number * total + done, count * total)

        return [
            GeneratedImage(self._generate_levels(request, settings, after(number)))
            for number, request in enumerate(batch)
        ]

    def _generate_levels(
        self, request: ClipRequest, settings: GenerationSettings, on_step: OnStep
    ) -> Any:
        player, sampling = self.player, settings.sampling
        shape, random = player.latent_shape(), TorchRandom(request.seed)
        noise = random.randn(shape)
        for seed, share in request.toward_seeds:
            noise = slerp(noise, first_noise(seed, shape), share)
        latents = player.sample(
            noise,
            random,
            self._prompt_embedding(request, settings),
            sampling.sampler,
            sampling.steps,
            sampling.guidance,
            sampling.negative_prompt,
            on_step,
        )
        return player.decode(latents, settings.stereo)

    def _prompt_embedding(self, request: ClipRequest, settings: GenerationSettings) -> Embeddings:
        """The prompt's embedding, interpolated to a second prompt if the request has one.

        The negative prompt is embedded with it, before the text encoders are freed.
        """
        texts = [settings.sampling.negative_prompt, *settings.anchored_prompts(request)]
        _, first, *second = self.player.embed(texts)
        if request.toward_prompt:
            return first.interpolate(second[0], request.toward_prompt[1])
        return first

    def truncation_notes(self, texts: Iterable[str]) -> Iterator[str]:
        """One line for each distinct text that CLIP truncates, with the words cut off."""
        player = self.player
        encoder = player.bundle.tokenizer.encoders[0]
        for text in dict.fromkeys(texts):
            _, cut = player.tokenizer.cut_to_fit(text, encoder)
            if cut:
                read = f"CLIP reads {encoder.max_length - 2} tokens"
                yield f'{read}; of "{text[:40]} ..." it does not read: "{" ".join(cut)}"'
