"""Sampling settings, and diffusers' schedulers by the usual names of samplers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import PresetError

KARRAS = {"use_karras_sigmas": True}
_2M, _1S = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
_SDE = {"algorithm_type": "sde-dpmsolver++"}
_LAST = {"lower_order_final": True}
_TRAILING = {"timestep_spacing": "trailing"}
"""From the very last timestep on, where there is noise alone: with few steps it matters."""
SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-karras": ("EulerDiscreteScheduler", KARRAS),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "heun-karras": ("HeunDiscreteScheduler", KARRAS),
    "lms": ("LMSDiscreteScheduler", {}),
    "lms-karras": ("LMSDiscreteScheduler", KARRAS),
    "dpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm2-karras": ("KDPM2DiscreteScheduler", KARRAS),
    "dpm2-a": ("KDPM2AncestralDiscreteScheduler", {}),
    "dpm2-a-karras": ("KDPM2AncestralDiscreteScheduler", KARRAS),
    "dpm++-2m": (_2M, {}),
    "dpm++-2m-karras": (_2M, KARRAS),
    "dpm++-2m-sde": (_2M, _SDE),
    "dpm++-2m-sde-karras": (_2M, _SDE | KARRAS),
    "dpm++-2s": (_1S, _LAST),
    "dpm++-2s-karras": (_1S, _LAST | KARRAS),
    "dpm++-sde": (_1S, _LAST | _SDE),
    "dpm++-sde-karras": (_1S, _LAST | _SDE | KARRAS),
    "deis": ("DEISMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "ddim-trailing": ("DDIMScheduler", {"clip_sample": False, **_TRAILING}),  # few steps
    "lcm": ("LCMScheduler", {"clip_sample": False}),
    "dpmsolver++": (_2M, KARRAS),  # the name of dpm++-2m-karras in the first clips and presets
}
"""Sampler name to diffusers' class and its settings beside the model's noise schedule."""
TRAINING_TIMESTEPS, LCM_STEPS = 1000, 50
"""Most steps: those of the noise schedule that all models share, and LCM's own."""


@dataclass(frozen=True)
class Sampling:
    """Sampler, steps and guidance of a generation."""

    sampler: str = "dpmsolver++"
    steps: int = 25
    guidance: float = 5.0
    """Classifier-free guidance scale; 1 means none."""
    negative_prompt: str = ""

    def __post_init__(self) -> None:
        """PresetError for an unknown sampler, too many steps and guidance that is not finite."""
        if self.sampler not in SAMPLERS:
            raise PresetError(f"no sampler {self.sampler!r}; known: {', '.join(SAMPLERS)}")
        most = LCM_STEPS if self.sampler == "lcm" else TRAINING_TIMESTEPS
        if self.steps > most:
            raise PresetError(f"--steps {self.steps}: {self.sampler} takes {most} at most")
        if not math.isfinite(self.guidance):
            raise PresetError(f"--guidance {self.guidance}: a number is needed, such as 5")

    def override(
        self,
        sampler: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        negative_prompt: str | None = None,
    ) -> "Sampling":
        """A copy with the values that are not None."""
        given = {"sampler": sampler, "steps": steps, "guidance": guidance,
                 "negative_prompt": negative_prompt}  # fmt: skip
        return replace(self, **{name: x for name, x in given.items() if x is not None})


def make_scheduler(sampler: str, config: Mapping[str, Any]) -> Any:
    """A new scheduler for a sampler, with the noise schedule of a model's scheduler config."""
    import diffusers

    name, settings = SAMPLERS[sampler]
    return getattr(diffusers, name).from_config(config, **settings)
