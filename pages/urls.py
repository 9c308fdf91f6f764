from django.conf import settings
from django.urls import path

from pages import devmail, health, machines, views

app_name = "pages"
urlpatterns = [
    path("", views.home, name="home"),
    path("trust/", views.trust, name="trust"),
    path("about/", views.about, name="about"),
    path("robots.txt", machines.robots, name="robots"),
    path("sitemap.xml", machines.sitemap, name="sitemap"),
    path("llms.txt", machines.llms, name="llms"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
if settings.DEMO:
    urlpatterns += [
        path("dev/mail/", devmail.inbox, name="dev-mail"),
        path("dev/mail/<int:number>/", devmail.message, name="dev-mail-message"),
        path("dev/mail/<int:number>/html/", devmail.html_part, name="dev-mail-html"),
        path("dev/mail/<int:number>.eml", devmail.raw, name="dev-mail-raw"),
    ]
