"""PostgreSQL for machines that have none."""

from twitchsite.embedded.postgres import Cluster, DidNotStart, temporary_cluster

__all__ = ["Cluster", "DidNotStart", "temporary_cluster"]
