"""PostgreSQL's driver as weft uses it: statements in the server's own words (`$1`), prepared when they come a
second time, and sent together where none needs another's answer.
"""

import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from psycopg import errors, generators, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.waiting import Ready, Wait

from mesh import waiting

# Statements that a connection keeps prepared: more than any service has, with lists of each length.
_PREPARED = 1000
_FAILED = pq.ExecStatus.FATAL_ERROR
_Call = tuple[Callable[..., None], tuple[Any, ...]]
# By a statement's text and the types of its values, its name; b"" when it came once.
_Names = dict[tuple[str, tuple[int, ...]], bytes]


class SeveralStatements(Exception):
    """What was held to one statement wants to make another."""


class Cursor:
    """What the server answered, told as Python's database interface has it (PEP 249)."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._result: Any = None
        self._rows: list[tuple[Any, ...]] | None = None
        self.rowcount = -1

    def execute(self, query: str, params: Sequence[Any] = ()) -> "Cursor":
        """Run one statement. Raises what the driver raises."""
        self._took(self._connection.send(query, (params,)))
        return self

    def executemany(self, query: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of several values, in one way. Raises what the driver raises."""
        self._took(self._connection.send(query, params))

    def _took(self, results: Sequence[Any]) -> None:
        self._result, self._rows = results[-1] if results else None, None
        self.rowcount = sum(result.command_tuples or 0 for result in results)

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        """Of each column the name and the server's number of its type; None where there are none."""
        result = self._result
        if result is None or not result.nfields:
            return None
        columns = range(result.nfields)
        return [(result.fname(at).decode(), result.ftype(at), *(None,) * 5) for at in columns]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Every row that is left."""
        rows, self._rows = self._left(), []
        return rows

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        """So many rows, or those that are left."""
        rows = self._left()
        self._rows = rows[size:]
        return rows[:size]

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None when there is none."""
        return next(iter(self.fetchmany()), None)

    def _left(self) -> list[tuple[Any, ...]]:
        if self._rows is None:
            self._rows = self._connection.loaded(self._result)
        return self._rows

    def close(self) -> None:
        """Forget what was answered."""
        self._result, self._rows = None, []


class Connection(waiting.Connection):
    """A connection whose statements go as `Cursor`s; what was put off goes along with the next one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepare_threshold = None  # the driver's own cursors forget what others have prepared
        self.refused = False  # whether a statement was, since `allow`
        self._left: int | None = None
        self._later: list[bytes] = []
        self._transformer: Any = Transformer(self)
        self._numbers = itertools.count()
        self._names: _Names = {}

    def cursor(self, *args: Any, **options: Any) -> Any:
        """A cursor; one of the driver's own where something special is wanted of it."""
        return super().cursor(*args, **options) if args or options else Cursor(self)

    def execute(self, query: str, params: Sequence[Any] = ()) -> Cursor:  # type: ignore[override]
        """Run one statement. Raises what the driver raises."""
        return Cursor(self).execute(query, params)

    def allow(self, statements: int | None) -> None:
        """From here on take so many statements; None is any number."""
        self._left, self.refused = statements, False

    def put_off(self, *statements: str) -> None:
        """Have statements that answer nothing sent along with the next one, before it."""
        self._later += map(str.encode, statements)

    def send(self, query: str, several: Iterable[Sequence[Any]]) -> list[Any]:
        """Run a statement for each of several values: a result for each. Raises what the driver raises, and
        SeveralStatements when there are to be no more.
        """
        self._count()
        if not self.autocommit and self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self.put_off("BEGIN")
        calls: list[_Call] = [(self.pgconn.send_query_params, (text, None)) for text in self._later]
        new: _Names = {}
        wanted = []
        for params in several:
            calls += self._calls(query, params, new)
            wanted.append(len(calls) - 1)
        if not calls:
            return []
        self._later = []
        results = self._made(calls)
        for result in results:
            if result.status == _FAILED:
                if _is_the_end(result):
                    self.close()
                raise errors.error_from_result(result)
        self._names.update(new)
        return [results[at] for at in wanted]

    def loaded(self, result: Any) -> list[tuple[Any, ...]]:
        """The rows of a result, in Python's types."""
        self._transformer.set_pgresult(result, set_loaders=True)
        found: list[tuple[Any, ...]] = self._transformer.load_rows(0, result.ntuples, tuple)
        return found

    def _count(self) -> None:
        if self._left is None:
            return
        if not self._left:
            self.refused = True
            raise SeveralStatements
        self._left -= 1

    def _calls(self, query: str, params: Sequence[Any], new: _Names) -> list[_Call]:
        """What is to be called of the driver to run a statement, and to prepare it when it comes again: how
        it is known from then on is put into `new`.
        """
        transformer, pgconn = self._transformer, self.pgconn
        given = transformer.dump_sequence(params, [PyFormat.AUTO] * len(params)) if params else ()
        types, formats = (transformer.types, transformer.formats) if params else ((), ())
        key = query, types
        name = new.get(key, self._names.get(key))
        if name:
            return [(pgconn.send_query_prepared, (name, given, formats))]
        text = query.encode()
        if name is None:
            if len(self._names) < _PREPARED:
                new[key] = b""
            return [(pgconn.send_query_params, (text, given, types, formats))]
        name = new[key] = b"weft_%d" % next(self._numbers)
        prepare = (pgconn.send_prepare, (name, text, types))
        return [prepare, (pgconn.send_query_prepared, (name, given, formats))]

    def _made(self, calls: list[_Call]) -> list[Any]:
        """Make the calls in one way: their results. What follows one that failed is not done."""
        pgconn = self.pgconn
        if len(calls) == 1:
            ((call, given),) = calls
            call(*given)
            return self.wait(generators.execute(pgconn))
        pgconn.enter_pipeline_mode()
        for call, given in calls:
            call(*given)
        pgconn.pipeline_sync()
        results = self.wait(_collected(pgconn, len(calls)))
        if not _is_the_end(results[-1]):
            pgconn.exit_pipeline_mode()
        return results


def _collected(pgconn: Any, calls: int) -> Generator[Wait, Ready, list[Any]]:
    """The driver's way to the results of so many calls, and past the end that was set to them."""
    yield from generators.send(pgconn)
    found = []
    for _ in range(calls):
        found += yield from generators.fetch_many(pgconn)
        if _is_the_end(found[-1]):
            return found
    yield from generators.fetch_many(pgconn)
    return found


def _is_the_end(result: Any) -> bool:
    """Whether the server has gone with these words: nothing else is to be waited for."""
    severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
    return severity in (b"FATAL", b"PANIC")
