# SPDX-License-Identifier: Apache-2.0
"""The pages below ``admin/energy/``."""

from __future__ import annotations

from django.urls import path

from energy_accounting.dashboard.admin import views
from energy_accounting.dashboard.project import views as project_views

urlpatterns = [
    path('', views.IndexView.as_view(), name='index'),
    path('projects/', views.ProjectsView.as_view(), name='projects'),
    path('hosts/', views.HostsView.as_view(), name='hosts'),
    path('sites/', views.SitesView.as_view(), name='sites'),
    path('statements/', views.StatementsView.as_view(), name='statements'),
    path('statements/<uuid:statement_id>.<slug:form>',
         project_views.document, name='document'),
    path('exports/', views.ExportsView.as_view(), name='exports'),
    path('quarantine/', views.QuarantineView.as_view(), name='quarantine'),
]
