"""The golden files, which the browser player has to equal, are what dmm computes today."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
import make as golden  # noqa: E402 - beside this file

sys.path.pop(0)
REMEDY = "if the change is meant: python tests/golden/make.py, and the player follows"


@pytest.mark.parametrize("name", golden.DOCUMENTS)
def test_a_golden_document_is_todays(name):
    kept = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert_close(golden.short(golden.DOCUMENTS[name]()), kept, name)


def test_golden_arrays_are_todays():
    for name, array in golden.arrays():
        kept = np.load(FOLDER / f"{name}.npy").astype(float)
        assert array.shape == kept.shape, f"{name}: {REMEDY}"
        off = np.sqrt(np.mean((array - kept) ** 2) / np.mean(kept**2))
        # Phase retrieval makes one rounding of another processor a hundred times larger.
        assert off < (0.05 if name.endswith(("sound", "loop")) else 1e-3), f"{name}: {REMEDY}"


def assert_close(found, kept, where):
    """Equal but for rounding, at any depth."""
    if isinstance(kept, dict):
        assert found.keys() == kept.keys(), f"{where}: {REMEDY}"
        for key in kept:
            assert_close(found[key], kept[key], f"{where}.{key}")
    elif isinstance(kept, list):
        assert len(found) == len(kept), f"{where}: {REMEDY}"
        for i, pair in enumerate(zip(found, kept, strict=True)):
            assert_close(*pair, f"{where}[{i}]")
    elif isinstance(kept, float):
        assert found == pytest.approx(kept, rel=1e-4, abs=1e-4), f"{where}: {REMEDY}"
    else:
        assert found == kept, f"{where}: {REMEDY}"
