# SPDX-License-Identifier: Apache-2.0
"""Words of the API in the reader's language, and how dates are written.

A word that is new to this page is shown as the API has it: better than
nothing, and never wrong.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from energy_accounting import client
from energy_accounting.dashboard import numbers, periods

TERMS = (
    ('active', 'active_kwh', gettext_lazy('Active'),
     gettext_lazy('what the servers computed')),
    ('idle', 'idle_kwh', gettext_lazy('Idle'),
     gettext_lazy('what their reservation kept ready')),
    ('memory', 'memory_kwh', gettext_lazy('Memory'),
     gettext_lazy('their memory')),
    ('host', 'host_kwh', gettext_lazy('Host'),
     gettext_lazy("their share of the hosts' own work")),
    ('platform', 'platform_kwh', gettext_lazy('Platform'),
     gettext_lazy('fans, disks, power supplies')))
BUILDING = ('building', gettext_lazy('Building'), gettext_lazy(
    'cooling, power supply and all else of the data centre'))

BOUNDARIES = {
    'rapl': gettext_lazy('processors and memory, a lower bound of what the '
                         'whole servers draw'),
    'node': gettext_lazy('whole servers, at their power supply'),
    'mixed': gettext_lazy('partly processors and memory only, partly whole '
                          'servers')}
PUE_KINDS = {
    'interval': gettext_lazy("of its own quarters of an hour, from the "
                             "building's meters"),
    'iPUE': gettext_lazy('of days or months around it'),
    'PUE': gettext_lazy('of twelve months'),
    'configured': gettext_lazy('a number that the operator has set'),
    'mixed': gettext_lazy('of different kinds')}
QUALITIES = {
    'actual': gettext_lazy('measured values of the grid'),
    'estimated': gettext_lazy('estimated values'),
    'forecast': gettext_lazy('forecast values'),
    'fallback': gettext_lazy('yearly values that stand in'),
    'mixed': gettext_lazy('values of different quality')}
REASONS = {
    'idle_capacity': gettext_lazy('kept ready, and nobody reserved it'),
    'free_memory': gettext_lazy('memory that nobody reserved'),
    'ended': gettext_lazy('of servers that ended before they were read'),
    'host': gettext_lazy('of hosts without servers'),
    'platform': gettext_lazy('beyond processors and memory, while these '
                             'counted nothing'),
    'no_activity': gettext_lazy('nobody was active'),
    'too_many': gettext_lazy('of more servers than a record holds'),
    'unreadable': gettext_lazy('of servers that could not be read')}
GAPS = {
    'reboot': gettext_lazy('the host was restarted'),
    'reset': gettext_lazy('the counters began anew'),
    'too_long': gettext_lazy('nobody read the counters for too long'),
    'unreadable': gettext_lazy('the meter could not be read'),
    'lost': gettext_lazy('the record was damaged on the host'),
    'not_understood': gettext_lazy('the record cannot be understood'),
    'new_stream': gettext_lazy('the host lost its records'),
    'skipped': gettext_lazy('the host did not send them'),
    'discarded': gettext_lazy('an operator discarded the record')}
CODES = {
    'schema': gettext_lazy('malformed'),
    'newer': gettext_lazy('of a newer version'),
    'sum': gettext_lazy('does not add up'),
    'implausible': gettext_lazy('more than the host can draw'),
    'future': gettext_lazy('from the future'),
    'conflict': gettext_lazy('its number is taken'),
    'overlap': gettext_lazy('its time is taken'),
    'key': gettext_lazy('signed by another key'),
    'not_enrolled': gettext_lazy('the host is not enrolled'),
    'refused': gettext_lazy('the database refused it'),
    'too_large': gettext_lazy('too large')}
HELD_STATES = {
    'held': gettext_lazy('To be decided'),
    'released': gettext_lazy('Released'),
    'discarded': gettext_lazy('Discarded')}
STATEMENT_STATES = {
    'provisional': gettext_lazy('provisional'),
    'final': gettext_lazy('final')}
EXPORT_STATES = {
    'planned': gettext_lazy('planned'),
    'sent': gettext_lazy('sent'),
    'confirmed': gettext_lazy('confirmed'),
    'failed': gettext_lazy('failed'),
    'cancelled': gettext_lazy('given up')}
HOST_STATES = {
    'enrolled': gettext_lazy('enrolled'),
    'retired': gettext_lazy('retired'),
    'pending': gettext_lazy('not enrolled yet')}
IDLE_KINDS = {
    'configured': gettext_lazy('configured'),
    'measured': gettext_lazy('measured'),
    'provisional': gettext_lazy('not known yet')}
ZONES = {
    'package': gettext_lazy('processors'),
    'dram': gettext_lazy('memory'),
    'node': gettext_lazy('whole server')}
METHODS = {
    'location': gettext_lazy('location-based'),
    'market': gettext_lazy('market-based')}
FIGURES = {
    'PUE': gettext_lazy('energy of the site for each kWh of IT; 1 is '
                        'perfect'),
    'DCiE': gettext_lazy('the share of the energy that reaches IT'),
    'REF': gettext_lazy('renewable share'),
    'ERF': gettext_lazy('share of the energy that is used again as heat'),
    'ERE': gettext_lazy('as PUE, less what is used again'),
    'CER': gettext_lazy('heat removed for each kWh of cooling: of the '
                        'cooling only'),
    'CUE': gettext_lazy('CO₂ for each kWh of IT'),
    'WUE': gettext_lazy('water for each kWh of IT'),
    'ITEEsv': gettext_lazy('computing power for each kW of the servers'),
    'ITEUsv': gettext_lazy('mean use of the processors')}
REFUSALS = {
    periods.NOT_A_MONTH: gettext_lazy(
        'This is not a month: choose one of the list.'),
    periods.NOT_A_DATE: gettext_lazy(
        'This is not a date: write year-month-day, for example '
        '2026-11-01.'),
    periods.HALF_A_RANGE: gettext_lazy(
        'A range needs its first and its last day: give both.'),
    periods.BACKWARDS: gettext_lazy(
        'The last day is before the first one: exchange them.'),
    periods.FUTURE: gettext_lazy(
        'This has not begun: nothing is known of the future.'),
    periods.TOO_LONG: gettext_lazy(
        'This is longer than three years: choose less.'),
    periods.TOO_EARLY: gettext_lazy(
        'This is before the year 2000: choose a later time.')}


def signs() -> numbers.Signs:
    """How numbers are written in the reader's language."""
    return numbers.Signs(str(formats.get_format('DECIMAL_SEPARATOR')),
                         str(formats.get_format('THOUSAND_SEPARATOR')))


def day(date: datetime.date) -> str:
    """A date as it is spoken: 26 Nov 2026."""
    # Translators: Django's letters for a date, see its filter "date".
    return formats.date_format(date, pgettext('date', 'j M Y'))


def short_day(date: datetime.date) -> str:
    """A date without its year."""
    return formats.date_format(date, pgettext('date without year', 'j M'))


def month(date: datetime.date) -> str:
    return formats.date_format(date, 'F Y')


def period_name(text: str) -> str:
    """A month or a year of the API."""
    return text if len(text) == 4 else month(
        datetime.date.fromisoformat(f'{text}-01'))


def moment(text: str | None, where: datetime.tzinfo) -> str:
    """A time of the API in the reader's zone, to the minute."""
    if text is None:
        return numbers.UNKNOWN
    local = datetime.datetime.fromisoformat(text).astimezone(where)
    return f'{day(local)}, {local:%H:%M}'


def span(start: datetime.datetime, end: datetime.datetime,
         where: datetime.tzinfo) -> str:
    """A half-open period as people name it: by its last day, not the next.
    """
    first = start.astimezone(where)
    last = (end - datetime.timedelta(microseconds=1)).astimezone(where)
    if first.date() == last.date():
        return day(first)
    if first.year == last.year:
        return f'{short_day(first)} – {day(last)}'
    return f'{day(first)} – {day(last)}'


def step(start: datetime.datetime, resolution: str,
         where: datetime.tzinfo) -> str:
    """The name of a part of a period."""
    local = start.astimezone(where)
    if resolution == 'hour':
        return f'{short_day(local)}, {local:%H:%M}'
    return month(local) if resolution == 'month' else day(local)


def tick(start: datetime.datetime, resolution: str, where: datetime.tzinfo,
         ) -> str:
    """The same, as short as an axis wants it."""
    local = start.astimezone(where)
    if resolution == 'hour':
        return f'{local:%H:%M}'
    return formats.date_format(local, 'M' if resolution == 'month' else 'j')


def failure(error: client.Error) -> str:
    """Why there is nothing to see."""
    if isinstance(error, client.TimedOut):
        return _('The energy service did not answer in time. Try again, or '
                 'choose a shorter time.')
    if isinstance(error, client.Unavailable):
        return _('The energy service cannot be reached at the moment. What '
                 'was used meanwhile is still measured and not lost; this '
                 'page cannot show it.')
    if isinstance(error, client.Unauthorized):
        return _('The energy service did not accept your sign-in. Sign out '
                 'and in again; if that does not help, tell your operator.')
    if isinstance(error, client.Forbidden):
        return _('You may not read this: it needs another role in this '
                 'project.')
    return _('The energy service could not answer.')


def hours(seconds: int) -> str:
    """A length of time in words."""
    if seconds < 120:
        return ngettext('%(count)d second', '%(count)d seconds',
                        seconds) % {'count': seconds}
    if seconds < 7200:
        return ngettext('%(count)d minute', '%(count)d minutes',
                        seconds // 60) % {'count': seconds // 60}
    if seconds < 172800:
        return ngettext('%(count)d hour', '%(count)d hours',
                        seconds // 3600) % {'count': seconds // 3600}
    return ngettext('%(count)d day', '%(count)d days',
                    seconds // 86400) % {'count': seconds // 86400}


def known(word: str | None, of: Mapping[str, object]) -> str:
    """A word of the API in the reader's language, or as it is."""
    if word is None:
        return numbers.UNKNOWN
    return str(of.get(word, word))


def zones(basis: Sequence[str]) -> str:
    """What is counted of a host: 2 × processors, 2 × memory."""
    counts: dict[str, int] = {}
    for zone in basis:
        kind = zone.rpartition('-')[0] or zone
        counts[kind] = counts.get(kind, 0) + 1
    return ', '.join(
        known(kind, ZONES) if count == 1
        else f'{count} × {known(kind, ZONES)}'
        for kind, count in sorted(counts.items(), reverse=True)
    ) or numbers.UNKNOWN
