# SPDX-License-Identifier: Apache-2.0
"""What a statement says to people in German.  Texts only; as ``words``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
