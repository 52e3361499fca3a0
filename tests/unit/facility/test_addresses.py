# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import unittest

from energy_accounting.facility import addresses


class AddressesTest(unittest.TestCase):

    def test_a_part_of_an_address_is_lost(self) -> None:
        found = addresses.parsed(
            'https://bmc-1.example.org:8443/redfish/v1/Chassis/1?only=a'
            '#/EnergykWh/Reading')
        self.assertEqual((
            'https', 'bmc-1.example.org', 8443), found.origin)
        self.assertEqual('/redfish/v1/Chassis/1?only=a', found.path)
        self.assertEqual('/EnergykWh/Reading', found.pointer)
        self.assertEqual('https://bmc-1.example.org:8443', found.origin.url)
        self.assertEqual('https://[fd00::1]', addresses.parsed(
            'https://[fd00::1]:443').origin.url)

    def test_a_password_may_go_where_it_must_not(self) -> None:
        for address in (
                '', 'bmc-1', 'http://bmc-1/redfish/v1/Chassis/1',
                'http://127.0.0.1.example.org/', 'ftp://127.0.0.1/',
                'https:///redfish', 'https://bmc-1:port/', 'https://[::1/',
                'https://bmc-1/ a', 'https://bmc-1/#EnergykWh',
                'https://root:t0p5ecret@bmc-1/', 'https://t0p5ecret@bmc-1/',
                'https://root:t0p5ecret@[::1/'):
            with self.subTest(address), self.assertRaises(
                    ValueError) as caught:
                addresses.parsed(address)
            self.assertNotIn('t0p5ecret', str(caught.exception))
        for address in ('http://127.0.0.1:8000/', 'http://[::1]/',
                        'http://localhost/'):
            addresses.parsed(address)
