# SPDX-License-Identifier: Apache-2.0
"""The facts that travel: readings, ticks, shares, windows.

Plain frozen values, their form on the wire and the bound on counters that
both ends keep; no arithmetic beyond that and sums, and no I/O.
Energy is in integer microjoules, time in integer nanoseconds:
``boottime_ns`` is CLOCK_BOOTTIME, ``wall_ns`` is since 1970 UTC.

None means "not measured" and is never the same as 0.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from energy_accounting import errors, units

WIRE_MAJOR = 1
WIRE_MINOR = 0
"""The version of a record's form on the wire.

A higher minor one only adds fields; ``needs`` in a record is the lowest
minor version whose fields must be understood to book it rightly.  Fields
beyond that may be passed over.  A higher major one is another form.
"""

INSTANCE = 'instance'
SERVICE = 'service'
UNALLOCATED = 'unallocated'
KINDS = (INSTANCE, SERVICE, UNALLOCATED)

PACKAGE = 'package'
MEMORY = 'memory'

# What became of a record, in the collector's answer.
BOOKED = 'booked'
DUPLICATE = 'duplicate'
QUARANTINED = 'quarantined'
OUT_OF_ORDER = 'out_of_order'
RESULTS = (BOOKED, DUPLICATE, QUARANTINED, OUT_OF_ORDER)

# A package can exceed its limits for a moment, and RAPL updates in steps.
_MARGIN_PERCENT = 125
_SLACK_UJ = 10 * units.UJ_PER_J
MEMORY_POWER_UW = 300 * units.UJ_PER_J
"""The most one memory zone draws: 24 modules of 12.5 W, more than any socket
holds today."""


def most_uj(power_uw: int, duration_ns: int) -> int:
    """The most energy that what draws this power shows in a time."""
    return (power_uw * duration_ns * _MARGIN_PERCENT
            // (100 * units.NS_PER_S) + _SLACK_UJ)


# --- what is read -----------------------------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class ZoneReading:
    """One counter at one moment.

    :ivar zone: name within the host, e.g. ``package-0``, ``dram-1``.
    :ivar component: ``package`` or ``memory``: which part it feeds.
    :ivar counter_uj: None when it could not be read this time.
    :ivar range_uj: the value it wraps at (``max_energy_range_uj``);
        0 when the kernel names none.
    """

    zone: str
    component: str
    counter_uj: int | None
    range_uj: int


@dataclasses.dataclass(frozen=True, slots=True)
class GuestReading:
    """A guest at one moment.

    :ivar incarnation: names this life of the guest (``PID-STARTTIME``); a
        restarted guest or a reused PID has another one.
    :ivar started_ns: boottime of the process start; None when unknown.
    :ivar cpu_ns: CPU time of all its threads; None when unreadable now.
    :ivar parent: the cgroup that also holds the time of its ended siblings
        (a key of :attr:`HostReading.parents_cpu_ns`), or None.
    :ivar service: the service cgroup it runs inside (a key of
        :attr:`HostReading.services_cpu_ns`), or None.
    :ivar ended_ns: boottime of its end; set in
        :attr:`HostReading.ended` only.
    """

    instance_id: str
    incarnation: str
    started_ns: int | None
    cpu_ns: int | None
    vcpus: int
    memory_mib: int
    project_id: str | None = None
    flavor: str | None = None
    user_id: str | None = None
    parent: str | None = None
    service: str | None = None
    ended_ns: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class HostReading:
    """One joint reading of a host: all zones and all guests.

    :ivar busy_ns: non-idle time of all CPUs since boot (iowait and steal
        are idle; ``guest`` is inside ``user``).
    :ivar cpus: online hardware threads.
    :ivar ended: last readings of guests that ended since the reading
        before, as lifecycle events gave them.
    :ivar parents_cpu_ns: CPU time since its creation of each cgroup that
        is the parent of guests.
    :ivar services_cpu_ns: the same of each service cgroup, guests inside
        included.
    """

    wall_ns: int
    boottime_ns: int
    boot_id: str
    zones: tuple[ZoneReading, ...]
    busy_ns: int
    cpus: int
    memory_mib: int
    guests: tuple[GuestReading, ...] = ()
    ended: tuple[GuestReading, ...] = ()
    parents_cpu_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    services_cpu_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)


# --- what follows from two readings -----------------------------------------

@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Energy that nobody can know: a zone (None: the host), when and why."""

    zone: str | None
    start_ns: int
    end_ns: int
    reason: str


class GuestUse(NamedTuple):
    """What one guest used and held in a tick.

    :ivar vcpu_ns: vCPUs times its lifetime within the tick.
    :ivar memory_mib_ns: MiB times its lifetime within the tick.
    """

    instance_id: str
    project_id: str | None
    flavor: str | None
    user_id: str | None
    cpu_ns: int
    vcpu_ns: int
    memory_mib_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """The difference between two joint readings.

    :ivar start_ns, end_ns: wall clock; their difference need not be the
        duration (the clock may have been set).
    :ivar zones_uj: energy of each zone of the basis.
    :ivar memory_uj: None when the host measures no memory.
    :ivar host_cpu_ns: the host system's own CPU time.
    :ivar lost_cpu_ns: CPU time nobody can be named for, by the reason it
        is ``unallocated`` for (``ended``, ``unreadable``).
    :ivar lost_vcpu_ns, lost_memory_mib_ns: the same of reservations, so
        that nobody gains by them where the host is overcommitted.
    :ivar backfilled: longer than two ticks: booked from the counters.
    """

    boottime_start_ns: int
    boottime_end_ns: int
    start_ns: int
    end_ns: int
    zones_uj: Mapping[str, int]
    package_uj: int
    memory_uj: int | None
    cpus: int
    memory_mib: int
    guests: tuple[GuestUse, ...]
    services_cpu_ns: Mapping[str, int]
    host_cpu_ns: int
    lost_cpu_ns: Mapping[str, int]
    backfilled: bool = False
    lost_vcpu_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    lost_memory_mib_ns: Mapping[str, int] = dataclasses.field(
        default_factory=dict)

    @property
    def duration_ns(self) -> int:
        return self.boottime_end_ns - self.boottime_start_ns

    @property
    def busy_ns(self) -> int:
        """CPU time of the host: guests, services, itself, unknown."""
        return (sum(guest.cpu_ns for guest in self.guests)
                + sum(self.services_cpu_ns.values()) + self.host_cpu_ns
                + sum(self.lost_cpu_ns.values()))


class Account(NamedTuple):
    """Who owns a share.

    An instance account is a version (instance, project, flavor, user); a
    service account has a ``name``; an unallocated one has its reason there.
    """

    kind: str
    instance_id: str | None = None
    project_id: str | None = None
    flavor: str | None = None
    user_id: str | None = None
    name: str | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """A key to sort accounts by (None sorts as an empty text)."""
        return tuple(field or '' for field in self)


class Share(NamedTuple):
    """What one account got: the terms and the keys they follow from.

    ``memory_uj`` is None when the host measures no memory.
    """

    account: Account
    active_uj: int
    idle_uj: int
    memory_uj: int | None
    host_uj: int
    cpu_ns: int
    vcpu_ns: int
    memory_mib_ns: int

    @property
    def energy_uj(self) -> int:
        return (self.active_uj + self.idle_uj + (self.memory_uj or 0)
                + self.host_uj)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What of a window fell into one bucket.

    :ivar measured_ns: time the meters covered.
    :ivar capacity_ns: online threads times that time.
    :ivar idle_uj: the idle part of the package energy (all accounts).
    """

    bucket: int
    backfilled: bool
    measured_ns: int
    busy_ns: int
    capacity_ns: int
    idle_uj: int
    zones_uj: Mapping[str, int]
    shares: tuple[Share, ...]

    @property
    def measured_uj(self) -> int:
        return sum(self.zones_uj.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """What one host used between two wall-clock edges: what travels.

    :ivar sequence: 1, 2, 3 ... within the stream, without holes.
    :ivar start_ns, end_ns: wall clock.
    :ivar basis: the zones that are counted.
    :ivar idle_kind: ``configured``, ``measured`` or ``provisional``.
    :ivar idle_power_uw: None while provisional.
    :ivar window_seconds: how long the host's windows are when nothing
        cuts them short.
    :ivar max_power_uw: the most all packages of the host can draw
        together; None when the notifier does not say.
    :ivar alarm: what the notifier wants an operator to know; '' nothing.
    """

    host: str
    machine_id: str
    stream: str
    sequence: int
    start_ns: int
    end_ns: int
    boot_id: str
    boottime_start_ns: int
    boottime_end_ns: int
    policy: str
    basis: tuple[str, ...]
    idle_kind: str
    idle_power_uw: int | None
    cpus: int
    memory_mib: int
    parts: tuple[Part, ...]
    gaps: tuple[Gap, ...] = ()
    version: str = ''
    window_seconds: int = 60
    max_power_uw: int | None = None
    alarm: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """Stands for records of a stream that can never be read again.

    :ivar sequence: the first one.
    :ivar last: the last one, at least ``sequence``.
    """

    host: str
    machine_id: str
    stream: str
    sequence: int
    last: int


class Signed(NamedTuple):
    """A record as it is sent: its text and who vouches for it.

    :ivar payload: see :func:`payload`.
    :ivar key: Ed25519 public key, base64 of its 32 bytes.
    :ivar signature: of the payload's UTF-8, base64 of its 64 bytes.
    """

    payload: str
    key: str
    signature: str


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


# --- the wire ---------------------------------------------------------------

_PLAIN = tuple(field.name for field in dataclasses.fields(Window)
               if field.name not in ('parts', 'gaps'))
_VERSION = {'v': WIRE_MAJOR, 'minor': WIRE_MINOR, 'needs': 0}
_PART_PLAIN = tuple(field.name for field in dataclasses.fields(Part)
                    if field.name != 'shares')
# A share is a row: its account's fields, then its own.
_SHARE_WIDTH = len(Account._fields) + len(Share._fields) - 1


def to_json(value: Any) -> str:
    """Compact JSON with sorted keys: the same value, the same text."""
    return json.dumps(value, sort_keys=True, separators=(',', ':'),
                      ensure_ascii=False, allow_nan=False)


def payload(record: Window | Lost) -> str:
    """The text of a record: what is spooled, sent, digested."""
    if isinstance(record, Lost):
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
        body = json.loads(text, parse_float=_no_float,
                          parse_constant=_no_float, object_pairs_hook=_once)
        _version(dict(body))
    except errors.NewerRecord:
        pass
    except (errors.InvalidRecord, ValueError, TypeError, KeyError,
            RecursionError):
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
    width = len(Account._fields)
    user = Account._fields.index('user_id')
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


def from_payload(text: str) -> Window | Lost:
    """The record that :func:`payload` wrote.

    Only the form is checked here; whether it adds up is the collector's
    question.

    :raises errors.InvalidRecord: for anything that is not such a text.
    """
    try:
        body = json.loads(text, parse_float=_no_float,
                          parse_constant=_no_float, object_pairs_hook=_once)
        newer = _version(body)
        kind = body.pop('kind')
        if kind == 'lost':
            return _checked_lost(Lost(**_known(Lost, body, newer)))
        if kind != 'window':
            raise errors.InvalidRecord(f'no record is of kind {kind!r}')
        parts = tuple(_part(part, newer)
                      for part in _list(body.pop('parts'), 'parts'))
        gaps = tuple(_gap(gap, newer)
                     for gap in _list(body.pop('gaps'), 'gaps'))
        body['basis'] = tuple(_list(body['basis'], 'basis'))
        return _checked_window(Window(**_known(Window, body, newer),
                                      parts=parts, gaps=gaps))
    except errors.InvalidRecord:
        raise
    except (ValueError, TypeError, KeyError, AttributeError,
            RecursionError) as error:
        raise errors.InvalidRecord(f'not a window: {error}') from error


def _version(body: dict[str, Any]) -> bool:
    """Whether a record may have fields that are not known here.

    :raises errors.InvalidRecord: it cannot be understood here.
    """
    major = body.pop('v')
    minor, needs = body.pop('minor', 0), body.pop('needs', 0)
    if type(major) is not int or major != WIRE_MAJOR:
        raise errors.InvalidRecord(
            f'wire version {major!r} is not {WIRE_MAJOR}: upgrade the '
            'collector before the notifiers')
    _natural(minor, 'minor')
    _natural(needs, 'needs')
    if needs > WIRE_MINOR:
        raise errors.NewerRecord(
            f'it can only be understood from wire version {major}.{needs} '
            f'on, this is {WIRE_MAJOR}.{WIRE_MINOR}: upgrade the collector, '
            'then release it')
    return bool(minor > WIRE_MINOR)


def _known(fact: Any, body: dict[str, Any], newer: bool) -> dict[str, Any]:
    """The fields of a fact; those of a newer version are passed over."""
    if not newer:
        return body
    return {field.name: body[field.name]
            for field in dataclasses.fields(fact) if field.name in body}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object that says nothing twice: readers differ in which counts.
    """
    body = dict(pairs)
    if len(body) != len(pairs):
        raise errors.InvalidRecord('a field is there twice')
    return body


def _list(value: Any, name: str) -> list[Any]:
    # Python would also walk through a text or the keys of an object.
    if not isinstance(value, list):
        raise errors.InvalidRecord(f'{name} is not a list')
    return value


def _no_float(text: str) -> Any:
    raise errors.InvalidRecord(f'{text} is not an integer')


def _part(body: dict[str, Any], newer: bool) -> Part:
    shares = tuple(
        _share(_list(row, 'a share')[:_SHARE_WIDTH if newer else None])
        for row in _list(body.pop('shares'), 'shares'))
    for zone, energy_uj in body['zones_uj'].items():
        _natural(energy_uj, f'zones_uj[{zone}]')
    part = Part(**_known(Part, body, newer), shares=shares)
    for name in ('bucket', 'measured_ns', 'busy_ns', 'capacity_ns',
                 'idle_uj'):
        _natural(getattr(part, name), name)
    if not isinstance(part.backfilled, bool):
        raise errors.InvalidRecord('backfilled is not true or false')
    return part


def _share(row: list[Any]) -> Share:
    account, numbers = Account(*row[:6]), row[6:]
    if account.kind not in KINDS:
        raise errors.InvalidRecord(f'no account is of kind {account.kind!r}')
    for name in account[1:]:
        if name is not None and (not isinstance(name, str)
                                 or not 0 < len(name) <= 255):
            raise errors.InvalidRecord(
                f'account field {str(name)[:40]!r} is not a text of 1 to '
                '255 characters')
    if account.kind == INSTANCE and account.instance_id is None:
        raise errors.InvalidRecord('an instance account without instance')
    if account.kind != INSTANCE and account.name is None:
        raise errors.InvalidRecord(f'a {account.kind} account without name')
    share = Share(account, *numbers)
    for name, number in zip(Share._fields[1:], numbers, strict=True):
        if not (name == 'memory_uj' and number is None):
            _natural(number, name)
    return share


def _gap(body: dict[str, Any], newer: bool) -> Gap:
    gap = Gap(**_known(Gap, body, newer))
    if gap.zone is not None:
        _text(gap.zone, 'gap zone')
    _text(gap.reason, 'gap reason')
    _natural(gap.start_ns, 'gap start_ns')
    _natural(gap.end_ns, 'gap end_ns')
    return gap


def _checked_lost(lost: Lost) -> Lost:
    _checked_identity(lost)
    _natural(lost.last, 'last')
    if lost.last < lost.sequence:
        raise errors.InvalidRecord('last is before sequence')
    return lost


def _checked_identity(record: Window | Lost) -> None:
    for name in ('host', 'machine_id', 'stream'):
        _text(getattr(record, name), name)
    _natural(record.sequence, 'sequence')
    if record.sequence == 0:
        raise errors.InvalidRecord('sequence begins with 1')


def _checked_window(window: Window) -> Window:
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
    # bool is an int to Python; 2^63 is the end of SQL's BIGINT.
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise errors.InvalidRecord(f'{name} is not a whole number from 0')


def reading_to_wire(reading: HostReading) -> dict[str, Any]:
    """A joint reading as plain JSON values (for the closing baselines)."""
    body = dataclasses.asdict(reading)
    body['parents_cpu_ns'] = dict(reading.parents_cpu_ns)
    body['services_cpu_ns'] = dict(reading.services_cpu_ns)
    return body


def reading_from_wire(body: dict[str, Any]) -> HostReading:
    """What :func:`reading_to_wire` wrote.

    :raises errors.InvalidRecord: when it is anything else.
    """
    try:
        reading = HostReading(**{
            **body,
            'zones': tuple(_zone(zone)
                           for zone in _list(body['zones'], 'zones')),
            'guests': tuple(guest_from_wire(guest)
                            for guest in _list(body['guests'], 'guests')),
            'ended': tuple(guest_from_wire(guest)
                           for guest in _list(body['ended'], 'ended'))})
        for name in ('wall_ns', 'boottime_ns', 'busy_ns', 'cpus',
                     'memory_mib'):
            _natural(getattr(reading, name), name)
        _text(reading.boot_id, 'boot_id')
        for name in ('parents_cpu_ns', 'services_cpu_ns'):
            for key, cpu_ns in getattr(reading, name).items():
                _natural(cpu_ns, f'{name}[{key}]')
    except (TypeError, KeyError, AttributeError) as error:
        raise errors.InvalidRecord(f'not a reading: {error}') from error
    return reading


def _zone(body: dict[str, Any]) -> ZoneReading:
    zone = ZoneReading(**body)
    _text(zone.zone, 'zone')
    _text(zone.component, 'component')
    _natural(zone.range_uj, 'range_uj')
    if zone.counter_uj is not None:
        _natural(zone.counter_uj, 'counter_uj')
    return zone


def guest_from_wire(body: dict[str, Any]) -> GuestReading:
    """A guest of a reading.

    :raises errors.InvalidRecord: when it is anything else.
    """
    try:
        guest = GuestReading(**body)
    except TypeError as error:
        raise errors.InvalidRecord(f'not a guest: {error}') from error
    _text(guest.instance_id, 'instance_id')
    _text(guest.incarnation, 'incarnation')
    _natural(guest.vcpus, 'vcpus')
    _natural(guest.memory_mib, 'memory_mib')
    for name in ('started_ns', 'cpu_ns', 'ended_ns'):
        if getattr(guest, name) is not None:
            _natural(getattr(guest, name), name)
    for name in ('project_id', 'flavor', 'user_id', 'parent', 'service'):
        value = getattr(guest, name)
        # A cgroup's path may be longer than an identifier.
        if value is not None and not isinstance(value, str):
            raise errors.InvalidRecord(f'{name} is not a text')
    return guest
