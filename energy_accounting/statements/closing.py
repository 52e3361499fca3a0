# SPDX-License-Identifier: Apache-2.0
"""Closing a project's month or year: compute, compare, keep.

The lines are computed in a transaction that sees one state of the ledger and
holds nothing; what is kept is written in another, short one.  Who comes
second finds what the first has kept: a revision has one number.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple

import sqlalchemy as sa

from energy_accounting import errors, tariffs, units, wire
from energy_accounting.ledger import (
    audit,
    engine,
    hosts,
    identities,
    retired,
)
from energy_accounting.ledger import statements as store
from energy_accounting.ledger import tariffs as tariff_store
from energy_accounting.statements import (
    content,
    lines,
    periods,
    reading,
    supplied,
)

CREATED = 'created'
UNCHANGED = 'unchanged'
REPLACED = 'replaced'
WAITING = 'waiting'
OUTCOMES = (CREATED, UNCHANGED, REPLACED, WAITING)
"""A revision more; the same content as before; the provisional one has
another content; what is final stays, as what would differ is not complete.
"""

_ATTEMPTS = 20
_PLACE = '"cost":null'


class Closed(NamedTuple):
    """What closing came to.

    :ivar stored: the newest revision there is now.
    """

    stored: store.Stored
    outcome: str


def each(database: engine.Database, projects: Iterable[str],
         period: periods.Period, found: supplied.Supplied, now_ns: int,
         actor: audit.Actor,
         progress: Callable[[int], object] = lambda days: None, *,
         another_zone: bool = False,
         ) -> Iterator[tuple[str, Closed | errors.EnergyAccountingError]]:
    """:func:`close` for projects, each with what came of it.

    One that cannot be closed keeps none of the others from it.
    """
    for project_id in projects:
        try:
            yield project_id, close(database, project_id, period, found,
                                    now_ns, actor, progress,
                                    another_zone=another_zone)
        except (errors.Conflict, errors.Damaged,
                errors.InvalidRequest) as error:
            yield project_id, error


def close(database: engine.Database, project_id: str,
          period: periods.Period, found: supplied.Supplied, now_ns: int,
          actor: audit.Actor,
          progress: Callable[[int], object] = lambda days: None, *,
          another_zone: bool = False) -> Closed:
    """Close a project's period; the same again does nothing.

    :param project_id: '': what belongs to no project.
    :param found: what the sites make of energy; see
        :class:`supplied.Supplied`.
    :param progress: told the days that were read since it was last told.
    :param another_zone: also where the period is closed in another one.
    :raises errors.InvalidRequest: the period has not begun, nobody has heard
        of the project, or rows that it takes were dropped.
    :raises errors.Conflict: its tariffs have several currencies, or it is
        closed in another zone.
    """
    if project_id and not database.read_current(
            identities.heard_of, project_id):
        # What is closed stays: not of a typing error.
        raise errors.InvalidRequest(
            f'projects: {project_id[:64]!r} has used nothing and has no '
            'name; give the id of one that has')
    if now_ns <= period.start_ns:
        raise errors.InvalidRequest(
            f'period: {period.name} has not begun in {period.time_zone}; '
            'give one that has')
    if not another_zone:
        _refuse_second_zone(database, project_id, period)
    for _ in range(_ATTEMPTS):
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(compute(
                database, project_id, period, found, progress))
            before, found = made.newest, made.supplied
            revision = _revision(before, made, period, now_ns)
            if revision is None and before is not None:
                return Closed(before, UNCHANGED if before.digest
                              == made.digest else WAITING)
            with contextlib.suppress(store.Taken):
                return database.write(_keep, made, revision or 0, before,
                                      now_ns, actor)
        # Somebody else was first: what is there now counts.
        progress(-len(period.days()))
    raise errors.Unavailable(
        'others close the same statement again and again: try later')


def _refuse_second_zone(database: engine.Database, project_id: str,
                        period: periods.Period) -> None:
    # Both would be booked: nearly the same hours twice, and for good.
    zones = database.read_current(store.zones, project_id, period.name)
    if zones and period.time_zone not in zones:
        raise errors.Conflict(
            f'timezone: {period.name} is closed in {" and ".join(zones)}, '
            f'and in {period.time_zone} it would be a second statement of '
            'nearly the same hours, which cannot be taken back; name that '
            'zone, or ask for another one (another_timezone)')


def _revision(before: store.Stored | None, made: Computed,
              period: periods.Period, now_ns: int) -> int | None:
    """The number of what is to be kept; None: nothing is."""
    complete = (made.complete_until_ns is not None
                and min(made.complete_until_ns, now_ns) >= period.end_ns)
    if before is None:
        return 1 if complete else 0
    if complete and (before.revision == 0 or before.digest != made.digest):
        return before.revision + 1
    if before.revision == 0 and before.digest != made.digest:
        return 0
    return None


def _keep(connection: sa.Connection, made: Computed, revision: int,
          before: store.Stored | None, now_ns: int,
          actor: audit.Actor) -> Closed:
    values = {**made.values(), 'revision': revision, 'created_ns': now_ns,
              'actor': actor.name[:255]}
    if revision == 0 and before is not None:
        stored = store.replace(connection, before, values, made.blocks())
        outcome = REPLACED
    else:
        stored = store.insert(connection, values, made.blocks())
        outcome = CREATED
    audit.write(connection, actor, now_ns, audit.Change(
        audit.STATEMENT, values['statement'],
        None if before is None else _said(before.revision, before.digest),
        _said(revision, made.digest)))
    return Closed(stored, outcome)


def _said(revision: int, digest: str) -> dict[str, Any]:
    return {'revision': revision, 'digest': digest}


# --- computing --------------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Computed:
    """What a statement would say now.

    :ivar newest: the revision there was in the same state of the ledger.
    """

    project_id: str
    period: periods.Period
    supplied: supplied.Supplied
    head: dict[str, Any]
    digest: str
    lines: int
    newest: store.Stored | None
    complete_until_ns: int | None
    project_name: str | None
    domain_id: str | None
    _spill: _Spill

    def texts(self) -> Iterator[str]:
        """The canonical texts of the lines, in order."""
        return self._spill.texts()

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """As they are stored."""
        return blocks_of(self.texts())

    def values(self) -> dict[str, Any]:
        """What stands in the row of a statement."""
        period = self.period
        return {
            'statement': store.id_of(self.project_id, period.name,
                                     period.time_zone),
            'project_id': self.project_id, 'period': period.name,
            'time_zone': period.time_zone, 'start_ns': period.start_ns,
            'end_ns': period.end_ns, 'digest': self.digest,
            'lines': self.lines, 'head': self.head,
            'project_name': self.project_name, 'domain_id': self.domain_id,
            'complete_until_ns': self.complete_until_ns,
            'as_of_ns': self.supplied.as_of_ns}


@contextlib.contextmanager
def compute(database: engine.Database, project_id: str,
            period: periods.Period, found: supplied.Supplied,
            progress: Callable[[int], object] = lambda days: None, *,
            exactly: bool = False) -> Iterator[Computed]:
    """What a statement would say now; nothing is kept.

    The lines are in a file without a name, and gone in the end.

    :param exactly: by the facts that are handed in, even where something
        was closed by newer ones.
    """
    # Not at a server that only reads: it may be behind.
    with (_scratch() as file, engine.unavailable(),
          database.engine.connect() as connection):
        engine.snapshot(connection)
        newest = store.find(connection, store.id_of(
            project_id, period.name, period.time_zone))
        if (not exactly and newest is not None
                and newest.as_of_ns > found.as_of_ns):
            # Never by older facts than what is closed already.
            found = supplied.Supplied(period, newest.as_of_ns)
        made = _compute(connection, project_id, period, found, newest,
                        _Spill(file), progress)
        connection.rollback()
        yield made


def _scratch() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise errors.Unavailable(
            'there is no directory for temporary files: mount a volume '
            f'where they go, or set TMPDIR ({error.strerror})') from error


def _compute(connection: sa.Connection, project_id: str,
             period: periods.Period, found: supplied.Supplied,
             newest: store.Stored | None, spill: _Spill,
             progress: Callable[[int], object]) -> Computed:
    kept = retired.kept_since(connection)
    if period.start < kept:
        raise errors.InvalidRequest(
            f'period: rows by instance are kept since '
            f'{units.iso(units.bucket_start(kept))}, after '
            f'{period.name} began; close months before their rows are '
            'dropped ([collector] retention_instance_days)')
    name, domain_id = store.project(connection, project_id)
    prices = tariffs.Prices(
        [] if not project_id else [one.tariff for one in tariff_store.read(
            connection, start_ns=period.start_ns, end_ns=period.end_ns,
            as_of_ns=found.as_of_ns)],
        project_id, domain_id, period.start, period.end)
    asked = reading.Reading(connection, project_id, period, found, prices)
    added, instances = lines.Sum(), set()
    costs = _Costs(prices, spill)
    day, days = '', 0
    for one in asked.lines():
        added.add(one.line)
        instances.add(one.line.instance_id)
        costs.add(one)
        if one.line.day != day:
            day, days = one.line.day, days + 1
            progress(1)
    progress(len(period.days()) - days)
    whole = asked.whole()
    reading.check(whole, added)
    charged = costs.charged(period)
    head = content.head(project_id, period, whole, added,
                        len(instances - {None}),
                        supplied.sites_of(asked.sites.values()), charged)
    return Computed(
        project_id, period, found, head,
        content.digest(head, spill.texts()), added.lines, newest,
        hosts.complete_until(connection), name, domain_id, spill)


class _Costs:
    """What lines cost: exactly while they come, rounded in the end."""

    def __init__(self, prices: tariffs.Prices, spill: _Spill) -> None:
        self._prices, self._spill = prices, spill
        self._used: set[int] = set()
        self._unknown = False

    def add(self, one: reading.Priced) -> None:
        """Keep a line's canonical text; its cost is not there yet."""
        line, cost = one.line, one.cost
        if not self._prices:
            self._spill.add(wire.to_json(lines.to_json(line, money=False)))
            return
        if cost is None:
            # Nobody charges for it: that is known, and nothing.
            cost = tariffs.Cost()
        self._unknown |= cost.exact is None
        self._used |= cost.of
        self._spill.add(wire.to_json(lines.to_json(dataclasses.replace(
            line, priced_uj=cost.energy_uj if cost.quantity or not cost.of
            else None, priced_quantity=cost.quantity,
            price_per_kwh=cost.price_per_kwh), money=True)), cost.exact)

    def charged(self, period: periods.Period) -> content.Charged | None:
        """What of it is said beside the lines."""
        if not self._prices:
            return None
        used = [self._prices.known[number] for number in self._used]
        currencies = {one.currency for one in used or self._prices.known}
        if len(currencies) > 1:
            raise errors.Conflict(
                'tariffs: those of this project are in '
                f'{" and ".join(sorted(currencies))} in one period; '
                'withdraw one of them, or close the months by themselves')
        (currency,) = currencies
        digits = tariffs.MINOR_DIGITS[currency]
        how = tariffs.rounding(self._spill.exact, digits)
        self._spill.rounded = how, digits
        return content.Charged(
            currency, None if self._unknown
            else tariffs.amount_text(how.total, digits), used, period)


class _Spill:
    """Texts of lines in a file, with what each costs exactly."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.rounded: tuple[tariffs.Rounding, int] | None = None

    def add(self, text: str, exact: int | None = None) -> None:
        known = '' if exact is None else str(exact)
        self._file.write(f'{known}\t{text}\n'.encode())

    def _rows(self) -> Iterator[tuple[int | None, bytes]]:
        self._file.seek(0)
        for line in self._file:
            known, _, text = line[:-1].partition(b'\t')
            yield int(known) if known else None, text

    def exact(self) -> Iterator[int]:
        """The costs that are known."""
        return (known for known, _ in self._rows() if known is not None)

    def texts(self) -> Iterator[str]:
        number = 0
        for known, line in self._rows():
            text = line.decode()
            if known is not None and self.rounded is not None:
                how, digits = self.rounded
                cost = tariffs.amount_text(how.line(number, known), digits)
                number += 1
                # Quotes in names are escaped: there is one such place.
                text = text.replace(_PLACE, f'"cost":"{cost}"', 1)
            yield text


def blocks_of(texts: Iterable[str]) -> Iterator[tuple[int, bytes]]:
    """Lines' texts as they are stored: (number of the first, content)."""
    first, some = 0, []
    for text in texts:
        some.append(text)
        if len(some) == content.BLOCK:
            yield first, content.block(some)
            first, some = first + len(some), []
    if some:
        yield first, content.block(some)


def everybody(database: engine.Database, period: periods.Period,
              as_of_ns: int) -> list[str]:
    """The projects to close: what belongs to none ('') is one of them.

    Whoever has energy in the period, and whoever has a statement of it: its
    energy may have been claimed by somebody else.
    """
    def read(connection: sa.Connection) -> list[str]:
        engine.snapshot(connection)
        return sorted({
            '', *reading.projects(connection, period, as_of_ns),
            *store.known(connection, period.name, period.time_zone)})
    return database.read_current(read)
