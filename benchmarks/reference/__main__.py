"""`python -m benchmarks.reference`: write the reference pages into docs/."""

import sys

from benchmarks.reference.pages import ROOT, pages


def main() -> int:
    """Write every page; return 0."""
    for name, text in pages().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
