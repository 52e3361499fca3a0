# SPDX-License-Identifier: Apache-2.0
"""The tables of what leaves the ledger: statements, tariffs, exports.

Only tables, as in ``models``.  Nothing here is changed in place that was
closed: a statement's later revision is a row of its own, a tariff that counts
no more says since when.
"""

from __future__ import annotations

import sqlalchemy as sa

from energy_accounting.ledger import columns

metadata = columns.metadata

statements = sa.Table(
    'statements', metadata,
    # A revision of a statement.  statement: the id that all revisions
    # share, of project, period and zone.  revision 0: provisional, the
    # only one whose content may be replaced.
    # project_id '': what belongs to no project.  period: a month (2026-10)
    # or a year (2025) of time_zone.  digest: SHA-256 of the canonical
    # content, of which head is what is not a line, as JSON.
    # project_name, domain_id, complete_until_ns, as_of_ns, created_ns,
    # actor: beside the content.
    columns.identity(),
    columns.text('statement', size=36),
    columns.number('revision'),
    columns.text('project_id'),
    columns.text('period', size=7),
    columns.text('time_zone'),
    columns.number('start_ns'),
    columns.number('end_ns'),
    columns.text('digest', size=64),
    columns.number('lines'),
    sa.Column('head', columns.LongText, nullable=False),
    columns.text('project_name', null=True),
    columns.text('domain_id', null=True),
    columns.number('complete_until_ns', null=True),
    columns.number('as_of_ns'),
    columns.number('created_ns'),
    columns.text('actor'),
    sa.UniqueConstraint('statement', 'revision'),
    sa.Index(None, 'project_id', 'start_ns'),
    sa.Index(None, 'start_ns'),
    **columns.TABLE)

statement_blocks = sa.Table(
    'statement_blocks', metadata,
    # The lines of a revision in order, so many in each block: their
    # canonical JSON, one to a line of text, compressed (zlib).
    columns.key('statement_ref'),
    columns.key('number'),
    columns.number('first'),
    sa.Column('content', columns.LongBinary, nullable=False),
    **columns.TABLE)

tariffs = sa.Table(
    'tariffs', metadata,
    # Prices are decimals as they were given, as text.  site_id, project_id,
    # domain_id NULL: of all.  quantity: the energy that price_per_kwh is
    # of.  windows: JSON, prices of some hours of the week in time_zone.
    # What is superseded counts for earlier views (as_of) alone.
    columns.identity(),
    columns.text('name'),
    columns.reference('site_id', 'sites.id', null=True),
    columns.text('project_id', null=True),
    columns.text('domain_id', null=True),
    columns.number('start_ns'),
    columns.number('end_ns', null=True),
    columns.text('currency', size=3),
    columns.text('quantity', size=16),
    columns.text('price_per_kwh', size=64),
    columns.text('co2_price_per_kg', null=True, size=64),
    columns.text('co2_method', null=True, size=16),
    columns.text('time_zone'),
    sa.Column('windows', sa.Text(), nullable=False),
    columns.text('legal_basis', size=1024),
    columns.number('recorded_ns'),
    columns.number('superseded_ns', null=True),
    sa.Index(None, 'superseded_ns', 'start_ns'),
    **columns.TABLE)

exports = sa.Table(
    'exports', metadata,
    # The outbox: what is to leave, and how far it has come.  export: an id
    # made of all that is asked and of digest, so that the same is there
    # once.  target: a plug-in; options: JSON, what it was told;
    # destination: a directory or an address.  project_id NULL: of all
    # projects; '': what belongs to none.  digest: of the statements'
    # revisions that go in.
    # total, done: how much there is of it (lines, frames), and was sent.
    # artifacts: JSON, the files with their digests.  error: why it failed.
    # holder, held_until_ns: who is at it, and until when nobody else may be.
    columns.identity(),
    columns.text('export', size=36),
    columns.text('target', size=32),
    columns.text('options'),
    columns.text('destination', size=1024),
    columns.text('period', size=7),
    columns.text('time_zone'),
    columns.text('project_id', null=True),
    columns.text('digest', size=64),
    columns.text('state', size=16),
    columns.number('total'),
    columns.number('done'),
    sa.Column('artifacts', sa.Text(), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    columns.number('created_ns'),
    columns.number('changed_ns'),
    columns.text('actor'),
    columns.text('holder', null=True, size=36),
    columns.number('held_until_ns', null=True),
    sa.UniqueConstraint('export'),
    sa.Index(None, 'state'),
    **columns.TABLE)
