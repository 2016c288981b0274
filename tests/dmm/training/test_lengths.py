from math import ceil

import pytest

from dmm.training.facts import DatasetFacts
from dmm.training.lengths import clips_per_epoch, steps_per_epoch, total_steps
from dmm.training.presets import resolve


def used_one_by_one(n_train, repeats, n_reg, reg_repeats):
    """How the engine fills an epoch: regularisation clips in turn until they are as many."""
    wanted, counts = n_train * repeats, [0] * n_reg
    first = True
    while n_reg and sum(counts) < wanted:
        for number in range(n_reg):
            counts[number] += reg_repeats if first else 1
            if sum(counts) >= wanted:
                break
        first = False
    return wanted + sum(counts)


@pytest.mark.parametrize("n_train", [1, 5, 12])
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("n_reg", [0, 1, 4, 30])
@pytest.mark.parametrize("reg_repeats", [1, 4])
def test_an_epoch_has_as_many_clips_as_the_engine_draws(n_train, repeats, n_reg, reg_repeats):
    data = DatasetFacts(n_train, n_reg, repeats=repeats, reg_repeats=reg_repeats)
    expected = used_one_by_one(n_train, repeats, n_reg, reg_repeats)
    assert clips_per_epoch(resolve("nano-cpu"), data) == expected


def test_settings_of_the_launcher_change_the_epoch():
    data = DatasetFacts(10, 5, repeats=2)
    assert clips_per_epoch(resolve("nano-cpu+more-repeats"), data) == 200
    assert clips_per_epoch(resolve("nano-cpu+no-regularisation"), data) == 20


def test_batches_and_accumulated_steps_are_rounded_up():
    data = DatasetFacts(11)
    settings = resolve("sdxl-16gb", ["train_batch_size=3"])
    assert steps_per_epoch(settings, data) == ceil(ceil(11 / 3) / 2)


def test_several_processes_share_the_batches_of_an_epoch():
    data, settings = DatasetFacts(40), resolve("nano-cpu", ["max_train_epochs=3"])
    assert [total_steps(settings, data, processes) for processes in (1, 2, 3)] == [30, 15, 12]
    assert total_steps(resolve("nano-cpu"), data, 2) == 250  # a number of steps is for all


def test_epochs_win_over_steps_as_in_the_engine():
    data = DatasetFacts(10)
    assert total_steps(resolve("nano-cpu"), data) == 250
    settings = resolve("nano-cpu", ["max_train_epochs=7"])
    assert total_steps(settings, data) == 7 * 3 and total_steps(settings, None) == 1600
