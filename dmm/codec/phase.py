"""Magnitudes to sound: a phase that overlapping frames agree on, found by ADMM.

The splitting is that of Liang, Stoica, Jing and Li, "Phase retrieval via the alternating direction
method of multipliers" (2018, https://doi.org/10.1109/LSP.2017.2767826), in the form of Masuyama,
Yatabe and Oikawa, "Griffin-Lim like phase recovery via ADMM" (2019,
https://doi.org/10.1109/LSP.2018.2884026): the magnitudes A are a hard constraint, the agreement
of the frames is a soft one. With U the dual variable and P overlap-add followed by STFT, a step is

    X = A (Z - U) / |Z - U|,  V = X + U,  Z = (P(V) + rho V) / (1 + rho),  U = V - Z

V and P(V) are all it needs: Z - U is parallel to 2 P(V) - (1 - rho) V, and U is
(V - P(V)) / (1 + rho). So a step is one pass over the cells between two FFTs.

A frame's step depends on the few frames that share samples with it, so all steps run at once, each
a few frames behind the one before: sound of any length is as good as if it were retrieved at once,
and a few hundred frames are held.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import no_type_check

import numpy as np
from jaxtyping import Complex, Float
from numba import njit
from scipy import fft

from .framing import BLOCK, regroup, without_ends
from .mel import MelFormat, window

RHO, RHO_LAST, LAST = 0.1, 0.4, 0.25
"""Small rho searches, large rho settles: the last quarter of the steps takes 0.2 dB off the error
in quiet cells and all of the 0.02 dB that is otherwise missing from the loudness."""
RIM = 1e-3
"""Samples where the squared windows sum to less, beside their largest sum, are left silent."""

Frames = tuple[Float[np.ndarray, "_frames bins"], Complex[np.ndarray, "_frames bins"]]
"""Magnitudes of consecutive frames, and their state or unit phasors as in ``mel.stft``."""


def retrieve_phase(
    blocks: Iterable[Frames], fmt: MelFormat, n_iterations: int
) -> Iterator[Float[np.ndarray, "_samples"]]:
    """Yield sound whose STFT magnitudes come close to those given, a hop for every frame.

    ``blocks`` are (magnitudes, unit phasors to start from), of any numbers of frames; what comes
    out is ``BLOCK`` hops long each time but the last. How the frames are divided does not matter.
    """
    # The first window begins before the first frame's hop.
    early = (fmt.n_fft - fmt.hop_length) // 2 - (fmt.n_fft - fmt.win_length) // 2
    late = fmt.win_length - fmt.hop_length - early
    sound = without_ends(_retrieve(blocks, fmt, n_iterations), early, late)
    return regroup(sound, BLOCK * fmt.hop_length)


def rho_schedule(n_iterations: int) -> list[float]:
    """The weight of each step's agreement, ``RHO`` and at the end ``RHO_LAST``."""
    n_last = int(n_iterations * LAST)
    return [RHO] * (n_iterations - n_last) + [RHO_LAST] * n_last


def reach(fmt: MelFormat, n_iterations: int) -> int:
    """Frames to each side that the sound of a frame depends on, its start phase given."""
    return (n_iterations + 1) * -(-fmt.win_length // fmt.hop_length)


def _small(blocks: Iterable[Frames]) -> Iterator[Frames]:
    for magnitude, phasors in blocks:
        for t in range(0, len(magnitude), BLOCK):
            part = magnitude[t : t + BLOCK]
            yield part, part * phasors[t : t + BLOCK]


def _retrieve(
    blocks: Iterable[Frames], fmt: MelFormat, n_iterations: int
) -> Iterator[Float[np.ndarray, "_samples"]]:
    """Sound from the first sample that the first window reaches to the last of the last one."""
    steps = [_Step(fmt, rho) for rho in rho_schedule(n_iterations)]
    held, final = _Held(fmt), _OverlapAdd(fmt)
    for magnitude, state in _small(blocks):
        held.add(magnitude, state)
        n_ready = held.stop
        for step in steps:
            n_ready = step.advance(held, n_ready)
        yield final.add(held, n_ready)
        held.drop_before(n_ready)
    for step in steps:
        step.advance(held, held.stop, last=True)
    yield final.add(held, held.stop, last=True)


class _Held:
    """The frames that some step has still to reach, changed in place, numbered from 0 on."""

    def __init__(self, fmt: MelFormat) -> None:
        self.fmt = fmt
        self.start = self.stop = 0
        self.magnitude = np.zeros((0, fmt.n_fft // 2 + 1), np.float32)
        self.state = self.magnitude.astype(np.complex64)
        self.power = np.zeros(fmt.win_length - fmt.hop_length, np.float32)
        """Summed squares of all windows, from the first held frame's first sample on."""
        self.weight = self.power
        """One over it; 0 where next to no frame reaches."""

    def add(
        self,
        magnitude: Float[np.ndarray, "frames bins"],
        state: Complex[np.ndarray, "frames bins"],
    ) -> None:
        """Append frames."""
        self.magnitude = np.concatenate([self.magnitude, magnitude])
        self.state = np.concatenate([self.state, state])
        hop, squared = self.fmt.hop_length, np.square(_support(self.fmt)[0])
        longer = np.zeros(len(state) * hop, np.float32)
        self.power, self.weight = (np.append(x, longer) for x in (self.power, self.weight))
        changed = slice((self.stop - self.start) * hop, None)
        for t in range(len(state)):
            self.power[changed][t * hop :][: len(squared)] += squared
        power, floor = self.power[changed], _rim_power(self.fmt)
        self.weight[changed] = np.where(power > floor, 1 / np.maximum(power, floor), 0)
        self.stop += len(state)

    def drop_before(self, frame: int) -> None:
        """Forget frames that are finished."""
        n = frame - self.start
        self.magnitude, self.state = self.magnitude[n:], self.state[n:]
        gone = n * self.fmt.hop_length
        self.power, self.weight = self.power[gone:], self.weight[gone:]
        self.start = frame

    def rows(self, start: int, stop: int) -> slice:
        """Where these frames are in ``magnitude`` and ``state``."""
        return slice(start - self.start, stop - self.start)

    def weigh(self, sound: Float[np.ndarray, " samples"], frame: int) -> None:
        """Divide sound, from this frame's first sample on, by the power of the windows."""
        sound *= self.weight[(frame - self.start) * self.fmt.hop_length :][: len(sound)]


class _OverlapAdd:
    """Least-squares inverse STFT (Griffin and Lim 1984) of held frames in their order."""

    def __init__(self, fmt: MelFormat) -> None:
        self.fmt, self.n_added = fmt, 0
        self.shape, self.left = _support(fmt)
        self.tail = np.zeros(fmt.win_length - fmt.hop_length, np.float32)

    def add(self, held: _Held, stop: int, last: bool = False) -> Float[np.ndarray, " samples"]:
        """Go on to frame ``stop``: the samples that no later frame reaches."""
        hop, within = self.fmt.hop_length, slice(self.left, self.left + len(self.shape))
        first, n_frames = self.n_added, stop - self.n_added
        sound = np.append(self.tail, np.zeros(n_frames * hop, np.float32))
        if n_frames:
            spectra = held.state[held.rows(first, stop)]
            frames = np.asarray(fft.irfft(spectra, n=self.fmt.n_fft, axis=-1))
            _add_frames(sound, frames[:, within], self.shape, hop)
        n_finished = len(sound) if last else n_frames * hop
        finished, self.tail, self.n_added = sound[:n_finished], sound[n_finished:], stop
        held.weigh(finished, first)
        return finished


class _Step:
    """One ADMM step of every frame, made when all that share samples with it have come."""

    def __init__(self, fmt: MelFormat, rho: float) -> None:
        self.fmt, self.rho, self.n_stepped = fmt, np.float32(rho), 0
        self.overlap, self.sound = _OverlapAdd(fmt), np.zeros(0, np.float32)

    def advance(self, held: _Held, n_ready: int, last: bool = False) -> int:
        """Step what can be, given that the frames before ``n_ready`` are; returns how far."""
        self.sound = np.concatenate([self.sound, self.overlap.add(held, n_ready, last)])
        n = max(0, (len(self.sound) - self.fmt.win_length) // self.fmt.hop_length + 1)
        if n:
            rows = held.rows(self.n_stepped, self.n_stepped + n)
            _admm_step(held.state[rows], self._consistent(n), held.magnitude[rows], self.rho)
            self.sound = self.sound[n * self.fmt.hop_length :]
            self.n_stepped += n
        return self.n_stepped

    def _consistent(self, n_frames: int) -> Complex[np.ndarray, "frames bins"]:
        """The STFT of the sound of all frames, added up."""
        frames = np.zeros((n_frames, self.fmt.n_fft), np.float32)
        shape, left = self.overlap.shape, self.overlap.left
        _cut_frames(self.sound, frames[:, left : left + len(shape)], shape, self.fmt.hop_length)
        return np.asarray(fft.rfft(frames, axis=-1))


@lru_cache(maxsize=8)
def _support(fmt: MelFormat) -> tuple[Float[np.ndarray, " win_length"], int]:
    """The window without the zeros around it, and how many there are before it."""
    left = (fmt.n_fft - fmt.win_length) // 2
    return np.ascontiguousarray(window(fmt)[left : left + fmt.win_length]), left


@lru_cache(maxsize=8)
def _rim_power(fmt: MelFormat) -> np.float32:
    shape = _support(fmt)[0].astype(np.float64)
    padded = np.pad(np.square(shape), (0, -len(shape) % fmt.hop_length))
    return np.float32(RIM * padded.reshape(-1, fmt.hop_length).sum(0).max())


@lru_cache(maxsize=8)
def overlap_weight(fmt: MelFormat, n_frames: int) -> Float[np.ndarray, " padded"]:
    """One over the summed squared windows; 0 at the rim, where next to no frame reaches."""
    power = np.zeros((n_frames - 1) * fmt.hop_length + fmt.n_fft)
    squared = window(fmt).astype(np.float64) ** 2
    for t in range(n_frames):
        power[t * fmt.hop_length : t * fmt.hop_length + fmt.n_fft] += squared
    floor = RIM * power.max()
    return np.where(power > floor, 1 / np.maximum(power, floor), 0).astype(np.float32)


@njit(cache=True, fastmath=True)
@no_type_check
def _add_frames(sound, frames, shape, hop_length):
    for t in range(len(frames)):
        for i in range(len(shape)):
            sound[t * hop_length + i] += frames[t, i] * shape[i]


@njit(cache=True, fastmath=True)
@no_type_check
def _cut_frames(sound, frames, shape, hop_length):
    for t in range(len(frames)):
        for i in range(len(shape)):
            frames[t, i] = sound[t * hop_length + i] * shape[i]


@njit(cache=True, fastmath=True)
@no_type_check
def _admm_step(state, consistent, magnitude, rho):
    """V <- X + U, in place; all (frames, bins)."""
    flat_state, flat_consistent = state.ravel(), consistent.ravel()
    flat_magnitude = magnitude.ravel()
    keep, share = np.float32(1) - rho, np.float32(1) / (np.float32(1) + rho)
    two, tiny = np.float32(2), np.float32(1e-30)
    for i in range(len(flat_state)):
        v_real, v_imag = flat_state[i].real, flat_state[i].imag
        p_real, p_imag = flat_consistent[i].real, flat_consistent[i].imag
        real, imag = two * p_real - keep * v_real, two * p_imag - keep * v_imag
        scale = flat_magnitude[i] / np.sqrt(real * real + imag * imag + tiny)
        flat_state[i] = complex(
            real * scale + (v_real - p_real) * share, imag * scale + (v_imag - p_imag) * share
        )
