import pytest

from eval.metrics import METRICS
from eval.trust import TRUST, cautions_of


@pytest.mark.parametrize("name", TRUST)
def test_a_metric_says_so_below_its_number_of_clips_and_is_silent_from_it_on(name):
    trust = TRUST[name]
    said = trust.caution(trust.trusted_from - 1)
    assert said.startswith(trust.title)
    assert str(trust.trusted_from) in said and said.endswith(".")
    assert trust.caution(trust.trusted_from) is None


def test_every_metric_of_a_report_knows_its_own_limit():
    assert {name: metric.trust for name, metric in METRICS.items()}.items() <= TRUST.items()


def test_several_metrics_give_their_sentences_in_order():
    said = cautions_of({"kad": 50, "fad": 50, "prdc": 50})
    assert [sentence.split()[0] for sentence in said] == ["FAD", "Precision,"]
