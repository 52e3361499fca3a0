# SPDX-License-Identifier: Apache-2.0
"""The key figures of servers: ITEEsv and ITEUsv.  Pure.

Parts 4 and 5 of ISO/IEC 30134: what servers can do for their power, and
how busy they are.  Energy of a site does not belong here.
"""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Collection, Iterable, Sequence

from energy_accounting import errors, units
from energy_accounting.facility import figures
from energy_accounting.facility.figures import Figure, Scope, Term
from energy_accounting.facility.inputs import Missing

# Host CPU time is counted in ticks of the kernel and may lead its window.
_CPU_SLACK = fractions.Fraction(101, 100)


@dataclasses.dataclass(frozen=True)
class ServerModel:
    """What a benchmark says of a model of server.

    :ivar count: how many of it are installed.
    :ivar smpe: its maximum performance, in the benchmark's unit.
    :ivar smpo_w: its maximum power, in watts.
    :ivar benchmark: that unit, such as ``ssj_ops``.
    """

    model: str
    count: int
    smpe: int | fractions.Fraction
    smpo_w: int | fractions.Fraction
    benchmark: str


@dataclasses.dataclass(frozen=True)
class Models:
    """The server models of a site.

    :ivar unrated: those that no benchmark says anything of.
    """

    rated: tuple[ServerModel, ...]
    unrated: tuple[str, ...]


def iteesv(scope: Scope, models: Sequence[ServerModel],
           unrated: Collection[str] = ()) -> Figure:
    """IT equipment energy efficiency for servers: sum SMPE / sum SMPO (kW).

    :param unrated: models that are installed and not in the table.
    """
    for one in models:
        numbers = (one.count, one.smpe, one.smpo_w)
        if (any(not isinstance(number, int | fractions.Fraction)
                or isinstance(number, bool) for number in numbers)
                or min(numbers) < 0 or one.smpo_w == 0):
            raise errors.FigureRefused(
                f'ITEEsv: model {one.model}: count, SMPE and SMPO must be '
                'exact, not negative, and SMPO above 0: correct its row of '
                'the table')
    names = [one.model for one in models]
    if len(set(names)) < len(names) or set(names) & set(unrated):
        raise errors.FigureRefused(
            f'ITEEsv: a model has two rows in {", ".join(names)}: keep one')
    benchmarks = sorted({one.benchmark for one in models})
    if len(benchmarks) > 1:
        raise errors.FigureRefused(
            f'ITEEsv: SMPE is in {" and ".join(benchmarks)}: rate all '
            'models by one benchmark')
    missing = [Missing('server_models', f'{model} has no SMPE and SMPO')
               for model in sorted(unrated)]
    servers = sum(one.count for one in models)
    if not missing and servers == 0:
        missing = [Missing('server_models', 'no server is in the table')]
    unit = benchmarks[0] if benchmarks else 'performance'
    smpe = Term('smpe', sum((fractions.Fraction(one.count * one.smpe)
                             for one in models), fractions.Fraction(0)),
                unit)
    smpo = Term('smpo', fractions.Fraction(
        sum(one.count * one.smpo_w for one in models)) / 1000, 'kW')
    return figures.made(scope, 'ITEEsv',
                 None if missing else smpe.exact / smpo.exact, f'{unit}/kW',
                 smpe, smpo, missing=missing,
                 notes=[f'{servers} servers; accelerators and storage are '
                        'not counted'])


@dataclasses.dataclass(frozen=True)
class Utilisation:
    """How busy the CPUs of a server were: sums over its buckets.

    :ivar busy_ns, capacity_ns: CPU time, used and there was.
    :ivar measured_ns: the time it was measured.
    :ivar in_service_ns: the time it should have been.
    """

    server: str
    busy_ns: int
    capacity_ns: int
    measured_ns: int
    in_service_ns: int


def iteusv(scope: Scope, rows: Iterable[Utilisation],
           served: fractions.Fraction = fractions.Fraction(1)) -> Figure:
    """IT equipment utilisation for servers: mean CPU utilisation, in %.

    The standard's form is the mean over time of the mean over servers:
    a small server counts as much as a large one, which the busy share of
    all CPU time would not give.  Here each server's utilisation is
    weighted by the time it was measured.  That is the standard's number
    exactly where all servers are measured all the time; where some come
    or go, every server's every moment counts the same.

    Servers that work mostly by accelerators are out of the standard's
    scope: leave them out.

    :param served: the share of the period in which the site had a server.
    """
    parts = []
    measured_ns = in_service_ns = 0
    servers = set()
    for row in rows:
        _plausible(row)
        in_service_ns += row.in_service_ns
        if row.measured_ns == 0:
            continue
        servers.add(row.server)
        parts.append(fractions.Fraction(min(row.busy_ns, row.capacity_ns),
                                        row.capacity_ns) * row.measured_ns)
        measured_ns += row.measured_ns
    used = _sum(parts)
    missing = [] if measured_ns else [Missing(
        'busy_ns', 'no server of the site was measured in the period')]
    coverage = (fractions.Fraction(measured_ns, in_service_ns) * served
                if in_service_ns else None)
    if coverage is not None and not missing:
        figures.enough(scope, 'ITEUsv', 'busy_ns', coverage)
    hour_ns = 3600 * units.NS_PER_S
    busy = Term('busy', used / hour_ns, 'server hours')
    whole = Term('measured', fractions.Fraction(measured_ns, hour_ns),
                 'server hours')
    return figures.made(scope, 'ITEUsv',
                 None if missing else used / measured_ns * 100, '%',
                 busy, whole, missing=missing, coverage=coverage,
                 meters=tuple(sorted(servers)),
                 notes=['CPU only, not accelerators'])


def _sum(parts: list[fractions.Fraction]) -> fractions.Fraction:
    """By halves: one by one, the denominators of 10,000 would pile up."""
    if len(parts) <= 2:
        return sum(parts, fractions.Fraction(0))
    half = len(parts) // 2
    return _sum(parts[:half]) + _sum(parts[half:])


def _plausible(row: Utilisation) -> None:
    if (min(row.busy_ns, row.measured_ns) < 0
            or row.capacity_ns < (1 if row.measured_ns else 0)):
        raise errors.FigureRefused(
            f'ITEUsv: {row.server}: busy_ns and measured_ns must not be '
            'negative, capacity_ns must be above 0: correct its row')
    if row.busy_ns > row.capacity_ns * _CPU_SLACK:
        raise errors.FigureRefused(
            f'ITEUsv: {row.server} was busy for {row.busy_ns} ns of '
            f'{row.capacity_ns} ns: check how many CPUs it has online')
    if row.measured_ns > row.in_service_ns:
        raise errors.FigureRefused(
            f'ITEUsv: {row.server} was measured for longer than it was in '
            'service: correct its in_service_ns')
