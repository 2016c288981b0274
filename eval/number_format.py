"""How numbers are written for people: on pages, in tables and in sentences."""


def number(value: int | float) -> str:
    """Three significant digits, at most three decimals, with a true minus sign.

    >>> number(-0.04567), number(12.345), number(1234.5), number(7), number(-0.0001)
    ('−0.046', '12.3', '1234', '7', '0.000')
    """
    if isinstance(value, int):
        return _signed(value, 0)
    return _signed(value, 3 if abs(value) < 1 else 2 if abs(value) < 10 else int(abs(value) < 100))


def share(value: float) -> str:
    """A share of 1 in percent.

    >>> share(0.6666)
    '67 %'
    """
    return f"{_signed(100 * value, 0)} %"


def _signed(value: int | float, decimals: int) -> str:
    """Without a minus sign before nothing but zeros."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
