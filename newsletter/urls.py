from django.urls import path

from newsletter import preference_views, views

app_name = "newsletter"
urlpatterns = [
    path("", views.subscribe, name="subscribe"),
    path("archive/", views.archive, name="archive"),
    path("archive/<slug:slug>/", views.archived_tip, name="archived-tip"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("unsubscribe/<str:token>/pause/", views.pause, name="pause"),
    path("unsubscribe/<str:token>/monthly/", views.monthly, name="monthly"),
    path("unsubscribe/<str:token>/why/", views.why, name="why"),
    path("preferences/", preference_views.ask_for_link, name="preferences-link"),
    path("preferences/<str:token>/", preference_views.own, name="preferences"),
    path(
        "preferences/<str:token>/start-again/",
        preference_views.start_again,
        name="start-again",
    ),
    path("preferences/<str:token>/agreed/", preference_views.agreed, name="agreed"),
    path(
        "preferences/<str:token>/agreed/terms/<int:revision>/",
        preference_views.agreed_terms,
        name="agreed-terms",
    ),
    path(
        "preferences/<str:token>/address/",
        preference_views.change_address,
        name="change-address",
    ),
    path(
        "preferences/<str:token>/download/", preference_views.download, name="download"
    ),
    path("preferences/<str:token>/erase/", preference_views.erase, name="erase"),
    path("move/<str:token>/", preference_views.move, name="move"),
]
