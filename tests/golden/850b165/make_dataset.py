"""Make ``dataset.zip``, a dataset and its music: run in a checkout of commit 850b165.

``python tests/golden/850b165/make_dataset.py``. The zip is read by
``tests/dataset_tools/building/test_older_dataset.py``.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions

SR = 22050
CAPTIONS = ("Slow piano, rain.", "Dark organ\nsad", "folk song with male vocals, guitar")
OPTIONS = BuildOptions(
    format="nano",
    seed=1,
    max_silence=1.0,
    augment=("gain",),
    class_words="a song",
    vocal_classifier="none",
    licence="CC0-1.0",
)


def write_music(folder: Path) -> None:
    """Three files of 5.2 s with a beep every one, two or three seconds, and their captions."""
    folder.mkdir()
    t = np.arange(SR // 10) / SR
    for number, caption in enumerate(CAPTIONS):
        sound = np.zeros(round(5.2 * SR), np.float32)
        beep = 0.4 * np.sin(2 * np.pi * 220 * (number + 1) * t) * np.hanning(len(t))
        for second in range(0, 5, number + 1):
            sound[second * SR + 500 :][: len(t)] = beep
        soundfile.write(folder / f"song{number}.flac", sound, SR)
        (folder / f"song{number}.txt").write_text(caption)


def main() -> None:
    """Build the dataset and pack it with its music."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_music(root / "music")
        print(build_dataset(root / "dataset", OPTIONS, input=root / "music", jobs=1)["clips"])
        shutil.make_archive(str(Path(__file__).with_name("dataset")), "zip", root)


if __name__ == "__main__":
    main()
