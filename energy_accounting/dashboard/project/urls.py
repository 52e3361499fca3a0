# SPDX-License-Identifier: Apache-2.0
"""The pages below ``project/energy/``."""

from __future__ import annotations

from django.urls import path

from energy_accounting.dashboard.project import views

urlpatterns = [
    path('', views.IndexView.as_view(), name='index'),
    path('csv/', views.download, name='csv'),
    path('statements/<uuid:statement_id>.<slug:form>', views.document,
         name='document'),
]
