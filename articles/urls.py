from django.urls import path, re_path

from articles import views
from articles.feeds import SectionFeed
from articles.models import Section

SECTION = rf"(?P<slug>{'|'.join(Section.Slug)})"
SLUG = r"(?P<slug>[-a-zA-Z0-9_]+)"
DIGEST = r"(?P<digest>[0-9a-f]{64})"

app_name = "articles"
urlpatterns = [
    re_path(rf"^{SECTION}/$", views.section, name="section"),
    path("articles/<slug:slug>.md", views.markdown, name="markdown"),
    path("feeds/<slug:slug>.atom", SectionFeed(), name="feed"),
    re_path(
        rf"^articles/{SLUG}/review/{DIGEST}\.json$",
        views.signed_text,
        name="signed-text",
    ),
    re_path(
        rf"^articles/{SLUG}/review/{DIGEST}/$",
        views.signed_changes,
        name="signed-changes",
    ),
    path("articles/<slug:slug>/", views.article, name="article"),
    path("articles/<slug:slug>/review/", views.review_record, name="review-record"),
    path("about/<slug:slug>/", views.policy, name="policy"),
    re_path(
        rf"^pictures/{DIGEST}\.(?P<ending>[a-z]+)$",
        views.picture,
        name="picture",
    ),
]
