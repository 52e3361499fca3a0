# SPDX-License-Identifier: Apache-2.0
"""The facts as texts: records and readings to JSON and back, versioned.

Only the form is checked here; whether a window adds up and may be believed
is the collector's question.  What the fields mean stands in ``samples``;
how texts travel, in ``rpc``; how they are signed, in ``signing``.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from energy_accounting import errors, samples

Fact = TypeVar('Fact')

MAJOR = 1
MINOR = 0
"""The version of a record's form on the wire.

A higher minor one only adds fields; ``needs`` in a record is the lowest
minor version whose fields must be understood to book it rightly.  Fields
beyond that may be passed over.  A higher major one is another form.
"""

_PLAIN = tuple(field.name for field in dataclasses.fields(samples.Window)
               if field.name not in ('parts', 'gaps'))
MAX_BYTES = 7 << 20
"""The longest text of a record; what is longer is kept from the ledger.

A share takes 230 bytes: ten thousand guests in three parts fit, as do three
hundred in a day that was caught up in one tick.  An SQL statement with all
quotes and backslashes doubled stays below MariaDB's default
``max_allowed_packet``, and a message below RabbitMQ's default
``max_message_size``: 16 MiB both.
"""
# Below that, with room for the rest of the message.
_MESSAGE_BYTES = 15 << 20

_VERSION = {'v': MAJOR, 'minor': MINOR, 'needs': 0}
_PART_PLAIN = tuple(field.name for field in dataclasses.fields(samples.Part)
                    if field.name != 'shares')
# Where SQL's BIGINT ends.
_END = 1 << 63
# A share is a row: its account's fields, then its own.
_SHARE_WIDTH = len(samples.Account._fields) + len(samples.Share._fields) - 1


def to_json(value: Any) -> str:
    """Compact JSON with sorted keys: the same value, the same text."""
    return json.dumps(value, sort_keys=True, separators=(',', ':'),
                      ensure_ascii=False, allow_nan=False)


def payload(record: samples.Window | samples.Lost) -> str:
    """The text of a record: what is spooled, sent, digested."""
    if isinstance(record, samples.Lost):
        return to_json({**_VERSION, 'kind': 'lost',
                        **dataclasses.asdict(record)})
    body: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    body['parts'] = [
        {**{name: getattr(part, name) for name in _PART_PLAIN},
         'zones_uj': dict(part.zones_uj),
         'shares': [[*share.account, *share[1:]] for share in part.shares]}
        for part in record.parts]
    body['gaps'] = [dataclasses.asdict(gap) for gap in record.gaps]
    return to_json({**_VERSION, 'kind': 'window', **body})


def size(text: str) -> int:
    """Bytes of a text where it is stored and sent."""
    return len(text.encode('utf-8', 'backslashreplace'))


def fits(text: str) -> bool:
    """Whether a record may be so long, also where a message quotes it.

    JSON in JSON: quotes, and letters that are not ASCII, take up to four
    times as many bytes there.
    """
    length = size(text)
    return length <= MAX_BYTES and (
        4 * length <= _MESSAGE_BYTES
        or len(json.dumps(json.dumps(text))) <= _MESSAGE_BYTES)


def digest(text: str) -> str:
    """SHA-256 of a payload, in hexadecimal."""
    # JSON can spell half a surrogate pair, so that a text may have one.
    return hashlib.sha256(
        text.encode('utf-8', 'surrogatepass')).hexdigest()


def without_users(text: str) -> str | None:
    """A record's text as it would be had nobody sent a user id.

    All else stays as it is, also what only a newer version knows.  Shares
    of one account that were told apart by their users are added up.

    :returns: the same text if it has none; None when it cannot be read, so
        that nobody knows where it may have one.
    """
    try:
        body = _parsed(text)
        _version(dict(body))
    except errors.NewerRecord:
        pass
    except errors.InvalidRecord:
        return None
    try:
        if not sum(_forget_users(part) for part in body.get('parts', ())):
            return text
        # What UTF-8 cannot write stays the escape that it was.
        return to_json(body).encode('utf-8', 'backslashreplace').decode()
    except (TypeError, KeyError, AttributeError, IndexError, ValueError,
            RecursionError):
        return None


def _forget_users(part: dict[str, Any]) -> bool:
    """Take the user ids off the shares of a part; whether it had any."""
    width = len(samples.Account._fields)
    user = samples.Account._fields.index('user_id')
    rows = part['shares']
    if all(row[user] is None for row in rows):
        return False
    merged: dict[str, list[Any]] = {}
    for row in rows:
        row[user] = None
        known = merged.setdefault(to_json(row[:width]), row)
        if known is not row:
            known[width:] = [
                mine + other if type(mine) is type(other) is int
                else other if mine is None else mine
                for mine, other in zip(known[width:], row[width:],
                                       strict=True)]
    part['shares'] = list(merged.values())
    return True


def from_payload(text: str) -> samples.Window | samples.Lost:
    """The record that :func:`payload` wrote.

    :raises errors.InvalidRecord: for anything that is not such a text; says
        of which field.
    """
    body = _parsed(text)
    newer = _version(body)
    kind = _taken(body, 'kind')
    if kind == 'lost':
        return _checked_lost(
            samples.Lost(**_known(samples.Lost, body, newer)))
    if kind != 'window':
        raise errors.InvalidRecord(f'no record is of kind {_said(kind)}')
    parts = _each('parts', _taken(body, 'parts'),
                  lambda part: _part(part, newer))
    gaps = _each('gaps', _taken(body, 'gaps'), lambda gap: _gap(gap, newer))
    basis = tuple(_list(_taken(body, 'basis'), 'basis'))
    return _checked_window(samples.Window(
        **_known(samples.Window, body, newer, {'parts', 'gaps', 'basis'}),
        parts=parts, gaps=gaps, basis=basis))


def _parsed(text: str) -> dict[str, Any]:
    """The object of a record's text.

    :raises errors.InvalidRecord: there is none.
    """
    try:
        body = json.loads(text, parse_float=_no_float,
                          parse_constant=_no_float, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise errors.InvalidRecord(
            f'it is not JSON at character {error.pos + 1}') from error
    except RecursionError as error:
        raise errors.InvalidRecord('it is nested too deep') from error
    except ValueError as error:
        # The only other that Python knows: of its own limit.
        raise errors.InvalidRecord(
            'a number of it has thousands of digits') from error
    return _object(body, 'it')


def _version(body: dict[str, Any]) -> bool:
    """Whether a record may have fields that are not known here.

    :raises errors.InvalidRecord: it cannot be understood here.
    """
    major = _taken(body, 'v')
    minor, needs = body.pop('minor', 0), body.pop('needs', 0)
    if type(major) is not int or major != MAJOR:
        raise errors.InvalidRecord(
            f'wire version {_said(major)} is not {MAJOR}: upgrade the '
            'collector before the notifiers')
    _natural(minor, 'minor')
    _natural(needs, 'needs')
    if needs > MINOR:
        raise errors.NewerRecord(
            f'it can only be understood from wire version {major}.{needs} '
            f'on, this is {MAJOR}.{MINOR}: upgrade the collector, '
            'then release it')
    return bool(minor > MINOR)


@functools.cache
def _names(fact: Any) -> tuple[frozenset[str], frozenset[str]]:
    """The fields of a fact, and those that must be there."""
    fields = dataclasses.fields(fact)
    return frozenset(field.name for field in fields), frozenset(
        field.name for field in fields
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING)


def _known(fact: Any, body: dict[str, Any], newer: bool = False,
           taken: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a fact; those of a newer version are passed over.

    :param taken: those that were taken out of it before.
    :raises errors.InvalidRecord: one is missing or not known.
    """
    every, wanted = _names(fact)
    missing = sorted(wanted.difference(body, taken))
    if missing:
        raise errors.InvalidRecord(f'{missing[0]} is missing')
    known = {name: value for name, value in body.items()
             if name in every and name not in taken}
    if not newer and len(known) != len(body):
        name = min(body.keys() - known.keys())
        raise errors.InvalidRecord(
            f'{_said(name)} is no field that version {MAJOR}.{MINOR} has')
    return known


def _taken(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        raise errors.InvalidRecord(f'{name} is missing')
    return body.pop(name)


def _said(value: Any) -> str:
    """What somebody else wrote, short enough to be shown."""
    try:
        text = to_json(value)
    except RecursionError:
        text = '[[[...'
    return text if len(text) <= 40 else f'{text[:40]}...'


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object that says nothing twice: readers differ in which counts.
    """
    body = dict(pairs)
    if len(body) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise errors.InvalidRecord(f'{_said(twice)} is there twice')
    return body


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.InvalidRecord(f'{name} is not an object')
    return value


def _list(value: Any, name: str) -> list[Any]:
    # Python would also walk through a text or the keys of an object.
    if not isinstance(value, list):
        raise errors.InvalidRecord(f'{name} is not a list')
    return value


def _each(name: str, values: Any, read: Callable[[Any], Fact],
          ) -> tuple[Fact, ...]:
    """The facts of a list; an error says which of them it is of."""
    found = []
    for place, value in enumerate(_list(values, name)):
        try:
            found.append(read(value))
        except errors.InvalidRecord as error:
            raise errors.InvalidRecord(f'{name}[{place}]: {error}') from error
    return tuple(found)


def _no_float(text: str) -> Any:
    raise errors.InvalidRecord(f'{text[:40]} is not an integer')


def _part(value: Any, newer: bool) -> samples.Part:
    body = _object(value, 'it')
    shares = _each('shares', _taken(body, 'shares'),
                   lambda row: _share(row, newer))
    part = samples.Part(
        **_known(samples.Part, body, newer, {'shares'}), shares=shares)
    for zone, energy_uj in _object(part.zones_uj, 'zones_uj').items():
        _natural(energy_uj, f'zones_uj[{zone[:40]}]')
    for name in ('bucket', 'measured_ns', 'busy_ns', 'capacity_ns',
                 'idle_uj'):
        _natural(getattr(part, name), name)
    if not isinstance(part.backfilled, bool):
        raise errors.InvalidRecord('backfilled is not true or false')
    return part


def _share(value: Any, newer: bool) -> samples.Share:
    row = _list(value, 'it')
    if len(row) < _SHARE_WIDTH or (not newer and len(row) > _SHARE_WIDTH):
        raise errors.InvalidRecord(
            f'it has {len(row)} fields, not {_SHARE_WIDTH}')
    account, numbers = samples.Account(*row[:6]), row[6:_SHARE_WIDTH]
    if account.kind not in samples.KINDS:
        raise errors.InvalidRecord(
            f'no account is of kind {_said(account.kind)}')
    # Shares are most of what is read: no call for each of their fields.
    for place, text in enumerate(account):
        if text is not None and (not isinstance(text, str)
                                 or not 0 < len(text) <= 255):
            _text(text, account._fields[place])
    if account.kind == samples.INSTANCE and account.instance_id is None:
        raise errors.InvalidRecord('an instance account without instance')
    if account.kind != samples.INSTANCE and account.name is None:
        raise errors.InvalidRecord(f'a {account.kind} account without name')
    share = samples.Share(account, *numbers)
    for place, number in enumerate(numbers, start=1):
        if type(number) is not int or not 0 <= number < _END:
            name = samples.Share._fields[place]
            if not (name == 'memory_uj' and number is None):
                _natural(number, name)
    return share


def _gap(value: Any, newer: bool) -> samples.Gap:
    gap = samples.Gap(**_known(samples.Gap, _object(value, 'it'), newer))
    if gap.zone is not None:
        _text(gap.zone, 'zone')
    _text(gap.reason, 'reason')
    _natural(gap.start_ns, 'start_ns')
    _natural(gap.end_ns, 'end_ns')
    return gap


def _checked_lost(lost: samples.Lost) -> samples.Lost:
    _checked_identity(lost)
    _natural(lost.last, 'last')
    if lost.last < lost.sequence:
        raise errors.InvalidRecord('last is before sequence')
    return lost


def _checked_identity(record: samples.Window | samples.Lost) -> None:
    for name in ('host', 'machine_id', 'stream'):
        _text(getattr(record, name), name)
    _natural(record.sequence, 'sequence')
    if record.sequence == 0:
        raise errors.InvalidRecord('sequence begins with 1')


def _checked_window(window: samples.Window) -> samples.Window:
    _checked_identity(window)
    for name in ('boot_id', 'policy', 'idle_kind'):
        _text(getattr(window, name), name)
    for zone in window.basis:
        _text(zone, 'basis')
    for name in ('start_ns', 'end_ns', 'boottime_start_ns',
                 'boottime_end_ns', 'cpus', 'memory_mib', 'window_seconds'):
        _natural(getattr(window, name), name)
    for name in ('idle_power_uw', 'max_power_uw'):
        if getattr(window, name) is not None:
            _natural(getattr(window, name), name)
    for name in ('version', 'alarm'):
        if not isinstance(getattr(window, name), str):
            raise errors.InvalidRecord(f'{name} is not a text')
    return window


def _text(value: Any, name: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise errors.InvalidRecord(
            f'{name} is not a text of 1 to 255 characters')


def _natural(value: Any, name: str) -> None:
    # bool is an int to Python.
    if type(value) is not int or not 0 <= value < _END:
        raise errors.InvalidRecord(f'{name} is not a whole number from 0')


# --- readings ---------------------------------------------------------------

def reading_to_wire(reading: samples.HostReading) -> dict[str, Any]:
    """A joint reading as plain JSON values (for the closing baselines)."""
    body = dataclasses.asdict(reading)
    body['parents_cpu_ns'] = dict(reading.parents_cpu_ns)
    body['services_cpu_ns'] = dict(reading.services_cpu_ns)
    return body


def reading_from_wire(value: Any) -> samples.HostReading:
    """What :func:`reading_to_wire` wrote.

    :raises errors.InvalidRecord: when it is anything else.
    """
    body = dict(_object(value, 'a reading'))
    lists: dict[str, Any] = {
        name: _each(name, _taken(body, name), read) for name, read in (
            ('zones', _zone), ('guests', guest_from_wire),
            ('ended', guest_from_wire))}
    reading = samples.HostReading(
        **_known(samples.HostReading, body, taken=lists), **lists)
    for name in ('wall_ns', 'boottime_ns', 'busy_ns', 'cpus', 'memory_mib'):
        _natural(getattr(reading, name), name)
    _text(reading.boot_id, 'boot_id')
    for name in ('parents_cpu_ns', 'services_cpu_ns'):
        times = _object(getattr(reading, name), name)
        for key, cpu_ns in times.items():
            _natural(cpu_ns, f'{name}[{key[:40]}]')
    return reading


def _zone(value: Any) -> samples.ZoneReading:
    zone = samples.ZoneReading(
        **_known(samples.ZoneReading, _object(value, 'it')))
    _text(zone.zone, 'zone')
    _text(zone.component, 'component')
    _natural(zone.range_uj, 'range_uj')
    if zone.counter_uj is not None:
        _natural(zone.counter_uj, 'counter_uj')
    return zone


def guest_from_wire(value: Any) -> samples.GuestReading:
    """A guest of a reading.

    :raises errors.InvalidRecord: when it is anything else.
    """
    guest = samples.GuestReading(
        **_known(samples.GuestReading, _object(value, 'it')))
    _text(guest.instance_id, 'instance_id')
    _text(guest.incarnation, 'incarnation')
    _natural(guest.vcpus, 'vcpus')
    _natural(guest.memory_mib, 'memory_mib')
    for name in ('started_ns', 'cpu_ns', 'ended_ns'):
        if getattr(guest, name) is not None:
            _natural(getattr(guest, name), name)
    for name in ('project_id', 'flavor', 'user_id', 'parent', 'service'):
        text = getattr(guest, name)
        # A cgroup's path may be longer than an identifier.
        if text is not None and not isinstance(text, str):
            raise errors.InvalidRecord(f'{name} is not a text')
    return guest


# --- keys -------------------------------------------------------------------

KEY_BYTES = 32
"""Of an Ed25519 public key (RFC 8032, section 5.1.5)."""


def key_bytes(text: str) -> bytes | None:
    """A public key of its text; None for anything else.

    Each key has one text only: what encodes the same bytes otherwise is
    refused too.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if (len(raw) == KEY_BYTES
                   and base64.b64encode(raw).decode() == text) else None
