import json

import numpy as np
import pytest
from PIL import Image

from dmm.training.run_card.curve import moving_median, write_curve
from dmm.training.runs import read_metric_lines, series


def training(steps, **more):
    return [
        {"step": s, "loss": 1 / s, "lr/unet": 1e-3, "huber_threshold": 0.1, **more}
        for s in range(1, steps + 1)
    ]


def previews(*steps):
    return [
        {
            "step": s,
            "preview/diversity": 0.2,
            "preview/prompt_diversity": 0.1,
            "preview/similarity": 0.3,
            "preview/fad": 1.0,
            "preview/embedder": "mel-stats",
        }
        for s in steps
    ]


def write(folder, lines, end=""):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + end)
    return folder


def height(path):
    with Image.open(path) as image:
        image.load()
        return image.height


def test_every_kind_of_line_has_its_place(tmp_path):
    validation = [{"step": 20, "validation_loss": 0.4}, {"step": 40, "validation_loss": 0.3}]
    loss_only = height(write_curve(write(tmp_path, [{"step": 1, "loss": 0.1}])))
    one_row = height(write_curve(write(tmp_path, [*training(40), *validation])))
    two_rows = height(write_curve(write(tmp_path, [*training(40), *validation, *previews(0, 40)])))
    assert loss_only < one_row < two_rows


@pytest.mark.parametrize(
    "lines",
    [
        previews(0),
        [{"step": 5, "validation_loss": 0.3}],
        training(1),
        [{"step": 1, "loss": float("nan")}, {"step": 2, "loss": float("inf")}],
        [{"step": 1, "validation_loss": float("nan")}],
        [{"step": 0, "lr/a$b_{": 0.1, "lr/_c": 0.2}],
    ],
)
def test_whatever_was_measured_is_plotted(tmp_path, lines):
    assert height(write_curve(write(tmp_path, lines))) > 100


def test_nothing_measured_plots_nothing(tmp_path):
    assert write_curve(tmp_path) is None
    assert write_curve(write(tmp_path, [{"step": 1}], end='{"step": 2, "lo')) is None
    assert not (tmp_path / "curve.png").exists()


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    broken = ['{"step": 4, "loss": 0.', "[1]", "null", '{"loss": 2}', '{"step": 5, "loss": 0.2}']
    write(tmp_path, training(3), end="\n".join(broken))
    steps, losses = series(read_metric_lines(tmp_path / "metrics.jsonl"), "loss")
    assert steps.tolist() == [1, 2, 3, 5] and losses[-1] == 0.2


def test_the_same_metrics_give_the_same_image(tmp_path):
    first = write_curve(write(tmp_path, training(30))).read_bytes()
    assert write_curve(tmp_path).read_bytes() == first


def test_the_image_changes_with_the_loss(tmp_path):
    first = write_curve(write(tmp_path, training(30))).read_bytes()
    assert write_curve(write(tmp_path, training(30, loss=0.5))).read_bytes() != first


def test_the_moving_median_is_that_of_the_values_around(rng):
    values = rng.normal(size=101)
    places, medians = moving_median(values, 5)
    assert places.tolist() == list(range(101))
    assert medians[50] == np.median(values[48:53]) and medians[0] == np.median(values[:3])


def test_the_moving_median_does_not_follow_a_single_peak():
    values = np.ones(50)
    values[20] = 1000.0
    assert moving_median(values, 5)[1].max() == 1.0


def test_a_long_run_is_summed_up_in_a_few_hundred_places(rng):
    places, medians = moving_median(rng.normal(size=10_000), 400)
    assert len(places) == len(medians) == 400 and places[-1] == 9_999
