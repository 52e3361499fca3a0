# SPDX-License-Identifier: Apache-2.0
"""Whether a window may be believed: does it add up, can it be true.

Pure.  The collector judges what arrives, and whoever releases a record from
quarantine has it judged again by the same words.  Whose turn a record is,
whose key signed it and what it overlaps is not asked here.
"""

from __future__ import annotations

import collections

from energy_accounting import samples, units, wire
from energy_accounting.ledger import received

AHEAD_NS = 300 * units.NS_PER_S
"""A window may end so long after it arrives.

Clocks that are kept by NTP differ by milliseconds; Kerberos and so many
that follow it call five minutes too much.  It is a third of a bucket: what
is booked is at most in the bucket after its own.
"""
# A tick at a window's edge may be late by as much as a tick is long.
EDGE_NS = 60 * units.NS_PER_S
# More than a megawatt over a quarter of an hour, or a thousand threads:
# nothing real, and sums of less can never leave a BIGINT.
MAX_ENERGY_UJ = 10 ** 15
MAX_CPU_NS = 10 ** 16
# The CPU time of guests is not read in the same instant as the clock.
_BUSY_MARGIN_PERCENT = 125
_BUSY_SLACK_NS = units.NS_PER_S


def problem_of(window: samples.Window,
               received_ns: int) -> received.Problem | None:
    """Why a window cannot be booked whatever is known of its host."""
    latest_ns = max(window.end_ns, *(gap.end_ns for gap in window.gaps), 0)
    if latest_ns > received_ns + AHEAD_NS:
        return received.Problem(received.FUTURE, (
            f'it knows of {when(latest_ns)}, more than '
            f'{AHEAD_NS // units.NS_PER_S} s after {when(received_ns)}, the '
            'time here: set the clock of the host'))
    strange = _strange(window, received_ns)
    if strange is not None:
        return received.Problem(received.SCHEMA, strange)
    for part in window.parts:
        problem = _problem_of_part(window, part)
        if problem is not None:
            return problem
    return None


def too_large(text: str) -> received.Problem | None:
    """Why a record cannot even be asked of the database."""
    size = wire.size(text)
    if size <= wire.MAX_BYTES:
        return None
    return received.Problem(received.TOO_LARGE, (
        f'its text is of {size} bytes, a record is of {wire.MAX_BYTES} at '
        'most'))


def implausible(window: samples.Window,
                max_power_uw: int | None) -> received.Problem | None:
    """What a window says that hardly can be; an operator may know better.

    :param max_power_uw: what all packages of the host can draw together, as
        an operator says; None: as the window says, if it does.
    """
    said = 'an operator says' if max_power_uw else 'its notifier says'
    text = _times(window)
    for part in window.parts:
        text = (text or _busy(window, part) or _power(
            part, max_power_uw or window.max_power_uw, said))
    return None if text is None else received.Problem(
        received.IMPLAUSIBLE, text)


def unclean(*texts: str) -> str | None:
    """What no identifier has: control characters, blanks at its ends.

    Databases disagree about trailing blanks, NUL and lone surrogates.
    """
    for text in texts:
        if not text.isprintable() or text != text.strip():
            return (f'{text[:40]!r} has characters or outer blanks that no '
                    'name can have')
    return None


def no_host(name: str) -> str | None:
    """Why a text cannot name a host, or None.

    A host is a step of a path in the API.
    """
    if '/' in name or name in ('.', '..'):
        return f'{name[:40]!r} is no name of a host: it has a slash or is dots'
    return unclean(name)


def when(wall_ns: int) -> str:
    """A moment for people, whatever it is."""
    try:
        return units.iso(units.moment(wall_ns))
    except OverflowError:
        return f'{wall_ns} ns'


# --- what does not add up ---------------------------------------------------

def _strange(window: samples.Window, received_ns: int) -> str | None:
    """What no window says of itself."""
    if window.boottime_end_ns < window.boottime_start_ns:
        return 'its boottime runs backwards'
    if window.end_ns < window.start_ns or any(
            gap.end_ns < gap.start_ns for gap in window.gaps):
        return 'it, or a gap of it, ends before it starts'
    if window.boottime_end_ns > received_ns:
        return 'its machine would be up since before 1970'
    if not 0 < window.window_seconds <= units.BUCKET_SECONDS:
        return (f'its windows are of {window.window_seconds} s, not of 1 to '
                f'{units.BUCKET_SECONDS}')
    if window.boottime_end_ns == window.boottime_start_ns and any(
            part.measured_uj or part.measured_ns for part in window.parts):
        # It would overlap nothing, and could be booked any number of times.
        return 'it measured something in no time: its boottime stands still'
    if max(len(window.version), len(window.alarm)) > 255:
        return 'its version or alarm is longer than 255 characters'
    return unclean(
        window.boot_id, window.policy, window.idle_kind, *window.basis,
        *(gap.reason for gap in window.gaps),
        *(gap.zone for gap in window.gaps if gap.zone is not None),
        *(text for text in (window.version, window.alarm) if text))


def _problem_of_part(window: samples.Window,
                     part: samples.Part) -> received.Problem | None:
    name = f'part {part.bucket}'
    earliest_ns = min(window.start_ns, window.end_ns) - EDGE_NS
    latest_ns = max(window.start_ns, window.end_ns) + EDGE_NS
    if part.bucket > units.bucket_of(latest_ns) or (
            not part.backfilled
            and part.bucket < units.bucket_of(max(earliest_ns, 0))):
        return received.Problem(received.SCHEMA,
                                f'{name} is outside its window')
    strange = part.zones_uj.keys() - set(window.basis)
    if strange:
        return received.Problem(received.SUM, (
            f'{name} has energy of {sorted(strange)}, not in its basis'))
    booked_uj = sum(share.energy_uj for share in part.shares)
    if booked_uj != part.measured_uj:
        return received.Problem(received.SUM, (
            f'{name} does not add up: its zones measured '
            f'{part.measured_uj} uJ, its shares are {booked_uj} uJ'))
    if part.measured_uj > MAX_ENERGY_UJ or part.idle_uj > MAX_ENERGY_UJ:
        return received.Problem(
            received.IMPLAUSIBLE,
            f'{name} has more energy than any host can use')
    if (max(part.measured_ns, part.busy_ns, part.capacity_ns) > MAX_CPU_NS
            or any(share.cpu_ns > MAX_CPU_NS or share.vcpu_ns > MAX_CPU_NS
                   for share in part.shares)):
        return received.Problem(
            received.IMPLAUSIBLE,
            f'{name} has more CPU time than any host can have')
    named = {share.account for share in part.shares}
    if len(named) != len(part.shares):
        return received.Problem(received.SCHEMA,
                                f'{name} names an account twice')
    for account in named:
        dirty = unclean(*(text for text in account if text is not None))
        if dirty is not None:
            return received.Problem(received.SCHEMA, f'{name}: {dirty}')
    return None


# --- what hardly can be -----------------------------------------------------

def _times(window: samples.Window) -> str | None:
    """More time than there was; parts of a window never overlap."""
    span_ns = window.boottime_end_ns - window.boottime_start_ns
    measured_ns: dict[int, int] = collections.Counter()
    for part in window.parts:
        measured_ns[part.bucket] += part.measured_ns
    for bucket, time_ns in measured_ns.items():
        if time_ns > units.BUCKET_NS + EDGE_NS:
            return (f'part {bucket} measured {_seconds(time_ns)} s of a '
                    f'quarter of an hour: {_LOOK}')
    total_ns = sum(measured_ns.values())
    if total_ns > span_ns:
        return (f'it measured {_seconds(total_ns)} s in {_seconds(span_ns)} '
                f's of boottime: {_LOOK}')
    return None


def _power(part: samples.Part, max_power_uw: int | None,
           whose: str) -> str | None:
    """More energy than the machine can draw in the time it was measured.

    Packages and memory apart.  A counter that rose by too much in one tick
    is seen here only as far as it does not vanish in its window.
    """
    memory_uj = sum(share.memory_uj or 0 for share in part.shares)
    memories = sum(zone.startswith('dram') for zone in part.zones_uj)
    bounds = [('memory zones', memory_uj,
               max(1, memories) * samples.MEMORY_POWER_UW, 'a memory zone can '
               'draw', 'look at the memory counters of the host')]
    if max_power_uw:
        bounds.append((
            'packages', part.measured_uj - memory_uj, max_power_uw, whose,
            'look at the counters of the host; if it really draws that, say '
            'so (energy host set --max-power)'))
    for name, energy_uj, power_uw, said, remedy in bounds:
        if energy_uj > samples.most_uj(power_uw, part.measured_ns):
            return (f'the {name} of part {part.bucket} used '
                    f'{energy_uj} uJ in {_seconds(part.measured_ns)} s, more '
                    f'than {power_uw // units.UJ_PER_J} W, which is what '
                    f'{said}, and a margin: {remedy}')
    return None


def _busy(window: samples.Window, part: samples.Part) -> str | None:
    most_ns = (part.capacity_ns * _BUSY_MARGIN_PERCENT // 100
               + max(1, window.cpus) * _BUSY_SLACK_NS)
    if part.busy_ns <= most_ns:
        return None
    return (f'part {part.bucket} was busy for {_seconds(part.busy_ns)} CPU '
            f'seconds of {_seconds(part.capacity_ns)} there were: {_LOOK}')


_LOOK = ('no host can do that; look at the log of its notifier, and release '
         'or discard it')


def _seconds(time_ns: int) -> str:
    whole_s, rest_ns = divmod(time_ns, units.NS_PER_S)
    return f'{whole_s}.{rest_ns // 10**6:03}'
