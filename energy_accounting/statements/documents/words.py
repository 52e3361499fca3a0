# SPDX-License-Identifier: Apache-2.0
"""What a statement says to people, in each language.  Texts only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy_accounting.statements.documents import german

ENGLISH: Mapping[str, Any] = {
    'title': 'Energy statement',
    'months': ('January', 'February', 'March', 'April', 'May', 'June',
               'July', 'August', 'September', 'October', 'November',
               'December'),
    'short_months': ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug',
                     'Sep', 'Oct', 'Nov', 'Dec'),
    'year': 'Year {0}', 'date': '{day} {month} {year}',
    'span': '{start} to {end}, time zone {zone}',
    'project': 'Project', 'operator': 'Operator (what belongs to no '
    'project)', 'domain': 'Domain', 'period': 'Period', 'state': 'State',
    'final': 'final, revision {0}', 'provisional': 'provisional',
    'provisional_note': 'Provisional: not every computer has reported up to '
    'the end of the period, or it is not over. These figures may change.',
    'replaces': 'Replaces revision {0}. Difference to it: {1} kWh of IT '
    'energy{2}.', 'closed': 'Closed', 'number': 'Statement',
    'it': 'Energy of your servers',
    'it_note': 'electricity of the computers, your share',
    'facility': 'With the building',
    'facility_note': 'cooling and power supply included',
    'location': 'CO₂e, grid average', 'location_note': 'location-based',
    'market': 'CO₂e, as purchased', 'market_note': 'market-based',
    'peak': 'Highest power', 'peak_note': 'mean of a quarter of an hour',
    'coverage': 'Measured', 'coverage_note': 'of the time of your servers',
    'cost': 'Amount', 'cost_note': 'without taxes',
    'unknown': 'not known',
    'chart_days': 'Energy of your servers by day, kWh',
    'chart_months': 'Energy of your servers by month, kWh',
    'chart_summary': 'Bars from {0} to {1} kWh; the exact figures are in '
    'the table of lines (CSV).',
    'parts': 'What it is made of',
    'active': 'In use (active)',
    'active_text': 'Caused by what your servers computed: it falls when '
    'they compute less.',
    'allocated': 'Allocated shares',
    'allocated_text': 'Shares of what the computers need in any case. They '
    'follow what you reserved, not what you computed.',
    'idle': 'Idle', 'idle_text': 'What processors draw at rest, by reserved '
    'processors and time.',
    'memory': 'Memory', 'memory_text': 'What memory draws, by reserved '
    'memory and time.',
    'host': 'Host system', 'host_text': 'What the computers compute to run '
    'your servers.',
    'platform': 'Platform', 'platform_text': 'Fans, disks, power supplies: '
    'what the meter of the computer shows beyond processors and memory.',
    'not_measured': 'not measured',
    'sum_it': 'Sum: energy of your servers (IT)',
    'overhead': 'Building', 'overhead_text': 'Cooling, power supply and '
    'lighting of the data centre, by its ratio to IT energy (PUE {0}, '
    '{1}).',
    'sum_facility': 'Sum: with the building',
    'pue_kinds': {'interval': 'metered at that time',
                  'iPUE': 'metered, over a longer time',
                  'PUE': 'metered, over twelve months',
                  'configured': 'as the operator states',
                  'mixed': 'from several sources'},
    'instances': 'Your servers', 'instance': 'Server', 'flavor': 'Size',
    'site': 'Site', 'days': 'Days', 'kwh_active': 'In use kWh',
    'kwh_allocated': 'Allocated kWh', 'kwh_it': 'Sum kWh',
    'kwh_facility': 'With building kWh', 'kg': 'CO₂e kg',
    'no_instances': 'No server of this project ran in this period.',
    'others': '{0} more servers', 'others_note': 'The {0} servers with the '
    'most energy are listed; all of them are in the web page and in the '
    'table of lines (CSV).',
    'total': 'Sum', 'kg_note': 'CO₂e by grid average.',
    'factors': 'Factors that were used', 'kind': 'What', 'value': 'Value',
    'source': 'Source', 'time': 'Time', 'no_factors': 'None: for the sites '
    'of these servers nobody has stated factors or meters, so that energy '
    'with the building and CO₂e are not known.',
    'factor_kinds': {'pue': 'PUE', 'carbon': 'CO₂e of electricity',
                     'contract': 'Purchased electricity'},
    'methods': {'location': 'grid average', 'market': 'residual mix',
                None: ''},
    'known': {'actual': 'actual', 'estimated': 'estimated',
              'forecast': 'forecast', 'fallback': 'fallback',
              'lifecycle': 'whole life cycle', 'direct': 'direct emissions',
              'electricity': '', 'solar': 'own solar plant',
              'generator': 'own generator', 'diesel': 'diesel',
              'gas': 'gas', 'hydrogen': 'hydrogen',
              'bioethanol': 'bioethanol', 'heat': 'district heating',
              'cooling': 'district cooling', None: ''},
    'revision': 'revision {0}', 'range': '{0} to {1}',
    'tariffs': 'Prices', 'tariff': 'Tariff', 'basis': 'Legal basis',
    'price': 'Price', 'per_kwh': '{0} {1} per kWh {2}',
    'per_kg': '{0} {1} per kg CO₂e ({2})',
    'quantities': {'it': '(energy of the servers)',
                   'facility': '(with the building)'},
    'window': '{0} {1} to {2}: {3} {4} per kWh',
    'weekdays': {'mon': 'Mon', 'tue': 'Tue', 'wed': 'Wed', 'thu': 'Thu',
                 'fri': 'Fri', 'sat': 'Sat', 'sun': 'Sun'},
    'notes': 'Please note',
    'notices': {
        'rapl': 'This statement is an allocated share of energy estimated '
                'from processor counters.',
        'metered': 'This statement is an allocated share of metered energy.',
        'not_legal_for_trade': 'This statement is not a legal-for-trade '
                               'measurement.'},
    'mixed_note': 'Some computers are metered as a whole, of others only '
    'the processor counters are read:',
    'rounding_note': 'Figures here are rounded for reading; the statement '
    'itself is exact (microjoules).',
    'cost_rounding': 'Amounts: the sum is rounded once, half up; the lines '
    'of days and servers are rounded so that they sum to it.',
    'method_note': 'Method {0}; boundary of the measurement: {1}.',
    'boundaries': {'rapl': 'processors and memory (counters)',
                   'node': 'whole computers (metered)',
                   'mixed': 'several', None: 'none'},
    'backfilled_note': '{0} of the energy was booked from counters after an '
    'interruption.',
    'renewable_note': '{0} of the electricity is from renewable sources, '
    'by contracts whose certificates are retired.',
    'water_note': 'Water used by the data centre for it: {0} l.',
    'digest_note': 'Digest (SHA-256) of the exact content, the JSON '
    'document of this statement:',
    'page': 'Page {0} of {1}',
}

LANGUAGES = {'en': ENGLISH, 'de': german.GERMAN}
