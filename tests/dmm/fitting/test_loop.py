import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from dmm.errors import DmmError, InputError, PresetError
from dmm.fitting.compute import Compute
from dmm.fitting.loop import Schedule, fit

BATCH = 8


def _line():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def _batch(generator, rows):
    inputs = torch.randn(64, 3, generator=torch.manual_seed(1))
    chosen = inputs[torch.randint(64, (rows,), generator=generator)]
    return chosen, chosen.sum(1, keepdim=True)


def _fit(state, steps=6, calls=None, model=None, batch=BATCH, seed=0, compute=None, **options):
    """Fit a line; the loss interrupts the run once it was called ``calls`` times."""
    model, compute = model or _line(), compute or Compute("cpu")
    budget = iter(range(1000 if calls is None else calls))

    def loss(generator):
        if next(budget, None) is None:
            raise KeyboardInterrupt
        inputs, truth = _batch(generator, compute.rows_per_share(batch))
        return (model(inputs) - truth).square().mean()

    schedule = Schedule(steps, batch, 1e-2)
    return fit("line", model, loss, schedule, state, seed, compute, **options)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_was_cut_off_twice_ends_in_the_same_weights(tmp_path, monkeypatch, accumulate):
    monkeypatch.setattr("dmm.fitting.loop.SAVE_EVERY_S", -1)  # after every step
    compute = Compute("cpu", accumulate=accumulate)
    whole = _fit(tmp_path / "whole.pt", compute=compute)
    for calls in (2 * accumulate + 1, 3 * accumulate - 1):
        with pytest.raises(KeyboardInterrupt):
            _fit(tmp_path / "cut.pt", calls=calls, compute=compute)
    resumed = _fit(tmp_path / "cut.pt", calls=2 * accumulate, compute=compute)
    assert torch.equal(whole.weight, resumed.weight)


def test_micro_batches_train_as_the_big_batch_does(tmp_path):
    split = Compute("cpu", accumulate=2)
    shared = _fit(tmp_path / "shared.pt", compute=split)
    model, steps = _line(), iter(range(6))

    def loss(_):
        shares = [_batch(g, BATCH // 2) for g in split.share_generators(0, next(steps))]
        inputs, truth = (torch.cat(parts) for parts in zip(*shares, strict=True))
        return (model(inputs) - truth).square().mean()

    big = fit("line", model, loss, Schedule(6, BATCH, 1e-2), tmp_path / "big.pt", 0)
    assert torch.allclose(shared.weight, big.weight, atol=1e-6)


ONE_PROCESS = """
import sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[2])
from test_loop import _fit

folder = Path(sys.argv[1])
weight = _fit(folder / "state.pt").weight
torch.save(weight, folder / f"{torch.distributed.get_rank()}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_as_one_with_two_micro_batches(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-c", ONE_PROCESS, str(tmp_path), os.path.dirname(__file__)]
    ranks = [{"RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": "2"} for rank in "01"]
    processes = [subprocess.Popen(command, env={**os.environ, **shared, **r}) for r in ranks]
    assert [process.wait(120) for process in processes] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in "01")
    alone = _fit(tmp_path / "alone.pt", compute=Compute("cpu", accumulate=2)).weight
    assert torch.equal(first, second)
    assert torch.allclose(first, alone, atol=1e-6)
    assert torch.load(tmp_path / "state.pt")["step"] == 6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"batch": 4}, "batch_size 8 there, 4 here"),
        ({"model": nn.Linear(3, 2)}, "other learning parameters"),
        ({"data": "other clips"}, "other data"),
        ({"compute": Compute("cpu", accumulate=2)}, "shares of a batch 1 there, 2 here"),
    ],
)
def test_a_state_of_another_run_is_refused_by_name(tmp_path, change, reason):
    _fit(tmp_path / "state.pt")
    with pytest.raises(InputError, match=f"state.pt: .*{reason}.*remove it"):
        _fit(tmp_path / "state.pt", **change)


def test_a_finished_run_may_get_more_steps(tmp_path):
    short = _fit(tmp_path / "state.pt", steps=2).weight.clone()
    longer = _fit(tmp_path / "state.pt", steps=4, calls=2)
    assert not torch.equal(short, longer.weight)


def test_a_rate_that_falls_late_is_constant_before():
    schedule = Schedule(110, 1, 1.0, warmup=10, decay=0.5)
    rates = [schedule.learning_rate_at(step) for step in (9, 30, 60, 85, 109)]
    assert rates == pytest.approx([1, 1, 1, 0.5, 0], abs=0.001)


def test_validation_is_recorded_when_due_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("dmm.fitting.loop.VALIDATE_EVERY_S", -1)

    def distance(model):
        return {"distance": float((model.weight - 1).abs().max())}

    last = _fit(tmp_path / "state.pt", steps=4, validate=distance)
    lines = (tmp_path / "state.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    assert json.loads(lines[-1])["distance"] == pytest.approx(distance(last)["distance"])


def test_a_file_that_is_no_state_is_refused_by_name(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"no state")
    with pytest.raises(InputError, match=r"state.pt: damaged"):
        _fit(tmp_path / "state.pt")


def test_compiling_changes_no_weights(tmp_path):
    plain = _fit(tmp_path / "plain.pt")
    compute = Compute("cpu", compile=True, backend="aot_eager")
    compiled = _fit(tmp_path / "compiled.pt", compute=compute)
    assert torch.allclose(plain.weight, compiled.weight, atol=1e-6)


def test_a_child_with_a_lower_rate_factor_takes_smaller_steps(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    before = [layer.weight.detach().clone() for layer in model]
    _fit(tmp_path / "state.pt", steps=1, model=model, rate_factors={"0": 0.1})
    moved = [(x.weight - old).abs().max().item() for x, old in zip(model, before, strict=True)]
    assert moved[0] / moved[1] == pytest.approx(0.1, rel=0.01)  # Adam's first step is the rate


def test_a_batch_is_rounded_up_to_equal_shares():
    assert Compute("cpu", accumulate=3).rows_per_share(8) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PresetError, match="no GPU found; use --device cpu"):
        _fit(tmp_path / "state.pt", compute=Compute("cuda"))


def test_a_loss_that_is_no_number_ends_the_run_before_it_is_saved(tmp_path):
    model = _line()

    def loss(_):
        return model(torch.ones(1, 3)).mean() * float("nan")

    with pytest.raises(DmmError, match=r"line: the loss is nan at step 1; lower the learning rate"):
        fit("line", model, loss, Schedule(3, 1, 1e-2), tmp_path / "state.pt", 0)
    assert not list(tmp_path.iterdir())
