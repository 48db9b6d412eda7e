"""Tables of correlations: how well each measure predicts accuracy in each setting, and what else could explain it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from leepjax.agreement import Interval
from leepjax.report.captions import measure_name
from leepjax.report.page import Cell, Column, Table, between, number
from leepjax.studies.analysis.analyse import CHOICES, SettingAnalysis
from leepjax.studies.analysis.correlations import LEAD, PAPER_MEASURES, Correlation
from leepjax.studies.analysis.settings import Setting

CERTAIN, UNCERTAIN = "★", "☆"
MARKS = {
    CERTAIN: "best of LEEP, NCE and H-score, by more than chance",
    UNCERTAIN: "best of LEEP, NCE and H-score, by a margin that may be chance",
}
_MARKS = (
    "★ is the best of LEEP, NCE and H-score by more than chance: where LEEP is best, its lead over both excludes zero, "
    "otherwise the winner's lead over LEEP does. ☆ is the best by a margin that may be chance."
)
_INTERVALS = (
    "In brackets: 95 % intervals over the tasks, or over the sources where sources are compared. Of fewer than 30 of "
    "them they are Fisher's for r and an inverted test's for rank correlations, otherwise a bootstrap's."
)
_CHOICES = {
    "rel_at_1": "Rel@1",
    "rel_at_3": "Rel@3",
    "recall_at_1": "Recall@1",
    "recall_at_3": "Recall@3",
    "regret": "regret",
}


def correlation_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """Pearson's r, a row a setting, a column a measure: the paper's first, trivial baselines last."""
    names = dict.fromkeys([*PAPER_MEASURES, *(row.measure for each in analysed for row in each.correlations)])
    baselines = {row.measure for each in analysed for row in each.correlations if row.baseline}
    others = sorted([name for name in names if name not in PAPER_MEASURES], key=lambda name: name in baselines)
    measures = [measure_name(name) for name in others]
    columns = [*_place_columns(), *_numeric("LEEP", "NCE", "H-score", "LEEP's lead", *measures)]
    rows = [
        [
            *_place(each.setting),
            *(_pearson(each, name) for name in PAPER_MEASURES),
            interval(each.winner.margin),
            *(_pearson(each, name) for name in others),
        ]
        for each in analysed
    ]
    lead = "LEEP's lead is its r minus that of the better of NCE and H-score, on the same resamples."
    trivial = ", ".join(measure_name(name) for name in others if name in baselines)
    notes = [_MARKS, f"{_INTERVALS} {lead}"] + ([f"Trivial baselines: {trivial}."] if trivial else [])
    return Table("Pearson's r of each measure's scores and the accuracy after transfer", columns, rows, notes)


def control_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """What a headline correlation must be held against: the number of classes, the rivals, chance and ties."""
    versus = {
        f"lead over {measure_name(name)}": name
        for name in ("neg_log_classes", "nce", "h_score", "logme")
        if any(name in each.of for each in analysed)
    }
    columns = [
        *_place_columns(),
        *_numeric("r of LEEP", "p", "r of −log c", "LEEP's r given c", *versus, "detectable r", "ties"),
    ]
    rows = [
        [
            *_place(each.setting),
            _value(each, LEAD, lambda row: interval(row.pearson)),
            _value(each, LEAD, lambda row: p_value(row.p_value)),
            _value(each, "neg_log_classes", lambda row: interval(row.pearson)),
            _value(each, LEAD, lambda row: number(row.given_classes)),
            *(_value(each, name, lambda row: interval(row.behind_leep)) for name in versus.values()),
            _value(each, LEAD, lambda row: number(row.minimum_detectable)),
            _value(each, LEAD, lambda row: number(row.ties, 0)),
        ]
        for each in analysed
    ]
    notes = [
        "LEEP's r given c is the partial correlation when a linear fit of log c is taken off both; – where the number "
        "of classes c doesn't vary. Leads are differences of r on the same resamples: LEEP is better by more than "
        "chance where the interval lies above zero.",
        "Detectable r is the smallest true |r| that so many tasks or sources make significant (p < 0.05) four times in "
        "five. Ties are pairs with equal score or equal accuracy.",
    ]
    return Table("What LEEP's correlation must be held against", columns, rows, notes)


def statistics_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """Every correlation statistic of every measure in every setting, to look one up."""
    columns = [*_place_columns(), Column("measure"), *_numeric("r", "p", "ρ", "τ", "weighted τ", "r given c", "ties")]
    rows = [
        [
            *_place(each.setting, row.n),
            Cell(measure_name(row.measure)),
            interval(row.pearson),
            p_value(row.p_value),
            *(number(value) for value in (row.spearman, row.kendall, row.weighted_tau, row.given_classes)),
            number(row.ties, 0),
        ]
        for each in analysed
        for row in each.correlations
    ]
    notes = ["r is Pearson's, ρ Spearman's, τ Kendall's τ-b; weighted τ counts mistakes among the best more."]
    return Table("Every statistic of every measure", columns, rows, notes, folded=True)


def choice_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """What is lost by choosing the sources that a measure puts first."""
    columns = [Column("measure"), Column("setting")]
    columns += _numeric("n", "r", "Kendall τ", "weighted τ", *(_CHOICES[name] for name in CHOICES))
    rows = [
        [
            Cell(measure_name(row.measure)),
            Cell(each.setting.pairing, detail=each.setting.how),
            number(row.n, 0),
            interval(row.pearson),
            number(row.kendall),
            number(row.weighted_tau),
            *(number(each.choices[row.measure][name]) for name in CHOICES),
        ]
        for each in analysed
        for row in each.correlations
    ]
    notes = [
        "Rel@k is the best accuracy among the k sources with the highest scores as a share of the best there is; "
        "Recall@k the share of these k that are among the k truly best; regret what the first choice loses of "
        "accuracy, lower is better. Sources with equal scores are drawn among at random.",
    ]
    return Table("What each measure's choice of a source is worth", columns, rows, notes)


def interval(it: Interval) -> Cell:
    """A statistic's cell with its interval below."""
    return number(it.value, detail=between(it.low, it.high))


def p_value(p: float) -> Cell:
    """A p-value's cell."""
    return replace(number(p, 3), text="< 0.001") if p < 0.0005 else number(p, 3)


def _pearson(each: SettingAnalysis, measure: str) -> Cell:
    if measure not in each.of:
        return number(None)
    it = each.of[measure].pearson
    if not each.counts or each.winner.measure != measure:
        return interval(it)
    mark = CERTAIN if each.winner.certain else UNCERTAIN
    return number(it.value, detail=between(it.low, it.high), mark=mark, meaning=MARKS[mark])


def _value(each: SettingAnalysis, measure: str, cell: Callable[[Correlation], Cell]) -> Cell:
    return cell(each.of[measure]) if measure in each.of else number(None)


def _place_columns() -> list[Column]:
    return [Column("setting"), Column("n", numeric=True)]


def _place(setting: Setting, n: int | None = None) -> list[Cell]:
    parts = [setting.pairing, setting.task, setting.how, "macro F1" if setting.metric == "macro_f1" else ""]
    return [
        Cell(setting.kind_of_task, detail=", ".join(filter(None, parts))),
        number(len(setting.outcomes) if n is None else n, 0),
    ]


def _numeric(*labels: str) -> list[Column]:
    return [Column(label, numeric=True) for label in labels]
