"""Count the words of texts: a whole pipeline in one file.

grange run ./examples/wordcount.py texts/ --out counted/ --set shortest=3
"""

from __future__ import annotations

from pydantic import Field

from grange.pipelines import Parameters, Part, Pipeline, Work


class Settings(Parameters):
    """What may be given by --set."""

    shortest: int = Field(default=1, ge=1, description="Words with fewer letters don't count.")


class WordCount(Pipeline[Settings]):
    """Writes the words of a text, one a line and sorted, and says how many there are."""

    name = "wordcount"
    version = "1"
    summary = "Counts the words of a text."
    Parameters = Settings
    accepts = ("*.txt", "*.md")

    def process(self, part: Part, params: Settings, model: None, work: Work) -> dict[str, int]:
        """Count the words of one file."""
        words = part.item.file.read_text(errors="replace").split()
        kept = sorted(word for word in words if len(word) >= params.shortest)
        (work.output / "words.txt").write_text("".join(f"{word}\n" for word in kept))
        return {"words": len(kept)}
