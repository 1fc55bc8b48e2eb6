"""Which ids a file has had so far, kept where memory does not grow with their number."""

import sqlite3


class SeenIds:
    """Ids with the number of the row that each came with first.

    They lie in a temporary database of SQLite, which moves from memory to a nameless file on disk as it grows.
    """

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        self._table.execute("BEGIN")  # one transaction for all: nothing in here outlives the process

    def first(self, name: str, row: int) -> int:
        """The row that `name` came with first: `row`, if it is new."""
        if self._table.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (name, row)).rowcount:
            return row
        [[number]] = self._table.execute("SELECT row FROM ids WHERE id = ?", (name,))
        return int(number)
