"""Initial phase from STFT magnitudes by phase gradient heap integration (PGHI).

Průša, Balazs and Søndergaard, "A noniterative method for reconstruction of phase from STFT
magnitude", 2017 (https://arxiv.org/abs/1609.00291). For a Gaussian window the slope of the phase
along time is that of the log magnitude along frequency, and vice versa. A Hann window is close to a
Gaussian of matching width. Slopes are integrated from the loudest cell outwards, always from the
loudest cell reached so far, so that errors accumulate in quiet cells.

The paper's heap is replaced by a bucket queue with one stack of cells for each 0.1 dB: equal
quality at three times the speed.
"""

from collections.abc import Mapping
from typing import no_type_check

import numpy as np
from jaxtyping import Complex, Float, Int
from numba import njit

HANN_GAMMA = 0.25645
"""Width gamma of the Gaussian exp(-pi t^2 / gamma) closest to a Hann window, in squared lengths."""
LEVELS_PER_OCTAVE = 64
"""Resolution of the queue: cells within 0.1 dB of one another count as equally loud."""
SILENCE = 1e-12
"""Magnitude that counts as 0, whatever the loudest cell."""


def initial_phasors(
    magnitude: Float[np.ndarray, "frames bins"],
    hop_length: int,
    win_length: int,
    n_fft: int,
    tolerance: float = 1e-4,
    known: Mapping[int, Complex[np.ndarray, " bins"]] | None = None,
) -> Complex[np.ndarray, "frames bins"]:
    """Unit phasors for a zero-padded Hann window of ``win_length`` in the middle of the FFT frame.

    Cells below ``tolerance`` times the loudest keep phase 0: they are inaudible, and skipping them
    saves time. Magnitudes may all be 0. ``known`` are phasors of frames, by index, from which the
    integration starts.
    """
    floor = max(float(tolerance * magnitude.max(initial=0)), SILENCE)
    # A rim of skipped cells, so that the loop needs no border checks.
    rimmed = np.pad(magnitude, 1, mode="edge")
    log = np.log(np.maximum(rimmed, np.float32(0.1 * floor)))
    stretch = np.float32(HANN_GAMMA * win_length**2 / (hop_length * n_fft))
    along_time, along_frequency = np.zeros_like(log), np.zeros_like(log)
    turn = (2 * np.pi * hop_length / n_fft) * np.arange(magnitude.shape[1], dtype=np.float32)
    along_time[1:-1, 1:-1] = (log[1:-1, 2:] - log[1:-1, :-2]) / (2 * stretch) + turn
    along_frequency[1:-1, 1:-1] = (log[2:, 1:-1] - log[:-2, 1:-1]) * (-stretch / 2)
    levels = np.full(log.shape, -1, np.int32)
    levels[1:-1, 1:-1] = _queue_levels(magnitude, floor)
    phase, fixed = np.zeros_like(log), np.zeros(log.shape, np.bool_)
    for t, phasors in (known or {}).items():
        phase[t + 1, 1:-1], fixed[t + 1, 1:-1] = np.angle(phasors * _half_turn_signs(phasors)), True
    slopes = along_time.ravel(), along_frequency.ravel()
    _integrate(*slopes, levels.ravel(), phase.ravel(), fixed.ravel(), log.shape[1])
    phasors = np.exp(np.complex64(1j) * phase[1:-1, 1:-1])
    return phasors * _half_turn_signs(phasors)


def _half_turn_signs(phasors: Complex[np.ndarray, "*frames bins"]) -> Float[np.ndarray, " bins"]:
    """Signs of half a turn per bin: the window's middle is sample n_fft / 2 of its frame."""
    return np.where(np.arange(phasors.shape[-1]) % 2, np.float32(-1), np.float32(1))


def _queue_levels(
    magnitude: Float[np.ndarray, "frames bins"], floor: float
) -> Int[np.ndarray, "frames bins"]:
    """Level in queue steps above ``floor``; -1 for skipped cells."""
    octaves = np.log2(np.maximum(magnitude, np.float32(0.5 * floor)) / np.float32(floor))
    return np.floor(octaves * LEVELS_PER_OCTAVE).clip(-1).astype(np.int32)


@njit(cache=True)
@no_type_check
def _integrate(along_time, along_frequency, levels, phase, fixed, stride):
    """Integrate the slopes into ``phase``, loudest cell first; flat arrays, ``stride`` per frame.

    Starts from the ``fixed`` cells, then from the loudest cell that is not reached yet. ``stacks``
    holds the top cell of each level, ``below`` the cell under each cell. A cell's level in ``todo``
    is -1 once it is reached.
    """
    todo = levels.copy()
    stacks = np.full(todo.max() + 1, -1, np.int32)
    below = np.empty(len(todo), np.int32)
    top = -1
    for cell in range(len(fixed)):
        if fixed[cell] and todo[cell] >= 0:
            top = max(top, todo[cell])
            _push(cell, todo, stacks, below)
    slopes = along_time, along_frequency
    _integrate_connected(slopes, todo, stacks, below, phase, stride, top)
    for seed in _loudest_first(levels):
        top = todo[seed]
        if top >= 0:
            _push(seed, todo, stacks, below)
            _integrate_connected(slopes, todo, stacks, below, phase, stride, top)


@njit(cache=True)
@no_type_check
def _integrate_connected(slopes, todo, stacks, below, phase, stride, top):
    """Integrate to all cells that are connected to those in the queue, loudest first."""
    along_time, along_frequency = slopes
    while top >= 0:
        cell = stacks[top]
        if cell < 0:
            top -= 1
            continue
        stacks[top] = below[cell]
        for offset in (-stride, stride, -1, 1):
            near = cell + offset
            level = todo[near]
            if level < 0:
                continue
            slope = along_frequency if abs(offset) == 1 else along_time
            step = np.float32(0.5) * (slope[cell] + slope[near])
            turned = phase[cell] + (step if offset > 0 else -step)
            phase[near] = turned - 2 * np.pi * np.round(turned / (2 * np.pi))
            _push(near, todo, stacks, below)
            top = max(top, level)


@njit(cache=True)
@no_type_check
def _push(cell, todo, stacks, below):
    """Move a cell from the cells to do onto the stack of its level."""
    level = todo[cell]
    below[cell] = stacks[level]
    stacks[level] = cell
    todo[cell] = -1


@njit(cache=True)
@no_type_check
def _loudest_first(levels):
    """Indices of the cells with level >= 0 by descending level (counting sort)."""
    place = np.zeros(levels.max() + 2, np.int64)
    for level in levels:
        if level >= 0:
            place[level] += 1
    n_louder = 0
    for level in range(levels.max(), -1, -1):
        n_louder, place[level] = n_louder + place[level], n_louder
    order = np.empty(n_louder, np.int32)
    for cell, level in enumerate(levels):
        if level >= 0:
            order[place[level]] = cell
            place[level] += 1
    return order
