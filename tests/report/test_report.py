"""Pages from records, without a browser: names are escaped, numbers have their commands, and nothing is loaded."""

import base64
import hashlib
import math
import re
import time
from html import unescape

import pytest
from report_pages import HOSTILE, ORIGIN, page, record, records, table

from leepjax.ranking import Failure, Ranking
from leepjax.report.make import make_report, write_rankings
from leepjax.report.page import Origin, Report, Section, TableCell, duration, interval_text, number_cell, render_page
from leepjax.report.ranking_page import ranking_report, rankings_of
from leepjax.report.runs import RUNS, add_run, read_runs
from leepjax.storage.records import write_records
from leepjax.studies.outcome import Provenance
from leepjax.types import InputError

RUN = Provenance(
    study="rank",
    scale="",
    config={},
    command="leepjax rank pets/ --out 'r s'",
    commit="abc1234",
    versions={"jax": "0.12"},
    hardware="cpu × 1",
    date="2026-11-25",
    seconds=12.5,
)


def text_of(html: str) -> str:
    """What a reader sees, spaces single."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", html[html.index("<body") :], flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_names_are_escaped_wherever_they_stand():
    html = render_page(page())
    assert HOSTILE not in html
    assert html.count("<script") == 1
    assert unescape(html).count(HOSTILE) >= 10  # title, heading, fact, text, row, verdict, caption, command
    assert text_of(html).count(HOSTILE) >= 8
    assert not re.search(r'="[^"]*<script', html)


def test_control_characters_are_shown_escaped():
    name = "a\x1b[2Jb\u202ec\nd"
    html = render_page(Report(name, [name], [(name, name)], [Section(name, [name], origins=[Origin(name)])]))
    assert "a\\x1b[2Jb\\u202ec\\nd" in html
    assert all(c.isprintable() or c == "\n" for c in html)


def test_the_one_script_is_the_one_that_the_policy_allows():
    html = render_page(page())
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL).group(1)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'" in html


def test_nothing_is_loaded_from_elsewhere():
    html = re.sub(r"<svg.*?</svg>", "", render_page(page()), flags=re.DOTALL)  # namespaces are addresses, too
    assert not re.findall(r"https?:|src=|@import|url\(", re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL))
    assert set(re.findall(r'<link [^>]*href="([^"]*)"', html)) == {"data:,"}


def test_ids_are_unique_and_links_lead_to_them():
    html = render_page(page())
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids)) == 7
    links = set(re.findall(r'href="#([^"]*)"', html))
    assert {"main", "scores", "scores-1", "remarks", "one-dot", "two-dot"} <= links <= set(ids)


def test_drawings_are_taken_as_they_are_and_lead_to_their_files():
    html = render_page(page())
    assert html.count("<svg role=") == 2
    assert '<a href="figures/a.svg">SVG</a> · <a href="figures/a.png">PNG</a>' in html
    assert html.count('class="drawing" role="region" tabindex="0" aria-label="Figure 2"') == 1


def test_tables_can_be_read_and_sorted_without_seeing_them():
    html = render_page(Report("t", [], [], [Section("s", tables=[table()], origins=[ORIGIN])]))
    assert "<caption><span>What each measure says</span></caption>" in html
    assert html.count('<th scope="col"') == len(table().columns) == html.count('<button type="button">')
    assert html.count('<th scope="row">') == len(table().rows)
    assert 'role="region" tabindex="0" aria-label="What each measure says"' in html
    assert html.count('data-value="0.5"') > 1
    assert html.count('<span class="unseen"> (best)</span>') == len(table().rows)
    assert "nan" not in re.findall(r'data-value="([^"]*)"', html)


def test_numbers_cannot_stand_without_their_command():
    for shown in (
        {"tables": [table()]},
        {"verdicts": page().sections[1].verdicts},
        {"figures": page().sections[1].figures},
    ):
        with pytest.raises(ValueError, match="section 's' shows numbers without the command that made them"):
            Report("t", [], [], [Section("s", **shown)])
    told = text_of(render_page(page()))
    assert "leepjax study large --out 'my studies' cpu × 1 · 2026-11-25 · 2.0 h · commit abc1234 · jax 0.12" in told
    assert "leepjax report x" in told


def test_empty_parts_leave_nothing_behind():
    html = render_page(Report("Nothing", [], [], []))
    for tag in ("nav", "dl", "section", "table", "figure", "details", "ul"):
        assert f"<{tag}" not in html
    bare = render_page(Report("One", ["It."], [], [Section("!?", [], origins=[Origin("leepjax ls")])]))
    assert "<nav" not in bare
    assert 'id="section"' in bare
    assert re.search(r'<p class="fine"></p>', bare)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.123, 2, "0.12"),
        (-0.5, 1, "−0.5"),
        (-0.001, 2, "0.00"),
        (12345, 0, "12,345"),
        (None, 2, "–"),
        (math.nan, 2, "–"),
    ],
)
def test_numbers_as_people_read_them(value, digits, text):
    cell = number_cell(value, digits)
    assert cell.text == text
    assert cell.value == (None if text == "–" else value)


def test_intervals_and_times_as_people_read_them():
    assert interval_text(-0.5, 0.25) == "[−0.50, 0.25]"
    assert interval_text(None, 1.0) == interval_text(0.0, math.nan) == ""
    assert [duration(seconds) for seconds in (12.4, 100, 7200)] == ["12 s", "2 min", "2.0 h"]


def test_the_page_of_a_ranking_says_what_its_text_says():
    ranking = Ranking(tuple(records()), ("leep", "logme"), "head")
    report = ranking_report([ranking], [ORIGIN])
    told = text_of(render_page(report))
    for remark in ranking.remarks():
        assert remark in told
    assert report.summary == [ranking.answer()]
    assert f"Take {HOSTILE}: accuracy 90.0 % on 1,040 test images, 10.0 points better than near." in told
    assert "leep alone would have taken near, 10.0 points worse." in told
    lead, scores, agreement = (section.tables[0] for section in report.sections if section.tables)
    assert [row[0].text for row in lead.rows] == [HOSTILE, "near", "far"]
    assert [cell.text for cell in lead.rows[1][1:]] == ["2", "0.800", "0.00", "−0.500", "100 %", "269,722", "MIT"]
    assert lead.rows[1][4].detail == "[−0.600, −0.400]"
    assert lead.rows[2][4] == lead.rows[2][5] == TableCell("–")
    assert [(cell.text, cell.mark) for cell in scores.rows[0][1:]] == [("−1.250", ""), ("0.750", "★")]
    assert [(row[0].text, row[1].value) for row in agreement.rows] == [
        (it.measure, pytest.approx(it.pearson.value, nan_ok=True)) for it in ranking.agreement()
    ]


def test_a_ranking_without_verification_says_so():
    scores = tuple(it for it in records() if it.kind == "score")
    report = ranking_report([Ranking(scores, ("leep", "logme"))], [ORIGIN])
    assert [section.title for section in report.sections] == ["The sources", "Ranking", "All measures"]
    assert report.summary[0].endswith("Whether it transfers best isn't known: verify by training heads.")
    assert "test accuracy" not in text_of(render_page(report))


def test_several_targets_have_sections_of_their_own():
    pair = [Ranking(tuple(records(target=name)), ("leep",), "head") for name in ("cats", "dogs")]
    report = ranking_report(pair, [ORIGIN])
    assert report.title == "Which source transfers to cats and dogs?"
    titles = [section.title for section in report.sections]
    kinds = ["The sources", "Scores against accuracy", "Ranking", "All measures", "Agreement with accuracy"]
    assert titles == [f"{kind} for {name}" for name in ("cats", "dogs") for kind in kinds]


def test_what_ties_with_the_best_is_marked_by_a_sign():
    tied = [record("near", "leep", -0.5), record("next", "leep", -0.51, draws=(-0.4, -0.6, -0.5))]
    (_, section, _) = ranking_report([Ranking(tuple(tied), ("leep",))], [ORIGIN]).sections
    assert [(row[1].text, row[1].mark, row[1].meaning) for row in section.tables[0].rows] == [
        ("1", "", ""),
        ("2", "=", "not distinguishable from near"),
    ]


def test_rankings_come_back_from_records():
    both = records() + records(target="dogs", target_hash="d")
    (pets, dogs), others = rankings_of(both)
    assert others == []
    assert pets == Ranking(tuple(records()), ("leep", "logme"), "head")
    assert {it.target for it in dogs.records} == {"dogs"}
    assert rankings_of([]) == ([], [])
    assert rankings_of([it for it in records() if it.kind == "verify"]) == ([], [])


def test_records_that_lack_a_number_give_the_ranking_that_can_be_given():
    (ranking,), _ = rankings_of(
        [it for it in records() if (it.source, it.measure) not in {("far", "head"), ("far", "logme")}]
    )
    assert ranking.measures == ("leep",)
    assert ranking.verified_by is None
    remeasured = record("near", "leep", -0.25, key="another limit")
    (ranking,), _ = rankings_of([*records(), remeasured])
    assert ranking.scores("leep")["near"] == -0.25


def test_a_page_that_replaces_that_of_a_choice_is_named(tmp_path, caplog):
    (tmp_path / "race.jsonl").touch()
    write_rankings(tmp_path, rankings_of(records())[0], RUN)
    assert f"{tmp_path} also has race.jsonl of leepjax choose; its page is replaced" in caplog.text


def test_a_folder_of_records_becomes_a_page(tmp_path, caplog):
    write_records(tmp_path / "results.jsonl", records())
    bare = text_of(make_report(tmp_path).read_text("utf-8"))
    assert "leepjax rank pets --seed 3" in bare
    assert "the run itself wasn't recorded" in bare
    path = write_rankings(tmp_path, rankings_of(records())[0], RUN)
    assert path == tmp_path / "report.html"
    assert not caplog.text
    elsewhere = make_report(tmp_path, tmp_path / "deep" / "er")
    assert elsewhere == tmp_path / "deep" / "er" / "report.html"
    assert elsewhere.read_text("utf-8") == path.read_text("utf-8")
    assert "leepjax rank pets/ --out 'r s' cpu × 1 · 2026-11-25 · 12 s · commit abc1234" in text_of(
        path.read_text("utf-8")
    )


def test_runs_of_one_command_are_one_run(tmp_path, caplog):
    other = replace_run(command="leepjax rank pets/ --seed 1 --out 'r s'")
    for run in (RUN, other, replace_run(date="2026-11-26", seconds=1.0)):
        runs = add_run(tmp_path, run)
    assert [(run.command, run.date, run.seconds) for run in runs] == [
        (other.command, "2026-11-25", 12.5),
        (RUN.command, "2026-11-26", 13.5),
    ]
    with (tmp_path / RUNS).open("a") as file:
        file.write("{}\n")
    assert read_runs(tmp_path) == runs
    assert "line 3 isn't a run" in caplog.text


def replace_run(**fields) -> Provenance:
    return Provenance(**{name: getattr(RUN, name) for name in Provenance.__struct_fields__} | fields)


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"report: expected records of studies or rankings in .*, got none"):
        make_report(tmp_path)
    with pytest.raises(InputError, match=r"report: expected a folder that leepjax .* wrote, got .*nowhere"):
        make_report(tmp_path / "nowhere")
    with pytest.raises(InputError, match="report: expected formats among png, svg, pdf, got 'gif'; name some of them"):
        make_report(tmp_path, formats=("png", "gif"))
    with pytest.raises(InputError, match="report: expected at least one ranking, got none"):
        ranking_report([], [ORIGIN])


def test_sources_that_failed_are_on_the_page_with_their_reasons():
    failures = (Failure("torn", "pets", "source: expected weights, got half of them."),)
    lacking = [it for it in records() if (it.source, it.measure) not in {("near", "head"), ("far", "logme")}]
    bare = text_of(render_page(ranking_report([Ranking(tuple(lacking), ("leep", "logme"), "head", failures)], [])))
    assert "Sources that failed" in bare
    assert "torn source: expected weights, got half of them." in " ".join(bare.split())


def test_a_target_for_which_every_source_failed_is_on_the_page_beside_the_others():
    nothing = Ranking((), ("leep", "logme"), "head", (Failure("torn", "dogs", "no weights"),))
    bare = text_of(render_page(ranking_report([nothing, Ranking(tuple(records()), ("leep", "logme"), "head")], [])))
    assert "No source could be measured for dogs." in bare
    assert "Sources that failed for dogs" in bare


def many(num_sources, num_targets, measures=("leep", "logme", "head")):
    """Records of many sources on many targets."""
    return [
        record(f"s{s:05}", measure, s % 97 + at, target=f"t{t}", target_hash=f"t{t}", key=f"{t} {s} {at}", draws=())
        for t in range(num_targets)
        for s in range(num_sources)
        for at, measure in enumerate(measures)
    ]


def test_of_many_sources_the_first_are_shown_the_others_counted_and_the_records_linked(tmp_path):
    write_records(tmp_path / "results.jsonl", many(700, 1))
    path = make_report(tmp_path)
    html = path.read_text("utf-8")
    assert html.count('<th scope="row">') == 500 + 500 + 2
    assert "The first 500 of 700 sources are shown; 200 are not." in text_of(html)
    (link,) = set(re.findall(r'href="([^"#]*results.jsonl)"', html))
    assert (path.parent / link).resolve() == tmp_path / "results.jsonl"


def test_the_rows_of_a_page_are_limited_whatever_the_folder_holds(tmp_path):
    write_records(tmp_path / "results.jsonl", many(20, 600))
    started = time.process_time()
    html = make_report(tmp_path).read_text("utf-8")
    assert time.process_time() - started < 15
    assert len(html) < 500_000
    text = text_of(html)
    assert "Which source transfers to t0, t1, t2 and 597 more?" in text
    assert "Of 600 targets, the 6 with the most records have sections of their own above." in text
    assert "The first 500 of 600 targets are shown; 100 are not." in text


def test_a_page_lists_the_newest_runs(tmp_path):
    for seed in range(40):
        add_run(tmp_path, replace_run(command=f"leepjax rank pets --seed {seed} --end"))
    write_records(tmp_path / "results.jsonl", records())
    text = text_of(make_report(tmp_path).read_text("utf-8"))
    assert "--seed 39 --end" in text
    assert "--seed 3 --end" not in text
    assert "The last of 40 runs; runs.jsonl lists them all." in text


def test_measures_beyond_the_most_are_counted():
    names = tuple(f"m{i}" for i in range(50))
    ranking = Ranking(tuple(it for it in many(4, 1, (*names, "head"))), names, "head")
    sections = ranking_report([ranking], [ORIGIN]).sections
    _, scores, agreement = (section.tables[0] for section in sections if section.tables)
    assert len(scores.columns) == 41
    assert scores.rest == agreement.rest == "The first 40 of 50 measures are shown; 10 are not."
