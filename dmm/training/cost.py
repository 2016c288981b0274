"""Energy and money of a training, by the watts of the machine and a price per kWh or per hour."""

import re
from dataclasses import dataclass
from typing import Any

from ..errors import PresetError
from ..machine_settings import read_machine_settings

PRICE = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<currency>[^\d/\s]*)\s*/\s*(?P<unit>kWh|h)")
"""``0.30/kWh``, ``0.30 EUR/kWh``, ``0.25/h``."""


@dataclass(frozen=True)
class Tariff:
    """Power of a machine, and the price of its energy or of an hour."""

    watts: float | None = None
    """Power of the whole machine while it trains."""
    price: float | None = None
    """Price of one ``unit``."""
    unit: str = "kWh"
    """``kWh`` or ``h``."""
    currency: str = ""

    @classmethod
    def parse(cls, price: str | None, watts: str | float | None) -> "Tariff":
        """Parse the values of ``--price`` and ``--watts``; PresetError for impossible ones.

        >>> Tariff.parse("0.30 EUR/kWh", 350.0)
        Tariff(watts=350.0, price=0.3, unit='kWh', currency='EUR')
        """
        drawn = None if watts is None else _parse_watts(watts)
        if price is None:
            return cls(drawn)
        found = PRICE.fullmatch(price.strip())
        if not found:
            raise PresetError(f"--price {price}: write 0.30/kWh, 0.30 EUR/kWh or 0.25/h")
        if found["unit"] == "kWh" and drawn is None:
            raise PresetError(f"--price {price} needs --watts, what the machine draws (350)")
        return cls(drawn, float(found["amount"]), found["unit"], found["currency"])

    def kilowatt_hours(self, seconds: float) -> float | None:
        """Energy that the machine takes in this time; None if its power is not known."""
        return None if self.watts is None else self.watts * seconds / 3.6e6

    def money(self, seconds: float) -> float | None:
        """Cost of this time; None without a price."""
        if self.price is None:
            return None
        hours, energy = seconds / 3600, self.kilowatt_hours(seconds)
        return self.price * (hours if self.unit == "h" or energy is None else energy)

    def rows(self, seconds: float) -> list[tuple[str, str, str]]:
        """Rows of energy and cost (name, amount, basis); unknown ones are left out."""
        energy, money = self.kilowatt_hours(seconds), self.money(seconds)
        found = []
        if energy is not None:
            found.append(("energy", f"{energy:.3g} kWh", f"at {self.watts:g} W"))
        if money is not None:
            shown = f"{money:.2f} {self.currency}".strip()
            found.append(("cost", shown, f"at {self.price_in_words}"))
        return found

    @property
    def price_in_words(self) -> str:
        """The price as ``--price`` takes it."""
        return f"{self.price:g} {self.currency}".strip() + f"/{self.unit}"

    def record(self) -> dict[str, Any]:
        """``price`` and ``watts`` for ``run.json``; unknown ones are left out."""
        price = None if self.price is None else self.price_in_words
        return {k: v for k, v in (("price", price), ("watts", self.watts)) if v is not None}


def tariff_here(price: str | None = None, watts: float | None = None) -> Tariff:
    """Tariff of these options; one that is None is the value that ``dmm doctor --set`` stored.

    PresetError as ``Tariff.parse``.
    """
    stored = read_machine_settings()
    known = watts if watts is not None else stored.get("watts")
    return Tariff.parse(price or stored.get("price"), known)


def _parse_watts(value: str | float) -> float:
    """A power as a number; PresetError unless it is above 0."""
    try:
        watts = float(value)
    except ValueError:
        watts = 0.0
    if not 0 < watts < 1e6:
        raise PresetError(f"--watts {value}: a number of watts above 0 is needed, such as 350")
    return watts
