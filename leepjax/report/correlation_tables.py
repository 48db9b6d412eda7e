"""Tables of correlations: how well each measure predicts accuracy in each setting, and what else may explain it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from leepjax.agreement import Interval
from leepjax.report.captions import measure_name
from leepjax.report.page import Column, Table, TableCell, interval_text, number_cell
from leepjax.studies.analysis.analyse import CHOICES, SettingAnalysis
from leepjax.studies.analysis.correlations import LEAD, PAPER_MEASURES, Correlation
from leepjax.studies.analysis.settings import Setting

CERTAIN, UNCERTAIN = "★", "☆"
MARKS = {
    CERTAIN: "best of LEEP, NCE and H-score, by more than chance",
    UNCERTAIN: "best of LEEP, NCE and H-score, by a margin that may be chance",
}
_MARKS = (
    "★ marks the best of LEEP, NCE and H-score where it is best by more than chance: if LEEP is best, the intervals of "
    "its leads over both exclude zero; otherwise that of the winner's lead over LEEP does. ☆ marks the best where its "
    "margin may be chance."
)
_INTERVALS = (
    "In brackets: 95 % intervals over the tasks, or over the sources where sources are compared. With fewer than 30 of "
    "them, the intervals are Fisher's for r and those of an inverted test for rank correlations; otherwise they come "
    "from a bootstrap."
)
_CHOICES = {
    "rel_at_1": "Rel@1",
    "rel_at_3": "Rel@3",
    "recall_at_1": "Recall@1",
    "recall_at_3": "Recall@3",
    "regret": "regret",
}


def correlation_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """Pearson's r with one row per setting and one column per measure: the paper's first, trivial baselines last."""
    names = dict.fromkeys([*PAPER_MEASURES, *(row.measure for each in analysed for row in each.correlations)])
    baselines = {row.measure for each in analysed for row in each.correlations if row.baseline}
    others = sorted([name for name in names if name not in PAPER_MEASURES], key=lambda name: name in baselines)
    measures = [measure_name(name) for name in others]
    columns = [*_setting_columns(), *_numeric("LEEP", "NCE", "H-score", "LEEP's lead", *measures)]
    rows = [
        [
            *_setting_cells(each.setting),
            *(_pearson(each, name) for name in PAPER_MEASURES),
            interval_cell(each.winner.margin),
            *(_pearson(each, name) for name in others),
        ]
        for each in analysed
    ]
    lead = "LEEP's lead is its r minus that of the better of NCE and H-score, on the same resamples."
    trivial = ", ".join(measure_name(name) for name in others if name in baselines)
    notes = [_MARKS, f"{_INTERVALS} {lead}"] + ([f"Trivial baselines: {trivial}."] if trivial else [])
    return Table("Pearson's r of each measure's scores and the accuracy after transfer", columns, rows, notes)


def control_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """What else may explain a high correlation: the number of classes, other measures, chance and ties."""
    versus = {
        f"lead over {measure_name(name)}": name
        for name in ("neg_log_classes", "nce", "h_score", "logme")
        if any(name in each.of for each in analysed)
    }
    columns = [
        *_setting_columns(),
        *_numeric("r of LEEP", "p", "r of −log c", "LEEP's r given c", *versus, "detectable r", "ties"),
    ]
    rows = [
        [
            *_setting_cells(each.setting),
            _value(each, LEAD, lambda row: interval_cell(row.pearson)),
            _value(each, LEAD, lambda row: p_value_cell(row.p_value)),
            _value(each, "neg_log_classes", lambda row: interval_cell(row.pearson)),
            _value(each, LEAD, lambda row: number_cell(row.given_classes)),
            *(_value(each, name, lambda row: interval_cell(row.behind_leep)) for name in versus.values()),
            _value(each, LEAD, lambda row: number_cell(row.minimum_detectable)),
            _value(each, LEAD, lambda row: number_cell(row.ties, 0)),
        ]
        for each in analysed
    ]
    notes = [
        "LEEP's r given c is the partial correlation given log c, the number of classes; – where c doesn't vary. Leads "
        "are differences of r on the same resamples: LEEP is better by more than chance where the interval lies above "
        "zero.",
        "Detectable r is the smallest true |r| that a sample of n tasks or sources shows as significant (p < 0.05) "
        "with a power of 80 %. Ties are pairs with equal score or equal accuracy.",
    ]
    return Table("Controls of LEEP's correlation", columns, rows, notes)


def statistics_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """Every correlation statistic of every measure in every setting, for reference."""
    columns = [*_setting_columns(), Column("measure"), *_numeric("r", "p", "ρ", "τ", "weighted τ", "r given c", "ties")]
    rows = [
        [
            *_setting_cells(each.setting, row.n),
            TableCell(measure_name(row.measure)),
            interval_cell(row.pearson),
            p_value_cell(row.p_value),
            *(number_cell(value) for value in (row.spearman, row.kendall, row.weighted_tau, row.given_classes)),
            number_cell(row.ties, 0),
        ]
        for each in analysed
        for row in each.correlations
    ]
    notes = ["r is Pearson's, ρ Spearman's, τ Kendall's τ-b; weighted τ gives more weight to mistakes among the best."]
    return Table("Every statistic of every measure", columns, rows, notes, folded=True)


def choice_table(analysed: Sequence[SettingAnalysis]) -> Table:
    """The accuracy that is lost by choosing the sources that a measure ranks first."""
    columns = [Column("measure"), Column("setting")]
    columns += _numeric("n", "r", "Kendall τ", "weighted τ", *(_CHOICES[name] for name in CHOICES))
    rows = [
        [
            TableCell(measure_name(row.measure)),
            TableCell(each.setting.pairing, detail=each.setting.how),
            number_cell(row.n, 0),
            interval_cell(row.pearson),
            number_cell(row.kendall),
            number_cell(row.weighted_tau),
            *(number_cell(each.choices[row.measure][name]) for name in CHOICES),
        ]
        for each in analysed
        for row in each.correlations
    ]
    notes = [
        "Rel@k is the best accuracy among the k sources with the highest scores, as a share of the best of all "
        "sources. Recall@k is the share of these k sources that are among the k most accurate. Regret is the best "
        "accuracy minus that of the first choice; lower is better. Sources with equal scores are chosen at random.",
    ]
    return Table("The accuracy of the sources that each measure chooses", columns, rows, notes)


def interval_cell(it: Interval) -> TableCell:
    """A cell of a statistic with its interval below it."""
    return number_cell(it.value, detail=interval_text(it.low, it.high))


def p_value_cell(p: float) -> TableCell:
    """A cell of a p-value."""
    return replace(number_cell(p, 3), text="< 0.001") if p < 0.0005 else number_cell(p, 3)


def _pearson(each: SettingAnalysis, measure: str) -> TableCell:
    if measure not in each.of:
        return number_cell(None)
    it = each.of[measure].pearson
    if not each.counts or each.winner.measure != measure:
        return interval_cell(it)
    mark = CERTAIN if each.winner.certain else UNCERTAIN
    return number_cell(it.value, detail=interval_text(it.low, it.high), mark=mark, meaning=MARKS[mark])


def _value(each: SettingAnalysis, measure: str, cell: Callable[[Correlation], TableCell]) -> TableCell:
    return cell(each.of[measure]) if measure in each.of else number_cell(None)


def _setting_columns() -> list[Column]:
    return [Column("setting"), Column("n", numeric=True)]


def _setting_cells(setting: Setting, n: int | None = None) -> list[TableCell]:
    parts = [setting.pairing, setting.task, setting.how, "macro F1" if setting.metric == "macro_f1" else ""]
    return [
        TableCell(setting.kind_of_task, detail=", ".join(filter(None, parts))),
        number_cell(len(setting.outcomes) if n is None else n, 0),
    ]


def _numeric(*labels: str) -> list[Column]:
    return [Column(label, numeric=True) for label in labels]
