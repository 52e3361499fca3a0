# SPDX-License-Identifier: Apache-2.0
"""What an operator's pages show, from answers of the API.

As :mod:`.figures`, of everybody's energy.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from energy_accounting import units
from energy_accounting.dashboard import numbers, periods, reading, words
from energy_accounting.dashboard.drawing import bars, course, flow
from energy_accounting.dashboard.numbers import Decimal, parse

_WIDTH, _HEIGHT, _LABELS = 1000, 360, 190
_COURSES = (('PUE', 'active'), ('CUE', 'co2'), ('WUE', 'memory'),
            ('REF', 'host'))
_SIZES = (('wide', 480, 170), ('narrow', 360, 170))


# --- the balance ------------------------------------------------------------

def balance(sheet: Mapping[str, Any],
            period: periods.Period) -> dict[str, Any]:
    """The balance as a picture and as a table."""
    signs = words.signs()
    if not any(int(sheet[f'{side}_uj']) for side in (
            'measured', 'quarantined', 'disputed')) and not sheet['sites']:
        return {'empty': True, 'gaps': _gaps(sheet, period)}
    column = numbers.column([parse(sheet['measured_kwh'])], numbers.ENERGY,
                            signs, 'kWh')
    sites = numbers.column(
        [parse(site['facility_kwh']) for site in sheet['sites']],
        numbers.ENERGY, signs, 'kWh')
    gaps = _gaps(sheet, period)
    picture = _flow(sheet, len(gaps), period)
    return {
        'picture': mark_safe(  # noqa: S308 (escaped where it is drawn)
            flow.drawn(picture, _WIDTH, _HEIGHT, _LABELS, 'ea-flow')),
        'unit': column.unit.name, 'lines': _lines(sheet, column),
        'balanced': int(sheet['difference_uj']) == 0,
        'difference': numbers.energy(sheet['difference_kwh'], signs),
        'gaps': gaps, 'site_unit': sites.unit.name,
        'sites': [_site_line(site, sites) for site in sheet['sites']],
        'complete': None if sheet['complete_until'] is None
        else words.moment(sheet['complete_until'], period.where),
        'boundary': words.known(sheet['boundary'], words.BOUNDARIES)}


def _flow(sheet: Mapping[str, Any], gaps: int,
          period: periods.Period) -> flow.Picture:
    """From what the sites took in to who had it."""
    signs = words.signs()
    nodes: list[flow.Node] = []
    flows: list[flow.Flow] = []
    taken_in: set[str] = set()

    def node(key: str, place: int, kind: str, name: str,
             kwh: Decimal | None) -> None:
        if kwh:
            nodes.append(flow.Node(key, place, kind, name, kwh,
                                   str(numbers.energy(f'{kwh:f}', signs))))
            taken_in.add(key)

    def between(source: str, target: str, kwh: Decimal) -> None:
        if {source, target} <= taken_in:
            flows.append(flow.Flow(source, target, kwh))

    sides = {side: Decimal(sheet[f'{side}_kwh']) for side in (
        'measured', 'instance', 'service', 'unallocated', 'quarantined')}
    building = unmetered = seen = Decimal(0)
    for site in sheet['sites']:
        facility, metered, beyond = (
            parse(site[f'{name}_kwh'])
            for name in ('facility', 'it_metered', 'unmetered_it'))
        if facility is None or metered is None or beyond is None:
            continue
        building += max(facility - metered, Decimal(0))
        unmetered += max(beyond, Decimal(0))
        seen += metered - max(beyond, Decimal(0))
    # A site whose meters were away for a while saw less than its hosts did.
    seen = min(seen, sides['measured'])
    metered = seen + unmetered
    node('sites', 0, 'input', _('Sites took in'), metered + building
         if seen > 0 else None)
    node('it', 1, 'input', _('IT'), metered if seen > 0 else None)
    node('measured', 2, 'input', _('Measured at the hosts'),
         sides['measured'])
    node('tenants', 3, 'tenants', _('Servers of projects'),
         sides['instance'])
    node('service', 3, 'service', _('Services on the hosts'),
         sides['service'])
    node('unallocated', 3, 'unallocated', _('Allocated to nobody'),
         sides['unallocated'])
    node('quarantined', 3, 'quarantined', _('In quarantine'),
         sides['quarantined'])
    # Ends, too, below the others: no band runs under a name.
    node('unmetered', 3, 'unmetered', _('IT that no host explains'),
         unmetered if seen > 0 else None)
    node('building', 3, 'building', _('Cooling, losses, light'),
         building if seen > 0 else None)
    if gaps:
        nodes.append(flow.Node(
            'gaps', 3, 'gap', _('Not known'), None,
            ngettext('%(count)d gap', '%(count)d gaps', gaps) % {
                'count': gaps}))
    between('sites', 'it', metered)
    between('sites', 'building', building)
    between('it', 'measured', seen)
    between('it', 'unmetered', unmetered)
    for key, side in (('tenants', 'instance'), ('service', 'service'),
                      ('unallocated', 'unallocated'),
                      ('quarantined', 'quarantined')):
        between('measured', key, sides[side])
    first = min((one.column for one in nodes), default=0)
    return flow.Picture(
        _('Where the energy came from and went to, %(period)s') % {
            'period': words.span(period.start, period.end, period.where)},
        _('From left to right: what the sites took in, how much of it went '
          'to IT, how much of that the hosts measured, and who had it. The '
          'table below has the same figures.'),
        [one._replace(column=one.column - first) for one in nodes], flows)


def _lines(sheet: Mapping[str, Any],
           column: numbers.Column) -> list[dict[str, Any]]:
    """The sheet as a table: both sides, and what they are made of."""
    whole = Decimal(sheet['measured_kwh'])
    signs = words.signs()

    def line(name: object, kwh: str | None, level: int = 0,
             meaning: object = '') -> dict[str, Any]:
        value = parse(kwh)
        return {'name': name, 'meaning': meaning, 'level': level,
                'figure': column.show(value),
                'share': signs.percent(value / whole)
                if whole and value is not None and level < 2 else ''}

    found = [
        line(_('Measured at the hosts'), sheet['measured_kwh']),
        line(_('Servers of projects'), sheet['instance_kwh'], 1),
        line(_('Services on the hosts'), sheet['service_kwh'], 1),
        *(line(name, energy['energy_kwh'], 2) for name, energy
          in sheet['service_by_name'].items()),
        line(_('Allocated to nobody'), sheet['unallocated_kwh'], 1),
        *(line(words.known(reason, words.REASONS), energy['energy_kwh'], 2)
          for reason, energy in sheet['unallocated_by_reason'].items()),
        line(_('In quarantine'), sheet['quarantined_kwh'], 1),
        line(_('Difference'), sheet['difference_kwh'], 0,
             _('measured less all of the above: anything but 0 is a fault'))]
    if int(sheet['disputed_uj']):
        found.append(line(
            _('Disputed'), sheet['disputed_kwh'], 0,
            _('claimed of time that is booked: on neither side')))
    if sheet['node_kwh'] is not None:
        found += [
            line(_('Seen by node meters'), sheet['node_kwh'], 0),
            line(_('of it beyond processors and memory, and divided'),
                 sheet['platform_kwh'], 2),
            line(_('of it not divided: a meter has a hole'),
                 sheet['undivided_node_kwh'], 2)]
    return found


def _site_line(site: Mapping[str, Any],
               column: numbers.Column) -> dict[str, Any]:
    signs = words.signs()
    return {
        'name': site['site'],
        'coverage': signs.percent(parse(site['coverage']), 2),
        'it_coverage': signs.percent(parse(site['it_coverage']), 2),
        **{name: column.show(parse(site[f'{name}_kwh'])) for name in (
            'facility', 'tenants', 'operator', 'it_metered',
            'unmetered_it')},
        'co2': numbers.mass(site['co2_location_kg'], signs)}


def _gaps(sheet: Mapping[str, Any],
          period: periods.Period) -> list[dict[str, Any]]:
    found = []
    for gap in sheet['gaps']:
        start, end = (datetime.datetime.fromisoformat(gap[edge] or sheet[
            'end']) for edge in ('start', 'end'))
        found.append({
            'host': gap['host'], 'zone': gap['zone'] or '',
            'start': words.moment(gap['start'], period.where),
            'end': words.moment(gap['end'], period.where)
            if gap['end'] else _('still open'),
            'length': words.hours(int((end - start).total_seconds())),
            'reason': words.known(gap['reason'], words.GAPS)})
    return found


# --- projects ---------------------------------------------------------------

def projects(ranked: reading.Ranked,
             names: Mapping[str, str]) -> dict[str, Any]:
    """All projects, the greatest first; what is nobody's at the end."""
    signs = words.signs()
    amounts = [Decimal(row['it_kwh']) for row in ranked.rows]
    whole = sum(amounts, Decimal(0))
    energy = numbers.column(amounts, numbers.ENERGY, signs, 'kWh')
    building = numbers.column(
        [parse(row['facility_kwh']) for row in ranked.rows], numbers.ENERGY,
        signs, 'kWh')
    mass = numbers.column(
        [parse(row['co2_location_kg']) for row in ranked.rows],
        numbers.MASS, signs, 'kg')
    found = []
    for row, amount in zip(ranked.rows, amounts, strict=True):
        ident = row['project_id']
        before = ranked.before.get(ident)
        part = amount / whole if whole else None
        found.append({
            'id': ident, 'name': names.get(ident) or ident,
            'known': ident in names, 'nobody': ident is None,
            'energy': energy.show(amount), 'share': signs.percent(part),
            'share_bar': mark_safe(course.share(  # noqa: S308
                part, _('%(share)s of all energy') % {
                    'share': signs.percent(part)})),
            'change': None if before is None else numbers.change(
                amount, parse(before['it_kwh']), signs),
            'building': building.show(parse(row['facility_kwh'])),
            'co2': mass.show(parse(row['co2_location_kg'])),
            'coverage': signs.percent(parse(row['coverage']), 2)})
    found.sort(key=lambda line: line['nobody'])
    place = 0
    for line in found:
        place += 1
        line['rank'] = '' if line['nobody'] else place
    return {'projects': found, 'energy_unit': energy.unit.name,
            'building_unit': building.unit.name, 'co2_unit': mass.unit.name,
            'sum': energy.show(whole), 'more': ranked.more}


# --- hosts ------------------------------------------------------------------

def hosts(rows: Iterable[Mapping[str, Any]],
          where: datetime.tzinfo) -> list[dict[str, Any]]:
    """The state of each host; those that an operator must look at first."""
    signs = words.signs()
    found = []
    for row in rows:
        coverage = parse(row['coverage'])
        idle = numbers.shown(row['idle_power_w'], numbers.WATTS, signs, 'W')
        found.append({
            'name': row['name'], 'site': row['site'],
            'state': words.known(row['state'], words.HOST_STATES),
            'late': row['late'], 'alarm': row['alarm'],
            'downtime': row['expected'] is False
            and row['state'] == 'enrolled',
            'last': words.moment(row['last_window_end'], where),
            'lag': numbers.UNKNOWN if row['lag_seconds'] is None
            else words.hours(row['lag_seconds']),
            'coverage': signs.percent(coverage, 2),
            'low': coverage is not None and coverage < 1,
            'basis': words.zones(row['basis']),
            'basis_exact': ', '.join(row['basis']),
            'idle': idle,
            'idle_kind': words.known(row['idle_kind'], words.IDLE_KINDS),
            'version': row['version'] or numbers.UNKNOWN})
    found.sort(key=lambda host: not (host['alarm'] or host['late']))
    return found


# --- sites ------------------------------------------------------------------

def site(chosen: Mapping[str, Any],
         figures: reading.KeyFigures) -> dict[str, Any]:
    """The key figures of a site, and how they went over a year."""
    signs = words.signs()
    where = units.zone(chosen['time_zone'])
    start, end = (datetime.datetime.fromisoformat(figures.year[edge])
                  for edge in ('start', 'end'))
    return {
        'site': chosen['name'], 'site_zone': chosen['time_zone'],
        'grid_zone': chosen['grid_zone'],
        'site_period': words.span(start, end, where),
        'figures': [_figure(row, signs) for row in figures.year['kpis']],
        'missing': [words.month(month.astimezone(where))
                    for month, answer in figures.months if answer is None],
        'courses': list(filter(None, (
            _course(name, kind, figures.months, where)
            for name, kind in _COURSES)))}


def _figure(row: Mapping[str, Any], signs: numbers.Signs) -> dict[str, Any]:
    value = parse(row['value'])
    return {
        'name': row['name'], 'figure': row['figure'],
        'meaning': words.known(row['figure'], words.FIGURES),
        'method': _method(row),
        'category': row['category'], 'section': row['section'],
        'value': None if value is None else numbers.Shown(
            signs.fixed(value, 3), '', signs.exact(value)),
        'unit': '' if row['unit'] == '1' else row['unit'],
        'coverage': signs.percent(parse(row['coverage']), 1),
        'guessed': _guessed(row),
        'standard': row['standard'], 'why': row['why'],
        'notes': row['notes']}


def _method(row: Mapping[str, Any]) -> str:
    """How the CO2 of a figure was counted, where it has any."""
    return words.known(row['method'], words.METHODS) if row['method'] else ''


def _kind(row: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes a row another figure than one of the same name."""
    return row['figure'], row['category'], row['method']


def _heading(row: Mapping[str, Any]) -> str:
    """A figure with its category and method."""
    category = row['category'] and _('category %(category)s') % {
        'category': row['category']}
    return ', '.join(filter(None, (row['figure'], category, _method(row))))


def _guessed(row: Mapping[str, Any]) -> str:
    """In a word, where a value is not all read off meters."""
    if row['value'] is None:
        return ''
    start, end = (datetime.datetime.fromisoformat(row[edge])
                  for edge in ('start', 'end'))
    seconds = row['reading_seconds']
    if seconds is not None and seconds > (end - start).total_seconds():
        return _('interpolated')
    return _('estimated') if parse(row['estimated']) else ''


def _course(name: str, kind: str,
            months: Sequence[tuple[datetime.datetime,
                                   Mapping[str, Any] | None]],
            where: datetime.tzinfo) -> dict[str, Any] | None:
    """A figure of each month; None where it never had a value.

    One category and method for all of them: others are other figures.
    """
    signs = words.signs()
    known = [(start, [
        row for row in (answer or {'kpis': ()})['kpis']
        if row['figure'] == name and row['value'] is not None
        and not row['section']]) for start, answer in months]
    one = next((row for _start, rows in known for row in rows), None)
    if one is None:
        return None
    found = [(start, next((row for row in rows if _kind(row) == _kind(one)),
                          None)) for start, rows in known]
    values = [None if row is None else parse(row['value'])
              for _start, row in found]
    heading = _heading(one)
    unit = one['unit']
    names = [words.month(start.astimezone(where)) for start, _row in found]
    chart = bars.Chart(
        title=_('%(figure)s over twelve months') % {'figure': heading},
        desc=_('A bar for each month. The table below has the same '
               'figures.'),
        unit='' if unit == '1' else unit, series=[(kind, name)],
        columns=[bars.Column(words.tick(start, 'month', where), month,
                             (value,))
                 for (start, _row), month, value in zip(
                     found, names, values, strict=True)],
        write=signs.significant, write_mark=signs.fixed)
    return {
        'figure': name, 'heading': heading, 'unit': chart.unit,
        'meaning': words.known(name, words.FIGURES),
        'pictures': [{'size': size, 'svg': mark_safe(  # noqa: S308
            bars.stacked(chart, width, height, f'ea-{name}-{size}'))}
            for size, width, height in _SIZES],
        'rows': [{'name': month, 'figure': None if value is None
                  else numbers.Shown(signs.fixed(value, 3), '',
                                     signs.exact(value))}
                 for month, value in zip(names, values, strict=True)]}


# --- quarantine -------------------------------------------------------------

def quarantine(rows: Iterable[Mapping[str, Any]],
               where: datetime.tzinfo) -> list[dict[str, Any]]:
    signs = words.signs()
    return [{
        'id': row['id'], 'host': row['host'],
        'received': words.moment(row['received_at'], where),
        'start': words.moment(row['start'], where),
        'energy': numbers.energy(row['energy_kwh'], signs),
        'code': words.known(row['code'], words.CODES),
        'reason': row['reason']} for row in rows]


# --- exports ----------------------------------------------------------------

def exports(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str],
            where: datetime.tzinfo) -> list[dict[str, Any]]:
    """What left for billing systems, or failed to."""
    signs = words.signs()
    return [{
        'id': row['id'], 'target': row['target'],
        'options': ', '.join(f'{name}={value}' for name, value
                             in sorted(row['options'].items())),
        'period': words.period_name(row['period']),
        'zone': row['timezone'], 'whole': row['all_projects'],
        'project': names.get(row['project_id'] or '') or row['project_id'],
        'known': row['project_id'] in names,
        'state': words.known(row['state'], words.EXPORT_STATES),
        'failed': row['state'] == 'failed', 'error': row['error'],
        'lines': _('%(done)s of %(total)s') % {
            'done': signs.exact(Decimal(row['done'])),
            'total': signs.exact(Decimal(row['total']))},
        'destination': row['destination'],
        'changed': words.moment(row['changed_at'], where)} for row in rows]
