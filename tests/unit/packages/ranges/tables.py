"""What the ecosystems' own programs have answered, kept in files."""

from pathlib import Path


def answers(name: str) -> list[tuple[str, str, str]]:
    """The rows of a table: two texts, and what was answered. A line that begins with ``#`` is a comment."""
    lines = (Path(__file__).parent / f"{name}.tsv").read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [(first, second, answer) for first, second, answer in rows]
