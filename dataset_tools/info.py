"""What a dataset holds, in a few numbers: ``dmm data info DATASET``."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dmm.errors import InputError
from dmm.mel import MelFormat


def describe(dataset: Path) -> dict[str, Any]:
    """Count clips and hours per split, caption origins, licences and refusals by reason.

    Hours are of clips, so overlapping windows count twice. InputError if ``dataset`` is not whole.
    """
    path = dataset / "dataset.json"
    if not path.is_file():
        raise InputError(f"{dataset} is no finished dataset; run `dmm data build` (again) first")
    built = json.loads(path.read_text("utf-8"))
    rows = pq.read_table(dataset / "manifest.parquet").to_pylist()
    clip_h = MelFormat(**built["format"]).clip_duration_s / 3600
    clips = Counter(row["split"] for row in rows)
    lines = (dataset / "rejected.jsonl").read_text("utf-8").splitlines()
    return {
        "format": built["format"]["name"],
        "tracks": built["tracks"],
        "splits_grouped_by": built["splits_grouped_by"],
        "clips": dict(clips),
        "hours": {split: round(n * clip_h, 4) for split, n in clips.items()},
        "caption_origins": dict(Counter(row["caption_origin"] for row in rows)),
        "licences": dict(Counter(row["licence"] or "unknown" for row in rows)),
        "rejected": dict(Counter(json.loads(line)["reason"].split(":")[0] for line in lines)),
        "content_sha256": built["content_sha256"],
    }
