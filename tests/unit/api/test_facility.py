# SPDX-License-Identifier: Apache-2.0
"""What the sites make of the energy in a usage row."""

from __future__ import annotations

import decimal
from typing import Any

from energy_accounting import units
from energy_accounting.facility import batches, factor_store, factors, meters
from energy_accounting.ledger import audit, sites
from tests.unit.api import cloud
from tests.unit.ledger import filled

USAGE = '/v1/usage'
OPERATOR = audit.Actor('an operator')
START_NS = cloud.FIRST * units.BUCKET_NS


class UsageTest(cloud.ApiCase):

    def say(self, site: str, pue: str, g_per_kwh: str,
            at_ns: int = filled.NOW_NS) -> None:
        """The PUE of a site and the factor of a grid zone of its own."""
        zone = {'default': 'FR', 'berlin': 'DE'}[site]
        common: dict[str, Any] = {
            'start_ns': START_NS, 'end_ns': START_NS + 40 * units.BUCKET_NS,
            'quality': 'actual', 'provider': 'operator', 'source': 'a test',
            'retrieved_ns': at_ns}
        with self.database.writer() as connection:
            sites.change(connection, audit.By(OPERATOR, at_ns), site,
                         {'grid_zone': zone})
            factor_store.record(connection, [
                factors.Factor(kind=factors.PUE, carrier='electricity',
                               value=decimal.Decimal(pue), site=site,
                               unit='1', **common),
                factors.Factor(kind=factors.CARBON, carrier='electricity',
                               value=decimal.Decimal(g_per_kwh), zone=zone,
                               basis='lifecycle', method='location',
                               signal='average', **common)],
                at_ns, OPERATOR)

    def test_each_site_makes_its_own_of_a_projects_energy(self) -> None:
        self.say('default', '1.5', '400')
        self.say('berlin', '1.2', '100')
        row, = self.get(USAGE, 'reader-p1')['usage']
        # 2 kWh in one and 4.5 kWh in the other.
        self.assertEqual(
            {'it_kwh': '6.500000000000000',
             'facility_kwh': '8.400000000000000', 'pue': '1.292307692',
             'pue_kind': 'configured', 'co2_location_kg': '1.740000000000',
             'co2_market_kg': None, 'cue_kg_per_kwh': '0.267692308',
             'water_l': None, 'renewable_share': None,
             'factor_quality': 'actual', 'factor_basis': 'lifecycle'},
            {name: row[name] for name in (
                'it_kwh', 'facility_kwh', 'pue', 'pue_kind',
                'co2_location_kg', 'co2_market_kg', 'cue_kg_per_kwh',
                'water_l', 'renewable_share', 'factor_quality',
                'factor_basis')})

    def test_rows_add_up_to_more_or_far_less_than_the_site(
            self) -> None:
        # What no energy is a multiple of: all that is rounded shows.
        self.say('default', '1.333333333333333333', '333.333333333333333')
        self.say('berlin', '1.142857142857142857', '142.857142857142857')

        def sums(**asked: str) -> tuple[int, int, int]:
            """Microjoules, nanograms, and of how many rows."""
            rows = self.get(USAGE, 'admin-p1', all_projects='true',
                            **asked)['usage']
            energy, emitted = (
                [decimal.Decimal(row[name]) * per for row in rows]
                for name, per in (('facility_kwh', units.UJ_PER_KWH),
                                  ('co2_location_kg', 10 ** 12)))
            return sum(map(round, energy)), sum(map(round, emitted)), len(rows)

        *whole, _ = sums(group_by='site')
        *sliced, quarters = sums(group_by='site', resolution='quarter')
        self.assertEqual(whole, sliced)
        lost = []
        for group in ('instance', 'project'):
            *parts, rows = sums(group_by=group)
            for all_of, part in zip(whole, parts, strict=True):
                lost.append(all_of - part)
                self.assertIn(lost[-1], range(rows * quarters))
        self.assertTrue(any(lost), 'nothing was rounded')

    def test_a_site_of_which_nothing_is_known_hides_the_sum(self) -> None:
        self.say('berlin', '1.2', '100')
        rows = {row['instance_id']: row['facility_kwh'] for row in self.get(
            USAGE, 'reader-p1', group_by='instance')['usage']}
        self.assertEqual({'db': '3.600000000000000', 'web': None}, rows)

    def test_an_earlier_view_knows_a_later_correction(self) -> None:
        self.say('default', '1.5', '400', filled.NOW_NS - 10 ** 12)
        self.say('berlin', '1.2', '100', filled.NOW_NS - 10 ** 12)
        self.say('berlin', '1.2', '200', filled.NOW_NS - 10 ** 9)
        as_of = units.iso(units.moment(filled.NOW_NS - 10 ** 10))
        for asked, kg in (({'as_of': as_of}, '1.740000000000'),
                          ({}, '2.280000000000')):
            row, = self.get(USAGE, 'reader-p1', **asked)['usage']
            self.assertEqual(kg, row['co2_location_kg'])

    def test_an_earlier_view_knows_another_grid_or_role(self) -> None:
        early = audit.By(OPERATOR, filled.NOW_NS - 10 ** 12)
        self.say('default', '1.5', '400', early.at_ns)
        self.say('berlin', '1.2', '100', early.at_ns)
        with self.database.writer() as connection:
            for role, kwh in (('dc_total', '13'), ('it_ups_out', '10')):
                meters.create(connection, early, role, 'berlin', {
                    'medium': 'electricity', 'role': role, 'unit': 'kWh',
                    'kind': 'interval'})
                batches.add(connection, early, role, [batches.Given(
                    START_NS + units.BUCKET_NS, kwh, start_ns=START_NS)],
                    'api')

        def answer(**asked: str) -> bytes:
            return self.ask(USAGE, 'reader-p1', **asked).body

        as_of = units.iso(units.moment(filled.NOW_NS - 10 ** 10))
        seen, before = [answer()], answer(as_of=as_of)
        for change in (
                lambda connection, by: sites.change(
                    connection, by, 'berlin', {'grid_zone': 'FR'}),
                lambda connection, by: meters.change(
                    connection, by, 'dc_total', {'role': 'cooling_el'})):
            with self.database.writer() as connection:
                change(connection, audit.By(OPERATOR, filled.NOW_NS - 10 ** 9))
            self.assertNotIn(answer(), seen)
            seen.append(answer())
        self.assertEqual(before, answer(as_of=as_of))
