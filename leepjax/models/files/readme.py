"""What the README of a model on the Hugging Face Hub states in its head."""

import re

_HEAD = re.compile(r"---\s*\n(.*?)^---", re.DOTALL | re.MULTILINE)
_LICENCE = re.compile(r"""^license:[ \t]*(['"]?)([\w.+-]+)\1[ \t]*$""", re.MULTILINE)


def licence_of(readme: str) -> str:
    r"""The licence in the head of a README; empty if it states none, or several.

    >>> licence_of("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model")
    'apache-2.0'
    """
    head = _HEAD.match(readme)
    licence = head and _LICENCE.search(head[1])
    return licence[2] if licence else ""
