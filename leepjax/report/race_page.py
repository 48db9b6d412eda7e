"""The page of a choice: the answer, the race, what it saved, and the numbers."""

from collections.abc import Sequence

from leepjax.choosing.choice import Choice, last_standings
from leepjax.choosing.steps import STEPS
from leepjax.choosing.words import duration, sentences
from leepjax.ranking.examples import Thumbnails
from leepjax.report.galleries import example_sections
from leepjax.report.page import Column, Figure, Origin, Report, Section, Table, TableCell, interval_text, number_cell
from leepjax.report.race_chart import MOST_LINES, how_it_ended, race_chart
from leepjax.types import METRICS

_CAPTION = "Who was dropped when, on how many {}, and by what margin"


def race_report(
    choice: Choice, origins: Sequence[Origin], records: str = STEPS, examples: Sequence[Thumbnails] = ()
) -> Report:
    """The page of a choice.

    Args:
        choice: the answer.
        origins: the commands that found it.
        records: path of the steps relative to the page.
        examples: what is shown of the target's examples, where there are some.
    """
    race, standings = choice.race, last_standings(choice.race)
    share = f"{100 * choice.saved / race.full_cost:.0f} %" if race.full_cost > 0 else "0 %"
    facts = [
        ("Target", f"{choice.target}: {choice.num_examples:,} {choice.noun.many}, {_labelled(choice)}"),
        ("Sources", f"{len(standings):,}"),
        ("Spent", duration(choice.spent)),
    ]
    if choice.rows_read is None:  # the rows of tables cost next to nothing
        facts.append(("Passes", f"{duration(choice.passed)} of {duration(race.full_cost)}: {share} saved"))
    order = {row["source"]: place for place, row in enumerate(choice.to_records())}
    standings.sort(key=lambda last: order[last.source])
    return Report(
        f"Which source to take for {choice.target}?",
        sentences(choice),
        facts,
        [
            _race_section(choice, standings, origins),
            *example_sections({each.key: each for each in examples}.get(choice.key), choice.leaders, "", origins),
            *([_heads_section(choice, origins)] if choice.judged else []),
            *([_tuning_section(choice, origins)] if choice.tuned else []),
            _sources_section(choice, standings, origins),
            _looks_section(choice, origins),
            *([_failures_section(choice, origins)] if choice.failures else []),
        ],
        records,
    )


def _race_section(choice, standings, origins) -> Section:
    noun = choice.noun.many
    text = [
        f"Each look passes more {noun} through fewer sources. A source is beaten when it is behind the leader with "
        f"confidence, on the same {noun}: of equal sources, one is dropped in at most "
        f"{100 * (1 - choice.confidence):.3g} % of races. × is beaten, □ dropped for the budget, ● left at the end."
    ]
    rest = len(standings) - MOST_LINES
    more = f"; {rest:,} more sources are in the table" if rest > 0 else ""
    figure = Figure(
        race_chart(choice, standings), f"{_CAPTION.format(choice.noun.many)}{more}.", origins[-1].command, wide=True
    )
    return Section("The race", text, figures=[figure], origins=origins)


def _sources_section(choice, standings, origins) -> Section:
    rows = [
        [
            TableCell(last.source, mark="★" if last.source == choice.source else "", meaning="chosen"),
            TableCell(how_it_ended(choice, last)),
            number_cell(last.num_examples, 0),
            number_cell(last.standing.value, 3),
            number_cell(last.standing.behind, 3, detail=_plus_minus(last.standing.error)),
            number_cell(last.seconds, 1),
        ]
        for last in standings
    ]
    names = [
        "Source",
        "How it ended",
        choice.noun.many.capitalize(),
        f"Probe's {_probed(choice)}",
        "Behind the leader",
        "Seconds",
    ]
    columns = [Column(name, numeric=place >= 2) for place, name in enumerate(names)]
    notes = [
        f"{_probe(choice)}. Behind the leader: by how much the probe's squared error is larger, on the same "
        f"{choice.noun.many}, ± the half width of its interval at the confidence of that look. The race compares these "
        "errors: they also say by how much a prediction is right or wrong."
    ]
    return Section("Sources", tables=[Table(_CAPTION.format(choice.noun.many), columns, rows, notes)], origins=origins)


def _labelled(choice: Choice) -> str:
    """The number of classes, numbers or labels, in words."""
    one, many = {"classes": ("class", "classes"), "regression": ("number", "numbers")}.get(
        choice.task, ("label", "labels")
    )
    return f"{choice.num_classes:,} {one if choice.num_classes == 1 else many}"


def _probe(choice: Choice) -> str:
    what = f"a ridge probe, each {choice.noun.one} predicted by the fit to all others"
    return f"Probe's {_probed(choice)}: that of {what}"


def _probed(choice: Choice) -> str:
    return METRICS[choice.probed_by]


def _heads_section(choice, origins) -> Section:
    name = _metric(choice)
    text = [
        f"Each source that was left got a new linear head. The {name} is measured on {choice.judged[0].num_examples:,} "
        f"{choice.noun.many}, {'the test set' if choice.num_test else 'each by a head trained on the other folds'}. "
        f"P(best) is the probability that a source has the best head, by resamples of these {choice.noun.many}, the "
        "same for all sources. Among sources whose heads can't be distinguished, the one with the smallest errors "
        "in the race is taken."
    ]
    rows = [
        [
            TableCell(each.source, mark="★" if each.source == choice.source else "", meaning="chosen"),
            number_cell(each.value, 3, detail=interval_text(each.low, each.high, 3)),
            number_cell(100 * choice.p_best[each.source], 0),
            number_cell(each.seconds, 1),
        ]
        for each in choice.judged
    ]
    columns = [
        Column("Source"),
        Column(name.capitalize(), numeric=True),
        Column("P(best), %", numeric=True),
        Column("Seconds", numeric=True),
    ]
    return Section(
        "New heads", text, tables=[Table(f"Heads on held-out {choice.noun.many}", columns, rows)], origins=origins
    )


def _tuning_section(choice, origins) -> Section:
    rows = [
        [
            TableCell(each.source),
            number_cell(each.epochs, 0),
            number_cell(each.value, 3),
            number_cell(each.head, 3),
            number_cell(each.seconds, 1),
        ]
        for each in choice.tuned
    ]
    names = ["Source", "Epochs", f"{_metric(choice).capitalize()} fine-tuned", "Of its heads", "Seconds"]
    columns = [Column(name, numeric=place > 0) for place, name in enumerate(names)]
    text = [
        "The best sources by heads were fine-tuned for a few epochs, and the better half of them for twice as many. "
        f"Both columns are of the same {choice.tuned[-1].num_examples:,} held-out {choice.noun.many}."
    ]
    return Section("Fine-tuning", text, tables=[Table("Successive halving", columns, rows)], origins=origins)


def _looks_section(choice, origins) -> Section:
    rows = [
        [
            TableCell(f"{look.number}", look.number),
            number_cell(look.num_examples, 0),
            number_cell(sum(each.loss is not None for each in look.standings), 0),
            number_cell(sum(each.dropped == "beaten" for each in look.standings), 0),
            number_cell(sum(each.dropped == "budget" for each in look.standings), 0),
            TableCell(look.leader),
            number_cell(look.spent, 1),
        ]
        for look in choice.race.looks
    ]
    names = ["Look", choice.noun.many.capitalize(), "Sources", "Beaten", "For the budget", "Leader", "Seconds so far"]
    columns = [Column(name, numeric=place in (1, 2, 3, 4, 6)) for place, name in enumerate(names)]
    return Section("Looks", tables=[Table("What each look cost and decided", columns, rows)], origins=origins)


def _failures_section(choice, origins) -> Section:
    rows = [[TableCell(failure.source), TableCell(failure.reason)] for failure in choice.failures]
    table = Table("Sources that failed", [Column("Source"), Column("Reason")], rows)
    return Section("Sources that failed", tables=[table], origins=origins)


def _metric(choice: Choice) -> str:
    return METRICS[choice.metric]


def _plus_minus(error: float | None) -> str:
    return "" if error is None else f"± {error:.3f}"
