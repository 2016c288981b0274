"""Phase retrieval by ADMM: from STFT magnitudes to a waveform, as a stream of frames.

The splitting is that of Liang, Stoica, Jing and Li, "Phase retrieval via the alternating direction
method of multipliers" (2018, https://doi.org/10.1109/LSP.2017.2767826), in the form of Masuyama,
Yatabe and Oikawa, "Griffin-Lim like phase recovery via ADMM" (2019,
https://doi.org/10.1109/LSP.2018.2884026): the magnitudes A are a hard constraint, the consistency
of overlapping frames is a soft one. With dual variable U, and P overlap-add then STFT, a step is

    X = A (Z - U) / |Z - U|,  V = X + U,  Z = (P(V) + rho V) / (1 + rho),  U = V - Z

Only V and P(V) are needed: Z - U is parallel to 2 P(V) - (1 - rho) V, and U is
(V - P(V)) / (1 + rho). So a step is one pass over the cells between two FFTs.

A frame's step depends only on the few frames that share samples with it. So all steps run
interleaved, each a few frames behind the step before: the result is the same as without streaming,
and only a few hundred frames are held in memory.
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
"""Rho of the first steps; rho of the last steps; the share of steps that are last ones.

Small values explore, large ones converge. The last quarter lowers the error in quiet cells by
0.2 dB, and the error of the loudness from 0.02 dB to 0.
"""
RIM = 1e-3
"""Samples are silent where the sum of squared windows, relative to its maximum, is less."""

Frames = tuple[Float[np.ndarray, "_frames bins"], Complex[np.ndarray, "_frames bins"]]
"""Magnitudes of consecutive frames, and their ADMM state or initial unit phasors."""


def retrieve_phase(
    blocks: Iterable[Frames], fmt: MelFormat, n_iterations: int
) -> Iterator[Float[np.ndarray, "_samples"]]:
    """Yield samples from STFT magnitudes and an initial phase, one hop per frame.

    ``blocks`` are (magnitudes, initial unit phasors) of any numbers of frames, which do not affect
    the result. Output blocks are ``BLOCK`` hops long, except the last.
    """
    # The first window starts before the hop of the first frame.
    early = (fmt.n_fft - fmt.hop_length) // 2 - (fmt.n_fft - fmt.win_length) // 2
    late = fmt.win_length - fmt.hop_length - early
    sound = without_ends(_retrieve(blocks, fmt, n_iterations), early, late)
    return regroup(sound, BLOCK * fmt.hop_length)


def rho_schedule(n_iterations: int) -> list[float]:
    """Rho of each step: ``RHO``, and ``RHO_LAST`` for the last ones."""
    n_last = int(n_iterations * LAST)
    return [RHO] * (n_iterations - n_last) + [RHO_LAST] * n_last


def reach(fmt: MelFormat, n_iterations: int) -> int:
    """Most frames on each side that a frame's samples can depend on, for a given initial phase."""
    return (n_iterations + 1) * -(-fmt.win_length // fmt.hop_length)


def _split_and_apply_phase(blocks: Iterable[Frames]) -> Iterator[Frames]:
    """Split each chunk into blocks of at most ``BLOCK`` frames: magnitudes, complex spectra."""
    for magnitude, phasors in blocks:
        for t in range(0, len(magnitude), BLOCK):
            part = magnitude[t : t + BLOCK]
            yield part, part * phasors[t : t + BLOCK]


def _retrieve(
    blocks: Iterable[Frames], fmt: MelFormat, n_iterations: int
) -> Iterator[Float[np.ndarray, "_samples"]]:
    """Samples from the start of the first window to the end of the last one."""
    steps = [_Step(fmt, rho) for rho in rho_schedule(n_iterations)]
    held, final = _HeldFrames(fmt), _OverlapAdd(fmt)
    for magnitude, state in _split_and_apply_phase(blocks):
        held.add(magnitude, state)
        n_ready = held.stop
        for step in steps:
            n_ready = step.step_ready_frames(held, n_ready)
        yield final.add(held, n_ready)
        held.drop_before(n_ready)
    for step in steps:
        step.step_ready_frames(held, held.stop, last=True)
    yield final.add(held, held.stop, last=True)


class _HeldFrames:
    """Frames that not all steps have processed yet, changed in place; 0 is the stream's first."""

    def __init__(self, fmt: MelFormat) -> None:
        self.fmt = fmt
        self.start = self.stop = 0
        self.magnitude = np.zeros((0, fmt.n_fft // 2 + 1), np.float32)
        self.state = self.magnitude.astype(np.complex64)
        self.power = np.zeros(fmt.win_length - fmt.hop_length, np.float32)
        """Sum of squared windows, from the first sample of the first held frame."""
        self.weight = self.power
        """Its inverse; 0 at the rim, where the sum is nearly 0."""

    def add(
        self,
        magnitude: Float[np.ndarray, "frames bins"],
        state: Complex[np.ndarray, "frames bins"],
    ) -> None:
        """Append frames."""
        self.magnitude = np.concatenate([self.magnitude, magnitude])
        self.state = np.concatenate([self.state, state])
        hop, squared = self.fmt.hop_length, np.square(_unpadded_window(self.fmt)[0])
        longer = np.zeros(len(state) * hop, np.float32)
        self.power, self.weight = (np.append(x, longer) for x in (self.power, self.weight))
        changed = slice((self.stop - self.start) * hop, None)
        for t in range(len(state)):
            self.power[changed][t * hop :][: len(squared)] += squared
        power, floor = self.power[changed], _least_window_power(self.fmt)
        self.weight[changed] = np.where(power > floor, 1 / np.maximum(power, floor), 0)
        self.stop += len(state)

    def drop_before(self, frame: int) -> None:
        """Drop finished frames."""
        n = frame - self.start
        self.magnitude, self.state = self.magnitude[n:], self.state[n:]
        gone = n * self.fmt.hop_length
        self.power, self.weight = self.power[gone:], self.weight[gone:]
        self.start = frame

    def slice_of(self, start: int, stop: int) -> slice:
        """Slice of these frames in ``magnitude`` and ``state``."""
        return slice(start - self.start, stop - self.start)

    def divide_by_window_power(self, sound: Float[np.ndarray, " samples"], frame: int) -> None:
        """Divide samples from the start of this frame by the sum of squared windows, in place."""
        sound *= self.weight[(frame - self.start) * self.fmt.hop_length :][: len(sound)]


class _OverlapAdd:
    """Least-squares inverse STFT (Griffin and Lim 1984) of held frames, in order."""

    def __init__(self, fmt: MelFormat) -> None:
        self.fmt, self.n_added = fmt, 0
        self.window, self.left = _unpadded_window(fmt)
        self.tail = np.zeros(fmt.win_length - fmt.hop_length, np.float32)

    def add(
        self, held: _HeldFrames, stop: int, last: bool = False
    ) -> Float[np.ndarray, " samples"]:
        """Add all frames before ``stop``; returns the samples that no later frame changes."""
        hop, within = self.fmt.hop_length, slice(self.left, self.left + len(self.window))
        first, n_frames = self.n_added, stop - self.n_added
        sound = np.append(self.tail, np.zeros(n_frames * hop, np.float32))
        if n_frames:
            spectra = held.state[held.slice_of(first, stop)]
            frames = np.asarray(fft.irfft(spectra, n=self.fmt.n_fft, axis=-1))
            _overlap_add_windowed(sound, frames[:, within], self.window, hop)
        n_finished = len(sound) if last else n_frames * hop
        finished, self.tail, self.n_added = sound[:n_finished], sound[n_finished:], stop
        held.divide_by_window_power(finished, first)
        return finished


class _Step:
    """One ADMM step, applied to each frame once all frames that overlap it have arrived."""

    def __init__(self, fmt: MelFormat, rho: float) -> None:
        self.fmt, self.rho, self.n_stepped = fmt, np.float32(rho), 0
        self.overlap, self.sound = _OverlapAdd(fmt), np.zeros(0, np.float32)

    def step_ready_frames(self, held: _HeldFrames, n_ready: int, last: bool = False) -> int:
        """Step all frames whose overlapping frames are before ``n_ready``; returns the sum."""
        self.sound = np.concatenate([self.sound, self.overlap.add(held, n_ready, last)])
        n = max(0, (len(self.sound) - self.fmt.win_length) // self.fmt.hop_length + 1)
        if n:
            rows = held.slice_of(self.n_stepped, self.n_stepped + n)
            _admm_step(held.state[rows], self._consistent(n), held.magnitude[rows], self.rho)
            self.sound = self.sound[n * self.fmt.hop_length :]
            self.n_stepped += n
        return self.n_stepped

    def _consistent(self, n_frames: int) -> Complex[np.ndarray, "frames bins"]:
        """P(V): STFT of the overlap-added frames."""
        frames = np.zeros((n_frames, self.fmt.n_fft), np.float32)
        own_window, left = self.overlap.window, self.overlap.left
        within = frames[:, left : left + len(own_window)]
        _cut_windowed_frames(self.sound, within, own_window, self.fmt.hop_length)
        return np.asarray(fft.rfft(frames, axis=-1))


@lru_cache(maxsize=8)
def _unpadded_window(fmt: MelFormat) -> tuple[Float[np.ndarray, " win_length"], int]:
    """The window without its zero padding, and the number of zeros before it."""
    left = (fmt.n_fft - fmt.win_length) // 2
    return np.ascontiguousarray(window(fmt)[left : left + fmt.win_length]), left


@lru_cache(maxsize=8)
def _least_window_power(fmt: MelFormat) -> np.float32:
    """Sum of squared windows below which samples are silent: ``RIM`` times its maximum."""
    shape = _unpadded_window(fmt)[0].astype(np.float64)
    padded = np.pad(np.square(shape), (0, -len(shape) % fmt.hop_length))
    return np.float32(RIM * padded.reshape(-1, fmt.hop_length).sum(0).max())


@lru_cache(maxsize=8)
def inverse_window_power(fmt: MelFormat, n_frames: int) -> Float[np.ndarray, " padded"]:
    """Inverse of the sum of squared windows; 0 at the rim, where the sum is nearly 0."""
    power = np.zeros((n_frames - 1) * fmt.hop_length + fmt.n_fft)
    squared = window(fmt).astype(np.float64) ** 2
    for t in range(n_frames):
        power[t * fmt.hop_length : t * fmt.hop_length + fmt.n_fft] += squared
    floor = RIM * power.max()
    return np.where(power > floor, 1 / np.maximum(power, floor), 0).astype(np.float32)


@njit(cache=True, fastmath=True)
@no_type_check
def _overlap_add_windowed(sound, frames, window, hop_length):
    for t in range(len(frames)):
        for i in range(len(window)):
            sound[t * hop_length + i] += frames[t, i] * window[i]


@njit(cache=True, fastmath=True)
@no_type_check
def _cut_windowed_frames(sound, frames, window, hop_length):
    for t in range(len(frames)):
        for i in range(len(window)):
            frames[t, i] = sound[t * hop_length + i] * window[i]


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
