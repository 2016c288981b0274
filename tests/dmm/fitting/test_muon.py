import copy

import pytest
import torch
from torch import nn

from dmm.fitting.loop import Schedule, fit
from dmm.fitting.muon import ADAM_SHARE, Muon, muon_groups, orthogonalize


def test_matrices_become_nearly_orthogonal():
    matrices = torch.randn(3, 24, 40, generator=torch.manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert 0.6 < values.min() < values.max() < 1.3


def test_tall_and_wide_matrices_are_treated_alike():
    matrix = torch.randn(1, 8, 20, generator=torch.manual_seed(0))
    assert torch.allclose(orthogonalize(matrix).mT, orthogonalize(matrix.mT), atol=1e-2)


def test_a_step_is_as_long_at_every_width():
    steps = []
    for width in (16, 64):
        layer = nn.Linear(width, width, bias=False)
        before = layer.weight.detach().clone()
        optimizer = Muon(muon_groups({}, layer), lr=0.1, weight_decay=0.0)
        layer.weight.grad = torch.randn(width, width, generator=torch.manual_seed(0))
        optimizer.step()
        steps.append((layer.weight - before).square().mean().sqrt().item())
    assert steps == pytest.approx([0.02, 0.02], rel=0.15)


def test_ends_biases_and_tables_are_left_to_adam():
    model = nn.ModuleDict(
        {"conv_in": nn.Conv2d(2, 4, 3), "conv": nn.Conv2d(4, 4, 3), "words": nn.Embedding(5, 4)}
    )
    groups = {group["kind"]: group for group in muon_groups({}, model)}
    assert [w.shape for w in groups["muon"]["params"]] == [(4, 4, 3, 3)]
    assert len(groups["adam"]["params"]) == 4
    assert groups["adam"]["factor"] == ADAM_SHARE


def test_groups_without_a_kind_are_split_by_dimensions():
    layer = nn.Linear(8, 8)
    named = Muon(muon_groups({}, layer), lr=0.1)
    for group in named.param_groups:
        group["lr"] = 0.1
    other = copy.deepcopy(layer)
    plain = Muon([{"params": list(other.parameters())}], lr=0.1)
    for model, optimizer in ((layer, named), (other, plain)):
        model(torch.ones(2, 8)).square().mean().backward()
        optimizer.step()
    assert torch.equal(layer.weight, other.weight) and torch.equal(layer.bias, other.bias)


def test_adams_part_is_torchs_adam():
    ours, theirs = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    group = {"params": [ours], "kind": "adam"}
    first = Muon([group], lr=0.1, betas=(0.9, 0.98))
    second = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.98))
    for step in range(5):
        for weight in (ours, theirs):
            weight.grad = torch.tensor([1.0, -2.0, 0.5]) + step
        first.step()
        second.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_run_by_muon_that_was_cut_off_ends_in_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("dmm.fitting.loop.SAVE_EVERY_S", -1)

    def run(name, steps):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))

        def loss(generator):
            x = torch.randn(8, 3, generator=generator)
            return (model(x) - x.sum(1, keepdim=True)).square().mean()

        schedule = Schedule(6, 8, 1e-2, optimizer="muon")
        if steps < 6:
            monkeypatch.setattr("dmm.fitting.loop.nn.utils.clip_grad_norm_", stop_after(steps))
        return fit("muon", model, loss, schedule, tmp_path / name, 0)

    def stop_after(steps, clip=torch.nn.utils.clip_grad_norm_):
        left = iter(range(steps))

        def clipped(*arguments):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return clip(*arguments)

        return clipped

    with pytest.raises(KeyboardInterrupt):
        run("cut.pt", 3)
    monkeypatch.undo()
    whole, resumed = run("whole.pt", 6), run("cut.pt", 6)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)
    )
