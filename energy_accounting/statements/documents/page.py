# SPDX-License-Identifier: Apache-2.0
"""A statement as HTML, to be read on a screen and on A4 paper.

One file without scripts, pictures or fonts from elsewhere.  Every text that
is not ours is escaped.  What is said is in ``words``, sums are ``summary``'s.
"""

from __future__ import annotations

import datetime
import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from energy_accounting import tariffs, units
from energy_accounting.ledger import statements as store
from energy_accounting.statements import answers, content, periods
from energy_accounting.statements.documents import (
    chart,
    figures,
    summary,
    words,
)

_STYLE = """
:root { color-scheme: light }
body { font: 14px/1.45 "DejaVu Sans", Arial, sans-serif; color: #1d262d;
  max-width: 60em; margin: 2em auto; padding: 0 1em; background: #fff }
h1 { font-size: 1.8em; margin: 0 }
h2 { font-size: 1.15em; margin: 1.6em 0 .5em; border-bottom: 1px solid
  #c9d1d8; padding-bottom: .2em; break-after: avoid }
.when { font-size: 1.15em; margin: .2em 0 1em; color: #37424c }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1em;
  margin: 0 }
dt { color: #55626d } dd { margin: 0; overflow-wrap: anywhere }
.cards { display: flex; flex-wrap: wrap; gap: .6em; margin: 1.2em 0 0 }
.card { border: 1px solid #c9d1d8; border-radius: 4px; padding: .5em .8em;
  flex: 1 1 10em; break-inside: avoid }
.card b { display: block; font-size: 1.25em; white-space: nowrap }
.card small { color: #55626d; display: block }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3em .5em;
  border-bottom: 1px solid #e2e7eb; overflow-wrap: break-word }
th { font-weight: 600; color: #37424c; overflow-wrap: normal }
thead { display: table-header-group } tr { break-inside: avoid }
.n { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; overflow-wrap: normal }
.sum td { font-weight: 600; border-top: 1.5px solid #37424c }
.active td { background: #eaf3f9 } .part td:first-child { padding-left: 1.6em }
.small { font-size: .86em; color: #55626d }
.key::before { content: ""; display: inline-block; width: .8em; height:
  .8em; margin-right: .4em; background: var(--c); border: 1px solid #37424c }
.wrong { border: 2px solid #a33; padding: .6em .9em; margin: 1em 0;
  font-weight: 600 }
code { font-size: .86em; overflow-wrap: anywhere }
ul { padding-left: 1.2em } li { margin: .25em 0 }
svg { break-inside: avoid }
.servers { table-layout: fixed; font-size: .84em }
.servers th { font-size: .92em; white-space: normal; hyphens: auto }
.servers th, .servers td { padding: .3em }
.whole { break-inside: avoid }
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-right { content: "PAGE"; font: 8pt "DejaVu Sans", sans-serif;
    color: #55626d }
  @bottom-left { content: "FOOT"; font: 8pt "DejaVu Sans", sans-serif;
    color: #55626d } }
@media print { body { font-size: 9.5pt; margin: 0; max-width: none;
  padding: 0 } }
"""

_LONGEST = 48


class Page:
    """The parts of a document, in their order.

    :param before: the revision that this one replaces.
    :param most: so many servers are listed, None: all.
    """

    def __init__(self, one: store.Stored, found: summary.Summary,
                 before: store.Stored | None, language: str,
                 most: int | None = None) -> None:
        self._one, self._found, self._before = one, found, before
        self._language, self._most = language, most
        self._words = words.LANGUAGES[language]
        self._totals = content.totals(one.head)
        self._currency: str | None = self._totals.get('currency')
        self._digits = tariffs.MINOR_DIGITS.get(self._currency or '', 0)
        # A column of the servers holds nine digits.
        self._places = max(0, min(3, 7 - len(str(
            (self._totals['facility_uj'] or self._totals['it_uj'])
            // units.UJ_PER_KWH))))

    def pieces(self) -> Iterator[str]:
        """The whole of it."""
        say = self._words
        foot = f'{self._owner()} · {self._period()}'
        style = _STYLE.replace('PAGE', say['page'].format(
            '" counter(page) "', '" counter(pages) "')).replace(
                'FOOT', _css(foot))
        yield (f'<!DOCTYPE html><html lang="{self._language}"><head>'
               '<meta charset="utf-8"><meta name="viewport" '
               'content="width=device-width"><title>'
               f'{_(say["title"])} · {_(foot)}</title>'
               f'<style>{style}</style></head><body>')
        yield from self._head()
        yield from self._cards()
        yield from self._chart()
        yield from self._parts()
        yield from self._servers()
        yield from self._factors()
        yield from self._tariffs()
        yield from self._notes()
        yield '</body></html>'

    # --- who and when -------------------------------------------------------

    def _owner(self) -> str:
        one = self._one
        if not one.project_id:
            return str(self._words['operator'])
        return one.project_name or one.project_id

    def _period(self) -> str:
        year, _, month = self._one.period.partition('-')
        if not month:
            return str(self._words['year'].format(year))
        return f'{self._words["months"][int(month) - 1]} {year}'

    def _date(self, moment: datetime.datetime | datetime.date) -> str:
        return str(self._words['date'].format(
            day=moment.day, month=self._words['months'][moment.month - 1],
            year=moment.year))

    def _head(self) -> Iterator[str]:
        say, one = self._words, self._one
        where = units.zone(one.time_zone)
        first = units.moment(one.start_ns).astimezone(where)
        last = units.moment(one.end_ns - 1).astimezone(where)
        closed = units.moment(one.created_ns).astimezone(where)
        yield f'<h1>{_(say["title"])}</h1><p class="when">' \
              f'{_(self._period())}</p>'
        if not one.revision:
            yield f'<p class="wrong">{_(say["provisional_note"])}</p>'
        rows = [(say['project'], self._owner() if not one.project_id
                 or one.project_name is None
                 else f'{one.project_name} ({one.project_id})')]
        if one.domain_id:
            rows.append((say['domain'], one.domain_id))
        rows += [
            (say['period'], say['span'].format(
                start=self._date(first), end=self._date(last),
                zone=one.time_zone)),
            (say['state'], say['final'].format(one.revision)
             if one.revision else say['provisional']),
            (say['closed'], f'{self._date(closed)}, {closed:%H:%M}'),
            (say['number'], one.statement)]
        yield '<dl>' + ''.join(
            f'<dt>{_(name)}</dt><dd>{_(text)}</dd>'
            for name, text in rows) + '</dl>'
        if self._before is not None:
            yield f'<p>{_(self._replaced(self._before))}</p>'

    def _replaced(self, before: store.Stored) -> str:
        change = answers.difference(before, self._one)
        money = ''
        if change['cost'] is not None and self._currency:
            money = ', ' + figures.money(tariffs.minor_units(
                change['cost'], self._digits), self._digits,
                self._language) + f' {self._currency}'
        return str(self._words['replaces'].format(
            before.revision, figures.kwh(units.microjoules(
                change['it_kwh']), self._language), money))

    # --- the figures --------------------------------------------------------

    def _kwh(self, energy_uj: int | None) -> str:
        return str(self._words['unknown']) if energy_uj is None \
            else figures.kwh(energy_uj, self._language) + ' kWh'

    def _kg(self, amount_ng: int | None) -> str:
        return str(self._words['unknown']) if amount_ng is None \
            else figures.kilograms(amount_ng, self._language) + ' kg'

    def _cards(self) -> Iterator[str]:
        totals = self._totals
        peak = answers.row(self._one)['peak_kw']
        cards = [
            ('it', self._kwh(totals['it_uj'])),
            ('facility', self._kwh(totals['facility_uj'])),
            ('location', self._kg(totals['co2_location_ng'])),
            ('market', self._kg(totals['co2_market_ng'])),
            ('peak', '–' if peak is None
             else figures.decimal_text(_short(peak), self._language) + ' kW'),
            ('coverage', '–' if totals['coverage'] is None
             else figures.percent(totals['coverage'], self._language))]
        if self._currency:
            cost = totals['cost']
            cards.append(('cost', self._words['unknown'] if cost is None
                          else self._money(cost)))
        yield '<div class="cards">' + ''.join(
            f'<div class="card">{_(self._words[name])}<b>{_(text)}</b>'
            f'<small>{_(self._words[name + "_note"])}</small></div>'
            for name, text in cards) + '</div>'

    def _money(self, text: str) -> str:
        return figures.money(
            tariffs.minor_units(text, self._digits), self._digits,
            self._language) + f' {self._currency}'

    def _chart(self) -> Iterator[str]:
        say, times = self._words, self._found.times
        by_month = len(self._one.period) == 4
        title = say['chart_months' if by_month else 'chart_days']
        if not self._found.servers:
            return
        parts = [
            (say['short_months'][int(time[5:7]) - 1] if by_month
             else str(int(time[8:])), part) for time, part in times.items()]
        yield f'<h2>{_(title)}</h2>'
        yield chart.bars(parts, say, title, self._language)
        yield (f'<p class="small"><span class="key" '
               f'style="--c:{chart.ACTIVE}">{_(say["active"])}</span> '
               f'&emsp;<span class="key" style="--c:{chart.ALLOCATED}">'
               f'{_(say["allocated"])}</span></p>')

    def _parts(self) -> Iterator[str]:
        say, totals = self._words, self._totals
        if not self._found.servers:
            return

        def row(name: str, energy_uj: int | None, kind: str,
                text: str = '') -> str:
            figure = (say['not_measured'] if energy_uj is None
                      else figures.kwh(energy_uj, self._language))
            return (f'<tr class="{kind}"><td>{_(name)}'
                    f'<div class="small">{_(text)}</div></td>'
                    f'<td class="n">{_(figure)}</td></tr>')

        yield (f'<h2>{_(say["parts"])}</h2><table class="whole">'
               '<thead><tr><th></th><th class="n">kWh</th></tr></thead>'
               '<tbody>')
        yield row(say['active'], totals['active_uj'], 'active',
                  say['active_text'])
        yield row(say['allocated'], totals['it_uj'] - totals['active_uj'],
                  'allocated', say['allocated_text'])
        for term in ('idle', 'memory', 'host', 'platform'):
            yield row(say[term], totals[f'{term}_uj'], 'part',
                      say[f'{term}_text'])
        yield row(say['sum_it'], totals['it_uj'], 'sum')
        facility_uj = totals['facility_uj']
        if facility_uj is not None and totals['it_uj']:
            pue = answers.row(self._one)['pue']
            yield row(say['overhead'], facility_uj - totals['it_uj'],
                      'allocated', say['overhead_text'].format(
                          figures.decimal_text(_short(pue),
                                               self._language),
                          say['pue_kinds'].get(totals['pue_kind'], '')))
            yield row(say['sum_facility'], facility_uj, 'sum')
        yield '</tbody></table>'

    # --- servers ------------------------------------------------------------

    def _servers(self) -> Iterator[str]:
        say = self._words
        yield f'<h2>{_(say["instances"])}</h2>'
        if not self._found.servers:
            yield f'<p>{_(say["no_instances"])}</p>'
            return
        listed, rest, others = summary.largest(self._found.servers,
                                               self._most)
        columns = ['kwh_active', 'kwh_allocated', 'kwh_it', 'kwh_facility',
                   'kg']
        if self._currency:
            columns.append('cost')
        heads = {**say, 'cost': self._currency}
        wide = 10 if self._currency else 11.5
        yield ('<table class="servers"><colgroup><col>'
               '<col style="width:12%"><col style="width:6%">'
               + f'<col style="width:{wide}%">' * len(columns)
               + '</colgroup><thead><tr>'
               + ''.join(f'<th>{_(say[name])}</th>'
                         for name in ('instance', 'flavor'))
               + f'<th class="n">{_(say["days"])}</th>'
               + ''.join(
                   f'<th class="n">{_(heads[name])}</th>'
                   for name in columns) + '</tr></thead><tbody>')
        total = summary.Part()
        for name, part in listed:
            total.join(part)
            yield self._server(name, _cut(', '.join(sorted(part.flavors))),
                               str(len(part.days)), part)
        if rest is not None:
            total.join(rest)
            yield self._server(say['others'].format(others), '', '', rest)
        yield self._server(say['total'], '', '', total, 'sum')
        yield '</tbody></table>'
        note = say['kg_note']
        if rest is not None:
            note = f'{say["others_note"].format(len(listed))} {note}'
        yield f'<p class="small">{_(note)}</p>'

    def _server(self, name: str, flavor: str, days: str, part: summary.Part,
                kind: str = '') -> str:
        language, places = self._language, self._places
        cells = [figures.kwh(part.active_uj, language, places),
                 figures.kwh(part.allocated_uj, language, places),
                 figures.kwh(part.it_uj, language, places),
                 '–' if part.facility_uj is None
                 else figures.kwh(part.facility_uj, language, places),
                 '–' if part.location_ng is None
                 else figures.kilograms(part.location_ng, language, places)]
        if self._currency:
            cells.append('–' if part.cost is None else figures.money(
                part.cost, self._digits, language))
        return (f'<tr class="{kind}"><td>{_(name)}</td><td>{_(flavor)}</td>'
                f'<td class="n">{_(days)}</td>' + ''.join(
                    f'<td class="n">{_(cell)}</td>' for cell in cells)
                + '</tr>')

    # --- by what ------------------------------------------------------------

    def _factors(self) -> Iterator[str]:
        say, factors = self._words, self._one.head['factors']
        yield f'<h2>{_(say["factors"])}</h2>'
        if not factors:
            yield f'<p>{_(say["no_factors"])}</p>'
            return
        yield from self._table(
            ('site', 'kind', 'value', 'source', 'time'), (
                (one['site'], ' '.join(filter(None, (
                    say['factor_kinds'].get(one['kind'], one['kind']),
                    say['methods'].get(one.get('method'), ''),
                    say['known'].get(one.get('carrier'),
                                     one.get('carrier'))))),
                 self._factor_value(one), self._factor_source(one),
                 self._factor_time(one)) for one in factors))

    def _factor_value(self, one: Mapping[str, Any]) -> str:
        if one['kind'] == 'contract':
            share = figures.percent(one['share'], self._language)
            value = figures.decimal_text(one['kg_per_kwh'], self._language)
            return f'{share}, {value} kg/kWh'
        ends = [figures.decimal_text(_short(one[name]), self._language)
                for name in ('lowest', 'highest')]
        text = (ends[0] if ends[0] == ends[1]
                else str(self._words['range'].format(*ends)))
        return f'{text} {one.get("unit") or ""}'.strip() \
            if one['kind'] != 'pue' else text

    def _factor_source(self, one: Mapping[str, Any]) -> str:
        if one.get('pue_kind'):
            return str(self._words['pue_kinds'].get(one['pue_kind'],
                                                    one['pue_kind']))
        known = self._words['known']
        parts = [one.get('source'), *(
            known.get(one.get(name), one.get(name))
            for name in ('quality', 'basis'))]
        if one.get('revision'):
            parts.append(self._words['revision'].format(one['revision']))
        return ', '.join(filter(None, parts))

    def _factor_time(self, one: Mapping[str, Any]) -> str:
        if not one.get('start'):
            return ''
        where = units.zone(self._one.time_zone)
        first, last = (datetime.datetime.fromisoformat(one[name])
                       for name in ('start', 'end'))
        last -= datetime.timedelta(microseconds=1)
        return str(self._words['range'].format(*(
            self._date(moment.astimezone(where))
            for moment in (first, last))))

    def _tariffs(self) -> Iterator[str]:
        say, used = self._words, self._one.head['tariffs']
        if not used:
            return
        yield f'<h2>{_(say["tariffs"])}</h2>'
        yield from self._table(('tariff', 'price', 'basis', 'time'), (
            (one['name'], '; '.join(self._prices(one)), one['legal_basis'],
             self._factor_time(one)) for one in used))

    def _prices(self, one: Mapping[str, Any]) -> Iterator[str]:
        say, currency = self._words, one['currency']
        yield say['per_kwh'].format(
            figures.decimal_text(one['price_per_kwh'], self._language),
            currency, say['quantities'][one['quantity']])
        for window in one['windows']:
            yield say['window'].format(
                ' '.join(say['weekdays'][day] for day in window['days']),
                window['start'], window['end'], figures.decimal_text(
                    window['price_per_kwh'], self._language), currency)
        if one['co2_price_per_kg'] is not None:
            yield say['per_kg'].format(
                figures.decimal_text(one['co2_price_per_kg'],
                                     self._language), currency,
                say[f'{one["co2_method"]}_note'])

    def _table(self, columns: Iterable[str],
               rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
        yield '<table class="small"><thead><tr>' + ''.join(
            f'<th>{_(self._words[name])}</th>' for name in columns) \
            + '</tr></thead><tbody>'
        for row in rows:
            yield '<tr>' + ''.join(f'<td>{_(cell)}</td>'
                                   for cell in row) + '</tr>'
        yield '</tbody></table>'

    # --- what must be said --------------------------------------------------

    def _notes(self) -> Iterator[str]:
        say, totals = self._words, self._totals
        language, boundary = self._language, totals['boundary']
        names = answers.notice_names(boundary)
        notes = [' '.join(say['notices'][name] for name in names)]
        if boundary == 'mixed':
            notes[0] = f'{say["mixed_note"]} {notes[0]}'
        if self._found.servers:
            notes.append(say['method_note'].format(
                totals['policy'] or '–',
                say['boundaries'].get(boundary, boundary)))
        if totals['backfilled_uj'] and totals['it_uj']:
            notes.append(say['backfilled_note'].format(figures.percent(
                answers.row(self._one)['quality']['backfilled'], language)))
        shown = answers.row(self._one)
        if shown['renewable_share'] not in (None, '0.0000'):
            notes.append(say['renewable_note'].format(figures.percent(
                shown['renewable_share'], language)))
        if shown['water_l'] is not None and totals['water_ul']:
            notes.append(say['water_note'].format(figures.litres(
                totals['water_ul'], language)))
        notes.append(say['rounding_note'])
        if self._currency:
            notes.append(say['cost_rounding'])
        yield f'<h2>{_(say["notes"])}</h2><ul>' + ''.join(
            f'<li>{_(note)}</li>' for note in notes)
        yield (f'<li>{_(say["digest_note"])}<br>'
               f'<code>{_(self._one.digest)}</code></li></ul>')


def times_of(one: store.Stored) -> list[str]:
    """The days of a month, or the months of a year."""
    period = periods.period(one.period, one.time_zone)
    if len(one.period) == 4:
        return [f'{one.period}-{month:02d}' for month in range(1, 13)]
    return [period.day_of(start) for start, _ in period.days()]


def _(text: object) -> str:
    return html.escape(str(text))


def _cut(text: str) -> str:
    """What fits into a narrow column; the whole of it is in the CSV."""
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST - 1]}…'


def _css(text: str) -> str:
    """A text inside a string of a style sheet, inside HTML."""
    return ''.join(
        letter if letter.isalnum() or letter in ' ·()-_.,'
        else f'\\{ord(letter):x} ' for letter in text)


def _short(text: str) -> str:
    """A decimal with at most three places; what is less keeps its first.
    """
    whole, point, places = text.partition('.')
    if not point:
        return text
    kept = places[:3].rstrip('0')
    if not kept and whole.strip('-0') == '' and places.strip('0'):
        first = len(places) - len(places.lstrip('0'))
        kept = places[:first + 2].rstrip('0')
    return f'{whole}.{kept}' if kept else whole
