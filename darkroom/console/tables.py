"""Rows as aligned columns that fit the terminal."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from io import StringIO

from darkroom.console.text import printable as printable

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
    the terminal's, and UNLIMITED for a pipe or a file. Control characters are replaced.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    is_terminal = width is None and sys.stdout is not None and sys.stdout.isatty()
    if width is None:
        width = shutil.get_terminal_size().columns if is_terminal else UNLIMITED
    grid = Table.grid(padding=(0, 2, 0, 0))
    for number in range(len(rows[0])):
        is_right = number in right
        grid.add_column(justify="right" if is_right else "left", no_wrap=is_right, overflow="fold")
    for row in rows:
        cells = (printable(cell) for cell in row)
        grid.add_row(
            *(Text(cell, style=(styles or {}).get(cell, "")) for cell in cells),
            style="bold" if row is rows[0] else None,
        )
    console = Console(file=StringIO(), force_terminal=is_terminal, width=width, highlight=False)
    with console.capture() as captured:
        console.print(Padding(grid, (0, 0, 0, 2 if title else 0), expand=False))
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "\n".join([*([title] if title else []), *lines])
