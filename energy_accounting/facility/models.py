# SPDX-License-Identifier: Apache-2.0
"""The tables of what surrounds the hosts: meters, readings, factors.

Only tables, as in ``ledger.models``.  Nothing is ever changed in place that
a report was made from: a correction is a new row, and the old one says since
when it counts no more (``superseded_ns``), so that any moment's view
(``as_of``) can be asked for again.

Values of readings and factors are decimals as they were given, as text.
"""

from __future__ import annotations

import sqlalchemy as sa

from energy_accounting.ledger import columns

metadata = columns.metadata

meters = sa.Table(
    'meters', metadata,
    # What a meter of a site measures (medium), for which figure (role), and
    # how its values are to be read: unit, kind (cumulative, interval,
    # gauge), rollover (the value at which a counter starts again from 0),
    # max_rate (units an hour: more is not believed).
    # host_id: of a node's meter.  section: a part of the site that has key
    # figures of its own.  parent_id: the meter that this one's energy has
    # gone through.  source, source_ref: where its readings are fetched.
    # What was said of it before a change is in ``pasts``; recorded_ns:
    # since when it is there at all.
    columns.identity(),
    columns.text('name'),
    columns.reference('site_id', 'sites.id'),
    columns.reference('host_id', 'hosts.id', null=True),
    columns.reference('parent_id', 'meters.id', null=True),
    columns.text('section', null=True),
    columns.text('medium', size=16),
    columns.text('role', size=32),
    columns.text('unit', size=16),
    columns.text('kind', size=16),
    columns.text('rollover', null=True, size=64),
    columns.text('max_rate', null=True, size=64),
    columns.text('serial', null=True),
    columns.text('accuracy_class', null=True, size=64),
    columns.number('calibrated_until_ns', null=True),
    columns.number('installed_ns', null=True),
    columns.number('removed_ns', null=True),
    columns.text('source', null=True, size=32),
    columns.text('source_ref', null=True, size=1024),
    columns.number('recorded_ns'),
    sa.UniqueConstraint('name'),
    sa.Index(None, 'site_id', 'role'),
    sa.Index(None, 'host_id'),
    **columns.TABLE)

meter_terms = sa.Table(
    'meter_terms', metadata,
    # A virtual meter (kind) is a sum of others: sign is 1 or -1.
    columns.key('meter_id'),
    columns.key('of_meter_id'),
    columns.number('sign'),
    sa.Index(None, 'of_meter_id'),
    **columns.TABLE)

readings = sa.Table(
    'readings', metadata,
    # at_ns: of a counter or gauge, or the end of an interval that begins at
    # start_ns.  quality: measured, estimated.  source: api, csv, ...
    columns.identity(),
    columns.reference('meter_id', 'meters.id'),
    columns.number('at_ns'),
    columns.number('start_ns', null=True),
    columns.text('value', size=64),
    columns.text('quality', size=16),
    columns.text('source', size=32),
    columns.number('received_ns'),
    columns.number('superseded_ns', null=True),
    sa.Index(None, 'meter_id', 'at_ns'),
    # What came or went since some moment.
    sa.Index(None, 'meter_id', 'received_ns'),
    sa.Index(None, 'meter_id', 'superseded_ns'),
    **columns.TABLE)

meter_events = sa.Table(
    'meter_events', metadata,
    # Why a counter fell between two readings: rollover, exchange, reset;
    # or that it rose faster than believed, and truly: confirmed.
    # end_value: the last value of the old counter, start_value: the first
    # of the new one; NULL: nobody knows, and what was between is a gap.
    columns.identity(),
    columns.reference('meter_id', 'meters.id'),
    columns.number('at_ns'),
    columns.text('kind', size=16),
    columns.text('end_value', null=True, size=64),
    columns.text('start_value', null=True, size=64),
    columns.text('note', null=True),
    columns.number('recorded_ns'),
    columns.number('superseded_ns', null=True),
    sa.Index(None, 'meter_id', 'at_ns'),
    **columns.TABLE)

factors = sa.Table(
    'factors', metadata,
    # A dated value that energy is multiplied with when reading.
    # kind: carbon, pue, ... ; of a zone (of a grid) or of a site, never of
    # both.  carrier: electricity, diesel, ...  basis: direct, lifecycle.
    # method: location, market.  signal: average, marginal.  quality:
    # actual, estimated, forecast, fallback.  revision: as its source counts.
    # lasting: counts for more than a day.  There are few such, and of the
    # others those that overlap a time began at most a day before it.
    columns.identity(),
    columns.text('kind', size=16),
    columns.text('zone', null=True, size=64),
    columns.reference('site_id', 'sites.id', null=True),
    columns.text('carrier', size=32),
    columns.text('basis', null=True, size=16),
    columns.text('method', null=True, size=16),
    columns.text('signal', null=True, size=16),
    columns.number('start_ns'),
    columns.number('end_ns'),
    columns.text('value', size=64),
    columns.text('unit', size=32),
    columns.text('quality', size=16),
    columns.text('provider', size=64),
    columns.text('source', size=1024),
    columns.text('revision', null=True),
    columns.number('retrieved_ns'),
    columns.number('recorded_ns'),
    columns.number('superseded_ns', null=True),
    sa.Column('lasting', sa.Boolean(), nullable=False),
    sa.Index(None, 'zone', 'lasting', 'start_ns'),
    sa.Index(None, 'site_id', 'lasting', 'start_ns'),
    **columns.TABLE)

factor_owners = sa.Table(
    'factor_owners', metadata,
    # Whose factors or contracts are being written ('zone DE', 'site one'):
    # a row to lock, so that two writers cannot both find a time free.
    columns.identity(),
    columns.text('name', size=320),
    sa.UniqueConstraint('name'),
    **columns.TABLE)

contracts = sa.Table(
    'contracts', metadata,
    # What electricity a site bought: share (0 to 1) of what the grid
    # delivers, instrument (go, ppa, onsite, tariff, residual), factor in kg
    # CO2(e)/kWh of a basis (direct, lifecycle): one row for each basis that
    # is known.  retired: its attributes are the site's own and used up.
    columns.identity(),
    columns.reference('site_id', 'sites.id'),
    columns.text('instrument', size=16),
    columns.number('start_ns'),
    columns.number('end_ns'),
    columns.text('share', size=64),
    columns.text('kg_per_kwh', size=64),
    columns.text('basis', size=16),
    sa.Column('renewable', sa.Boolean(), nullable=False),
    sa.Column('retired', sa.Boolean(), nullable=False),
    columns.text('evidence', size=1024),
    columns.number('recorded_ns'),
    columns.number('superseded_ns', null=True),
    sa.Index(None, 'site_id', 'start_ns'),
    **columns.TABLE)
