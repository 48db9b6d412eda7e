"""``python -m leepjax``: the same as the command ``leepjax``."""

from leepjax.cli import main

main()
