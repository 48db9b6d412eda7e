"""What do the committed results look like? One plot per question, on log axes, with the limit drawn.

python benchmarks --size full plots     # into plots/; `small` draws without writing
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from drawing import BLUE, GREY, ORANGE, OURS, RED, bars, curve, limit_line, log
from matplotlib.axes import Axes
from measuring import size
from results import HERE, lines, two_reads_from_disk


def sources(axes: list[Axes]) -> None:
    found = lines("real_sources", target="cifar100-superclasses")
    accuracies = [line["head_accuracy"] for line in found]
    for ax, (measure, name) in zip(axes, (("calibrated_leep", "calibrated LEEP"), ("leep", "LEEP")), strict=True):
        scores = [line["scores"][measure] for line in found]
        (agreement,) = lines("real_sources_agreement", target="cifar100-superclasses", measure=measure)
        r, low, high = agreement["pearson"]
        ax.plot(scores, accuracies, "o", color=BLUE)
        ax.set(title=f"r = {r:.2f} [{low:.2f}, {high:.2f}]", xlabel=f"{name}, before any training")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("test accuracy of a head trained on it")


def limit(axes: list[Axes]) -> None:
    found = [line for line in lines("limit") if line["dtype"] == "float32"]
    varied = {
        "c": ("target classes c (n = 50,000, z = 1000)", [r for r in found if (r["n"], r["z"]) == (50_000, 1000)]),
        "n": ("examples n (z = 1000, c = 100)", [r for r in found if (r["z"], r["c"]) == (1000, 100)]),
        "z": ("source classes z (n·z = 50 million)", [r for r in found if r["n"] * r["z"] > 4.9e7 and r["c"] == 100]),
    }
    for ax, (x, (label, chosen)) in zip(axes, varied.items(), strict=True):
        chosen = [r for r in chosen if x == "n" or r["n"] != 200_000]
        for name, look in OURS.items():
            curve(ax, chosen, x, name, *look)
        limit_line(ax, chosen, x)
        log(ax, f"by {x}", label)
        if x != "n":
            ax.set_ylim(5, 100)
    axes[0].legend(fontsize=8)


def logits(axes: list[Axes]) -> None:
    found = lines("limit_logits")
    for name, look in OURS.items():
        curve(axes[0], found, "c", name, *look)
    curve(axes[0], found, "c", "softmax", "jax.nn.softmax alone", GREY, "^-")
    limit_line(axes[0], found, "c", "softmax", 3)
    log(axes[0], "leep from logits, n = 50,000, z = 1000", "target classes c")
    axes[0].legend(fontsize=8)


def rivals(axes: list[Axes]) -> None:
    found = [line for line in lines("rivals") if line["n"] == 50_000]
    for name, look in OURS.items():
        curve(axes[0], found, "c", name, *look)
    for name, style in (("scipy_csc", "^-"), ("scipy_csc_threads", "v-"), ("numpy_blas", "x:"), ("numpy_sorted", "+:")):
        curve(axes[0], found, "c", name, name, "#3b8f5a" if "scipy" in name else GREY, style)
    for name, style in (("published_loop", "*:"), ("published_one_hot", "d:")):
        curve(axes[0], found, "c", name, name, "black", style)
    limit_line(axes[0], lines("limit", n=50_000, z=1000, dtype="float32"), "c")
    log(axes[0], "n = 50,000, z = 1000", "target classes c")
    axes[0].legend(fontsize=7, ncol=2, loc="upper left")
    axes[0].set_ylim(8, 2e4)


def tasks(axes: list[Axes]) -> None:
    (found,) = lines("tasks")
    values = {name: ratio[1] for name, ratio in found["over_one"].items()}
    bars(axes[0], values, "200 tasks at n = 50,000, z = 1000, c = 100", "time / one leep", tuple(values))
    axes[0].axvline(10, color=RED, linestyle="--", label="target of subsets: 10")
    axes[0].axvline(25, color=RED, linestyle=":", label="target of a bootstrap: 25")
    axes[0].legend(fontsize=8)
    small = lines("tasks_side_by_side")
    curve(axes[1], small, "c", "side_by_side", "200 tasks of 250 examples", BLUE, "o-")
    curve(axes[1], small, "c", "one", "limit: one task of 50,000", RED, "--")
    log(axes[1], "small tasks side by side", "classes of each")
    axes[1].legend(fontsize=8)


def memory(axes: list[Axes]) -> None:
    found = lines("memory", n=50_000, c=100)
    ours = tuple(r["method"] for r in found if r["method"].startswith("leep"))
    values = {r["method"]: 100 * r["extra_over_input"] for r in found}
    bars(axes[0], values, "peak beside an input of 200 MB", "% of the input", ours)
    axes[0].axvline(5, color=RED, linestyle="--", label="target: 5 %")
    axes[0].legend(fontsize=8)


def accuracy(axes: list[Axes]) -> None:
    for c, color in ((10, BLUE), (1000, ORANGE)):
        found = lines("accuracy", c=c)
        for name, style, label in (
            ("relative_error", "o-", "leep"),
            ("largest_relative_error_in_table", "x:", "table"),
        ):
            axes[0].plot(
                [r["n"] for r in found], [r[name] for r in found], style, color=color, label=f"{label}, c = {c}"
            )
    axes[0].axhline(1e-6, color=RED, linestyle="--", label="target: 1e-6")
    axes[0].axhline(2**-24, color=GREY, linestyle=":", label="half a float32 ulp")
    log(axes[0], "float32 against float64, z = 1000", "examples n", "relative error")
    axes[0].legend(fontsize=8)


def compiling(axes: list[Axes]) -> None:
    stages = {"tracing": "trace_seconds", "compiling": "compile_seconds"}
    found = {r["measure"]: r for r in lines("compile_measure")}
    names, left = list(found)[::-1], [0.0] * len(found)
    for (label, stage), color in zip(stages.items(), (GREY, BLUE), strict=True):
        widths = [found[name][stage][1] for name in names]
        axes[0].barh(names, widths, left=left, color=color, label=label)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes[0].set(title="each measure at 10,000 × 1000 × 100", xlabel="seconds")
    axes[0].legend(fontsize=8)
    chosen = lines("compile_leep", z=1000, c=100)
    for (label, stage), color in zip(stages.items(), (GREY, BLUE), strict=True):
        axes[1].plot([r["n"] for r in chosen], [r[stage][1] for r in chosen], "o-", color=color, label=label)
    log(axes[1], "leep, z = 1000, c = 100", "examples n", "seconds")
    axes[1].set_ylim(0.01, 1)


def scaling(axes: list[Axes]) -> None:
    for ax, statistic in zip(axes, ("leep", "moments"), strict=True):
        for line, color in zip(
            lines("scaling_model", statistic=statistic, n=1_280_000), (GREY, BLUE, ORANGE), strict=True
        ):
            ax.plot(
                line["devices"],
                [1e3 * s for s in line["seconds"]],
                "o-",
                color=color,
                markersize=3,
                label=line["system"],
            )
            ideal = [1e3 * line["seconds"][0] / p for p in line["devices"]]
            ax.plot(line["devices"], ideal, "--", color=color, linewidth=0.8)
        log(ax, f"model of {statistic}, n = 1.28 million", "devices (dashed: the limit without communication)")
        ax.set_ylim(bottom=1e-2)
    measured = [r for r in lines("scaling") if r["n"] == 100_000 and r["cores_of_each"] == "one"]
    at, seconds = [r["processes"] for r in measured], [12.8e3 * r["seconds"]["leep"][1] for r in measured]
    axes[0].plot(at, seconds, "k*", label="measured at n = 100,000, × 12.8")
    axes[0].legend(fontsize=7)


def moments(axes: list[Axes]) -> None:
    found = {f"{r['n']:,} × {r['d']} × {r['c']}": r["over_gram_and_eigh"] for r in lines("moments")}
    for name, style in (("h_score", "o-"), ("shrunk_h_score", "s-"), ("logme", "^-"), ("all_three", "d:")):
        axes[0].plot(list(found), [ratios[name][1] for ratios in found.values()], style, label=name)
    axes[0].axhline(1, color=RED, linestyle="--", label="limit: one Gram and one eigh")
    axes[0].set(title="n × d × c", ylabel="time / limit", yscale="log")
    axes[0].tick_params(axis="x", rotation=20, labelsize=7)
    axes[0].legend(fontsize=7)


def installed(axes: list[Axes]) -> None:
    values = {f"{r['measure']}\n{r['n']:,} × {r['d']} × {r['c']}": r["speedup"][1] for r in lines("installed")}
    bars(axes[0], values, "transformer-ranker's time / ours", "speed-up", tuple(values))
    axes[0].axvline(1, color=RED, linestyle="--", label="limit: equally fast")
    axes[0].legend(fontsize=8)


def streaming(axes: list[Axes]) -> None:
    values = {f"{r['cache']}: {name}": r["seconds"][name][1] for r in lines("streaming") for name in ("read", "leep")}
    ours = tuple(name for name in values if name.endswith("leep"))
    bars(axes[0], values, "a file of 5.12 GB, 1.28 million × 1000", "seconds", ours)
    for r, style in zip(lines("streaming"), (":", "--"), strict=True):
        axes[0].axvline(two_reads_from_disk(r), color=RED, linestyle=style, label=f"limit, {r['cache']}: two reads")
    axes[0].legend(fontsize=8)


def pretraining(axes: list[Axes]) -> None:
    found = lines("pretraining")
    epochs = range(1, len(found) + 1)
    for name, color in (("train_accuracy", GREY), ("accuracy", BLUE)):
        axes[0].plot(epochs, [line[name] for line in found], color=color, label=name.replace("_", " "))
    axes[0].axvline(40.5, color=GREY, linestyle=":", label="warm restart")
    axes[0].axhline(0.85, color=RED, linestyle="--", label="target: 85 %")
    axes[0].set(title="ResNet-20 from scratch, CIFAR-10 (20,000 images)", xlabel="epoch", ylabel="accuracy")
    axes[0].legend(fontsize=8)
    axes[0].grid(alpha=0.3)


def decisions(axes: list[Axes]) -> None:
    found = lines("decisions", collection="drawn tasks", group="odd numbers")
    kinds = {"race": (ORANGE, "o-"), "race by right and wrong": (RED, "o-"), "heads": (BLUE, "s"), "": (GREY, "x")}
    heads = [line for line in found if "heads" in line["strategy"]]
    errors = [line for line in found if line["strategy"].startswith("race by")]
    races = [line for line in found if line["strategy"].startswith("race,") and line not in heads]
    others = [line for line in found if line not in [*races, *errors, *heads]]
    for (label, (color, style)), mine in zip(kinds.items(), (races, errors, heads, others), strict=True):
        seconds, regrets = ([line[name] for line in mine] for name in ("seconds", "regret_1"))
        axes[0].plot(seconds, [regret[0] for regret in regrets], style, color=color, label=label or "a score")
    axes[0].set(title="drawn tasks", xlabel="seconds / full verification", ylabel="mean regret, points")
    axes[0].set_yscale("symlog", linthresh=1)
    axes[0].legend(fontsize=8)
    for line, color in zip(lines("decisions_chances", variant="of leepjax"), (BLUE, ORANGE, GREY), strict=False):
        stated, observed, _ = zip(*line["reliability"], strict=True)
        axes[1].plot(stated, observed, "o-", color=color, label=line["evidence"])
    axes[1].plot([0, 1], [0, 1], "--", color=RED)
    axes[1].set(title="P(best)", xlabel="stated", ylabel="observed")
    axes[1].legend(fontsize=8)


# Each plot, and how many panels it has.
PLOTS: dict[Callable[[list[Axes]], None], int] = {
    sources: 2,
    limit: 3,
    logits: 1,
    rivals: 1,
    tasks: 2,
    memory: 1,
    accuracy: 1,
    compiling: 2,
    scaling: 2,
    moments: 1,
    installed: 1,
    streaming: 1,
    pretraining: 1,
    decisions: 2,
}


def draw(directory: Path) -> None:
    for plot, panels in PLOTS.items():
        figure, axes = plt.subplots(1, panels, figsize=(1 + 4.4 * panels, 3.8), layout="constrained", squeeze=False)
        plot(list(axes[0]))
        figure.savefig(directory / f"{plot.__name__}.png", dpi=72)
        plt.close(figure)


def main() -> None:
    if size() == "full":
        draw(HERE / "plots")
    else:
        with TemporaryDirectory() as directory:
            draw(Path(directory))


if __name__ == "__main__":
    main()
