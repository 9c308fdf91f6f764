from django import template

from articles import catalogue, markdown

register = template.Library()


@register.inclusion_tag("articles/includes/section_nav.html")
def section_nav() -> dict[str, object]:
    """The site's departments, in their order."""
    return {"sections": catalogue.departments()}


@register.inclusion_tag("articles/includes/policy_links.html")
def policy_links() -> dict[str, object]:
    """The policies that are published: a footer never leads to a missing page."""
    return {"policies": catalogue.policies()}


@register.filter
def markdown_text(text: str) -> str:
    """One line of plain text that stays text in Markdown."""
    return markdown.escaped(text.strip())
