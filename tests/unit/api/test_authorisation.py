# SPDX-License-Identifier: Apache-2.0
"""Who may do what, asked of the whole pipeline.

Made of the list of rules, the list of endpoints and the personas of
``cloud``: a rule that ``test_policies.TABLE`` does not know, and an endpoint
that names no rule, fail here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import webob
from oslo_policy import policy

from energy_accounting import units
from energy_accounting.api import app, policies, schemas
from tests.unit.api import cloud
from tests.unit.api.test_policies import TABLE

USAGE = '/v1/usage'
# What must be asked for to meet a rule that shares its path with others.
MEETS: Mapping[str, dict[str, str]] = {
    policies.USAGE: {'project': 'p1'},
    policies.USAGE_ALL_PROJECTS: {'all_projects': 'true'},
    policies.STATEMENTS_ALL_PROJECTS: {'all_projects': 'true'}}
# Whose own project is asked about where nobody is named.
OWN = {policies.STATEMENTS: {'reader-p2', 'member-p2', 'manager-p2'}}
# Who has nothing but a token of the right scope.
NOBODY = {'project': 'nothing-p1', 'domain': 'nothing-d1'}


def rules() -> list[Any]:
    """Every rule that guards something."""
    return [rule for rule in policies.list_rules()
            if isinstance(rule, policy.DocumentedRuleDefault)]


def calls(rule: Any, item: str = 'compute-1') -> Iterator[tuple[str, str]]:
    """Every (method, path) that a rule guards."""
    for operation in rule.operations:
        yield operation['method'], operation['path'].format(
            name=item, id='1')


class Knocking(cloud.ApiCase):

    def knock(self, method: str, path: str, token: str | None,
              body: Any = None, **query: str) -> webob.Response:
        """Ask with a body that is no use: nothing changes for anybody."""
        answer = self.ask(
            path, token, method=method, **query,
            body=(body or {}) if method in ('POST', 'PATCH') else None)
        self.assertLess(answer.status_int, 500, f'{method} {path}')
        return answer


class EveryRuleTest(Knocking):

    def test_a_rule_lets_another_persona_through(self) -> None:
        wrong = []
        for rule in rules():
            for method, path in calls(rule):
                for token in cloud.PERSONAS:
                    status = self.knock(
                        method, path, token,
                        **MEETS.get(rule.name, {})).status_int
                    expected = (token in TABLE[rule.name]
                                or token in OWN.get(rule.name, ()))
                    if path == USAGE:
                        expected |= token in TABLE[policies.USAGE_ALL_PROJECTS]
                        if rule.name == policies.USAGE_DOMAIN:
                            # Without a word each sees the own scope.
                            expected = bool(visible(token))
                    if (status != 403) != expected:
                        wrong.append((rule.name, method, path, token, status))
        self.assertEqual([], wrong)

    def test_an_endpoint_has_no_rule(self) -> None:
        guarded = {(operation['method'], operation['path'])
                   for rule in rules() for operation in rule.operations}
        self.assertEqual(
            {key for key, endpoint in schemas.ENDPOINTS.items()
             if endpoint.token}, guarded)

    def test_a_rule_is_not_asked(self) -> None:
        for rule in rules():
            (scope,) = rule.scope_types
            allowed = min(TABLE[rule.name])
            for check, token, passes in (('!', allowed, False),
                                         ('@', NOBODY[scope], True)):
                path = self.create_tempfiles(
                    [('policy', f'"{rule.name}": "{check}"\n')], '.yaml')[0]
                self.app = app.make_app(
                    cloud.configure(self,
                                    oslo_policy=f'policy_file = {path}'),
                    self.database, clock=lambda: self.now)
                for method, path in calls(rule):
                    answer = self.knock(method, path, token,
                                        **MEETS.get(rule.name, {}))
                    self.assertEqual(
                        passes, answer.status_int != 403,
                        f'{rule.name} {check}: {method} {path} {token}')

    def test_head_lets_another_persona_through_than_get(self) -> None:
        for (method, path), endpoint in schemas.ENDPOINTS.items():
            if method == 'GET':
                path = path.format(name='compute-1', id='1')
                for token in (cloud.PERSONAS if endpoint.token else (None,)):
                    answer = self.ask(path, token, method='HEAD')
                    self.assertEqual(
                        (self.ask(path, token).status_int, b''),
                        (answer.status_int, answer.body),
                        f'{path} {token}')

    def test_nobody_is_let_through_without_a_token(self) -> None:
        for (method, path), endpoint in schemas.ENDPOINTS.items():
            if endpoint.token:
                path = path.format(name='compute-1', id='1')
                for token in (None, 'forged'):
                    self.assertEqual(401, self.knock(
                        method, path, token).status_int, f'{method} {path}')

    def test_who_is_refused_learns_something(self) -> None:
        """Whether there is such an item, or what a body should hold.

        Of two who may not: that nobody else may is shown above.
        """
        for rule in rules():
            if rule.name.startswith('energy:usage:'):
                continue
            allowed = TABLE[rule.name] | OWN.get(rule.name, set())
            refused = sorted({*cloud.PERSONAS} - allowed)
            for token in {refused[0], refused[-1]}:
                said = {
                    self.knock(method, path, token, body,
                               **MEETS.get(rule.name, {}))
                    .json['errors'][0]['detail']
                    for item in ('compute-1', 'nobody')
                    for body in ({}, 'not an object', {'name': ''})
                    for method, path in calls(rule, item)}
                self.assertEqual(1, len(said), said)


# --- usage: one path, three rules -------------------------------------------

KNOWN = {'p1': 13 * cloud.KWH // 2, 'p2': 5 * cloud.KWH, 'p3': 1, 'p4': 7,
         None: 2 * cloud.KWH}
"""All microjoules of ``cloud.fill``, by project."""

DOMAINS = {'d1': {'p1', 'p2'}, 'd2': {'p3'}}
WIDE = ({'all_projects': 'true'}, {'group_by': 'host'},
        {'group_by': 'project,user'}, {'group_by': 'account'},
        {'host': 'compute-1'}, {'account': 'instance'}, {'user': 'ann'})
FILTERS = {'host', 'account', 'user'}


def visible(token: str, project: str | None = None,
            domain: str | None = None, all_projects: str | None = None,
            **words: str) -> set[str | None] | None:
    """The projects whose energy an answer adds up; None: refused.

    Says the rules anew, without a look at how the service has them.
    """
    persona = cloud.PERSONAS[token]
    roles = persona['roles']
    operator = 'admin' in roles and 'project_id' in persona
    found: set[str | None] = {*KNOWN}
    if domain is not None:
        found &= DOMAINS[domain]
    if project is not None:
        found &= {project}
    wide = (all_projects == 'true' or FILTERS & set(words) or any(
        name in words.get('group_by', '') for name in FILTERS))
    if wide and not operator:
        return None
    if all_projects == 'true':
        return found
    if 'project_id' in persona:
        own = persona['project_id']
        if project is None and not (operator and domain is not None):
            found &= {own}
        if operator or ('reader' in roles and project in (None, own)):
            return found
        return None
    if 'domain_id' in persona:
        own = persona['domain_id']
        if (project is None and domain in (None, own)
                and {'manager', 'admin'} & set(roles)):
            return found & DOMAINS[own]
    return None


class UsageTest(Knocking):

    def check(self, token: str, query: dict[str, str]) -> str | None:
        """What is wrong with the answer to a query."""
        answer = self.ask(USAGE, token, **query)
        expected = visible(token, **query)
        if answer.status_int != (403 if expected is None else 200):
            return f'{token} {query}: {answer.status_int}'
        if expected is None or FILTERS & set(query):
            return None
        found = sum(units.microjoules(row['it_kwh'])
                    for row in answer.json['usage'])
        return (None if found == sum(KNOWN[name] for name in expected)
                else f'{token} {query}: {found} uJ, not {expected}')

    def test_a_persona_sees_another_project(self) -> None:
        for token in cloud.PERSONAS:
            if token.endswith('-p2'):
                # To whom p3 is as foreign as it is to those of p1.
                continue
            wrong = [self.check(token, {
                **wide, **({'project': project} if project else {}),
                **({'domain': domain} if domain else {})})
                for project, domain, wide in itertools.product(
                    (None, 'p1', 'p3'), (None, 'd1', 'd2'),
                    ({}, {'all_projects': 'true'}))]
            self.assertEqual([], [words for words in wrong if words])

    def test_a_word_of_operators_is_open_to_a_persona(self) -> None:
        for token in cloud.PERSONAS:
            wrong = [self.check(token, query) for query in (
                *WIDE, {'all_projects': 'false'})]
            self.assertEqual([], [words for words in wrong if words])

    def test_a_foreign_project_is_told_from_one_that_is_not(self) -> None:
        self.assertEqual(1, len({
            self.refused(403, USAGE, token, project=project)
            for token in ('reader-p1', 'manager-p1', 'manager-d1')
            for project in ('p3', 'nothing')}))

    def test_a_foreign_instance_is_told_from_one_that_is_not(self) -> None:
        for groups in ('instance', 'project,instance,flavor', 'region'):
            for token in ('reader-p1', 'manager-d1'):
                foreign, none = (self.get(
                    USAGE, token, instance=instance, group_by=groups,
                    with_count='true') for instance in ('other', 'nothing'))
                self.assertEqual(none, foreign)
                self.assertEqual([], foreign['usage'])
