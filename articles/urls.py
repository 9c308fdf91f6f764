from django.urls import path, re_path

from articles import views

app_name = "articles"
urlpatterns = [
    re_path(
        r"^(?P<slug>conditions|discover|plan|connect)/$", views.section, name="section"
    ),
    path("articles/<slug:slug>/", views.article, name="article"),
    path("articles/<slug:slug>/review/", views.review_record, name="review-record"),
    path("about/<slug:slug>/", views.policy, name="policy"),
    re_path(
        r"^pictures/(?P<digest>[0-9a-f]{64})\.(?P<ending>[a-z]+)$",
        views.picture,
        name="picture",
    ),
]
