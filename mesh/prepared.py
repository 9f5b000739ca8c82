"""Statements that run often: compiled once for each kind of database, then given to its driver as they are.

SQLAlchemy writes their text and says how values are converted, as for any other statement. What is left out
is what it does anew at each execution, which takes several times as long as SQLite takes to find the row.
"""

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, Dialect, Insert, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any] | None
# Texts that are kept of a statement with IN: one for each number of values.
_LENGTHS = 64


class Prepared:
    """A statement whose values are bindparams by name; `expanding` ones take a list.

    `names`: the columns that an insert is given; those left out have their table's defaults. It fails as
    SQLAlchemy's own execution does.
    """

    def __init__(self, statement: ClauseElement, *names: str) -> None:
        self._statement, self._names = statement, names
        self._texts: dict[tuple[str, str], _Text] = {}

    def one(self, connection: Connection, /, **values: Any) -> Row[Any] | None:
        """The first row, None when there is none. A row is a named tuple that has `_mapping` too."""
        text, cursor = self._execute(connection, values)
        found = cursor.fetchall()  # all: a change with RETURNING is not made before
        return text.row(cursor)(found[0]) if found else None

    def all(self, connection: Connection, /, **values: Any) -> list[Row[Any]]:
        """Every row."""
        text, cursor = self._execute(connection, values)
        return list(map(text.row(cursor), cursor.fetchall()))

    def scalar(self, connection: Connection, /, **values: Any) -> Any:
        """The first column of the first row, None when there is none."""
        row = self.one(connection, **values)
        return None if row is None else row[0]

    def run(self, connection: Connection, /, **values: Any) -> int:
        """Make a change; how many rows it met."""
        return self._execute(connection, values)[1].rowcount

    def run_each(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Make the change with each of these values, all on one way to the database; without lists in it."""
        if not rows:
            return
        text = self._text(connection.dialect)
        filled = [text.filled(dict(row)) for row in rows]
        sql, given = filled[0][0], [values for _, values in filled]
        try:
            connection.connection.driver_connection.cursor().executemany(sql, given)  # type: ignore[union-attr]
        except connection.dialect.loaded_dbapi.Error as error:  # type: ignore[misc]
            raise _as_sqlalchemy(connection, sql, given, error) from error

    def _execute(self, connection: Connection, values: dict[str, Any]) -> tuple["_Text", Any]:
        text = self._text(connection.dialect)
        sql, given = text.filled(values)
        try:
            return text, connection.connection.driver_connection.execute(sql, given)  # type: ignore[union-attr]
        except connection.dialect.loaded_dbapi.Error as error:  # type: ignore[misc]
            raise _as_sqlalchemy(connection, sql, given, error) from error

    def _text(self, dialect: Dialect) -> "_Text":
        kind = dialect.name, dialect.paramstyle
        text = self._texts.get(kind)
        if text is None:
            text = self._texts[kind] = _Text(self._statement, self._names, dialect)
        return text


class _Text:
    """A statement as one kind of database takes it, with how values go in and come out."""

    def __init__(self, statement: ClauseElement, names: tuple[str, ...], dialect: Dialect) -> None:
        self._defaults = _defaults(statement, names)
        keys = [*names, *self._defaults] if names else None
        self._compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self._dialect = dialect
        binds = {name: bind for bind, name in self._compiled.bind_names.items()}
        self._binds = {name: _converter(bind.type, dialect, "bind") for name, bind in binds.items()}
        self._literals = {name: bind for name, bind in binds.items() if not bind.required}
        self._lists = [name for name, bind in binds.items() if bind.expanding]
        self._row: Callable[[Any], Any] | None = None
        self._expanded = lru_cache(_LENGTHS)(self._expand)

    def filled(self, values: dict[str, Any]) -> tuple[str, Any]:
        """The text and its parameters as the driver takes them."""
        for name, make in self._defaults.items():
            values.setdefault(name, make())
        for name, bind in self._literals.items():
            values.setdefault(name, bind.effective_value)
        sql, places, of_lists = self._expanded(*(len(values[name]) for name in self._lists))
        given = {}
        for name, convert in self._binds.items():
            value = values[name]
            if name in of_lists:
                given.update(zip(of_lists[name], map(convert, value) if convert else value, strict=True))
            else:
                given[name] = convert(value) if convert else value
        return sql, given if places is None else [given[name] for name in places]

    def _expand(self, *lengths: int) -> tuple[str, list[str] | None, dict[str, list[str]]]:
        """For lists of these lengths: the text, its parameters by place, and those of each list."""
        if not lengths:
            return self._compiled.string, self._compiled.positiontup, {}
        any_values = dict.fromkeys(self._binds)
        lists = {name: [""] * length for name, length in zip(self._lists, lengths, strict=True)}
        state = self._compiled.construct_expanded_state(any_values | lists)
        return state.statement, state.positiontup, state.parameter_expansion

    def row(self, cursor: Any) -> Callable[[Any], Any]:
        """Makes a named tuple of what the driver answers."""
        if self._row is None:
            self._row = self._rows_of([each[1] for each in cursor.description])
        return self._row

    def _rows_of(self, codes: list[object]) -> Callable[[Any], Any]:
        columns = self._compiled._result_columns
        make = _row_type(tuple(column.name for column in columns))._make
        converts = [
            _converter(column.type, self._dialect, "result", code)
            for column, code in zip(columns, codes, strict=True)
        ]
        places = [(place, convert) for place, convert in enumerate(converts) if convert is not None]

        def row(found: Any) -> Any:
            values = list(found)
            for place, convert in places:
                values[place] = convert(values[place])
            return make(values)

        return row


@cache
def _row_type(names: tuple[str, ...]) -> Any:
    named = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    return type("Row", (named,), {"__slots__": (), "_mapping": property(named._asdict)})


def _converter(
    type: TypeEngine[Any], dialect: Dialect, way: Literal["bind", "result"], code: object = None
) -> Convert:
    """`code`: the driver's own for the type of a column that it answers."""
    impl = type.dialect_impl(dialect)
    return impl.bind_processor(dialect) if way == "bind" else impl.result_processor(dialect, code)


def _defaults(statement: ClauseElement, names: tuple[str, ...]) -> dict[str, Callable[[], Any]]:
    """What makes the values of an insert's columns that are not given."""
    if not names or not isinstance(statement, Insert):
        return {}
    missing = [c for c in statement.table.columns if c.key not in names and c.default is not None]
    return {column.key: _maker(column.default) for column in missing}


def _maker(default: Any) -> Callable[[], Any]:
    return (lambda: default.arg(None)) if default.is_callable else (lambda: default.arg)


def _as_sqlalchemy(connection: Connection, sql: str, given: Any, error: Any) -> BaseException:
    """The driver's error as SQLAlchemy raises it; a connection that is lost is given up, as by it."""
    dialect: Any = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        sql, given, error, dialect.loaded_dbapi.Error, connection.engine.hide_parameters, lost, dialect
    )
