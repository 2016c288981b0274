"""Golden files of the browser player: ``python tests/golden/make.py [--clip DIR]``.

What dmm, torch and diffusers compute, for the player's tests (player/test) to equal; pytest checks
that the files are what this script makes today (tests/golden/test_golden.py). ``--clip`` writes the
5,000 texts in CLIP's whole vocabulary, too large to keep, to a folder.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmm.checkpoints.tokenizers import ensure_tokenizer_folder, load_tokenizers
from dmm.codec.decode import decode, stream_decode
from dmm.codec.mel import MelFormat, encode, load_format
from dmm.codec.mel_inverse import linear_magnitude
from dmm.codec.pghi import initial_phasors
from dmm.generation.sampling import SAMPLERS, make_scheduler

FOLDER = Path(__file__).parent
SMALL = MelFormat(
    name="small",
    sr=8000,
    hop_length=64,
    win_length=256,
    n_fft=384,
    n_mels=32,
    n_frames=48,
    fmax=4000.0,
)
NANO_VOCABULARY, CLIP_VOCABULARY = 1024, 49408
TRICKY = [
    "",
    " ",
    "lo-fi piano, slow",
    "Can't you hear? We're here; I'll play, they've left, I'd go",
    "caf\u00e9 na\u00efve \u00fcber Stra\u00dfe",
    "\u97f3\u697d\u3092\u4f5c\u308b",
    "\U0001f3b9\U0001f3b7 jazz!!!",
    "!",
    "wow! no!",
    "\ufb01ne \ufb02ute",
    "\u2018curly\u2019 \u201cquotes\u201d",
    "\uff26\uff35\uff2c\uff2c\u3000width",
    "rock &amp; roll",
    "a < b &amp; c",
    "&#233;tude",
    "3/4 time at 120bpm",
    "line\r\nbreak\ttab",
    "<|startoftext|>piano<|endoftext|> x",
    "\u0130stanbul \u03a3\u03a3",
    "A" * 300,
    "\u00e9 e\u0301",
    "x\u0000y\u200d",
    "\u5317\u4eac \u041c\u043e\u0441\u043a\u0432\u0430",
    "\u0395\u03bb\u03bb\u03ac\u03b4\u03b1",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "'S 'T 'RE 's't",
]


def texts(count: int, seed: int = 0) -> list[str]:
    """Prompts and letter salad of many scripts, each time the same.

    None is text in a wrong encoding, which ftfy would repair and the player does not.
    """
    import ftfy

    draw = random.Random(seed)
    words = Path(FOLDER.parents[1] / "presets" / "data" / "lexicon.toml").read_text("utf-8").split()
    ranges = [(32, 127)] * 6 + [(160, 0x250), (0x370, 0x530), (0x4E00, 0x4F00), (0x1F3A0, 0x1F3D0)]

    def salad() -> str:
        low, high = draw.choice(ranges)
        return "".join(chr(draw.randrange(low, high)) for _ in range(draw.randrange(1, 12)))

    def text() -> str:
        parts = [
            draw.choice(words) if draw.random() < 0.7 else salad()
            for _ in range(draw.randrange(1, 15))
        ]
        return draw.choice([" ", ", ", "  "]).join(parts)

    texts = (text() for _ in range(2 * count))
    return (TRICKY + [t for t in texts if ftfy.fix_encoding(t) == t])[:count]


def tokens(vocabulary: int, count: int) -> dict[str, Any]:
    """Merges, the two encoders' special tokens, and token numbers of texts by each of them."""
    tokenizers = load_tokenizers(vocabulary)
    folder = next(ensure_tokenizer_folder(vocabulary).iterdir())
    encoders = [
        {
            "vocab_size": vocabulary,
            "bos": t.bos_token_id,
            "eos": t.eos_token_id,
            "pad": t.pad_token_id,
            "max_length": 77,
        }
        for t in tokenizers
    ]
    cases = []
    for text in texts(count):
        ids = [t(text, add_special_tokens=False, verbose=False).input_ids for t in tokenizers]
        cases.append({"text": text, "ids": ids})
    return {
        "merges": (folder / "merges.txt").read_text("utf-8"),
        "encoders": encoders,
        "cases": cases,
    }


def noise() -> list[dict[str, Any]]:
    """Calls of ``torch.randn`` in a row on one generator, for several seeds."""
    runs = []
    for seed in (0, 1, 42, 2**31, 2**32 + 7, 9_999_999_999):
        generator = torch.Generator().manual_seed(seed)
        calls = [torch.randn(n, generator=generator).tolist() for n in (64, 5, 17, 1, 2, 16, 100)]
        runs.append({"seed": seed, "calls": calls})
    whole = torch.randn(8, 32, 32, generator=torch.Generator().manual_seed(7)).flatten()
    last = {
        "seed": 7,
        "count": len(whole),
        "first": whole[:8].tolist(),
        "last": whole[-8:].tolist(),
    }
    return [*runs, last]


SCHEDULE = {
    "train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "rescale_betas_zero_snr": False,
}
SCHEDULES = [
    SCHEDULE,
    SCHEDULE | {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True},
    SCHEDULE | {"timestep_spacing": "linspace", "steps_offset": 0, "beta_schedule": "linear"},
]


def samplers() -> Iterator[dict[str, Any]]:
    """Samples step by step, of a network that is a formula (``stand_in``)."""
    for name in (
        "euler",
        "euler-karras",
        "ddim",
        "ddim-trailing",
        "dpm++-2m",
        "dpm++-2m-karras",
        "lcm",
    ):
        for schedule in SCHEDULES:
            for prediction in ("epsilon", "v_prediction", "sample"):
                for steps in (4,) if prediction == "sample" else (1, 4, 25):
                    if prediction == "epsilon" and schedule["rescale_betas_zero_snr"]:
                        continue  # nothing is left of the signal to predict the noise from
                    with suppress(IndexError):  # diffusers, where its first two timesteps are equal
                        yield _sampled(name, schedule, prediction, steps)


def stand_in(scaled: torch.Tensor, timestep: float) -> torch.Tensor:
    """A network of one line: the player's tests have the same."""
    return 0.6 * scaled * np.cos(timestep / 700) + 0.2 * torch.sin(3 * scaled)


def _sampled(name: str, schedule: dict[str, Any], prediction: str, steps: int) -> dict[str, Any]:
    config = {k: v for k, v in schedule.items() if k != "train_timesteps"}
    config |= {"num_train_timesteps": schedule["train_timesteps"], "prediction_type": prediction}
    scheduler = make_scheduler(name, _known(name, config))
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(3)
    sample = torch.randn(16, generator=generator) * scheduler.init_noise_sigma
    extra = {"generator": generator} if name == "lcm" else {}
    samples = []
    for timestep in scheduler.timesteps:
        found = stand_in(scheduler.scale_model_input(sample, timestep), float(timestep))
        sample = scheduler.step(found, timestep, sample, return_dict=False, **extra)[0]
        samples.append(sample.tolist())
    return {
        "sampler": name,
        "schedule": schedule,
        "prediction": prediction,
        "steps": steps,
        "timesteps": scheduler.timesteps.tolist(),
        "initial_sigma": float(scheduler.init_noise_sigma),
        "samples": [samples[0], samples[-1]],
    }


def _known(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """diffusers warns of settings that a scheduler does not know."""
    import inspect

    import diffusers

    known = inspect.signature(getattr(diffusers, SAMPLERS[name][0]).__init__).parameters
    return {k: v for k, v in config.items() if k in known}


def music(fmt: MelFormat, seconds: float, channels: int = 1) -> np.ndarray:
    """Plucked notes and a little hiss, (channels, samples): a whole number of hops."""
    n = round(seconds * fmt.sr / fmt.hop_length) * fmt.hop_length
    time, rng = np.arange(n) / fmt.sr, np.random.default_rng(0)
    sound = np.zeros((channels, n))
    for number, hz in enumerate((220, 330, 277, 440, 165, 370)):
        since = time - number * seconds / 6
        note = np.where(since > 0, np.exp(-6 * since.clip(0)) * np.sin(2 * np.pi * hz * since), 0)
        sound[number % channels] += 0.4 * note
        sound[-1 - number % channels] += 0.1 * note
    return (sound + 0.001 * rng.normal(size=sound.shape)).astype(np.float32)


def arrays() -> Iterator[tuple[str, np.ndarray]]:
    """Mel images and what becomes of them, stage by stage and as a whole."""
    image = encode(music(SMALL, 0.5), SMALL)
    mel = np.ascontiguousarray(image[::-1])
    yield "small-levels", mel
    from dmm.codec.mel import from_level

    magnitude = linear_magnitude(from_level(mel, SMALL), SMALL)
    yield "small-magnitude", magnitude
    yield "small-phase", np.angle(initial_phasors(magnitude, 64, 256, 384)).astype(np.float32)
    yield "small-sound", decode(image, SMALL, "fast")
    yield "small-loop", np.concatenate(list(stream_decode(image, SMALL, "fast", loop=True)), axis=1)
    for name, change in VARIANTS.items():
        fmt = SMALL.model_copy(update=change)
        image = encode(music(fmt, 0.5, 2), fmt)
        yield f"{name}-levels", np.ascontiguousarray(image[::-1])
        yield f"{name}-sound", decode(image, fmt, "fast")
    pieces = ("long", SMALL, 4.8, "fast"), ("nano", load_format("nano"), 1.28, "default")
    for name, fmt, seconds, quality in pieces:  # the long one has two chunks of first phases
        image = encode(music(fmt, seconds), fmt)
        yield f"{name}-levels", np.ascontiguousarray(image[::-1])
        yield f"{name}-sound", np.rint(decode(image, fmt, quality) * 32767).astype(np.int16)


VARIANTS: dict[str, dict[str, Any]] = {
    "mid-side": {},
    "left-right": {
        "stereo": "left-right",
        "mel_norm": "width",
        "level_scale": "power",
        "ref": 2.076,
        "fmin": 20.0,
    },
}


def songs() -> dict[str, Any]:
    """Windows, plans, and loops brought to their exact length."""
    from scipy.signal import resample

    from dmm.songs.latent_windows import lay_windows
    from dmm.songs.layout import SongOptions, lay_out_song
    from dmm.songs.song import stretch_loop
    from dmm.songs.timeline import Part, Timeline

    windows = []
    for length in (20, 32, 33, 56, 60, 100, 321):
        for loop in (False, True):
            found = lay_windows(length, 32, loop=loop)
            windows.append(
                {
                    "length": length,
                    "loop": loop,
                    "starts": found.starts,
                    "covered": found.length,
                    "swapped": [found.sources(turn).tolist() for turn in (0, 1)],
                }
            )
    plans = []
    parts = [("a", 6.0), ("b", 5.5), ("c", 9.0)]
    for crossfade in (0.0, 2.0):
        for loop in (False, True):
            starts = np.cumsum([0.0] + [s for _, s in parts])
            timeline = Timeline(
                part=tuple(
                    Part(start=start, seconds=seconds, prompt=prompt)
                    for start, (prompt, seconds) in zip(starts, parts, strict=False)
                ),
                crossfade_s=crossfade,
            )
            plan = lay_out_song(timeline, SongOptions(loop=loop), load_format("nano"), 8)
            plans.append(
                {
                    "parts": parts,
                    "crossfade": crossfade,
                    "loop": loop,
                    "starts": plan.windows.starts,
                    "length": plan.windows.length,
                    "weights": plan.weights.tolist(),
                    "frames": plan.n_frames,
                }
            )
    image = np.random.default_rng(0).integers(0, 256, (3, 40)).astype(np.uint8)
    stretched = [{"frames": n, "image": stretch_loop(image, n).tolist()} for n in (37, 43)]
    sound = music(SMALL, 0.064)[0]
    resampled = [
        {"samples": n, "sound": resample(sound, n).tolist()}
        for n in (len(sound) - 9, len(sound) + 13)
    ]
    return {
        "windows": windows,
        "plans": plans,
        "image": image.tolist(),
        "stretched": stretched,
        "sound": sound.tolist(),
        "resampled": resampled,
    }


def joining() -> dict[str, Any]:
    """Two mel images and what they fade into, low rows first."""
    from dmm.songs.mel_crossfade import mix_overlap, to_image, to_mel

    rng = np.random.default_rng(1)
    left, right = (rng.integers(0, 256, (SMALL.n_mels, 6)).astype(np.uint8) for _ in range(2))
    mels = [to_mel(image[::-1], SMALL) for image in (left, right)]
    faded = to_image(mix_overlap(*mels), SMALL)[::-1]
    return {name: x.tolist() for name, x in (("left", left), ("right", right), ("faded", faded))}


DOCUMENTS: dict[str, Callable[[], Any]] = {
    "tokens": lambda: tokens(NANO_VOCABULARY, 200),
    "noise": noise,
    "samplers": lambda: list(samplers()),
    "songs": songs,
    "joining": joining,
    "format-small": lambda: SMALL.model_dump(),
    "format-nano": lambda: load_format("nano").model_dump(),
    "format-left-right": lambda: SMALL.model_copy(update=VARIANTS["left-right"]).model_dump(),
}


def write(folder: Path) -> None:
    """Write all golden files."""
    for name, make in DOCUMENTS.items():
        text = json.dumps(short(make()), ensure_ascii=False, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for name, array in arrays():
        np.save(folder / f"{name}.npy", array)


def short(value: Any) -> Any:
    """Numbers in as many digits as single precision has."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    return [short(item) for item in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--clip", type=Path, help="Write CLIP's 5,000 texts there, and nothing else."
    )
    folder = parser.parse_args().clip
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        document = json.dumps(tokens(CLIP_VOCABULARY, 5000), ensure_ascii=False)
        (folder / "clip-tokens.json").write_text(document, encoding="utf-8")
    else:
        write(FOLDER)
