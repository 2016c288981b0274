"""Columns of a dataset's ``manifest.parquet``, which has one row for each clip."""

import pyarrow as pa

CHANGE = pa.struct([("rule", pa.string()), ("before", pa.string()), ("after", pa.string())])
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "track", "title", "artist", "album")]
    + [("url", pa.string()), ("licence", pa.string())]
    + [("start_s", pa.float64()), ("split", pa.string())]
    + [(name, pa.string()) for name in ("caption_raw", "caption", "caption_origin")]
    + [("caption_changes", pa.list_(CHANGE)), ("tokens", pa.int32()), ("facets", pa.string())]
    + [("vocal_probability", pa.float64()), ("vocal_window", pa.float64())]
    + [("vocal_evidence", pa.string())]
    + [(name, pa.float64()) for name in ("loudness_lufs", "peak_db", "clipped", "dc", "silence")]
    + [("bandwidth_hz", pa.float64()), ("gain_db", pa.float64())]
    + [(name, pa.string()) for name in ("augmentation", "parent", "sha256", "track_sha256")]
    + [("truth", pa.string()), ("description", pa.string())]
)
"""``tokens``: CLIP tokens of anchor and caption. JSON: ``facets``, ``vocal_evidence``,
``augmentation``, ``truth``, ``description`` (of the sound; null without ``--describe``).
``sha256``: of the image. ``parent``: the clip that a copy is made of."""
ADDED_LATER = frozenset({"description"})
"""Columns that datasets of earlier versions lack; they hold null there."""
