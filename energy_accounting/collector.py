# SPDX-License-Identifier: Apache-2.0
"""Takes windows from notifiers: reads each record and has it booked.

Whether a window adds up and can be true is asked of ``ledger.judgement``;
whose turn it is stands in ``ledger.writes``; how records travel stands in
``rpc``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from energy_accounting import errors, samples, signing, wire
from energy_accounting.ledger import (
    accounts,
    engine,
    judgement,
    received,
    writes,
)

LOG = logging.getLogger(__name__)




class OwnerSource(Protocol):
    """Who owns an instance whose record does not say so."""

    def owner_of(self, instance_id: str) -> accounts.Owner | None: ...


class NoOwners:
    """Where there is no Nova to ask."""

    def owner_of(self, instance_id: str) -> accounts.Owner | None:
        return None


class Collector:
    """The endpoint that books.  Safe to use from several threads.

    :param owners: None: nobody can be asked.
    :param clock_ns: the wall clock, nanoseconds since 1970.
    :param enrolment: ``first_use`` or ``manual``.
    :param user_ids: whether user ids of records are kept.
    """

    def __init__(self, database: engine.Database,
                 owners: OwnerSource | None,
                 clock_ns: Callable[[], int],
                 enrolment: str = writes.FIRST_USE, *,
                 user_ids: bool = False) -> None:
        self._database = database
        self._owners = owners or NoOwners()
        self._clock_ns = clock_ns
        self._enrolment = enrolment
        self._user_ids = user_ids
        self._silent = False

    def book(self, ctxt: Mapping[str, Any],
             records: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Book consecutive records of one stream in one transaction.

        :param records: as :class:`samples.Signed`, or as a list of the
            same texts.
        :returns: ``results`` (a word for each record), ``expects`` (the
            number the stream is to go on with) and ``detail`` (reasons).
        :raises errors.Unavailable: the database is away, or a record is of
            a newer version: nothing is acknowledged, send it again later.
        :raises errors.InvalidRecord: no record names a host, a stream and
            a number: there is no position to step on with.
        """
        received_ns = self._clock_ns()
        found = read(records, received_ns)
        if not self._user_ids:
            found = [_without_users(record) for record in found]
        try:
            booked = self._write(found, received_ns)
        except errors.InvalidRecord:
            booked = self._write_one_by_one(found, received_ns)
        for alarm in booked.alarms:
            LOG.error('%s', alarm)
        for detail in booked.detail:
            LOG.warning('%s', detail)
        return {'results': booked.results, 'expects': booked.expects,
                'detail': booked.detail}

    def _write(self, records: Sequence[received.Record],
               received_ns: int) -> writes.Booked:
        try:
            booked = self._database.write(
                writes.book, records, received_ns,
                enrolment=self._enrolment, owner_of=self._owners.owner_of)
        except errors.Unavailable as error:
            if not self._silent:
                LOG.error('nothing can be booked for now: %s', error)
            self._silent = True
            # Hypervisors are not told where the database is and who asks.
            raise errors.Unavailable(
                'the ledger cannot be written now; the log of the collector '
                'says why') from None
        if self._silent:
            LOG.info('windows are booked again')
        self._silent = False
        return booked

    def _write_one_by_one(self, records: Sequence[received.Record],
                          received_ns: int) -> writes.Booked:
        """Find the record that the database itself refuses."""
        whole = writes.Booked([], 0, [], [])
        for record in records:
            try:
                one = self._write([record], received_ns)
            except errors.InvalidRecord as error:
                LOG.warning('record %d of stream %s is refused: %s',
                            record.sequence, record.stream, error)
                problem = received.Problem(
                    received.REFUSED, 'the database does not take one of its '
                    'values; the log of the collector says which')
                one = self._write([record._replace(problem=problem)],
                                  received_ns)
            whole = writes.Booked(
                whole.results + one.results, one.expects,
                whole.detail + one.detail, whole.alarms + one.alarms)
        return whole


# --- reading ----------------------------------------------------------------

def read(sent: Sequence[Sequence[str]],
         received_ns: int) -> list[received.Record]:
    """The records of a call, each with its problem if it has one.

    A text that is not even a record but stands beside readable ones has
    the number its place gives it.

    :raises errors.Unavailable: a record of a version not known yet.
    :raises errors.InvalidRecord: none says where it belongs.
    """
    if not isinstance(sent, (list, tuple)):
        raise errors.InvalidRecord('a call brings a list of records')
    found = [_read(one, received_ns) for one in sent]
    named = next(((place, record) for place, record in enumerate(found)
                  if isinstance(record, received.Record)), None)
    if named is None:
        raise errors.InvalidRecord(
            'no record of the call names its host, stream and sequence: '
            + '; '.join(record.problem for record in found[:3]
                        if isinstance(record, _Unreadable)))
    place, neighbour = named
    following = neighbour.sequence - place
    records: list[received.Record] = []
    for record in found:
        if isinstance(record, _Unreadable):
            number = max(following, 1)
            record = received.Record(
                record.text, wire.digest(record.text), record.key,
                record.signature, neighbour.host, neighbour.machine_id,
                neighbour.stream, number, number, None,
                judgement.too_large(record.text)
                or received.Problem(received.SCHEMA, record.problem))
        records.append(record)
        following = record.last + 1
    return records


def _without_users(record: received.Record) -> received.Record:
    """The record as it would be had nobody sent a user id.

    Its text too, which may be held: the key that signed it is known by now,
    and its signature is of the text as it came.  What cannot be read stays
    as it is until it is purged.
    """
    if record.window is not None and not any(
            share.account.user_id for part in record.window.parts
            for share in part.shares):
        return record
    text = wire.without_users(record.text)
    if text is None or text == record.text:
        return record
    if record.window is None:
        return record._replace(text=text)
    try:
        window = wire.from_payload(text)
    except errors.InvalidRecord as error:
        # Shares that differ by their users only add up to what no field
        # can hold.
        return record._replace(text=text, window=None, problem=(
            record.problem or received.Problem(received.SCHEMA, str(error))))
    assert isinstance(window, samples.Window)   # noqa: S101
    return record._replace(text=text, window=window)


class _Unreadable(NamedTuple):
    """A text that does not say where it belongs."""

    text: str
    key: str
    signature: str
    problem: str


def _read(sent: Any, received_ns: int) -> received.Record | _Unreadable:
    if not (isinstance(sent, (list, tuple)) and len(sent) == 3
            and all(isinstance(text, str) for text in sent)):
        return _Unreadable(repr(sent), '', '', 'a record is not a list of '
                           'three texts: payload, key, signature')
    signed = samples.Signed(*sent)
    text, key = signed.payload, signing.vouched(signed)
    try:
        record = wire.from_payload(text)
    except errors.InvalidRecord as error:
        return _identified(signed, key, error)
    problem = (judgement.no_host(record.host)
               or judgement.unclean(record.stream, record.machine_id))
    if problem is not None:
        return _Unreadable(text, key, signed.signature, problem)
    window = record if isinstance(record, samples.Window) else None
    last = (record.last if isinstance(record, samples.Lost)
            else record.sequence)
    return received.Record(
        text, wire.digest(text), key, signed.signature, record.host,
        record.machine_id, record.stream, record.sequence, last, window,
        judgement.too_large(text) or (
            None if window is None
            else judgement.problem_of(window, received_ns)))


def _identified(signed: samples.Signed, key: str,
                error: errors.InvalidRecord,
                ) -> received.Record | _Unreadable:
    """What can still be known of a malformed record."""
    text, problem = signed.payload, str(error)
    unreadable = _Unreadable(text, key, signed.signature, problem)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return unreadable
    if not isinstance(body, dict):
        return unreadable
    version = body.get('v')
    if type(version) is int and version > wire.MAJOR:
        raise errors.Unavailable(problem)
    host, stream = body.get('host'), body.get('stream')
    machine_id = body.get('machine_id')
    number = body.get('sequence')
    if not (_is_name(host) and judgement.no_host(str(host)) is None
            and _is_name(stream)
            and type(number) is int and 0 < number < 1 << 63):
        return unreadable
    return received.Record(
        text, wire.digest(text), key, signed.signature, str(host),
        str(machine_id) if _is_name(machine_id) else '', str(stream),
        number, number, None, judgement.too_large(text) or received.Problem(
            received.NEWER if isinstance(error, errors.NewerRecord)
            else received.SCHEMA, problem))


def _is_name(value: Any) -> bool:
    return (isinstance(value, str) and 0 < len(value) <= 255
            and judgement.unclean(value) is None)
