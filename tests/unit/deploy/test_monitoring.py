# SPDX-License-Identifier: Apache-2.0
"""Alarms and the dashboard speak of what there is to scrape."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
from typing import Any

import fixtures
import prometheus_client
import testtools
import yaml

from energy_accounting.api.controllers import metrics as exposition
from energy_accounting.ledger import gauges
from energy_accounting.report import metrics

ROOT = pathlib.Path(__file__).parents[3]
RULES = ROOT / 'deploy' / 'prometheus' / 'energy-accounting.rules.yml'
DASHBOARD = ROOT / 'deploy' / 'grafana' / 'energy-accounting.json'
MONITORING = ROOT / 'doc' / 'source' / 'admin' / 'monitoring.rst'


SOME = gauges.Gauges({'enrolled': 1}, {('c1', 's'): 1}, frozenset(),
                     {'x': 1}, {'x': 1}, 1, 1)


def scraped() -> dict[str, set[str]]:
    """Names in /metrics, with the labels of each."""
    return {family.name + ('_total' if family.kind == metrics.COUNTER
                           else ''): set(family.labels)
            for family in metrics.families(SOME, 2)}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())['groups']
            for rule in group['rules']]


def expressions() -> list[str]:
    return [*(rule['expr'] for rule in rules()),
            *(target['expr'] for panel in
              json.loads(DASHBOARD.read_text())['panels']
              for target in panel['targets'])]


class Monitoring(testtools.TestCase):

    def promtool(self, *arguments: str, given: bytes = b'') -> str:
        program = shutil.which('promtool')
        if program is None:
            reason = 'promtool is not installed: run tools/run-tests'
            if os.environ.get('CI') or os.environ.get('EA_TEST_REQUIRE'):
                self.fail(reason)
            self.skipTest(reason)
        done = subprocess.run([program, *arguments], input=given,
                              capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode()
        self.assertEqual(0, done.returncode, said)
        return said

    def test_a_metric_is_not_scraped(self):
        there = scraped()
        used = set()
        for expression in expressions():
            for name, labels in re.findall(
                    r'\b(energy_accounting_\w+)(?:\{([^}]*)\})?', expression):
                self.assertIn(name, there, expression)
                self.assertLessEqual(
                    set(re.findall(r'(\w+)=', labels)), there[name])
                used.add(name)
        self.assertEqual(set(there), used)

    def test_a_figure_doubles_with_the_apis_that_are_scraped(self):
        # Each says the same of one ledger.
        for expression in expressions():
            bare = re.sub(r'absent\(\w+\)|max( by \([^)]*\))?\s*'
                          r'\((\w+\()?energy_accounting_\w+', '',
                          expression)
            self.assertNotIn('energy_accounting_', bare, expression)

    def test_prometheus_does_not_take_the_rules(self):
        # Of the dashboard, too: each expression as a rule.
        where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        panels = where / 'panels.yml'
        panels.write_text(json.dumps({'groups': [{'name': 'x', 'rules': [
            {'record': f'panel:{number}', 'expr': expression} for
            number, expression in enumerate(expressions())]}]}))
        self.promtool('check', 'rules', str(RULES), str(panels))

    def test_prometheus_does_not_like_a_metric(self):
        owned = {'project_id': 'p', 'it_kwh': '1.5', 'co2_location_kg': '2'}
        for found in (metrics.families(SOME, 2),
                      metrics.tenants([owned], {'p': 'web "shop"'})):
            said = self.promtool(
                'check', 'metrics', given=prometheus_client.generate_latest(
                    exposition._Families(found)))
            self.assertEqual('', said.strip())

    def test_an_alarm_is_not_heard(self):
        where = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        text = (pathlib.Path(__file__).parent / 'alerts_test.yml').read_text()
        (where / 'test.yml').write_text(text.replace('RULES', str(RULES)))
        self.promtool('test', 'rules', str(where / 'test.yml'))
        for rule in rules():
            self.assertEqual(
                2, text.count(f'alertname: {rule["alert"]}'), rule['alert'])

    def test_nobody_says_what_to_do(self):
        text = MONITORING.read_text()
        for rule in rules():
            self.assertIn(f'``{rule["alert"]}``', text)
        for name in scraped():
            self.assertIn(f'``{name}``', text)
