# SPDX-License-Identifier: Apache-2.0
"""From the words of a query to what the ledger is asked.

Everything a schema cannot say: defaults that follow from the time of the
request, ranges, time zones, limits, markers.  Whether the caller may ask is
not decided here.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import decimal
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from energy_accounting import errors, units, wire
from energy_accounting.ledger import models, pages, queries

LONGEST = datetime.timedelta(days=3700)
"""A little more than the ten years that sums of projects are kept."""

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
# What a driver takes: SQLite's no more than its columns hold; others' also
# the sums of a large cloud, and no sum of ours is beyond this.
_BITS = {'sqlite': 63}
_MOST_BITS = 100
# Whatever the exponent: what needs more digits, or rounding, is refused.
_MICRO = decimal.Decimal('1e-6')
_EXACT = decimal.Context(prec=15, traps=[decimal.InvalidOperation,
                                         decimal.Inexact])


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Buckets [start, end) and the zone calendar edges are taken in."""

    start: int
    end: int
    where: datetime.tzinfo


def refuse(name: str, problem: str, remedy: str) -> NoReturn:
    """:raises errors.InvalidRequest: always."""
    raise errors.InvalidRequest(f'{name}: {problem}; {remedy}')


def time(given: Mapping[str, str], name: str) -> datetime.datetime | None:
    """An aware time, or None when it was not given."""
    if name not in given:
        return None
    text = given[name]
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        refuse(name, f'{text[:64]!r} is not an ISO 8601 time',
               'give one such as 2026-11-01T00:00:00Z (in a URL, + is '
               'written %2B)')
    if moment.tzinfo is None:
        refuse(name, f'{text[:64]!r} has no zone',
               'add Z or an offset such as +01:00 (in a URL, + is written '
               '%2B)')
    if not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        refuse(name, f'{text[:64]!r} is out of range',
               f'give a year from {_FIRST_YEAR} to {_LAST_YEAR - 1}')
    return moment


def _bucket(given: Mapping[str, str], name: str) -> int | None:
    moment = time(given, name)
    if moment is None:
        return None
    if units.wall_ns(moment) % units.BUCKET_NS:
        refuse(name, f'{given[name][:64]!r} is inside a quarter of an hour',
               'give minute 00, 15, 30 or 45 and no seconds')
    return units.bucket_of(units.wall_ns(moment))


def zone(given: Mapping[str, str]) -> datetime.tzinfo:
    """The time zone that was asked for, or UTC."""
    name = given.get('timezone', 'UTC')
    try:
        return units.zone(name)
    except ValueError:
        refuse('timezone', f'{name[:64]!r} is not in the IANA time zone '
               'database', 'give a name such as Europe/Berlin')


def buckets(given: Mapping[str, str], now: datetime.datetime) -> Range:
    """The range that was asked for; by default this month so far."""
    where = zone(given)
    end = _bucket(given, 'end')
    if end is None:
        end = units.bucket_of(units.wall_ns(now)) + 1
    start = _bucket(given, 'start')
    if start is None:
        month = units.period_start(units.bucket_start(end - 1), 'month',
                                   where)
        start = units.bucket_of(units.wall_ns(month))
    if start >= end:
        named = 'end' if 'end' in given else 'start'
        refuse(named, f'end ({units.iso(units.bucket_start(end))}) is not '
               f'after start ({units.iso(units.bucket_start(start))})',
               'give an end after the start')
    if (end - start) * units.BUCKET_SECONDS > LONGEST.total_seconds():
        refuse('start' if 'start' in given else 'end',
               f'the range is longer than {LONGEST.days} days',
               'ask for less at a time')
    return Range(start, end, where)


def limit(given: Mapping[str, str], maximum: int) -> int:
    """Rows of a page."""
    wanted = int(given.get('limit', maximum))
    if not 1 <= wanted <= maximum:
        refuse('limit', f'{wanted} is out of range',
               f'give a whole number from 1 to {maximum}')
    return wanted


def between(given: Mapping[str, str]) -> dict[str, int | None]:
    """``start`` and ``end`` of a list in ns; None where none is given.

    :raises errors.InvalidRequest: nothing can lie between them.
    """
    moments = {name: time(given, name) for name in ('start', 'end')}
    start, end = moments['start'], moments['end']
    if start is not None and end is not None and end <= start:
        refuse('end', f'end ({units.iso(end)}) is not after start '
               f'({units.iso(start)})', 'give an end after the start')
    return {f'{name}_ns': None if moment is None else units.wall_ns(moment)
            for name, moment in moments.items()}


def usage(given: Mapping[str, str], now: datetime.datetime, maximum: int,
          dialect: str) -> queries.UsageQuery:
    """What ``GET /v1/usage`` asks of the ledger.

    A page after the first has the range and ``as_of`` of the first, however
    late it is asked for: they are in the marker.
    """
    groups = given.get('group_by', 'project')
    group_by = () if groups == queries.NONE else tuple(groups.split(','))
    if len(set(group_by)) < len(group_by):
        refuse('group_by', 'a name is given twice', 'give each once')
    filters = {name: given[name] for name in queries.GROUPS if name in given}
    marker = None
    if 'marker' in given:
        marker = _opened(given, filters)
        given = {**given, **marker['range']}
    as_of = time(given, 'as_of') or now
    if as_of > now:
        refuse('as_of', f'{given["as_of"][:64]!r} is in the future',
               'give a time that has passed')
    asked = buckets(given, now)
    key, _, direction = given.get('sort', 'start').partition(':')
    query = queries.UsageQuery(
        start=asked.start, end=asked.end, where=asked.where,
        resolution=given.get('resolution', 'total'), group_by=group_by,
        filters=filters, as_of_ns=units.wall_ns(as_of),
        limit=limit(given, maximum), sort=key,
        descending=direction == 'desc')
    if marker is None:
        return query
    shape = pages.position_shape(query, dialect)
    after = marker['after']
    bits = _BITS.get(dialect, _MOST_BITS)
    if [type(value) for value in after] != shape or any(
            isinstance(value, int) and value.bit_length() > bits
            for value in after):
        _bad_marker()
    return dataclasses.replace(query, after=tuple(after))


# --- bodies -----------------------------------------------------------------

def said_of_host(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says of a host, in the ledger's own words and units."""
    given = {name: body[name] for name in ('state', 'site', 'region',
                                           'public_key') if name in body}
    for name in ('site', 'region'):
        if name in given:
            identifier(given, name)
    if 'region' in given and 'site' not in given:
        refuse('region', 'it is that of a site', 'give site, too')
    if 'public_key' in given:
        _public_key(given['public_key'])
    if 'max_power_w' in body:
        given['max_power_uw'] = _microwatts(body['max_power_w'])
    return given


def identifier(given: Mapping[str, Any], name: str) -> str:
    """A name as hosts may have it, so that records can meet it."""
    text = str(given[name])
    if text != text.strip() or not text.isprintable() or '/' in text:
        refuse(name, f'{text[:64]!r} has characters or outer blanks that '
               'no name can have', 'give at most 255 printable characters '
               'without /')
    if text in ('.', '..'):
        # A path that ends so leads elsewhere (RFC 3986, section 5.2.4).
        refuse(name, f'{text!r} could not be asked for by a URL',
               'give another name of at most 255 printable characters '
               'without /')
    return text


def _public_key(text: str) -> None:
    if wire.key_bytes(text) is None:
        refuse('public_key', f'{text[:64]!r} is not base64 of 32 bytes',
               'give the key that the notifier of the host logs')


def _microwatts(watts: str | int | decimal.Decimal | None) -> int | None:
    if watts is None:
        return None
    try:
        power = decimal.Decimal(watts).quantize(_MICRO, context=_EXACT)
    except ArithmeticError:
        power = decimal.Decimal(0)
    if power <= 0:
        refuse('max_power_w', f'{str(watts)[:64]!r} is out of range',
               'give watts above 0, with at most nine digits before and six '
               'behind the point')
    return int(power.scaleb(6))


def downtime(body: Mapping[str, str], now: datetime.datetime,
             ) -> tuple[int, int, str]:
    """Start and end (ns) of a downtime, and its reason."""
    start, end = time(body, 'start'), time(body, 'end')
    if start is None or end is None or end <= start:
        refuse('end', 'it is not after start', 'give an end after the start')
    if end <= now:
        refuse('end', f'{body["end"][:64]!r} has passed',
               'plan what is to come: what was not measured stays so')
    current = units.bucket_start(units.bucket_of(units.wall_ns(now)))
    if start < current:
        refuse('start', f'{body["start"][:64]!r} has passed',
               f'give {units.iso(current)} or a later time: what was not '
               'measured before stays so')
    if end - start > LONGEST:
        refuse('end', f'the downtime is longer than {LONGEST.days} days',
               'retire the host')
    return (units.wall_ns(start), units.wall_ns(end),
            str(body['reason']).strip() or refuse(
                'reason', 'it is blank', 'say what is done meanwhile'))


def decision(body: Mapping[str, Any]) -> tuple[str, str | None]:
    """What becomes of a record in quarantine, and why."""
    said = body['quarantine']
    reason = said.get('reason')
    if reason is not None and not reason.strip():
        refuse('quarantine.reason', 'it is blank', 'say why')
    if reason is None and said['state'] == models.DISCARDED:
        refuse('quarantine.reason', 'must be given to discard a record',
               'say why it is not to be believed')
    return said['state'], reason


def number_of(text: str, nothing: str) -> int:
    """The number that a path calls an item by.

    :param nothing: what there is none of, for example ``downtime``.
    :raises errors.NotFound: no item can be called so.
    """
    if not text.isascii() or not text.isdigit() or len(text) >= 19:
        raise errors.NotFound(f'there is no {nothing} {text[:64]!r}: give '
                              'the whole number that the list has as id')
    return int(text)


# --- markers ----------------------------------------------------------------

def usage_marker(given: Mapping[str, str], query: queries.UsageQuery,
                 after: Sequence[int | str]) -> str:
    """An opaque text from which :func:`usage` continues behind a row."""
    return _sealed({
        'of': _fingerprint(given, query.filters),
        'range': {
            'start': units.iso(units.bucket_start(query.start)),
            'end': units.iso(units.bucket_start(query.end)),
            'as_of': units.iso(units.moment(query.as_of_ns))},
        'after': list(after)})


def name_marker(name: str) -> str:
    """An opaque text for a list that is ordered by name."""
    return _sealed({'name': name})


def after_name(given: Mapping[str, str]) -> str | None:
    """The name behind which a list continues."""
    if 'marker' not in given:
        return None
    name = _unsealed(given['marker']).get('name')
    if not isinstance(name, str):
        _bad_marker()
    return name


def number_marker(number: int) -> str:
    """An opaque text for a list that is ordered by number."""
    return _sealed({'number': number})


def marked_number(given: Mapping[str, str]) -> int | None:
    """The number behind which a list by number continues."""
    if 'marker' not in given:
        return None
    return _number(_unsealed(given['marker']), 'number')


def place_marker(earlier: int, later: int) -> str:
    """An opaque text for a list that is made of two."""
    return _sealed({'earlier': earlier, 'later': later})


def marked_place(given: Mapping[str, str]) -> tuple[int, int]:
    """How much of the two a list goes on behind."""
    if 'marker' not in given:
        return 0, 0
    found = _unsealed(given['marker'])
    return _number(found, 'earlier'), _number(found, 'later')


def moment_marker(wall_ns: int, number: int) -> str:
    """An opaque text for a list that is ordered by moment and number."""
    return _sealed({'wall_ns': wall_ns, 'number': number})


def marked_moment(given: Mapping[str, str]) -> tuple[int, int] | None:
    """Moment and number behind which a list by both continues."""
    if 'marker' not in given:
        return None
    body = _unsealed(given['marker'])
    return _number(body, 'wall_ns'), _number(body, 'number')


def _number(body: Mapping[str, Any], name: str) -> int:
    number = body.get(name)
    if type(number) is not int or not 0 < number < 1 << 63:
        _bad_marker()
    return number


def _opened(given: Mapping[str, str], filters: Mapping[str, str],
            ) -> dict[str, Any]:
    body = _unsealed(given['marker'])
    held, after = body.get('range'), body.get('after')
    if (body.get('of') != _fingerprint(given, filters)
            or not isinstance(held, dict) or not isinstance(after, list)
            or set(held) != {'start', 'end', 'as_of'}
            or not all(isinstance(value, str) for value in held.values())):
        _bad_marker()
    return body


def _fingerprint(given: Mapping[str, str], filters: Mapping[str, str],
                 ) -> str:
    """Tells whether a marker belongs to a query."""
    words = {name: given.get(name) for name in (
        'start', 'end', 'as_of', 'timezone', 'resolution', 'group_by',
        'sort', 'all_projects')}
    text = json.dumps([words, dict(filters)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sealed(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, separators=(',', ':'))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')


def _unsealed(marker: str) -> dict[str, Any]:
    try:
        body = json.loads(base64.b64decode(
            marker + '=' * (-len(marker) % 4), altchars=b'-_',
            validate=True))
    except (binascii.Error, ValueError, RecursionError):
        _bad_marker()
    if not isinstance(body, dict):
        _bad_marker()
    return body


def _bad_marker() -> NoReturn:
    refuse('marker', 'it is not one that an answer to this query gave',
           'take it from the next link, and leave the rest of the query as '
           'it was')
