"""Fixtures that several folders share, and the line that says what ran without sd-scripts."""

from pathlib import Path

import numpy as np
import pytest

from dmm.engine import find_engine
from dmm.errors import EngineError

WITHOUT_ENGINE = "sd-scripts is not there"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def engine() -> Path:
    """The folder of the real sd-scripts; tests that need it are skipped without."""
    try:
        return find_engine()
    except EngineError:
        pytest.skip(WITHOUT_ENGINE)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """A checkpoint of nano's sizes with random weights, in full precision."""
    import torch

    from dmm.distill.nano import NANO, build
    from dmm.sdxl_layout import save_checkpoint, single_file_tensors

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    metadata = {"modelspec.prediction_type": "v", "dmm_format": "nano"}
    save_checkpoint(path, single_file_tensors(*build(NANO)), metadata, torch.float32)
    return path


def pytest_terminal_summary(terminalreporter):
    skipped = [
        r for r in terminalreporter.stats.get("skipped", []) if WITHOUT_ENGINE in str(r.longrepr)
    ]
    if skipped:
        print(
            f"\n{len(skipped)} tests of training skipped: {WITHOUT_ENGINE}; run: uv run dmm setup"
        )
