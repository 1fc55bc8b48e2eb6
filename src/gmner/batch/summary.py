"""What a run says at its end."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of all posts: how many have a prediction, with how many entities, and how many an error.

    `errors_file`, or each file in it, holds the errors; it is None where there are none.
    """

    posts: int
    entities: int
    errors: int
    errors_file: Path | None

    def __str__(self) -> str:
        where = "" if self.errors_file is None else f" (kept in {self.errors_file})"
        posts = f"{self.posts:,} post{'' if self.posts == 1 else 's'}"
        entities = f"{self.entities:,} {'entity' if self.entities == 1 else 'entities'}"
        return f"{posts} with {entities}, {self.errors:,} error{'' if self.errors == 1 else 's'}{where}"
