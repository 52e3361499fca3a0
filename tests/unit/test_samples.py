# SPDX-License-Identifier: Apache-2.0
"""What the facts say of their sums and of their order."""

import unittest

from energy_accounting import samples

SHARE = samples.Share(
    samples.Account(samples.INSTANCE, 'i-1', 'p-1', 'm1', None), 5, 3, None,
    1, 10, 20, 30)
PART = samples.Part(7, False, 60, 40, 240, 3, {'package-0': 9}, (SHARE,))


class TestSums(unittest.TestCase):
    def test_memory_that_is_unknown_is_not_left_out(self):
        self.assertEqual(9, SHARE.energy_uj)
        self.assertEqual(16, SHARE._replace(memory_uj=7).energy_uj)
        self.assertEqual(9, PART.measured_uj)

    def test_accounts_without_a_field_cannot_be_ordered(self):
        some = [samples.Account(samples.UNALLOCATED, name='ended'),
                SHARE.account, samples.Account(samples.SERVICE, name='s')]
        self.assertEqual(
            [samples.INSTANCE, samples.SERVICE, samples.UNALLOCATED],
            [account.kind for account
             in sorted(some, key=lambda account: account.order)])
