"""A loss in ``LOSSES`` needs no other entry anywhere."""

import argparse

import pytest
import torch

from dmm.engine import read_pin
from dmm.errors import PresetError
from dmm.training.engine_options import options_text, read_options
from dmm.training.explain import explain
from dmm.training.facts import Facts
from dmm.training.known_settings import known_options
from dmm.training.presets import resolve
from dmm.training.rules.check import check_settings
from dmm_ext import losses
from dmm_ext.options import add_options

pytestmark = pytest.mark.filterwarnings("ignore")
ALPHAS = torch.linspace(0.99, 0.01, 1000)
NAME = "fourth_power_weight"


@pytest.fixture
def added(monkeypatch):
    """A loss that is entered in the one table."""

    def fourth_power(residual, measure):
        return residual.pow(4).mean((1, 2, 3))

    loss = losses.AddedLoss(fourth_power, "weight of the fourth power; 0 is off")
    monkeypatch.setitem(losses.LOSSES, NAME, loss)


@pytest.fixture
def rewritten(added, inside_engine, tmp_path, monkeypatch):
    """The committed list of options as it is written from the parsers afterwards."""
    from dmm_ext.list_options import list_options, loss_weight_help

    path = tmp_path / "engine-options.json"
    path.write_text(options_text(list_options(), read_pin(), loss_weight_help()))
    monkeypatch.setattr("dmm.training.engine_options.PATH", path)
    for cached in (read_options, known_options):
        cached.cache_clear()
    yield
    for cached in (read_options, known_options):
        cached.cache_clear()


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    parser.add_argument("--loss_type", default="l2")
    return parser.parse_args(words)


def test_the_trainer_has_its_option_and_adds_it(added):
    residual, timesteps = torch.full((2, 4, 8, 8), 2.0), torch.tensor([5, 900])
    args = arguments(f"--{NAME}=3")
    assert losses.has_added_losses(args) and not losses.has_added_losses(arguments())
    assert losses.weighted_added_losses(residual, timesteps, ALPHAS, args).tolist() == [48, 48]
    with pytest.raises(PresetError, match=f"{NAME} is -1"):
        losses.weighted_added_losses(residual, timesteps, ALPHAS, arguments(f"--{NAME}=-1"))


def test_validation_leaves_it_out(added, inside_engine):
    from dmm_ext.validation import ENGINE_SETTINGS, fixed_loss_settings

    args = arguments(f"--{NAME}=3", "--gradient_weight=2", "--mel_tilt=1", "--spec_augment=0.5")
    vars(args).update(
        dict.fromkeys(ENGINE_SETTINGS), huber_c=0.1, min_timestep=0, max_timestep=1000
    )
    args.loss_type = "l2"
    with fixed_loss_settings(args):
        assert not losses.has_added_losses(args) and args.mel_tilt == args.spec_augment == 0
    assert getattr(args, NAME) == 3 and args.spec_augment == 0.5


def test_presets_know_it_rules_check_it_and_it_is_explained(rewritten):
    rules = {finding.rule for finding in findings(f"{NAME}=-1")}
    assert rules == {"out-of-range"}
    assert "depends-on-gradient-weight" in {finding.rule for finding in findings("snr_gate=1")}
    gated = findings("snr_gate=1", f"{NAME}=1")
    assert "depends-on-gradient-weight" not in {finding.rule for finding in gated}
    assert explain(NAME).what == "Weight of the fourth power; 0 is off."


def findings(*words):
    return check_settings(resolve("nano-cpu", words), Facts("sdxl"))
