# SPDX-License-Identifier: Apache-2.0
"""The HTML of a statement as PDF, by WeasyPrint (extra ``exports``)."""

from __future__ import annotations

from typing import Any, NoReturn

from energy_accounting import errors


def of_html(text: str, made: str) -> bytes:
    """A PDF (A4) of a page that fetches nothing.

    :param made: when the statement was closed, as an ISO time.
    :raises errors.InvalidRequest: WeasyPrint, or what it needs of the
        system, is not installed: another form can be had.
    """
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        # OSError: Pango is not there.
        raise errors.InvalidRequest(
            'format: this service makes no PDF; ask for html, or let its '
            'operator install energy-accounting[exports] and Pango'
        ) from error

    def fetch(url: str, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(f'a statement fetches nothing: {url[:64]}')

    document = weasyprint.HTML(string=text, url_fetcher=fetch).render(
        optimize_images=False)
    document.metadata.created = document.metadata.modified = made
    pdf: bytes = document.write_pdf(pdf_identifier=made.encode())
    return pdf
