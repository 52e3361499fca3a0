# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pathlib
import re

from oslo_context import context as oslo_context
from oslotest import base

from energy_accounting import errors
from energy_accounting.api import policies
from tests.unit.api import cloud

SAMPLE = (pathlib.Path(__file__).parents[3] / 'etc' / 'energy-accounting'
          / 'policy.yaml.sample')
ADMINS = {'admin-p1', 'admin-p2'}
BILLING = {*ADMINS, 'billing-p2'}
READERS = {*ADMINS, *(
    f'{role}-{project}' for role in ('reader', 'member', 'manager')
    for project in ('p1', 'p2'))}

# Who is let through by each rule, for the project p1 and the domain d1.
TABLE = {
    policies.USAGE: {*ADMINS, 'reader-p1', 'member-p1', 'manager-p1'},
    policies.USAGE_DOMAIN: {'manager-d1', 'admin-d1', 'lone-admin-d1'},
    policies.USAGE_ALL_PROJECTS: ADMINS,
    policies.BALANCE: ADMINS,
    policies.HOSTS: ADMINS,
    policies.HOSTS_CREATE: ADMINS,
    policies.HOSTS_UPDATE: ADMINS,
    policies.QUARANTINE: ADMINS,
    policies.QUARANTINE_UPDATE: ADMINS,
    policies.AUDIT: ADMINS,
    policies.FACTORS: READERS,
    policies.FACTORS_CREATE: ADMINS,
    policies.FACTORS_DELETE: ADMINS,
    policies.CONTRACTS: ADMINS,
    policies.CONTRACTS_CREATE: ADMINS,
    policies.CONTRACTS_DELETE: ADMINS,
    policies.METRICS: ADMINS,
    policies.HEALTH: ADMINS,
    policies.STATEMENTS: {*ADMINS, 'reader-p1', 'member-p1', 'manager-p1',
                          'billing-p2'},
    policies.STATEMENTS_ALL_PROJECTS: BILLING,
    policies.STATEMENTS_CREATE: BILLING,
    policies.TARIFFS: BILLING,
    policies.TARIFFS_CREATE: BILLING,
    policies.TARIFFS_DELETE: BILLING,
    policies.EXPORTS: BILLING,
    policies.EXPORTS_CREATE: BILLING,
    policies.EXPORTS_UPDATE: BILLING,
    policies.SITES: READERS,
    policies.KPIS: READERS,
    policies.SITES_CREATE: ADMINS,
    policies.SITES_UPDATE: ADMINS,
    policies.METERS: ADMINS,
    policies.METERS_CREATE: ADMINS,
    policies.METERS_UPDATE: ADMINS,
    policies.READINGS: ADMINS,
    policies.READINGS_CREATE: ADMINS,
}


def contexts() -> dict[str, oslo_context.RequestContext]:
    found = {}
    for name, persona in cloud.PERSONAS.items():
        found[name] = oslo_context.RequestContext(
            overwrite=False, user_id='u', roles=list(persona['roles']),
            project_id=persona.get('project_id'),
            domain_id=persona.get('domain_id'),
            system_scope='all' if 'system' in persona else None)
    return found


class PoliciesTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.enforcer = policies.make_enforcer(cloud.configure(self))

    def test_every_rule_lets_the_right_personas_through(self) -> None:
        for rule, expected in TABLE.items():
            passed = set()
            for name, context in contexts().items():
                try:
                    policies.authorize(
                        self.enforcer, context, rule,
                        {'project_id': 'p1', 'domain_id': 'd1'})
                except errors.Forbidden as error:
                    self.assertIn(rule, str(error))
                else:
                    passed.add(name)
            self.assertEqual(expected, passed, rule)

    def test_every_rule_is_in_the_table(self) -> None:
        rules = {rule.name for rule in policies.list_rules()}
        self.assertEqual(
            rules - {'admin_api', 'billing', 'project_reader',
                     'domain_manager'},
            set(TABLE))

    def test_names_follow_the_pattern(self) -> None:
        for rule in TABLE:
            self.assertRegex(
                rule, '^energy:[a-z]+:(get|create|update|delete)'
                      '(:all_projects|:domain)?$')

    def test_an_operators_file_overrides_a_default(self) -> None:
        path = self.create_tempfiles(
            [('policy', f'"{policies.HOSTS}": "role:service"\n')],
            '.yaml')[0]
        enforcer = policies.make_enforcer(cloud.configure(
            self, oslo_policy=f'policy_file = {path}'))
        found = contexts()
        self.assertTrue(policies.allowed(
            enforcer, found['service-p1'], policies.HOSTS, {}))
        self.assertFalse(policies.allowed(
            enforcer, found['admin-p1'], policies.HOSTS, {}))

    def test_the_sample_in_the_tree_is_not_stale(self) -> None:
        names = re.findall(r'^#?"([^"]+)":', SAMPLE.read_text(),
                           re.MULTILINE)
        self.assertEqual(
            sorted(rule.name for rule in policies.list_rules()),
            sorted(names), 'run: tox -e genpolicy')
        for rule in policies.list_rules():
            self.assertIn(f'"{rule.name}": "{rule.check_str}"',
                          SAMPLE.read_text(), 'run: tox -e genpolicy')
