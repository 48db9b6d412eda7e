"""A ranking as text: the answer, and tables for people."""

import html
import math
from typing import TYPE_CHECKING

from leepjax.agreement.correlation import Interval
from leepjax.printable import printable
from leepjax.ranking.answer import per_cent
from leepjax.storage.records import Record
from leepjax.tables import Format, Row, render
from leepjax.types import LOWER_IS_BETTER, METRICS

if TYPE_CHECKING:
    from leepjax.ranking.ranking import Ranking

MOST_COLUMNS = 12
"""A table of more measures than this has a row per measure, and a column per source, of which at most this many."""


def show(ranking: "Ranking", format: Format) -> str:
    """The ranking as text; JSON and CSV hold its records, the others the answer and tables for people."""
    if format in ("json", "csv"):
        return render(ranking.to_records(), format)
    parts = [printable(ranking.answer()), render(lead_rows(ranking), format, title(ranking))]
    if len(ranking.measures) > 1 and ranking.sources:
        parts.append(_score_table(ranking, format))
    if ranking.accuracies:
        how = f"{ranking.verified_by} {METRICS[ranking.metric]}"
        parts.append(render(_agreement_rows(ranking), format, f"Agreement with {how}"))
    return "\n\n".join([*parts, *map(printable, ranking.remarks())])


def as_html(ranking: "Ranking") -> str:
    """The answer, and the sources as an HTML table, for notebooks."""
    rows = lead_rows(ranking)
    heads = "".join(f"<th>{html.escape(printable(name))}</th>" for name in (rows[0] if rows else ()))
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>" for row in rows)
    notes = "".join(f"<p>{html.escape(printable(each))}</p>" for each in ranking.remarks())
    answer = html.escape(printable(ranking.answer()))
    return f"<p>{answer}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{notes}"


def _cell(value: object) -> str:
    return html.escape(printable(f"{value:,}" if isinstance(value, int) else "–" if value is None else str(value)))


def title(ranking: "Ranking") -> str:
    """The heading of the sources: what they are ordered by."""
    if ranking.decided_by != ranking.verified_by:
        return f"Sources for {ranking.target}, best {ranking.measures[0]} first"
    first = "lowest" if ranking.metric in LOWER_IS_BETTER else "highest"
    return f"Sources for {ranking.target}, {first} {heading(ranking)} first"


def heading(ranking: "Ranking") -> str:
    """The heading of the verified metric."""
    return f"test {METRICS[ranking.metric]}"


def lead_rows(ranking: "Ranking") -> list[Row]:
    """The ranked sources, and below them those that failed before they were scored."""
    reasons = {failure.source: failure.reason for failure in ranking.failures}
    rows = [row | ({"error": reasons.get(row["source"], "")} if reasons else {}) for row in _ranked_rows(ranking)]
    columns = dict.fromkeys(rows[0], "–") if rows else {"#": "–", "source": "–", "error": "–"}
    ranked = set(ranking.sources)
    failed = [columns | {"source": name, "error": reasons[name]} for name in reasons if name not in ranked]
    return rows + failed


def _ranked_rows(ranking: "Ranking") -> list[Row]:
    lead = ranking.measures[0]
    scored, verified = ranking.records_of(lead), ranking.records_of(ranking.verified_by)
    tied, p_best, first_in = set(ranking.tied_with_best), ranking.p_best(), ranking.first_in()
    rows = []
    for place, source in enumerate(ranking.sources, start=1):
        known = scored.get(source) or verified[source]
        row: Row = {"#": f"{place}{' =' if source in tied else ''}", "source": source}
        if verified:
            row[heading(ranking)] = _with_interval(verified.get(source))
        if not all(map(math.isnan, p_best.values())):
            row["P(best)"] = share(p_best.get(source, math.nan))
        row[lead] = _with_interval(scored.get(source))
        if not all(map(math.isnan, first_in.values())):
            row["first in"] = per_cent(first_in.get(source, math.nan))
        if ranking.costs:
            cost = ranking.costs.get(source)
            row[f"ms per {ranking.noun.one}"] = f"{1000 * cost.seconds_per_image:.2f}" if cost else "–"
        if ranking.dominated_by:
            row["dominated by"] = ranking.dominated_by.get(source, "–")
        rows.append(row | {"parameters": known.num_parameters, "licence": known.licence or "–"})
    return rows


def _score_table(ranking: "Ranking", format: Format) -> str:
    """A row per source or, if there are many measures, a row per measure with the first sources as columns."""
    title = "All measures, higher is better"
    scores = {measure.replace("_", " "): ranking.scores(measure) for measure in ranking.measures}
    if len(scores) <= MOST_COLUMNS:
        rows = [{"source": each} | {name: by.get(each) for name, by in scores.items()} for each in ranking.sources]
        return render(rows, format, title)
    # The keys are positions, because a source may be called "measure".
    shown = ranking.sources[:MOST_COLUMNS]
    rows = [{"measure": name} | {str(at): by.get(s) for at, s in enumerate(shown)} for name, by in scores.items()]
    if len(shown) < len(ranking.sources):
        title += f"; of {len(ranking.sources):,} sources the first {len(shown)}, all in --format csv"
    return render(rows, format, title, ["measure", *shown])


def _agreement_rows(ranking: "Ranking") -> list[Row]:
    return [
        {
            "measure": a.measure,
            "Pearson r": a.pearson.show(2),
            "p": "–" if math.isnan(a.p_value) else f"{a.p_value:.3f}",
            "Kendall τ": a.kendall.show(2),
            "weighted τ": a.weighted.show(2),
            "ties": a.ties,
        }
        for a in ranking.agreement()
    ]


def share(value: float) -> str:
    """A probability in two digits, never rounded to 0 or 1; – where undefined."""
    if math.isnan(value):
        return "–"
    if 0 < value < 0.005:
        return "<.01"
    return ">.99" if 0.995 <= value < 1 else f"{value:.2f}"


def _with_interval(record: Record | None) -> str:
    if record is None:
        return "–"
    ends = (math.nan if end is None else end for end in (record.value, record.low, record.high))
    return Interval(*ends).show()
