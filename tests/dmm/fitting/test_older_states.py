"""A training state that an earlier version wrote resumes to the same weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from dmm.fitting.loop import Schedule, fit
from dmm.fitting.state import fingerprint

OLD = Path(__file__).parents[2] / "golden" / "850b165"
EXPECTED = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))["state"]


def test_an_interrupted_run_continues_after_three_of_six_steps(tmp_path):
    shutil.copy(OLD / "line.pt", tmp_path)
    torch.manual_seed(0)
    line, steps = torch.nn.Linear(3, 1), []
    assert fingerprint(line, "data") == EXPECTED["fingerprint"]

    def loss(generator):
        steps.append(len(steps))
        inputs = torch.randn(8, 3, generator=generator)
        return (line(inputs) - inputs.sum(1, keepdim=True)).square().mean()

    schedule = Schedule(6, 8, 1e-2, warmup=2, ema_decay=0.9)
    trained = fit("line", line, loss, schedule, tmp_path / "line.pt", 0, data="tones")
    assert len(steps) == 3
    assert trained.weight.tolist()[0] == pytest.approx(EXPECTED["weight"][0], abs=1e-7)
