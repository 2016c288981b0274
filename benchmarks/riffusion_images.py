"""Riffusion's clip and image scripts without pydub: ``benchmarks/riffusion_images.py IN OUT``.

It follows `sample-clips-batch` and `audio-to-images-batch` of riffusion/riffusion-hobby with their
defaults (mono): decode a whole file, cut clips of 5.12 s, write each to a file; decode those again,
compute the image, write it as JPEG. Three differences favour Riffusion: clips tile the file instead
of lying at random positions, they are written as FLAC instead of MP3, and files are read by our
reader instead of an FFmpeg process per file. ``benchmarks/dataset.py`` runs it.
"""

import sys
from pathlib import Path

import riffusion
import torch
from PIL import Image

from dmm.sound.audio import read_audio, write_audio

CLIP_SAMPLES = round(5.12 * riffusion.SR)


def sample_clips(path: Path, out: Path) -> None:
    """Cut one file into clips that tile it; a shorter rest is dropped."""
    sound = read_audio(path, riffusion.SR, 1)
    for start in range(0, sound.shape[1] - CLIP_SAMPLES + 1, CLIP_SAMPLES):
        clip = sound[:, start : start + CLIP_SAMPLES]
        write_audio(out / f"{path.stem}_{start}.flac", clip, riffusion.SR)


def write_image(path: Path, out: Path) -> None:
    """Write one clip's image as a JPEG with three equal channels."""
    image = riffusion.encode(torch.from_numpy(read_audio(path, riffusion.SR, 1)[0]))
    Image.fromarray(image.numpy()).convert("RGB").save(out / f"{path.stem}.jpg")


def main() -> None:
    """Run both scripts on a folder, one file after the other."""
    torch.set_num_threads(1)
    music, out = map(Path, sys.argv[1:])
    clips, images = out / "clips", out / "images"
    for folder in (clips, images):
        folder.mkdir(parents=True)
    for path in sorted(music.iterdir()):
        sample_clips(path, clips)
    for path in sorted(clips.iterdir()):
        write_image(path, images)


if __name__ == "__main__":
    main()
