"""The facts about sources that need no image: parameters, and the accuracy that their publisher states.

writes FOLDER/sources.json. The sources are those whose tables FOLDER holds.
"""

import json
import tempfile
from pathlib import Path

from decisions.shipped_tables import SHIPPED
from leepjax.models.opening import load_source


def main(folder: Path) -> None:
    import shared_sources as shared

    names = sorted({path.stem for path in (folder / "tables").glob("*/*.npz") if ".part" not in path.name})
    cards = {}
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            if name in SHIPPED:
                card = load_source(name).card
            elif "lite" in name:
                card = shared.lite_source(int(name[-1]), Path(place)).card
            else:
                card = shared.shared_source(name, Path(place)).card
            cards[name] = {"num_parameters": card.num_parameters, "accuracy": card.accuracy}
    (folder / "sources.json").write_text(json.dumps(cards, indent=1))
