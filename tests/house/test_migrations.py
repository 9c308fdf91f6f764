"""Migrations run in one line: two made at once are seen here, not in production."""

from django.db.migrations.loader import MigrationLoader

OWN = ("ledger", "mail", "review", "articles", "newsletter", "twitchsite")


def test_each_apps_migrations_form_one_line() -> None:
    graph = MigrationLoader(None).graph

    for app in OWN:
        assert len(graph.leaf_nodes(app)) == 1
        for key in graph.nodes:
            if key[0] == app:
                parents = [
                    one for one in graph.node_map[key].parents if one.key[0] == app
                ]
                assert len(parents) <= 1


def test_no_migration_is_named_by_a_machine() -> None:
    names = [name for app, name in MigrationLoader(None).graph.nodes if app in OWN]

    assert len(names) >= len(OWN)
    assert [name for name in names if "auto" in name] == []
