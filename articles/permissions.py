"""Who may do what to an article (docs/roles.md). Policies are the operator's."""

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from articles.models import Article, Draft, Revision

POLICIES = "articles.manage_policies"


def _is_policy(article: Article) -> bool:
    return article.kind == Article.Kind.POLICY


def may_write(user: User, article: Article) -> bool:
    """A draft of one's own."""
    needed = POLICIES if _is_policy(article) else "articles.add_draft"
    return user.has_perm(needed)


def may_change_draft(user: User, draft: Draft) -> bool:
    return may_write(user, draft.article) and (
        draft.editor_id == user.pk or may_change_others(user, draft.article)
    )


def drafts_open_to(user: User) -> QuerySet[Draft]:
    """Those for which `may_change_draft` says yes: nobody else sees a draft."""
    is_policy = Q(article__kind=Article.Kind.POLICY)
    is_own = Q(editor=user.pk)
    found = Q(pk__in=[])
    if user.has_perm(POLICIES):
        found |= is_policy
    if user.has_perm("articles.add_draft"):
        anybodys = user.has_perm("articles.change_others")
        found |= ~is_policy & (Q() if anybodys else is_own)
    return Draft.objects.filter(found)


def may_change_others(user: User, article: Article) -> bool:
    """Others' drafts, and old texts that are brought back."""
    needed = POLICIES if _is_policy(article) else "articles.change_others"
    return user.has_perm(needed)


def may_submit(user: User, revision: Revision) -> bool:
    """Editors any text, authors their own."""
    if _is_policy(revision.article):
        return False
    is_own = revision.created_by_id == user.pk and may_write(user, revision.article)
    return is_own or user.has_perm("articles.submit")


def may_publish(user: User, article: Article) -> bool:
    """Publish, schedule, withdraw, correct."""
    needed = POLICIES if _is_policy(article) else "articles.publish"
    return user.has_perm(needed)


def may_publish_unsigned(user: User, article: Article) -> bool:
    """A permission that no role has."""
    return not _is_policy(article) and user.has_perm("articles.publish_unsigned")


def may_furnish(user: User, article: Article | None) -> bool:
    """Section, aliases, read next, address."""
    if article is not None and _is_policy(article):
        return user.has_perm(POLICIES)
    return user.has_perm("articles.change_article")
