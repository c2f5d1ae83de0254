"""``make attack``: tells every lie of the threat model to a real server, and says which are caught.

``python -m tests.attack [-o json] [--write PAGE]``. Exit 1 if a lie did not end as the table says: one that should
be caught and was not, and as well one that is caught by now.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile

from tests.attack import stage, table


def main() -> int:
    """Tell them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--write", metavar="PAGE", help="put the table into this page, between its marks")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comity-attack-") as folder:
        found = stage.Stage.fresh(pathlib.Path(folder))
        try:
            told = list(table.tell(found, table.everything()))
        finally:
            found.close()
    if wish.write:
        page = pathlib.Path(wish.write)
        page.write_text(table.placed(page.read_text(encoding="utf-8"), table.markdown(told)), encoding="utf-8")
    print(table.as_json(told) if wish.output == "json" else table.text(told))
    return 0 if all(one.as_meant for one in told) else 1


if __name__ == "__main__":
    sys.exit(main())
