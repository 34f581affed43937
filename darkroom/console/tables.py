"""Rows as aligned columns that fit the terminal."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from io import StringIO

from darkroom.console.text import printable

GAP = "  "
MIN_WIDTH = 12
"""Columns of a cell that may wrap; where there is no room for as many, no words would be left."""

UNLIMITED = 100_000
"""Columns of a file or a pipe: no cell is wrapped, so that `grep` and `cut` see whole rows."""


def table(
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    title: str = "",
    styles: Mapping[str, str] | None = None,
    width: int | None = None,
) -> str:
    """Return `rows`, the first of which is the header, as lines of text.

    `right` are the numbers of the columns that are flush right: they hold numbers and are not
    wrapped. `title` stands above the rows, which it indents by two. `styles` gives rich's style for
    a cell with exactly this text; a terminal alone shows styles. `width` is in columns; by default
    the terminal's, and UNLIMITED for a pipe or a file. Where that is too narrow for columns, each
    cell has a line of its own, after its header. Control characters are replaced.
    """
    lines = [[printable(cell) for cell in row] for row in rows]
    is_terminal = width is None and sys.stdout is not None and sys.stdout.isatty()
    if width is None:
        width = shutil.get_terminal_size().columns if is_terminal else UNLIMITED
    indent = 2 if title else 0
    text: Sequence[str] | None
    if _least_width(lines, right) > width - indent:
        text = _listed(lines)
    else:
        # Rich takes a millisecond per row, which only wrapping and styles are worth.
        text = None if is_terminal else _aligned(lines, right, width - indent)
    if text is None:
        text = _wrapped(lines, right, width - indent, styles or {}, is_terminal=is_terminal)
    shifted = (f"{' ' * indent}{line}".rstrip() for line in text)
    return "\n".join([*([title] if title else []), *shifted])


def _least_width(rows: Sequence[Sequence[str]], right: Sequence[int]) -> int:
    """Return how many columns the rows need, with the wrapped cells at MIN_WIDTH."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    needed = [own if number in right else min(own, MIN_WIDTH) for number, own in enumerate(widths)]
    return sum(needed) + len(GAP) * (len(needed) - 1)


def _listed(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return each cell as a line, and an empty line between rows; the terminal wraps them."""
    header, *others = rows
    lines: list[str] = []
    for row in others:
        cells = zip(header, row, strict=True)
        lines += ["", *(f"{name}: {cell}" if name else cell for name, cell in cells if cell)]
    return lines[1:]


def _aligned(
    rows: Sequence[Sequence[str]], right: Sequence[int], width: int
) -> Sequence[str] | None:
    """Return each row as a line, or None where the longest one is wider than `width`."""
    from rich.cells import cell_len

    sizes = [[cell_len(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    if sum(widths) + len(GAP) * (len(widths) - 1) > width:
        return None
    lines = []
    for row, size in zip(rows, sizes, strict=True):
        spaces = [" " * (total - own) for total, own in zip(widths, size, strict=True)]
        cells = [
            space + cell if number in right else cell + space
            for number, (cell, space) in enumerate(zip(row, spaces, strict=True))
        ]
        lines.append(GAP.join(cells))
    return lines


def _wrapped(
    rows: Sequence[Sequence[str]],
    right: Sequence[int],
    width: int,
    styles: Mapping[str, str],
    *,
    is_terminal: bool,
) -> Sequence[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, len(GAP), 0, 0))
    for number in range(len(rows[0])):
        is_right = number in right
        grid.add_column(justify="right" if is_right else "left", no_wrap=is_right, overflow="fold")
    for number, row in enumerate(rows):
        cells = (Text(cell, style=styles.get(cell, "")) for cell in row)
        grid.add_row(*cells, style=None if number else "bold")
    console = Console(file=StringIO(), force_terminal=is_terminal, width=width, highlight=False)
    with console.capture() as captured:
        console.print(grid)
    return captured.get().splitlines()
