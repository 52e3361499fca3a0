# SPDX-License-Identifier: Apache-2.0
"""The published requirements of FOCUS, as a check of a file.

Written from the specification's column definitions (tag v1.2 of its
repository) and the columns that 1.3 adds; knows nothing of who writes files.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

STRING, DECIMAL, TIME, JSON = 'String', 'Decimal', 'Date/Time', 'JSON'

# name: (level, may be null, type); M mandatory, R recommended,
# C conditional.
V1_2 = {
    'AvailabilityZone': ('R', True, STRING),
    'BilledCost': ('M', False, DECIMAL),
    'BillingAccountId': ('M', False, STRING),
    'BillingAccountName': ('M', True, STRING),
    'BillingAccountType': ('C', False, STRING),
    'BillingCurrency': ('M', False, STRING),
    'BillingPeriodEnd': ('M', False, TIME),
    'BillingPeriodStart': ('M', False, TIME),
    'CapacityReservationId': ('C', True, STRING),
    'CapacityReservationStatus': ('C', True, STRING),
    'ChargeCategory': ('M', False, STRING),
    'ChargeClass': ('M', True, STRING),
    'ChargeDescription': ('M', True, STRING),
    'ChargeFrequency': ('R', False, STRING),
    'ChargePeriodEnd': ('M', False, TIME),
    'ChargePeriodStart': ('M', False, TIME),
    'CommitmentDiscountCategory': ('C', True, STRING),
    'CommitmentDiscountId': ('C', True, STRING),
    'CommitmentDiscountName': ('C', True, STRING),
    'CommitmentDiscountQuantity': ('C', True, DECIMAL),
    'CommitmentDiscountStatus': ('C', True, STRING),
    'CommitmentDiscountType': ('C', True, STRING),
    'CommitmentDiscountUnit': ('C', True, STRING),
    'ConsumedQuantity': ('C', True, DECIMAL),
    'ConsumedUnit': ('C', True, STRING),
    'ContractedCost': ('M', False, DECIMAL),
    'ContractedUnitPrice': ('C', True, DECIMAL),
    'EffectiveCost': ('M', False, DECIMAL),
    'InvoiceId': ('R', True, STRING),
    'InvoiceIssuerName': ('M', False, STRING),
    'ListCost': ('M', False, DECIMAL),
    'ListUnitPrice': ('C', True, DECIMAL),
    'PricingCategory': ('C', True, STRING),
    'PricingCurrency': ('C', True, STRING),
    'PricingCurrencyContractedUnitPrice': ('C', True, DECIMAL),
    'PricingCurrencyEffectiveCost': ('C', True, DECIMAL),
    'PricingCurrencyListUnitPrice': ('C', True, DECIMAL),
    'PricingQuantity': ('M', True, DECIMAL),
    'PricingUnit': ('M', True, STRING),
    'ProviderName': ('M', False, STRING),
    'PublisherName': ('M', False, STRING),
    'RegionId': ('C', True, STRING),
    'RegionName': ('C', True, STRING),
    'ResourceId': ('C', True, STRING),
    'ResourceName': ('C', True, STRING),
    'ResourceType': ('C', True, STRING),
    'ServiceCategory': ('M', False, STRING),
    'ServiceName': ('M', False, STRING),
    'ServiceSubcategory': ('R', False, STRING),
    'SkuId': ('C', True, STRING),
    'SkuMeter': ('C', True, STRING),
    'SkuPriceDetails': ('C', True, JSON),
    'SkuPriceId': ('C', True, STRING),
    'SubAccountId': ('C', True, STRING),
    'SubAccountName': ('C', True, STRING),
    'SubAccountType': ('C', True, STRING),
    'Tags': ('C', True, JSON)}
V1_3 = {
    **V1_2,
    'AllocatedMethodDetails': ('R', True, JSON),
    'AllocatedMethodId': ('C', True, STRING),
    'AllocatedResourceId': ('C', True, STRING),
    'AllocatedResourceName': ('C', True, STRING),
    'AllocatedTags': ('C', True, JSON),
    'ContractApplied': ('C', True, JSON),
    'HostProviderName': ('M', False, STRING),
    'ServiceProviderName': ('M', False, STRING)}
VERSIONS: Mapping[str, Mapping[str, tuple[str, bool, str]]] = {
    '1.2': V1_2, '1.3': V1_3}
# Conditional, and our condition holds: we have regions, resources, sub
# accounts, a price list, measured use.
WE_NEED = {
    'BillingAccountType', 'ConsumedQuantity', 'ConsumedUnit',
    'ContractedUnitPrice', 'ListUnitPrice', 'PricingCategory', 'RegionId',
    'RegionName', 'ResourceId', 'ResourceName', 'ResourceType', 'SkuId',
    'SkuMeter', 'SkuPriceDetails', 'SkuPriceId', 'SubAccountId',
    'SubAccountName', 'SubAccountType', 'Tags'}

ALLOWED = {
    'ChargeCategory': {'Usage', 'Purchase', 'Tax', 'Credit', 'Adjustment'},
    'ChargeClass': {'Correction'},
    'ChargeFrequency': {'One-Time', 'Recurring', 'Usage-Based'},
    'PricingCategory': {'Standard', 'Dynamic', 'Committed', 'Other'},
    'ServiceCategory': {
        'AI and Machine Learning', 'Analytics', 'Business Applications',
        'Compute', 'Databases', 'Developer Tools', 'Multicloud', 'Identity',
        'Integration', 'Internet of Things', 'Management and Governance',
        'Media', 'Migration', 'Mobile', 'Networking', 'Security', 'Storage',
        'Web', 'Other'}}
# Of each service category that may be met here.
SUBCATEGORIES = {
    'Compute': {'Containers', 'End User Computing', 'Quantum Compute',
                'Serverless Compute', 'Virtual Machines',
                'Other (Compute)'},
    'Management and Governance': {
        'Architecture', 'Compliance', 'Cost Management', 'Data Governance',
        'Disaster Recovery', 'Endpoint Management', 'Observability',
        'Support', 'Other (Management and Governance)'}}
_NUMBER = re.compile(r'-?[0-9]+(\.[0-9]+)?(E-?[0-9]+)?')
_CUSTOM = re.compile('x_[A-Z][A-Za-z0-9]{1,47}')
_COSTS = ('BilledCost', 'ContractedCost', 'EffectiveCost', 'ListCost')
_PAIRS = (('ListUnitPrice', 'ListCost'),
          ('ContractedUnitPrice', 'ContractedCost'))
# ISO 4217: how many places money of a currency has, where not two.
_PLACES = {'JPY': 0, 'KWD': 3}


def header_faults(names: list[str], version: str) -> Iterator[str]:
    """What is wrong with the columns there are."""
    known = VERSIONS[version]
    if len({*names}) != len(names):
        yield 'a column is there twice'
    for name, (level, _, _) in known.items():
        if name not in names and (level == 'M' or name in WE_NEED):
            yield f'{name} is missing'
    for name in names:
        if name not in known and not _CUSTOM.fullmatch(name):
            yield f'{name} is neither of the specification nor x_Pascal'
        if name.removeprefix('x_') in known and name.startswith('x_'):
            yield f'{name} duplicates a column of the specification'
    custom = [name.startswith('x_') for name in names]
    if custom != sorted(custom):
        yield 'custom columns are intermixed'


def row_faults(row: Mapping[str, str | None], version: str,
               ) -> Iterator[str]:
    """What is wrong with a row of texts; None: null."""
    faults = [*_cell_faults(row, version)]
    # Columns are held against each other where each makes sense.
    yield from faults or _sense_faults(row)


def _cell_faults(row: Mapping[str, str | None], version: str,
                 ) -> Iterator[str]:
    for name, value in row.items():
        if value is not None:
            yield from _value_faults(name, value, version)
        elif not VERSIONS[version].get(name, ('', True, ''))[1]:
            yield f'{name} is null'


def _value_faults(name: str, value: str, version: str) -> Iterator[str]:
    _, _, kind = VERSIONS[version].get(name, ('', True, ''))
    if not value.strip():
        yield f'{name} is an empty string'
    if kind == DECIMAL and not _NUMBER.fullmatch(value):
        yield f'{name}: {value!r} is no number'
    if kind == TIME:
        try:
            datetime.datetime.strptime(value, '%Y-%m-%dT%H:%M:%SZ')
        except ValueError:
            yield f'{name}: {value!r} is no time'
    if kind == JSON and not isinstance(json.loads(value), dict):
        yield f'{name}: {value!r} is no object'
    if name in ALLOWED and value not in ALLOWED[name]:
        yield f'{name}: {value!r} is not allowed'
    if name.endswith('Currency') and not re.fullmatch('[A-Z]{3}', value):
        yield f'{name}: {value!r} is no currency'


def _sense_faults(row: Mapping[str, Any]) -> Iterator[str]:
    """What one column says of another."""
    correction = row['ChargeClass'] == 'Correction'
    for start, end in (('BillingPeriodStart', 'BillingPeriodEnd'),
                       ('ChargePeriodStart', 'ChargePeriodEnd')):
        if (row[start] or '') >= (row[end] or ''):
            yield f'{end} is not after {start}'
    if not correction and not (
            row['BillingPeriodStart'] <= row['ChargePeriodStart']
            and row['ChargePeriodEnd'] <= row['BillingPeriodEnd']):
        yield 'use is charged in a period that it is not of'
    if correction and row['ChargePeriodEnd'] > row['BillingPeriodStart']:
        yield 'a correction is in the billing period that it corrects'
    for one, other in (
            ('PricingQuantity', 'PricingUnit'), ('SkuId', 'SkuMeter'),
            ('SubAccountId', 'SubAccountType'),
            ('ResourceId', 'ResourceType'), ('RegionId', 'RegionName'),
            ('ConsumedQuantity', 'ConsumedUnit')):
        if (row[one] is None) != (row[other] is None):
            yield f'one of {one} and {other} is null'
    if row['ResourceName'] is not None and row['ResourceId'] is None:
        yield 'ResourceName without ResourceId'
    if row['ChargeCategory'] == 'Usage' and not correction:
        yield from _price_faults(row)
    if row['ServiceSubcategory'] not in SUBCATEGORIES[
            row['ServiceCategory']]:
        yield 'ServiceSubcategory is not of its ServiceCategory'
    # 0 is read as an integer by a validator of the foundation's.
    if any('E' not in row[name] and len(row[name].partition('.')[2]) < 2
           for name in _COSTS):
        yield 'a cost has not two decimal places'
    if row['ConsumedQuantity'] is not None and (
            row['ChargeCategory'] != 'Usage' or (
                not correction
                and decimal.Decimal(row['ConsumedQuantity']) < 0)):
        yield 'what is consumed is negative, or of something else than use'
    if row['ChargeCategory'] == 'Usage' and not correction and (
            row['ConsumedQuantity'] is None):
        yield 'ConsumedQuantity of use is null'


def _price_faults(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ('ListUnitPrice', 'ContractedUnitPrice', 'SkuId',
                 'SkuPriceId', 'PricingCategory', 'PricingQuantity',
                 'PricingUnit'):
        if row[name] is None:
            yield f'{name} of use is null'
    for price, cost in _PAIRS:
        if row[price] is None:
            continue
        if decimal.Decimal(row[price]) < 0:
            yield f'{price} is negative'
        # To a minor unit: the lines of a statement are rounded so that
        # they add up to its total.
        exact = (decimal.Decimal(row[price])
                 * decimal.Decimal(row['PricingQuantity']))
        minor = decimal.Decimal(1).scaleb(
            -_PLACES.get(row['BillingCurrency'], 2))
        if abs(exact - decimal.Decimal(row[cost])) >= minor:
            yield f'{price} times PricingQuantity is not {cost}'
