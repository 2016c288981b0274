"""Euler, DDIM, DPM-Solver++ 2M and LCM in NumPy.

Each is diffusers' scheduler of that name with the settings that ``dmm generate`` gives it: the
same timesteps and, for the same predictions, the same latents.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from ..errors import PresetError
from .schedule import alphas_cumprod, karras_sigmas, sigmas, spaced_timesteps, timesteps_of_sigmas
from .schema import Schedule

Latents = Float[np.ndarray, "n channels rows columns"]
MakeNoise = Callable[[], Latents]


@runtime_checkable
class Sampler(Protocol):
    """One sampling run; ``step`` is called once for every timestep, in order."""

    timesteps: Float[np.ndarray, " steps"]
    init_noise_sigma: float
    """Factor of the initial noise."""

    def scale_input(self, latents: Latents, number: int) -> Latents:
        """Latents as the UNet's input at step ``number``, counted from 0."""
        ...

    def step(
        self, predicted: Latents, number: int, latents: Latents, make_noise: MakeNoise
    ) -> Latents:
        """The latents after step ``number``; ``make_noise`` generates noise that is added."""
        ...


class _CleanLatents:
    """Computes clean latents from a prediction of noise, velocity or themselves."""

    def __init__(self, prediction: str) -> None:
        self.prediction = prediction

    def __call__(
        self, predicted: Latents, latents: Latents, signal: np.floating, noise: np.floating
    ) -> Latents:
        """``clean`` in latents = signal · clean + noise · standard noise."""
        if self.prediction == "epsilon":
            return (latents - noise * predicted) / signal
        if self.prediction == "v_prediction":
            return signal * latents - noise * predicted
        return predicted


class Euler:
    """diffusers' EulerDiscreteScheduler."""

    def __init__(self, schedule: Schedule, prediction: str, steps: int, karras: bool) -> None:
        of_training = sigmas(schedule)
        times = spaced_timesteps(schedule, steps).astype(np.float32)
        found = np.interp(times, np.arange(len(of_training)), of_training)
        if karras:
            found = karras_sigmas(float(found[-1]), float(found[0]), steps)
            times = timesteps_of_sigmas(found, of_training)
        self.timesteps = times.astype(np.float32)
        self.sigmas = np.append(found, 0).astype(np.float32)
        highest = float(self.sigmas.max())
        is_leading = schedule.timestep_spacing == "leading"
        self.init_noise_sigma = (highest**2 + 1) ** 0.5 if is_leading else highest
        self._clean = _CleanLatents(prediction)

    def scale_input(self, latents: Latents, number: int) -> Latents:
        """Latents at unit variance."""
        return latents / np.sqrt(self.sigmas[number] ** 2 + 1)

    def step(
        self, predicted: Latents, number: int, latents: Latents, make_noise: MakeNoise
    ) -> Latents:
        """Euler step along the line from the clean latents through these."""
        sigma, following = self.sigmas[number : number + 2]
        size = np.sqrt(sigma**2 + 1)
        # In units where latents = clean + sigma · noise
        clean = self._clean(predicted, latents / size, 1 / size, sigma / size)
        return latents + (latents - clean) / sigma * (following - sigma)


class Ddim:
    """diffusers' DDIMScheduler without clipping; ``spacing`` overrides the schedule's."""

    init_noise_sigma = 1.0

    def __init__(
        self, schedule: Schedule, prediction: str, steps: int, spacing: str | None = None
    ) -> None:
        self.timesteps = spaced_timesteps(schedule, steps, spacing).round()
        self._jump = schedule.train_timesteps // steps
        self._kept = alphas_cumprod(schedule)
        self._clean = _CleanLatents(prediction)

    def scale_input(self, latents: Latents, number: int) -> Latents:
        """Latents as they are."""
        return latents

    def step(
        self, predicted: Latents, number: int, latents: Latents, make_noise: MakeNoise
    ) -> Latents:
        """Mix the predicted clean latents and noise for the next timestep (eq. 12 of DDIM)."""
        time = int(self.timesteps[number])
        before = time - self._jump
        kept, following = self._kept[time], self._kept[before] if before >= 0 else np.float32(1)
        signal, size = np.sqrt(kept), np.sqrt(1 - kept)
        clean = self._clean(predicted, latents, signal, size)
        found = predicted
        if self._clean.prediction == "v_prediction":
            found = signal * predicted + size * latents
        elif self._clean.prediction == "sample":
            found = (latents - signal * clean) / size
        return np.sqrt(following) * clean + np.sqrt(1 - following) * found


class DpmSolver:
    """diffusers' DPMSolverMultistepScheduler: DPM-Solver++ of second order, midpoint."""

    init_noise_sigma = 1.0

    def __init__(self, schedule: Schedule, prediction: str, steps: int, karras: bool) -> None:
        of_training = sigmas(schedule)
        if karras:
            found = karras_sigmas(float(of_training[0]), float(of_training[-1]), steps)
            times = timesteps_of_sigmas(found, of_training)
        else:
            times = spaced_timesteps(schedule, steps, extra=1)
            found = np.interp(times.round(), np.arange(len(of_training)), of_training)
        self.timesteps = times.round()
        self.sigmas = np.append(found, 0).astype(np.float32)
        self._clean, self._last = _CleanLatents(prediction), None

    def scale_input(self, latents: Latents, number: int) -> Latents:
        """Latents as they are."""
        return latents

    def step(
        self, predicted: Latents, number: int, latents: Latents, make_noise: MakeNoise
    ) -> Latents:
        """DPM-Solver++ step of second order; of first order at the first and the last step."""
        signal, size, log_snr = self._at(number)
        following_signal, following_size, following_log_snr = self._at(number + 1)
        clean = self._clean(predicted, latents, signal, size)
        pull = -following_signal * np.expm1(log_snr - following_log_snr)
        found = following_size / size * latents + pull * clean
        if self._last is not None and number + 1 < len(self.timesteps):
            ratio = (log_snr - self._at(number - 1)[2]) / (following_log_snr - log_snr)
            found = found + pull * (clean - self._last) / (2 * ratio)
        self._last = clean
        return found.astype(np.float32)

    def _at(self, number: int) -> tuple[np.floating, np.floating, np.floating]:
        """Scale of signal and of noise at a step, and the logarithm of their ratio."""
        sigma = self.sigmas[number]
        signal = 1 / np.sqrt(sigma**2 + 1)
        with np.errstate(divide="ignore"):
            return signal, sigma * signal, -np.log(sigma)


class Lcm:
    """diffusers' LCMScheduler (Luo et al. 2023, https://arxiv.org/abs/2310.04378)."""

    init_noise_sigma = 1.0
    ORIGINAL_STEPS, SIGMA_DATA, TIMESTEP_SCALING = 50, 0.5, 10.0

    def __init__(self, schedule: Schedule, prediction: str, steps: int) -> None:
        count = self.ORIGINAL_STEPS
        if steps > count:
            raise PresetError(f"--steps {steps}: LCM takes {count} at most")
        original = np.arange(1, count + 1) * (schedule.train_timesteps // count) - 1
        places = np.floor(np.linspace(0, count, num=steps, endpoint=False)).astype(int)
        self.timesteps = original[::-1][places].astype(np.float64)
        self._kept, self._clean = alphas_cumprod(schedule), _CleanLatents(prediction)

    def scale_input(self, latents: Latents, number: int) -> Latents:
        """Latents as they are."""
        return latents

    def step(
        self, predicted: Latents, number: int, latents: Latents, make_noise: MakeNoise
    ) -> Latents:
        """Apply the consistency function, then add new noise unless it is the last step."""
        time = self.timesteps[number]
        kept = self._kept[int(time)]
        clean = self._clean(predicted, latents, np.sqrt(kept), np.sqrt(1 - kept))
        scaled = time * self.TIMESTEP_SCALING
        skip = np.float32(self.SIGMA_DATA**2 / (scaled**2 + self.SIGMA_DATA**2))
        out = np.float32(scaled / (scaled**2 + self.SIGMA_DATA**2) ** 0.5)
        found = out * clean + skip * latents
        if number + 1 == len(self.timesteps):
            return found
        following = self._kept[int(self.timesteps[number + 1])]
        return np.sqrt(following) * found + np.sqrt(1 - following) * make_noise()


SAMPLERS: dict[str, Callable[[Schedule, str, int], Sampler]] = {
    "euler": lambda *of: Euler(*of, karras=False),
    "euler-karras": lambda *of: Euler(*of, karras=True),
    "ddim": Ddim,
    "ddim-trailing": lambda *of: Ddim(*of, spacing="trailing"),
    "dpm++-2m": lambda *of: DpmSolver(*of, karras=False),
    "dpm++-2m-karras": lambda *of: DpmSolver(*of, karras=True),
    "lcm": Lcm,
}
"""By their names in ``dmm generate``."""


def make_sampler(name: str, schedule: Schedule, prediction: str, steps: int) -> Sampler:
    """A sampler for one run; PresetError lists the known ones."""
    if name not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        raise PresetError(f"sampler {name!r} does not run from a bundle; known: {known}")
    return SAMPLERS[name](schedule, prediction, steps)
