import numpy as np
import pytest

from dmm.errors import InputError
from dmm.registry import METRICS, load_metric


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_where_its_name_says(name):
    rows = np.eye(4)
    sets = {"diversity": (rows,), "fad": (rows, rows)}[name]
    assert load_metric(name)(*sets) == pytest.approx({"diversity": 1, "fad": 0}[name])


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no metric 'beauty'; known: diversity, fad"):
        load_metric("beauty")
