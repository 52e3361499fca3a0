# SPDX-License-Identifier: Apache-2.0
"""What a statement says to people, in each language.  Texts only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

GERMAN: Mapping[str, Any] = {
    'title': 'Energienachweis',
    'months': ('Januar', 'Februar', 'März', 'April', 'Mai', 'Juni', 'Juli',
               'August', 'September', 'Oktober', 'November', 'Dezember'),
    'short_months': ('Jan', 'Feb', 'Mär', 'Apr', 'Mai', 'Jun', 'Jul', 'Aug',
                     'Sep', 'Okt', 'Nov', 'Dez'),
    'year': 'Jahr {0}', 'date': '{day}. {month} {year}',
    'span': '{start} bis {end}, Zeitzone {zone}',
    'project': 'Projekt', 'operator': 'Betreiber (was zu keinem Projekt '
    'gehört)', 'domain': 'Domäne', 'period': 'Zeitraum', 'state': 'Stand',
    'final': 'endgültig, Revision {0}', 'provisional': 'vorläufig',
    'provisional_note': 'Vorläufig: Noch haben nicht alle Rechner bis zum '
    'Ende des Zeitraums gemeldet, oder er ist noch nicht vorbei. Die Zahlen '
    'können sich ändern.',
    'replaces': 'Ersetzt Revision {0}. Unterschied zu ihr: {1} kWh '
    'IT-Energie{2}.', 'closed': 'Abgeschlossen', 'number': 'Nachweis',
    'it': 'Energie Ihrer Server',
    'it_note': 'Strom der Rechner, Ihr Anteil',
    'facility': 'Mit dem Gebäude',
    'facility_note': 'samt Kühlung und Stromversorgung',
    'location': 'CO₂e, Netzdurchschnitt', 'location_note': 'ortsbasiert',
    'market': 'CO₂e, wie eingekauft', 'market_note': 'marktbasiert',
    'peak': 'Höchste Leistung', 'peak_note': 'Mittel einer Viertelstunde',
    'coverage': 'Gemessen', 'coverage_note': 'der Zeit Ihrer Server',
    'cost': 'Betrag', 'cost_note': 'ohne Steuern',
    'unknown': 'nicht bekannt',
    'chart_days': 'Energie Ihrer Server je Tag, kWh',
    'chart_months': 'Energie Ihrer Server je Monat, kWh',
    'chart_summary': 'Balken von {0} bis {1} kWh; die genauen Zahlen stehen '
    'in der Tabelle der Zeilen (CSV).',
    'parts': 'Woraus sie besteht',
    'active': 'In Benutzung (aktiv)',
    'active_text': 'Verursacht durch das, was Ihre Server gerechnet haben: '
    'Es sinkt, wenn sie weniger rechnen.',
    'allocated': 'Zugeordnete Anteile',
    'allocated_text': 'Anteile an dem, was die Rechner ohnehin brauchen. '
    'Sie folgen dem, was Sie reserviert, nicht dem, was Sie gerechnet '
    'haben.',
    'idle': 'Leerlauf', 'idle_text': 'Was Prozessoren in Ruhe aufnehmen, '
    'nach reservierten Prozessoren und Zeit.',
    'memory': 'Arbeitsspeicher', 'memory_text': 'Was der Arbeitsspeicher '
    'aufnimmt, nach reserviertem Speicher und Zeit.',
    'host': 'Wirtssystem', 'host_text': 'Was die Rechner selbst rechnen, um '
    'Ihre Server zu betreiben.',
    'platform': 'Plattform', 'platform_text': 'Lüfter, Platten, Netzteile: '
    'was der Zähler des Rechners über Prozessoren und Speicher hinaus '
    'zeigt.',
    'not_measured': 'nicht gemessen',
    'sum_it': 'Summe: Energie Ihrer Server (IT)',
    'overhead': 'Gebäude', 'overhead_text': 'Kühlung, Stromversorgung und '
    'Licht des Rechenzentrums, nach ihrem Verhältnis zur IT-Energie '
    '(PUE {0}, {1}).',
    'sum_facility': 'Summe: mit dem Gebäude',
    'pue_kinds': {'interval': 'zur selben Zeit gemessen',
                  'iPUE': 'gemessen, über längere Zeit',
                  'PUE': 'gemessen, über zwölf Monate',
                  'configured': 'Angabe des Betreibers',
                  'mixed': 'aus mehreren Quellen'},
    'instances': 'Ihre Server', 'instance': 'Server', 'flavor': 'Größe',
    'site': 'Standort', 'days': 'Tage', 'kwh_active': 'Benutzung kWh',
    'kwh_allocated': 'Zugeordnet kWh', 'kwh_it': 'Summe kWh',
    'kwh_facility': 'Mit Gebäude kWh', 'kg': 'CO₂e kg',
    'no_instances': 'In diesem Zeitraum lief kein Server dieses Projekts.',
    'others': '{0} weitere Server', 'others_note': 'Aufgeführt sind die {0} '
    'Server mit der meisten Energie; alle stehen in der Webseite und in der '
    'Tabelle der Zeilen (CSV).',
    'total': 'Summe', 'kg_note': 'CO₂e nach Netzdurchschnitt.',
    'factors': 'Verwendete Faktoren', 'kind': 'Was', 'value': 'Wert',
    'source': 'Quelle', 'time': 'Zeit', 'no_factors': 'Keine: Für die '
    'Standorte dieser Server hat niemand Faktoren oder Zähler angegeben; '
    'Energie mit dem Gebäude und CO₂e sind daher nicht bekannt.',
    'factor_kinds': {'pue': 'PUE', 'carbon': 'CO₂e des Stroms',
                     'contract': 'Eingekaufter Strom'},
    'methods': {'location': 'Netzdurchschnitt', 'market': 'Residualmix',
                None: ''},
    'known': {'actual': 'tatsächlich', 'estimated': 'geschätzt',
              'forecast': 'Vorhersage', 'fallback': 'Ersatzwert',
              'lifecycle': 'ganzer Lebensweg',
              'direct': 'unmittelbare Emissionen', 'electricity': '',
              'solar': 'eigene Solaranlage',
              'generator': 'eigener Generator', 'diesel': 'Diesel',
              'gas': 'Gas', 'hydrogen': 'Wasserstoff',
              'bioethanol': 'Bioethanol', 'heat': 'Fernwärme',
              'cooling': 'Fernkälte', None: ''},
    'revision': 'Revision {0}', 'range': '{0} bis {1}',
    'tariffs': 'Preise', 'tariff': 'Tarif', 'basis': 'Rechtsgrundlage',
    'price': 'Preis', 'per_kwh': '{0} {1} je kWh {2}',
    'per_kg': '{0} {1} je kg CO₂e ({2})',
    'quantities': {'it': '(Energie der Server)',
                   'facility': '(mit dem Gebäude)'},
    'window': '{0} {1} bis {2}: {3} {4} je kWh',
    'weekdays': {'mon': 'Mo', 'tue': 'Di', 'wed': 'Mi', 'thu': 'Do',
                 'fri': 'Fr', 'sat': 'Sa', 'sun': 'So'},
    'notes': 'Bitte beachten',
    'notices': {
        'rapl': 'Dieser Nachweis ist ein zugeordneter Anteil an Energie, '
                'die aus Zählern der Prozessoren geschätzt ist.',
        'metered': 'Dieser Nachweis ist ein zugeordneter Anteil an '
                   'gemessener Energie.',
        'not_legal_for_trade': 'Dieser Nachweis ist keine '
                               'eichrechtskonforme Messung.'},
    'mixed_note': 'Einige Rechner sind als Ganzes gemessen, von anderen '
    'werden nur die Zähler der Prozessoren gelesen:',
    'rounding_note': 'Die Zahlen hier sind zum Lesen gerundet; der Nachweis '
    'selbst ist genau (Mikrojoule).',
    'cost_rounding': 'Beträge: Die Summe ist einmal kaufmännisch gerundet; '
    'die Zeilen der Tage und Server sind so gerundet, dass sie die Summe '
    'ergeben.',
    'method_note': 'Verfahren {0}; Grenze der Messung: {1}.',
    'boundaries': {'rapl': 'Prozessoren und Speicher (deren Zähler)',
                   'node': 'ganze Rechner (gemessen)',
                   'mixed': 'mehrere', None: 'keine'},
    'backfilled_note': '{0} der Energie wurden nach einer Unterbrechung aus '
    'Zählerständen gebucht.',
    'renewable_note': '{0} des Stroms sind aus erneuerbaren Quellen, nach '
    'Verträgen, deren Nachweise entwertet sind.',
    'water_note': 'Wasser, das das Rechenzentrum dafür gebraucht hat: '
    '{0} l.',
    'digest_note': 'Prüfsumme (SHA-256) des genauen Inhalts, des '
    'JSON-Dokuments dieses Nachweises:',
    'page': 'Seite {0} von {1}',
}

LANGUAGES = {'en': ENGLISH, 'de': GERMAN}
