"""Rows of ``dmm bench minimidi`` as a Markdown table, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from .minimidi import TableRow

HEAD = (
    "",
    "clips",
    "instruments detected",
    "tempo",
    "mode",
    "FAD",
    "FAD / floor",
    "diversity",
    "per prompt",
)


def markdown_table(rows: Sequence[TableRow]) -> str:
    """Format a Markdown table; FAD also as a multiple of the real clips' FAD (the floor)."""
    floor = next((row.fad for row in rows if row.name == "real clips"), None)
    lines = [HEAD, ("---",) * len(HEAD), *(_row_cells(row, floor) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row_cells(row: TableRow, floor: float | None) -> tuple[str, ...]:
    """The cells of one model's row; ``floor`` is the FAD that real clips reach."""
    a = row.adherence
    spread = (
        "" if a.low is None or a.high is None else f" ({max(a.low, 0):.0%}-{min(a.high, 1):.0%})"
    )
    return (
        row.name,
        str(row.clips),
        f"{a.instruments:.1%}{spread}",
        f"{a.tempo:.0%}",
        f"{a.mode:.0%}",
        _three_digits(row.fad),
        _three_digits(row.fad / floor if row.fad is not None and floor else None),
        _three_digits(row.diversity),
        _three_digits(row.per_prompt),
    )


def _three_digits(value: float | None) -> str:
    """Three significant digits; empty for None.

    >>> _three_digits(0.123456), _three_digits(None)
    ('0.123', '')
    """
    return "" if value is None else f"{value:.3g}"


def rows_as_json(rows: Sequence[TableRow]) -> list[dict[str, object]]:
    """The rows as values that JSON can hold."""
    return [asdict(row) for row in rows]
