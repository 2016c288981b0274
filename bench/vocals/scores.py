"""``dmm bench score-vocals``: accuracy of a vocal classifier.

Measured on MiniMIDI with and without its singer, and on a folder of instrumental music, alone and
mixed with a folder of voices.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Float

from dataset_tools.vocals.classifier import VocalClassifier, load_classifier
from dmm.errors import InputError
from dmm.progress import progress_bar
from dmm.sound.audio import read_audio
from dmm.sound.decoding import AUDIO_SUFFIXES

from .data import make_voiced_piece
from .net import SR
from .train import TEST_SEED

CLIP = 81_920
"""Samples of a clip of 5.12 s."""
PER_FILE = 6
SNRS_DB = (6, 0, -6, -12)
THRESHOLDS = (0.5, 0.7, 0.9)


def score_vocals(
    classifier: Annotated[
        str, typer.Option(help="Classifier: nano, clap:FOLDER or FILE.onnx.")
    ] = "nano",
    clips: Annotated[
        int, typer.Option(min=1, help="MiniMIDI pieces, each with and without a singer.")
    ] = 300,
    music: Annotated[
        Path | None, typer.Option(help="Folder of instrumental music to evaluate on.")
    ] = None,
    voices: Annotated[
        Path | None, typer.Option(help="Folder of voices to mix into the music.")
    ] = None,
) -> None:
    """Print a classifier's area under the curve, recall and false alarms as a Markdown table.

    Example: dmm bench score-vocals --music instrumentals --voices speech
    """
    model = load_classifier(classifier)
    if model is None:
        raise InputError(
            f"classifier {classifier!r} detects nothing; name another one, such as nano"
        )
    print(
        "| clips | AUC |" + "".join(f" over {t} |" for t in THRESHOLDS) + "\n|---|---|" + "---|" * 3
    )
    vocal, instrumental = (model.probabilities(part, SR) for part in render_test_clips(clips))
    _print_row("MiniMIDI, no singer", instrumental, None)
    _print_row("MiniMIDI, singer", vocal, instrumental)
    if music is None:
        return
    music_clips = read_folder_clips(music)
    alone = model.probabilities(music_clips, SR)
    _print_row(f"{music.name}, {len(music_clips)} clips", alone, None)
    if voices is not None:
        voice_clips = read_folder_clips(voices)
        for snr_db in SNRS_DB:
            mixed = _mixed_probabilities(model, voice_clips, music_clips, snr_db)
            _print_row(f"with {voices.name}, {snr_db:+d} dB", mixed, alone)


def auc(vocal: Float[np.ndarray, " n"], instrumental: Float[np.ndarray, " m"]) -> float:
    """Area under the ROC curve: chance that a vocal clip scores higher; ties count half.

    >>> auc(np.array([0.9, 0.5]), np.array([0.1, 0.5]))
    0.875
    """
    more, same = vocal[:, None] > instrumental, vocal[:, None] == instrumental
    return float((more + 0.5 * same).mean())


def render_test_clips(
    count: int,
) -> tuple[Float[np.ndarray, "n samples"], Float[np.ndarray, "m samples"]]:
    """Clips with, and clips without a singer, of pieces that trained no classifier."""
    vocal, instrumental = [], []
    with progress_bar("sing test", count) as advance:
        for seed in range(TEST_SEED, TEST_SEED + count):
            made = make_voiced_piece(seed, np.random.default_rng([2047, seed]))
            if len(made.voice) >= CLIP - SR:  # repitched ones may be shorter
                vocal.append(np.resize(made.vocal, CLIP))
                instrumental.append(np.resize(made.instrumental, CLIP))
            advance()
    return np.array(vocal), np.array(instrumental)


def read_folder_clips(folder: Path) -> Float[np.ndarray, "n samples"]:
    """Up to six evenly spaced clips of every file; nearly silent ones are skipped.

    InputError if there is none.
    """
    clips = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES):
        sound = read_audio(path, SR, 1)[0]
        for start in np.linspace(0, len(sound) - CLIP, PER_FILE + 2)[1:-1]:
            clip = sound[max(int(start), 0) :][:CLIP]
            if len(clip) == CLIP and np.square(clip).mean() > 1e-6:
                clips.append(clip)
    if not clips:
        raise InputError(f"{folder}: no audio of 5.12 s or more")
    return np.array(clips)


def _mixed_probabilities(
    model: VocalClassifier,
    voices: Float[np.ndarray, "n samples"],
    music: Float[np.ndarray, "m samples"],
    snr_db: float,
) -> Float[np.ndarray, " n"]:
    """Probabilities of voices over random music; ``snr_db`` is the level of the active voice."""
    rng = np.random.default_rng(0)
    beside = music[rng.integers(len(music), size=len(voices))]
    frames = np.square(voices.reshape(len(voices), -1, 320)).mean(2)
    speaking = frames > frames.max(1, keepdims=True) / 300
    power = (frames * speaking).sum(1) / speaking.sum(1)
    gain = np.sqrt(np.square(beside).mean(1) / power * 10 ** (snr_db / 10))
    return model.probabilities((beside + gain[:, None] * voices).astype(np.float32), SR)


def _print_row(
    name: str, found: Float[np.ndarray, " n"], instrumental: Float[np.ndarray, " m"] | None
) -> None:
    """Print the area under the curve and the share of clips above each threshold."""
    over = "".join(f" {(found > threshold).mean():.3f} |" for threshold in THRESHOLDS)
    area = "" if instrumental is None else f"{auc(found, instrumental):.3f}"
    print(f"| {name} | {area} |{over}")
