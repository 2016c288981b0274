"""Energy and money of a training, and where its price is stored."""

import pytest

from dmm.cli import run as run_command
from dmm.errors import PresetError
from dmm.training.cost import Tariff, tariff_here


@pytest.fixture(autouse=True)
def stored_here(monkeypatch, tmp_path):
    monkeypatch.setenv("DMM_CONFIG", str(tmp_path / "config"))


def test_energy_is_watts_times_hours_and_its_price_follows():
    tariff = Tariff.parse("0.30 EUR/kWh", 350.0)
    assert tariff.kilowatt_hours(7200.0) == pytest.approx(0.7)
    assert tariff.money(7200.0) == pytest.approx(0.21)
    assert tariff.rows(7200.0) == [
        ("energy", "0.7 kWh", "at 350 W"),
        ("cost", "0.21 EUR", "at 0.3 EUR/kWh"),
    ]


def test_a_rented_machine_is_paid_by_the_hour_whatever_it_draws():
    assert Tariff.parse("0.25/h", None).money(7200.0) == pytest.approx(0.5)
    assert Tariff.parse("0.25/h", 350.0).money(7200.0) == pytest.approx(0.5)
    assert Tariff().rows(7200.0) == []


@pytest.mark.parametrize(
    ("price", "watts", "message"),
    [
        ("0.30", 350.0, r"--price 0\.30: write 0\.30/kWh, .* or 0\.25/h"),
        ("0.30/day", 350.0, "write"),
        ("-1/h", None, "write"),
        ("0.30/kWh", None, "needs --watts"),
        (None, 0.0, "a number of watts above 0"),
        (None, "many", "a number of watts above 0"),
    ],
)
def test_an_impossible_price_is_one_line_with_the_remedy(price, watts, message):
    with pytest.raises(PresetError, match=message):
        Tariff.parse(price, watts)


def test_what_a_tariff_records_can_be_parsed_again():
    for tariff in (Tariff.parse("0.3 EUR/kWh", 350.0), Tariff.parse("0.25/h", None), Tariff()):
        record = tariff.record()
        assert Tariff.parse(record.get("price"), record.get("watts")) == tariff


def test_the_doctor_stores_a_price_that_options_override(capsys):
    assert run_command(["doctor", "--set", "price=0.30/kWh", "--set", "watts=350"]) == 0
    assert tariff_here() == Tariff(350.0, 0.3)
    assert tariff_here("0.25/h") == Tariff(350.0, 0.25, "h")
    assert tariff_here(watts=200.0) == Tariff(200.0, 0.3)
    assert run_command(["doctor", "--set", "price="]) == 0
    assert tariff_here() == Tariff(350.0)


@pytest.mark.parametrize("word", ["prize=0.30/kWh", "price", "price=0.30/kWh"])
def test_what_cannot_be_used_is_not_stored(word):
    assert run_command(["doctor", "--set", word]) == 1
    assert tariff_here() == Tariff()
