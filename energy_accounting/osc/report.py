# SPDX-License-Identifier: Apache-2.0
"""``openstack energy report show``: a month on one screen.

What is asked, and in which order it is said; how lines are drawn is in
``drawing``.
"""

from __future__ import annotations

import argparse
import datetime
import decimal
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from energy_accounting import client, units
from energy_accounting.osc import (
    base,
    columns,
    common,
    drawing,
    times,
    usage,
)

_MIXED = 'mixed'
_NOBODY = 'services, unallocated'
# (column, unit, what it is called, what it means): at most 79 columns.
_TOTALS = (
    ('it_kwh', 'kWh', 'IT energy', ''),
    ('active_kwh', 'kWh', '  active', 'what the servers computed'),
    ('idle_kwh', 'kWh', '  idle', 'what they kept reserved'),
    ('memory_kwh', 'kWh', '  memory', 'their memory'),
    ('host_kwh', 'kWh', '  host', "the hosts' own work"),
    ('platform_kwh', 'kWh', '  platform', 'fans, disks, power supplies'),
    ('facility_kwh', 'kWh', 'facility', 'with cooling and losses'),
    ('renewable_share', '%', '  renewable', 'by contracts and own sun'),
    ('co2_location_kg', 'kg', 'CO2', 'location-based, of the grid'),
    ('co2_market_kg', 'kg', 'CO2', 'market-based, as bought'),
    ('water_l', 'l', 'water', ''),
    ('peak_kw', 'kW', 'peak', 'highest quarter of an hour'))
_BOUNDARIES = {
    'rapl': 'processors and memory only (rapl): a lower bound of what the '
            'machines drew',
    'node': 'whole machines (node)',
    _MIXED: 'partly whole machines (node), partly processors and memory '
            'only (rapl), so in all a lower bound'}
# Whose PUE it is, for people.
_PUE_KINDS = {
    'interval': 'of its own quarters of an hour', 'iPUE': 'of days or months',
    'PUE': 'of twelve months', 'configured': 'as configured',
    'mixed': 'of different kinds'}
_FACTORS = {
    'actual': 'actual', 'estimated': 'estimated', 'forecast': 'forecast',
    'fallback': 'yearly ones that stand in', 'mixed': 'of different quality'}
_BASES = {'direct': 'what is emitted where energy is made',
          'lifecycle': 'with all that comes before and after'}
_BY_HOUR = datetime.timedelta(days=3)
_DAYS = 2, 62
"""Of a period that is drawn day by day: at least, at most."""


class ShowReport(base.Command):
    """Show a month of a project: totals, days, servers, how it was measured.

    Beside the totals stands the period before. With --all-projects a bar
    for each project. For people: programs read "energy usage list".
    """

    example = ('openstack energy report show --month last-month '
               '--timezone Europe/Berlin')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        common.add_period_options(parser)
        common.add_as_of_option(parser)
        common.add_scope_options(parser)
        parser.add_argument(
            '--top', metavar='<number>', type=common.positive, default=10,
            help='Show so many servers or projects, those with the most '
                 'energy (default: 10)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        found = self._read(parsed_args)
        out = self.app.stdout
        draw = drawing.For(out)
        for line in report_lines(found, draw):
            out.write(f'{line}\n')

    def _read(self, parsed_args: argparse.Namespace) -> Report:
        manager, api = self.app.client_manager, common.api(self)
        chosen = common.period(parsed_args)
        where = common.zone(parsed_args)
        earlier = before(chosen, where)
        scope = common.scope_query(manager, parsed_args)
        query = {**common.period_query(chosen, parsed_args), **scope}
        whole = scope.get('all_projects', False)
        group = 'project' if whole else 'instance'
        total = next(api.usage(group_by=usage.NONE, resolution='total',
                               **query))
        if not total.rows:
            return Report(common.heading(
                chosen, parsed_args, total.envelope.get('complete_until')))
        row = total.rows[0]
        parts: Sequence[client.Row] = ()
        if row['boundary'] == _MIXED:
            # One sum, and of it what was measured where: never blurred.
            parts = next(api.usage(group_by='boundary', resolution='total',
                                   **query)).rows
        last = next(api.usage(
            group_by=usage.NONE, resolution='total',
            **{**query, 'start': units.iso(earlier.start),
               'end': units.iso(earlier.end)})).rows
        begun = ''
        if last:
            first = next(api.usage(
                group_by=usage.NONE, limit=1, resolution='day' if
                earlier.end - earlier.start > _BY_HOUR else 'hour',
                **{**query, 'start': units.iso(earlier.start),
                   'end': units.iso(earlier.end)})).rows
            since = datetime.datetime.fromisoformat(
                first[0]['start'] if first else units.iso(earlier.start))
            if since > earlier.start:
                begun = times.spoken(since, where)
        days: Sequence[client.Row] = ()
        if _DAYS[0] <= (chosen.end - chosen.start).days <= _DAYS[1]:
            days = tuple(api.usage(group_by=usage.NONE, resolution='day',
                                   **query).rows())
        pages = api.usage(
            group_by=group, resolution='total', sort='it_kwh:desc',
            limit=common.page_of(parsed_args.top), with_count=True, **query)
        top = next(pages)
        most = top.rows
        if len(most) < parsed_args.top:
            most += tuple(pages.rows(parsed_args.top - len(most)))
        names = (common.project_names(manager) if whole else
                 common.server_names(manager, scope.get('project')))
        return Report(
            common.heading(chosen, parsed_args,
                           total.envelope.get('complete_until')),
            row, f'{times.spoken(earlier.start, where)} until '
                 f'{times.spoken(earlier.end, where)}',
            last[0] if last else None, begun, parts,
            by_day(days, chosen, where), most,
            top.envelope.get('count', len(most)), f'{group}_id', names)


class Report(NamedTuple):
    """What a report is made of.

    :ivar total: the sum; None where nothing was booked.
    :ivar earlier: the period before, in words, and ``last``, its sum.
    :ivar begun: when the first energy of that was booked, in words; empty:
        at its start.
    :ivar parts: of the sum, a row for each boundary, where it has several.
    :ivar days: the IT energy of each day, None where nothing was booked;
        none where they are not drawn.
    :ivar top: rows of the servers or projects with the most energy, of
        ``owners``; ``key`` is the column that says which it is, ``names``
        what people call them, where that is known.
    """

    heading: str
    total: client.Row | None = None
    earlier: str = ''
    last: client.Row | None = None
    begun: str = ''
    parts: Sequence[client.Row] = ()
    days: Sequence[decimal.Decimal | None] = ()
    top: Sequence[client.Row] = ()
    owners: int = 0
    key: str = ''
    names: Mapping[str, str] = {}


def before(chosen: times.Period, where: datetime.tzinfo) -> times.Period:
    """The period that one is compared with.

    As long as it and just before; of a calendar month the month before,
    and of one that is not over as much of that as has passed of this.
    """
    last = chosen.end - datetime.timedelta(microseconds=1)
    if chosen.start != units.period_start(last, 'month', where):
        return times.Period(chosen.start - (chosen.end - chosen.start),
                            chosen.start)
    start = units.period_start(
        chosen.start - datetime.timedelta(microseconds=1), 'month', where)
    if chosen.end == units.next_period(chosen.start, 'month', where):
        return times.Period(start, chosen.start)
    return times.Period(start, min(start + (chosen.end - chosen.start),
                                   chosen.start))


def by_day(rows: Sequence[client.Row], chosen: times.Period,
           where: datetime.tzinfo) -> list[decimal.Decimal | None]:
    """The IT energy of each day, None where nothing was booked."""
    if not rows:
        return []
    found = {datetime.datetime.fromisoformat(row['start']):
             decimal.Decimal(row['it_kwh']) for row in rows}
    days: list[decimal.Decimal | None] = []
    start = chosen.start
    while start < chosen.end:
        days.append(found.get(start))
        start = units.next_period(
            units.period_start(start, 'day', where), 'day', where)
    return days


def report_lines(report: Report, draw: drawing.For) -> Iterator[str]:
    """The lines of a report, none longer than there is room for."""
    yield from draw.filled(f'Energy {report.heading}')
    yield ''
    if report.total is None:
        yield 'No energy was booked in this period.'
        return
    yield from _totals(report, report.total, draw)
    if len(report.days) > 1:
        most = max(day for day in report.days if day is not None)
        missing = (f' ({draw.missing}: nothing was booked)'
                   if None in report.days else '')
        yield ''
        yield from draw.filled(
            f'By day, at most {_kwh(most)} kWh IT energy{missing}:')
        yield f'  {draw.steps(report.days)}'
    yield ''
    yield from _top(report, report.total, draw)
    yield ''
    for sentence in _measured(report, report.total):
        yield from draw.filled(sentence)


def _totals(report: Report, total: client.Row,
            draw: drawing.For) -> Iterator[str]:
    last = report.last or {}

    def change(column: str, unit: str) -> str:
        return '' if report.begun else _change(
            total[column], last.get(column), unit)

    if last:
        # Beside a shorter time, what is more is only what was not measured.
        yield (f'{"":26}{"before":>15}'
               f'{"" if report.begun else "change":>9}').rstrip()
    for column, unit, word, meaning in _TOTALS:
        if total.get(column) is not None:
            beside = (f'{_amount(last.get(column), unit):>15}' +
                      f'{change(column, unit):>9}' if last else '')
            yield (f'{word:<12}{_amount(total[column], unit):>14}{beside}  '
                   f'{meaning}').rstrip()
    yield from draw.filled(f'before: {report.earlier}' + (
        f': nothing was booked before {report.begun}, so what is more is '
        'not told' if report.begun else
        '' if last else ': nothing was booked'))


def _top(report: Report, total: client.Row,
         draw: drawing.For) -> Iterator[str]:
    owners = [row.get(report.key) for row in report.top]
    labels = [report.names.get(owner, owner) if owner else _NOBODY
              for owner in owners]
    amounts = [decimal.Decimal(row['it_kwh']) for row in report.top]
    rest = decimal.Decimal(total['it_kwh']) - sum(amounts)
    others = report.owners - len(amounts)
    if others > 0:
        labels.append(f'{others} more')
        amounts.append(rest)
    yield from draw.bars(labels, amounts,
                         [f'{_kwh(amount)} kWh' for amount in amounts],
                         len(report.top))


def _measured(report: Report, row: client.Row) -> Iterator[str]:
    """How the figures came about, in sentences."""
    boundary = row['boundary']
    yield f'Measured at {_BOUNDARIES.get(boundary, boundary)}.'
    for part in report.parts:
        yield (f'Of it {_kwh(decimal.Decimal(part["it_kwh"]))} kWh at '
               f'{part["boundary"]}.')
    coverage = row.get('coverage')
    if coverage is not None:
        missing = (', so some energy is missing'
                   if decimal.Decimal(coverage) < 1 else '')
        yield f'The meters were read {_covered(coverage)} % of the time' \
              f'{missing}.'
    earlier = (report.last or {}).get('coverage')
    if earlier is not None and decimal.Decimal(earlier) < 1:
        yield (f'Before they were read {_covered(earlier)} % of the time: '
               'what is beside is too small by the rest.')
    quality = row.get('quality') or {}
    for name, what in (('backfilled', 'was booked later, from the counters'),
                       ('estimated', 'is estimated')):
        if decimal.Decimal(quality.get(name) or 0):
            yield f'{_percent(quality[name])} % of the energy {what}.'
    if row.get('facility_kwh') is None:
        yield ('What the data centre took in for it, and its CO2, is not '
               'known.')
        return
    yield (f'The facility is by PUE {columns.rounded(row.get("pue"))}, '
           f'{_PUE_KINDS.get(row.get("pue_kind") or "", "of some kind")}.')
    known = [words for words in (
        _FACTORS.get(row.get('factor_quality') or ''),
        _BASES.get(row.get('factor_basis') or '')) if words]
    if known:
        yield f'Its carbon factors are {", ".join(known)}.'


def _amount(text: str | None, unit: str) -> str:
    if text is None:
        return columns.UNKNOWN
    return f'{_percent(text) if unit == "%" else columns.rounded(text)} ' \
           f'{unit:<3}'


def _change(now: str, then: str | None, unit: str) -> str:
    """By how much it is more, in percent; of a share, in points."""
    if then is None:
        return ''
    amount, earlier = decimal.Decimal(now), decimal.Decimal(then)
    if unit == '%':
        points = ((amount - earlier) * 100).quantize(decimal.Decimal('0.1'))
        return f'{points:+f} pt' if points else '0 pt'
    if not earlier:
        return ''
    percent = (amount - earlier) * 100 / earlier
    if percent >= 1000:
        return f'x {(amount / earlier).quantize(decimal.Decimal(1))}'
    whole = percent.quantize(decimal.Decimal(1))
    return f'{whole:+f} %' if whole else '0 %'


def _percent(share: str) -> str:
    return columns.rounded(str(decimal.Decimal(share) * 100))


def _covered(share: str) -> str:
    return _percent(str(columns.not_all(share)))


def _kwh(amount: decimal.Decimal) -> str:
    return columns.rounded(str(amount))
