# SPDX-License-Identifier: Apache-2.0
"""Where readings of meters are fetched: what a source is, and keeps it.

A source asks and understands; that what it found is recorded all or not at
all for each meter, and one meter's failure leaves the others alone, is
decided here.  Which meters are fetched when is the caller's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import sqlalchemy as sa

from energy_accounting import errors
from energy_accounting.facility import batches, meter_events, meters, readings
from energy_accounting.ledger import audit, engine


class Asked(NamedTuple):
    """A meter to be read, and the newest reading that counts."""

    meter: meters.Meter
    last: readings.Kept | None


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a source has to say of a meter.

    :ivar place: who was asked, for people.
    :ivar said: what was read, for people.
    :ivar failure: why nothing was; None: it was.
    :ivar event: what happened to the counter since its last reading.
    :ivar source_ref: what the meter's should be from now on, so that the
        same is read again; None: as it is.
    """

    asked: Asked
    place: str
    said: str = ''
    failure: str | None = None
    batch: tuple[batches.Given, ...] = ()
    event: meter_events.KeptEvent | None = None
    source_ref: str | None = None


class Source(Protocol):
    """What fetches the readings of meters that name it."""

    @property
    def name(self) -> str:
        """A meter's ``source``."""

    def read(self, asked: Sequence[Asked]) -> Iterator[Found]:
        """One answer for each meter, as they come; raises nothing."""


def asked(database: engine.Database, names: Sequence[str],
          called: Sequence[str] | None = None) -> dict[str, list[Asked]]:
    """The meters to be read by source, of those that have any.

    :param names: of sources.
    :param called: only these meters, by name or id.
    :raises errors.NotFound: there is none of a name.
    :raises errors.InvalidRequest: a named one is of no such source.
    """
    # What is read next is decided by the newest reading.
    return database.read_current(_asked, names, called)


def _asked(connection: sa.Connection, names: Sequence[str],
           called: Sequence[str] | None) -> dict[str, list[Asked]]:
    if called is None:
        chosen = [meter for name in names
                  for meter in meters.read(connection, source=name)]
    else:
        chosen = [meters.found(connection, one)
                  for one in dict.fromkeys(called)]
    found: dict[str, list[Asked]] = {}
    for meter in chosen:
        if meter.source not in names:
            raise errors.InvalidRequest(
                f'--meter: the source of meter {meter.name!r} is '
                f'{meter.source or "none"} and not {" or ".join(names)}')
        found.setdefault(str(meter.source), []).append(
            Asked(meter, readings.last(connection, meter.id)))
    return found


def keep(database: engine.Database, source: str, found: Found,
         by: audit.By) -> Found:
    """Record what was found of one meter, all or nothing.

    :returns: the same, or why it could not be.
    """
    if found.failure is not None or not found.batch:
        return found
    try:
        database.write(_keep, source, found, by)
    except errors.EnergyAccountingError as error:
        return dataclasses.replace(found, failure=str(error), batch=())
    return found


def _keep(connection: sa.Connection, source: str, found: Found,
          by: audit.By) -> None:
    name = found.asked.meter.name
    if found.source_ref is not None:
        meters.change(connection, by, name, {'source_ref': found.source_ref})
    if found.event is not None:
        meter_events.decide(connection, by, name, found.event)
    batches.add(connection, by, name, found.batch, source)


def fetch(database: engine.Database, source: Source,
          asked: Sequence[Asked], by: Callable[[], audit.By],
          ) -> Iterator[Found]:
    """Read meters and record what is found, each as it comes."""
    for found in source.read(asked):
        yield keep(database, source.name, found, by())
