# SPDX-License-Identifier: Apache-2.0
"""What is shown of usage rows: sums, pictures, tables, how it was measured.

From rows of the API to what a template prints, in the reader's language;
the project panel and the operator's both use it.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from energy_accounting import units
from energy_accounting.dashboard import numbers, periods, tables, words
from energy_accounting.dashboard.drawing import bars, course
from energy_accounting.dashboard.numbers import Decimal, parse

MOST_SHOWN = 200
"""Rows of a table; a download has all of them."""
MOST_IDLE = 10
"""Servers that are named for doing nothing."""
# A wide picture, and one for narrow windows: letters must not shrink with
# the window.
_SIZES = (('wide', 1000, 260), ('narrow', 380, 240))


def cards(total: Mapping[str, Any],
          before: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The sums of a period, the last period's beside each."""
    signs = words.signs()
    wanted = [
        ('it_kwh', _('In your servers'), numbers.energy,
         _('what the meters of the hosts saw of them')),
        ('facility_kwh', _('In the building'), numbers.energy,
         _('with cooling and power supply')),
        ('co2_location_kg', _('CO₂, location-based'), numbers.mass,
         _('of the grid around, and all else that feeds the site')),
        ('co2_market_kg', _('CO₂, market-based'), numbers.mass,
         _('of the electricity that the operator bought')),
        ('peak_kw', _('Peak power'), numbers.power,
         _('the highest mean of a quarter of an hour')),
        ('water_l', _('Water'), numbers.volume, _('that the cooling used'))]
    found = []
    for column, name, show, meaning in wanted:
        last = None if before is None else show(before.get(column), signs)
        if total.get(column) is None and column == 'water_l':
            continue  # most sites do not meter it
        found.append({
            'column': column, 'name': name, 'meaning': meaning,
            'figure': show(total.get(column), signs), 'before': last,
            'booked_before': before is not None,
            'change': None if before is None else numbers.change(
                parse(total.get(column)), parse(before.get(column)), signs)})
    if total.get('renewable_share') is not None:
        last_share = parse((before or {}).get('renewable_share'))
        share = Decimal(total['renewable_share']) * 100
        found.insert(4, {
            'column': 'renewable_share', 'name': _('Renewable'),
            'meaning': _('by contracts and own plant'),
            'figure': numbers.Shown(signs.fixed(share, 1), '%', (
                signs.exact(share) + numbers.SPACE + '%')),
            'before': None if last_share is None
            else signs.percent(last_share),
            'booked_before': before is not None, 'change': None})
    return found


def energy_chart(steps: Mapping[str, Any], period: periods.Period,
                 ) -> dict[str, Any]:
    """The stacked bars and the same as a table."""
    signs = words.signs()
    rows = [steps.get(units.iso(start)) for start, _end in period.steps]
    known = [row for row in rows if row is not None]
    terms = [term for term in words.TERMS
             if any(row.get(term[1]) is not None for row in known)]
    values = [_parts(row, terms) for row in rows]
    with_building = any(parts[-1] is not None for parts in values)
    series = [(kind, str(name)) for kind, _column, name, _why in terms]
    legend = [{'kind': kind, 'name': name, 'meaning': meaning}
              for kind, _column, name, meaning in terms]
    if with_building:
        series.append((words.BUILDING[0], str(words.BUILDING[1])))
        legend.append(dict(zip(('kind', 'name', 'meaning'), words.BUILDING,
                               strict=True)))
    else:
        values = [parts[:-1] for parts in values]
    sums = [numbers.total(parts) for parts in values]
    column = numbers.column(sums, numbers.ENERGY, signs, 'kWh')
    names = [words.step(start, period.resolution, period.where)
             for start, _end in period.steps]
    chart = bars.Chart(
        title=_('Energy of %(period)s') % {'period': words.span(
            period.start, period.end, period.where)},
        desc=_('A bar for %(step)s, divided by what the energy was '
               'used for. The table below has the same figures.') % {
                   'step': _step_name(period)},
        unit=column.unit.name, series=series,
        columns=[bars.Column(
            words.tick(start, period.resolution, period.where), name,
            tuple(None if value is None else value / column.unit.size
                  for value in parts))
            for (start, _end), name, parts in zip(
                period.steps, names, values, strict=True)],
        write=signs.significant, write_mark=signs.fixed)
    return {
        'pictures': _pictures(functools.partial(bars.stacked, chart),
                              'energy'),
        'legend': legend, 'unit': column.unit.name,
        'heads': [name for _kind, name in series],
        'rows': [{'name': name, 'cells': [column.show(value)
                                          for value in parts],
                  'sum': column.show(total)}
                 for name, parts, total in zip(names, values, sums,
                                               strict=True)]}


def _parts(row: Mapping[str, Any] | None, terms: Sequence[Any],
           ) -> tuple[Decimal | None, ...]:
    """The terms of a row, and the building's part."""
    if row is None:
        return (None,) * (len(terms) + 1)
    return (*(parse(row.get(column)) for _kind, column, _n, _w in terms),
            tables.building_kwh(row))


def co2_chart(steps: Mapping[str, Any], period: periods.Period,
              ) -> dict[str, Any] | None:
    """CO2 and the intensity behind it; None where nothing is known."""
    signs = words.signs()
    rows = [steps.get(units.iso(start)) for start, _end in period.steps]
    emitted = [None if row is None else parse(row.get('co2_location_kg'))
               for row in rows]
    if numbers.total(emitted) is None:
        return None
    bought = [None if row is None else parse(row.get('co2_market_kg'))
              for row in rows]
    levels = [tables.intensity(row) for row in rows]
    mass = numbers.column([*emitted, *bought], numbers.MASS, signs, 'kg')
    grams = [None if level is None else level * 1000 for level in levels]
    level_column = numbers.column(grams, numbers.PLAIN, signs, 'g/kWh')
    names = [words.step(start, period.resolution, period.where)
             for start, _end in period.steps]
    chart = bars.Chart(
        title=_('CO₂ of %(period)s') % {'period': words.span(
            period.start, period.end, period.where)},
        desc=_('Below, a bar for %(step)s: CO₂ by location. Above, a '
               'line: CO₂ of each kilowatt hour that the building took in. '
               'The table below has the same figures.') % {
                   'step': _step_name(period)},
        unit=mass.unit.name, series=[('co2', _('CO₂'))],
        columns=[bars.Column(
            words.tick(start, period.resolution, period.where), name,
            (None if value is None else value / mass.unit.size,))
            for (start, _end), name, value in zip(
                period.steps, names, emitted, strict=True)],
        write=signs.significant, write_mark=signs.fixed)
    return {
        'pictures': _pictures(
            functools.partial(_with_line, chart, grams, signs), 'co2'),
        'unit': mass.unit.name,
        'rows': [{'name': name, 'location': mass.show(location),
                  'market': mass.show(market),
                  'intensity': level_column.show(level)}
                 for name, location, market, level in zip(
                     names, emitted, bought, grams, strict=True)]}


def _with_line(chart: bars.Chart, levels: Sequence[Decimal | None],
               signs: numbers.Signs, width: int, height: int,
               ident: str) -> str:
    return bars.with_line(chart, levels, 'intensity', 'g/kWh',
                          signs.significant, width, height + 60, ident)


def _pictures(draw: Any, ident: str) -> list[dict[str, str]]:
    """A picture for each width; all of it is escaped where it is drawn."""
    return [{'size': size, 'svg': mark_safe(  # noqa: S308
        draw(width, height, f'ea-{ident}-{size}'))}
        for size, width, height in _SIZES]


def _step_name(period: periods.Period) -> str:
    return {'hour': _('each hour'), 'day': _('each day'),
            'month': _('each month')}[period.resolution]


def servers(usage: Any, period: periods.Period,
            names: Mapping[str, str]) -> dict[str, Any]:
    """The table of servers: those that used most."""
    signs = words.signs()
    whole = Decimal(usage.total['it_kwh'])
    rows = usage.servers[:MOST_SHOWN]
    energy = numbers.column(
        [Decimal(row['it_kwh']) for row in rows], numbers.ENERGY, signs,
        'kWh')
    building = numbers.column(
        [parse(row['facility_kwh']) for row in rows], numbers.ENERGY, signs,
        'kWh')
    mass = numbers.column(
        [parse(row['co2_location_kg']) for row in rows], numbers.MASS, signs,
        'kg')
    found = []
    for row in rows:
        ident = row['instance_id']
        before = usage.servers_before.get(ident)
        amount = Decimal(row['it_kwh'])
        part = amount / whole if whole else None
        found.append({
            'id': ident, 'name': names.get(ident) or ident,
            'known': ident in names, 'energy': energy.show(amount),
            'building': building.show(parse(row['facility_kwh'])),
            'co2': mass.show(parse(row['co2_location_kg'])),
            'share': signs.percent(part),
            'share_bar': _safe(course.share(part, _(
                '%(share)s of all servers') % {
                    'share': signs.percent(part)})),
            'change': None if before is None else numbers.change(
                amount, parse(before['it_kwh']), signs),
            'new': before is None and usage.before is not None,
            'course': _course(usage.courses.get(ident), period),
            'idle': tables.is_idle(row)})
    return {'rows': found, 'energy_unit': energy.unit.name,
            'building_unit': building.unit.name,
            'co2_unit': mass.unit.name, 'courses': bool(usage.courses),
            'more': _more(len(rows), len(usage.servers), usage.more, signs)}


def _more(shown: int, read: int, unread: bool,
          signs: numbers.Signs) -> str | None:
    """How many servers there are, where not all of them are shown."""
    if shown == read and not unread:
        return None
    written = {'shown': signs.exact(Decimal(shown)),
               'all': signs.exact(Decimal(read))}
    if unread:
        return _('The %(shown)s that used most, of more than %(all)s '
                 'servers.') % written
    return _('The %(shown)s that used most, of %(all)s servers.') % written


def _course(rows: Sequence[Mapping[str, Any]] | None,
            period: periods.Period) -> str | None:
    by_start = {row['start']: Decimal(row['it_kwh']) for row in rows or ()}
    values = [by_start.get(units.iso(start)) for start, _end in period.steps]
    known = [value for value in values if value is not None]
    if not known:
        return None
    signs = words.signs()
    column = numbers.column(known, numbers.ENERGY, signs, 'kWh')
    return _safe(course.course(values, _(
        'from %(least)s to %(most)s for %(step)s') % {
            'least': column.show(min(known)), 'most': column.show(max(known)),
            'step': _step_name(period)}))


def idle(usage: Any, names: Mapping[str, str]) -> dict[str, Any] | None:
    """The servers that did nothing, and what they cost together.

    Those that cost most are named, all of them are counted.
    """
    signs = words.signs()
    rows = sorted(filter(tables.is_idle, usage.servers),
                  key=tables.cost_kwh, reverse=True)
    if not rows:
        return None
    costs = [tables.cost_kwh(row) for row in rows]
    column = numbers.column(costs, numbers.ENERGY, signs, 'kWh')
    whole = sum(map(tables.cost_kwh, usage.servers), Decimal(0))
    together = sum(costs, Decimal(0))
    emitted = numbers.total(parse(row['co2_location_kg']) for row in rows)
    return {
        'count': len(rows),
        'cost': numbers.energy(f'{together:f}', signs),
        'share': signs.percent(together / whole if whole else None),
        'co2': None if emitted is None
        else numbers.mass(f'{emitted:f}', signs),
        'limit': signs.percent(tables.IDLE_SHARE, 0),
        'servers': [{'id': row['instance_id'],
                     'name': names.get(row['instance_id'])
                     or row['instance_id'],
                     'known': row['instance_id'] in names,
                     'cost': column.show(cost)}
                    for row, cost in zip(rows[:MOST_IDLE], costs,
                                         strict=False)],
        'others': max(len(rows) - MOST_IDLE, 0)}


def measured(usage: Any, period: periods.Period) -> dict[str, Any]:
    """How sure the figures are, and what they are of."""
    signs = words.signs()
    total = usage.total
    coverage = parse(total.get('coverage'))
    quality = {name: Decimal(share)
               for name, share in (total.get('quality') or {}).items()}
    later = quality.get('backfilled', Decimal(0))
    estimated = quality.get('estimated', Decimal(0))
    return {
        'coverage': signs.percent(coverage, 2),
        'incomplete': coverage is not None and coverage < 1,
        'missing': None if coverage is None
        else signs.percent(1 - coverage, 2),
        'backfilled': signs.percent(later, 2) if later else None,
        'estimated': signs.percent(estimated, 2) if estimated else None,
        'boundary': words.BOUNDARIES.get(total.get('boundary'),
                                         total.get('boundary')),
        'parts': [{'boundary': words.BOUNDARIES.get(row['boundary'],
                                                    row['boundary']),
                   'energy': numbers.energy(row['it_kwh'], signs)}
                  for row in usage.parts],
        'pue': None if total.get('pue') is None else numbers.Shown(
            signs.fixed(Decimal(total['pue']), 2), '',
            signs.exact(Decimal(total['pue']))),
        'pue_kind': words.PUE_KINDS.get(total.get('pue_kind'),
                                        total.get('pue_kind')),
        'factors': words.QUALITIES.get(total.get('factor_quality'),
                                       total.get('factor_quality')),
        'policy': total.get('policy'),
        'memory_missing': total.get('memory_kwh') is None,
        'complete': None if usage.complete_until is None
        else words.moment(usage.complete_until, period.where),
        'unsettled': usage.complete_until is None
        or usage.complete_until < units.iso(period.end)}


DOCUMENTS = ('pdf', 'html', 'csv')


def statements(rows: Sequence[Mapping[str, Any]], where: datetime.tzinfo,
               names: Mapping[str, str] = {}) -> list[dict[str, Any]]:
    """Closed months and years.

    :param names: of projects, where the statement does not say it.
    """
    signs = words.signs()
    return [{
        'id': row['id'], 'period': words.period_name(row['period']),
        'zone': row['timezone'], 'revision': row['revision'],
        'state': words.known(row['state'], words.STATEMENT_STATES),
        'project': row['project_name'] or names.get(
            row['project_id'] or '') or row['project_id'],
        'energy': numbers.energy(row['it_kwh'], signs),
        'building': numbers.energy(row['facility_kwh'], signs),
        'co2': numbers.mass(row['co2_location_kg'], signs),
        'cost': None if row['cost'] is None else
        # All places that the API says: it is money.
        f'{signs.write(row["cost"])}{numbers.SPACE}'
        f'{row["currency"]}',
        'closed': words.moment(row['created_at'], where),
        'documents': DOCUMENTS} for row in rows]


def _safe(drawn: str) -> str:
    return mark_safe(drawn)  # noqa: S308 (escaped where it is drawn)
