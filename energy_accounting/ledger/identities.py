# SPDX-License-Identifier: Apache-2.0
"""What was learnt about owners and names, as dated facts.

Nothing is ever rewritten: a name that changes is closed and a new one
begins; learning who owns an account is a new claim.  Where the facts come
from is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from energy_accounting import samples
from energy_accounting.ledger import accounts, audit, bulk, models

PROJECT = 'project'
DOMAIN = 'domain'
USER = 'user'


class Name(NamedTuple):
    """What something is called now; projects and users have a domain."""

    name: str
    domain_id: str | None = None


def project_names(connection: sa.Connection) -> dict[str, str]:
    """What each project is called now, by id."""
    names = models.names.c
    return {row.uuid: row.name for row in connection.execute(
        sa.select(names.uuid, names.name)
        .where(names.kind == PROJECT, names.valid_to_ns.is_(None)))}


def heard_of(connection: sa.Connection, project_id: str) -> bool:
    """Whether a project has ever used something, or ever had a name."""
    names, projects = models.names.c, models.projects.c
    return connection.execute(sa.union_all(
        sa.select(projects.project_id).where(
            projects.project_id == project_id),
        sa.select(names.uuid).where(
            names.kind == PROJECT, names.uuid == project_id),
    ).limit(1)).first() is not None


def update_names(connection: sa.Connection, kind: str,
                 found: Mapping[str, Name], now_ns: int, *,
                 complete: bool = True) -> int:
    """Note the names there are; how many facts changed.

    :param found: by id.
    :param complete: what is not among them is gone; its last name stays
        known, and is valid up to now.
    """
    names = models.names
    # One at a time, whichever collector it is: the row that is always
    # there stands for the table.
    connection.execute(sa.select(models.sites.c.id)
                       .where(models.sites.c.id == models.DEFAULT_SITE)
                       .with_for_update())
    current = {row.uuid: row for row in connection.execute(
        sa.select(names).where(names.c.kind == kind,
                               names.c.valid_to_ns.is_(None)))}
    changed = [uuid for uuid, name in found.items()
               if uuid not in current or name != (
                   current[uuid].name, current[uuid].domain_id)]
    # A clock may stand still or be set back; facts follow each other.
    not_before = {uuid: current[uuid].valid_from_ns + 1
                  for uuid in current}
    not_before.update(
        (row.uuid, row.until_ns) for row in bulk.find(
            connection,
            sa.select(names.c.uuid,
                      sa.func.max(names.c.valid_to_ns).label('until_ns'))
            .where(names.c.kind == kind).group_by(names.c.uuid),
            names.c.uuid, set(changed) - current.keys())
        if row.until_ns is not None)

    def from_ns(uuid: str) -> int:
        return max(now_ns, not_before.get(uuid, 0))

    ended = [row for uuid, row in current.items()
             if uuid in changed or (complete and uuid not in found)]
    if ended:
        connection.execute(
            sa.update(names).where(names.c.id == sa.bindparam('ended'))
            .values(valid_to_ns=sa.bindparam('until_ns')),
            [{'ended': row.id, 'until_ns': from_ns(row.uuid)}
             for row in ended])
    if changed:
        connection.execute(sa.insert(names), [
            {'kind': kind, 'uuid': uuid, 'name': found[uuid].name,
             'domain_id': found[uuid].domain_id,
             'valid_from_ns': from_ns(uuid)}
            for uuid in changed])
    return len(ended) + len(changed)


def user_ids(connection: sa.Connection) -> set[str]:
    """The user ids the ledger knows; none unless they were switched on."""
    return {user_id for user_id, in connection.execute(
        sa.union(*(
            sa.select(table.c.user_id).where(table.c.user_id.is_not(None))
            for table in (models.accounts, models.claims))))}


def unclaimed(connection: sa.Connection) -> set[str]:
    """The instances that have an account whose owner nobody knows."""
    return set(connection.scalars(
        sa.select(models.accounts.c.instance_id).distinct()
        .where(_unclaimed())))


def named_later(connection: sa.Connection) -> dict[str, accounts.Owner]:
    """Owners of unclaimed instances whose later records name one.

    Only a host that booked both says so: no host decides about what
    another one measured.
    """
    table, projects = models.accounts, models.projects
    named = table.alias('named')
    rows, named_rows = (models.account_buckets,
                        models.account_buckets.alias('named_rows'))
    of_one_host = sa.exists().where(
        rows.c.account_id == table.c.id,
        named_rows.c.account_id == named.c.id,
        named_rows.c.host_id == rows.c.host_id).correlate(table, named)
    found: dict[str, accounts.Owner] = {}
    for row in connection.execute(
            sa.select(table.c.instance_id, projects.c.project_id,
                      named.c.flavor, named.c.user_id)
            .join(named, named.c.instance_id == table.c.instance_id)
            .join(projects, projects.c.id == named.c.project_ref)
            .where(_unclaimed(), named.c.kind == samples.INSTANCE,
                   named.c.project_ref != models.NO_PROJECT, of_one_host)
            .order_by(named.c.id)):
        # The first one after: a server may have been resized since.
        found.setdefault(row.instance_id, accounts.Owner(
            row.project_id, row.flavor, row.user_id))
    return found


def claim(connection: sa.Connection, owners: Mapping[str, accounts.Owner],
          now_ns: int) -> int:
    """State who owns accounts that have no owner; how many were claimed."""
    table = models.accounts
    rows = connection.execute(
        sa.select(table.c.id, table.c.instance_id, table.c.flavor,
                  table.c.user_id)
        .where(_unclaimed()).order_by(table.c.id)).all()
    wanted = {row.id: row for row in rows if row.instance_id in owners}
    if not wanted:
        return 0
    projects = accounts.project_refs(connection, {
        owners[row.instance_id].project_id for row in wanted.values()})
    # Ours until the end: another collector that learnt the same waits
    # here, and then finds the claim.
    still = set(connection.scalars(
        sa.select(table.c.id).where(table.c.id.in_(wanted))
        .order_by(table.c.id).with_for_update()))
    still -= set(connection.scalars(
        sa.select(models.claims.c.account_id)
        .where(models.claims.c.account_id.in_(still))))
    facts = []
    for account_id in sorted(still):
        row = wanted[account_id]
        owner = owners[row.instance_id]
        facts.append({
            'account_id': account_id,
            'project_ref': projects[owner.project_id],
            'flavor': row.flavor or owner.flavor,
            'user_id': row.user_id or owner.user_id,
            'claimed_at_ns': now_ns})
    if facts:
        connection.execute(sa.insert(models.claims), facts)
        # Whose user ids these are is not for the audit.
        audit.write(connection, audit.COLLECTOR, now_ns, *(
            audit.Change(
                audit.CLAIM, wanted[fact['account_id']].instance_id,
                {'project_id': None,
                 'flavor': wanted[fact['account_id']].flavor},
                {'project_id': owners[wanted[
                    fact['account_id']].instance_id].project_id,
                 'flavor': fact['flavor']})
            for fact in facts))
    return len(facts)


def _unclaimed() -> sa.ColumnElement[bool]:
    table, claims = models.accounts, models.claims
    return sa.and_(
        table.c.project_ref == models.NO_PROJECT,
        table.c.kind == samples.INSTANCE,
        ~sa.exists().where(claims.c.account_id == table.c.id))
