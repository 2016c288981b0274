from dataclasses import dataclass

import pytest

from eval.listening.adherence import adherence
from eval.listening.judges import AttributeProbabilities


@dataclass(frozen=True)
class Request:
    instruments: tuple[str, ...]
    pace: str
    mode: str


def _detected(instruments, tempo="slow", key="C major"):
    return AttributeProbabilities(
        instruments={"piano": 0.1, "flute": 0.1, "organ": 0.1} | dict.fromkeys(instruments, 0.9),
        drums={"no drums": 1.0},
        tempo={"slow": 0.0, "fast": 0.0} | {tempo: 1.0},
        key={"C major": 0.0, "A minor": 0.0} | {key: 1.0},
        style={"pop": 1.0},
    )


PIANO = Request(("piano",), "slow", "major")
DUET = Request(("flute", "organ"), "fast", "minor")


def test_adherence_counts_requested_instruments_and_no_others():
    detected = [_detected(["piano", "organ"]), _detected(["flute", "piano"], "fast", "A minor")]
    found = adherence(detected, [PIANO, DUET])
    assert found.instruments == pytest.approx(2 / 3)
    assert (found.tempo, found.mode) == (1, 1)


def test_tempo_and_mode_are_judged_by_the_likeliest_class():
    found = adherence([_detected([]), _detected([])], [PIANO, DUET])
    assert (found.instruments, found.tempo, found.mode) == (0, 0.5, 0.5)


def test_an_interval_over_prompts_holds_the_share():
    prompts = [Request(("piano",), f"pace {i}", "major") for i in range(8)]
    detected = [_detected(["piano"] if i % 4 else []) for i in range(8)]
    found = adherence(detected, prompts)
    assert found.low is not None and found.high is not None
    assert found.low < found.instruments == 0.75 < found.high
