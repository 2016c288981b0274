"""Numbers as text for pages, tables and sentences."""


def format_number(value: int | float) -> str:
    """At most three decimals, none from 100 on, with a true minus sign.

    >>> [format_number(x) for x in (-0.04567, 12.345, 1234.5, 7, -0.0001)]
    ['−0.046', '12.3', '1234', '7', '0.000']
    """
    if isinstance(value, int):
        return _format_signed(value, 0)
    return _format_signed(
        value, 3 if abs(value) < 1 else 2 if abs(value) < 10 else int(abs(value) < 100)
    )


def format_percent(value: float) -> str:
    """A share in 0..1 as a percentage without decimals.

    >>> format_percent(0.6666)
    '67 %'
    """
    return f"{_format_signed(100 * value, 0)} %"


def _format_signed(value: int | float, decimals: int) -> str:
    """Format with a true minus sign, and no sign if all digits are zero."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
