# SPDX-License-Identifier: Apache-2.0
"""``focus``: FOCUS 1.2 and 1.3 of the FinOps Foundation, CSV or Parquet.

A row for each line of a statement, an instance's day.  The specification's
columns first, in alphabetical order, then ours (``x_``).  A correction has
ChargeClass ``Correction`` and the billing period in which it was found: the
period it is of was invoiced.  Where nothing is charged, costs are 0.00.  Use
is positive there: a line below 0, which a signed carry may leave, is of the
ChargeCategory ``Adjustment``.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from energy_accounting import tariffs, units
from energy_accounting.exports import sources, tables, targets
from energy_accounting.exports.events import kilograms, kwh, number
from energy_accounting.ledger import statements as store
from energy_accounting.report import usage
from energy_accounting.statements import lines

VERSIONS = ('1.2', '1.3')
OPERATOR = 'operator'
"""The billing account of what belongs to no project."""
UNKNOWN_DOMAIN = 'unknown'

_COMPUTE = ('Compute', 'Virtual Machines', 'Energy of instances')
_OVERHEAD = ('Management and Governance',
             'Other (Management and Governance)', 'Energy of the cloud')
_EXACT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP)
_PRICE = decimal.Decimal('1e-12')
_RATIO = decimal.Decimal('1e-9')
_PLACES = 2
_ZERO = decimal.Decimal('0.00')
_C = tables.Column

_FOCUS = (
    _C('AvailabilityZone', tables.TEXT),
    _C('BilledCost', tables.NUMBER),
    _C('BillingAccountId', tables.TEXT),
    _C('BillingAccountName', tables.TEXT),
    _C('BillingAccountType', tables.TEXT),
    _C('BillingCurrency', tables.TEXT),
    _C('BillingPeriodEnd', tables.TIME),
    _C('BillingPeriodStart', tables.TIME),
    _C('ChargeCategory', tables.TEXT),
    _C('ChargeClass', tables.TEXT),
    _C('ChargeDescription', tables.TEXT),
    _C('ChargeFrequency', tables.TEXT),
    _C('ChargePeriodEnd', tables.TIME),
    _C('ChargePeriodStart', tables.TIME),
    _C('ConsumedQuantity', tables.NUMBER),
    _C('ConsumedUnit', tables.TEXT),
    _C('ContractedCost', tables.NUMBER),
    _C('ContractedUnitPrice', tables.NUMBER),
    _C('EffectiveCost', tables.NUMBER),
    _C('InvoiceId', tables.TEXT),
    _C('InvoiceIssuerName', tables.TEXT),
    _C('ListCost', tables.NUMBER),
    _C('ListUnitPrice', tables.NUMBER),
    _C('PricingCategory', tables.TEXT),
    _C('PricingQuantity', tables.NUMBER),
    _C('PricingUnit', tables.TEXT),
    _C('ProviderName', tables.TEXT),
    _C('PublisherName', tables.TEXT),
    _C('RegionId', tables.TEXT),
    _C('RegionName', tables.TEXT),
    _C('ResourceId', tables.TEXT),
    _C('ResourceName', tables.TEXT),
    _C('ResourceType', tables.TEXT),
    _C('ServiceCategory', tables.TEXT),
    _C('ServiceName', tables.TEXT),
    _C('ServiceSubcategory', tables.TEXT),
    _C('SkuId', tables.TEXT),
    _C('SkuMeter', tables.TEXT),
    _C('SkuPriceDetails', tables.TEXT),
    _C('SkuPriceId', tables.TEXT),
    _C('SubAccountId', tables.TEXT),
    _C('SubAccountName', tables.TEXT),
    _C('SubAccountType', tables.TEXT),
    _C('Tags', tables.TEXT))
_SINCE_1_3 = (
    # Of a shared charge that was split; and of commitments.  Energy that is
    # attributed is measured use, and nothing is committed: all empty.
    _C('AllocatedMethodDetails', tables.TEXT),
    _C('AllocatedMethodId', tables.TEXT),
    _C('AllocatedResourceId', tables.TEXT),
    _C('AllocatedResourceName', tables.TEXT),
    _C('AllocatedTags', tables.TEXT),
    _C('ContractApplied', tables.TEXT),
    _C('HostProviderName', tables.TEXT),
    _C('ServiceProviderName', tables.TEXT))
_OURS = (
    _C('x_Account', tables.TEXT),
    _C('x_Boundary', tables.TEXT),
    _C('x_CarbonEmbodiedKgCo2e', tables.NUMBER),
    _C('x_CarbonFactorRevision', tables.TEXT),
    _C('x_CarbonFactorSource', tables.TEXT),
    _C('x_CarbonLocationKgCo2e', tables.NUMBER),
    _C('x_CarbonMarketKgCo2e', tables.NUMBER),
    _C('x_CoverageRatio', tables.NUMBER),
    _C('x_DataQuality', tables.TEXT),
    _C('x_EnergyDynamicKwh', tables.NUMBER),
    _C('x_EnergyFacilityKwh', tables.NUMBER),
    _C('x_EnergyIdleKwh', tables.NUMBER),
    _C('x_EnergyItKwh', tables.NUMBER),
    _C('x_EnergyOverheadKwh', tables.NUMBER),
    _C('x_EnergySharedKwh', tables.NUMBER),
    _C('x_EvidenceDigest', tables.TEXT),
    _C('x_Flavor', tables.TEXT),
    _C('x_MethodVersion', tables.TEXT),
    _C('x_PowerPeakKw', tables.NUMBER),
    _C('x_PueCategory', tables.TEXT),
    _C('x_PueKpiId', tables.TEXT),
    _C('x_PueValue', tables.NUMBER),
    _C('x_RenewableShare', tables.NUMBER),
    _C('x_RowId', tables.TEXT),
    _C('x_Site', tables.TEXT),
    _C('x_StatementId', tables.TEXT),
    _C('x_StatementRevision', tables.INTEGER))


def columns(version: str) -> tuple[tables.Column, ...]:
    """Those of a version, in their order."""
    standard = (_FOCUS if version == '1.2'
                else tuple(sorted((*_FOCUS, *_SINCE_1_3))))
    return (*standard, *_OURS)


@dataclasses.dataclass(frozen=True)
class _Head:
    """What all rows of a revision have in common."""

    common: Mapping[str, Any]
    currency: str
    sources: Mapping[str, tuple[str | None, str | None]]


def _head(one: sources.Entry, settings: targets.Settings) -> _Head:
    of, billed = one.stored, one.billing_period
    currency = one.currency or settings.currency
    owned = bool(of.project_id)
    common = {
        'BillingAccountId': (of.domain_id or UNKNOWN_DOMAIN) if owned
        else OPERATOR,
        'BillingAccountType': 'Domain' if owned else 'Operator',
        'BillingCurrency': currency,
        'BillingPeriodStart': units.moment(billed.start_ns),
        'BillingPeriodEnd': units.moment(billed.end_ns),
        'ChargeClass': 'Correction' if one.correction else None,
        'ChargeFrequency': 'Usage-Based',
        **dict.fromkeys(('InvoiceIssuerName', 'ProviderName',
                         'PublisherName', 'HostProviderName',
                         'ServiceProviderName'), settings.provider),
        'PricingCategory': 'Standard', 'PricingUnit': 'kWh',
        'SkuId': 'energy', 'SkuMeter': 'energy',
        'SubAccountId': of.project_id or None,
        'SubAccountName': of.project_name if owned else None,
        'SubAccountType': 'Project' if owned else None,
        'x_EvidenceDigest': of.digest, 'x_StatementId': of.statement,
        'x_StatementRevision': of.revision}
    return _Head(common, currency, _factors(of))


def _factors(of: store.Stored,
             ) -> dict[str, tuple[str | None, str | None]]:
    """By site: where the carbon factors come from, and which they are."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for factor in of.head['factors']:
        if factor.get('method') != tariffs.LOCATION:
            continue
        names, revisions = found.setdefault(factor['site'], ([], []))
        names.append(factor.get('source') or factor.get('provider') or '')
        revisions.append(f'{factor.get("revision") or ""}'
                         f'#{factor["digest"][:12]}')
    return {site: ('; '.join(sorted({*names} - {''})) or None,
                   '; '.join(sorted({*revisions})) or None)
            for site, (names, revisions) in found.items()}


def _values(one: sources.Entry, head: _Head) -> dict[str, Any]:
    line = one.line
    # As 0.00 also where money has no such places.
    cost = (number(line.cost) or _ZERO).quantize(decimal.Decimal(1).scaleb(
        -max(_PLACES, tariffs.MINOR_DIGITS[head.currency])))
    quantity = kwh(line.it_uj if line.priced_uj is None else line.priced_uj)
    price = _unit_price(one, cost, quantity, head.currency)
    used = one.correction or line.it_uj >= 0
    category, subcategory, service = (
        _COMPUTE if line.instance_id is not None else _OVERHEAD)
    resource = line.instance_id or (
        None if line.account == 'unallocated' else line.account)
    source, revision = head.sources.get(line.site, (None, None))
    return {
        **head.common,
        'BilledCost': cost, 'ContractedCost': cost, 'EffectiveCost': cost,
        'ListCost': cost, 'ContractedUnitPrice': price,
        'ListUnitPrice': price,
        'ChargeDescription': _described(one),
        'ChargePeriodStart': units.bucket_start(line.start),
        'ChargePeriodEnd': units.bucket_start(line.end),
        'ChargeCategory': 'Usage' if used else 'Adjustment',
        'ConsumedQuantity': kwh(line.it_uj) if used else None,
        'ConsumedUnit': 'kWh' if used else None, 'PricingQuantity': quantity,
        'RegionId': line.region, 'RegionName': line.region,
        'ResourceId': resource,
        'ResourceType': None if resource is None
        else 'Instance' if line.instance_id is not None else 'Service',
        'ServiceCategory': category, 'ServiceSubcategory': subcategory,
        'ServiceName': service,
        'SkuPriceId': f'energy/{line.priced_quantity or "unpriced"}',
        'x_Account': line.account, 'x_Boundary': line.boundary,
        'x_CarbonFactorRevision': revision, 'x_CarbonFactorSource': source,
        'x_CarbonLocationKgCo2e': kilograms(line.co2_location_ng),
        'x_CarbonMarketKgCo2e': kilograms(line.co2_market_ng),
        'x_CoverageRatio': number(line.coverage),
        'x_DataQuality': _quality(line),
        'x_EnergyDynamicKwh': kwh(line.active_uj),
        'x_EnergyFacilityKwh': kwh(line.facility_uj),
        'x_EnergyIdleKwh': kwh(line.idle_uj),
        'x_EnergyItKwh': kwh(line.it_uj),
        'x_EnergyOverheadKwh': kwh(one.overhead_uj),
        'x_EnergySharedKwh': kwh((line.memory_uj or 0) + line.host_uj
                                 + (line.platform_uj or 0)),
        'x_Flavor': line.flavor, 'x_MethodVersion': line.policy,
        'x_PowerPeakKw': number(usage.peak_kw(line.peak_uj)),
        'x_PueCategory': line.pue_kind,
        # A difference has none: what was not known comes in it as a whole.
        'x_PueValue': None if one.correction else _ratio(
            line.facility_uj, line.it_uj),
        'x_RenewableShare': None if one.correction else _ratio(
            line.renewable_uj, line.facility_uj),
        'x_RowId': one.id, 'x_Site': line.site}


def _unit_price(one: sources.Entry, cost: decimal.Decimal,
                quantity: decimal.Decimal | None, currency: str,
                ) -> decimal.Decimal | None:
    """What a kWh cost: the tariff's price, or the mean.

    Of several prices, and where CO2 was priced, too.
    """
    if one.correction:
        return None
    price = number(one.line.price_per_kwh)
    smallest = decimal.Decimal(1).scaleb(-tariffs.MINOR_DIGITS[currency])
    if price is not None and (quantity is None or abs(_EXACT.subtract(
            _EXACT.multiply(price, quantity), cost)) < smallest):
        return price
    if not cost or not quantity:
        return _ZERO
    return _EXACT.divide(cost, quantity).quantize(_PRICE, context=_EXACT)


def _described(one: sources.Entry) -> str:
    what = ('Energy of an instance' if one.line.instance_id is not None
            else 'Energy that belongs to no project')
    return f'Correction: {what}' if one.correction else what


def _quality(line: lines.Line) -> str:
    """Whether all of it was measured in time."""
    if not line.backfilled_uj:
        return 'measured'
    return 'backfilled' if line.backfilled_uj == line.it_uj else 'mixed'


def _ratio(part: int | None, whole: int | None) -> decimal.Decimal | None:
    if part is None or not whole:
        return None
    return _EXACT.divide(decimal.Decimal(part), decimal.Decimal(whole),
                         ).quantize(_RATIO, context=_EXACT)


def rows(source: sources.Source, version: str, settings: targets.Settings,
         ) -> Iterator[list[Any]]:
    """The values of the columns, row by row."""
    names = [column.name for column in columns(version)]
    last: tuple[int, bool, str | None] | None = None
    head: _Head | None = None
    for one in source.entries():
        of = one.stored.id, one.correction, one.currency
        if head is None or last != of:
            head, last = _head(one, settings), of
        values = _values(one, head)
        yield [values.get(name) for name in names]


def _write(file: IO[bytes], source: sources.Source,
           options: Mapping[str, str], settings: targets.Settings,
           progress: Callable[[int], object]) -> int:
    version = options['version']
    return tables.WRITERS[options['format']](
        file, columns(version), rows(source, version, settings), progress)


TARGET = targets.File(
    {'version': targets.Option('1.2', 'of the specification', VERSIONS),
     'format': targets.Option('csv', 'of the file',
                              tuple(tables.WRITERS))},
    lambda options: options['format'], _write)
