"""What a ranking computes after the pass is compiled while the images pass."""

import jax.monitoring
import numpy as np

import leepjax
from leepjax.data.readers import digits
from leepjax.extraction.extract import extract
from leepjax.ranking.ahead import compiled_ahead
from leepjax.ranking.bootstrap import score_with_draws
from leepjax.ranking.plan import make_plan

SOURCE = leepjax.load_source("random")
MEASURES = ["lfc", "nce", "pactran_gamma", "source_accuracy"]


def test_what_a_thread_has_compiled_is_not_compiled_again(tmp_path):
    plan = make_plan("rank", digits().subset(np.arange(90)), MEASURES, resamples=10)
    table = extract(SOURCE, plan.target, cache=tmp_path)
    probs, weights = table.probs, plan.weights(plan.train)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, _, **__: compiled.append(event))

    def backend_compiles():
        return sum("backend_compile" in event for event in compiled)

    with compiled_ahead(plan, SOURCE, {*MEASURES}, None) as wait:
        for name in (*MEASURES, "head"):
            wait(name)
    ahead = backend_compiles()
    assert ahead >= 3
    for name in MEASURES[:3]:
        score_with_draws(name, table.features, probs, table.labels, 10, weights)
    assert backend_compiles() == ahead

    # Nothing passes where the cache has the table.
    with compiled_ahead(plan, SOURCE, {*MEASURES, "head"}, tmp_path) as wait:
        wait("head")
    assert backend_compiles() == ahead
