"""The committed list of options against the parsers of the real engine."""

import json

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_committed_list_is_what_the_parsers_say(inside_engine):
    from dmm.engine import read_pin
    from dmm.training.engine_options import PATH, options_text
    from dmm_ext.list_options import list_options, loss_weight_help

    found = json.loads(options_text(list_options(), read_pin()))
    committed = json.loads(PATH.read_text(encoding="utf-8"))
    assert found["options"] == committed["options"]
    assert found["sha256"] == committed["sha256"] and found["commit"] == committed["commit"]
    assert committed["loss_weights"] == loss_weight_help()


def test_an_option_that_two_trainers_read_differently_is_refused(inside_engine):
    from dmm.training.engine_options import Option
    from dmm_ext.list_options import _merge_trainers

    assert _merge_trainers(
        "x", Option("int", trainers=("a",)), Option("int", trainers=("b",))
    ).trainers == (
        "a",
        "b",
    )
    with pytest.raises(ValueError, match="the trainers differ in 'x'"):
        _merge_trainers("x", Option("int"), Option("float"))
