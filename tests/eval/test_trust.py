import pytest

from eval.metric_table import METRICS
from eval.trust import TRUST


@pytest.mark.parametrize("name", TRUST)
def test_a_metric_warns_below_its_number_of_clips_and_not_from_it_on(name):
    trust = TRUST[name]
    caution = trust.caution(trust.trusted_from - 1)
    assert caution.startswith(trust.title)
    assert str(trust.trusted_from) in caution and caution.endswith(".")
    assert trust.caution(trust.trusted_from) is None


def test_every_metric_of_a_report_has_one_of_these_limits():
    assert all(metric.trust in TRUST.values() for metric in METRICS.values())
