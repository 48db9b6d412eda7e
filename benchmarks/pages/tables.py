"""Do the tables of the pages beside this file hold the committed results, and nothing else?

python benchmarks --size full tables     # writes them; `small` only checks
"""

import re

import agreement_tables
import coverage_tables
import decision_tables
import published_tables
import source_tables
import speed_tables
import study_tables
import targets
from measuring import size
from results import HERE, lines

PAGES = [HERE / "README.md", HERE / "PUBLISHED.md", HERE / "STUDIES.md"]
PLACE = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)
TABLES = speed_tables.TABLES | source_tables.TABLES | published_tables.TABLES | coverage_tables.TABLES
# Of these the columns depend on the results, too.
ROWS = study_tables.TABLES | agreement_tables.TABLES | decision_tables.TABLES


def markdown(name: str) -> str:
    if name == "targets":
        head, rows = ("what", "target", "before", "reached (medians)", ""), list(targets.rows())
    elif name in ROWS:
        found = list(ROWS[name]())
        head, rows = (list(found[0]) if found else []), [row.values() for row in found]
    else:
        benchmark, columns = TABLES[name]
        head, rows = columns, [[cell(line) for cell in columns.values()] for line in lines(benchmark)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---:"] * len(head), *rows))


def main() -> None:
    for page in PAGES:
        text = page.read_text()
        filled = PLACE.sub(lambda place: f"<!-- table {place[1]} -->\n\n{markdown(place[1])}\n\n<!-- end -->", text)
        if size() == "full":
            page.write_text(filled)
        elif filled != text:
            raise SystemExit(
                f"tables.py: {page.name} isn't what results/ say; run python benchmarks --size full tables."
            )


if __name__ == "__main__":
    main()
