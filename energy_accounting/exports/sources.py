# SPDX-License-Identifier: Apache-2.0
"""What is exported: the lines of closed statements, and their corrections.

The first revision gives a row for each line; a later one gives rows for what
it changed, with the difference: so all rows of a period add up to its newest
revision, and a row that was handed over once never changes.  A block of
lines is in memory at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from energy_accounting import errors, tariffs, units, wire
from energy_accounting.ledger import engine
from energy_accounting.ledger import exports as outbox
from energy_accounting.ledger import statements as store
from energy_accounting.statements import (
    differences,
    lines,
    periods,
    stored,
)

_OFTEN = 2000
"""Lines of which it is told that they are read."""
_NAMESPACE = uuid.UUID('6e3c7c83-7a0b-5b8e-8f0e-2b1f6a6f7c55')


class Entry(NamedTuple):
    """A row to export.

    :ivar stored: the revision that it is of.
    :ivar line: of it; of a correction, with differences for amounts.
    :ivar correction: whether it changes what an earlier revision said.
    :ivar currency: of its cost; None: nothing is charged.
    :ivar overhead_uj: of the building, beside IT; None: not known.
    :ivar reversal: whether it takes all of a line back, of which another
        row then says in another currency what it is.
    """

    stored: store.Stored
    line: lines.Line
    correction: bool
    currency: str | None
    overhead_uj: int | None
    reversal: bool = False

    @property
    def id(self) -> str:
        """The same for the same row, however often it is exported."""
        named = [self.stored.statement, self.stored.revision, *self.line.key]
        if self.reversal:
            named.append('reversal')
        return str(uuid.uuid5(_NAMESPACE, wire.to_json(named)))

    @property
    def billing_period(self) -> periods.Period:
        """The period that it is billed in.

        That of its statement; a correction comes when that is over: in the
        month, or year, in which the statement was closed again.
        """
        one = self.stored
        own = periods.period(one.period, one.time_zone)
        if not self.correction:
            return own
        day = units.moment(one.created_ns).astimezone(own.where).date()
        return periods.period(day.isoformat()[:len(one.period)],
                              one.time_zone)


class Exported(Protocol):
    """What goes into an export, of a period.

    :ivar revisions: of the statements that are in it, if it is of any.
    :ivar digest: of what goes in.
    :ivar total: how many lines there are to read.
    """

    @property
    def period(self) -> periods.Period: ...

    @property
    def project_id(self) -> str | None: ...

    @property
    def revisions(self) -> Sequence[outbox.Closed]: ...

    @property
    def digest(self) -> str: ...

    @property
    def total(self) -> int: ...


@dataclasses.dataclass(frozen=True)
class Source:
    """The closed statements of a period.

    :ivar project_id: None: of all projects.
    :ivar revisions: the final ones, by project and number.
    :ivar alive: told while lines are read, of which there need not be a row.
    """

    database: engine.Database
    period: periods.Period
    project_id: str | None
    revisions: Sequence[outbox.Closed]
    alive: Callable[[], object] = lambda: None

    @property
    def digest(self) -> str:
        """Of what goes in: the same, and the rows are the same."""
        return hashlib.sha256(wire.to_json([
            [one.statement, one.revision, one.digest]
            for one in self.revisions]).encode()).hexdigest()

    @property
    def total(self) -> int:
        """How many lines there are to read."""
        return sum(one.lines for one in self.revisions)

    def statements(self) -> Iterator[list[store.Stored]]:
        """The revisions of each statement, beginning with the first that is
        exported by its lines.

        A cost that is not known cannot be charged, and no later one be held
        against it.

        :raises errors.Conflict: the newest has such a cost.
        """
        for _, found in itertools.groupby(self.revisions,
                                          lambda one: one.statement):
            with self.connection() as connection:
                whole = [one for one in (
                    store.find(connection, each.statement, each.revision)
                    for each in found) if one is not None]
            known = [one for one in whole
                     if one.head['totals'].get('cost', '') is not None]
            if not known or known[-1] is not whole[-1]:
                raise errors.Conflict(
                    f'statement {whole[-1].statement} of '
                    f'{whole[-1].project_id or "no project"}: the cost of a '
                    'line is not known, as a factor is missing that its '
                    'tariff takes; record it and close the period again')
            yield known

    def newest(self) -> Iterator[store.Stored]:
        """The newest revision of each statement, whatever it costs."""
        for _, found in itertools.groupby(self.revisions,
                                          lambda one: one.statement):
            *_, last = found
            with self.connection() as connection:
                whole = store.find(connection, last.statement, last.revision)
            if whole is None:
                raise errors.NotFound(
                    f'revision {last.revision} of statement '
                    f'{last.statement} is gone')
            yield whole

    def entries(self) -> Iterator[Entry]:
        """The rows, by project, revision, day and instance."""
        for first, *later in self.statements():
            with self.connection() as connection:
                for line in self.lines_of(connection, first):
                    yield Entry(first, line, False, _currency(first),
                                _overhead_uj(line))
            for was, became in itertools.pairwise([first, *later]):
                yield from self._corrections(was, became)

    def _corrections(self, was: store.Stored, became: store.Stored,
                     ) -> Iterator[Entry]:
        if _currency(was) != _currency(became) and (
                stored.charged(was) and stored.charged(became)):
            # Between two currencies there is no difference.
            yield from self._given(was, became, reversal=True)
            yield from self._given(became, became, reversal=False)
            return
        with self.connection() as connection:
            for one in differences.of_lines(
                    self.lines_of(connection, was),
                    self.lines_of(connection, became)):
                line = _difference(one, was, became)
                if any(getattr(line, name) for name in lines.SUMMED) or (
                        line.cost is not None and line.cost.strip('0.')):
                    yield Entry(
                        became, line, True,
                        _currency(became) or _currency(was), _handed_over(
                            _overhead_uj(one.was), _overhead_uj(one.became)))

    def _given(self, of: store.Stored, became: store.Stored, *,
               reversal: bool) -> Iterator[Entry]:
        """All lines of a revision once more, or all taken back."""
        with self.connection() as connection:
            for line in self.lines_of(connection, of):
                one = differences.Difference(
                    line.key, *((line, None) if reversal else (None, line)))
                yield Entry(
                    became, _difference(one, of, of), True, _currency(of),
                    _handed_over(_overhead_uj(one.was),
                                 _overhead_uj(one.became)), reversal)

    def lines_of(self, connection: sa.Connection, of: store.Stored,
                 ) -> Iterator[lines.Line]:
        """The lines of a revision; where it is long, not in silence."""
        for number, line in enumerate(stored.lines_of(connection, of), 1):
            yield line
            if not number % _OFTEN:
                self.alive()

    def connection(self) -> sa.Connection:
        """For what is read block by block."""
        # Not that of a server that only reads, which may be behind.
        return self.database.engine.connect()


def _difference(one: differences.Difference, was: store.Stored,
                became: store.Stored) -> lines.Line:
    there = one.became or one.was
    if there is None:
        raise ValueError('neither was nor became')
    priced = [None if line is None else line.priced_uj
              for line in (one.was, one.became)]
    charged = stored.charged(was) or stored.charged(became)
    amounts: dict[str, Any] = {
        name: _handed_over(*(
            None if line is None else getattr(line, name)
            for line in (one.was, one.became)))
        if amount is None else amount for name, amount
        in differences.amounts(one.was, one.became).items()}
    return dataclasses.replace(
        there, **amounts, peak_uj=None, price_per_kwh=None,
        priced_uj=(priced[1] or 0) - (priced[0] or 0) if charged else None,
        cost=_cost(one, was, became) if charged else None)


def _cost(one: differences.Difference, was: store.Stored,
          became: store.Stored) -> str:
    digits = tariffs.MINOR_DIGITS[_currency(became) or _currency(was) or '']
    before, after = (
        '0' if line is None or line.cost is None else line.cost
        for line in (one.was, one.became))
    return tariffs.amount_text(
        tariffs.minor_units(after, digits)
        - tariffs.minor_units(before, digits), digits)


def _handed_over(was: int | None, became: int | None) -> int | None:
    """What a correction has to bring, of what was not known nothing was."""
    if was is None and became is None:
        return None
    return (became or 0) - (was or 0)


def _overhead_uj(line: lines.Line | None) -> int | None:
    return (None if line is None or line.facility_uj is None
            else line.facility_uj - line.it_uj)


def _currency(one: store.Stored) -> str | None:
    found: str | None = one.head['totals'].get('currency')
    return found


def find(database: engine.Database, period: periods.Period,
         project_id: str | None) -> Source:
    """What is closed of a period.

    :param project_id: None: of all projects; '': what belongs to none.
    :raises errors.NotFound: nothing is.
    :raises errors.Conflict: a statement is provisional.
    """
    found = database.read_current(
        outbox.closed, period.name, period.time_zone, project_id)
    newest = {one.statement: one for one in found}
    waiting = [one.project_id or 'no project'
               for one in newest.values() if not one.revision]
    if waiting:
        raise errors.Conflict(
            f'statements: {len(waiting)} of {period.name} '
            f'({period.time_zone}) are provisional, that of '
            f'{waiting[0]} first: close the period again when all hosts '
            'have reported')
    final = [one for one in found if one.revision]
    if not final:
        whom = ('any project' if project_id is None
                else project_id or 'no project')
        raise errors.NotFound(
            f'there is no closed statement of {whom} for {period.name} in '
            f'{period.time_zone}: close it first '
            '(energy-accounting-manage close), or name its time zone')
    return Source(database, period, project_id, final)
