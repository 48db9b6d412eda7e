"""Fine-tuning by halving: what is written is what was measured, and nothing is trained twice."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from cheap_heads import use_heads
from small_shipped import small_sources

from leepjax.adapting.parts import Parts
from leepjax.choosing import stages
from leepjax.choosing.choose import ChoiceInterrupt, choose
from leepjax.choosing.steps import STEPS, StepLine, Tuned
from leepjax.choosing.write_chosen import CHOSEN, write_tuned
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.storage.records import read_lines
from leepjax.transfer.head import Head, Retrained
from leepjax.transfer.recipe import FineTuning

SOURCES = ["cifar10", "random"]
small = small_sources(*SOURCES)
DIGITS = digits().subset(stratified_limit(digits().labels, 60, 0))
STEPS_PER_RUN = 2 * 6


def blind_head(features, labels, num_classes, *, seed=0, l2=None):
    """A head that predicts nothing useful, so that any fine-tuned network is better."""
    width = features.shape[1]
    return Retrained(
        Head(*map(jnp.asarray, (np.zeros(width), np.ones(width), np.zeros((width, 10)), np.zeros(10)))), 1, 0
    )


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    use_heads(monkeypatch, blind_head)
    monkeypatch.setattr(stages, "FineTuning", partial(FineTuning, epochs=2, batch_size=8, learning_rate=0.3))


class Watch:
    """Counts the steps of fine-tuning, and may do something at one of them."""

    def __init__(self, at=None, action=lambda: None):
        self.steps, self._at, self._action = [], at, action

    def __call__(self, what, done, total):
        if "fine-tuning" in what:
            self.steps.append((what.partition(":")[0], done))
            if len(self.steps) == self._at:
                self._action()


def chosen(tmp_path, watch):
    return choose(DIGITS, SOURCES, finetune=2, out=tmp_path / "out", cache=tmp_path / "cache", on_progress=watch)


def tuned_in(tmp_path):
    lines = read_lines(tmp_path / "out" / STEPS, StepLine, "a step")
    return [line.step for line in lines if isinstance(line.step, Tuned)]


def test_the_network_that_was_measured_is_written_and_nothing_is_trained_twice(tmp_path):
    watch = Watch()
    choice = chosen(tmp_path, watch)
    assert choice.trained == "finetune"
    assert len(watch.steps) == 2 * STEPS_PER_RUN
    (winner,) = [each for each in choice.tuned if each.source == choice.source]
    written = load_source(tmp_path / "out" / "chosen.safetensors")
    assert written.card.accuracy == pytest.approx(winner.value, abs=1e-6)
    assert written.card.training.epochs == 2
    assert written.card.classes == DIGITS.classes
    assert not (tmp_path / "out" / "finetuning").exists()
    assert extract(written, DIGITS).logits.shape == (60, 10)
    again = Watch()
    assert chosen(tmp_path, again).path == choice.path
    assert again.steps == []
    assert len(tuned_in(tmp_path)) == 2


def test_ctrl_c_while_fine_tuning_loses_no_step(tmp_path):
    with pytest.raises(ChoiceInterrupt) as interrupt:
        chosen(tmp_path, Watch(STEPS_PER_RUN + 2, lambda: signal.raise_signal(signal.SIGINT)))
    assert [each.source for each in interrupt.value.choice.tuned] == [tuned_in(tmp_path)[0].source]
    watch = Watch()
    choice = chosen(tmp_path, watch)
    assert watch.steps[0][1] > 1
    assert len(watch.steps) < STEPS_PER_RUN
    assert choice.trained == "finetune"
    assert len(tuned_in(tmp_path)) == 2


def test_a_run_that_ends_between_weights_and_card_is_not_trained_again(tmp_path, monkeypatch):
    def ends(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("leepjax.adapting.write_source.save_card", ends)
        with pytest.raises(ChoiceInterrupt):
            chosen(tmp_path, Watch())
    assert [(tmp_path / "out" / name).exists() for name in (CHOSEN, "chosen.json")] == [True, False]
    watch = Watch()
    choice = chosen(tmp_path, watch)
    assert watch.steps == []
    assert load_source(choice.path).card.accuracy == pytest.approx(choice.value, abs=1e-6)
    assert json.loads((tmp_path / "out" / "chosen.json").read_text("utf-8"))["training"]["epochs"] == 2


def test_the_same_choice_twice_at_once_trains_once(tmp_path, monkeypatch, caplog):
    """Threads take the place of processes: each opens the lock file itself."""
    monkeypatch.setattr("leepjax.storage.locks.PATIENCE", 0.1)
    watch, both = Watch(), threading.Barrier(2)

    def run(_):
        both.wait()
        return chosen(tmp_path, watch)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert len(watch.steps) == 2 * STEPS_PER_RUN
    assert (first.source, first.value, first.path) == (second.source, second.value, second.path)
    assert "another process is choosing; waiting until it has ended" in caplog.text
    assert not list((tmp_path / "out").glob("*.lock"))


def test_an_earlier_network_keeps_its_card_while_another_one_is_trained(tmp_path):
    (tmp_path / "chosen.json").write_text("{}")
    with pytest.raises(ZeroDivisionError):
        write_tuned(tmp_path / CHOSEN, load_source("random"), Parts(DIGITS, DIGITS), FineTuning(), lambda: 1 / 0, "")
    assert (tmp_path / "chosen.json").exists()
