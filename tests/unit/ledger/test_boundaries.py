# SPDX-License-Identifier: Apache-2.0
"""How far the energy of rows reaches: to RAPL or to the node."""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa

from energy_accounting import samples, units
from energy_accounting.ledger import (
    accounts,
    hosts,
    identities,
    queries,
    retired,
    usage,
)
from energy_accounting.ledger import models as ledger
from energy_accounting.report import hosts as report
from energy_accounting.report import usage as usage_report
from tests.unit import records
from tests.unit.facility import nodes
from tests.unit.facility.nodes import FIRST

UJ = units.UJ_PER_J
ONE = [records.instance('a', 'one')]


def window(host: str, number: int, energy_uj: int = 40 * UJ,
           **more: Any) -> samples.Window:
    return nodes.window(host, number, [energy_uj], ONE, **more)


def of_node(host: str, number: int, minutes: int = 15) -> samples.Window:
    """A window of ``node/1``: a zone of the node, no memory of its own."""
    zone = 'node-aem1-energy1'
    return records.window(
        number, host=host, machine_id=f'machine of {host}',
        stream=f's-{host}', boot_id=f'boot of {host}', policy='node/1',
        basis=(zone,), start_ns=nodes.at((number - 1) * minutes),
        duration_ns=minutes * nodes.MINUTE_NS, parts=(records.part(
            FIRST + (number - 1) * minutes // 15, [records.share(
                ONE[0], active_uj=50 * UJ, idle_uj=50 * UJ, memory_uj=None,
                host_uj=0, cpu_ns=0, vcpu_ns=0, memory_mib_ns=0)],
            measured_ns=minutes * nodes.MINUTE_NS,
            zones_uj={zone: 100 * UJ}),))


SUM = 40 * UJ + 40 * UJ // 3 + 40 * UJ // 7


class Case(nodes.NodesCase):

    def book(self, *windows: samples.Window) -> None:
        for one in windows:
            self.assertEqual(['booked'], self.nodes.book(one))

    def rows(self, group_by: tuple[str, ...] = ('project',),
             **filters: str) -> list[Any]:
        query = queries.UsageQuery(
            start=FIRST, end=FIRST + 4, resolution='total', where=units.UTC,
            group_by=group_by, filters=filters, as_of_ns=self.nodes.now_ns,
            limit=100)
        return [(*one.keys, usage_report.row(query, group_by, one)[
            'boundary'], one.it_uj) for one in self.database.read(
                usage.read, query)]

    def assert_booked(self) -> None:
        self.assertEqual(*self.nodes.sums())
        self.assertEqual('0', self.nodes.sheet()['difference_uj'])

    def of_host(self, name: str) -> str:
        now_ns = self.nodes.now_ns
        [host] = self.database.read(hosts.read, FIRST, FIRST + 96, now_ns,
                                    name=name)
        return str(report.row(host, now_ns)['boundary'])


class OfPolicies(Case):

    def test_a_node_is_shown_as_rapl(self) -> None:
        self.book(of_node('h1', 1))
        self.assertEqual([('one', 'node', 100 * UJ)], self.rows())
        self.assertEqual([('one', 'a', 'node', 100 * UJ)],
                         self.rows(('project', 'instance')))
        self.assertEqual('node', self.nodes.sheet()['boundary'])
        self.assertEqual('node', self.of_host('h1'))
        self.assert_booked()

    def test_a_sum_over_two_kinds_says_one_of_them(self) -> None:
        self.book(of_node('h1', 1), window('h2', 1))
        for groups in ((), ('project',), ('project', 'instance')):
            [row] = self.rows(groups)
            self.assertEqual(('mixed', 100 * UJ + SUM), row[-2:])
            self.assertEqual(
                [('node', 100 * UJ), ('rapl', SUM)],
                [row[-2:] for row in self.rows((*groups, 'boundary'))])
            for boundary, energy_uj in (('node', 100 * UJ), ('rapl', SUM)):
                [row] = self.rows(groups, boundary=boundary)
                self.assertEqual((boundary, energy_uj), row[-2:])
        self.assertEqual('mixed', self.nodes.sheet()['boundary'])
        self.assertEqual(['node', 'rapl'],
                         [self.of_host(host) for host in ('h1', 'h2')])
        self.assert_booked()

    def test_what_was_measured_before_is_of_the_new_boundary(self) -> None:
        self.book(window('h1', 1), of_node('h1', 2), window('h1', 3))
        self.assertEqual([('node', 100 * UJ), ('rapl', 2 * SUM)],
                         [row[-2:] for row in self.rows(('boundary',))])
        self.assertEqual('rapl', self.of_host('h1'))
        self.assert_booked()

    def test_a_change_within_a_bucket_tears_its_rows_apart(self) -> None:
        self.book(window('h1', 1, minutes=5), of_node('h1', 2, 5),
                  of_node('h1', 3, 5))
        [row] = self.rows()
        self.assertEqual('rapl', row[1])
        self.assert_booked()
        self.book(of_node('h1', 4, 5), window('h1', 5, minutes=5))
        self.assertEqual(['node', 'rapl'],
                         [row[0] for row in self.rows(('boundary',))])
        self.assert_booked()


class OfTerms(Case):

    def divided(self, *hosts: str) -> None:
        for host in hosts:
            self.nodes.meter(host)
            self.nodes.read(host, {0: 0, 15: 100})
        self.nodes.apportion()

    def test_a_node_meter_changes_nothing(self) -> None:
        self.book(window('h1', 1), window('h1', 2), window('h2', 1))
        self.divided('h1')
        self.assertEqual(
            [('node', 100 * UJ), ('rapl', 2 * SUM)],
            [row[-2:] for row in self.rows(('boundary',))])
        self.assertEqual([('one', 'a', 'mixed', 100 * UJ + 2 * SUM)],
                         self.rows(('project', 'instance')))
        self.assertEqual(['node', 'rapl'],
                         [self.of_host(host) for host in ('h1', 'h2')])
        self.assert_booked()
        self.divided('h2')
        self.assertEqual(
            [('node', 200 * UJ), ('rapl', SUM)],
            [row[-2:] for row in self.rows(('boundary',))])
        self.assert_booked()

    def test_a_window_that_comes_late_falls_back_to_rapl(self) -> None:
        self.book(window('h1', 1, minutes=15))
        self.divided('h1')
        late = nodes.window('h1', 2, [4 * UJ, 2 * UJ],
                            [*ONE, records.instance('new', 'one')])
        self.book(dataclasses.replace(late, parts=tuple(
            dataclasses.replace(part, bucket=FIRST, backfilled=True,
                                measured_ns=1) for part in late.parts)))
        for groups in ((), ('instance',)):
            self.assertEqual({'node'}, {
                row[-2] for row in self.rows(('project', *groups))})
        self.assert_booked()
        self.nodes.now_ns += nodes.DAY_NS
        self.nodes.apportion()
        self.assertEqual([('one', 'node', 100 * UJ)], self.rows())
        self.assert_booked()

    def test_memory_that_nobody_measured_becomes_zero(self) -> None:
        amd = records.window(
            1, [records.share(ONE[0], active_uj=9 * UJ, idle_uj=0,
                              memory_uj=None, host_uj=0, cpu_ns=0,
                              vcpu_ns=0, memory_mib_ns=0)], host='h2',
            machine_id='m', stream='s2', boot_id='b2',
            start_ns=nodes.at(0), duration_ns=15 * nodes.MINUTE_NS)
        self.book(amd, window('h1', 1))
        self.divided('h1')
        self.assert_booked()

    def test_a_term_of_a_node_that_is_unknown_again_is_rapl(self) -> None:
        self.book(of_node('h1', 1))
        self.divided('h1')
        self.assertEqual([0], self.nodes.terms('h1', 1))
        self.nodes.read('h1', {15: 107}, correct=True)
        self.nodes.apportion()
        self.assertEqual([('one', 'node', 107 * UJ)], self.rows())
        self.nodes.read('h1', {0: None, 15: None}, correct=True)
        self.nodes.apportion()
        self.assertEqual([('one', 'node', 100 * UJ)], self.rows())
        self.assert_booked()

    def test_a_claim_moves_the_sums_of_another_boundary(self) -> None:
        nobody = [samples.Account(samples.INSTANCE, 'x')]
        self.book(nodes.window('h1', 1, [40 * UJ], nobody),
                  nodes.window('h1', 2, [40 * UJ], nobody))
        self.divided('h1')
        self.database.write(identities.claim, {'x': accounts.Owner(
            'two', None, None)}, self.nodes.now_ns)
        self.assertEqual(
            [('two', 'node', 'node', 100 * UJ), ('two', 'rapl', 'rapl', SUM)],
            self.rows(('project', 'boundary')))
        [host_id] = self.database.read(lambda connection: connection.scalars(
            sa.select(ledger.hosts.c.id)).all())
        self.database.write(retired.retire, host_id, FIRST + 2)
        self.assertEqual(
            [('two', 'node', 'node', 100 * UJ), ('two', 'rapl', 'rapl', SUM)],
            [row for row in self.rows(('project', 'boundary')) if row[-1]])
