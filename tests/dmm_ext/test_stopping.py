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
    stopping.finish_step_on_signal()
    assert not stopping.agree_on_end(together())
    stopping._handle_signal(2, None)
    assert stopping.status == "finished"  # or this process alone would save a state
    assert stopping.agree_on_end(together()) and stopping.status == "interrupted"


def test_a_request_of_one_process_stops_all():
    stopping = Stopping()
    assert stopping.agree_on_end(together("interrupted"))
    assert (stopping.status, stopping.reason) == ("interrupted", "another process stopped")
    stopping = Stopping()
    stopping.request("stopped", "mode collapse")
    assert stopping.agree_on_end(together("stopped")) and stopping.reason == "mode collapse"


def test_ctrl_c_ends_at_once_before_the_training_and_the_second_time():
    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt):
        stopping._handle_signal(2, None)
    stopping.finish_step_on_signal()
    stopping._handle_signal(2, None)
    with pytest.raises(KeyboardInterrupt):
        stopping._handle_signal(2, None)
