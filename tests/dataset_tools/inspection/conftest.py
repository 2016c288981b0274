"""A small dataset made by hand, without a fault, with every kind of clip."""

import json
import shutil

import numpy as np
import pytest

from dataset_tools.building import tables
from dataset_tools.building.options import BuildOptions
from dataset_tools.dataset import content_sha256
from dataset_tools.layout import SPLITS
from dmm.codec.image import write_image
from dmm.codec.mel import encode, load_format
from dmm.files import sha256_file
from dmm.sound.audio import write_audio

OPTIONS = BuildOptions(format="nano", vocal_classifier="none", class_words="a song")
FMT = load_format("nano")
CHANGES = [
    {"rule": "spaces", "before": "slow  piano", "after": "slow piano"},
    {"rule": "voice", "before": "slow piano, soft vocals", "after": "slow piano"},
]


def make_row(number, split, **values):
    """A manifest row of a track, artist and picture of its own."""
    name = f"song-{number}-{number:010x}"
    return {
        "id": f"{name}-0000",
        "source": "folder",
        "track": name,
        "title": f"Song {number}",
        "artist": f"Artist {number}",
        "album": None,
        "url": f"https://example.org/{number}",
        "licence": "CC BY 4.0",
        "start_s": 0.0,
        "split": split,
        "caption_raw": "slow  piano, soft vocals",
        "caption": f"slow piano, take {number}",
        "caption_origin": "sidecar",
        "caption_changes": CHANGES,
        "tokens": 12 + number,
        "facets": json.dumps({"instrument": {"piano": 0.9, "oud": 0.1}, "tempo": {"slow": 1.0}}),
        "vocal_probability": 0.9 if split == "reg" else 0.1,
        "vocal_window": None,
        "vocal_evidence": json.dumps({"own caption": 1 if split == "reg" else -1, "tags": 0}),
        "loudness_lufs": -14.0 - number,
        "peak_db": -1.0,
        "clipped": 0.0,
        "dc": 0.0,
        "silence": 0.1,
        "bandwidth_hz": 9000.0,
        "gain_db": 0.0,
        "augmentation": None,
        "parent": None,
        "sha256": f"{number:064x}",
        "track_sha256": f"{number:064d}",
        "truth": None,
    } | values


@pytest.fixture
def row():
    return make_row


def write_all(folder, rows, options=OPTIONS):
    """Write the files of a dataset but for pictures and sounds, as the build does."""
    tables.write_captions(folder, rows)
    tables.write_manifest(folder, rows)
    tables.write_metadata(
        folder, rows, {split: options.anchor_for_split(split) for split in SPLITS}
    )
    tables.write_kohya_config(folder, rows, options)
    tables.write_rejected(folder, [])
    resolved = options.resolved_json()
    built = {
        "format": resolved.pop("format"),
        "options": resolved,
        "splits_grouped_by": "artist",
        "clips": {s: sum(r["split"] == s for r in rows) for s in ("train", "reg", "val", "test")},
        "tracks": len({row["track"] for row in rows}),
        "content_sha256": content_sha256(rows),
    }
    (folder / "dataset.json").write_text(json.dumps(built))


def write_clip(folder, row, hz):
    """Write a clip's picture, for the test split its sound too; fills in the row's hash."""
    t = np.arange(FMT.clip_samples) / FMT.sr
    sound = (0.3 * np.sin(2 * np.pi * hz * t) * np.exp(-(t % 0.5) * 4))[None].astype(np.float32)
    path = folder / row["split"] / f"{row['id']}.png"
    write_image(path, encode(sound, FMT), FMT)
    if row["split"] == "test":
        write_audio(path.with_suffix(".flac"), sound, FMT.sr)
    row["sha256"] = sha256_file(path)


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """Folder and rows of a dataset without a fault."""
    folder = tmp_path_factory.mktemp("good") / "dataset"
    splits = ("train", "train", "train", "reg", "reg", "val", "test")
    rows = [make_row(number, split) for number, split in enumerate(splits, 1)]
    copy = {"id": "song-1-0000000001-a1-0000", "parent": rows[0]["id"], "augmentation": "{}"}
    rows.append(rows[0] | copy)
    for number, row in enumerate(rows):
        write_clip(folder, row, 200.0 + 70 * number)
    write_all(folder, rows)
    return folder, rows


@pytest.fixture
def dataset(good, tmp_path):
    """A copy of the dataset to break."""
    return shutil.copytree(good[0], tmp_path / "dataset")


@pytest.fixture
def rewrite(dataset, good):
    """Change rows of the manifest, and have all else follow, as a faulty build would write it.

    ``rewrite(0, split="val")`` changes the first row; the image moves along.
    """

    def change(number, **values):
        rows = [dict(row) for row in good[1]]
        old = dict(rows[number])
        rows[number] |= values
        for suffix in (".png", ".txt", ".flac"):
            source = dataset / old["split"] / f"{old['id']}{suffix}"
            if source.exists():
                new = rows[number]
                source.rename(dataset / new["split"] / f"{new['id']}{suffix}")
        write_all(dataset, rows)
        return dataset

    return change
