"""Windows with and without a synthetic voice, as the vocal classifier hears them; kept on disk.

Every piece gives windows of both kinds, with the same players, rooms and distractors in each, so
that the voice alone tells them apart. Remove the folder when MiniMIDI or its singer changes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
import torch
from jaxtyping import Bool, Float, UInt8
from scipy import signal

from dataset_tools.sources.minimidi import Piece
from dataset_tools.sources.minimidi.voice import sing
from dmm.files import whole_file
from dmm.progress import progress_bar
from eval.listening.hearing import SR as LISTENER_SR

from ..listener.data import sound_of
from ..listener.pieces import training_piece
from .leads import distractor, texture
from .net import SAMPLES, SR, LogMel

BLOCK = 100
"""Pieces in a file."""
WINDOWS = 2
"""Of each kind and piece."""
ACTIVE_DB, FRAME = 25.0, 320
"""A 20 ms frame is voiced within 25 dB of the voice's loudest."""
LEAST_S = 0.3
"""Voiced time from which a window is vocal; one with less, but some, is left out."""
LEAST_SNR_DB = -12.0
CODED = 0.05
"""Share of pieces whose music goes through the mel codec."""


@dataclass(frozen=True)
class VocalWindows:
    """Pictures of ``LogMel`` in 0..255 and whether a voice sounds in each."""

    levels: UInt8[np.ndarray, "n 64 100"]
    vocal: Bool[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.vocal)


def vocal_windows(folder: Path, first_seed: int, pieces: int) -> VocalWindows:
    """Windows of consecutive seeds, in blocks kept in ``folder``."""
    blocks = []
    with progress_bar(f"sing {folder.name}", pieces) as advance:
        for start in range(0, pieces, BLOCK):
            count = min(BLOCK, pieces - start)
            blocks.append(_block(folder, first_seed + start, count))
            advance(count)
    levels, vocal = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("levels", "vocal")
    )
    return VocalWindows(levels, vocal)


def _block(folder: Path, first_seed: int, count: int) -> VocalWindows:
    path = folder / f"{first_seed}-{count}.npz"
    if not path.is_file():
        heard = [windows_of(seed) for seed in range(first_seed, first_seed + count)]
        waves = np.concatenate([waves for waves, _ in heard])
        made = VocalWindows(pictures(waves), np.concatenate([vocal for _, vocal in heard]))
        with whole_file(path) as partial:
            np.savez(partial, levels=made.levels, vocal=made.vocal)
    with np.load(path) as kept:
        return VocalWindows(kept["levels"], kept["vocal"])


def pictures(waves: Float[np.ndarray, "n samples"]) -> UInt8[np.ndarray, "n 64 100"]:
    """Windows as the network sees them."""
    front = LogMel().eval()
    with torch.no_grad():
        parts = [front.fast(part) for part in torch.from_numpy(waves).split(64)]
    return (torch.cat(parts) * 255).round().byte().numpy()


@dataclass(frozen=True)
class Made:
    """One piece, sung and not; all mono at 16 kHz and of one length."""

    sung: Float[np.ndarray, " samples"]
    plain: Float[np.ndarray, " samples"]
    voice: Float[np.ndarray, " samples"]
    """Before the mix was mastered, as is the music."""
    music: Float[np.ndarray, " samples"]
    active: Bool[np.ndarray, " frames"]
    """In which 20 ms frames the voice sounds."""


def windows_of(seed: int) -> tuple[Float[np.ndarray, "n samples"], Bool[np.ndarray, " n"]]:
    """Waveform windows of one seed's piece, and which of them are vocal."""
    rng = np.random.default_rng([2047, seed])
    made = made_of(seed, rng)
    waves, vocal = [], []
    for mix, has_voice in ((made.sung, True), (made.plain, False)):
        for start in rng.integers(0, len(mix) - SAMPLES, WINDOWS):
            label = _label(made, int(start)) if has_voice else False
            if label is not None:
                waves.append(mix[start : start + SAMPLES])
                vocal.append(label)
    return np.array(waves, np.float32), np.array(vocal, bool)


def made_of(seed: int, rng: np.random.Generator) -> Made:
    """A seed's piece, from -8 to +10 dB below or above its singer."""
    piece, _ = training_piece(seed)
    music, voice = _music(piece, rng), sing(piece, SR, seed).mean(0)
    if rng.random() < 0.3:
        voice, music = _retuned(voice, rng), _retuned(music, rng)
    length = min(len(voice), len(music))
    voice, music = voice[:length], music[:length]
    frames = np.square(voice[: length // FRAME * FRAME]).reshape(-1, FRAME).mean(1)
    active = frames > frames.max() * 10 ** (-ACTIVE_DB / 10)
    level = np.sqrt(np.square(music).mean() / max(frames[active].mean(), 1e-12))
    voice = voice * np.float32(level * 10 ** (rng.uniform(-8, 10) / 20))
    sung, plain = _mastered(music + voice, rng), _mastered(music, rng)
    return Made(sung, plain, voice, music, active)


def _label(made: Made, start: int) -> bool | None:
    """Whether the voice can be heard in a window; None if barely."""
    active = made.active[start // FRAME : (start + SAMPLES) // FRAME]
    voice, music = (
        float(np.square(sound[start : start + SAMPLES]).mean())
        for sound in (made.voice, made.music)
    )
    snr_db = 10 * np.log10(voice / max(music, 1e-9) + 1e-9)
    if active.sum() * FRAME / SR >= LEAST_S and snr_db > LEAST_SNR_DB:
        return True
    return False if snr_db < -35 else None


def _music(piece: Piece, rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """What plays beside the voice: the piece, with or without lead, distractors, another piece."""
    kind = rng.random()
    if kind < 0.05:
        return 0.03 * texture(round(piece.duration_s * SR), SR, rng).astype(np.float32)
    if rng.random() < 0.4:
        others = tuple(note for note in piece.notes if note.instrument != piece.instruments[0])
        piece = replace(piece, notes=others) if others else piece
    music = _heard(piece, coded=bool(rng.random() < CODED))
    if rng.random() < 0.25:
        other = _heard(training_piece(int(rng.integers(6_000_000, 7_000_000)))[0])
        length = min(len(music), len(other))
        music = music[:length] + np.float32(rng.uniform(0.3, 1)) * other[:length]
    if rng.random() < 0.6:
        played = distractor(piece, SR, rng)
        length = min(len(music), len(played))
        music = (
            music[:length] + np.float32(0.1 * 10 ** (rng.uniform(-12, 8) / 20)) * played[:length]
        )
    if rng.random() < 0.2:
        drive = rng.uniform(2, 15)
        music = np.tanh(drive * music / max(np.abs(music).max(), 1e-6)) * np.float32(0.2)
    return music.astype(np.float32)


def _heard(piece: Piece, coded: bool = False) -> Float[np.ndarray, " samples"]:
    return np.asarray(soxr.resample(sound_of(piece, coded), LISTENER_SR, SR), np.float32)


def _retuned(
    sound: Float[np.ndarray, " samples"], rng: np.random.Generator
) -> Float[np.ndarray, " fewer_or_more"]:
    """Played up to three semitones faster or slower."""
    pace = 2 ** (rng.uniform(-3, 3) / 12)
    at = np.arange(0, len(sound) - 1, pace)
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)


def _mastered(
    mix: Float[np.ndarray, " samples"], rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Some reverberation, some limiting, hiss, any gain."""
    if rng.random() < 0.3:
        time_s = np.arange(SR) / SR
        tail = rng.standard_normal(SR) * np.exp(-time_s / rng.uniform(0.1, 0.4))
        tail *= rng.uniform(0.1, 0.6) / np.sqrt(np.square(tail).sum())
        mix = mix + signal.fftconvolve(mix, tail.astype(np.float32))[: len(mix)]
    if rng.random() < 0.3:
        mix = np.tanh(mix * rng.uniform(2, 6))
    mix = mix / max(np.abs(mix).max(), 1e-6)
    if rng.random() < 0.3:
        mix = mix + 10 ** (rng.uniform(-60, -30) / 20) * rng.standard_normal(len(mix))
    return (mix * 10 ** (rng.uniform(-24, 0) / 20)).astype(np.float32)
