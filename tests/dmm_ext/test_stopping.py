"""Processes that train together leave together, whenever their signals come."""

from types import SimpleNamespace

import pytest
import torch

from dmm_ext.stopping import STATUSES, Stopping


def together(other="finished"):
    """An accelerator of two processes, the other of which asks for this."""
    theirs = torch.tensor([STATUSES.index(other)])
    return SimpleNamespace(
        num_processes=2, device=torch.device("cpu"), gather=lambda mine: torch.cat([mine, theirs])
    )


def test_a_signal_after_the_agreement_waits_for_the_next_one():
    stopping = Stopping()
    stopping.training_begins()
    assert not stopping.agreed(together())
    stopping._caught(2, None)
    assert stopping.status == "finished"  # or this process alone would save a state
    assert stopping.agreed(together()) and stopping.status == "interrupted"


def test_what_one_process_asks_for_all_do():
    stopping = Stopping()
    assert stopping.agreed(together("interrupted"))
    assert (stopping.status, stopping.reason) == ("interrupted", "another process stopped")
    stopping = Stopping()
    stopping.ask("stopped", "mode collapse")
    assert stopping.agreed(together("stopped")) and stopping.reason == "mode collapse"


def test_ctrl_c_ends_at_once_before_the_training_and_the_second_time():
    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt):
        stopping._caught(2, None)
    stopping.training_begins()
    stopping._caught(2, None)
    with pytest.raises(KeyboardInterrupt):
        stopping._caught(2, None)
