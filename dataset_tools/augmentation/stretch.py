"""Change tempo by a phase vocoder with identity phase locking, and pitch by resampling.

Laroche and Dolson 1999, "Improved phase vocoder time-scale modification of audio": the phase of a
spectral peak advances by its frequency, and every other bin keeps its phase relative to its nearest
peak. librosa's vocoder, in which all bins are independent, has twice the error on signals with a
known result (docs/decisions.md).
"""

import numpy as np
from jaxtyping import Complex, Float, Int

N_FFT = 2048
HOP = N_FFT // 4
"""Samples between frames of the result."""
TINY = 1e-12
"""Spectral magnitude below which a bin has no phase."""


def change_tempo_and_pitch(
    audio: Float[np.ndarray, "channels samples"], tempo_factor: float, semitones: int
) -> Float[np.ndarray, "channels changed"]:
    """Play ``tempo_factor`` times as fast and ``semitones`` higher.

    The result has ``samples / tempo_factor`` samples. Resampling changes the pitch, and the tempo
    with it; ``change_tempo`` then corrects the tempo.
    """
    import soxr

    speed = 2 ** (semitones / 12)
    if speed != 1:
        audio = np.ascontiguousarray(soxr.resample(audio.T, speed, 1.0).T)
    return change_tempo(audio, tempo_factor / speed)


def change_tempo(
    audio: Float[np.ndarray, "channels samples"], tempo_factor: float
) -> Float[np.ndarray, "channels stretched"]:
    """Play ``tempo_factor`` times as fast at the same pitch.

    All channels are rotated by the phases of their sum, which keeps the stereo image. A factor of 1
    returns the array itself.
    """
    n_samples = round(audio.shape[1] / tempo_factor)
    if tempo_factor == 1:
        return audio
    starts = np.round(np.arange(n_samples // HOP + 2) * HOP * tempo_factor).astype(int) + HOP
    margin = (N_FFT // 2 + HOP, max(0, int(starts[-1]) + N_FFT - HOP - audio.shape[1]))
    padded = np.pad(audio.astype(np.float32, copy=False), ((0, 0), margin))
    now = np.stack([_spectra_at(channel, starts) for channel in padded])
    one_hop_earlier = _spectra_at(padded.sum(0), starts - HOP)
    rotations = _phase_rotations(now.sum(0), one_hop_earlier)
    return np.stack([_overlap_add(channel * rotations) for channel in now])[
        :, N_FFT // 2 : N_FFT // 2 + n_samples
    ]


def _hann_window() -> Float[np.ndarray, " n_fft"]:
    from scipy import signal

    return np.asarray(signal.get_window("hann", N_FFT), np.float32)


def _spectra_at(
    audio: Float[np.ndarray, " samples"], starts: Int[np.ndarray, " frames"]
) -> Complex[np.ndarray, "frames bins"]:
    """Spectra of windowed frames that begin at ``starts``."""
    from scipy import fft

    frames = np.lib.stride_tricks.sliding_window_view(audio, N_FFT)[starts]
    return np.asarray(fft.rfft(frames * _hann_window(), axis=1))


def _phase_rotations(
    now: Complex[np.ndarray, "frames bins"], one_hop_earlier: Complex[np.ndarray, "frames bins"]
) -> Complex[np.ndarray, "frames bins"]:
    """Complex factors of magnitude 1 that continue each frame's phases from the previous frame.

    ``one_hop_earlier`` holds spectra taken one hop before those of ``now`` in the input. The angle
    between both is the phase that a partial gains from one frame of the result to the next, so no
    frequency has to be estimated.
    """
    rotations = np.ones_like(now)
    levels = np.abs(now)
    steps = _unit_magnitude(now[:-1]) * _unit_magnitude(one_hop_earlier[1:]).conj()
    for t in range(1, len(now)):
        peaks = _peak_bins(levels[t])
        if not len(peaks):
            rotations[t] = rotations[t - 1]
            continue
        # Every bin belongs to its nearest peak.
        owner = np.repeat(peaks, np.diff([0, *((peaks[1:] + peaks[:-1]) // 2 + 1), now.shape[1]]))
        rotations[t] = _unit_magnitude(rotations[t - 1, owner] * steps[t - 1, owner])
    return rotations


def _unit_magnitude(z: Complex[np.ndarray, "..."]) -> Complex[np.ndarray, "..."]:
    """Divide by the magnitude; 1 where that is below ``TINY``."""
    size = np.abs(z)
    tiny = size < TINY
    return np.where(tiny, 1, z / np.where(tiny, 1, size)).astype(z.dtype)


def _peak_bins(levels: Float[np.ndarray, " bins"]) -> Int[np.ndarray, " peaks"]:
    """Bins louder than their two left neighbours, and at least as loud as their two right ones."""
    left = np.maximum(levels[:-4], levels[1:-3])
    right = np.maximum(levels[3:-1], levels[4:])
    middle = levels[2:-2]
    return np.flatnonzero((middle > left) & (middle >= right)) + 2


def _overlap_add(spectra: Complex[np.ndarray, "frames bins"]) -> Float[np.ndarray, " samples"]:
    """Window frames, add them one hop apart, and divide by the sum of the squared windows.

    That sum counts as at least 1e-3, so that the ends fade instead of growing without bound.
    """
    from scipy import fft

    window = _hann_window()
    frames = np.asarray(fft.irfft(spectra, N_FFT, axis=1)) * window
    n_frames, overlap = len(frames), N_FFT // HOP
    out = np.zeros((n_frames + overlap - 1, HOP), np.float32)
    weight = np.zeros_like(out)
    for part in range(overlap):
        span = slice(part * HOP, (part + 1) * HOP)
        out[part : part + n_frames] += frames[:, span]
        weight[part : part + n_frames] += np.square(window[span])
    return (out / np.maximum(weight, 1e-3)).ravel()
