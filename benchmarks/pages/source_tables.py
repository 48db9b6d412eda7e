"""Tables of real weights and targets, of extraction, and of training."""

from cells import Cell, Table, interval, ms, number, ratio

SCORES = ("leep", "nce", "h_score", "shrunk_h_score", "logme", "source_accuracy")


def score(name: str) -> Cell:
    return lambda line: "–" if (value := line["scores"][name]) is None else f"{value:.3f}"


TABLES: dict[str, Table] = {
    "weights": (
        "weights",
        {"weights": number("weights", ""), "architecture": number("architecture", ""), "pixels": number("pixels")}
        | {"images": lambda line: f"{line['images']:,} of {line['target']}"}
        | {"published accuracy": number("expected_accuracy", ".2%"), "reached": number("accuracy", ".2%")}
        | {"same class as PyTorch": number("same_as_pytorch", ".1%")},
    ),
    "extraction": (
        "extraction",
        {"architecture": number("architecture", ""), "pixels": number("pixels")}
        | {"images/s, bare": ratio("images_a_second"), "extraction / bare": ratio("extraction_over_bare")}
        | {"PyTorch / bare": ratio("pytorch_over_bare"), "decoding / bare": number("decoding_over_bare")}
        | {"GFLOP/s": ratio("gigaflops_a_second"), "of a matmul": number("gigaflops_a_second_of_a_matmul")},
    ),
    "families": (
        "families",
        {"architecture": number("architecture", ""), "pixels": number("pixels"), "batch": number("batch_size")}
        | {"parameters": number("parameters"), "images/s": ratio("images_a_second")}
        | {"PyTorch / leepjax": ratio("pytorch_over_leepjax"), "compiling, s": number("seconds_compiling", ".1f")},
    ),
    "precision": (
        "precision",
        {"what": number("case", ""), "measure": number("measure", ""), "largest change": number("largest_change", "g")}
        | {"range over sources": number("range_over_sources", "g")}
        | {"same order": lambda line: "yes" if line["same_order"] else "no"},
    ),
    "real_sources": (
        "real_sources",
        {"target": number("target", ""), "source": number("source", ""), "parameters": number("num_parameters")}
        | {"licence": number("licence", ""), "head accuracy": number("head_accuracy", ".3f")}
        | {name.replace("_", " "): score(name) for name in SCORES},
    ),
    "real_sources_agreement": (
        "real_sources_agreement",
        {"target": number("target", ""), "measure": number("measure", ""), "sources": number("sources")}
        | {"Pearson r": interval("pearson"), "Kendall τ": interval("kendall"), "puts first": number("first", "")},
    ),
    "real_texts": (
        "real_texts",
        {
            "target": number("target", ""),
            "source": number("source", ""),
            "head accuracy": number("head_accuracy", ".3f"),
        }
        | {name.replace("_", " "): score(name) for name in ("logme", "h_score", "shrunk_h_score", "knn")},
    ),
    "real_texts_agreement": (
        "real_texts_agreement",
        {"target": number("target", ""), "measure": number("measure", ""), "sources": number("sources")}
        | {"Kendall τ": number("kendall", ".2f"), "puts first": number("first", "")}
        | {"its accuracy": number("first_accuracy", ".3f"), "best accuracy": number("best_accuracy", ".3f")},
    ),
    "real_texts_rival": (
        "real_texts_rival",
        {"target": number("target", ""), "measure": number("measure", ""), "sources": number("sources")}
        | {"Kendall τ": number("kendall", ".3f"), "largest difference": number("largest_difference", "g")}
        | {f"{whose}, ms": ms("seconds", whose) for whose in ("ours", "theirs")}
        | {"theirs / ours": ratio("seconds_theirs_over_ours")}
        | {"processor time, theirs / ours": ratio("processor_seconds_theirs_over_ours")},
    ),
    "embedding_tables": (
        "embedding_tables",
        {"tables": number("tables"), "n": number("n"), "d": number("d"), "verified by": number("verify", "")}
        | {"peak, GB": lambda line: f"{line['peak_bytes'] / 1e9:.2f}"}
        | {"opening, s": number("seconds_opening", ".1f"), "ranking, s": number("seconds_ranking", ",.0f")},
    ),
    "transfer_heads": (
        "transfer_heads",
        {"features": number("features", ""), "d": number("d"), "tasks": number("tasks")}
        | {"classes of each": lambda line: "{} to {}".format(*line["classes_of_a_task"]), "shapes": number("shapes")}
        | {"L2": number("l2", "")}
        | {name: ratio("tasks_a_second", name) for name in ("retrain_heads", "scikit_learn", "one_by_one")}
        | {"speed-up": ratio("speedup", "scikit_learn"), "over our loop": ratio("speedup", "one_by_one")}
        | {
            "accuracy, ours / theirs": lambda line: "{retrain_heads:.4f} / {scikit_learn:.4f}".format(
                **line["test_accuracy"]
            )
        }
        | {
            "above the minimum, ours / theirs": lambda line: (
                "–"
                if (excess := line["excess_of_objective"]) is None
                else "{retrain_heads:.1e} / {scikit_learn:.1e}".format(**excess)
            )
        },
    ),
    "transfer_images": (
        "transfer_images",
        {
            "architecture": number("architecture", ""),
            "pixels": number("pixels"),
            "images in a batch": number("batch_size"),
        }
        | {f"images/s, {name}": ratio("images_a_second", name) for name in ("leepjax", "pytorch")}
        | {"leepjax / PyTorch": ratio("over_pytorch")}
        | {f"processor ms a step, {name}": ms("processor_seconds_a_step", name) for name in ("leepjax", "pytorch")}
        | {"processor time, PyTorch / leepjax": ratio("processor_time_of_pytorch_over_ours")}
        | {"losses differ by": number("largest_difference_of_losses", ".1e")},
    ),
    "transfer_side_by_side": (
        "transfer_side_by_side",
        {
            "architecture": number("architecture", ""),
            "tasks": number("tasks"),
            "images in a batch": number("batch_size"),
        }
        | {"in turn, ms": ms("seconds", "in_turn"), "vmapped, ms": ms("seconds", "vmapped")}
        | {"vmapped / in turn": ratio("vmapped_over_in_turn")},
    ),
}
