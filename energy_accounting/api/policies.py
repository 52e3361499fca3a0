# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every rule, its default and the call it guards.

Rules follow one pattern, ``energy:<noun>:<verb>[:all_projects|:domain]``.
Nothing here decides about a request's data: the controllers name the rule
and its target, :func:`authorize` answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_policy import policy

from energy_accounting import errors

USAGE = 'energy:usage:get'
USAGE_ALL_PROJECTS = 'energy:usage:get:all_projects'
USAGE_DOMAIN = 'energy:usage:get:domain'
BALANCE = 'energy:balance:get'
HOSTS = 'energy:hosts:get'
HOSTS_CREATE = 'energy:hosts:create'
HOSTS_UPDATE = 'energy:hosts:update'
QUARANTINE = 'energy:quarantine:get'
QUARANTINE_UPDATE = 'energy:quarantine:update'
AUDIT = 'energy:audit:get'
SITES = 'energy:sites:get'
SITES_CREATE = 'energy:sites:create'
SITES_UPDATE = 'energy:sites:update'
KPIS = 'energy:kpis:get'
METERS = 'energy:meters:get'
METERS_CREATE = 'energy:meters:create'
METERS_UPDATE = 'energy:meters:update'
READINGS = 'energy:readings:get'
READINGS_CREATE = 'energy:readings:create'
FACTORS = 'energy:factors:get'
FACTORS_CREATE = 'energy:factors:create'
FACTORS_DELETE = 'energy:factors:delete'
CONTRACTS = 'energy:contracts:get'
CONTRACTS_CREATE = 'energy:contracts:create'
CONTRACTS_DELETE = 'energy:contracts:delete'
METRICS = 'energy:metrics:get'
HEALTH = 'energy:health:get'
STATEMENTS = 'energy:statements:get'
STATEMENTS_ALL_PROJECTS = 'energy:statements:get:all_projects'
STATEMENTS_CREATE = 'energy:statements:create'
TARIFFS = 'energy:tariffs:get'
TARIFFS_CREATE = 'energy:tariffs:create'
TARIFFS_DELETE = 'energy:tariffs:delete'
EXPORTS = 'energy:exports:get'
EXPORTS_CREATE = 'energy:exports:create'
EXPORTS_UPDATE = 'energy:exports:update'

_USAGE_CALL: Any = {'path': '/v1/usage', 'method': 'GET'}


def list_rules() -> list[policy.RuleDefault]:
    """Every rule, for the enforcer and for the sample file."""
    return [
        policy.RuleDefault(
            'admin_api', 'role:admin', 'An operator of the cloud.',
            scope_types=['project']),
        policy.RuleDefault(
            'project_reader', 'role:reader and project_id:%(project_id)s',
            'Anyone who may read the project that is asked for.',
            scope_types=['project']),
        policy.RuleDefault(
            'domain_manager',
            '(role:manager or role:admin) and domain_id:%(domain_id)s',
            'A manager or admin of the domain that is asked for.',
            scope_types=['domain']),
        policy.RuleDefault(
            'billing', 'rule:admin_api or role:energy_billing',
            'Whoever closes statements, sets prices and exports: an operator, '
            'or a billing system with a role of its own.',
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            USAGE, 'rule:admin_api or rule:project_reader',
            'Read the energy of one project.',
            [_USAGE_CALL], scope_types=['project']),
        policy.DocumentedRuleDefault(
            # Not admin_api: who is admin of one domain is not of another.
            # An operator of the cloud reads domains by all_projects.
            USAGE_DOMAIN, 'rule:domain_manager',
            'Read the energy of all projects of one domain.',
            [_USAGE_CALL], scope_types=['domain']),
        policy.DocumentedRuleDefault(
            USAGE_ALL_PROJECTS, 'rule:admin_api',
            'Read the energy of all projects, also of one domain, services '
            'and what nobody was given; group or filter by host, account or '
            'user.',
            [_USAGE_CALL], scope_types=['project']),
        policy.DocumentedRuleDefault(
            BALANCE, 'rule:admin_api',
            'Read the balance of measured and booked energy.',
            [{'path': '/v1/balance', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            HOSTS, 'rule:admin_api',
            'Read the state of the hosts.',
            [{'path': '/v1/hosts', 'method': 'GET'},
             {'path': '/v1/hosts/{name}', 'method': 'GET'},
             {'path': '/v1/hosts/{name}/downtimes', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            HOSTS_CREATE, 'rule:admin_api',
            'Enrol a host: expect it, and believe what its key signs.',
            [{'path': '/v1/hosts', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            HOSTS_UPDATE, 'rule:admin_api',
            'Retire a host, replace its key, say what it can draw and where '
            'it is, plan its downtime.',
            [{'path': '/v1/hosts/{name}', 'method': 'PATCH'},
             {'path': '/v1/hosts/{name}/downtimes', 'method': 'POST'},
             {'path': '/v1/hosts/{name}/downtimes/{id}',
              'method': 'DELETE'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            QUARANTINE, 'rule:admin_api',
            'Read the records that are kept and not booked.',
            [{'path': '/v1/quarantine', 'method': 'GET'},
             {'path': '/v1/quarantine/{id}', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            QUARANTINE_UPDATE, 'rule:admin_api',
            'Release a record from quarantine, or discard it.',
            [{'path': '/v1/quarantine/{id}', 'method': 'PATCH'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            AUDIT, 'rule:admin_api',
            'Read who changed what.',
            [{'path': '/v1/audit', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            METRICS, 'rule:admin_api',
            'Read what a monitoring system scrapes.',
            [{'path': '/metrics', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            HEALTH, 'rule:admin_api',
            'Read the state of the database and which hosts are late.',
            [{'path': '/v1/health', 'method': 'GET'}],
            scope_types=['project']),
        *_facility_rules(), *_factor_rules(), *_billing_rules(),
    ]


def _facility_rules() -> list[policy.RuleDefault]:
    """Sites, and what is metered there."""
    return [
        policy.DocumentedRuleDefault(
            # Where a figure of theirs comes from is no secret to tenants.
            SITES, 'rule:admin_api or role:reader',
            'Read the sites: their names, regions, time and grid zones.',
            [{'path': '/v1/sites', 'method': 'GET'},
             {'path': '/v1/sites/{name}', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            SITES_CREATE, 'rule:admin_api', 'Make a site.',
            [{'path': '/v1/sites', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            SITES_UPDATE, 'rule:admin_api',
            'Change the region, time zone or grid zone of a site.',
            [{'path': '/v1/sites/{name}', 'method': 'PATCH'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            # They are what tenants are told of their data centre; meters
            # and hosts have no names there for who may not read those.
            KPIS, 'rule:admin_api or role:reader',
            'Read the key figures of a site; what its meters and hosts are '
            'called only with energy:meters:get and energy:hosts:get.',
            [{'path': '/v1/sites/{name}/kpis', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            METERS, 'rule:admin_api',
            'Read the meters of the sites, and what must be decided about '
            'them.',
            [{'path': '/v1/meters', 'method': 'GET'},
             {'path': '/v1/meters/{name}', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            METERS_CREATE, 'rule:admin_api', 'Make a meter.',
            [{'path': '/v1/meters', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            METERS_UPDATE, 'rule:admin_api',
            'Change what is said of a meter, also when it was removed.',
            [{'path': '/v1/meters/{name}', 'method': 'PATCH'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            READINGS, 'rule:admin_api',
            'Read the readings of a meter, and what was decided about it.',
            [{'path': '/v1/meters/{name}/readings', 'method': 'GET'},
             {'path': '/v1/meters/{name}/events', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            READINGS_CREATE, 'rule:admin_api',
            'Add or correct readings of a meter, and decide what happened '
            'to it.',
            [{'path': '/v1/meters/{name}/readings', 'method': 'POST'},
             {'path': '/v1/meters/{name}/events', 'method': 'POST'},
             {'path': '/v1/meters/{name}/events/{id}',
              'method': 'DELETE'}],
            scope_types=['project']),
    ]


def _factor_rules() -> list[policy.RuleDefault]:
    """What energy is multiplied with."""
    return [
        policy.DocumentedRuleDefault(
            # Where a figure of theirs comes from is no secret to tenants.
            FACTORS, 'rule:admin_api or role:reader',
            'Read factors: carbon intensities and PUEs, with their sources.',
            [{'path': '/v1/factors', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            FACTORS_CREATE, 'rule:admin_api',
            'Record factors, also in the place of others.',
            [{'path': '/v1/factors', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            FACTORS_DELETE, 'rule:admin_api',
            'Let a factor count no more.',
            [{'path': '/v1/factors/{id}', 'method': 'DELETE'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            CONTRACTS, 'rule:admin_api',
            'Read what electricity a site bought.',
            [{'path': '/v1/sites/{name}/contracts', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            CONTRACTS_CREATE, 'rule:admin_api',
            'Record what electricity a site bought.',
            [{'path': '/v1/sites/{name}/contracts', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            CONTRACTS_DELETE, 'rule:admin_api',
            'Let a contract of a site count no more.',
            [{'path': '/v1/sites/{name}/contracts/{id}',
              'method': 'DELETE'}],
            scope_types=['project']),
    ]


def _billing_rules() -> list[policy.RuleDefault]:
    """Closed statements, and what energy costs."""
    return [
        policy.DocumentedRuleDefault(
            STATEMENTS, 'rule:billing or rule:project_reader',
            'Read and download the closed statements of one project.',
            [{'path': '/v1/statements', 'method': 'GET'},
             {'path': '/v1/statements/{id}', 'method': 'GET'},
             {'path': '/v1/statements/{id}/lines', 'method': 'GET'},
             {'path': '/v1/statements/{id}/differences', 'method': 'GET'},
             {'path': '/v1/statements/{id}/document', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            STATEMENTS_ALL_PROJECTS, 'rule:billing',
            'List the closed statements of all projects, and of what '
            'belongs to none.',
            [{'path': '/v1/statements', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            STATEMENTS_CREATE, 'rule:billing',
            'Close a month or a year of projects.',
            [{'path': '/v1/statements', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            # What others pay is nobody's business; a statement names the
            # tariffs that were used for it.
            TARIFFS, 'rule:billing', 'Read the tariffs.',
            [{'path': '/v1/tariffs', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            TARIFFS_CREATE, 'rule:billing', 'Record a tariff.',
            [{'path': '/v1/tariffs', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            TARIFFS_DELETE, 'rule:billing', 'Let a tariff count no more.',
            [{'path': '/v1/tariffs/{id}', 'method': 'DELETE'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            EXPORTS, 'rule:billing',
            'Read what was exported, and download its files: they have the '
            'statements of all projects.',
            [{'path': '/v1/exports', 'method': 'GET'},
             {'path': '/v1/exports/{id}', 'method': 'GET'},
             {'path': '/v1/exports/{id}/file', 'method': 'GET'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            EXPORTS_CREATE, 'rule:billing',
            'Plan an export of closed statements.',
            [{'path': '/v1/exports', 'method': 'POST'}],
            scope_types=['project']),
        policy.DocumentedRuleDefault(
            EXPORTS_UPDATE, 'rule:billing',
            'Let an export that failed be sent again, or give one up.',
            [{'path': '/v1/exports/{id}', 'method': 'PATCH'}],
            scope_types=['project']),
    ]


def make_enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """An enforcer with our defaults and the operator's policy file."""
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(list_rules())
    return enforcer


def get_enforcer() -> policy.Enforcer:
    """For oslo.policy's own tools, which hand over no configuration."""
    cfg.CONF([], project='energy-accounting')
    return make_enforcer(cfg.CONF)


def allowed(enforcer: policy.Enforcer, context: oslo_context.RequestContext,
            rule: str, target: Mapping[str, str | None]) -> bool:
    """Whether the caller may; a token of another scope may not."""
    try:
        return bool(enforcer.authorize(rule, dict(target), context))
    except policy.InvalidScope:
        return False


def authorize(enforcer: policy.Enforcer,
              context: oslo_context.RequestContext, rule: str,
              target: Mapping[str, str | None]) -> None:
    """Let the caller through.

    :raises errors.Forbidden: when the rule says no.
    """
    if not allowed(enforcer, context, rule, target):
        raise errors.Forbidden(
            f'policy rule {rule} does not allow this: it needs another '
            'role, or a token of another scope')
