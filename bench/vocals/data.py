"""Training data of the vocal classifier: log-mel windows with and without a synthetic voice.

Each piece gives windows of both kinds with the same instruments, rooms and distractors, so that
they differ in the voice alone. Windows are cached on disk by seed: remove the folder when MiniMIDI
or its singer changes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
import torch
from jaxtyping import Bool, Float, UInt8
from scipy import signal

from dataset_tools.sources.minimidi import Piece
from dataset_tools.sources.minimidi.singing import sing
from dmm.files import whole_file
from dmm.progress import progress_bar
from eval.listening.spectrograms import SR as LISTENER_SR

from ..listener.data import render_mono
from ..listener.pieces import training_piece
from .distractors import noise_texture, random_distractor
from .net import SAMPLES, SR, LogMel

BLOCK = 100
"""Pieces per file of the cache."""
WINDOWS = 2
"""Windows of each kind per piece."""
ACTIVE_DB, FRAME = 25.0, 320
"""A 20 ms frame is voiced if it lies within 25 dB of the voice's loudest frame."""
LEAST_S = 0.3
"""Voiced time from which a window is labelled vocal; windows with less are skipped."""
LEAST_SNR_DB = -12.0
CODED = 0.05
"""Share of pieces whose music passes through the mel codec."""


@dataclass(frozen=True)
class VocalWindows:
    """Spectrograms of ``LogMel`` scaled to 0..255, and whether each holds a voice."""

    levels: UInt8[np.ndarray, "n 64 100"]
    vocal: Bool[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.vocal)


def load_or_render_windows(folder: Path, first_seed: int, pieces: int) -> VocalWindows:
    """Windows of consecutive seeds: read from ``folder``, or rendered and cached there."""
    blocks = []
    with progress_bar(f"sing {folder.name}", pieces) as advance:
        for start in range(0, pieces, BLOCK):
            count = min(BLOCK, pieces - start)
            blocks.append(_load_or_render_block(folder, first_seed + start, count))
            advance(count)
    levels, vocal = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("levels", "vocal")
    )
    return VocalWindows(levels, vocal)


def _load_or_render_block(folder: Path, first_seed: int, count: int) -> VocalWindows:
    """Windows of ``count`` seeds from ``first_seed``, read from the cache or rendered into it."""
    path = folder / f"{first_seed}-{count}.npz"
    if not path.is_file():
        parts = [labelled_waveforms(seed) for seed in range(first_seed, first_seed + count)]
        waves = np.concatenate([waves for waves, _ in parts])
        made = VocalWindows(log_mel_levels(waves), np.concatenate([vocal for _, vocal in parts]))
        with whole_file(path) as partial:
            np.savez(partial, levels=made.levels, vocal=made.vocal)
    with np.load(path) as cached:
        return VocalWindows(cached["levels"], cached["vocal"])


def log_mel_levels(waves: Float[np.ndarray, "n samples"]) -> UInt8[np.ndarray, "n 64 100"]:
    """``LogMel`` spectrograms of windows, scaled to 0..255."""
    front = LogMel().eval()
    with torch.no_grad():
        parts = [front.forward_by_fft(part) for part in torch.from_numpy(waves).split(64)]
    return (torch.cat(parts) * 255).round().byte().numpy()


@dataclass(frozen=True)
class VoicedPiece:
    """One piece with and without a voice; all mono at 16 kHz and of one length."""

    vocal: Float[np.ndarray, " samples"]
    """Music and voice, mastered."""
    instrumental: Float[np.ndarray, " samples"]
    """Music alone, mastered."""
    voice: Float[np.ndarray, " samples"]
    """Voice before mastering, at its level in the mix."""
    music: Float[np.ndarray, " samples"]
    """Music before mastering."""
    active: Bool[np.ndarray, " frames"]
    """Whether each 20 ms frame is voiced."""


def labelled_waveforms(seed: int) -> tuple[Float[np.ndarray, "n samples"], Bool[np.ndarray, " n"]]:
    """Waveform windows of one seed's piece, and whether each is vocal."""
    rng = np.random.default_rng([2047, seed])
    made = make_voiced_piece(seed, rng)
    waves, vocal = [], []
    for mix, has_voice in ((made.vocal, True), (made.instrumental, False)):
        for start in rng.integers(0, len(mix) - SAMPLES, WINDOWS):
            label = _window_label(made, int(start)) if has_voice else False
            if label is not None:
                waves.append(mix[start : start + SAMPLES])
                vocal.append(label)
    return np.array(waves, np.float32), np.array(vocal, bool)


def make_voiced_piece(seed: int, rng: np.random.Generator) -> VoicedPiece:
    """Render a seed's piece with a voice, at -8 to +10 dB relative to the music."""
    piece, _ = training_piece(seed)
    music, voice = _random_accompaniment(piece, rng), sing(piece, SR, seed).mean(0)
    if rng.random() < 0.3:
        voice, music = _repitched(voice, rng), _repitched(music, rng)
    length = min(len(voice), len(music))
    voice, music = voice[:length], music[:length]
    frames = np.square(voice[: length // FRAME * FRAME]).reshape(-1, FRAME).mean(1)
    active = frames > frames.max() * 10 ** (-ACTIVE_DB / 10)
    level = np.sqrt(np.square(music).mean() / max(frames[active].mean(), 1e-12))
    voice = voice * np.float32(level * 10 ** (rng.uniform(-8, 10) / 20))
    vocal, instrumental = _mastered(music + voice, rng), _mastered(music, rng)
    return VoicedPiece(vocal, instrumental, voice, music, active)


def _window_label(piece: VoicedPiece, start: int) -> bool | None:
    """Whether a window of the vocal mix holds a voice; None if it is too faint or short to tell."""
    active = piece.active[start // FRAME : (start + SAMPLES) // FRAME]
    voice, music = (
        float(np.square(sound[start : start + SAMPLES]).mean())
        for sound in (piece.voice, piece.music)
    )
    snr_db = 10 * np.log10(voice / max(music, 1e-9) + 1e-9)
    if active.sum() * FRAME / SR >= LEAST_S and snr_db > LEAST_SNR_DB:
        return True
    return False if snr_db < -35 else None


def _random_accompaniment(piece: Piece, rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """The piece, at random without its lead, with another piece, distractors or saturation.

    One in twenty is a noise texture alone.
    """
    kind = rng.random()
    if kind < 0.05:
        return 0.03 * noise_texture(round(piece.duration_s * SR), SR, rng).astype(np.float32)
    if rng.random() < 0.4:
        others = tuple(note for note in piece.notes if note.instrument != piece.instruments[0])
        piece = replace(piece, notes=others) if others else piece
    music = _render_mono(piece, coded=bool(rng.random() < CODED))
    if rng.random() < 0.25:
        other = _render_mono(training_piece(int(rng.integers(6_000_000, 7_000_000)))[0])
        length = min(len(music), len(other))
        music = music[:length] + np.float32(rng.uniform(0.3, 1)) * other[:length]
    if rng.random() < 0.6:
        played = random_distractor(piece, SR, rng)
        length = min(len(music), len(played))
        music = (
            music[:length] + np.float32(0.1 * 10 ** (rng.uniform(-12, 8) / 20)) * played[:length]
        )
    if rng.random() < 0.2:
        drive = rng.uniform(2, 15)
        music = np.tanh(drive * music / max(np.abs(music).max(), 1e-6)) * np.float32(0.2)
    return music.astype(np.float32)


def _render_mono(piece: Piece, coded: bool = False) -> Float[np.ndarray, " samples"]:
    return np.asarray(soxr.resample(render_mono(piece, coded), LISTENER_SR, SR), np.float32)


def _repitched(
    sound: Float[np.ndarray, " samples"], rng: np.random.Generator
) -> Float[np.ndarray, " fewer_or_more"]:
    """Resample to change pitch and speed by up to three semitones."""
    pace = 2 ** (rng.uniform(-3, 3) / 12)
    at = np.arange(0, len(sound) - 1, pace)
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)


def _mastered(
    mix: Float[np.ndarray, " samples"], rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Add reverberation, saturation and hiss at random, and a random gain."""
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
