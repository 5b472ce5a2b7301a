"""SQL over the run ledger: DuckDB, in memory, with nothing but the one table in reach."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from geocore.errors import UserError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["TABLE", "query"]

TABLE = "runs"

# No file, no network, no extension, no spilling to disk, no look at Python's own variables; the
# last one makes the others final.
_SETTINGS = {
    "temp_directory": "''",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "lock_configuration": "true",
}


def query(table: pyarrow.Table, sql: str) -> pyarrow.Table:
    """What one ``select`` over ``runs`` gives; nothing else is run.

    Raises ``UserError`` in one line for a mistake in ``sql``, for a statement that is no
    ``select``, and if DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise UserError(
            "duckdb is not installed, and --sql needs it: pip install 'geocore[report]'"
        ) from None
    with duckdb.connect(":memory:") as connection:
        connection.register(TABLE, table)
        for name, value in _SETTINGS.items():
            connection.execute(f"set {name} = {value}")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UserError(f"--sql {_short(sql)}: expected one select from {TABLE}")
            return _held(connection.sql(sql)).to_arrow_table()
        except duckdb.Error as error:
            raise UserError(f"--sql: {_told(error)}") from None


def _held(found: Any) -> Any:
    """With intervals and bits, which neither CSV nor Parquet holds, as text: ``01:30:00``."""
    odd = [re.search(r"\b(INTERVAL|BIT)\b", str(kind)) is not None for kind in found.types]
    chosen = [
        f"#{place}::varchar as {_quoted(name)}" if text else f"#{place}"
        for place, (name, text) in enumerate(zip(found.columns, odd, strict=True), 1)
    ]
    return found.project(", ".join(chosen)) if any(odd) else found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _told(error: Exception) -> str:
    """DuckDB's message without the drawing of where in the query it stands."""
    text = str(error).split("\nLINE ")[0]
    hint = ""
    if 'Referenced table "' in text:
        hint = '; a name with dots stands in double quotes, as "params.train.lr"'
    return " ".join(text.split()) + hint


def _short(sql: str, longest: int = 60) -> str:
    line: Any = " ".join(sql.split())
    return repr(line if len(line) <= longest else f"{line[: longest - 1]}…")
