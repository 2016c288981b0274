import json

import pytest

from dmm_ext.collapse import CollapseAlarm


def updated(alarm, values):
    return [alarm.update(100 * n, value) for n, value in enumerate(values, 1)]


def test_it_goes_off_after_patience_previews_in_a_row_below_the_floor():
    lines = updated(CollapseAlarm(0.05, 3), [0.04, 0.03, 0.06, 0.04, 0.03, 0.02, 0.01, 0.05])
    assert [line is not None for line in lines] == [False] * 5 + [True, True, False]


def test_its_line_has_the_numbers_and_what_helps():
    line = updated(CollapseAlarm(0.05, 2), [0.06, 0.04, 0.03])[-1]
    assert line.startswith("mode collapse at step 300") and "\n" not in line
    for part in ("0.040, 0.030", "floor of 0.05", "step 100", "goes on", "learning rate", "noise"):
        assert part in line


def test_it_says_so_if_training_stops():
    assert "training stops" in updated(CollapseAlarm(0.05, 1, stops=True), [0.0])[0]


def test_diversity_that_halves_is_collapse_far_above_the_floor():
    """The values of a nano LoRA on 27 game tracks, a preview every 50 steps."""
    lines = updated(CollapseAlarm(0.05, 3), [0.467, 0.242, 0.25, 0.23, 0.3])
    assert [line is not None for line in lines] == [False] * 3 + [True, False]
    assert "below 60% of the first preview's 0.467" in lines[3]


def test_a_fall_to_two_thirds_is_no_collapse():
    assert updated(CollapseAlarm(0.05, 1), [0.467, 0.32, 0.31]) == [None] * 3


@pytest.mark.parametrize("at", range(6))
def test_a_resumed_count_goes_on_as_if_never_interrupted(at):
    values = [0.2, 0.04, 0.03, 0.06, 0.01, 0.02]
    whole, before, after = (CollapseAlarm(0.05, 2) for _ in range(3))
    updated(before, values[:at])
    after.restore(json.loads(json.dumps(before.state())))
    rest = [after.update(100 * n, value) for n, value in enumerate(values[at:], at + 1)]
    assert updated(whole, values)[at:] == rest


def test_a_patience_of_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        CollapseAlarm(0.05, 0)
